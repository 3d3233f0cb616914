/* Numbers, durations, and guesses at what a user meant. */
#include "test.h"

#include "base/clock.h"
#include "base/values.h"

#include <string.h>

static void assert_duration(const char *text, uint64_t ns)
{
    uint64_t value = 0;
    assert_int_equal(pqi_duration_parse(&value, text, 0, UINT64_MAX, NULL), PQL_OK);
    assert_true(value == ns);
}

static void assert_no_duration(const char *text)
{
    uint64_t value = 42;
    pql_error err = {0};
    assert_int_equal(pqi_duration_parse(&value, text, 0, UINT64_MAX, &err), PQL_E_USAGE);
    assert_true(value == 42);
    assert_true(strlen(err.message) > 0);
}

static void durations_have_units_and_seconds_need_none(void **state)
{
    (void)state;
    assert_duration("500ms", 500 * PQI_NS_PER_MS);
    assert_duration("12s", 12 * PQI_NS_PER_SEC);
    assert_duration("12", 12 * PQI_NS_PER_SEC);
    assert_duration("2m", 120 * PQI_NS_PER_SEC);
    assert_duration("1h", 3600 * PQI_NS_PER_SEC);
    assert_duration("7d", 7 * 24 * 3600 * PQI_NS_PER_SEC);
    assert_duration("0", 0);
}

static void other_texts_are_no_durations(void **state)
{
    (void)state;
    const char *const texts[] = {"",     "s",   "ms", "-1s",  "+1s", " 1s", "1 s",
                                 "1.5s", "1us", "1S", "1s2m", "0x1", "1e3", "18446744073709551616"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        assert_no_duration(texts[i]);
    }
}

static void a_duration_that_overflows_is_refused(void **state)
{
    (void)state;
    assert_no_duration("18446744073709551615h");
    assert_no_duration("18446744074");
}

static void a_duration_outside_its_bounds_is_refused_with_them(void **state)
{
    (void)state;
    uint64_t value = 0;
    pql_error err = {0};
    assert_int_equal(
        pqi_duration_parse(&value, "1ms", 500 * PQI_NS_PER_MS, 60 * PQI_NS_PER_SEC, &err),
        PQL_E_USAGE);
    assert_non_null(strstr(err.message, "500ms"));
    assert_non_null(strstr(err.message, "1m"));
    assert_int_equal(
        pqi_duration_parse(&value, "61s", 500 * PQI_NS_PER_MS, 60 * PQI_NS_PER_SEC, &err),
        PQL_E_USAGE);
}

static void the_bounds_themselves_are_allowed(void **state)
{
    (void)state;
    uint64_t value = 0;
    assert_int_equal(pqi_duration_parse(&value, "1s", PQI_NS_PER_SEC, PQI_NS_PER_SEC, NULL),
                     PQL_OK);
    assert_int_equal(pqi_number_parse(&value, "7", 7, 7, NULL), PQL_OK);
}

static void durations_are_formatted_with_the_largest_whole_unit(void **state)
{
    (void)state;
    char text[PQI_DURATION_SIZE];
    pqi_duration_format(text, 1500 * PQI_NS_PER_MS);
    assert_string_equal(text, "1500ms");
    pqi_duration_format(text, 90 * PQI_NS_PER_SEC);
    assert_string_equal(text, "90s");
    pqi_duration_format(text, 7200 * PQI_NS_PER_SEC);
    assert_string_equal(text, "2h");
    pqi_duration_format(text, 0);
    assert_string_equal(text, "0ms");
}

static void numbers_are_digits_only(void **state)
{
    (void)state;
    const char *const texts[] = {
        "", "-1", "+1", " 1", "1 ", "0x10", "1.0", "1k", "18446744073709551616"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        uint64_t value = 42;
        assert_int_equal(pqi_number_parse(&value, texts[i], 0, UINT64_MAX, NULL), PQL_E_USAGE);
        assert_true(value == 42);
    }
    uint64_t value = 0;
    assert_int_equal(pqi_number_parse(&value, "18446744073709551615", 0, UINT64_MAX, NULL), PQL_OK);
    assert_true(value == UINT64_MAX);
}

static void a_number_outside_its_range_is_refused_with_the_range(void **state)
{
    (void)state;
    uint64_t value = 0;
    pql_error err = {0};
    assert_int_equal(pqi_number_parse(&value, "65", 1, 64, &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "from 1 to 64"));
    assert_int_equal(pqi_number_parse(&value, "0", 1, UINT64_MAX, &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "from 1 to"));
}

static void edits_are_counted(void **state)
{
    (void)state;
    assert_int_equal(pqi_edit_distance("", ""), 0);
    assert_int_equal(pqi_edit_distance("abc", ""), 3);
    assert_int_equal(pqi_edit_distance("listen", "lisen"), 1);
    assert_int_equal(pqi_edit_distance("kitten", "sitting"), 3);
    assert_int_equal(pqi_edit_distance("sing", "sign"), 1);
    assert_int_equal(pqi_edit_distance("ab", "ba"), 1);
    char word[65];
    memset(word, 'a', sizeof(word) - 1);
    word[64] = '\0';
    assert_true(pqi_edit_distance(word, "a") == SIZE_MAX);
}

static void the_nearest_word_is_suggested(void **state)
{
    (void)state;
    const char *const words[] = {"node", NULL, "mine", "keygen", "fingerprint"};
    assert_string_equal(pqi_suggest("nde", words, 5), "node");
    assert_string_equal(pqi_suggest("keygn", words, 5), "keygen");
    assert_string_equal(pqi_suggest("fingerpint", words, 5), "fingerprint");
}

static void a_beginning_is_suggested_whatever_its_distance(void **state)
{
    (void)state;
    const char *const words[] = {"node", "fingerprint"};
    assert_string_equal(pqi_suggest("fing", words, 2), "fingerprint");
}

static void nothing_is_suggested_for_what_is_far_from_all(void **state)
{
    (void)state;
    const char *const words[] = {"node", "mine"};
    assert_null(pqi_suggest("tunnel", words, 2));
    assert_null(pqi_suggest("", words, 2));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(durations_have_units_and_seconds_need_none),
        cmocka_unit_test(other_texts_are_no_durations),
        cmocka_unit_test(a_duration_that_overflows_is_refused),
        cmocka_unit_test(a_duration_outside_its_bounds_is_refused_with_them),
        cmocka_unit_test(the_bounds_themselves_are_allowed),
        cmocka_unit_test(durations_are_formatted_with_the_largest_whole_unit),
        cmocka_unit_test(numbers_are_digits_only),
        cmocka_unit_test(a_number_outside_its_range_is_refused_with_the_range),
        cmocka_unit_test(edits_are_counted),
        cmocka_unit_test(the_nearest_word_is_suggested),
        cmocka_unit_test(a_beginning_is_suggested_whatever_its_distance),
        cmocka_unit_test(nothing_is_suggested_for_what_is_far_from_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
