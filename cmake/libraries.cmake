# cmake/libraries.cmake - every library Pomona stands on, in one place.
#
# Each has a package in Debian and in Homebrew; scripts/quickstart.sh installs what is missing.
# A folder links one by naming it under LIBS of its pomona_module().
find_package(PkgConfig REQUIRED)
find_package(Threads REQUIRED)

function(pomona_library name module)
  pkg_check_modules(${name} REQUIRED IMPORTED_TARGET GLOBAL ${module})
  add_library(lib::${name} ALIAS PkgConfig::${name})
endfunction()

pomona_library(event "libevent>=2.1")            # event loop, HTTP/1.1 server
pomona_library(event_pthreads "libevent_pthreads>=2.1")
pomona_library(event_openssl "libevent_openssl>=2.1") # TLS on the event loop
pomona_library(curl "libcurl>=7.80")             # outgoing HTTP
pomona_library(jansson "jansson>=2.13")          # JSON
pomona_library(cyaml "libcyaml>=1.3")            # YAML and JSON configuration with a schema
pomona_library(protobuf_c "libprotobuf-c>=1.4")  # messages between nodes and runners
pomona_library(utf8proc "libutf8proc>=2.6")      # Unicode properties and normal forms
pomona_library(xxhash "libxxhash>=0.8")          # content keys
pomona_library(crypto "libcrypto>=3.0")          # SHA-256, random, keys of datagrams
pomona_library(ssl "libssl>=3.0")                # TLS 1.3 between nodes

find_program(PROTOC_C NAMES protoc-c REQUIRED)

add_library(lib_math INTERFACE)
target_link_libraries(lib_math INTERFACE m)
add_library(lib::math ALIAS lib_math)
add_library(lib::threads ALIAS Threads::Threads)
