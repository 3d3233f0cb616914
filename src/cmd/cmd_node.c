/* pqlink node: the miner job, from the options to the last link. */
#include "base/clock.h"
#include "base/secret.h"
#include "cmd/amnesia.h"
#include "cmd/config_reload.h"
#include "cmd/expiry.h"
#include "cmd/known_peers.h"
#include "cmd/manager.h"
#include "cmd/node.h"
#include "cmd/node_caps.h"
#include "cmd/node_clients.h"
#include "cmd/node_control.h"
#include "cmd/node_keys.h"
#include "cmd/node_rotation.h"
#include "cmd/node_upstream.h"
#include "cmd/runtime.h"
#include "crypto/random.h"
#include "link/worker_metrics.h"
#include "miner/auth_files.h"
#include "miner/devchain.h"
#include "miner/node_service.h"
#include "observe/link_observer.h"
#include "store/secrets.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#define SERVICE "node"
/* How long links may take to end in order at a stop. */
#define DRAIN_MS 5000
/* One secret from which Retry, address-token and reset keys are derived. */
#define LINK_SECRET_NAME "quic"
#define LINK_SECRET_LEN 32
/* A start after this age makes a new one.  Old Retry tokens have long expired by then; peers of
 * links from before that start find out by their time-outs instead of a stateless reset. */
#define LINK_SECRET_AGE_MS (UINT64_C(90) * 24 * 3600 * 1000)
#define MS_PER_SEC 1000
/* How often the store is looked at, and tried when it fails. */
#define STORE_LOOK (2 * PQI_NS_PER_SEC)

/* All that a running node owns, in the order in which it is made. */
typedef struct node {
    const pqi_node_options *options;
    pqi_runtime rt;
    pqi_manager manager;
    unsigned ready_identity, ready_store, ready_policy, ready_listener, ready_draining;
    pqi_node_keys keys;
    pqi_node_rotation rotation; /* the identity, and those before and after it */
    pqi_expiry expiry;
    pqi_store *store;
    uint64_t store_look_at;     /* monotonic ns */
    pqi_hybrid_marks *hybrid;   /* pinned peers that had ML-KEM */
    pqi_source *source;         /* the development chain, or that of |upstream| */
    pqi_node_upstream upstream; /* with --source URL */
    pqi_node_metrics *metrics;
    pqi_node_service *service;
    pqi_tokens *tokens;            /* NULL: official miners are not served */
    bool official;                 /* nothing ruled them out at the start */
    pql_fingerprint classical_pin; /* that the file for official miners has */
    pql_context *ctx;
    pql_listener *listeners[PQI_NODE_LISTEN_MAX];
    pqi_node_clients clients;
    pqi_node_caps caps;
    pqi_node_control control;
} node;

/* That of now. */
static pql_policy policy_of(const node *n)
{
    return (pql_policy)atomic_load(&n->rt.policy);
}

static pql_status add_conditions(node *n, pql_error *err)
{
    pqi_health *h = n->rt.health;
    pql_status status = pqi_health_add(h, "identity", "not loaded yet", &n->ready_identity, err);
    if (status == PQL_OK) {
        status = pqi_health_add(h, "store", "not open yet", &n->ready_store, err);
    }
    if (status == PQL_OK) {
        status = pqi_health_add(h, "policy", "not set up yet", &n->ready_policy, err);
    }
    if (status == PQL_OK) {
        status = pqi_health_add(h, "listener", "not bound yet", &n->ready_listener, err);
    }
    if (status == PQL_OK) {
        status = pqi_health_add(h, "not_draining", "", &n->ready_draining, err);
        pqi_health_set_ok(h, n->ready_draining);
    }
    return status;
}

/* A directory with a chain had an identity too.  One that lost it gets no new one: every miner has
 * pinned the old, and a backup may have it. */
