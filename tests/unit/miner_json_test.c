/* The small JSON reader agrees with jansson wherever both must, and is exact where jansson is not.
 */
#include "test.h"

#include "miner/json.h"

#include <jansson.h>
#include <string.h>

static bool we_take(const char *data, size_t len)
{
    char text[2048];
    pqi_json j;
    pqi_json_init(&j, data, len, text, sizeof(text));
    pqi_json_skip(&j);
    return pqi_json_done(&j);
}

static bool jansson_takes(const char *data, size_t len)
{
    json_t *value = json_loadb(data, len, JSON_DECODE_ANY, NULL);
    json_decref(value);
    return value != NULL;
}

static void well_formed_values_are_taken(void **state)
{
    (void)state;
    static const char *const values[] = {
        "null",
        "true",
        " false ",
        "0",
        "-0",
        "-12",
        "1.5e-3",
        "1E+2",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\\u00e9\\ud83d\\ude00\"",
        "\"\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80\"",
        "[]",
        "{}",
        "[1,[2,{\"a\":null}]]",
        "{\"a\":1 , \"b\" : [ ]}",
        "\t[\n1\r]",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_true(we_take(values[i], strlen(values[i])));
        assert_true(jansson_takes(values[i], strlen(values[i])));
    }
}

static void malformed_values_are_refused(void **state)
{
    (void)state;
    static const char *const values[] = {
        "",
        " ",
        "nul",
        "nulll",
        "True",
        "01",
        "-",
        "+1",
        ".5",
        "1.",
        "1e",
        "1e+",
        "0x1",
        "NaN",
        "Infinity",
        "\"",
        "\"\\",
        "\"\\x\"",
        "\"\\u12\"",
        "\"\\u12g4\"",
        "\"\\u0000\"",
        "\"\\ud800\"",
        "\"\\ud800\\u0041\"",
        "\"\\udc00\"",
        "\"\x01\"",
        "\"\x80\"",
        "\"\xc0\xaf\"",
        "\"\xe0\x80\xaf\"",
        "\"\xed\xa0\x80\"",
        "\"\xf4\x90\x80\x80\"",
        "\"\xf5\x80\x80\x80\"",
        "\"\xe2\x82\"",
        "[",
        "[1",
        "[1,",
        "[1,]",
        "[,1]",
        "[1 2]",
        "]",
        "{",
        "{\"a\"",
        "{\"a\":",
        "{\"a\":1",
        "{\"a\":1,}",
        "{\"a\" 1}",
        "{a:1}",
        "{1:1}",
        "{}x",
        "[}",
        "'a'",
        "//\n1",
        "\xef\xbb\xbf{}",
    };
    for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
        assert_false(we_take(values[i], strlen(values[i])));
        assert_false(jansson_takes(values[i], strlen(values[i])));
    }
}

static void every_one_byte_change_of_a_value_is_judged_as_jansson_judges_it(void **state)
{
    (void)state;
    static const char value[] =
        "{\"Ab\":[1,-2.5e1,true,null,\"\\u00e9\\n\xc3\xa9\"],\"c\":{\"d\":\"\"}}";
    char changed[sizeof(value)];
    for (size_t at = 0; at < sizeof(value) - 1; at++) {
        for (unsigned byte = 0; byte < 256; byte++) {
            memcpy(changed, value, sizeof(value));
            changed[at] = (char)byte;
            assert_int_equal(we_take(changed, sizeof(value) - 1),
                             jansson_takes(changed, sizeof(value) - 1));
        }
    }
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    char deep[2 * (PQI_JSON_DEPTH + 1)];
    memset(deep, '[', PQI_JSON_DEPTH + 1);
    memset(deep + PQI_JSON_DEPTH + 1, ']', PQI_JSON_DEPTH + 1);
    assert_true(we_take(deep + 1, sizeof(deep) - 2));
    assert_false(we_take(deep, sizeof(deep)));
}

static const char *decoded(const char *value)
{
    static char text[64];
    pqi_json j;
    pqi_json_init(&j, value, strlen(value), text, sizeof(text));
    return pqi_json_string(&j);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    assert_string_equal(decoded("\"\\u0041\\t\\/\\ud83d\\uDE00\""), "A\t/\xf0\x9f\x98\x80");
}

static bool read_u64(const char *value, uint64_t *out)
{
    char text[64];
    pqi_json j;
    pqi_json_init(&j, value, strlen(value), text, sizeof(text));
    *out = pqi_json_u64(&j);
    return pqi_json_done(&j);
}

