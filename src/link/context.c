/* Contexts: workers, and the orderly end of all that lives on them. */
#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/random.h"
#include "link/change.h"
#include "link/internal.h"

#include <errno.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

/* How often a drain looks whether the last link has gone. */
#define DRAIN_STEP (20 * PQI_NS_PER_MS)

static const char ticket_label[] = "pqlink tickets 1";

static unsigned default_workers(void)
{
    const long online = sysconf(_SC_NPROCESSORS_ONLN);
    return online < 1                         ? 1
           : online > PQI_CONTEXT_WORKERS_MAX ? PQI_CONTEXT_WORKERS_MAX
                                              : (unsigned)online;
}

static pql_status start_workers(pql_context *ctx, pql_error *err)
{
    for (unsigned i = 0; i < ctx->worker_count; i++) {
        const pql_status status = pqi_worker_start(&ctx->workers[i].worker, i, err);
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

pql_status pql_context_new(pql_context **out, const pql_context_opts *opts, pql_error *err)
{
    *out = NULL;
    pqi_error_clear(err);
    if ((unsigned)opts->policy >= PQL_POLICY_COUNT) {
        return pqi_fail(err, PQL_E_USAGE, "There is no policy number %u.", (unsigned)opts->policy);
    }
    if (opts->workers > PQI_CONTEXT_WORKERS_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "At most %d workers are possible.",
                        PQI_CONTEXT_WORKERS_MAX);
    }
    pql_context *ctx = calloc(1, sizeof(*ctx));
    if (ctx == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making a context.");
    }
    ctx->opts = *opts;
    atomic_init(&ctx->policy, (unsigned)opts->policy);
    (void)pthread_mutex_init(&ctx->lock, NULL);
    ctx->worker_count = opts->workers != 0 ? opts->workers : default_workers();
    ctx->workers = calloc(ctx->worker_count, sizeof(*ctx->workers));
    ctx->servers = pqi_servers_new();
    if (opts->secret != NULL) {
        memcpy(ctx->secret, opts->secret, sizeof(ctx->secret));
    } else {
        pqi_random(ctx->secret, sizeof(ctx->secret));
    }
    ctx->opts.secret = NULL;
    if (opts->memory != NULL) {
        ctx->memory = *opts->memory;
        ctx->opts.memory = NULL;
    }
    ctx->sessions = pqi_tls_sessions_new();
    const bool derived =
        pqi_hkdf(ctx->ticket_secret, sizeof(ctx->ticket_secret), ctx->secret, sizeof(ctx->secret),
                 NULL, 0, ticket_label, sizeof(ticket_label) - 1);
    pql_status status = pqi_debug_open(ctx, err);
    if (status == PQL_OK) {
        status = ctx->workers == NULL || ctx->sessions == NULL || !derived
                     ? pqi_fail(err, PQL_E_NOMEM, "Out of memory making a context.")
                     : start_workers(ctx, err);
    }
    if (status != PQL_OK) {
        pql_context_free(ctx);
        return status;
    }
    *out = ctx;
    return PQL_OK;
}

static pql_status prepare_all(pql_context *ctx, const pqi_tls_change *change, pql_error *err)
{
    for (pql_listener *l = ctx->listeners; l != NULL; l = l->next) {
        const pql_status status = pqi_quic_tls_prepare(l->tls, change, &l->pending, err);
        if (status != PQL_OK) {
            return status;
        }
    }
    return PQL_OK;
}

/* Publishes what was prepared, or gives it up. */
static void end_preparation(pql_context *ctx, bool publish)
{
    for (pql_listener *l = ctx->listeners; l != NULL; l = l->next) {
        if (publish) {
            pqi_quic_tls_publish(l->tls, l->pending);
        } else {
            pqi_quic_tls_discard(l->pending);
        }
        l->pending = NULL;
    }
}

pql_status pqi_context_prepare(pql_context *ctx, const pqi_context_change *change, pql_error *err)
{
    (void)pthread_mutex_lock(&ctx->lock);
    const bool stays = change->current == NULL;
    const pqi_tls_change tls = {
        .current = stays ? ctx->opts.identity : change->current,
        .other = stays ? ctx->other_identity : change->other,
        .clients = change->clients,
        .policy = change->policy != NULL ? *change->policy : (pql_policy)atomic_load(&ctx->policy)};
    const pql_status status = prepare_all(ctx, &tls, err);
    if (status != PQL_OK) {
        pqi_context_discard(ctx);
    }
    return status;
}

void pqi_context_discard(pql_context *ctx)
{
    end_preparation(ctx, false);
    (void)pthread_mutex_unlock(&ctx->lock);
}

pql_status pql_context_set_identity(pql_context *ctx, pql_identity *current, pql_identity *other,
                                    pql_error *err)
{
    pqi_error_clear(err);
    if (current == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "A context needs an identity to change to.");
    }
    const pqi_context_change change = {.current = current, .other = other};
    const pql_status status = pqi_context_prepare(ctx, &change, err);
    if (status == PQL_OK) {
        pqi_context_publish(ctx, &change);
    }
    return status;
}

