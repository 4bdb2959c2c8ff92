# cmake/mpi.cmake - Open MPI, which may be missing; only a module that the program loads needs it.
#
# Sanitizers leave the module out: Open MPI is not compiled with them.
option(POMONA_MPI "Carry rows over Open MPI too, where it is to be had" ON)
set(POMONA_HAS_MPI OFF)
if(POMONA_MPI AND NOT POMONA_SANITIZE AND NOT POMONA_COVERAGE)
  pkg_check_modules(ompi IMPORTED_TARGET ompi-c)
  if(ompi_FOUND)
    set(POMONA_HAS_MPI ON)
  endif()
endif()
message(STATUS "Open MPI: ${POMONA_HAS_MPI} ${ompi_VERSION}")
