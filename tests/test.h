/* What every test program includes: cmocka with the headers it wants first. */
#ifndef PQI_TESTS_TEST_H
#define PQI_TESTS_TEST_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#endif
