/* Settings of pqlink.conf and the environment: names, precedence, and what is refused. */
#include "test.h"

#include "base/clock.h"
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/config_show.h"
#include "cmd/mine.h"
#include "cmd/node.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The file and the variables that the next parse sees. */
static const char *file_text;
static const char *const *variables; /* name, value, ..., NULL */

static const char *some_env(const char *name)
{
    for (size_t i = 0; variables != NULL && variables[i] != NULL; i += 2) {
        if (strcmp(variables[i], name) == 0) {
            return variables[i + 1];
        }
    }
    return NULL;
}

static pql_status load_text(pqi_conf **out, const char *typed, pqi_env env, pql_error *err)
{
    (void)typed;
    (void)env;
    *out = NULL;
    if (file_text == NULL) {
        return PQL_OK;
    }
    const pql_status status = pqi_conf_parse(out, "f", file_text, strlen(file_text), err);
    return status == PQL_OK ? pqi_config_check_names(*out, err) : status;
}

static pqi_node_options node;
static pqi_mine_options mine;
static pqi_settings settings;

static pql_status parse(const pqi_command *command, void *out, const char *const *argv, int argc,
                        pql_error *err)
{
    bool help = false;
    const pqi_sources from = {.argc = argc, .argv = argv, .env = some_env, .load = load_text};
    pqi_settings_free(&settings);
    return pqi_options_parse(command, &from, out, &settings, &help, err);
}

#define WORDS(...)                                                                                 \
    ((const char *const[]){__VA_ARGS__}),                                                          \
        (int)(sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))
#define VARIABLES(...)                                                                             \
    variables = (const char *const[])                                                              \
    {                                                                                              \
        __VA_ARGS__, NULL                                                                          \
    }

