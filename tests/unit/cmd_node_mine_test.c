/* The options of node and mine arrive in their structs, complete and checked. */
#include "test.h"

#include "base/clock.h"
#include "cmd/help.h"
#include "cmd/mine.h"
#include "cmd/node.h"
#include "cmd/options.h"

#include <stdlib.h>
#include <string.h>

#define PIN "sha256:000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define SPKI_PIN "spki-" PIN

static pqi_node_options node;
static pqi_mine_options mine;

/* These stand in for the real functions, so that the options can be looked at. */
pql_status pqi_node_run(const pqi_node_options *options, pql_error *err)
{
    (void)err;
    node = *options;
    return PQL_OK;
}

pql_status pqi_mine_run(const pqi_mine_options *options, pql_error *err)
{
    (void)err;
    mine = *options;
    return PQL_OK;
}

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static pql_status run(const pqi_command *command, char **argv, int argc, pql_error *err)
{
    static pqi_settings settings; /* the texts in |node| and |mine| live here */
    bool help = false;
    const pqi_sources from = {.argc = argc, .argv = (const char *const *)argv, .env = no_env};
    void *options = calloc(1, command->options_size);
    assert_non_null(options);
    pqi_settings_free(&settings);
    pql_status status = pqi_options_parse(command, &from, options, &settings, &help, err);
    if (status == PQL_OK) {
        status = command->run(options, err);
    }
    free(options);
    return status;
}

#define WORDS(...)                                                                                 \
    ((char *[]){__VA_ARGS__}), (int)(sizeof((char *[]){__VA_ARGS__}) / sizeof(char *))

static void assert_refused(const pqi_command *command, const char *words, char **argv, int argc)
{
    pql_error err = {0};
    assert_int_equal(run(command, argv, argc, &err), PQL_E_USAGE);
    assert_non_null(strstr(err.message, words));
}

static void a_list_of_clients_and_miners_that_prove_nothing_contradict_each_other(void **state)
{
    (void)state;
    assert_refused(&pqi_command_node, "--clients and --allow-v1",
                   WORDS("--clients", "/etc/pqlink/clients", "--allow-v1"));
    assert_int_equal(run(&pqi_command_node, WORDS("--clients", "/etc/pqlink/clients"), NULL),
                     PQL_OK);
    assert_string_equal(node.clients_file, "/etc/pqlink/clients");
}

static void a_miner_shows_who_it_is_only_when_told(void **state)
{
    (void)state;
    assert_int_equal(
        run(&pqi_command_mine, WORDS("--node", "quic://node.example:9833", "--pin", PIN), NULL),
        PQL_OK);
    assert_false(mine.identity);
    assert_int_equal(run(&pqi_command_mine,
                         WORDS("--node", "quic://node.example:9833", "--pin", PIN, "--identity"),
                         NULL),
                     PQL_OK);
    assert_true(mine.identity);
}

static void a_node_without_options_serves_this_machine_only(void **state)
{
    (void)state;
    assert_int_equal(run(&pqi_command_node, NULL, 0, NULL), PQL_OK);
    assert_string_equal(node.listen[0].text, "quic://127.0.0.1:9833");
    assert_string_equal(node.admin.host, "127.0.0.1");
    assert_int_equal(node.admin.port, 9834);
    assert_true(node.source_dev);
    assert_int_equal(node.sources.count, 0);
    assert_int_equal(node.security.policy, PQL_POLICY_HYBRID);
    assert_true(node.block_time_ns == 12 * PQI_NS_PER_SEC);
    assert_int_equal(node.difficulty, 4000000);
    assert_int_equal(node.workers, 0);
    assert_int_equal(node.max_links_per_address, 0);
    assert_int_equal(node.log.format, PQI_LOG_CHOICE_AUTO);
    assert_int_equal(node.log.level, PQI_LOG_INFO);
    assert_null(node.keylog_file);
    assert_null(node.qlog_dir);
    assert_true(strlen(node.dir.text) > 0);
}

