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

pomona_library(event "libevent>=2.1.9")            # event loop, HTTP/1.1 server
pomona_library(event_pthreads "libevent_pthreads>=2.1")
pomona_library(event_openssl "libevent_openssl>=2.1") # TLS on the event loop
pomona_library(curl "libcurl>=7.80")             # outgoing HTTP
pomona_library(jansson "jansson>=2.13")          # JSON
pomona_library(cyaml "libcyaml>=1.3")            # YAML and JSON configuration with a schema
pomona_library(cjose "cjose>=0.6")               # signed tokens: JWS and JWK
pomona_library(yaml "yaml-0.1>=0.2")              # where in a file a mistake is
pomona_library(protobuf_c "libprotobuf-c>=1.4")  # messages between nodes and runners
pomona_library(utf8proc "libutf8proc>=2.6")      # Unicode properties and normal forms
pomona_library(sqlite3 "sqlite3>=3.34")          # the health monitor's history
pomona_library(xxhash "libxxhash>=0.8")          # content keys
pomona_library(crypto "libcrypto>=3.0")          # SHA-256, random, keys of datagrams
pomona_library(ssl "libssl>=3.0")                # TLS 1.3 between nodes

find_program(PROTOC_C NAMES protoc-c REQUIRED)

add_library(lib_math INTERFACE)
target_link_libraries(lib_math INTERFACE m)
add_library(lib::math ALIAS lib_math)
add_library(lib::threads ALIAS Threads::Threads)

# mDNS, which may be missing: dns_sd.h is macOS's own; elsewhere Avahi's compatibility library has it.
option(POMONA_MDNS "Find peers by mDNS too, where dns_sd.h is to be had" ON)
find_path(DNS_SD_INCLUDE dns_sd.h PATH_SUFFIXES avahi-compat-libdns_sd)
find_library(DNS_SD_LIBRARY NAMES dns_sd System)
if(NOT APPLE)
  find_library(AVAHI_COMMON_LIBRARY NAMES avahi-common)
endif()
set(POMONA_HAS_MDNS OFF)
if(POMONA_MDNS AND DNS_SD_INCLUDE AND DNS_SD_LIBRARY AND (APPLE OR AVAHI_COMMON_LIBRARY))
  set(POMONA_HAS_MDNS ON)
  add_library(lib_dns_sd INTERFACE)
  target_include_directories(lib_dns_sd SYSTEM INTERFACE ${DNS_SD_INCLUDE})
  target_link_libraries(lib_dns_sd INTERFACE ${DNS_SD_LIBRARY})
  if(NOT APPLE)
    target_link_libraries(lib_dns_sd INTERFACE ${AVAHI_COMMON_LIBRARY})
  endif()
  add_library(lib::dns_sd ALIAS lib_dns_sd)
endif()
