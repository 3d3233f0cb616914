/* The hint by which a client with pins says which leaf it expects. */
#include "test.h"

#include "quic/tls_hint.h"

#include <string.h>

static pql_fingerprint fingerprint(pql_fingerprint_form form, uint8_t first)
{
    pql_fingerprint fp = {.form = form};
    for (size_t i = 0; i < sizeof(fp.sha256); i++) {
        fp.sha256[i] = (uint8_t)(first + i);
    }
    return fp;
}

static void the_bytes_are_those_of_the_document(void **state)
{
    (void)state;
    static const char expected[] = "\x00\x36\x00\x34"
                                   "\x30\x32\x31\x30\x30\x2e\x06\x03\x55\x04\x03\x0c\x27"
                                   "sha256:000102030405060708090a0b0c0d0e0f";
    const pql_fingerprint pin = fingerprint(PQL_FINGERPRINT_CERT, 0);
    uint8_t hint[PQI_TLS_HINT_SIZE];
    assert_int_equal(pqi_tls_hint_write(hint, &pin, 1), sizeof(expected) - 1);
    assert_memory_equal(hint, expected, sizeof(expected) - 1);
}

static void each_of_eight_pins_is_named_and_no_other(void **state)
{
    (void)state;
    pql_fingerprint pins[PQI_TLS_HINT_NAMES];
    uint8_t hint[PQI_TLS_HINT_SIZE];
    for (size_t i = 0; i < PQI_TLS_HINT_NAMES; i++) {
        pins[i] = fingerprint(PQL_FINGERPRINT_SPKI, (uint8_t)i);
    }
    const size_t len = pqi_tls_hint_write(hint, pins, PQI_TLS_HINT_NAMES);
    assert_int_equal(len, PQI_TLS_HINT_SIZE);
    for (size_t i = 0; i < PQI_TLS_HINT_NAMES; i++) {
        assert_true(pqi_tls_hint_names(hint, len, &pins[i]));
        pins[i].form = PQL_FINGERPRINT_CERT;
        assert_false(pqi_tls_hint_names(hint, len, &pins[i]));
    }
}

static void more_pins_than_fit_make_no_hint(void **state)
{
    (void)state;
    pql_fingerprint pins[PQI_TLS_HINT_NAMES + 1] = {0};
    uint8_t hint[PQI_TLS_HINT_SIZE];
    assert_int_equal(pqi_tls_hint_write(hint, pins, PQI_TLS_HINT_NAMES + 1), 0);
    assert_int_equal(pqi_tls_hint_write(hint, pins, 0), 0);
}

static void names_of_other_shapes_are_passed_over(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(PQL_FINGERPRINT_CERT, 9);
    uint8_t own[PQI_TLS_HINT_SIZE];
    uint8_t hint[PQI_TLS_HINT_SIZE + 5] = {0, 0, 0, 3, 'a', 'b', 'c'};
    const size_t own_len = pqi_tls_hint_write(own, &pin, 1);
    memcpy(hint + 7, own + 2, own_len - 2);
    hint[1] = (uint8_t)(own_len - 2 + 5);
    assert_true(pqi_tls_hint_names(hint, own_len + 5, &pin));
}

static void a_hint_that_is_cut_short_names_nothing(void **state)
{
    (void)state;
    const pql_fingerprint pins[] = {fingerprint(PQL_FINGERPRINT_CERT, 1),
                                    fingerprint(PQL_FINGERPRINT_SPKI, 2)};
    uint8_t hint[PQI_TLS_HINT_SIZE];
    const size_t len = pqi_tls_hint_write(hint, pins, 2);
    for (size_t cut = 0; cut < len; cut++) {
        assert_false(pqi_tls_hint_names(hint, cut, &pins[0]));
    }
    hint[3]++; /* the first name's length now reaches into the second */
    assert_false(pqi_tls_hint_names(hint, len, &pins[1]));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_bytes_are_those_of_the_document),
        cmocka_unit_test(each_of_eight_pins_is_named_and_no_other),
        cmocka_unit_test(more_pins_than_fit_make_no_hint),
        cmocka_unit_test(names_of_other_shapes_are_passed_over),
        cmocka_unit_test(a_hint_that_is_cut_short_names_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