static void every_option_of_node_arrives(void **state)
{
    (void)state;
    assert_int_equal(
        run(&pqi_command_node,
            WORDS("--listen", "quic://[::]:1", "--dir", "/d", "--source", "dev", "--block-time",
                  "500ms", "--difficulty", "7", "--policy", "pq-only", "--admin", "off",
                  "--workers", "3", "--max-links-per-address", "5", "--log-format", "json",
                  "--log-level", "debug", "--keylog", "/k", "--qlog", "/q"),
            NULL),
        PQL_OK);
    assert_string_equal(node.listen[0].host, "::");
    assert_string_equal(node.dir.text, "/d");
    assert_true(node.block_time_ns == 500 * PQI_NS_PER_MS);
    assert_int_equal(node.difficulty, 7);
    assert_int_equal(node.security.policy, PQL_POLICY_PQ_ONLY);
    assert_true(node.admin.off);
    assert_int_equal(node.workers, 3);
    assert_int_equal(node.max_links_per_address, 5);
    assert_int_equal(node.log.format, PQI_LOG_CHOICE_JSON);
    assert_int_equal(node.log.level, PQI_LOG_DEBUG);
    assert_string_equal(node.keylog_file, "/k");
    assert_string_equal(node.qlog_dir, "/q");
}

static void a_node_may_have_other_nodes_as_sources(void **state)
{
    (void)state;
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX];
    assert_int_equal(run(&pqi_command_node,
                         WORDS("--source", "quantus://a:1", "--source", "quic://b:2#" SPKI_PIN,
                               "--source-pin-file", "/p", "--source-token-file", "/t"),
                         NULL),
                     PQL_OK);
    pqi_login_list_fill(&node.sources, NULL, nodes);
    assert_false(node.source_dev);
    assert_int_equal(node.sources.count, 2);
    assert_int_equal(nodes[0].dialect, PQI_MINER_V2);
    assert_string_equal(nodes[0].pin_file, "/p");
    assert_int_equal(nodes[1].dialect, PQI_MINER_PQ1);
    assert_null(nodes[1].pin_file);
    assert_int_equal(nodes[1].peer.pins[0].form, PQL_FINGERPRINT_SPKI);
    assert_string_equal(nodes[1].token_file, "/t");
}

static void a_source_may_be_named_by_its_directory(void **state)
{
    (void)state;
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX];
    assert_int_equal(run(&pqi_command_node,
                         WORDS("--source", "quantus://127.0.0.1:1", "--source-dir", "/q"), NULL),
                     PQL_OK);
    pqi_login_list_fill(&node.sources, NULL, nodes);
    assert_string_equal(nodes[0].dir, "/q");
}

static void what_does_not_make_a_source_is_refused(void **state)
{
    (void)state;
    const pqi_command *c = &pqi_command_node;
    assert_refused(c, "does not go together",
                   WORDS("--source", "dev", "--source", "quic://a:1#" PIN));
    assert_refused(c, "give --source", WORDS("--source-pin", PIN));
    assert_refused(c, "Say how the node is recognised", WORDS("--source", "quic://a:1"));
    assert_refused(c, "--source-token-file", WORDS("--source", "quantus://a:1#" PIN));
    assert_refused(c, "one official node", WORDS("--source", "quic://a:1", "--source-dir", "/q"));
    assert_refused(
        c, "give --source-token-file FILE and a pin in each URL (URL#PIN)",
        WORDS("--source", "quantus://a:1", "--source", "quantus://b:1", "--source-dir", "/q"));
    assert_refused(
        c, "give one of them",
        WORDS("--source", "quantus://a:1", "--source-dir", "/q", "--source-token-file", "/t"));
    assert_refused(c, "must begin with", WORDS("--source", "development"));
    assert_refused(c, "fingerprint", WORDS("--source", "quic://a:1", "--source-pin", "00"));
}

static void a_node_listens_on_addresses_only(void **state)
{
    (void)state;
    assert_refused(&pqi_command_node, "must be an IP address",
                   WORDS("--listen", "quic://localhost:9833"));
}

static void a_node_listens_on_several_addresses(void **state)
{
    (void)state;
    assert_int_equal(run(&pqi_command_node,
                         WORDS("--listen", "quic://0.0.0.0:9833", "--listen", "quic://[::]:9833"),
                         NULL),
                     PQL_OK);
    assert_int_equal(node.listen_count, 2);
    assert_string_equal(node.listen[1].text, "quic://[::]:9833");
}

static void a_ninth_address_is_one_too_many(void **state)
{
    enum { WORDS_MAX = 2 * (PQI_NODE_LISTEN_MAX + 1) };
    char *words[WORDS_MAX];
    (void)state;
    for (size_t i = 0; i < WORDS_MAX; i += 2) {
        words[i] = (char *)(uintptr_t)"--listen";
        words[i + 1] = (char *)(uintptr_t)"quic://127.0.0.1:1";
    }
    assert_refused(&pqi_command_node, "at most 8 addresses", words, WORDS_MAX);
}

