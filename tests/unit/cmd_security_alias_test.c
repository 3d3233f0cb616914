/* [security] and its variables: what they say, what they stand above, and what contradicts what. */
#include "test.h"

#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/config_show.h"
#include "cmd/mine.h"
#include "cmd/node.h"
#include "cmd/security_alias.h"

#include <stdio.h>
#include <string.h>

static char file_text[512];
static const char *variables[16]; /* name, value, ..., NULL */

static const char *some_env(const char *name)
{
    for (size_t i = 0; variables[i] != NULL; i += 2) {
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
    if (file_text[0] == '\0') {
        return PQL_OK;
    }
    const pql_status status = pqi_conf_parse(out, "f", file_text, strlen(file_text), err);
    return status == PQL_OK ? pqi_config_check_names(*out, err) : status;
}

static pqi_node_options node;
static pqi_settings settings;

static pql_status parse_typed(const char *policy, pql_error *err)
{
    bool help = false;
    const char *const argv[] = {"--policy", policy};
    const pqi_sources from = {
        .argc = policy != NULL ? 2 : 0, .argv = argv, .env = some_env, .load = load_text};
    pqi_settings_free(&settings);
    return pqi_options_parse(&pqi_command_node, &from, &node, &settings, &help, err);
}

static void set_file(const char *text)
{
    (void)snprintf(file_text, sizeof(file_text), "%s", text);
}

#define VARIABLES(...) memcpy(variables, (const char *[16]){__VA_ARGS__}, sizeof(variables))

static int reset(void **state)
{
    (void)state;
    file_text[0] = '\0';
    VARIABLES(NULL);
    pqi_settings_free(&settings);
    return 0;
}

static const pqi_setting *setting(const char *name)
{
    for (size_t i = 0; i < pqi_command_node.option_count; i++) {
        if (strcmp(pqi_command_node.options[i].name, name) == 0) {
            return &settings.of[i];
        }
    }
    fail_msg("there is no option %s", name);
    return NULL;
}

static void assert_policy(pql_policy policy)
{
    pql_error err = {0};
    if (parse_typed(NULL, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(node.security.policy, policy);
}

static void assert_refused(const char *message)
{
    pql_error err = {0};
    assert_int_equal(parse_typed(NULL, &err), PQL_E_USAGE);
    if (strstr(err.message, message) == NULL) {
        fail_msg("'%s' is not in: %s", message, err.message);
    }
}

/* ---- Every combination ---- */

typedef enum said { NOTHING, YES, NO, SAIDS } said;
static const char *const said_file[SAIDS] = {NULL, "true", "false"};
static const char *const said_env[SAIDS] = {NULL, "ON", "0"};
/* In the order of pql_policy, and one for "not said". */
#define POLICIES 3
static const char *const policies[POLICIES + 1] = {"hybrid", "off", "pq-only", NULL};

typedef struct combination {
    said only[2], hybrid[2]; /* of the file, of the environment */
    unsigned own[2], typed;  /* POLICIES: not said */
} combination;

static bool allowed(said only, said hybrid, unsigned policy)
{
    const bool pq_only = policy == PQL_POLICY_PQ_ONLY;
    const bool pq = policy != PQL_POLICY_OFF;
    return (only == NOTHING || (only == YES) == pq_only) &&
           (hybrid == NOTHING || (hybrid == YES) == pq);
}

static said above(const said levels[2])
{
    return levels[1] != NOTHING ? levels[1] : levels[0];
}

/* What has to come out, in other words than the program's: the policies that the aliases allow, of
 * which the one below stays where it is among them.  -1: an error. */
static int expected(const combination *c)
{
    for (unsigned l = 0; l < 2; l++) {
        if ((c->only[l] == YES && c->hybrid[l] == NO) ||
            (c->own[l] < POLICIES && !allowed(c->only[l], c->hybrid[l], c->own[l]))) {
            return -1;
        }
    }
    if (above(c->only) == YES && above(c->hybrid) == NO) {
        return -1;
    }
    if (c->typed < POLICIES || c->own[1] < POLICIES) {
        return (int)(c->typed < POLICIES ? c->typed : c->own[1]);
    }
    const bool file = c->own[0] < POLICIES;
    const said only = file ? c->only[1] : above(c->only);
    const said hybrid = file ? c->hybrid[1] : above(c->hybrid);
    const unsigned base = file ? c->own[0] : PQL_POLICY_HYBRID;
    if (allowed(only, hybrid, base)) {
        return (int)base;
    }
    for (unsigned p = 0; p < POLICIES; p++) {
        if (allowed(only, hybrid, p)) {
            return (int)p;
        }
    }
    fail_msg("nothing is allowed");
    return -1;
}

static void add_line(const char *before, const char *value, const char *after)
{
    const size_t used = strlen(file_text);
    if (value != NULL) {
        (void)snprintf(file_text + used, sizeof(file_text) - used, "%s%s%s", before, value, after);
    }
}

static void add_variable(size_t *used, const char *name, const char *value)
{
    if (value != NULL) {
        variables[(*used)++] = name;
        variables[(*used)++] = value;
    }
    variables[*used] = NULL;
}

static void try_combination(const combination *c)
{
    pql_error err = {0};
    size_t used = 0;
    set_file("[security]\n");
    add_line("pq_only = ", said_file[c->only[0]], "\n");
    add_line("pq_hybrid = ", said_file[c->hybrid[0]], "\n");
    add_line("[node]\npolicy = \"", policies[c->own[0]], "\"\n");
    add_variable(&used, "PQ_ONLY", said_env[c->only[1]]);
    add_variable(&used, "PQ_HYBRID", said_env[c->hybrid[1]]);
    add_variable(&used, "PQLINK_NODE_POLICY", policies[c->own[1]]);
    const pql_status status = parse_typed(policies[c->typed], &err);
    const int wanted = expected(c);
    if (status != (wanted < 0 ? PQL_E_USAGE : PQL_OK) ||
        (wanted >= 0 && (int)node.security.policy != wanted)) {
        fail_msg("only %d %d, hybrid %d %d, own %u %u, typed %u: %d instead of %d (%s)",
                 (int)c->only[0], (int)c->only[1], (int)c->hybrid[0], (int)c->hybrid[1], c->own[0],
                 c->own[1], c->typed, status == PQL_OK ? (int)node.security.policy : -1, wanted,
                 err.message);
    }
}

static void every_combination_of_levels_has_the_policy_that_the_rules_say(void **state)
{
    (void)state;
    const unsigned all = SAIDS * SAIDS * SAIDS * SAIDS * 4 * 4 * 4;
    for (unsigned i = 0; i < all; i++) {
        unsigned rest = i;
        combination c;
        for (unsigned l = 0; l < 2; l++) {
            c.only[l] = (said)(rest % SAIDS);
            rest /= SAIDS;
            c.hybrid[l] = (said)(rest % SAIDS);
            rest /= SAIDS;
            c.own[l] = rest % 4;
            rest /= 4;
        }
        c.typed = rest % 4;
        try_combination(&c);
    }
}

/* ---- One by one ---- */

static void pq_only_is_the_policy_pq_only(void **state)
{
    (void)state;
    set_file("[security]\npq_only = true\n");
    assert_policy(PQL_POLICY_PQ_ONLY);
    assert_int_equal(setting("policy")->layer, PQI_LAYER_FILE);
    assert_int_equal(setting("policy")->line, 2);
    assert_string_equal(setting("policy")->alias, "pq_only");
    set_file("[security]\npq_only = true\npq_hybrid = true\n");
    assert_policy(PQL_POLICY_PQ_ONLY);
}

static void without_pq_hybrid_the_policy_is_off(void **state)
{
    (void)state;
    VARIABLES("PQ_HYBRID", "0");
    assert_policy(PQL_POLICY_OFF);
    assert_string_equal(setting("policy")->env, "PQ_HYBRID");
}

static void pq_hybrid_alone_is_the_default(void **state)
{
    (void)state;
    VARIABLES("PQ_HYBRID", "1");
    assert_policy(PQL_POLICY_HYBRID);
    assert_string_equal(setting("policy")->env, "PQ_HYBRID");
}

static void the_environment_does_not_weaken_what_it_does_not_contradict(void **state)
{
    (void)state;
    VARIABLES("PQ_HYBRID", "1");
    set_file("[node]\npolicy = \"pq-only\"\n");
    assert_policy(PQL_POLICY_PQ_ONLY);
    assert_null(setting("policy")->alias);
    set_file("[security]\npq_only = true\n");
    assert_policy(PQL_POLICY_PQ_ONLY);
}

static void contradictions_name_both_places(void **state)
{
    (void)state;
    set_file("[security]\npq_only = true\npq_hybrid = false\n");
    assert_refused("f:2:11: pq_only = true and pq_hybrid = false in f:3:13 contradict each other");
    VARIABLES("PQ_ONLY", "yes");
    set_file("[security]\npq_hybrid = false\n");
    assert_refused("f:2:13: pq_hybrid = false and PQ_ONLY=yes in the environment contradict");
    VARIABLES("PQ_ONLY", "yes", "PQ_HYBRID", "off");
    set_file("");
    assert_refused("PQ_ONLY=yes in the environment and PQ_HYBRID=off in the environment");
}

static void an_alias_and_its_option_on_one_level_must_agree(void **state)
{
    (void)state;
    set_file("[common]\npolicy = \"hybrid\"\n[security]\npq_only = true\n");
    assert_refused("f:4:11: pq_only = true and policy = \"hybrid\" in f:2:10 contradict");
    set_file("[common]\npolicy = \"pq-only\"\n[security]\npq_only = true\n");
    assert_policy(PQL_POLICY_PQ_ONLY);
    VARIABLES("PQLINK_NODE_POLICY", "off", "PQ_HYBRID", "true");
    assert_refused("PQ_HYBRID=true in the environment and PQLINK_NODE_POLICY=off in the "
                   "environment contradict");
}

static void named_policies_agree_with_what_they_do(void **state)
{
    (void)state;
    VARIABLES("PQ_ONLY", "1", "PQLINK_NODE_POLICY", "cnsa-2.0");
    assert_policy(PQL_POLICY_CNSA_2_0);
    VARIABLES("PQ_HYBRID", "1");
    set_file("[node]\npolicy = \"pq-only-2026\"\n");
    assert_policy(PQL_POLICY_PQ_ONLY_2026);
    VARIABLES("PQ_ONLY", "1", "PQLINK_NODE_POLICY", "hybrid-2026");
    assert_refused("PQ_ONLY=1 in the environment and PQLINK_NODE_POLICY=hybrid-2026 in the");
    VARIABLES("PQ_HYBRID", "0");
    set_file("[security]\npq_hybrid = false\n[node]\npolicy = \"off-2026\"\n");
    assert_policy(PQL_POLICY_OFF_2026);
}

static void a_boolean_is_one_of_eight_words_and_nothing_else(void **state)
{
    (void)state;
    static const char *const yes[] = {"1", "true", "TRUE", "Yes", "oN"};
    static const char *const no[] = {"0", "false", "FALSE", "No", "oFF"};
    static const char *const neither[] = {"2", "t", "enabled", "true ", "-", "10", "\xff"};
    for (size_t i = 0; i < sizeof(yes) / sizeof(yes[0]); i++) {
        VARIABLES("PQ_HYBRID", yes[i]);
        assert_policy(PQL_POLICY_HYBRID);
        VARIABLES("PQ_HYBRID", no[i]);
        assert_policy(PQL_POLICY_OFF);
    }
    for (size_t i = 0; i < sizeof(neither) / sizeof(neither[0]); i++) {
        VARIABLES("PQ_ONLY", neither[i]);
        assert_refused("in the environment: it must be 1, true, yes or on, or 0, false, no or off");
    }
    VARIABLES("PQ_ONLY", "");
    assert_policy(PQL_POLICY_HYBRID);
}

static void a_bad_value_is_refused_also_where_something_stands_above(void **state)
{
    (void)state;
    pql_error err = {0};
    VARIABLES("PQ_ONLY", "1");
    set_file("[security]\npq_only = \"maybe\"\n");
    assert_refused("f:2:11: pq_only = \"maybe\": it must be 1, true");
    assert_int_equal(parse_typed("hybrid", &err), PQL_E_USAGE);
    set_file("[security]\npq_only = [true]\n");
    assert_refused("it must be one value, not an array");
    set_file("[security]\npq_only = []\n");
    assert_refused("it must be one value, not an array");
}

static void slh_dsa_is_refused_where_there_are_links(void **state)
{
    (void)state;
    set_file("[security]\npq_sign_algo = \"slh-dsa\"\n");
    assert_refused("f:2:16: pq_sign_algo = \"slh-dsa\": no TLS has SLH-DSA certificates");
    VARIABLES("PQ_SIGN_ALGO", "ml-dsa");
    assert_policy(PQL_POLICY_HYBRID);
    VARIABLES("PQ_SIGN_ALGO", "slh-dsa");
    set_file("");
    assert_refused("PQ_SIGN_ALGO=slh-dsa in the environment: no TLS has SLH-DSA");
    VARIABLES("PQ_SIGN_ALGO", "rsa");
    assert_refused("PQ_SIGN_ALGO=rsa in the environment: it must be ml-dsa or slh-dsa");
}

static void commands_without_links_do_not_mind_the_algorithm(void **state)
{
    (void)state;
    pqi_settings other = {0};
    _Alignas(max_align_t) static char out[65536];
    bool help = false;
    const char *const argv[] = {"--dir", "/d"};
    const pqi_sources from = {.argc = 2, .argv = argv, .env = some_env, .load = load_text};
    const pqi_command *keygen = pqi_config_command("keygen");
    VARIABLES("PQ_SIGN_ALGO", "slh-dsa");
    assert_non_null(keygen);
    assert_true(keygen->options_size <= sizeof(out));
    assert_int_equal(pqi_options_parse(keygen, &from, out, &other, &help, NULL), PQL_OK);
    pqi_settings_free(&other);
}

static void unknown_names_of_the_table_are_refused(void **state)
{
    (void)state;
    set_file("[security]\npq_onli = true\n");
    assert_refused("f:2:1: The table [security] has no key 'pq_onli'; did you mean 'pq_only'?");
    set_file("[node]\npq_only = true\n");
    assert_refused("f:2:1: The table [node] has no key 'pq_only'; it belongs to [security].");
    set_file("[common]\npq_hybrid = true\n");
    assert_refused("f:2:1: The table [common] has no key 'pq_hybrid'; it belongs to [security].");
    set_file("[securty]\n");
    assert_refused("f:1:2: There is no table [securty]; did you mean [security]?");
}

static void what_is_shown_names_the_alias(void **state)
{
    (void)state;
    char shown[8192] = "";
    set_file("\n[security]\npq_only = true\n");
    assert_policy(PQL_POLICY_PQ_ONLY);
    FILE *text = fmemopen(shown, sizeof(shown), "w");
    assert_non_null(text);
    pqi_config_show_text(text, &pqi_command_node, &settings);
    (void)fclose(text);
    assert_non_null(strstr(shown, "# f:3 [security] pq_only\n"));
    json_t *json = pqi_config_show_json(&pqi_command_node, &settings);
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(json, "policy"), "alias")), "pq_only");
    json_decref(json);
}