pql_policy pql_context_policy(const pql_context *ctx)
{
    return (pql_policy)atomic_load(&ctx->policy);
}

unsigned pql_context_workers(const pql_context *ctx)
{
    return ctx->worker_count;
}

pql_status pql_context_run(pql_context *ctx, unsigned index, void (*fn)(void *arg), void *arg)
{
    return index < ctx->worker_count ? pqi_worker_post(ctx->workers[index].worker, fn, arg)
                                     : PQL_E_USAGE;
}

/* Work that every worker does once, while the caller waits. */
typedef struct round {
    pql_context *ctx;
    unsigned worker;
    void (*fn)(pql_context *ctx, unsigned worker, const void *arg);
    const void *arg;
    sem_t *done;
} round_call;

static void run_round(void *arg)
{
    const round_call *call = arg;
    call->fn(call->ctx, call->worker, call->arg);
    (void)sem_post(call->done);
}

static void on_every_worker(pql_context *ctx,
                            void (*fn)(pql_context *ctx, unsigned worker, const void *arg),
                            const void *arg)
{
    sem_t done;
    (void)sem_init(&done, 0, 0);
    for (unsigned i = 0; i < ctx->worker_count; i++) {
        round_call call = {ctx, i, fn, arg, &done};
        if (ctx->workers[i].worker == NULL) {
            continue;
        }
        while (pqi_worker_post(ctx->workers[i].worker, run_round, &call) == PQL_E_LIMIT) {
            const struct timespec step = {.tv_nsec = (long)DRAIN_STEP};
            (void)nanosleep(&step, NULL);
        }
        while (sem_wait(&done) != 0 && errno == EINTR) {
            continue;
        }
    }
    (void)sem_destroy(&done);
}

static void drain_worker(pql_context *ctx, unsigned worker, const void *arg)
{
    (void)arg;
    for (pqi_port *port = ctx->workers[worker].ports; port != NULL; port = port->next) {
        pqi_quic_endpoint_drain(port->endpoint);
    }
}

static void close_links(pql_context *ctx, unsigned worker, const void *arg)
{
    (void)arg;
    pqi_connect_cancel_all(ctx, worker);
    for (pqi_port *port = ctx->workers[worker].ports; port != NULL; port = port->next) {
        pqi_quic_endpoint_close_all(port->endpoint, 0, "closing");
        pqi_port_kick(port);
    }
}

void pql_context_drain(pql_context *ctx, uint64_t grace_ms)
{
    const uint64_t deadline = pqi_clock_monotonic() + grace_ms * PQI_NS_PER_MS;
    atomic_store(&ctx->draining, true);
    on_every_worker(ctx, drain_worker, NULL);
    while (atomic_load(&ctx->live) > 0 && pqi_clock_monotonic() < deadline) {
        const struct timespec step = {.tv_nsec = (long)DRAIN_STEP};
        (void)nanosleep(&step, NULL);
    }
    on_every_worker(ctx, close_links, NULL);
}

static void enforce_policy(pql_context *ctx, unsigned worker, const void *arg)
{
    (void)arg;
    for (pqi_port *port = ctx->workers[worker].ports; port != NULL; port = port->next) {
        if (pqi_quic_endpoint_enforce(port->endpoint) > 0) {
            pqi_port_kick(port);
        }
    }
}

