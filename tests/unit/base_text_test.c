/* Nothing that steers a terminal is left in a text, and nothing else is touched. */
#include "test.h"

#include "base/text.h"

#include <stdio.h>

static void assert_cleaned(const char *text, const char *expected)
{
    char copy[64];
    (void)snprintf(copy, sizeof(copy), "%s", text);
    pqi_text_clean(copy);
    assert_string_equal(copy, expected);
}

static void readable_text_stays_as_it_is(void **state)
{
    (void)state;
    assert_cleaned("", "");
    assert_cleaned("~/k\xc3\xbc\xc3\x80 \xe2\x82\xac \xf0\x9f\x94\x91",
                   "~/k\xc3\xbc\xc3\x80 \xe2\x82\xac \xf0\x9f\x94\x91");
}

static void control_characters_of_both_sets_go(void **state)
{
    (void)state;
    assert_cleaned("a\x1b[31mb\nc\rd\x7f", "a?[31mb?c?d?");
    assert_cleaned("a\xc2\x9b"
                   "31m",
                   "a??31m");
}

static void what_turns_the_direction_of_writing_goes(void **state)
{
    (void)state;
    assert_cleaned("a\xe2\x80\xae"
                   "b",
                   "a???b");
}

static void what_is_no_utf8_goes_byte_by_byte(void **state)
{
    (void)state;
    assert_cleaned("a\x9b"
                   "b\xff"
                   "c\xe2\x82",
                   "a?b?c??");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(readable_text_stays_as_it_is),
        cmocka_unit_test(control_characters_of_both_sets_go),
        cmocka_unit_test(what_turns_the_direction_of_writing_goes),
        cmocka_unit_test(what_is_no_utf8_goes_byte_by_byte),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
