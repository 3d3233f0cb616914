/* The reader of pqlink.conf takes a strict part of TOML, and says where it stopped and why. */
#include "test.h"

#include "base/conf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static pqi_conf *read_good(const char *text)
{
    pqi_conf *conf = NULL;
    pql_error err = {0};
    const pql_status status = pqi_conf_parse(&conf, "t.conf", text, strlen(text), &err);
    if (status != PQL_OK) {
        fail_msg("%s", err.message);
    }
    return conf;
}

static void assert_refused(const char *text, const char *message)
{
    pqi_conf *conf = (pqi_conf *)&message;
    pql_error err = {0};
    assert_int_equal(pqi_conf_parse(&conf, "t.conf", text, strlen(text), &err), PQL_E_USAGE);
    assert_null(conf);
    if (strstr(err.message, message) == NULL) {
        fail_msg("'%s' is not in: %s", message, err.message);
    }
}

static void assert_entry(const pqi_conf *conf, size_t i, const char *table, const char *key,
                         pqi_conf_kind kind, const char *text)
{
    assert_true(i < conf->count);
    assert_string_equal(conf->entries[i].table, table);
    assert_string_equal(conf->entries[i].key, key);
    assert_int_equal(conf->entries[i].kind, kind);
    assert_string_equal(conf->entries[i].text, text);
}

static void an_empty_file_has_no_settings(void **state)
{
    (void)state;
    const char *const texts[] = {"", "\n", "# nothing\n\n  \t# at all", "\r\n"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        pqi_conf *conf = read_good(texts[i]);
        assert_int_equal(conf->count, 0);
        pqi_conf_free(conf);
    }
}

static void settings_come_in_the_order_of_the_file(void **state)
{
    (void)state;
    pqi_conf *conf = read_good("top = 1\n[node] # jobs\nlisten = \"quic://[::]:1\"\r\n"
                               "workers=4_000\n tofu\t=\tfalse # no\n[mine]\nca = 'C:\\x # y'");
    assert_int_equal(conf->count, 7);
    assert_entry(conf, 0, "", "top", PQI_CONF_INTEGER, "1");
    assert_entry(conf, 1, "node", "", PQI_CONF_TABLE, "");
    assert_entry(conf, 2, "node", "listen", PQI_CONF_STRING, "quic://[::]:1");
    assert_entry(conf, 3, "node", "workers", PQI_CONF_INTEGER, "4000");
    assert_entry(conf, 4, "node", "tofu", PQI_CONF_BOOLEAN, "false");
    assert_entry(conf, 5, "mine", "", PQI_CONF_TABLE, "");
    assert_entry(conf, 6, "mine", "ca", PQI_CONF_STRING, "C:\\x # y");
    assert_string_equal(conf->file, "t.conf");
    pqi_conf_free(conf);
}

static void places_are_counted_in_characters_from_one(void **state)
{
    (void)state;
    pqi_conf *conf = read_good("[node]\n  a = [\"\xc3\xbc\", \"b\"]\n");
    assert_int_equal(conf->entries[0].line, 1);
    assert_int_equal(conf->entries[0].key_column, 2);
    assert_int_equal(conf->entries[1].line, 2);
    assert_int_equal(conf->entries[1].key_column, 3);
    assert_int_equal(conf->entries[1].column, 8);
    assert_int_equal(conf->entries[2].column, 13);
    pqi_conf_free(conf);
}

static void an_array_is_a_run_of_entries(void **state)
{
    (void)state;
    pqi_conf *conf = read_good("a = [ \"x\" , 2,true, ]\nb = []\n");
    assert_int_equal(conf->count, 4);
    assert_entry(conf, 0, "", "a", PQI_CONF_STRING, "x");
    assert_entry(conf, 1, "", "a", PQI_CONF_INTEGER, "2");
    assert_entry(conf, 2, "", "a", PQI_CONF_BOOLEAN, "true");
    assert_true(conf->entries[2].in_array);
    assert_true(conf->entries[0].key == conf->entries[2].key);
    assert_entry(conf, 3, "", "b", PQI_CONF_EMPTY, "");
    pqi_conf_free(conf);
}

