/* SIGHUP in a node is all or nothing: each of the files broken in turn keeps all others from being
 * taken, and so does a source that does not take the policy.
 * ctest labels: threads */
#include "test.h"

#include "base/file.h"
#include "base/log.h"
#include "base/secret.h"
#include "cmd/config.h"
#include "cmd/config_reload.h"
#include "cmd/node_reload.h"
#include "cmd/security_options.h"
#include "identity/directory.h"
#include "identity_directory.h"
#include "seen.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/mman.h>
#include <unistd.h>

#define ALPN "pqlink-test/1"
#define NOW UINT64_C(1800000000)
#define LINE "sha256:aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* ---- The settings of a command with what can change in a node ---- */

typedef struct sample {
    pqi_security_options security;
} sample;

static const pqi_option table[] = {PQI_OPTION_POLICY(sample), PQI_OPTION_KEY_ROTATION_DAYS(sample)};
static const pqi_command command = {
    .name = "sample", PQI_OPTIONS(table), .options_size = sizeof(sample)};
static const char *settings_text;
static pqi_settings settings;

static const char *no_env(const char *name)
{
    (void)name;
    return NULL;
}

static pql_status load_text(pqi_conf **out, const char *typed, pqi_env env, pql_error *err)
{
    (void)typed;
    (void)env;
    return pqi_conf_parse(out, "node.conf", settings_text, strlen(settings_text), err);
}

static const pqi_sources from = {.env = no_env, .load = load_text};

/* ---- A node without miners ---- */

typedef struct scene {
    char *dir;
    char *clients_file, *tokens_file, *miner_keys, *admin_keys;
    pqi_metrics *metrics;
    pqi_node_caps caps;
    pqi_tokens *tokens;
    pqi_node_rotation rotation;
    pqi_node_clients clients;
    pqi_node_control control;
    pql_context *ctx;
    pqi_node_live live;
    bool source_refuses;
    unsigned source_set, policy_changes, checks;
    int log_fd;
    char log[8192]; /* of the last reload */
} scene;

static void must(pql_status status, const pql_error *err)
{
    if (status != PQL_OK) {
        fail_msg("%s", err->message);
    }
}

static pql_status set_source_policy(void *service, pql_policy policy, pql_error *err)
{
    scene *s = service;
    (void)policy;
    s->source_set++;
    return s->source_refuses ? pqi_fail(err, PQL_E_POLICY, "The source has none of it.") : PQL_OK;
}

static void policy_changed(void *service, pql_policy policy)
{
    scene *s = service;
    assert_int_equal(pql_context_policy(s->ctx), policy);
    s->policy_changes++;
}

static void check_grants(void *service)
{
    ((scene *)service)->checks++;
}

static void put(const char *path, const char *text)
{
    assert_int_equal(pqi_file_write_atomic(path, text, strlen(text), 0600, NULL), PQL_OK);
}

static void put_keys(const char *path, const char *kid)
{
    pql_error err = {0};
    pqi_cap_keys keys = {0};
    pqi_cap_key key;
    must(pqi_cap_key_make(&key, kid, "acme", PQI_CAP_UNSIGNED, &err), &err);
    must(pqi_cap_keys_add(&keys, &key, &err), &err);
    must(pqi_cap_keys_save(&keys, path, true, &err), &err);
    pqi_secret_wipe(&key, sizeof(key));
    pqi_cap_keys_clear(&keys);
}

static char *path_of(const scene *s, const char *name)
{
    return strdup(in_dir(s->dir, name));
}

static void write_first(scene *s)
{
    pql_identity *id = NULL;
    pql_error err = {0};
    s->clients_file = path_of(s, "clients");
    s->tokens_file = path_of(s, "tokens");
    s->miner_keys = path_of(s, "miner-keys");
    s->admin_keys = path_of(s, "admin-keys");
    settings_text = "[sample]\npolicy = \"hybrid\"\n";
    put(s->clients_file, LINE "1\n");
    put(s->tokens_file, "a:one\n");
    put_keys(s->miner_keys, "m1");
    put_keys(s->admin_keys, "a1");
    must(pql_identity_open(&id, s->dir, NULL, &err), &err);
    pql_identity_free(id);
}

/* What the operator wants next: another value of everything. */
static void write_second(const scene *s)
{
    pql_error err = {0};
    const pqi_rotation_opts opts = {.pq = true, .plan = {.keep = 1000}};
    settings_text = "[sample]\npolicy = \"pq-only\"\nkey_rotation_days = 30\n";
    put(s->clients_file, LINE "1\n" LINE "2\n");
    put(s->tokens_file, "b:two\nc:three\n");
    put_keys(s->miner_keys, "m2");
    put_keys(s->admin_keys, "a2");
    must(pqi_rotation_prepare(s->dir, NULL, &opts, &err), &err);
}

