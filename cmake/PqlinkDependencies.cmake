# The libraries that pqlink stands on.  Most come from the system; AWS-LC and ngtcp2 from PQLINK_DEPS.

find_package(Threads REQUIRED)
find_package(PkgConfig REQUIRED)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.44)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.13)
pkg_check_modules(SQLITE REQUIRED IMPORTED_TARGET sqlite3>=3.40)
pkg_check_modules(MICROHTTPD REQUIRED IMPORTED_TARGET libmicrohttpd>=0.9.75)
pkg_check_modules(SECCOMP REQUIRED IMPORTED_TARGET libseccomp>=2.5)
if(PQLINK_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)
endif()

if(NOT PQLINK_DEPS)
  message(FATAL_ERROR "PQLINK_DEPS is not set.  Run `make build`, which sets everything up; or deps/setup and "
                      "then export PQLINK_DEPS=$(deps/setup --print-prefix); or build AWS-LC and ngtcp2 into a "
                      "prefix of your own (docs/building.md).")
endif()

function(pqi_static_library target file)
  if(NOT EXISTS ${PQLINK_DEPS}/lib/${file})
    message(FATAL_ERROR "${PQLINK_DEPS}/lib/${file} is missing.  Run deps/setup, or point PQLINK_DEPS elsewhere.")
  endif()
  add_library(${target} STATIC IMPORTED GLOBAL)
  set_target_properties(${target} PROPERTIES
    IMPORTED_LOCATION ${PQLINK_DEPS}/lib/${file}
    INTERFACE_INCLUDE_DIRECTORIES ${PQLINK_DEPS}/include)
endfunction()

pqi_static_library(awslc_crypto libcrypto.a)
pqi_static_library(awslc_ssl libssl.a)
pqi_static_library(ngtcp2_core libngtcp2.a)
pqi_static_library(ngtcp2_crypto libngtcp2_crypto_boringssl.a)
target_link_libraries(awslc_crypto INTERFACE Threads::Threads)
target_link_libraries(awslc_ssl INTERFACE awslc_crypto)
target_link_libraries(ngtcp2_crypto INTERFACE ngtcp2_core awslc_ssl)