/* ---- The other options, on a command that has them whatever the real ones do ---- */

typedef struct sample {
    uint64_t days;
    bool amnesia;
} sample;

static const pqi_option sample_table[] = {
    {.name = "key-rotation-days",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(sample, days, uint64_t),
     .arg = "N",
     .help = ".",
     .max = 3650,
     .fallback = "0"},
    {.name = "amnesia", .kind = PQI_OPTION_FLAG, .at = PQI_AT(sample, amnesia, bool), .help = "."}};
static const pqi_command sample_command = {
    .name = "sample", PQI_OPTIONS(sample_table), .options_size = sizeof(sample)};

/* Names of a command that the program does not have are not known, so they are not checked. */
static pql_status load_unchecked(pqi_conf **out, const char *typed, pqi_env env, pql_error *err)
{
    (void)typed;
    (void)env;
    return pqi_conf_parse(out, "f", file_text, strlen(file_text), err);
}

static pql_status parse_sample(sample *out, pql_error *err)
{
    bool help = false;
    const pqi_sources from = {.env = some_env, .load = load_unchecked};
    pqi_settings_free(&settings);
    return pqi_options_parse(&sample_command, &from, out, &settings, &help, err);
}

static void assert_sample_refused(const char *message)
{
    sample out;
    pql_error err = {0};
    assert_int_equal(parse_sample(&out, &err), PQL_E_USAGE);
    if (strstr(err.message, message) == NULL) {
        fail_msg("'%s' is not in: %s", message, err.message);
    }
}

