/* SIGHUP and the settings: all or nothing, and what changed is said without secrets. */
#include "test.h"

#include "base/log.h"
#include "cmd/config.h"
#include "cmd/config_reload.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

/* A command with one option of each way to take a new value over. */
typedef struct sample {
    uint64_t applied, first, second, stays, token;
} sample;

static uint64_t applied, first, second;
static uint64_t refused; /* by |second|; 0: none */
static unsigned changes;

static void apply_it(void *user, const void *value)
{
    assert_ptr_equal(user, &applied);
    applied = *(const uint64_t *)value;
}

static pql_status change_first(void *user, const void *value, pql_error *err)
{
    (void)err;
    assert_ptr_equal(user, &applied);
    first = *(const uint64_t *)value;
    changes++;
    return PQL_OK;
}

static pql_status change_second(void *user, const void *value, pql_error *err)
{
    (void)user;
    const uint64_t wanted = *(const uint64_t *)value;
    if (wanted == refused) {
        return pqi_fail(err, PQL_E_POLICY, "That does not go.");
    }
    second = wanted;
    changes++;
    return PQL_OK;
}

#define NUMBER(n)                                                                                  \
    .name = #n, .kind = PQI_OPTION_NUMBER, .at = PQI_AT(sample, n, uint64_t), .arg = "N",          \
    .help = ".", .max = 99, .fallback = "1"
static const pqi_option table[] = {{NUMBER(applied), .apply = apply_it},
                                   {NUMBER(first), .change = change_first},
                                   {NUMBER(second), .change = change_second},
                                   {NUMBER(stays)},
                                   {NUMBER(token), .apply = apply_it, .secret = true}};
static const pqi_command command = {
    .name = "sample", PQI_OPTIONS(table), .options_size = sizeof(sample)};

static const char *file_text; /* NULL: there is no file */
static pqi_settings settings;
static int log_fd;
static char lines[8192]; /* of the last reload */

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static pql_status load_text(pqi_conf **out, const char *typed, pqi_env env, pql_error *err)
{
    (void)typed;
    (void)env;
    *out = NULL;
    return file_text == NULL ? PQL_OK : pqi_conf_parse(out, "f", file_text, strlen(file_text), err);
}

static const pqi_sources from = {.env = no_env, .load = load_text};