static pql_status open_identity(node *n, pql_error *err)
{
    const char *dir = n->options->dir.text;
    if (n->options->security.amnesia) {
        return PQL_OK; /* open_rotation makes one in memory */
    }
    const pql_identity_opts opts = {.must_exist = pqi_store_exists(dir),
                                    .passphrase_file = n->options->passphrase_file};
    pql_identity *id = NULL;
    /* Before any key is made there; the store would say the same a little later. */
    pql_status status = pqi_store_check_directory(dir, err);
    if (status == PQL_OK && n->options->key_process) {
        return pqi_node_keys_open(&n->keys, n->options, opts.must_exist, &n->rt, err);
    }
    if (status == PQL_OK) {
        status = pql_identity_open(&id, dir, &opts, err);
    }
    if (status == PQL_OK && pql_identity_created(id)) {
        pqi_log(PQI_LOG_INFO, SERVICE, "identity_created", PQI_STR("dir", dir));
    }
    pql_identity_free(id);
    return status;
}

static pql_status open_memory_identity(node *n, pql_error *err)
{
    pql_identity *identity = NULL;
    const pql_status status = pqi_amnesia_identity(SERVICE, &identity, err);
    if (status == PQL_OK) {
        pqi_node_rotation_open_memory(&n->rotation, identity);
    }
    return status;
}

/* After the store, so that a second node on the directory changes nothing. */
static pql_status open_rotation(node *n, pql_error *err)
{
    const pqi_identity_keys keys = {.passphrase_file = n->options->passphrase_file};
    const pql_status status =
        n->options->security.amnesia
            ? open_memory_identity(n, err)
            : pqi_node_rotation_open(&n->rotation, n->options->dir.text, &keys,
                                     pqi_clock_unix_ms() / MS_PER_SEC, pqi_clock_monotonic(), err);
    if (status == PQL_OK) {
        if (n->options->key_process) {
            pqi_node_rotation_use_process(&n->rotation, PQI_CHILD_OURSELVES);
        }
        pqi_node_rotation_by_age(&n->rotation, n->options->security.key_rotation_days);
        pqi_health_set_ok(n->rt.health, n->ready_identity);
    }
    return status;
}

static pql_status fill_random(void *user, uint8_t *out, size_t len)
{
    (void)user;
    pqi_random(out, len);
    return PQL_OK;
}

/* On the thread that could not store a block, or could again. */
static void store_changed(void *user, bool ok, const char *reason)
{
    const node *n = user;
    if (ok) {
        pqi_health_set_ok(n->rt.health, n->ready_store);
        pqi_log(PQI_LOG_INFO, SERVICE, "store_works_again", PQI_STR("dir", n->options->dir.text));
    } else {
        pqi_health_set_failed(n->rt.health, n->ready_store, reason);
        pqi_log(PQI_LOG_ERROR, SERVICE, "store_fails", PQI_STR("dir", n->options->dir.text),
                PQI_STR("reason", reason));
    }
}

/* A directory that somebody removed is found out; a disk that failed is tried again: without it
 * /readyz would stay red until the next block. */
static uint64_t tick_store(node *n, uint64_t now)
{
    if (now >= n->store_look_at) {
        n->store_look_at = now + STORE_LOOK;
        if (pqi_store_look(n->store, NULL) == PQL_OK && pqi_store_is_failing(n->store)) {
            (void)pqi_store_probe(n->store, NULL); /* store_changed hears of it */
        }
    }
    return n->store_look_at;
}

static pql_status open_store(node *n, pql_error *err)
{
    const bool amnesia = n->options->security.amnesia;
    const pqi_dir *dir = &n->options->dir;
    pql_status status = pqi_store_open(&n->store, amnesia ? PQI_STORE_MEMORY : dir->text, err);
    if (status == PQL_OK) {
        status = pqi_hybrid_peers_open(&n->hybrid, amnesia ? NULL : dir, SERVICE, err);
    }
    if (status == PQL_OK) {
        pqi_store_watch(n->store, store_changed, n);
        pqi_health_set_ok(n->rt.health, n->ready_store);
    }
    return status;
}