static void days_between_rotations_have_an_alias(void **state)
{
    (void)state;
    sample out;
    set_file("[security]\nkey_rotation_days = 90\n");
    assert_int_equal(parse_sample(&out, NULL), PQL_OK);
    assert_int_equal(out.days, 90);
    VARIABLES("KEY_ROTATION_DAYS", "30");
    assert_int_equal(parse_sample(&out, NULL), PQL_OK);
    assert_int_equal(out.days, 30);
    set_file("[security]\nkey_rotation_days = 90\n[sample]\nkey_rotation_days = 90\n");
    assert_int_equal(parse_sample(&out, NULL), PQL_OK);
    VARIABLES("PQLINK_SAMPLE_KEY_ROTATION_DAYS", "7");
    assert_int_equal(parse_sample(&out, NULL), PQL_OK);
    assert_int_equal(out.days, 7);
    VARIABLES("PQLINK_SAMPLE_KEY_ROTATION_DAYS", "7", "KEY_ROTATION_DAYS", "8");
    assert_sample_refused("KEY_ROTATION_DAYS=8 in the environment and ");
}

static void days_that_are_none_are_refused_in_the_words_of_the_alias(void **state)
{
    (void)state;
    set_file("[security]\nkey_rotation_days = \"90\"\n");
    assert_sample_refused("f:2:21: key_rotation_days = \"90\": it must be a whole number from 0 to "
                          "3650, without quotes.");
    set_file("[security]\nkey_rotation_days = 4000\n");
    assert_sample_refused(
        "f:2:21: key_rotation_days = 4000: it must be a whole number from 0 to 3650.");
    set_file("");
    VARIABLES("KEY_ROTATION_DAYS", "soon");
    assert_sample_refused("KEY_ROTATION_DAYS=soon in the environment: it must be a whole number");
}