static void start(const char *text)
{
    static sample options;
    bool help = false;
    pql_error err = {0};
    file_text = text;
    if (pqi_options_parse(&command, &from, &options, &settings, &help, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    applied = options.applied;
    first = options.first;
    second = options.second;
    pqi_config_started(&command, &from, &settings);
}

static bool reload(const char *text)
{
    file_text = text;
    assert_int_equal(ftruncate(log_fd, 0), 0);
    assert_int_equal(lseek(log_fd, 0, SEEK_SET), 0);
    const bool done = pqi_config_reload_alone("sample", &applied);
    const ssize_t len = pread(log_fd, lines, sizeof(lines) - 1, 0);
    assert_true(len >= 0);
    lines[len] = '\0';
    return done;
}

static void assert_logged(const char *text)
{
    if (strstr(lines, text) == NULL) {
        fail_msg("'%s' is not in: %s", text, lines);
    }
}

static int setup(void **state)
{
    (void)state;
    changes = 0;
    refused = 0;
    log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(log_fd >= 0);
    pqi_log_setup(log_fd, PQI_LOG_INFO, PQI_LOG_JSON);
    return 0;
}

static int teardown(void **state)
{
    (void)state;
    pqi_settings_free(&settings);
    pqi_config_started(NULL, &from, NULL);
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_JSON);
    (void)close(log_fd);
    return 0;
}

static void what_can_change_does_and_the_log_says_from_what_to_what(void **state)
{
    (void)state;
    start("[sample]\nfirst = 2\n");
    assert_true(reload("[sample]\nfirst = 3\napplied = 4\nstays = 5\n"));
    assert_int_equal(first, 3);
    assert_int_equal(applied, 4);
    assert_int_equal(changes, 1);
    assert_logged("\"event\":\"reloaded\"");
    assert_logged("\"changed\":\"applied: 1 -> 4; first: 2 -> 3\"");
    assert_logged("\"event\":\"config_needs_restart\"");
    assert_logged("\"changed\":\"stays: 1 -> 5\"");
}

static void the_next_reload_compares_with_what_is_in_force(void **state)
{
    (void)state;
    start("[sample]\nfirst = 2\n");
    assert_true(reload("[sample]\nfirst = 3\nstays = 5\n"));
    assert_true(reload("[sample]\nfirst = 2\nstays = 5\n"));
    assert_logged("\"changed\":\"first: 3 -> 2\"");
    assert_logged("\"changed\":\"stays: 1 -> 5\"");
}

static void a_change_that_is_refused_takes_all_others_back(void **state)
{
    (void)state;
    start("[sample]\nfirst = 2\nsecond = 2\n");
    refused = 7;
    assert_false(reload("[sample]\nfirst = 3\nsecond = 7\napplied = 9\n"));
    assert_int_equal(first, 2);
    assert_int_equal(second, 2);
    assert_int_equal(applied, 1);
    assert_logged("\"event\":\"reload_refused\"");
    assert_logged("The new second cannot be taken over: That does not go.");
    assert_null(strstr(lines, "\"reloaded\""));
    refused = 0;
    assert_true(reload("[sample]\nfirst = 3\nsecond = 7\napplied = 9\n"));
    assert_logged("\"changed\":\"applied: 1 -> 9; first: 2 -> 3; second: 2 -> 7\"");
}

static void a_mistake_in_the_file_changes_nothing(void **state)
{
    (void)state;
    start("[sample]\nfirst = 2\n");
    assert_false(reload("[sample]\nfirst = 3\napplied = 100\n"));
    assert_int_equal(first, 2);
    assert_int_equal(changes, 0);
    assert_logged("f:3:11: The value '100' of applied does not fit");
}

static void a_file_that_is_gone_changes_nothing(void **state)
{
    (void)state;
    start("[sample]\nfirst = 2\napplied = 5\n");
    assert_false(reload(NULL));
    assert_int_equal(first, 2);
    assert_int_equal(applied, 5);
    assert_int_equal(changes, 0);
    assert_logged("\"event\":\"reload_refused\"");
    assert_logged("f is gone, and what was read from it stays in force.");
    assert_true(reload("[sample]\nfirst = 3\napplied = 5\n"));
    assert_logged("\"changed\":\"first: 2 -> 3\"");
}

static void a_program_without_a_file_reloads_without_one(void **state)
{
    (void)state;
    start(NULL);
    assert_true(reload(NULL));
    assert_logged("\"event\":\"reloaded\",\"changed\":\"\"");
}

static void a_secret_is_not_in_the_list_of_changes(void **state)
{
    (void)state;
    start("[sample]\ntoken = 77\n");
    assert_true(reload("[sample]\ntoken = 88\n"));
    assert_logged("token: (hidden) -> (hidden)");
    assert_null(strstr(lines, "77 ->")); /* time stamps have digits too */
    assert_null(strstr(lines, "-> 88"));
}

static void the_place_of_a_setting_follows(void **state)
{
    (void)state;
    char place[64];
    start(NULL);
    pqi_config_started_place(place, sizeof(place), "first");
    assert_string_equal(place, "default");
    assert_true(reload("\n[sample]\nfirst = 3\n"));
    pqi_config_started_place(place, sizeof(place), "first");
    assert_string_equal(place, "f:3");
    pqi_config_started_place(place, sizeof(place), "nothing");
    assert_string_equal(place, "");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
    const struct CMUnitTest tests[] = {
        TEST(what_can_change_does_and_the_log_says_from_what_to_what),
        TEST(the_next_reload_compares_with_what_is_in_force),
        TEST(a_change_that_is_refused_takes_all_others_back),
        TEST(a_mistake_in_the_file_changes_nothing),
        TEST(a_file_that_is_gone_changes_nothing),
        TEST(a_program_without_a_file_reloads_without_one),
        TEST(a_secret_is_not_in_the_list_of_changes),
        TEST(the_place_of_a_setting_follows),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