static pql_status open_source(node *n, pql_error *err)
{
    if (n->options->sources.count > 0) {
        const pql_status status =
            pqi_node_upstream_open(&n->upstream, n->options, n->hybrid, &n->rt, err);
        n->source = n->upstream.source;
        return status;
    }
    const pqi_u512 difficulty = pqi_u512_from_u64(n->options->difficulty);
    pqi_devchain_opts opts = {
        .store = n->store, .rules = pqi_difficulty_rules_chain(), .difficulty = difficulty};
    opts.rules.block_time_ms = n->options->block_time_ns / PQI_NS_PER_MS;
    if (pqi_u512_compare(&difficulty, &opts.rules.minimum) < 0) {
        opts.rules.minimum = difficulty; /* somebody typed an easier chain than the real one's */
    }
    return pqi_devchain_new(&n->source, &opts, err);
}

static pql_status open_context(node *n, pql_error *err)
{
    uint8_t secret[LINK_SECRET_LEN];
    const pqi_store_random random = {.fill = fill_random};
    pql_status status = pqi_store_secret(n->store, LINK_SECRET_NAME, &random, pqi_clock_unix_ms(),
                                         secret, sizeof(secret), err);
    if (status == PQL_OK) {
        status = pqi_store_secret_rotate(n->store, LINK_SECRET_NAME, &random, pqi_clock_unix_ms(),
                                         LINK_SECRET_AGE_MS, secret, sizeof(secret), err);
    }
    if (status == PQL_OK) {
        const pql_hybrid_memory memory = pqi_hybrid_marks_memory(n->hybrid);
        const pql_context_opts opts = {.identity = n->rotation.in_use.current,
                                       .memory = &memory,
                                       .policy = n->options->security.policy,
                                       .workers = (unsigned)n->options->workers,
                                       .secret = secret,
                                       .keylog_file = n->options->keylog_file,
                                       .qlog_dir = n->options->qlog_dir,
                                       .observer = pqi_link_observer(n->rt.links)};
        status = pql_context_new(&n->ctx, &opts, err);
    }
    if (status == PQL_OK) {
        status = pqi_worker_metrics(n->ctx, n->rt.metrics, err);
    }
    pqi_secret_wipe(secret, sizeof(secret));
    return status;
}

/* The one token of a node without a list, where the official node keeps it. */
static pql_status open_default_token(node *n, pql_error *err)
{
    pqi_auth_token token;
    const char *dir = n->options->dir.text;
    pql_status status = pqi_auth_token_open(&token, dir, err);
    if (status == PQL_OK) {
        status = pqi_tokens_single(&n->tokens, "default", token.text, err);
    }
    if (status == PQL_OK && token.created) {
        pqi_log(PQI_LOG_INFO, SERVICE, "token_created", PQI_STR("file", PQI_AUTH_TOKEN_FILE),
                PQI_STR("dir", dir));
    }
    if (token.repaired) {
        pqi_log(PQI_LOG_WARN, SERVICE, "token_mode_repaired", PQI_STR("file", PQI_AUTH_TOKEN_FILE),
                PQI_STR("reason", "Others could read the token.  Its mode is 0600 now; remove the "
                                  "file and start again for a new token if they should not know "
                                  "it."));
    }
    pqi_secret_wipe(&token, sizeof(token));
    return status;
}

/* Writes the file that official miners read their pin from, when it is another one than before: at
 * the start, and when a rotation has switched. */
static pql_status write_classical_pin(node *n, pql_error *err)
{
    pql_fingerprint leaf;
    pql_identity_fingerprint(n->rotation.in_use.current, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT,
                             &leaf);
    if (n->options->security.amnesia ||
        memcmp(leaf.sha256, n->classical_pin.sha256, sizeof(leaf.sha256)) == 0) {
        return PQL_OK;
    }
    n->classical_pin = leaf; /* also when it fails: once is enough to be told */
    return pqi_auth_fingerprint_write(n->options->dir.text, leaf.sha256, err);
}