static void not_to_persist_is_amnesia(void **state)
{
    (void)state;
    sample out;
    VARIABLES("MICRO_PERSIST", "0");
    assert_int_equal(parse_sample(&out, NULL), PQL_OK);
    assert_true(out.amnesia);
    VARIABLES("MICRO_PERSIST", "1");
    assert_int_equal(parse_sample(&out, NULL), PQL_OK);
    assert_false(out.amnesia);
    set_file("[sample]\namnesia = true\n");
    assert_int_equal(parse_sample(&out, NULL), PQL_OK);
    assert_false(out.amnesia);
    VARIABLES("MICRO_PERSIST", "0", "PQLINK_SAMPLE_AMNESIA", "false");
    assert_sample_refused("MICRO_PERSIST=0 in the environment and PQLINK_SAMPLE_AMNESIA=false");
    VARIABLES("MICRO_PERSIST", "perhaps");
    assert_sample_refused("MICRO_PERSIST=perhaps in the environment: it must be 1, true");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(every_combination_of_levels_has_the_policy_that_the_rules_say,
                               reset),
        cmocka_unit_test_setup(pq_only_is_the_policy_pq_only, reset),
        cmocka_unit_test_setup(without_pq_hybrid_the_policy_is_off, reset),
        cmocka_unit_test_setup(pq_hybrid_alone_is_the_default, reset),
        cmocka_unit_test_setup(the_environment_does_not_weaken_what_it_does_not_contradict, reset),
        cmocka_unit_test_setup(contradictions_name_both_places, reset),
        cmocka_unit_test_setup(an_alias_and_its_option_on_one_level_must_agree, reset),
        cmocka_unit_test_setup(named_policies_agree_with_what_they_do, reset),
        cmocka_unit_test_setup(a_boolean_is_one_of_eight_words_and_nothing_else, reset),
        cmocka_unit_test_setup(a_bad_value_is_refused_also_where_something_stands_above, reset),
        cmocka_unit_test_setup(slh_dsa_is_refused_where_there_are_links, reset),
        cmocka_unit_test_setup(commands_without_links_do_not_mind_the_algorithm, reset),
        cmocka_unit_test_setup(unknown_names_of_the_table_are_refused, reset),
        cmocka_unit_test_setup(what_is_shown_names_the_alias, reset),
        cmocka_unit_test_setup(days_between_rotations_have_an_alias, reset),
        cmocka_unit_test_setup(days_that_are_none_are_refused_in_the_words_of_the_alias, reset),
        cmocka_unit_test_setup(not_to_persist_is_amnesia, reset),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