static void assert_node(const char *text)
{
    pql_error err = {0};
    file_text = text;
    if (parse(&pqi_command_node, &node, NULL, 0, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
}

static void assert_refused(const pqi_command *command, const char *text, const char *message)
{
    pql_error err = {0};
    void *out = command == &pqi_command_mine ? (void *)&mine : (void *)&node;
    file_text = text;
    assert_int_equal(parse(command, out, NULL, 0, &err), PQL_E_USAGE);
    if (strstr(err.message, message) == NULL) {
        fail_msg("'%s' is not in: %s", message, err.message);
    }
}

static const pqi_setting *setting(const pqi_command *command, const char *name)
{
    for (size_t i = 0; i < command->option_count; i++) {
        if (strcmp(command->options[i].name, name) == 0) {
            return &settings.of[i];
        }
    }
    fail_msg("there is no option %s", name);
    return NULL;
}

static int reset(void **state)
{
    (void)state;
    file_text = NULL;
    variables = NULL;
    pqi_settings_free(&settings);
    return 0;
}

static void values_of_the_file_reach_the_options(void **state)
{
    (void)state;
    assert_node("[node]\nblock_time = \"2s\"\nworkers = 3\npolicy = \"pq-only\"\ndir = \"/d\"\n");
    assert_true(node.block_time_ns == 2 * PQI_NS_PER_SEC);
    assert_int_equal(node.workers, 3);
    assert_int_equal(node.security.policy, PQL_POLICY_PQ_ONLY);
    assert_string_equal(node.dir.text, "/d");
    assert_false(node.dir.typed);
    assert_int_equal(setting(&pqi_command_node, "workers")->layer, PQI_LAYER_FILE);
    assert_int_equal(setting(&pqi_command_node, "workers")->line, 3);
    assert_int_equal(setting(&pqi_command_node, "workers")->column, 11);
    assert_int_equal(setting(&pqi_command_node, "admin")->layer, PQI_LAYER_DEFAULT);
}

static void the_environment_replaces_the_file_and_the_command_line_both(void **state)
{
    (void)state;
    pql_error err = {0};
    file_text = "[node]\nworkers = 1\ndifficulty = 10\nblock_time = \"1s\"\n";
    VARIABLES("PQLINK_NODE_WORKERS", "2", "PQLINK_NODE_DIFFICULTY", "20");
    assert_int_equal(parse(&pqi_command_node, &node, WORDS("--workers", "3"), &err), PQL_OK);
    assert_int_equal(node.workers, 3);
    assert_int_equal(node.difficulty, 20);
    assert_true(node.block_time_ns == PQI_NS_PER_SEC);
    assert_string_equal(setting(&pqi_command_node, "difficulty")->env, "PQLINK_NODE_DIFFICULTY");
}

static void the_table_of_the_command_comes_before_common(void **state)
{
    (void)state;
    assert_node("[node]\ndir = \"/node\"\n[common]\ndir = \"/all\"\nlog_level = \"debug\"\n");
    assert_string_equal(node.dir.text, "/node");
    assert_int_equal(node.log.level, PQI_LOG_DEBUG);
}

static void the_long_variable_comes_before_the_short_one(void **state)
{
    (void)state;
    VARIABLES("PQLINK_DIR", "/short", "PQLINK_NODE_DIR", "/long", "PQLINK_LOG_LEVEL", "warn");
    assert_node(NULL);
    assert_string_equal(node.dir.text, "/long");
    assert_int_equal(node.log.level, PQI_LOG_WARN);
}

static void the_short_variable_of_the_node_url_still_works(void **state)
{
    (void)state;
    pql_error err = {0};
    VARIABLES("PQLINK_NODE", "quic://a:1");
    assert_int_equal(parse(&pqi_command_mine, &mine, WORDS("--insecure"), &err), PQL_OK);
    assert_string_equal(mine.login.nodes[0].url.text, "quic://a:1");
    VARIABLES("PQLINK_NODE", "quic://a:1", "PQLINK_MINE_NODE", "quic://b:2");
    assert_int_equal(parse(&pqi_command_mine, &mine, WORDS("--insecure"), &err), PQL_OK);
    assert_string_equal(mine.login.nodes[0].url.text, "quic://b:2");
}

#define PIN_A "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define PIN_B "sha256:bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static void several_values_are_an_array_or_have_spaces_and_are_replaced_as_a_whole(void **state)
{
    (void)state;
    pql_error err = {0};
    file_text = "[mine]\nnode = \"quic://a:1\"\npin = [\"" PIN_A "\", \"" PIN_B "\"]\n";
    assert_int_equal(parse(&pqi_command_mine, &mine, NULL, 0, &err), PQL_OK);
    assert_int_equal(mine.login.pin_count, 2);
    VARIABLES("PQLINK_PIN", PIN_B);
    assert_int_equal(parse(&pqi_command_mine, &mine, NULL, 0, &err), PQL_OK);
    assert_int_equal(mine.login.pin_count, 1);
    VARIABLES("PQLINK_MINE_PIN", PIN_A "  " PIN_B);
    assert_int_equal(parse(&pqi_command_mine, &mine, NULL, 0, &err), PQL_OK);
    assert_int_equal(mine.login.pin_count, 2);
    assert_int_equal(parse(&pqi_command_mine, &mine, WORDS("--pin", PIN_B), &err), PQL_OK);
    assert_int_equal(mine.login.pin_count, 1);
}

static void an_empty_array_is_no_value_rather_than_the_default(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "[mine]\nnode = \"quic://a:1\"\npin = []\n",
                   "Say how the node is recognised");
    assert_int_equal(setting(&pqi_command_mine, "pin")->layer, PQI_LAYER_FILE);
}

static void a_node_needs_an_address_and_a_source_although_a_list_may_be_empty(void **state)
{
    (void)state;
    assert_refused(&pqi_command_node, "[node]\nlisten = []\n", "needs an address to listen on");
    assert_refused(&pqi_command_node, "[node]\nsource = []\n", "There is no source of jobs");
}

static void a_flag_of_the_file_is_turned_off_by_the_command_line(void **state)
{
    (void)state;
    pql_error err = {0};
    file_text = "[mine]\nnode = \"quic://a:1\"\ntofu = true\n";
    assert_int_equal(parse(&pqi_command_mine, &mine, NULL, 0, &err), PQL_OK);
    assert_true(mine.login.tofu);
    assert_int_equal(parse(&pqi_command_mine, &mine, WORDS("--tofu=false", "--pin", PIN_A), &err),
                     PQL_OK);
    assert_false(mine.login.tofu);
    VARIABLES("PQLINK_MINE_TOFU", "0", "PQLINK_PIN", PIN_A);
    assert_int_equal(parse(&pqi_command_mine, &mine, NULL, 0, &err), PQL_OK);
    assert_false(mine.login.tofu);
}

static void unknown_names_are_refused_with_the_nearest_known_one(void **state)
{
    (void)state;
    const pqi_command *n = &pqi_command_node;
    assert_refused(n, "[nod]\n", "f:1:2: There is no table [nod]; did you mean [node]?");
    assert_refused(n, "[help]\n", "f:1:2: There is no table [help].");
    assert_refused(n, "[node]\n lisen = 1\n",
                   "f:2:2: The table [node] has no key 'lisen'; did you mean 'listen'?");
    assert_refused(n, "[node]\nblock-time = \"2s\"\n", "did you mean 'block_time'?");
    assert_refused(n, "[node]\nBlock_Time = \"2s\"\n", "did you mean 'block_time'?");
    assert_refused(n, "[node]\nxyzzy = 1\n", "f:2:1: The table [node] has no key 'xyzzy'.");
    assert_refused(n, "dir = \"/d\"\n", "f:1:1: The key 'dir' stands before the first table");
    assert_refused(n, "[common]\nlisten = \"x\"\n", "it belongs to [node]");
    assert_refused(n, "[common]\nlog_levl = \"x\"\n", "did you mean 'log_level'?");
}

static void names_of_other_commands_are_checked_too(void **state)
{
    (void)state;
    assert_refused(&pqi_command_node, "[mine]\nthread = 1\n", "did you mean 'threads'?");
}

static void what_must_be_typed_cannot_stand_in_a_file(void **state)
{
    (void)state;
    assert_refused(&pqi_command_node, "[node]\nkeylog = \"/tmp/k\"\n",
                   "'keylog' cannot be set in a file; it has to be typed as --keylog");
    assert_refused(&pqi_command_mine, "[mine]\ninsecure = true\n", "typed as --insecure");
}

static void what_must_be_typed_cannot_stand_in_the_environment(void **state)
{
    (void)state;
    VARIABLES("PQLINK_MINE_NODE", "quic://a:1", "PQLINK_MINE_INSECURE", "true",
              "PQLINK_MINE_KEYLOG", "/tmp/k");
    assert_refused(&pqi_command_mine, NULL, "Say how the node is recognised");
    assert_null(mine.keylog_file);
}

static void values_that_do_not_fit_are_refused_with_their_place(void **state)
{
    (void)state;
    const pqi_command *n = &pqi_command_node;
    assert_refused(
        n, "[node]\nworkers = 65\n",
        "f:2:11: The value '65' of workers does not fit: It must be a whole number from 0 "
        "to 64.");
    assert_refused(n, "[node]\nworkers = \"4\"\n",
                   "f:2:11: The value of workers must be a whole number without quotes.");
    assert_refused(n, "[node]\nblock_time = 12\n",
                   "f:2:14: The value of block_time must be a text with a unit, such as \"12s\".");
    assert_refused(n, "[node]\npolicy = true\n",
                   "f:2:10: The value of policy must be a text in quotes");
    assert_refused(n, "[node]\nworkers = [1]\n", "f:2:12: The key workers takes one value");
    assert_refused(&pqi_command_mine, "[mine]\ntofu = \"true\"\n",
                   "f:2:8: The value of tofu must be true or false, without quotes.");
    VARIABLES("PQLINK_NODE_WORKERS", "many");
    assert_refused(n, NULL, "of the environment variable PQLINK_NODE_WORKERS does not fit");
}

static void contradictions_say_where_both_sides_stand(void **state)
{
    (void)state;
    VARIABLES("PQLINK_PIN", PIN_A);
    assert_refused(
        &pqi_command_mine, "[mine]\nnode = \"quic://a:1\"\ntofu = true\n",
        "--pin comes from the environment variable PQLINK_PIN.  --tofu stands in f:3:8.");
}

static void a_secret_is_not_repeated_in_messages_or_shown(void **state)
{
    (void)state;
    typedef struct sample {
        uint64_t token;
    } sample;
    static const pqi_option table[] = {{.name = "token",
                                        .kind = PQI_OPTION_NUMBER,
                                        .at = PQI_AT(sample, token, uint64_t),
                                        .arg = "N",
                                        .help = ".",
                                        .max = 9,
                                        .secret = true}};
    const pqi_command command = {
        .name = "sample", PQI_OPTIONS(table), .options_size = sizeof(sample)};
    sample out;
    pql_error err = {0};
    char shown[256] = "";
    assert_int_equal(parse(&command, &out, WORDS("--token", "4711"), &err), PQL_E_USAGE);
    assert_string_equal(
        err.message, "The value of --token does not fit: It must be a whole number from 0 to 9.");
    assert_int_equal(parse(&command, &out, WORDS("--token", "7"), &err), PQL_OK);
    FILE *text = fmemopen(shown, sizeof(shown), "w");
    assert_non_null(text);
    pqi_config_show_text(text, &command, &settings);
    (void)fclose(text);
    assert_non_null(strstr(shown, "# token = (hidden)"));
    assert_null(strchr(shown, '7'));
    json_t *json = pqi_config_show_json(&command, &settings);
    assert_string_equal(json_string_value(json_object_get(json_object_get(json, "token"), "value")),
                        "(hidden)");
    json_decref(json);
}

/* Over all tables: nobody has to remember these rules when an option is added. */
static void every_option_has_a_name_of_its_own(void **state)
{
    (void)state;
    static char names[512][PQI_ENV_NAME_SIZE];
    size_t used = 0;
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t c = 0; c < count; c++) {
        assert_true(commands[c]->option_count <= PQI_OPTIONS_MAX);
        for (size_t i = 0; i < commands[c]->option_count; i++) {
            const pqi_option *o = &commands[c]->options[i];
            if (!pqi_config_has_key(commands[c], o)) {
                continue;
            }
            assert_string_not_equal(o->name, pqi_config_option.name);
            assert_true(strlen(o->name) + 1 < PQI_CONFIG_NAME_SIZE);
            assert_true(used < sizeof(names) / sizeof(names[0]));
            pqi_config_env_name(names[used], commands[c], o);
            for (size_t k = 0; k < used; k++) {
                assert_string_not_equal(names[k], names[used]);
            }
            used++;
        }
    }
}