static void read_settings(void)
{
    static sample options;
    bool help = false;
    pql_error err = {0};
    must(pqi_options_parse(&command, &from, &options, &settings, &help, &err), &err);
    pqi_config_started(&command, &from, &settings);
}

static void open_parts(scene *s)
{
    pql_error err = {0};
    const pqi_identity_keys keys = {.passphrase_file = NULL};
    const pqi_node_caps_opts caps = {.miner_keys = s->miner_keys, .admin_keys = s->admin_keys};
    must(pqi_metrics_new(&s->metrics, &err), &err);
    must(pqi_node_caps_open(&s->caps, &caps, s->metrics, &err), &err);
    must(pqi_tokens_open(&s->tokens, s->tokens_file, &err), &err);
    must(pqi_node_clients_open(&s->clients, s->clients_file, &err), &err);
    must(pqi_node_rotation_open(&s->rotation, s->dir, &keys, NOW, 1, &err), &err);
    const pql_context_opts context = {.identity = s->rotation.in_use.current, .workers = 1};
    must(pql_context_new(&s->ctx, &context, &err), &err);
    s->live = (pqi_node_live){.caps = &s->caps,
                              .tokens = s->tokens,
                              .rotation = &s->rotation,
                              .clients = &s->clients,
                              .control = &s->control,
                              .ctx = s->ctx,
                              .set_source_policy = set_source_policy,
                              .policy_changed = policy_changed,
                              .check_grants = check_grants,
                              .service = s};
}

static const pql_handlers no_handlers;

static void listen_for_clients(scene *s)
{
    pql_error err = {0};
    const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_listen_opts opts = {.alpn = &alpn,
                                  .alpn_count = 1,
                                  .clients = pqi_node_clients_peer(&s->clients),
                                  .handlers = &no_handlers};
    must(pql_listen(s->ctx, "quic://127.0.0.1:0", &opts, NULL, &err), &err);
}

static int set_up(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    *state = s;
    assert_int_equal(make_dir((void **)&s->dir), 0);
    write_first(s);
    read_settings();
    open_parts(s);
    listen_for_clients(s);
    s->log_fd = memfd_create("log", MFD_CLOEXEC);
    assert_true(s->log_fd >= 0);
    pqi_log_setup(s->log_fd, PQI_LOG_INFO, PQI_LOG_JSON);
    return 0;
}

static int tear_down(void **state)
{
    scene *s = *state;
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_JSON);
    pql_context_free(s->ctx);
    pqi_node_rotation_close(&s->rotation);
    pqi_node_clients_close(&s->clients);
    pqi_tokens_free(s->tokens);
    pqi_node_caps_close(&s->caps);
    pqi_metrics_free(s->metrics);
    pqi_settings_free(&settings);
    pqi_config_started(NULL, &from, NULL);
    (void)remove_dir((void **)&s->dir);
    free(s->clients_file);
    free(s->tokens_file);
    free(s->miner_keys);
    free(s->admin_keys);
    (void)close(s->log_fd);
    free(s);
    return 0;
}

static bool reload(scene *s)
{
    assert_int_equal(ftruncate(s->log_fd, 0), 0);
    assert_int_equal(lseek(s->log_fd, 0, SEEK_SET), 0);
    const bool done = pqi_node_reload(&s->live);
    const ssize_t len = pread(s->log_fd, s->log, sizeof(s->log) - 1, 0);
    assert_true(len >= 0);
    s->log[len] = '\0';
    return done;
}

static void assert_logged(const scene *s, const char *text)
{
    if (strstr(s->log, text) == NULL) {
        fail_msg("'%s' is not in: %s", text, s->log);
    }
}

static bool knows(const scene *s, const char *token)
{
    pqi_token_grant grant;
    return pqi_tokens_match(s->tokens, token, &grant);
}

/* True when |ring| has what stands in |path|. */
static bool has_keys_of(pqi_cap_keyring *ring, const char *path)
{
    pqi_cap_keys keys = {0};
    assert_int_equal(pqi_cap_keys_load(&keys, path, NULL), PQL_OK);
    const bool same = !pqi_cap_keyring_differs(ring, &keys);
    pqi_cap_keys_clear(&keys);
    return same;
}

/* Nothing of write_second is in force.  |broken|: the file of keys that cannot be read now. */
static void assert_first(const scene *s, const char *broken)
{
    assert_int_equal(pql_context_policy(s->ctx), PQL_POLICY_HYBRID);
    assert_int_equal(s->control.policy.settings, PQL_POLICY_HYBRID);
    assert_int_equal(s->rotation.days, 0);
    assert_true(knows(s, "one"));
    assert_false(knows(s, "two"));
    assert_int_equal(s->clients.peer.pin_count, 1);
    assert_null(s->rotation.in_use.next);
    assert_int_equal(s->policy_changes, 0);
    assert_int_equal(s->checks, 0);
    if (broken != s->miner_keys) {
        assert_false(has_keys_of(s->caps.miners, s->miner_keys));
    }
    if (broken != s->admin_keys) {
        assert_false(has_keys_of(s->caps.auth.keys, s->admin_keys));
    }
}

