# cmake/module.cmake - the dependency rules of src/, enforced at configure time.
#
#   pomona_module(cluster LAYER 4 LOGS
#                 USES base config contract net
#                 LIBS event jansson
#                 SOURCES view.c membership/gossip.c
#                 PROTOS node.proto)
#
# A folder may use only folders that were declared before it and sit on a
# lower layer, so arrows point down and cycles cannot be written.  The same
# USES list is what tools/check_source.py holds every #include against.
# LOGS: its lines are of a component of its name, a row of base/log_level.h.
function(pomona_module name)
  cmake_parse_arguments(PARSE_ARGV 1 arg "LOGS" "LAYER" "USES;LIBS;SOURCES;PROTOS")

  foreach(proto IN LISTS arg_PROTOS)
    pomona_proto(${name} ${proto} generated)
    list(APPEND arg_SOURCES ${generated})
  endforeach()

  if(arg_SOURCES)
    add_library(${name} STATIC ${arg_SOURCES})
    target_link_libraries(${name} PRIVATE $<BUILD_INTERFACE:pomona_warnings>)
    if(arg_LOGS)
      string(TOUPPER ${name} component)
      target_compile_definitions(${name} PRIVATE LOG_COMPONENT=LOG_IN_${component})
    endif()
    set(scope PUBLIC)
  else()
    add_library(${name} INTERFACE)
    set(scope INTERFACE)
  endif()
  target_include_directories(${name} ${scope} ${PROJECT_SOURCE_DIR}/src ${PROJECT_BINARY_DIR}/generated)
  set_property(GLOBAL PROPERTY layer_of_${name} ${arg_LAYER})
  set_property(GLOBAL APPEND PROPERTY pomona_uses "${name}: ${arg_USES}\n")

  foreach(lib IN LISTS arg_LIBS)
    target_link_libraries(${name} ${scope} lib::${lib})
  endforeach()
  foreach(used IN LISTS arg_USES)
    get_property(below GLOBAL PROPERTY layer_of_${used})
    if(NOT below MATCHES "^[0-9]+$" OR NOT below LESS arg_LAYER)
      message(FATAL_ERROR "src/${name} (layer ${arg_LAYER}) may not use "
                          "src/${used} (layer ${below})")
    endif()
    target_link_libraries(${name} ${scope} ${used})
  endforeach()
endfunction()

# Generate <module>/<proto>.pb-c.{c,h} under the build folder; included as
# "contract/runner.pb-c.h".  Generated code is compiled without our warnings.
function(pomona_proto module proto ret_sources)
  get_filename_component(stem ${proto} NAME_WE)
  set(dir ${PROJECT_BINARY_DIR}/generated)
  set(out ${dir}/${module}/${stem}.pb-c)
  file(MAKE_DIRECTORY ${dir}/${module})
  add_custom_command(
    OUTPUT ${out}.c ${out}.h
    COMMAND ${PROTOC_C} --proto_path=${PROJECT_SOURCE_DIR}/src --c_out=${dir}
            ${PROJECT_SOURCE_DIR}/src/${module}/${proto}
    DEPENDS ${CMAKE_CURRENT_SOURCE_DIR}/${proto} VERBATIM)
  set_source_files_properties(${out}.c PROPERTIES COMPILE_OPTIONS "-w")
  set(${ret_sources} ${out}.c ${out}.h PARENT_SCOPE)
endfunction()
