# cmake/options.cmake - language, warnings, sanitizers.
option(POMONA_WERROR "Treat warnings as errors" OFF)
option(POMONA_COVERAGE "Instrument for gcov" OFF)
set(POMONA_SANITIZE "" CACHE STRING "Comma-separated sanitizers, as in -fsanitize=")

set(CMAKE_C_STANDARD 17)
set(CMAKE_C_STANDARD_REQUIRED ON)
set(CMAKE_C_EXTENSIONS OFF)
set(CMAKE_POSITION_INDEPENDENT_CODE ON)

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "" FORCE)
endif()
set(CMAKE_C_FLAGS_RELEASE "-O2 -g1")
set(CMAKE_C_FLAGS_DEBUG "-O1 -g")
if(POMONA_SANITIZE) # their reports need lines; variables would double what is compiled and linked
  set(CMAKE_C_FLAGS_DEBUG "-O1 -g1")
endif()

add_compile_definitions(POMONA_VERSION="${PROJECT_VERSION}")
if(APPLE)
  add_compile_definitions(_DARWIN_C_SOURCE)
else()
  add_compile_definitions(_GNU_SOURCE)
endif()

# Our own targets add these; generated code does not.
add_library(pomona_warnings INTERFACE)
target_compile_options(pomona_warnings INTERFACE
  -Wall -Wextra -Wpedantic -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes
  -Wpointer-arith -Wwrite-strings -Wvla -Wformat=2 -Wcast-align -Wswitch-enum)
if(POMONA_WERROR)
  target_compile_options(pomona_warnings INTERFACE -Werror)
endif()

add_compile_options(-fno-omit-frame-pointer -fno-math-errno -ffp-contract=off)
if(POMONA_SANITIZE)
  add_compile_options(-fsanitize=${POMONA_SANITIZE} -fno-sanitize-recover=all)
  add_link_options(-fsanitize=${POMONA_SANITIZE})
endif()
if(POMONA_COVERAGE)
  add_compile_options(--coverage -fprofile-update=atomic)
  add_link_options(--coverage)
endif()