static void escapes_are_decoded(void **state)
{
    (void)state;
    pqi_conf *conf = read_good("a = \"\\\"\\\\\\t\\n\\r\\b\\f\\u00fc\\u20AC\\U0001F600\"\n");
    assert_entry(conf, 0, "", "a", PQI_CONF_STRING,
                 "\"\\\t\n\r\b\f\xc3\xbc\xe2\x82\xac\xf0\x9f\x98\x80");
    pqi_conf_free(conf);
}

static void what_is_no_setting_is_refused_with_its_place(void **state)
{
    (void)state;
    assert_refused("\n  listen\n", "t.conf:2:9: An equals sign is expected after the key 'listen'");
    assert_refused("listen =\n", "t.conf:1:9: A value is missing here.");
    assert_refused("= 3\n", "t.conf:1:1: A key is expected here");
    assert_refused("a = 1 b = 2\n", "t.conf:1:7: Nothing but a comment may follow");
    assert_refused("a = yes\n", "t.conf:1:5: This is no value");
    assert_refused("a = truely\n", "t.conf:1:5: This is no value");
    assert_refused("[node\n", "t.conf:1:6: The bracket of the table [node is not closed.");
    assert_refused("[]\n", "t.conf:1:2: A table is expected here");
    assert_refused("[node] x\n", "t.conf:1:8: Nothing but a comment");
}

static void the_rest_of_toml_is_refused_by_name(void **state)
{
    (void)state;
    assert_refused("a.b = 1", "1:2: Dotted names are not supported");
    assert_refused("[a.b]", "1:3: Dotted names are not supported");
    assert_refused("\"a\" = 1", "1:1: Quoted names are not supported; write the key without");
    assert_refused("[[a]]", "1:2: Arrays of tables are not supported");
    assert_refused("a = {b = 1}", "1:5: Inline tables are not supported");
    assert_refused("a = \"\"\"x\"\"\"", "1:5: Strings over several lines");
    assert_refused("a = '''x'''", "1:5: Strings over several lines");
    assert_refused("a = [1,\n2]", "1:5: The bracket is not closed on this line");
    assert_refused("a = [[1]]", "1:6: Arrays in arrays");
    assert_refused("a = -1", "1:5: Numbers are whole and have no sign");
    assert_refused("a = +1", "1:5: Numbers are whole and have no sign");
    assert_refused("a = 1.5", "1:5: Only whole decimal numbers");
    assert_refused("a = 0x10", "1:5: Only whole decimal numbers");
    assert_refused("a = 12s", "1:5: Only whole decimal numbers");
    assert_refused("a = 2026-11-21", "1:5: Only whole decimal numbers");
}

static void broken_values_are_refused(void **state)
{
    (void)state;
    assert_refused("a = \"x", "1:5: The quotes are not closed");
    assert_refused("a = \"x\\", "1:7: There is no such escape");
    assert_refused("a = 'x\"", "1:5: The quotes are not closed");
    assert_refused("a = \"C:\\path\"", "1:8: There is no such escape; write \\\\ for a backslash");
    assert_refused("a = \"\\u12\"", "1:6: \\u needs 4 hexadecimal digits");
    assert_refused("a = \"\\u0000\"", "1:6: There is no character \\u0000");
    assert_refused("a = \"\\ud800\"", "1:6: There is no character \\ud800");
    assert_refused("a = \"\\U00110000\"", "1:6: There is no character \\U00110000");
    assert_refused("a = 01", "1:5: A number has no leading zeros");
    assert_refused("a = 1__0", "1:6: An underscore in a number");
    assert_refused("a = 1_", "1:6: An underscore in a number");
    assert_refused("a = 123456789012345678901", "1:5: This number is too large");
    assert_refused("a = [1 2]", "1:8: A comma or the closing bracket");
    assert_refused("a = [,]", "1:6: This is no value");
}

static void doubles_are_refused_with_the_line_of_the_first(void **state)
{
    (void)state;
    assert_refused("[a]\nb = 1\n[c]\nb = 2\n[a]\n", "5:2: The table [a] stands in line 1 already");
    assert_refused("[a]\nb = [1,2]\nb = 3\n", "3:1: The key 'b' stands in line 2 already");
}