static void assert_second(const scene *s)
{
    assert_int_equal(pql_context_policy(s->ctx), PQL_POLICY_PQ_ONLY);
    assert_int_equal(s->control.policy.settings, PQL_POLICY_PQ_ONLY);
    assert_int_equal(s->rotation.days, 30);
    assert_false(knows(s, "one"));
    assert_true(knows(s, "two"));
    assert_int_equal(s->clients.peer.pin_count, 2);
    assert_non_null(s->rotation.in_use.next);
    assert_true(has_keys_of(s->caps.miners, s->miner_keys));
    assert_true(has_keys_of(s->caps.auth.keys, s->admin_keys));
}

/* The reload of everything is refused, with |why|. */
static void assert_refused(scene *s, const char *why, const char *broken)
{
    assert_false(reload(s));
    assert_logged(s, "\"event\":\"reload_refused\"");
    assert_logged(s, why);
    assert_null(strstr(s->log, "\"event\":\"reloaded\""));
    assert_first(s, broken);
}

/* ---- Tests ---- */

static void all_of_it_is_taken_and_one_line_says_what_changed(void **state)
{
    scene *s = *state;
    write_second(s);
    assert_true(reload(s));
    assert_second(s);
    assert_int_equal(s->source_set, 1);
    assert_int_equal(s->policy_changes, 1);
    assert_logged(s, "\"event\":\"reloaded\",\"changed\":\"policy: hybrid -> pq-only; "
                     "key_rotation_days: 0 -> 30; capability keys of miners: 1 -> 1; capability "
                     "keys of the admin port: 1 -> 1; tokens: 1 -> 2; clients: 1 -> 2; next "
                     "identity: none -> sha256:");
    assert_null(strstr(s->log, "two"));
    assert_null(strstr(s->log, LINE));

    assert_true(reload(s));
    assert_logged(s, "\"event\":\"reloaded\",\"changed\":\"\"");
    assert_int_equal(s->policy_changes, 1);
}

static void settings_with_a_mistake_keep_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    write_second(s);
    settings_text = "[sample]\npolicy = \"pq-onyl\"\nkey_rotation_days = 30\n";
    assert_refused(s, "\"reason\":\"node.conf:2:10: The value 'pq-onyl' of policy", NULL);
}

static void tokens_with_a_mistake_keep_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    write_second(s);
    put(s->tokens_file, "b:two\nno colon\n");
    assert_refused(s, s->tokens_file, NULL);
    assert_logged(s, "Line 2 of ");
}

static void clients_with_a_mistake_keep_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    write_second(s);
    put(s->clients_file, LINE "1\nrack-7\n");
    assert_refused(s, s->clients_file, NULL);
    assert_logged(s, "Line 2 of ");
}

static void keys_of_miners_with_a_mistake_keep_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    write_second(s);
    put(s->miner_keys, "[m2]\nrubbish\n");
    assert_refused(s, s->miner_keys, s->miner_keys);
    assert_logged(s, ":2:");
}

static void keys_that_miners_cannot_satisfy_keep_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    pql_error err = {0};
    pqi_cap_keys keys = {0};
    pqi_cap_key key;
    write_second(s);
    must(pqi_cap_key_make(&key, "m3", "acme", PQI_CAP_ML_DSA_65, &err), &err);
    key.require_signature = true;
    must(pqi_cap_keys_add(&keys, &key, &err), &err);
    must(pqi_cap_keys_save(&keys, s->miner_keys, true, &err), &err);
    assert_refused(s, "too short for signatures", NULL);
    pqi_cap_keys_clear(&keys);
}

static void keys_of_the_admin_port_with_a_mistake_keep_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    write_second(s);
    put(s->admin_keys, "");
    assert_refused(s, s->admin_keys, s->admin_keys);
}

static void an_identity_that_cannot_be_read_keeps_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    write_second(s);
    put(in_dir(s->dir, PQI_IDENTITY_NEXT "/pq-cert.pem"), "rubbish");
    assert_refused(s, PQI_IDENTITY_NEXT "/pq-cert.pem", NULL);
}

static void a_foreign_identity_keeps_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    pql_identity *id = NULL;
    write_second(s);
    remove_tree(in_dir(s->dir, PQI_IDENTITY_NEXT));
    remove_tree(in_dir(s->dir, PQI_IDENTITY_CURRENT));
    assert_int_equal(pql_identity_open(&id, s->dir, NULL, NULL), PQL_OK);
    pql_identity_free(id);
    assert_refused(s, "did not come from 'pqlink rotate'", NULL);
}