/* Whether everybody who mines has to show a token of a list or a capability. */
static bool token_needed(const pqi_node_options *options)
{
    return options->tokens_file != NULL || options->capability_keys != NULL;
}

/* Why official miners cannot be served under |policy|; NULL when they can. */
static const char *official_obstacle(const pqi_node_options *options, pql_policy policy)
{
    if (pql_policy_needs_pq(policy)) {
        return "The policy requires ML-KEM, and official miners have none.";
    }
    if (options->security.pq_authentication) {
        return "Only proofs by ML-DSA are taken (--authentication), and official miners can prove "
               "no key.";
    }
    if (options->security.amnesia && !token_needed(options)) {
        return "With amnesia no token is written for them. With --tokens FILE they are let in by a "
               "token.";
    }
    return options->clients_file == NULL || token_needed(options)
               ? NULL
               : "Only miners with a listed certificate are let in (--clients), and official "
                 "miners "
                 "have none. With --tokens FILE they are let in by a token.";
}

static void follow_rotation(node *n)
{
    pql_error err = {0};
    if (n->official && official_obstacle(n->options, policy_of(n)) == NULL &&
        write_classical_pin(n, &err) != PQL_OK) {
        pqi_log(PQI_LOG_ERROR, SERVICE, "pin_not_written",
                PQI_STR("file", PQI_AUTH_FINGERPRINT_FILE), PQI_STR("reason", err.message));
    }
}

/* What official miners log in with. */
static pql_status open_tokens(node *n, pql_error *err)
{
    const char *file = n->options->tokens_file;
    if (file != NULL) {
        const pql_status status = pqi_tokens_open(&n->tokens, file, err);
        if (status != PQL_OK) {
            return status;
        }
    }
    n->official = official_obstacle(n->options, n->options->security.policy) == NULL;
    if (!n->official) {
        return PQL_OK;
    }
    /* Where tokens are needed anyway, nothing but those opens the door. */
    const pql_status status = token_needed(n->options) ? PQL_OK : open_default_token(n, err);
    if (status != PQL_OK) {
        return status;
    }
    return write_classical_pin(n, err);
}

static pql_status listen_all(node *n, pql_error *err)
{
    pql_status status = PQL_OK;
    for (size_t i = 0; status == PQL_OK && i < n->options->listen_count; i++) {
        status = pqi_node_service_listen(n->service, n->ctx, n->options->listen[i].text,
                                         &n->listeners[i], err);
    }
    return status;
}

static pqi_node_service_opts service_opts(const node *n)
{
    return (pqi_node_service_opts){
        .source = n->source,
        .metrics = n->metrics,
        .links = n->rt.links,
        .policy = n->options->security.policy,
        .pq_authentication = n->options->security.pq_authentication,
        .tokens = n->tokens,
        .capabilities = n->caps.miners,
        .capability_metrics = n->caps.metrics,
        .token_required = token_needed(n->options),
        .allow_v1 = n->options->allow_v1,
        .share_difficulty = pqi_u512_from_u64(n->options->share_difficulty),
        .max_links_per_address = (unsigned)n->options->max_links_per_address,
        .clients = pqi_node_clients_peer(&n->clients),
    };
}

static pql_status open_service(node *n, pql_error *err)
{
    pql_status status = pqi_node_metrics_new(&n->metrics, n->rt.metrics, err);
    if (status == PQL_OK) {
        status = open_tokens(n, err);
    }
    if (status == PQL_OK) {
        const pqi_node_service_opts opts = service_opts(n);
        status = pqi_node_service_new(&n->service, &opts, err);
    }
    if (status == PQL_OK) {
        status = listen_all(n, err);
    }
    if (status == PQL_OK) {
        status = pqi_node_rotation_start(&n->rotation, n->ctx, n->service, n->metrics, err);
    }
    if (status == PQL_OK) {
        /* The listeners have their TLS settings: the library has what the policy asks for, and the
         * identity fits. */
        pqi_health_set_ok(n->rt.health, n->ready_policy);
        pqi_health_set_ok(n->rt.health, n->ready_listener);
    }
    return status;
}

