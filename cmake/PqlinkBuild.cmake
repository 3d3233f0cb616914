# How every target of the project is compiled, and the functions that declare them.

if(NOT CMAKE_BUILD_TYPE)
  set(CMAKE_BUILD_TYPE Release CACHE STRING "Build type" FORCE)
endif()
set(CMAKE_EXPORT_COMPILE_COMMANDS ON)

add_library(pqlink_flags INTERFACE)
target_compile_features(pqlink_flags INTERFACE c_std_17)
target_compile_definitions(pqlink_flags INTERFACE _GNU_SOURCE PQLINK_VERSION="${PROJECT_VERSION}")
target_include_directories(pqlink_flags INTERFACE ${PROJECT_SOURCE_DIR}/include ${PROJECT_SOURCE_DIR}/src)
target_compile_options(pqlink_flags INTERFACE
  -Wall -Wextra -Wconversion -Wshadow -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wformat=2 -Wno-format-truncation
  -fvisibility=hidden -fPIC -fno-strict-aliasing -fstack-protector-strong
  $<$<CONFIG:Release>:-D_FORTIFY_SOURCE=2>)
target_link_options(pqlink_flags INTERFACE -Wl,-z,relro,-z,now -Wl,--exclude-libs,ALL)
if(PQLINK_WERROR)
  target_compile_options(pqlink_flags INTERFACE -Werror)
endif()
if(PQLINK_SANITIZE)
  target_compile_options(pqlink_flags INTERFACE -fsanitize=${PQLINK_SANITIZE} -fno-omit-frame-pointer
    -fno-sanitize-recover=all)
  target_link_options(pqlink_flags INTERFACE -fsanitize=${PQLINK_SANITIZE})
endif()

# pqi_module(NAME SOURCES file... [LINK library...])
# One room of the house: an object library pqi_NAME.  LINK names what it needs from outside the project.
function(pqi_module name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_library(pqi_${name} OBJECT ${ARG_SOURCES})
  target_link_libraries(pqi_${name} PRIVATE pqlink_flags ${ARG_LINK})
  set_property(GLOBAL APPEND PROPERTY PQLINK_MODULES pqi_${name})
  set_property(GLOBAL APPEND PROPERTY PQLINK_MODULE_LINKS ${ARG_LINK})
  set_property(GLOBAL PROPERTY PQLINK_LINKS_${name} ${ARG_LINK})
endfunction()

# All modules declared so far as one static library for the program, the tests and the benchmarks.
function(pqi_internal_library target)
  get_property(modules GLOBAL PROPERTY PQLINK_MODULES)
  get_property(links GLOBAL PROPERTY PQLINK_MODULE_LINKS)
  list(REMOVE_DUPLICATES links)
  list(TRANSFORM modules PREPEND "$<TARGET_OBJECTS:" OUTPUT_VARIABLE objects)
  list(TRANSFORM objects APPEND ">")
  add_library(${target} STATIC ${objects})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE C)
  target_link_libraries(${target} PUBLIC pqlink_flags ${links} Threads::Threads)
endfunction()

set(PQLINK_TEST_TIMEOUT 300) # seconds; only a hang takes that long

# All test programs.
add_custom_target(tests)

# pqi_test(NAME SOURCES file... [LINK library...])
# A cmocka program of tests, run by CTest under NAME.  A line `ctest labels: threads` in a comment
# of the first file gives the test that label: `threads` makes it run under ThreadSanitizer as well.
function(pqi_test name)
  cmake_parse_arguments(ARG "" "" "SOURCES;LINK" ${ARGN})
  add_executable(test_${name} ${ARG_SOURCES})
  target_compile_definitions(test_${name} PRIVATE PQLINK_TEST_DATA="${PROJECT_SOURCE_DIR}/tests/data")
  target_include_directories(test_${name} PRIVATE ${PROJECT_SOURCE_DIR}/tests)
  target_link_libraries(test_${name} PRIVATE pqlink_internal PkgConfig::CMOCKA ${ARG_LINK})
  add_test(NAME ${name} COMMAND test_${name})
  set_tests_properties(${name} PROPERTIES TIMEOUT ${PQLINK_TEST_TIMEOUT})
  list(GET ARG_SOURCES 0 first)
  set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${first})
  file(STRINGS ${first} labels REGEX "ctest labels: " LIMIT_COUNT 1)
  if(labels MATCHES "ctest labels: ([a-z0-9 -]*[a-z0-9])")
    string(REPLACE " " ";" labels "${CMAKE_MATCH_1}")
    set_tests_properties(${name} PROPERTIES LABELS "${labels}")
  endif()
  add_dependencies(tests test_${name})
endfunction()