static void what_official_miners_need_is_typed(void **state)
{
    (void)state;
    assert_int_equal(run(&pqi_command_node,
                         WORDS("--tokens", "/t", "--allow-v1", "--share-difficulty", "1000"), NULL),
                     PQL_OK);
    assert_string_equal(node.tokens_file, "/t");
    assert_true(node.allow_v1);
    assert_int_equal(node.share_difficulty, 1000);
    assert_refused(&pqi_command_node, "--share-difficulty", WORDS("--share-difficulty", "0"));
    assert_refused(&pqi_command_node, "contradict each other",
                   WORDS("--allow-v1", "--policy", "pq-only"));
}

static void a_miner_with_a_pin_is_complete(void **state)
{
    (void)state;
    assert_int_equal(
        run(&pqi_command_mine, WORDS("--node", "quic://node.example:9833", "--pin", PIN), NULL),
        PQL_OK);
    assert_string_equal(mine.login.nodes[0].url.text, "quic://node.example:9833");
    assert_int_equal(mine.login.count, 1);
    assert_int_equal(mine.login.pin_count, 1);
    assert_int_equal(mine.login.pins[0].form, PQL_FINGERPRINT_CERT);
    assert_int_equal(mine.login.pins[0].sha256[31], 0x1f);
    assert_false(mine.login.tofu || mine.login.insecure || mine.bench);
    assert_int_equal(mine.admin.port, 9900);
    assert_int_equal(mine.threads, 0);
    assert_int_equal(mine.max_blocks, 0);
    assert_int_equal(mine.security.policy, PQL_POLICY_HYBRID);
}

static void several_pins_are_kept_up_to_eight(void **state)
{
    (void)state;
    assert_int_equal(run(&pqi_command_mine,
                         WORDS("--node", "quic://a:1", "--pin", PIN, "--pin", SPKI_PIN), NULL),
                     PQL_OK);
    assert_int_equal(mine.login.pin_count, 2);
    assert_int_equal(mine.login.pins[1].form, PQL_FINGERPRINT_SPKI);
    assert_refused(&pqi_command_mine, "at most 8",
                   WORDS("--node", "quic://a:1", "--pin", PIN, "--pin", PIN, "--pin", PIN, "--pin",
                         PIN, "--pin", PIN, "--pin", PIN, "--pin", PIN, "--pin", PIN, "--pin",
                         PIN));
}

static void a_miner_must_be_told_whom_to_trust(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "Say how the node is recognised",
                   WORDS("--node", "quic://a:1"));
}

static void ways_of_trust_exclude_each_other(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "Only one way",
                   WORDS("--node", "quic://a:1", "--pin", PIN, "--insecure"));
    assert_refused(&pqi_command_mine, "Only one way",
                   WORDS("--node", "quic://a:1", "--tofu", "--ca", "/c"));
}

static void a_miner_needs_a_node_or_a_bench(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "--node URL is required", WORDS("--pin", PIN));
    assert_int_equal(run(&pqi_command_mine, WORDS("--bench", "--bench-seconds", "3"), NULL),
                     PQL_OK);
    assert_true(mine.bench);
    assert_int_equal(mine.bench_seconds, 3);
}

static void a_miner_cannot_connect_to_port_zero(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "must not be 0", WORDS("--node", "quic://a:0", "--insecure"));
}

static void a_bad_pin_is_refused(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine,
                   "The value 'sha256:12' of --pin does not fit: A fingerprint is sha256: or",
                   WORDS("--node", "quic://a:1", "--pin", "sha256:12"));
}

static void several_nodes_keep_their_order_and_may_have_pins_of_their_own(void **state)
{
    (void)state;
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX];
    assert_int_equal(run(&pqi_command_mine,
                         WORDS("--node", "quic://a:1", "--node", "quantus://b:2#" PIN "," SPKI_PIN,
                               "--pin", SPKI_PIN, "--token-file", "/t", "--name", "rig-1"),
                         NULL),
                     PQL_OK);
    pqi_login_list_fill(&mine.login, NULL, nodes);
    assert_int_equal(mine.login.count, 2);
    assert_int_equal(nodes[0].dialect, PQI_MINER_PQ1);
    assert_string_equal(nodes[0].url, "quic://a:1");
    assert_int_equal(nodes[0].peer.pin_count, 1);
    assert_int_equal(nodes[1].dialect, PQI_MINER_V2);
    assert_string_equal(nodes[1].url, "quic://b:2");
    assert_string_equal(nodes[1].text, "quantus://b:2");
    assert_int_equal(nodes[1].peer.pin_count, 2);
    assert_string_equal(nodes[1].token_file, "/t");
    assert_string_equal(mine.name, "rig-1");
}