static pql_status write_status(void *user, pqi_buf *out, pql_error *err)
{
    node *n = user;
    const pql_status status = pqi_node_rotation_status(&n->rotation, out, err);
    return status == PQL_OK ? pqi_node_upstream_status(&n->upstream, out, err) : status;
}

static json_t *keys_json(void *user)
{
    node *n = user;
    return pqi_node_rotation_keys(&n->rotation);
}

/* The same for the status page: bounded, however many miners there are. */
static pql_status write_overview(void *user, pqi_buf *out, pql_error *err)
{
    node *n = user;
    pql_status status = pqi_node_service_overview(n->service, out, err);
    if (status == PQL_OK) {
        status = pqi_node_rotation_add(&n->rotation, out, err);
    }
    return status == PQL_OK ? pqi_node_upstream_status(&n->upstream, out, err) : status;
}

/* All or nothing: what miners get, and what is asked of the source. */
static pql_status set_policy(void *service, pql_policy policy, pql_error *err)
{
    node *n = service;
    pql_status status = pql_context_set_policy(n->ctx, policy, err);
    if (status != PQL_OK) {
        return status;
    }
    status = pqi_node_upstream_set_policy(&n->upstream, policy, err);
    if (status != PQL_OK) {
        /* It was that of the listeners until now, so they take it. */
        (void)pql_context_set_policy(n->ctx, policy_of(n), NULL);
        return status;
    }
    atomic_store(&n->rt.policy, (unsigned)policy);
    pqi_node_service_policy_changed(n->service);
    return PQL_OK;
}

