# cmake/mlx.cmake - MLX, which may be missing: Homebrew's, or pip's in the environment of the tests.
#
# Sanitizers leave it out: MLX is not compiled with them, and its allocator and threads are its own.
option(POMONA_MLX "Compute with MLX too, where it is to be had" ON)
set(POMONA_HAS_MLX OFF)
if(POMONA_MLX AND NOT POMONA_SANITIZE AND NOT POMONA_COVERAGE)
  include(CheckLanguage)
  check_language(CXX)
  if(CMAKE_CXX_COMPILER)
    enable_language(CXX)
    set(CMAKE_CXX_EXTENSIONS OFF)
    unset(MLX_DIR CACHE) # what was not there before may be by now
    execute_process(COMMAND ${PROJECT_SOURCE_DIR}/.venv/bin/python -m mlx --cmake-dir
                    OUTPUT_VARIABLE mlx_of_pip OUTPUT_STRIP_TRAILING_WHITESPACE ERROR_QUIET)
    find_package(MLX 0.32.1 CONFIG QUIET PATHS ${mlx_of_pip})
    if(MLX_FOUND AND TARGET mlx)
      set(POMONA_HAS_MLX ON)
    endif()
  endif()
endif()
message(STATUS "MLX: ${POMONA_HAS_MLX} ${MLX_DIR}")