static void whole_numbers_reach_two_to_the_64_minus_1(void **state)
{
    (void)state;
    uint64_t v;
    assert_true(read_u64("18446744073709551615", &v));
    assert_true(v == UINT64_MAX);
    assert_false(read_u64("18446744073709551616", &v));
    assert_false(read_u64("99999999999999999999", &v));
    assert_false(read_u64("1.0", &v));
    assert_false(read_u64("1e2", &v));
    assert_false(read_u64("-1", &v));
    assert_false(read_u64("-0", &v));
}

static uint64_t seconds(const char *value)
{
    char text[64];
    pqi_json j;
    pqi_json_init(&j, value, strlen(value), text, sizeof(text));
    uint64_t ns = pqi_json_seconds(&j);
    assert_true(pqi_json_done(&j));
    return ns;
}

static void seconds_are_read_exactly_in_every_form(void **state)
{
    (void)state;
    assert_true(seconds("0") == 0);
    assert_true(seconds("0.0") == 0);
    assert_true(seconds("1") == UINT64_C(1000000000));
    assert_true(seconds("0.194") == UINT64_C(194000000));
    assert_true(seconds("123456.789012345") == UINT64_C(123456789012345));
    assert_true(seconds("1e2") == UINT64_C(100000000000));
    assert_true(seconds("1.5E-3") == UINT64_C(1500000));
    assert_true(seconds("0.00000000000000000000000000019") == 0);
    assert_true(seconds("0.1234567891234567891234567") == UINT64_C(123456789));
    assert_true(seconds("-5") == 0);
    assert_true(seconds("1e300") == UINT64_MAX);
    assert_true(seconds("100000000000000000000000") == UINT64_MAX);
    assert_true(seconds("0e99999999999") == 0);
    assert_true(seconds("1e-99999999999") == 0);
}

static void seconds_beyond_a_double_are_refused(void **state)
{
    (void)state;
    char text[64];
    pqi_json j;
    pqi_json_init(&j, "1e309", 5, text, sizeof(text));
    pqi_json_seconds(&j);
    assert_false(pqi_json_ok(&j));
}

static void what_is_written_escapes_only_what_it_must(void **state)
{
    (void)state;
    uint8_t out[128];
    pqi_writer w;
    pqi_writer_init(&w, out, sizeof(out));
    pqi_json_write_string(&w, "a\"b\\c/\b\t\n\f\r\x01\x7f\xc3\xa9");
    const char expected[] = "\"a\\\"b\\\\c/\\b\\t\\n\\f\\r\\u0001\x7f\xc3\xa9\"";
    assert_true(pqi_writer_ok(&w));
    assert_int_equal(w.len, sizeof(expected) - 1);
    assert_memory_equal(out, expected, sizeof(expected) - 1);
}

static void text_that_is_not_utf8_is_not_written(void **state)
{
    (void)state;
    uint8_t out[16];
    pqi_writer w;
    pqi_writer_init(&w, out, sizeof(out));
    pqi_json_write_string(&w, "\xff");
    assert_false(pqi_writer_ok(&w));
}

static const char *written_seconds(uint64_t ns)
{
    static char out[40];
    pqi_writer w;
    pqi_writer_init(&w, out, sizeof(out));
    pqi_json_write_seconds(&w, ns);
    pqi_write_u8(&w, 0);
    return out;
}

static void seconds_are_written_in_their_shortest_form(void **state)
{
    (void)state;
    assert_string_equal(written_seconds(0), "0.0");
    assert_string_equal(written_seconds(UINT64_C(1000000000)), "1.0");
    assert_string_equal(written_seconds(UINT64_C(194000000)), "0.194");
    assert_string_equal(written_seconds(1), "0.000000001");
    assert_string_equal(written_seconds(UINT64_MAX), "18446744073.709551615");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(well_formed_values_are_taken),
        cmocka_unit_test(malformed_values_are_refused),
        cmocka_unit_test(every_one_byte_change_of_a_value_is_judged_as_jansson_judges_it),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(whole_numbers_reach_two_to_the_64_minus_1),
        cmocka_unit_test(seconds_are_read_exactly_in_every_form),
        cmocka_unit_test(seconds_beyond_a_double_are_refused),
        cmocka_unit_test(what_is_written_escapes_only_what_it_must),
        cmocka_unit_test(text_that_is_not_utf8_is_not_written),
        cmocka_unit_test(seconds_are_written_in_their_shortest_form),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
