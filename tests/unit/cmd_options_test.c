/* The option parser fills a struct as its table says, and names what is wrong otherwise. */
#include "test.h"

#include "base/clock.h"
#include "cmd/options.h"

#include <stdio.h>
#include <string.h>

typedef struct sample {
    bool flag;
    const char *text;
    pqi_dir dir;
    uint64_t number;
    uint64_t duration;
    unsigned choice;
    pqi_url url;
    pqi_endpoint endpoint;
    char letters[4];
    size_t letter_count;
    pqi_operands operands;
} sample;

static pql_status letter_parse(void *options, const char *value, pql_error *err)
{
    sample *s = options;
    if (strlen(value) != 1 || s->letter_count == sizeof(s->letters)) {
        return pqi_fail(err, PQL_E_USAGE, "It must be one letter.");
    }
    s->letters[s->letter_count++] = value[0];
    return PQL_OK;
}

static const char *const choices[] = {"red", "green", "blue", NULL};
static const pqi_option table[] = {
    {.name = "flag", .kind = PQI_OPTION_FLAG, .at = PQI_AT(sample, flag, bool), .help = "."},
    {.name = "text",
     .kind = PQI_OPTION_TEXT,
     .at = PQI_AT(sample, text, const char *),
     .arg = "TEXT",
     .help = ".",
     .env = "SAMPLE_TEXT"},
    {.name = "dir",
     .kind = PQI_OPTION_DIR,
     .at = PQI_AT(sample, dir, pqi_dir),
     .arg = "DIR",
     .help = ".",
     .env = "SAMPLE_DIR"},
    {.name = "number",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(sample, number, uint64_t),
     .arg = "N",
     .help = ".",
     .min = 1,
     .max = 9,
     .fallback = "5",
     .env = "SAMPLE_NUMBER"},
    {.name = "duration",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(sample, duration, uint64_t),
     .arg = "DURATION",
     .help = ".",
     .max = UINT64_MAX},
    {.name = "choice",
     .kind = PQI_OPTION_CHOICE,
     .at = PQI_AT(sample, choice, unsigned),
     .arg = "COLOUR",
     .help = ".",
     .choices = choices,
     .fallback = "green"},
    {.name = "url",
     .kind = PQI_OPTION_URL,
     .at = PQI_AT(sample, url, pqi_url),
     .arg = "URL",
     .help = "."},
    {.name = "endpoint",
     .kind = PQI_OPTION_ENDPOINT,
     .at = PQI_AT(sample, endpoint, pqi_endpoint),
     .arg = "ADDRESS:PORT",
     .help = "."},
    {.name = "letter",
     .kind = PQI_OPTION_CUSTOM,
     .parse = letter_parse,
     .arg = "LETTER",
     .help = ".",
     .repeatable = true},
    {.name = "secret-trick",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(sample, flag, bool),
     .help = ".",
     .hidden = true},
};

static const pqi_command without_operands = {
    .name = "sample", PQI_OPTIONS(table), .options_size = sizeof(sample)};
static const pqi_command with_operands = {.name = "sample",
                                          PQI_OPTIONS(table),
                                          .options_size = sizeof(sample),
                                          .operands = "[WORD]",
                                          .operands_at = PQI_AT(sample, operands, pqi_operands)};

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static const char *some_env(const char *name)
{
    if (strcmp(name, "SAMPLE_TEXT") == 0) {
        return "from the environment";
    }
    if (strcmp(name, "SAMPLE_DIR") == 0) {
        return "/from/env";
    }
    return strcmp(name, "SAMPLE_NUMBER") == 0 ? "7" : NULL;
}

static const char *bad_env(const char *name)
{
    return strcmp(name, "SAMPLE_NUMBER") == 0 ? "ten" : NULL;
}

static const char *empty_env(const char *name)
{
    (void)name;
    return "";
}

#define WORDS(...)                                                                                 \
    ((char *[]){__VA_ARGS__}), (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *))

/* What the last parse set; the texts in its struct live here. */
static pqi_settings settings;

static pql_status parse(sample *out, const pqi_command *command, pqi_env env, char **argv, int argc,
                        pql_error *err)
{
    bool help = false;
    const pqi_sources from = {.argc = argc, .argv = (const char *const *)argv, .env = env};
    pqi_settings_free(&settings);
    const pql_status status = pqi_options_parse(command, &from, out, &settings, &help, err);
    assert_false(help);
    return status;
}

static void assert_parses(sample *out, char **argv, int argc)
{
    pql_error err = {0};
    assert_int_equal(parse(out, &without_operands, no_env, argc == 0 ? NULL : argv, argc, &err),
                     PQL_OK);
}

