/* Every status of the library has an exit status, and the numbers never change. */
#include "test.h"

#include "cmd/exit_codes.h"

#include <string.h>

/* Far beyond the last code of pqlink/error.h, so that a new one is noticed here. */
#define STATUSES_TRIED 200

/* pql_status_name answers with the name of PQL_E_FAILED for a code that does not exist. */
static bool status_exists(pql_status status)
{
    return status == PQL_E_FAILED ||
           strcmp(pql_status_name(status), pql_status_name(PQL_E_FAILED)) != 0;
}

static void every_status_has_an_exit_status(void **state)
{
    (void)state;
    for (int i = 0; i < STATUSES_TRIED; i++) {
        const pql_status status = (pql_status)-i;
        assert_int_equal(pqi_exit_has_status(status), status_exists(status));
    }
}

static void only_success_exits_with_zero(void **state)
{
    (void)state;
    assert_int_equal(pqi_exit_from_status(PQL_OK), 0);
    for (int i = 1; i < STATUSES_TRIED; i++) {
        assert_int_not_equal(pqi_exit_from_status((pql_status)-i), 0);
    }
}

static void the_numbers_are_those_of_the_first_release(void **state)
{
    (void)state;
    assert_int_equal(pqi_exit_from_status(PQL_E_FAILED), 1);
    assert_int_equal(pqi_exit_from_status(PQL_E_USAGE), 2);
    assert_int_equal(pqi_exit_from_status(PQL_E_TRUST), 3);
    assert_int_equal(pqi_exit_from_status(PQL_E_POLICY), 4);
    assert_int_equal(pqi_exit_from_status(PQL_E_NETWORK), 5);
    assert_int_equal(pqi_exit_from_status(PQL_E_TIMEOUT), 5);
    assert_int_equal(pqi_exit_from_status(PQL_E_CLOSED), 5);
    assert_int_equal(pqi_exit_from_status(PQL_E_IDENTITY), 6);
    assert_int_equal(pqi_exit_from_status(PQL_E_EXISTS), 6);
    assert_int_equal(pqi_exit_from_status(PQL_E_IO), 7);
    assert_int_equal(pqi_exit_from_status(PQL_E_NOT_FOUND), 7);
    assert_int_equal(pqi_exit_from_status(PQL_E_PROTOCOL), 8);
    assert_int_equal(pqi_exit_from_status(PQL_E_REFUSED), 9);
}

static void an_unknown_status_is_a_failure(void **state)
{
    (void)state;
    assert_int_equal(pqi_exit_from_status((pql_status)-199), 1);
    assert_int_equal(pqi_exit_from_status((pql_status)7), 1);
}

static void the_documented_rows_count_up_from_zero(void **state)
{
    (void)state;
    size_t count = 0;
    const pqi_exit_row *rows = pqi_exit_rows(&count);
    assert_int_equal(count, 10);
    for (size_t i = 0; i < count; i++) {
        assert_int_equal(rows[i].code, i);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_status_has_an_exit_status),
        cmocka_unit_test(only_success_exits_with_zero),
        cmocka_unit_test(the_numbers_are_those_of_the_first_release),
        cmocka_unit_test(an_unknown_status_is_a_failure),
        cmocka_unit_test(the_documented_rows_count_up_from_zero),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