static void nodes_that_all_have_pins_need_no_other_trust(void **state)
{
    (void)state;
    assert_int_equal(run(&pqi_command_mine,
                         WORDS("--node", "quic://a:1#" PIN, "--node", "quic://b:1#" PIN), NULL),
                     PQL_OK);
    assert_refused(&pqi_command_mine, "Say how the node is recognised",
                   WORDS("--node", "quic://a:1#" PIN, "--node", "quic://b:1"));
    assert_refused(&pqi_command_mine, "fingerprint", WORDS("--node", "quic://a:1#sha256:1"));
    assert_refused(&pqi_command_mine, "fingerprint is missing", WORDS("--node", "quic://a:1#"));
}

static void an_official_node_wants_a_token(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "wants a token",
                   WORDS("--node", "quantus://a:1", "--pin", PIN));
    assert_int_equal(run(&pqi_command_mine,
                         WORDS("--node", "quantus://a:1", "--pin-file", "/p", "--token-file", "/t"),
                         NULL),
                     PQL_OK);
    assert_string_equal(mine.login.pin_file, "/p");
}

static void a_node_of_the_first_generation_is_pinned_or_openly_insecure(void **state)
{
    (void)state;
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX];
    assert_refused(&pqi_command_mine, "with a pin or openly insecure only",
                   WORDS("--node", "quantus-v1://a:1", "--tofu"));
    assert_int_equal(run(&pqi_command_mine,
                         WORDS("--node", "quantus-v1://a:1", "--insecure", "--token-file", "/t"),
                         NULL),
                     PQL_OK);
    pqi_login_list_fill(&mine.login, NULL, nodes);
    assert_int_equal(nodes[0].dialect, PQI_MINER_V1);
    assert_null(nodes[0].token_file);
    assert_true(nodes[0].peer.insecure);
}

static void a_ninth_node_is_one_too_many(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "at most 8 nodes",
                   WORDS("--insecure", "--node", "quic://a:1", "--node", "quic://a:2", "--node",
                         "quic://a:3", "--node", "quic://a:4", "--node", "quic://a:5", "--node",
                         "quic://a:6", "--node", "quic://a:7", "--node", "quic://a:8", "--node",
                         "quic://a:9"));
}

static void a_name_is_of_a_small_alphabet(void **state)
{
    (void)state;
    assert_refused(&pqi_command_mine, "1 to 32",
                   WORDS("--node", "quic://a:1", "--insecure", "--name", "a b"));
}

static void ml_dsa_of_peers_contradicts_official_programs(void **state)
{
    (void)state;
    assert_refused(&pqi_command_node, "--clients FILE", WORDS("--authentication", "ml-dsa"));
    assert_refused(&pqi_command_node, "--allow-v1",
                   WORDS("--authentication", "ml-dsa", "--clients", "f", "--allow-v1"));
    assert_refused(&pqi_command_node, "quantus://a:1",
                   WORDS("--authentication", "ml-dsa", "--clients", "f", "--source",
                         "quantus://a:1", "--source-token-file", "t", "--source-pin-file", "p"));
    assert_refused(&pqi_command_mine, "quantus://a:1",
                   WORDS("--authentication", "ml-dsa", "--node", "quantus://a:1", "--token-file",
                         "t", "--pin-file", "p"));
}

static void authentication_is_any_unless_ml_dsa_is_asked_for(void **state)
{
    (void)state;
    assert_int_equal(run(&pqi_command_mine, WORDS("--node", "quic://a:1", "--insecure"), NULL),
                     PQL_OK);
    assert_false(mine.security.pq_authentication);
    assert_int_equal(run(&pqi_command_mine,
                         WORDS("--node", "quic://a:1", "--insecure", "--authentication", "ml-dsa"),
                         NULL),
                     PQL_OK);
    assert_true(mine.security.pq_authentication);
    assert_refused(&pqi_command_mine, "any, ml-dsa",
                   WORDS("--node", "quic://a:1", "--insecure", "--authentication", "rsa"));
}