static void a_source_that_refuses_the_policy_keeps_all_else_from_being_taken(void **state)
{
    scene *s = *state;
    write_second(s);
    s->source_refuses = true;
    assert_refused(s, "Towards the source: The source has none of it.", NULL);
    assert_int_equal(s->source_set, 1);

    s->source_refuses = false;
    assert_true(reload(s));
    assert_second(s);
}

/* ---- Links when the source does not take a policy ---- */

typedef struct end {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned opened, closed, echoed;
    pql_link *link;
} end;

static void on_open(pql_link *link, void *user)
{
    end *e = user;
    (void)link;
    SEEN(e, e->opened++);
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    end *e = user;
    (void)link;
    (void)why;
    SEEN(e, e->closed++);
}

static void echo(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)user;
    (void)pql_stream_write(stream, data, len, fin);
}

static void on_echo(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    end *e = user;
    (void)stream;
    (void)data;
    (void)len;
    if (fin) {
        SEEN(e, e->echoed++);
    }
}

static void say(pql_link *link, void *arg)
{
    pql_stream *stream = NULL;
    (void)arg;
    if (pql_stream_open(link, &stream, NULL) == PQL_OK) {
        (void)pql_stream_write(stream, "x", 1, true);
    }
}

static const pql_handlers server_handlers = {.stream_data = echo};
static const pql_handlers client_handlers = {
    .link_open = on_open, .link_close = on_close, .stream_data = on_echo};

static pql_context *dial_classically(const scene *s, uint16_t port, end *e)
{
    char url[64];
    pql_error err = {0};
    pql_context *ctx = NULL;
    const pql_context_opts opts = {.policy = PQL_POLICY_OFF, .workers = 1};
    pql_fingerprint pin;
    pql_identity_fingerprint(s->rotation.in_use.current, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts how = {.alpn = ALPN, .handlers = &client_handlers, .user = e};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    must(pql_context_new(&ctx, &opts, &err), &err);
    must(pql_connect(ctx, url, &peer, &how, &e->link, &err), &err);
    WAIT_UNTIL(e, e->opened > 0 || e->closed > 0);
    assert_int_equal(e->opened, 1);
    return ctx;
}

static void a_source_that_refuses_a_policy_costs_no_link_and_a_new_one_may_be_as_weak(void **state)
{
    scene *s = *state;
    end e = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    end late = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};
    pql_listener *open_to_all = NULL;
    const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_listen_opts opts = {.alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers};
    assert_int_equal(pql_listen(s->ctx, "quic://127.0.0.1:0", &opts, &open_to_all, NULL), PQL_OK);
    pql_context *client = dial_classically(s, pql_listener_port(open_to_all), &e);

    settings_text = "[sample]\npolicy = \"pq-only\"\n";
    s->source_refuses = true;
    s->clients.path = NULL; /* this node lets in whoever has the pin */
    assert_false(reload(s));
    assert_logged(s, "Towards the source: The source has none of it.");
    assert_int_equal(pql_context_policy(s->ctx), PQL_POLICY_HYBRID);
    (void)pql_link_run(e.link, say, NULL);
    WAIT_UNTIL(&e, e.echoed > 0 || e.closed > 0);
    assert_int_equal(e.closed, 0);
    pql_context *again = dial_classically(s, pql_listener_port(open_to_all), &late);

    s->source_refuses = false;
    assert_true(reload(s));
    WAIT_UNTIL(&e, e.closed > 0);
    WAIT_UNTIL(&late, late.closed > 0);
    pql_link_unref(e.link);
    pql_link_unref(late.link);
    pql_context_free(client);
    pql_context_free(again);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(all_of_it_is_taken_and_one_line_says_what_changed),
        TEST(settings_with_a_mistake_keep_all_else_from_being_taken),
        TEST(tokens_with_a_mistake_keep_all_else_from_being_taken),
        TEST(clients_with_a_mistake_keep_all_else_from_being_taken),
        TEST(keys_of_miners_with_a_mistake_keep_all_else_from_being_taken),
        TEST(keys_that_miners_cannot_satisfy_keep_all_else_from_being_taken),
        TEST(keys_of_the_admin_port_with_a_mistake_keep_all_else_from_being_taken),
        TEST(an_identity_that_cannot_be_read_keeps_all_else_from_being_taken),
        TEST(a_foreign_identity_keeps_all_else_from_being_taken),
        TEST(a_source_that_refuses_the_policy_keeps_all_else_from_being_taken),
        TEST(a_source_that_refuses_a_policy_costs_no_link_and_a_new_one_may_be_as_weak),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