static void assert_refused(const char *sentence, char **argv, int argc)
{
    sample out;
    pql_error err = {0};
    assert_int_equal(parse(&out, &without_operands, no_env, argv, argc, &err), PQL_E_USAGE);
    assert_string_equal(err.message, sentence);
}

static void a_value_stands_in_the_next_word_or_after_an_equals_sign(void **state)
{
    (void)state;
    sample out;
    assert_parses(&out, WORDS("--text", "abc", "--number=3", "--flag"));
    assert_string_equal(out.text, "abc");
    assert_int_equal(out.number, 3);
    assert_true(out.flag);
}

static void every_kind_reaches_its_member(void **state)
{
    (void)state;
    sample out;
    assert_parses(&out, WORDS("--dir", "/d", "--duration", "2m", "--choice", "blue", "--url",
                              "quic://[::1]:1", "--endpoint", "127.0.0.1:2"));
    assert_string_equal(out.dir.text, "/d");
    assert_true(out.dir.typed);
    assert_true(out.duration == 120 * PQI_NS_PER_SEC);
    assert_int_equal(out.choice, 2);
    assert_string_equal(out.url.host, "::1");
    assert_int_equal(out.endpoint.port, 2);
}

static void a_value_may_contain_an_equals_sign(void **state)
{
    (void)state;
    sample out;
    assert_parses(&out, WORDS("--text=a=b"));
    assert_string_equal(out.text, "a=b");
}

static void a_value_with_dashes_needs_the_equals_sign(void **state)
{
    (void)state;
    sample out;
    assert_parses(&out, WORDS("--text=--flag"));
    assert_string_equal(out.text, "--flag");
    assert_false(out.flag);
    assert_refused("Option --text needs a value; write --text TEXT (or --text=TEXT when it begins "
                   "with two dashes).",
                   WORDS("--text", "--flag"));
}

static void defaults_fill_what_is_absent(void **state)
{
    (void)state;
    sample out;
    assert_parses(&out, NULL, 0);
    assert_int_equal(out.number, 5);
    assert_int_equal(out.choice, 1);
    assert_null(out.text);
    assert_false(out.flag);
}

static void the_environment_stands_between_command_line_and_default(void **state)
{
    (void)state;
    sample out;
    pql_error err = {0};
    assert_int_equal(parse(&out, &without_operands, some_env, WORDS("--text", "typed"), &err),
                     PQL_OK);
    assert_string_equal(out.text, "typed");
    assert_int_equal(out.number, 7);
    assert_string_equal(out.dir.text, "/from/env");
    assert_false(out.dir.typed);
}

static void an_empty_environment_variable_counts_as_absent(void **state)
{
    (void)state;
    sample out;
    pql_error err = {0};
    assert_int_equal(parse(&out, &without_operands, empty_env, NULL, 0, &err), PQL_OK);
    assert_int_equal(out.number, 5);
    assert_null(out.text);
}

static void a_bad_environment_variable_is_named(void **state)
{
    (void)state;
    sample out;
    pql_error err = {0};
    assert_int_equal(parse(&out, &without_operands, bad_env, NULL, 0, &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, "environment variable SAMPLE_NUMBER"));
}

static void a_repeatable_option_keeps_every_value_in_order(void **state)
{
    (void)state;
    sample out;
    assert_parses(&out, WORDS("--letter", "x", "--letter=y"));
    assert_int_equal(out.letter_count, 2);
    assert_memory_equal(out.letters, "xy", 2);
}

static void any_other_option_given_twice_is_refused(void **state)
{
    (void)state;
    assert_refused("Option --number is given twice.", WORDS("--number", "1", "--number=2"));
    assert_refused("Option --flag is given twice.", WORDS("--flag", "--flag"));
}

static void an_unknown_option_is_refused_with_the_nearest_one(void **state)
{
    (void)state;
    assert_refused("There is no option --nmber; did you mean --number?", WORDS("--nmber", "1"));
    assert_refused("There is no option --numbr; did you mean --number?", WORDS("--numbr=1"));
    assert_refused("There is no option --hlp; did you mean --help?", WORDS("--hlp"));
    assert_refused("There is no option --zzz.", WORDS("--zzz"));
}

static void a_hidden_option_is_never_suggested(void **state)
{
    (void)state;
    assert_refused("There is no option --secret-tric.", WORDS("--secret-tric"));
}

static void a_missing_value_is_refused(void **state)
{
    (void)state;
    assert_refused("Option --number needs a value; write --number N (or --number=N when it begins "
                   "with two dashes).",
                   WORDS("--number"));
}

static void a_flag_takes_no_value(void **state)
{
    (void)state;
    assert_refused("The value 'yes' of --flag does not fit: It must be true or false.",
                   WORDS("--flag=yes"));
    assert_refused("The word 'yes' is not expected here; options begin with two dashes.",
                   WORDS("--flag", "yes"));
}