void pqi_context_publish(pql_context *ctx, const pqi_context_change *change)
{
    const unsigned before = atomic_load(&ctx->policy);
    const unsigned after = change->policy != NULL ? (unsigned)*change->policy : before;
    atomic_store(&ctx->policy, after);
    end_preparation(ctx, true);
    if (change->current != NULL) {
        ctx->opts.identity = change->current;
        ctx->other_identity = change->other;
    }
    (void)pthread_mutex_unlock(&ctx->lock);
    if (before != after) {
        /* What completes from here on is judged by the new policy; what was complete is found. */
        on_every_worker(ctx, enforce_policy, NULL);
    }
}

pql_status pql_context_set_policy(pql_context *ctx, pql_policy policy, pql_error *err)
{
    pqi_error_clear(err);
    if ((unsigned)policy >= PQL_POLICY_COUNT) {
        return pqi_fail(err, PQL_E_USAGE, "There is no policy number %u.", (unsigned)policy);
    }
    const pqi_context_change change = {.policy = &policy};
    const pql_status status = pqi_context_prepare(ctx, &change, err);
    if (status == PQL_OK) {
        pqi_context_publish(ctx, &change);
    }
    return status;
}

static void close_port(pqi_port *port, uint64_t now)
{
    pqi_quic_endpoint_drain(port->endpoint);
    pqi_quic_endpoint_close_all(port->endpoint, 0, "closing");
    pqi_quic_endpoint_flush(port->endpoint, now);
    pqi_quic_endpoint_abandon(port->endpoint, now);
}

static void close_worker(pql_context *ctx, unsigned worker, const void *arg)
{
    (void)arg;
    const uint64_t now = pqi_clock_monotonic();
    pqi_connect_cancel_all(ctx, worker);
    for (pqi_port *port = ctx->workers[worker].ports; port != NULL; port = port->next) {
        close_port(port, now);
    }
    pqi_watch_close(ctx->workers[worker].watch);
    ctx->workers[worker].watch = NULL;
    while (ctx->workers[worker].ports != NULL) {
        pqi_port_free(ctx->workers[worker].ports);
    }
}

static void close_listener(pql_context *ctx, unsigned worker, const void *arg)
{
    for (pqi_port *port = ctx->workers[worker].ports; port != NULL; port = port->next) {
        if (port->listener == arg) {
            close_port(port, pqi_clock_monotonic());
            pqi_port_free(port);
            return;
        }
    }
}

static void do_nothing(pql_context *ctx, unsigned worker, const void *arg)
{
    (void)ctx;
    (void)worker;
    (void)arg;
}

void pqi_context_close_listener(pql_listener *listener)
{
    on_every_worker(listener->ctx, close_listener, listener);
    /* Datagrams that were handed over name it too: calls run in order, so they are through after
     * another round. */
    on_every_worker(listener->ctx, do_nothing, NULL);
}

void pql_context_free(pql_context *ctx)
{
    if (ctx == NULL) {
        return;
    }
    pqi_metrics_detach(ctx->registry, ctx);
    atomic_store(&ctx->closing, true);
    if (ctx->workers != NULL) {
        on_every_worker(ctx, close_worker, NULL);
        for (unsigned i = 0; i < ctx->worker_count; i++) {
            pqi_worker_stop(ctx->workers[i].worker);
        }
    }
    pqi_listeners_free(ctx);
    pqi_debug_close(ctx);
    pqi_servers_free(ctx->servers);
    for (unsigned i = 0; ctx->workers != NULL && i < ctx->worker_count; i++) {
        free(ctx->workers[i].send_buffer);
    }
    free(ctx->workers);
    (void)pthread_mutex_destroy(&ctx->lock);
    pqi_tls_sessions_free(ctx->sessions);
    pqi_secret_wipe(ctx->ticket_secret, sizeof(ctx->ticket_secret));
    pqi_secret_wipe(ctx->secret, sizeof(ctx->secret));
    free(ctx);
}