/* What 'pqlink drill' has to know to look at this node as a peer and as its monitoring does. */
static json_t *control_facts(void *service)
{
    const node *n = service;
    pql_fingerprint fp;
    char pin[PQL_FINGERPRINT_SIZE];
    char admin[PQI_HOST_SIZE + sizeof("[]:65535")] = "off";
    json_t *listen = json_array();
    pql_identity_fingerprint(n->rotation.in_use.current, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    pql_fingerprint_format(&fp, pin);
    if (n->rt.admin != NULL) {
        const bool v6 = n->options->admin.host_kind == PQI_HOST_IPV6;
        (void)snprintf(admin, sizeof(admin), "%s%s%s:%u", v6 ? "[" : "", n->options->admin.host,
                       v6 ? "]" : "", (unsigned)pqi_admin_port(n->rt.admin));
    }
    for (size_t i = 0; i < n->options->listen_count; i++) {
        (void)json_array_append_new(listen,
                                    json_pack("{s:s, s:i}", "url", n->options->listen[i].text,
                                              "port", (int)pql_listener_port(n->listeners[i])));
    }
    return json_pack("{s:s, s:s, s:s, s:s, s:o}", "service", SERVICE, "fingerprint", pin, "alpn",
                     pqi_miner_alpn(PQI_MINER_PQ1), "admin", admin, "listen", listen);
}

static pql_status open_control(node *n, pql_error *err)
{
    const pqi_node_control_opts opts = {.dir = n->options->security.amnesia ? NULL
                                                                            : n->options->dir.text,
                                        .rt = &n->rt,
                                        .policy = n->options->security.policy,
                                        .set_policy = set_policy,
                                        .facts = control_facts,
                                        .service = n};
    return pqi_node_control_open(&n->control, &opts, err);
}

static pql_status node_open(node *n, pql_error *err)
{
    pql_status status = pqi_runtime_open(&n->rt, n->options->security.policy, err);
    if (status == PQL_OK) {
        pqi_expiry_register(&n->expiry, SERVICE, n->rt.metrics);
        status = pqi_runtime_amnesia(&n->rt, n->options->security.amnesia, err);
    }
    if (status == PQL_OK) {
        status = add_conditions(n, err);
    }
    if (status == PQL_OK) {
        status = open_identity(n, err);
    }
    if (status == PQL_OK) {
        status = open_store(n, err);
    }
    if (status == PQL_OK) {
        status = open_rotation(n, err);
    }
    if (status == PQL_OK) {
        status = pqi_node_clients_open(&n->clients, n->options->clients_file, err);
    }
    if (status == PQL_OK) {
        const pqi_node_caps_opts opts = {.miner_keys = n->options->capability_keys,
                                         .admin_keys = n->options->admin_capabilities,
                                         .skew_ns = n->options->capability_skew_ns};
        status = pqi_node_caps_open(&n->caps, &opts, n->rt.metrics, err);
        n->rt.auth = pqi_node_caps_auth(&n->caps);
    }
    if (status == PQL_OK) {
        status = open_source(n, err);
    }
    if (status == PQL_OK) {
        status = open_context(n, err);
    }
    if (status == PQL_OK) {
        status = open_service(n, err);
    }
    if (status == PQL_OK) {
        status = pqi_runtime_admin(
            &n->rt, &n->options->admin,
            &(pqi_runtime_views){.service = SERVICE,
                                 .status = write_status,
                                 .overview = write_overview,
                                 .keys = keys_json,
                                 .pq_authentication = n->options->security.pq_authentication,
                                 .user = n},
            err);
    }
    return status == PQL_OK ? open_control(n, err) : status;
}

static void node_close(node *n)
{
    pqi_node_control_close(&n->control);
    pqi_admin_stop(n->rt.admin);
    n->rt.admin = NULL;
    pql_context_free(n->ctx);
    pqi_node_service_free(n->service);
    pqi_tokens_free(n->tokens);
    pqi_node_metrics_free(n->metrics);
    if (n->upstream.source == NULL) {
        pqi_source_destroy(n->source);
    }
    pqi_node_upstream_close(&n->upstream);
    pqi_store_close(n->store);
    pqi_hybrid_marks_free(n->hybrid);
    pqi_node_rotation_close(&n->rotation);
    pqi_node_keys_close(&n->keys);
    pqi_node_clients_close(&n->clients);
    pqi_node_caps_close(&n->caps);
    pqi_runtime_close(&n->rt);
}

static void log_listening(const node *n, size_t i, const char *pin)
{
    char protocols[64] = "";
    const pqi_node_service_opts opts = service_opts(n);
    for (pqi_miner_dialect d = PQI_MINER_PQ1; d < PQI_MINER_DIALECTS; d++) {
        const size_t used = strlen(protocols);
        if (pqi_node_serves(&opts, d)) {
            (void)snprintf(protocols + used, sizeof(protocols) - used, "%s%s", used == 0 ? "" : " ",
                           pqi_miner_alpn(d));
        }
    }
    pqi_log(PQI_LOG_INFO, SERVICE, "listening", PQI_STR("host", n->options->listen[i].host),
            PQI_U64("port", pql_listener_port(n->listeners[i])), PQI_STR("fingerprint", pin),
            PQI_STR("algo", pql_identity_algorithm(n->rotation.in_use.current, PQL_LEAF_PQ)),
            PQI_STR("policy", pql_policy_name(n->options->security.policy)),
            PQI_STR("protocols", protocols), PQI_U64("workers", pql_context_workers(n->ctx)),
            PQI_U64("admin_port", n->rt.admin == NULL ? 0 : pqi_admin_port(n->rt.admin)));
}

static bool listens_on_all(const pqi_url *listen)
{
    return strcmp(listen->host, "0.0.0.0") == 0 || strcmp(listen->host, "::") == 0;
}

/* The words that a miner has to type. */
static void show_how(const node *n, const char *pin)
{
    const pqi_url *listen = &n->options->listen[0];
    const bool all = listens_on_all(listen);
    const bool v6 = listen->host_kind == PQI_HOST_IPV6 && !all;
    (void)fprintf(stderr,
                  "Miners connect with:\n  pqlink mine --node quic://%s%s%s:%u --pin %s%s\n",
                  v6 ? "[" : "", all ? "NAME-OF-THIS-MACHINE" : listen->host, v6 ? "]" : "",
                  (unsigned)pql_listener_port(n->listeners[0]), pin,
                  token_needed(n->options) ? " --token-file FILE" : "");
}

/* The same for official miners, which take an IPv4 address only. */
static void show_how_official(const node *n)
{
    const char *dir = n->options->dir.text;
    const bool list = token_needed(n->options);
    const bool memory = n->options->security.amnesia;
    size_t i = 0;
    while (i < n->options->listen_count && n->options->listen[i].host_kind != PQI_HOST_IPV4) {
        i++;
    }
    if (i == n->options->listen_count) {
        return;
    }
    const pqi_url *listen = &n->options->listen[i];
    (void)fprintf(stderr,
                  "Official miners connect with:\n  quantus-miner serve --node-addr %s:%u "
                  "--auth-token-file %s%s --tls-cert-sha256-file %s%s\n",
                  listens_on_all(listen) ? "ADDRESS-OF-THIS-MACHINE" : listen->host,
                  (unsigned)pql_listener_port(n->listeners[i]), list ? "FILE" : dir,
                  list ? "" : "/" PQI_AUTH_TOKEN_FILE,
                  memory ? "FILE-WITH-FINGERPRINT-CLASSICAL" : dir,
                  memory ? "" : "/" PQI_AUTH_FINGERPRINT_FILE);
}

/* Who is not served, and who may come in unasked: nobody should have to find that out. */
static void shout_protocols(const node *n)
{
    const char *obstacle = official_obstacle(n->options, policy_of(n));
    if (obstacle != NULL) {
        pqi_log(PQI_LOG_INFO, SERVICE, "official_miners_off", PQI_STR("reason", obstacle));
    }
    if (n->options->allow_v1) {
        pqi_runtime_shout(SERVICE, "v1_on",
                          "official miners before v4 are served; they send no token, so whoever "
                          "reaches the port may mine");
    }
}

/* What a miner needs to be told. */
static void announce(const node *n, bool terminal)
{
    pql_fingerprint fp;
    char pin[PQL_FINGERPRINT_SIZE];
    pql_identity_fingerprint(n->rotation.in_use.current, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    pql_fingerprint_format(&fp, pin);
    for (size_t i = 0; i < n->options->listen_count; i++) {
        log_listening(n, i, pin);
    }
    shout_protocols(n);
    if (terminal) {
        const pqi_node_service_opts opts = service_opts(n);
        show_how(n, pin);
        if (pqi_node_serves(&opts, PQI_MINER_V2)) {
            show_how_official(n);
        }
    }
}

static void tell_ready(node *n)
{
    char status[PQI_MANAGER_STATUS_SIZE];
    (void)snprintf(status, sizeof(status), "Serving miners on %s, UDP port %u.",
                   n->options->listen[0].host, pql_listener_port(n->listeners[0]));
    pqi_manager_ready(&n->manager, n->ctx, status);
}

static uint64_t earliest(uint64_t a, uint64_t b)
{
    return a < b ? a : b;
}

/* What holds now, and who is not served under it. */
static void tell_policy(const node *n)
{
    pqi_security_options security = n->options->security;
    const char *obstacle = official_obstacle(n->options, policy_of(n));
    security.policy = policy_of(n);
    pqi_security_log(SERVICE, &security);
    if (obstacle == NULL && !n->official) {
        obstacle = "The policy at the start ruled them out; a restart brings them back.";
    }
    if (obstacle != NULL) {
        pqi_log(PQI_LOG_INFO, SERVICE, "official_miners_off", PQI_STR("reason", obstacle));
    }
}

static void set_rotation_days(void *service, uint64_t days)
{
    node *n = service;
    pqi_node_rotation_by_age(&n->rotation, days);
}

static pql_status set_settings_policy(void *service, pql_policy policy, pql_error *err)
{
    return pqi_node_control_settings(&((node *)service)->control, policy, err);
}

static void reload_settings(node *n)
{
    pqi_security_live live = {
        .set_policy = set_settings_policy, .set_rotation_days = set_rotation_days, .service = n};
    const pql_policy before = policy_of(n);
    (void)pqi_config_reload(SERVICE, &live);
    if (policy_of(n) != before) {
        tell_policy(n);
    }
}

static void reload(node *n)
{
    pqi_manager_reloading(&n->manager, pqi_clock_monotonic());
    reload_settings(n);
    pqi_node_caps_reload(&n->caps);
    pqi_node_service_reload_tokens(n->service);
    pqi_node_rotation_reload(&n->rotation);
    pqi_node_clients_reload(&n->clients, n->listeners, n->options->listen_count);
    tell_ready(n);
}

/* Until a signal, or until no source is left. */
static pql_status serve(node *n, pql_error *err)
{
    for (;;) {
        uint64_t keys = UINT64_MAX;
        pql_status status = pqi_node_upstream_failure(&n->upstream, err);
        if (status == PQL_OK) {
            status = pqi_node_keys_tick(&n->keys, pqi_clock_monotonic(), &keys, err);
        }
        if (status != PQL_OK) {
            return status;
        }
        const uint64_t watchdog = pqi_manager_tick(&n->manager, pqi_clock_monotonic());
        const uint64_t jobs = pqi_node_service_tick(n->service);
        const uint64_t rotation = pqi_node_rotation_tick(
            &n->rotation, pqi_clock_unix_ms() / MS_PER_SEC, pqi_clock_monotonic());
        const uint64_t store = earliest(tick_store(n, pqi_clock_monotonic()), keys);
        const uint64_t control = pqi_node_control_tick(&n->control, pqi_clock_monotonic());
        follow_rotation(n);
        pqi_expiry_look(&n->expiry, n->rotation.in_use.current, pqi_clock_unix_ms() / MS_PER_SEC);
        const uint64_t others = earliest(earliest(watchdog, control), earliest(rotation, store));
        const int signal_number = pqi_runtime_wait_signal(earliest(jobs, others));
        if (signal_number == SIGHUP) {
            reload(n);
        } else if (signal_number != 0) {
            pqi_log(PQI_LOG_INFO, SERVICE, "stopping", PQI_STR("signal", strsignal(signal_number)));
            return PQL_OK;
        }
    }
}

static void stop(node *n)
{
    pqi_node_control_close(&n->control);
    pqi_manager_stopping(&n->manager, "Telling miners to go elsewhere.");
    pqi_health_set_failed(n->rt.health, n->ready_draining, "The node is shutting down.");
    pqi_node_service_drain(n->service);
    pql_context_drain(n->ctx, DRAIN_MS);
    pqi_log(PQI_LOG_INFO, SERVICE, "stopped",
            PQI_U64("blocks", pqi_node_service_blocks(n->service)));
}

pql_status pqi_node_run(const pqi_node_options *options, pql_error *err)
{
    node n = {.options = options};
    const bool terminal = pqi_runtime_log(&options->log);
    pqi_runtime_block_signals();
    pqi_security_log(SERVICE, &options->security);
    pqi_runtime_shout_debug(SERVICE, options->keylog_file, options->qlog_dir);
    pqi_manager_open(&n.manager, SERVICE);
    pql_status status = pqi_amnesia_begin(SERVICE, &options->security, err);
    if (status == PQL_OK) {
        status = node_open(&n, err);
    }
    if (status == PQL_OK) {
        announce(&n, terminal);
        tell_ready(&n);
        status = serve(&n, err);
        stop(&n);
    }
    node_close(&n);
    pqi_manager_close(&n.manager);
    return status;
}
