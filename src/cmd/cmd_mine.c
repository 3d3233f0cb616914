/* pqlink mine: runs the miner until somebody or something ends it. */
#include "base/clock.h"
#include "base/error.h"
#include "cmd/amnesia.h"
#include "cmd/config_reload.h"
#include "cmd/expiry.h"
#include "cmd/fingerprint.h"
#include "cmd/known_peers.h"
#include "cmd/manager.h"
#include "cmd/mine.h"
#include "cmd/mine_bench.h"
#include "cmd/mine_status.h"
#include "cmd/mine_view.h"
#include "cmd/runtime.h"
#include "observe/link_observer.h"

#include <pqlink/trust.h>

#include <signal.h>
#include <stdatomic.h>
#include <string.h>

#define TICK PQI_NS_PER_SEC
#define MS_PER_SEC 1000

/* All that a running miner owns, in the order in which it is made. */
typedef struct program {
    const pqi_mine_options *options;
    pqi_mine_view view;
    pqi_runtime rt;
    pqi_manager manager;
    unsigned ready_started, ready_hashing;
    pqi_mine_metrics *metrics;
    pqi_store *store; /* with --tofu */
    pql_tofu tofu;
    pqi_hybrid_marks *hybrid; /* pinned nodes that had ML-KEM; as links want it: */
    pql_hybrid_memory memory;
    pqi_login_opts nodes[PQI_FAILOVER_NODES_MAX];
    pql_identity *identity; /* with --identity */
    pqi_expiry expiry;
    pqi_mine_service *service;
    atomic_bool ended; /* end_status and end_error are set */
    pql_status end_status;
    pql_error end_error;
} program;

/* ---- Memory of --tofu ---- */

static pql_status open_tofu(program *p, pql_error *err)
{
    if (!p->options->login.tofu) {
        return PQL_OK;
    }
    const pql_status status = pqi_known_peers_open(&p->store, &p->options->dir, err);
    p->tofu = pqi_known_peers_tofu(p->store);
    return status;
}

/* ---- Identity ---- */

