# cmake/isa.cmake - flags of the files that hold kernels; everything else is built for the baseline.
#
# The compiler never learns what machine it runs on: src/engine/cpu/dispatch.c chooses at run time.

# Kernels are optimised in every preset; unoptimised ones would make tests take minutes.
function(pomona_kernels)
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS -O3)
endfunction()

function(pomona_isa flags)
  pomona_kernels(${ARGN})
  set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS ${flags})
endfunction()

# Of the kernels for AMX, which are compiled for the tests too, its instructions emulated.
set(POMONA_AMX_FLAGS -mavx2 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni
                     -mavx512vbmi -mamx-tile -mamx-int8)

# Where nearly all time goes, sanitizers would make it a hundred times more.  The tests of these
# kernels put unmapped pages around all memory instead, which every preset then checks.
function(pomona_kernels_unsanitized)
  if(POMONA_SANITIZE)
    set_property(SOURCE ${ARGN} APPEND PROPERTY COMPILE_OPTIONS -fno-sanitize=all)
  endif()
endfunction()
