/* pqlink mine: runs the miner until somebody or something ends it. */
#include "base/clock.h"
#include "base/error.h"
#include "cmd/mine.h"
#include "cmd/mine_admin.h"
#include "cmd/mine_bench.h"
#include "cmd/mine_view.h"
#include "observe/link_observer.h"
#include "store/peers.h"

#include <pqlink/trust.h>

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define TICK_MS 1000

typedef struct program {
    const pqi_mine_options *options;
    pqi_mine_view view;
    pqi_mine_admin admin;
    pqi_store *store; /* with --tofu */
    pql_tofu tofu;
    pqi_mine_service *service;
    int signals; /* signalfd */
    int ended;   /* eventfd: end_status and end_error are set */
    pql_status end_status;
    pql_error end_error;
} program;

/* ---- Memory of --tofu ---- */

static pql_status tofu_get(void *user, const char *name, pql_known_peer *out)
{
    pqi_store_peer peer;
    const pql_status status = pqi_store_peer_get(user, name, &peer, NULL);
    memcpy(out->cert_sha256, peer.fingerprint, sizeof(out->cert_sha256));
    out->was_hybrid = peer.was_hybrid;
    return status;
}

static pql_status tofu_put(void *user, const char *name, const pql_known_peer *peer)
{
    return pqi_store_peer_put(user, name, peer->cert_sha256, peer->was_hybrid, pqi_clock_unix_ms(),
                              NULL);
}

static pql_status open_tofu(program *p, pql_error *err)
{
    if (!p->options->tofu) {
        return PQL_OK;
    }
    p->tofu = (pql_tofu){.get = tofu_get, .put = tofu_put};
    const pql_status status = pqi_store_open(&p->store, p->options->dir.text, err);
    p->tofu.user = p->store;
    return status;
}

/* ---- Signals and the end ---- */

/* Before any thread is started, so that all inherit it. */
static pql_status open_signals(program *p, pql_error *err)
{
    sigset_t ends;
    (void)signal(SIGHUP, SIG_IGN);
    (void)signal(SIGPIPE, SIG_IGN);
    (void)sigemptyset(&ends);
    (void)sigaddset(&ends, SIGINT);
    (void)sigaddset(&ends, SIGTERM);
    (void)pthread_sigmask(SIG_BLOCK, &ends, NULL);
    p->signals = signalfd(-1, &ends, SFD_CLOEXEC | SFD_NONBLOCK);
    p->ended = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (p->signals < 0 || p->ended < 0) {
        return pqi_fail_errno(err, PQL_E_FAILED, errno, "Signals cannot be received");
    }
    return PQL_OK;
}

static void on_ended(void *user, pql_status status, const char *sentence)
{
    program *p = user;
    const uint64_t one = 1;
    p->end_status = status;
    if (status != PQL_OK) {
        (void)pqi_fail(&p->end_error, status, "%s", sentence);
    }
    (void)!write(p->ended, &one, sizeof(one));
}

/* ---- Events go to the view, but the last ---- */

static void on_connected(void *user, const pqi_mine_connected *link)
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

static void on_disconnected(void *user, const pql_close *why)
{
    pqi_mine_view_events.disconnected(&((program *)user)->view, why);
}

static void on_retrying(void *user, uint64_t delay_ns, const pql_close *why)
{
    pqi_mine_view_events.retrying(&((program *)user)->view, delay_ns, why);
}

static const pqi_mine_events events = {.connected = on_connected,
                                       .job = on_job,
                                       .cancelled = on_cancelled,
                                       .found = on_found,
                                       .answered = on_answered,
                                       .disconnected = on_disconnected,
                                       .retrying = on_retrying,
                                       .ended = on_ended};

/* ---- The run ---- */

static pql_status start_service(program *p, pql_error *err)
{
    const pqi_mine_options *o = p->options;
    const pqi_mine_service_opts opts = {
        .url = o->node.text,
        .peer = {.pins = o->pin_count > 0 ? o->pins : NULL,
                 .pin_count = o->pin_count,
                 .ca_file = o->ca_file,
                 .tofu = o->tofu ? &p->tofu : NULL,
                 .insecure = o->insecure},
        .links = {.policy = o->policy,
                  .keylog_file = o->keylog_file,
                  .qlog_dir = o->qlog_dir,
                  .observer = pqi_link_observer(p->admin.pq)},
        .threads = (unsigned)o->threads,
        .max_blocks = o->max_blocks,
        .metrics = p->admin.mine,
        .events = events,
        .user = p,
    };
    return pqi_mine_service_start(&p->service, &opts, err);
}

static pql_status start(program *p, pql_error *err)
{
    pql_status status = open_signals(p, err);
    if (status == PQL_OK) {
        status = pqi_mine_admin_init(&p->admin, p->options, err);
    }
    if (status == PQL_OK) {
        status = open_tofu(p, err);
    }
    if (status == PQL_OK) {
        pqi_mine_view_start(&p->view, p->options);
        status = start_service(p, err);
    }
    if (status == PQL_OK) {
        status = pqi_mine_admin_open(&p->admin, p->service, err);
    }
    return status;
}

/* Once a second until a signal or the service's own end. */
static void wait_for_end(program *p)
{
    struct pollfd wait[] = {{.fd = p->signals, .events = POLLIN},
                            {.fd = p->ended, .events = POLLIN}};
    uint64_t next = pqi_clock_monotonic();
    pqi_mine_status status;
    for (;;) {
        const uint64_t now = pqi_clock_monotonic();
        if (now >= next) {
            next = now + TICK_MS * PQI_NS_PER_MS;
            pqi_mine_service_sample(p->service, now);
            pqi_mine_service_status(p->service, &status);
            pqi_mine_view_tick(&p->view, &status, now);
        }
        if (poll(wait, 2, (int)((next - now) / PQI_NS_PER_MS) + 1) > 0) {
            return;
        }
    }
}

static void finish(program *p)
{
    pqi_mine_status status;
    pqi_mine_admin_close(&p->admin);
    pqi_mine_service_stop(p->service);
    pqi_mine_service_status(p->service, &status);
    pqi_mine_view_end(&p->view, &status, pqi_clock_monotonic());
}

static void clean_up(program *p)
{
    pqi_mine_service_free(p->service);
    pqi_mine_admin_free(&p->admin);
    pqi_store_close(p->store);
    if (p->signals >= 0) {
        (void)close(p->signals);
    }
    if (p->ended >= 0) {
        (void)close(p->ended);
    }
}

pql_status pqi_mine_run(const pqi_mine_options *options, pql_error *err)
{
    program p = {.options = options, .signals = -1, .ended = -1};
    if (options->bench) {
        return pqi_mine_bench(options, err);
    }
    pql_status status = start(&p, err);
    if (status == PQL_OK) {
        wait_for_end(&p);
        finish(&p);
        status = p.end_status;
        if (status != PQL_OK && err != NULL) {
            *err = p.end_error;
        }
    } else if (p.service != NULL) {
        finish(&p);
    }
    clean_up(&p);
    return status;
}