static pql_status open_identity(program *p, pql_error *err)
{
    pql_fingerprint fp;
    char text[PQL_FINGERPRINT_SIZE];
    if (!p->options->identity) {
        return PQL_OK;
    }
    if (p->options->security.amnesia) {
        return pqi_amnesia_identity("mine", &p->identity, err);
    }
    const char *dir = p->options->dir.text;
    const pql_identity_opts opts = {.passphrase_file = p->options->passphrase_file};
    const pql_status status = pql_identity_open(&p->identity, dir, &opts, err);
    if (status != PQL_OK) {
        return status;
    }
    pql_identity_fingerprint(p->identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    pql_fingerprint_format(&fp, text);
    pqi_log(PQI_LOG_INFO, "mine",
            pql_identity_created(p->identity) ? "identity_created" : "identity",
            PQI_STR("dir", dir), PQI_STR("fingerprint", text));
    return PQL_OK;
}

/* ---- Events go to the view, but the last ---- */

static void on_connected(void *user, const pqi_client_connected *link)
{
    pqi_mine_view_events.connected(&((program *)user)->view, link);
}

static void on_job(void *user, const pqi_miner_job *job)
{
    pqi_mine_view_events.job(&((program *)user)->view, job);
}

static void on_cancelled(void *user, const char *reason)
{
    pqi_mine_view_events.cancelled(&((program *)user)->view, reason);
}

static void on_found(void *user, const pqi_solution *solution)
{
    pqi_mine_view_events.found(&((program *)user)->view, solution);
}

static void on_answered(void *user, const pqi_miner_ack *ack)
{
    pqi_mine_view_events.answered(&((program *)user)->view, ack);
}

static void on_rotation(void *user, unsigned node, const pqi_miner_rotation *rotation)
{
    pqi_mine_view_events.rotation(&((program *)user)->view, node, rotation);
}

static void on_disconnected(void *user, const pql_close *why)
{
    pqi_mine_view_events.disconnected(&((program *)user)->view, why);
}

static void on_retrying(void *user, const pqi_client_trouble *what)
{
    pqi_mine_view_events.retrying(&((program *)user)->view, what);
}

static void on_given_up(void *user, const pqi_client_trouble *what)
{
    pqi_mine_view_events.given_up(&((program *)user)->view, what);
}

static void on_pins_changed(void *user, const pqi_client_pins *pins)
{
    pqi_mine_view_events.pins_changed(&((program *)user)->view, pins);
}

static void on_ended(void *user, pql_status status, const char *sentence)
{
    program *p = user;
    p->end_status = status;
    if (status != PQL_OK) {
        (void)pqi_fail(&p->end_error, status, "%s", sentence);
    }
    atomic_store(&p->ended, true);
    pqi_runtime_wake(&p->rt);
}

static const pqi_mine_events events = {.connected = on_connected,
                                       .job = on_job,
                                       .cancelled = on_cancelled,
                                       .found = on_found,
                                       .answered = on_answered,
                                       .rotation = on_rotation,
                                       .disconnected = on_disconnected,
                                       .retrying = on_retrying,
                                       .given_up = on_given_up,
                                       .pins_changed = on_pins_changed,
                                       .ended = on_ended};

/* ---- The run ---- */

static pql_status start_service(program *p, pql_error *err)
{
    const pqi_mine_options *o = p->options;
    const pqi_mine_service_opts opts = {
        .nodes = p->nodes,
        .node_count = o->login.count,
        .timing = {.probe = o->login.probe_ns},
        .name = o->name,
        .identity = p->identity,
        .workers = p->rt.metrics,
        .links = {.policy = o->security.policy,
                  .memory = &p->memory,
                  .keylog_file = o->keylog_file,
                  .qlog_dir = o->qlog_dir,
                  .observer = pqi_link_observer(p->rt.links)},
        .pq_authentication = o->security.pq_authentication,
        .threads = (unsigned)o->threads,
        .max_blocks = o->max_blocks,
        .metrics = p->metrics,
        .events = events,
        .user = p,
    };
    pqi_login_list_fill(&o->login, &p->tofu, p->nodes);
    return pqi_mine_service_start(&p->service, &opts, err);
}

static pql_status open_runtime(program *p, pql_error *err)
{
    pql_status status = pqi_runtime_open(&p->rt, p->options->security.policy, err);
    if (status == PQL_OK) {
        pqi_expiry_register(&p->expiry, "mine", p->rt.metrics);
        status = pqi_runtime_amnesia(&p->rt, p->options->security.amnesia, err);
    }
    if (status == PQL_OK) {
        status = pqi_expiry_roots(&p->expiry, p->options->login.ca_file, err);
    }
    if (status == PQL_OK) {
        status = pqi_mine_metrics_new(&p->metrics, p->rt.metrics, err);
    }
    if (status == PQL_OK) {
        status = pqi_health_add(p->rt.health, "started", "The miner is starting.",
                                &p->ready_started, err);
    }
    if (status == PQL_OK) {
        status = pqi_health_add(p->rt.health, "hashing_threads", "No hashing thread runs.",
                                &p->ready_hashing, err);
    }
    return status;
}

static pql_status write_status(void *user, pqi_buf *out, pql_error *err)
{
    program *p = user;
    pqi_mine_status status;
    pqi_mine_service_status(p->service, &status);
    return pqi_mine_status_json(&status, pqi_mine_node_shown(&status, p->options),
                                pqi_clock_monotonic(), out, err);
}

static json_t *keys_json(void *user)
{
    const program *p = user;
    return p->identity == NULL ? json_null() : pqi_fingerprint_json(p->identity);
}

static pql_status open_all(program *p, pql_error *err)
{
    pql_status status = open_runtime(p, err);
    if (status == PQL_OK) {
        status = open_tofu(p, err);
    }
    if (status == PQL_OK) {
        status = pqi_hybrid_peers_open(
            &p->hybrid, p->options->security.amnesia ? NULL : &p->options->dir, "mine", err);
        p->memory = pqi_hybrid_marks_memory(p->hybrid);
    }
    if (status == PQL_OK) {
        status = open_identity(p, err);
    }
    if (status == PQL_OK) {
        status = start_service(p, err);
    }
    if (status == PQL_OK) {
        pqi_health_set_ok(p->rt.health, p->ready_hashing);
        status = pqi_runtime_admin(
            &p->rt, &p->options->admin,
            &(pqi_runtime_views){.service = "mine",
                                 .status = write_status,
                                 .overview = write_status,
                                 .keys = keys_json,
                                 .pq_authentication = p->options->security.pq_authentication,
                                 .user = p},
            err);
    }
    if (status == PQL_OK) {
        pqi_health_set_ok(p->rt.health, p->ready_started);
    }
    return status;
}

static void announce(program *p)
{
    pqi_mine_status status;
    pqi_mine_service_status(p->service, &status);
    pqi_log(PQI_LOG_INFO, "mine", "started", PQI_U64("threads", status.threads),
            PQI_STR("backend", status.backend),
            PQI_U64("admin_port", p->rt.admin == NULL ? 0 : pqi_admin_port(p->rt.admin)));
}

static pql_status set_policy(void *service, pql_policy policy, pql_error *err)
{
    program *p = service;
    const pql_status status = pqi_mine_service_set_policy(p->service, policy, err);
    if (status == PQL_OK) {
        atomic_store(&p->rt.policy, (unsigned)policy);
    }
    return status;
}

static void reload_settings(program *p)
{
    pqi_security_options security = p->options->security;
    pqi_security_live live = {.set_policy = set_policy, .service = p};
    const unsigned before = atomic_load(&p->rt.policy);
    (void)pqi_config_reload_alone("mine", &live);
    security.policy = (pql_policy)atomic_load(&p->rt.policy);
    if ((unsigned)security.policy != before) {
        pqi_security_log("mine", &security);
    }
}

static void reload(program *p)
{
    pqi_mine_status status;
    pqi_manager_reloading(&p->manager, pqi_clock_monotonic());
    reload_settings(p);
    pqi_mine_service_status(p->service, &status);
    pqi_manager_ready(&p->manager, NULL, pqi_mine_state_name(&status));
}

/* Once a second until a signal or the service's own end. */
static void serve(program *p)
{
    pqi_mine_status status;
    pqi_manager_ready(&p->manager, NULL, "starting");
    while (!atomic_load(&p->ended)) {
        const uint64_t now = pqi_clock_monotonic();
        pqi_mine_service_sample(p->service, now);
        pqi_expiry_look(&p->expiry, p->identity, pqi_clock_unix_ms() / MS_PER_SEC);
        pqi_mine_service_status(p->service, &status);
        pqi_mine_view_tick(&p->view, &status, now);
        pqi_manager_status(&p->manager, pqi_mine_state_name(&status));
        const uint64_t watchdog = pqi_manager_tick(&p->manager, now);
        const int signal_number =
            pqi_runtime_wait_signal(watchdog < now + TICK ? watchdog : now + TICK);
        if (signal_number == SIGINT || signal_number == SIGTERM) {
            return;
        }
        if (signal_number == SIGHUP && !atomic_load(&p->ended)) {
            reload(p);
        }
    }
}

static void stop(program *p)
{
    pqi_mine_status status;
    pqi_manager_stopping(&p->manager, "stopping");
    pqi_health_set_failed(p->rt.health, p->ready_started, "The miner is stopping.");
    pqi_mine_service_stop(p->service);
    pqi_mine_service_status(p->service, &status);
    pqi_mine_view_end(&p->view, &status, pqi_clock_monotonic());
}

static void close_all(program *p)
{
    pqi_admin_stop(p->rt.admin);
    p->rt.admin = NULL;
    pqi_mine_service_free(p->service);
    pql_identity_free(p->identity);
    pqi_store_close(p->store);
    pqi_hybrid_marks_free(p->hybrid);
    pqi_mine_metrics_free(p->metrics);
    pqi_runtime_close(&p->rt);
}

pql_status pqi_mine_run(const pqi_mine_options *options, pql_error *err)
{
    program p = {.options = options};
    if (options->bench) {
        return pqi_mine_bench(options, err);
    }
    pqi_runtime_block_signals();
    pqi_mine_view_start(&p.view, options);
    pqi_security_log("mine", &options->security);
    pqi_manager_open(&p.manager, "mine");
    pql_status status = pqi_amnesia_begin("mine", &options->security, err);
    if (status == PQL_OK) {
        status = open_all(&p, err);
    }
    if (status == PQL_OK) {
        announce(&p);
        serve(&p);
        stop(&p);
        status = p.end_status;
        if (status != PQL_OK && err != NULL) {
            *err = p.end_error;
        }
    }
    close_all(&p);
    pqi_manager_close(&p.manager);
    return status;
}