static void values_that_do_not_fit_are_refused_with_the_option(void **state)
{
    (void)state;
    assert_refused("The value '10' of --number does not fit: It must be a whole number from 1 to "
                   "9.",
                   WORDS("--number", "10"));
    assert_refused("The value 'pink' of --choice does not fit: It must be one of: red, green, "
                   "blue.",
                   WORDS("--choice", "pink"));
    assert_refused("The value '' of --text does not fit: It must not be empty.", WORDS("--text="));
    assert_refused("The value 'long' of --letter does not fit: It must be one letter.",
                   WORDS("--letter", "long"));
}

static void short_options_are_refused(void **state)
{
    (void)state;
    assert_refused("There is no option -f; options begin with two dashes.", WORDS("-f"));
    assert_refused("There is no option -; options begin with two dashes.", WORDS("-"));
}

static void operands_are_kept_and_two_dashes_end_the_options(void **state)
{
    (void)state;
    sample out;
    pql_error err = {0};
    assert_int_equal(parse(&out, &with_operands, no_env, WORDS("one", "--", "--flag"), &err),
                     PQL_OK);
    assert_int_equal(out.operands.count, 2);
    assert_string_equal(out.operands.items[0], "one");
    assert_string_equal(out.operands.items[1], "--flag");
    assert_false(out.flag);
}

static void too_many_operands_are_refused(void **state)
{
    (void)state;
    sample out;
    pql_error err = {0};
    assert_int_equal(parse(&out, &with_operands, no_env, WORDS("a", "b", "c"), &err), PQL_E_USAGE);
    assert_string_equal(err.message, "The word 'c' is one too many.");
}

static void a_missing_required_option_is_named(void **state)
{
    (void)state;
    static const pqi_option required[] = {{.name = "text",
                                           .kind = PQI_OPTION_TEXT,
                                           .at = PQI_AT(sample, text, const char *),
                                           .arg = "TEXT",
                                           .help = ".",
                                           .required = true}};
    const pqi_command command = {
        .name = "r", PQI_OPTIONS(required), .options_size = sizeof(sample)};
    sample out;
    pql_error err = {0};
    assert_int_equal(parse(&out, &command, no_env, NULL, 0, &err), PQL_E_USAGE);
    assert_string_equal(err.message, "Option --text TEXT is required.");
}

static void help_is_noticed_wherever_it_stands(void **state)
{
    (void)state;
    sample out;
    bool help = false;
    const char *const argv[] = {"--number", "1", "-h"};
    const pqi_sources from = {.argc = 3, .argv = argv, .env = no_env};
    pqi_settings_free(&settings);
    assert_int_equal(pqi_options_parse(&without_operands, &from, &out, &settings, &help, NULL),
                     PQL_OK);
    assert_true(help);
}

static void a_very_long_value_is_cut_in_the_message(void **state)
{
    (void)state;
    char value[2000];
    sample out;
    pql_error err = {0};
    memset(value, 'a', sizeof(value) - 1);
    value[sizeof(value) - 1] = '\0';
    assert_int_equal(parse(&out, &without_operands, no_env, WORDS("--number", value), &err),
                     PQL_E_USAGE);
    assert_non_null(strstr(err.message, "from 1 to 9."));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_value_stands_in_the_next_word_or_after_an_equals_sign),
        cmocka_unit_test(every_kind_reaches_its_member),
        cmocka_unit_test(a_value_may_contain_an_equals_sign),
        cmocka_unit_test(a_value_with_dashes_needs_the_equals_sign),
        cmocka_unit_test(defaults_fill_what_is_absent),
        cmocka_unit_test(the_environment_stands_between_command_line_and_default),
        cmocka_unit_test(an_empty_environment_variable_counts_as_absent),
        cmocka_unit_test(a_bad_environment_variable_is_named),
        cmocka_unit_test(a_repeatable_option_keeps_every_value_in_order),
        cmocka_unit_test(any_other_option_given_twice_is_refused),
        cmocka_unit_test(an_unknown_option_is_refused_with_the_nearest_one),
        cmocka_unit_test(a_hidden_option_is_never_suggested),
        cmocka_unit_test(a_missing_value_is_refused),
        cmocka_unit_test(a_flag_takes_no_value),
        cmocka_unit_test(values_that_do_not_fit_are_refused_with_the_option),
        cmocka_unit_test(short_options_are_refused),
        cmocka_unit_test(operands_are_kept_and_two_dashes_end_the_options),
        cmocka_unit_test(too_many_operands_are_refused),
        cmocka_unit_test(a_missing_required_option_is_named),
        cmocka_unit_test(help_is_noticed_wherever_it_stands),
        cmocka_unit_test(a_very_long_value_is_cut_in_the_message),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
