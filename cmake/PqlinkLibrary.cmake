# The public library: libpqlink.so, libpqlink.a, the headers and pqlink.pc.
#
# AWS-LC and ngtcp2 go inside and stay out of sight: a program that links libpqlink may have
# another libssl in the same process, with the same symbol names, and neither may bind to the
# other.  Both forms export pql_* and nothing else; tests/packaging checks that.

set(PQLINK_SOVERSION 0)

# pqi_public_library(ROOMS room...): builds both forms from those of the rooms that exist.
function(pqi_public_library)
  cmake_parse_arguments(ARG "" "" "ROOMS" ${ARGN})
  set(objects)
  set(links)
  foreach(room IN LISTS ARG_ROOMS)
    if(TARGET pqi_${room})
      list(APPEND objects $<TARGET_OBJECTS:pqi_${room}>)
      get_property(room_links GLOBAL PROPERTY PQLINK_LINKS_${room})
      list(APPEND links ${room_links})
    endif()
  endforeach()
  list(REMOVE_DUPLICATES links)

  set(version_script ${PROJECT_SOURCE_DIR}/cmake/pqlink.map)
  add_library(pqlink_shared SHARED ${objects})
  set_target_properties(pqlink_shared PROPERTIES
    OUTPUT_NAME pqlink VERSION ${PROJECT_VERSION} SOVERSION ${PQLINK_SOVERSION}
    LINKER_LANGUAGE C LINK_DEPENDS ${version_script})
  target_link_libraries(pqlink_shared PRIVATE pqlink_flags ${links} Threads::Threads)
  target_link_options(pqlink_shared PRIVATE
    -Wl,--version-script=${version_script} -Wl,-z,defs -Wl,--as-needed -Wl,--gc-sections)

  pqi_prelinked_library("${objects}" "${links}")
  pqi_pkg_config_file("${links}")
  install(TARGETS pqlink_shared LIBRARY DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(FILES ${PROJECT_BINARY_DIR}/libpqlink.a DESTINATION ${CMAKE_INSTALL_LIBDIR})
  install(DIRECTORY ${PROJECT_SOURCE_DIR}/include/pqlink DESTINATION ${CMAKE_INSTALL_INCLUDEDIR})
  install(FILES ${PROJECT_BINARY_DIR}/pqlink.pc DESTINATION ${CMAKE_INSTALL_LIBDIR}/pkgconfig)
endfunction()

# pqlink_prelinked: libpqlink.a, which is one object: all rooms and what they use of AWS-LC and ngtcp2, linked with ld -r,
# then every name but pql_* made local.  The C++ parts of libssl carry their inline functions in
# groups; ld joins these (--force-group-allocation), because a local group cannot be shared.
function(pqi_prelinked_library objects links)
  set(archives)
  foreach(library IN ITEMS ngtcp2_crypto ngtcp2_core awslc_ssl awslc_crypto)
    list(APPEND archives $<TARGET_FILE:${library}>)
  endforeach()
  set(object ${PROJECT_BINARY_DIR}/pqlink-prelinked.o)
  set(archive ${PROJECT_BINARY_DIR}/libpqlink.a)
  add_custom_command(OUTPUT ${archive}
    COMMAND ${CMAKE_LINKER} -r --force-group-allocation -o ${object}.all ${objects}
            --start-group ${archives} --end-group
    COMMAND ${CMAKE_OBJCOPY} --wildcard --keep-global-symbol=pql_* ${object}.all ${object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${archive} ${object}.all
    COMMAND ${CMAKE_AR} rcs ${archive} ${object}
    COMMAND ${CMAKE_COMMAND} -E rm -f ${object}
    DEPENDS ${objects} ${archives}
    COMMAND_EXPAND_LISTS VERBATIM
    COMMENT "Linking libpqlink.a")
  add_custom_target(pqlink_static ALL DEPENDS ${archive})
  add_library(pqlink_prelinked INTERFACE)
  add_dependencies(pqlink_prelinked pqlink_static)
  list(REMOVE_ITEM links ngtcp2_crypto ngtcp2_core awslc_ssl awslc_crypto)
  target_link_libraries(pqlink_prelinked INTERFACE ${archive} ${links} Threads::Threads)
endfunction()

# The prefix is found from where pqlink.pc lies, so that an installed tree can be moved.
function(pqi_pkg_config_file links)
  set(PC_REQUIRES_PRIVATE)
  foreach(pair IN ITEMS UV:libuv JANSSON:jansson SQLITE:sqlite3 MICROHTTPD:libmicrohttpd)
    string(REPLACE ":" ";" pair ${pair})
    list(GET pair 0 target)
    list(GET pair 1 module)
    if("PkgConfig::${target}" IN_LIST links)
      list(APPEND PC_REQUIRES_PRIVATE ${module})
    endif()
  endforeach()
  list(JOIN PC_REQUIRES_PRIVATE ", " PC_REQUIRES_PRIVATE)
  file(RELATIVE_PATH PC_PREFIX ${CMAKE_INSTALL_FULL_LIBDIR}/pkgconfig ${CMAKE_INSTALL_PREFIX})
  string(REGEX REPLACE "/$" "" PC_PREFIX "${PC_PREFIX}")
  configure_file(${PROJECT_SOURCE_DIR}/cmake/pqlink.pc.in ${PROJECT_BINARY_DIR}/pqlink.pc @ONLY)
endfunction()