static void what_weakens_a_link_must_be_typed(void **state)
{
    (void)state;
    static const char *const typed[] = {"insecure", "keylog", "qlog"};
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < commands[c]->option_count; i++) {
            for (size_t t = 0; t < sizeof(typed) / sizeof(typed[0]); t++) {
                const pqi_option *o = &commands[c]->options[i];
                assert_true(strcmp(o->name, typed[t]) != 0 || !pqi_config_has_key(commands[c], o));
            }
        }
    }
}

/* pqlink.conf(5) and the guides name them. */
static void nothing_else_must_be_typed(void **state)
{
    (void)state;
    static const char *const typed[] = {"insecure", "keylog", "qlog", "bench", "bench-seconds"};
    size_t count = 0;
    const pqi_command *const *commands = pqi_commands(&count);
    for (size_t c = 0; c < count; c++) {
        for (size_t i = 0; i < commands[c]->option_count; i++) {
            const pqi_option *o = &commands[c]->options[i];
            bool named = !o->typed_only;
            for (size_t t = 0; t < sizeof(typed) / sizeof(typed[0]); t++) {
                named = named || strcmp(o->name, typed[t]) == 0;
            }
            assert_true(named);
        }
    }
}

static void variables_that_set_nothing_are_found(void **state)
{
    (void)state;
    char names[][40] = {"PATH=/bin",           "PQLINK_NODE=quic://a:1",
                        "PQLINK_NODE_LISEN=x", "PQLINK_NODE_LISTEN=x",
                        "PQLINK_NODE_PORT=x",  "PQLINK_MINE_X=x"};
    char *const list[] = {names[0], names[1], names[2], names[3], names[4], names[5], NULL};
    char meant[PQI_ENV_NAME_SIZE];
    size_t at = 0;
    assert_string_equal(pqi_config_unknown_env(&pqi_command_node, list, &at, meant),
                        "PQLINK_NODE_LISEN=x");
    assert_string_equal(meant, "PQLINK_NODE_LISTEN");
    assert_string_equal(pqi_config_unknown_env(&pqi_command_node, list, &at, meant),
                        "PQLINK_NODE_PORT=x");
    assert_null(pqi_config_unknown_env(&pqi_command_node, list, &at, meant));
}