static void letters_that_nobody_sees_are_refused(void **state)
{
    (void)state;
    assert_refused("# \x01\n", "1:3: The control character U+0001");
    assert_refused("a = \"\x1b[31m\"", "1:6: The control character U+001B");
    assert_refused("a = 1\rb = 2\n", "1:6: The control character U+000D");
    assert_refused("# \xe2\x80\xae\n", "1:3: The control character U+202E");
    assert_refused("# \xc3\x28\n", "1:3: This is no UTF-8");
    assert_refused("# \xff\n", "1:3: This is no UTF-8");
    assert_refused("\xef\xbb\xbf[a]\n", "1:1: The file begins with a byte order mark");
    pqi_conf *conf = NULL;
    pql_error err = {0};
    assert_int_equal(pqi_conf_parse(&conf, "t", "# a\0b", 5, &err), PQL_E_USAGE);
    assert_string_equal(err.message, "t:1:4: The control character U+0000 is not allowed.");
}

/* |count| times |part|, then NUL; the caller frees. */
static char *repeat(const char *part, size_t count)
{
    const size_t len = strlen(part);
    char *text = calloc(count, len + 1);
    assert_non_null(text);
    for (size_t i = 0; i < count; i++) {
        memcpy(text + i * len, part, len);
    }
    return text;
}

static void bounds_are_kept(void **state)
{
    (void)state;
    char *text = repeat("#", PQI_CONF_LINE_MAX);
    pqi_conf_free(read_good(text));
    free(text);
    text = repeat("#", PQI_CONF_LINE_MAX + 1);
    assert_refused(text, "1:1: This line is longer than 4096 bytes");
    free(text);
    text = repeat("#\n", PQI_CONF_FILE_MAX / 2);
    pqi_conf_free(read_good(text));
    free(text);
    text = repeat("#\n", PQI_CONF_FILE_MAX / 2 + 1);
    assert_refused(text, "1:1: The file is larger than 262144 bytes");
    free(text);
    text = repeat("k", PQI_CONF_NAME_MAX + 1);
    assert_refused(text, "1:1: This key is longer than 64 letters");
    free(text);
}

static void there_may_be_a_thousand_settings_and_not_many_more(void **state)
{
    (void)state;
    char text[32 * (PQI_CONF_ENTRIES_MAX + 1)];
    size_t len = 0;
    for (size_t i = 0; i < PQI_CONF_ENTRIES_MAX; i++) {
        len += (size_t)snprintf(text + len, sizeof(text) - len, "k%zu = %zu\n", i, i);
    }
    pqi_conf_free(read_good(text));
    (void)snprintf(text + len, sizeof(text) - len, "one = 1\n");
    assert_refused(text, "1025:7: A file may have 1024 settings at most");
}

static void every_beginning_of_a_file_is_read_or_refused(void **state)
{
    (void)state;
    const char text[] = "top = 1\n[node] # jobs\nlisten = [\"quic://[::]:1\", 'x']\r\n"
                        "workers=4_000\ntofu = true\nt = \"\\u00fc\\U0001F600\\\\\"\nz=9";
    for (size_t len = 0; len < sizeof(text); len++) {
        /* Exactly as large as it is, so that a sanitizer sees a read behind its end. */
        char *part = malloc(len == 0 ? 1 : len);
        pqi_conf *conf = NULL;
        pql_error err = {0};
        assert_non_null(part);
        memcpy(part, text, len);
        const pql_status status = pqi_conf_parse(&conf, "t", part, len, &err);
        assert_true((status == PQL_OK) == (conf != NULL));
        assert_true(status == PQL_OK || strncmp(err.message, "t:", 2) == 0);
        pqi_conf_free(conf);
        free(part);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_file_has_no_settings),
        cmocka_unit_test(settings_come_in_the_order_of_the_file),
        cmocka_unit_test(places_are_counted_in_characters_from_one),
        cmocka_unit_test(an_array_is_a_run_of_entries),
        cmocka_unit_test(escapes_are_decoded),
        cmocka_unit_test(what_is_no_setting_is_refused_with_its_place),
        cmocka_unit_test(the_rest_of_toml_is_refused_by_name),
        cmocka_unit_test(broken_values_are_refused),
        cmocka_unit_test(doubles_are_refused_with_the_line_of_the_first),
        cmocka_unit_test(letters_that_nobody_sees_are_refused),
        cmocka_unit_test(bounds_are_kept),
        cmocka_unit_test(there_may_be_a_thousand_settings_and_not_many_more),
        cmocka_unit_test(every_beginning_of_a_file_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
