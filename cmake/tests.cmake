# cmake/tests.cmake - one line per test.
#
# In tests/unit/<folder>/CMakeLists.txt:
#   pomona_unit_test(test_status USES base)   builds test_status.c with cmocka
#
# Labels: unit, integration, system.  `ctest -L unit` runs the first kind alone.  A test is
# fast, or SLOW: then scripts/test.sh --quick leaves it out, and so do the sanitizers but with --full; or LATER:
# then --quick alone leaves it out.  What it tests has several threads, or
# ONE_THREAD, as have all tests of the folders below: then TSan has nothing to find, and meets it with
# --full alone.  FULL is for --full altogether.  TIMED judges with --full how long things take
# (IS_TIMED of tests/support/cluster.py), and is alone then.
#
# How tests share a machine: it has three shares for each core (scripts/test.sh: ctest -j), and a test
# takes two, but
#   WAITS      one, where it waits more than it computes
#   DEADLINES  three, where it holds what it starts to deadlines of seconds
#   WIDE       all of two cores, as its threads wait for one another
#   SERIAL     the whole machine, as it measures.
# Those with the highest COST, in seconds on two cores, begin first; DEADLINES ones before all others, since
# room for them is rare later.
pkg_check_modules(cmocka REQUIRED IMPORTED_TARGET GLOBAL cmocka)

set(POMONA_ONE_THREAD_FOLDERS aggregate balance config memory partition select text)

# Of the options of the caller: how much of the machine, and when.
function(pomona_test_shares name)
  set(shares 2)
  if(arg_WAITS)
    set(shares 1)
  elseif(arg_DEADLINES)
    set(shares 3)
    math(EXPR arg_COST "${arg_COST} + 1000")
  elseif(arg_WIDE)
    set(shares 6)
  endif()
  set_tests_properties(${name} PROPERTIES PROCESSORS ${shares} COST ${arg_COST})
endfunction()

# Of the options of the caller.
function(pomona_test_labels ret kind)
  set(labels ${kind} fast)
  if(arg_SLOW)
    set(labels ${kind} slow)
  endif()
  if(arg_ONE_THREAD)
    list(APPEND labels one-thread)
  endif()
  if(arg_LATER)
    list(APPEND labels later)
  endif()
  if(arg_FULL)
    list(APPEND labels full)
  endif()
  if(arg_TIMED)
    list(APPEND labels timed)
  endif()
  set(${ret} ${labels} PARENT_SCOPE)
endfunction()

function(pomona_unit_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SLOW;LATER;ONE_THREAD;WAITS;WIDE" "TIMEOUT;COST" "USES;SOURCES;ARGS")
  pomona_test_labels(labels unit)
  cmake_path(RELATIVE_PATH CMAKE_CURRENT_SOURCE_DIR BASE_DIRECTORY ${PROJECT_SOURCE_DIR}/tests/unit
             OUTPUT_VARIABLE folder)
  string(REPLACE "/" "_" target "${folder}_${name}")
  if(folder IN_LIST POMONA_ONE_THREAD_FOLDERS AND NOT arg_ONE_THREAD)
    list(APPEND labels one-thread)
  endif()
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 120)
  endif()
  if(NOT arg_COST)
    set(arg_COST 1)
  endif()
  add_executable(${target} ${name}.c ${arg_SOURCES})
  target_link_libraries(${target} PRIVATE pomona_warnings ${arg_USES} PkgConfig::cmocka)
  target_include_directories(${target} PRIVATE ${PROJECT_SOURCE_DIR}/src ${PROJECT_SOURCE_DIR}/tests)
  add_test(NAME unit/${folder}/${name} COMMAND ${target} ${arg_ARGS})
  set_tests_properties(unit/${folder}/${name} PROPERTIES
    LABELS "${labels}" TIMEOUT ${arg_TIMEOUT} ENVIRONMENT "${POMONA_TEST_ENVIRONMENT}")
  pomona_test_shares(unit/${folder}/${name})
endfunction()

# Tests in Python run under the environment that scripts/test.sh makes.
#   pomona_python_test(test_tokenizer LABEL integration TIMEOUT 300 ARGS $<TARGET_FILE:tool>)
# runs `pytest test_tokenizer.py` in this folder, with
#   POMONA            the executable
#   POMONA_BUILD      the build folder (programs of tests/support are in tests/support/)
#   POMONA_TEST_MODEL SmolLM2-135M-Instruct as GGUF, fetched by scripts/fetch_smollm2.sh
#   POMONA_SANITIZE   the build's sanitizers, empty: none
# A test that misses one of them fails; it does not skip.  Plug-ins that packages bring are not
# asked for: to load them takes a second each time.
set(POMONA_TEST_MODEL ${PROJECT_SOURCE_DIR}/.cache/models/SmolLM2-135M-Instruct.Q4_1.gguf
    CACHE FILEPATH "The real model that tests run")
set(POMONA_PYTHON ${PROJECT_SOURCE_DIR}/.venv/bin/python CACHE FILEPATH "Python of the tests")

set(POMONA_TEST_ENVIRONMENT
    POMONA=${PROJECT_BINARY_DIR}/pomona
    POMONA_BUILD=${PROJECT_BINARY_DIR}
    POMONA_MLX=${PROJECT_BINARY_DIR}/libpomona_mlx.so
    POMONA_MPI=${PROJECT_BINARY_DIR}/libpomona_mpi.so
    POMONA_SOURCE=${PROJECT_SOURCE_DIR}
    POMONA_TEST_MODEL=${POMONA_TEST_MODEL}
    POMONA_SANITIZE=${POMONA_SANITIZE})
if(POMONA_SANITIZE MATCHES thread)
  list(APPEND POMONA_TEST_ENVIRONMENT
       TSAN_OPTIONS=suppressions=${PROJECT_SOURCE_DIR}/tests/support/tsan.supp)
endif()

function(pomona_python_test name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "SLOW;LATER;SERIAL;WAITS;DEADLINES;ONE_THREAD;FULL;TIMED" "LABEL;TIMEOUT;COST" "")
  pomona_test_labels(labels ${arg_LABEL})
  if(NOT arg_TIMEOUT)
    set(arg_TIMEOUT 300)
  endif()
  if(NOT arg_COST)
    set(arg_COST 10)
  endif()
  add_test(NAME ${arg_LABEL}/${name}
           COMMAND ${POMONA_PYTHON} -m pytest -q -p no:cacheprovider ${CMAKE_CURRENT_SOURCE_DIR}/${name}.py)
  set_tests_properties(${arg_LABEL}/${name} PROPERTIES
    LABELS "${labels}" TIMEOUT ${arg_TIMEOUT}
    RUN_SERIAL ${arg_SERIAL}
    # One that left something out and failed nowhere is listed as skipped, not as passed.
    SKIP_REGULAR_EXPRESSION "\n([0-9]+ passed, )?[0-9]+ skipped(, [0-9]+ (deselected|warnings?))* in [0-9]"
    ENVIRONMENT "${POMONA_TEST_ENVIRONMENT};PYTHONPATH=${PROJECT_SOURCE_DIR}/tests;PYTEST_DISABLE_PLUGIN_AUTOLOAD=1")
  pomona_test_shares(${arg_LABEL}/${name})
endfunction()