static void the_file_is_the_typed_one_then_the_variables_then_the_users_own(void **state)
{
    (void)state;
    char path[PATH_MAX];
    VARIABLES("PQLINK_CONFIG", "/named");
    assert_int_equal(pqi_config_path(path, "/typed", some_env, NULL), PQL_OK);
    assert_string_equal(path, "/typed");
    assert_int_equal(pqi_config_path(path, NULL, some_env, NULL), PQL_OK);
    assert_string_equal(path, "/named");
    assert_int_equal(pqi_config_path(path, "none", some_env, NULL), PQL_OK);
    assert_string_equal(path, "");
    VARIABLES("PQLINK_CONFIG", "none");
    assert_int_equal(pqi_config_path(path, NULL, some_env, NULL), PQL_OK);
    assert_string_equal(path, "");
}

static void a_named_file_that_is_not_there_is_an_error(void **state)
{
    (void)state;
    pqi_conf *conf = NULL;
    pql_error err = {0};
    VARIABLES("PQLINK_CONFIG", "/nonexistent/pqlink.conf");
    assert_int_equal(pqi_config_load(&conf, NULL, some_env, &err), PQL_E_USAGE);
    assert_null(conf);
    assert_non_null(strstr(err.message, "/nonexistent/pqlink.conf"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(values_of_the_file_reach_the_options, reset),
        cmocka_unit_test_setup(the_environment_replaces_the_file_and_the_command_line_both, reset),
        cmocka_unit_test_setup(the_table_of_the_command_comes_before_common, reset),
        cmocka_unit_test_setup(the_long_variable_comes_before_the_short_one, reset),
        cmocka_unit_test_setup(the_short_variable_of_the_node_url_still_works, reset),
        cmocka_unit_test_setup(
            several_values_are_an_array_or_have_spaces_and_are_replaced_as_a_whole, reset),
        cmocka_unit_test_setup(an_empty_array_is_no_value_rather_than_the_default, reset),
        cmocka_unit_test_setup(a_node_needs_an_address_and_a_source_although_a_list_may_be_empty,
                               reset),
        cmocka_unit_test_setup(a_flag_of_the_file_is_turned_off_by_the_command_line, reset),
        cmocka_unit_test_setup(unknown_names_are_refused_with_the_nearest_known_one, reset),
        cmocka_unit_test_setup(names_of_other_commands_are_checked_too, reset),
        cmocka_unit_test_setup(what_must_be_typed_cannot_stand_in_a_file, reset),
        cmocka_unit_test_setup(what_must_be_typed_cannot_stand_in_the_environment, reset),
        cmocka_unit_test_setup(values_that_do_not_fit_are_refused_with_their_place, reset),
        cmocka_unit_test_setup(contradictions_say_where_both_sides_stand, reset),
        cmocka_unit_test_setup(a_secret_is_not_repeated_in_messages_or_shown, reset),
        cmocka_unit_test_setup(every_option_has_a_name_of_its_own, reset),
        cmocka_unit_test_setup(what_weakens_a_link_must_be_typed, reset),
        cmocka_unit_test_setup(nothing_else_must_be_typed, reset),
        cmocka_unit_test_setup(variables_that_set_nothing_are_found, reset),
        cmocka_unit_test_setup(the_file_is_the_typed_one_then_the_variables_then_the_users_own,
                               reset),
        cmocka_unit_test_setup_teardown(a_named_file_that_is_not_there_is_an_error, reset, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