static void choices_stand_in_the_order_of_their_enums(void **state)
{
    (void)state;
    for (unsigned i = 0; pqi_policy_names[i] != NULL; i++) {
        assert_string_equal(pqi_policy_names[i], pql_policy_name((pql_policy)i));
    }
    assert_string_equal(pqi_log_level_names[PQI_LOG_ERROR], "error");
    assert_string_equal(pqi_log_format_names[PQI_LOG_CHOICE_JSON], "json");
}

static void descriptions_fit_and_name_the_default(void **state)
{
    (void)state;
    const pqi_command *const commands[] = {&pqi_command_node, &pqi_command_mine};
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < commands[c]->option_count; i++) {
            const pqi_option *o = &commands[c]->options[i];
            char text[PQI_DESCRIBE_SIZE];
            pqi_option_describe(o, text);
            assert_true(strlen(text) < sizeof(text) - 1);
            assert_true(o->fallback == NULL || strstr(text, o->fallback) != NULL);
            assert_true(o->env == NULL || strstr(text, o->env) != NULL);
        }
    }
}

/* The rest, the policy among it, may stand in the file and in a variable of its own name, which
 * nobody sets by accident; `config show` says where each came from. */
static void what_shows_secrets_or_checks_nobody_has_to_be_typed(void **state)
{
    (void)state;
    const char *const typed[] = {"insecure", "keylog", "qlog"};
    const pqi_command *const commands[] = {&pqi_command_node, &pqi_command_mine};
    unsigned found = 0;
    for (size_t c = 0; c < 2; c++) {
        for (size_t i = 0; i < commands[c]->option_count; i++) {
            const pqi_option *o = &commands[c]->options[i];
            for (size_t t = 0; t < sizeof(typed) / sizeof(typed[0]); t++) {
                if (strcmp(o->name, typed[t]) == 0) {
                    assert_null(o->env);
                    assert_true(o->typed_only);
                    found++;
                }
            }
        }
    }
    assert_int_equal(found, 5); /* a node has no insecure */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_of_clients_and_miners_that_prove_nothing_contradict_each_other),
        cmocka_unit_test(a_miner_shows_who_it_is_only_when_told),
        cmocka_unit_test(a_node_without_options_serves_this_machine_only),
        cmocka_unit_test(every_option_of_node_arrives),
        cmocka_unit_test(a_node_may_have_other_nodes_as_sources),
        cmocka_unit_test(a_source_may_be_named_by_its_directory),
        cmocka_unit_test(what_does_not_make_a_source_is_refused),
        cmocka_unit_test(a_node_listens_on_addresses_only),
        cmocka_unit_test(a_node_listens_on_several_addresses),
        cmocka_unit_test(a_ninth_address_is_one_too_many),
        cmocka_unit_test(what_official_miners_need_is_typed),
        cmocka_unit_test(a_miner_with_a_pin_is_complete),
        cmocka_unit_test(several_pins_are_kept_up_to_eight),
        cmocka_unit_test(a_miner_must_be_told_whom_to_trust),
        cmocka_unit_test(ways_of_trust_exclude_each_other),
        cmocka_unit_test(a_miner_needs_a_node_or_a_bench),
        cmocka_unit_test(a_miner_cannot_connect_to_port_zero),
        cmocka_unit_test(a_bad_pin_is_refused),
        cmocka_unit_test(several_nodes_keep_their_order_and_may_have_pins_of_their_own),
        cmocka_unit_test(nodes_that_all_have_pins_need_no_other_trust),
        cmocka_unit_test(an_official_node_wants_a_token),
        cmocka_unit_test(a_node_of_the_first_generation_is_pinned_or_openly_insecure),
        cmocka_unit_test(a_ninth_node_is_one_too_many),
        cmocka_unit_test(a_name_is_of_a_small_alphabet),
        cmocka_unit_test(ml_dsa_of_peers_contradicts_official_programs),
        cmocka_unit_test(authentication_is_any_unless_ml_dsa_is_asked_for),
        cmocka_unit_test(choices_stand_in_the_order_of_their_enums),
        cmocka_unit_test(descriptions_fit_and_name_the_default),
        cmocka_unit_test(what_shows_secrets_or_checks_nobody_has_to_be_typed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
