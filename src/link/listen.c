/* Listening: one socket per worker on the same address. */
#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "crypto/random.h"
#include "identity/identity.h"
#include "link/internal.h"

#include <semaphore.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_MAX_LINKS 65536
#define DEFAULT_MAX_UNAUTHENTICATED 1024
/* Half-open handshakes from which strangers have to prove their address first. */
#define DEFAULT_RETRY_THRESHOLD 128
#define DEFAULT_MAX_STREAMS 16
#define DEFAULT_MAX_RECEIVE ((size_t)1 << 20)
#define LEAST_MAX_RECEIVE ((size_t)16 << 10)
#define DEFAULT_IDLE_TIMEOUT_MS 60000
/* With a longer certificate and an ML-DSA-87 signature (4,627 bytes), the first flight does not fit
 * an initial window of 12,000 bytes. */
#define LONG_LEAF 6000
#define HANDSHAKE_TIMEOUT (10 * PQI_NS_PER_SEC)

static size_t or_default(size_t value, size_t fallback)
{
    return value != 0 ? value : fallback;
}

static uint64_t receive_limit(size_t wanted)
{
    return wanted == 0                  ? DEFAULT_MAX_RECEIVE
           : wanted < LEAST_MAX_RECEIVE ? LEAST_MAX_RECEIVE
                                        : wanted;
}

static void fill_endpoint(pql_listener *listener, const pql_listen_opts *opts)
{
    const uint64_t idle_ms = or_default(opts->idle_timeout_ms, DEFAULT_IDLE_TIMEOUT_MS);
    listener->endpoint_opts = (pqi_quic_endpoint_opts){
        .tls = listener->tls,
        .server = true,
        .workers = listener->ctx->worker_count,
        .wall_offset = pqi_clock_unix_offset(pqi_clock_monotonic()),
        .max_links = or_default(opts->max_links, DEFAULT_MAX_LINKS),
        .max_unauthenticated = or_default(opts->max_unauthenticated, DEFAULT_MAX_UNAUTHENTICATED),
        .retry_threshold = or_default(opts->retry_threshold, DEFAULT_RETRY_THRESHOLD),
        .max_links_per_address = opts->max_links_per_address,
        .link_sources = listener->sources,
        .max_streams = (unsigned)or_default(opts->max_streams, DEFAULT_MAX_STREAMS),
        .max_receive = receive_limit(opts->max_receive),
        .wide_window = listener->long_leaf,
        .stream_queue = opts->stream_queue,
        .idle_timeout = idle_ms * PQI_NS_PER_MS,
        .handshake_timeout = HANDSHAKE_TIMEOUT,
    };
    memcpy(listener->endpoint_opts.secret, listener->ctx->secret, PQI_QUIC_SECRET_LEN);
}

static void listener_free(pql_listener *listener)
{
    pqi_quic_tls_free(listener->tls);
    pqi_sources_free(listener->sources);
    pqi_secret_wipe(&listener->endpoint_opts, sizeof(listener->endpoint_opts));
    free(listener);
}

/* Handing a socket to its worker, and waiting for the outcome. */
typedef struct handing {
    pql_listener *listener;
    unsigned worker;
    pqi_udp *udp;
    pql_status status;
    pql_error *err;
    sem_t done;
} handing;

static void take_socket(void *arg)
{
    handing *h = arg;
    h->status = pqi_port_listen(h->listener, h->worker, h->udp, h->err);
    (void)sem_post(&h->done);
}

static pql_status hand_socket(pql_listener *listener, unsigned worker, pqi_udp *udp, pql_error *err)
{
    handing h = {.listener = listener, .worker = worker, .udp = udp, .err = err};
    (void)sem_init(&h.done, 0, 0);
    const pql_status status =
        pqi_worker_post(listener->ctx->workers[worker].worker, take_socket, &h);
    if (status != PQL_OK) {
        pqi_udp_close(udp);
        h.status = pqi_fail(err, status, "The worker takes no more work at the moment.");
    } else {
        while (sem_wait(&h.done) != 0) {
            continue; /* a signal came in between */
        }
    }
    (void)sem_destroy(&h.done);
    return h.status;
}

/* All sockets are bound before any worker serves: the kernel's steering needs the whole group. */
static pql_status bind_all(pql_listener *listener, pqi_address address, pqi_udp **sockets,
                           pql_error *err)
{
    const unsigned count = listener->ctx->worker_count;
    if (pqi_address_port(&address) != 0) {
        /* With SO_REUSEPORT a second program of the same user could share the port: first make
         * sure that nobody else has it. */
        pqi_udp *probe = NULL;
        const pqi_udp_opts alone = {.bind = address};
        const pql_status status = pqi_udp_open(&probe, &alone, err);
        if (status != PQL_OK) {
            return status;
        }
        pqi_udp_close(probe);
    }
    for (unsigned i = 0; i < count; i++) {
        const pqi_udp_opts opts = {.bind = address, .reuse_port = true};
        const pql_status status = pqi_udp_open(&sockets[i], &opts, err);
        if (status != PQL_OK) {
            return status;
        }
        const pqi_address bound = pqi_udp_local(sockets[i]);
        pqi_address_set_port(&address, pqi_address_port(&bound));
    }
    listener->port = pqi_address_port(&address);
    if (count > 1) {
        (void)pqi_udp_steer(sockets[0], count);
    }
    return PQL_OK;
}

/* Hands every worker its socket; those of |sockets| that were not handed over are closed. */
static pql_status hand_all(pql_listener *listener, pqi_udp **sockets, pql_error *err)
{
    pql_status status = PQL_OK;
    for (unsigned i = 0; i < listener->ctx->worker_count; i++) {
        if (status == PQL_OK) {
            status = hand_socket(listener, i, sockets[i], err);
        } else {
            pqi_udp_close(sockets[i]);
        }
    }
    return status;
}

static pql_status open_sockets(pql_listener *listener, const pqi_address *address, pql_error *err)
{
    const unsigned count = listener->ctx->worker_count;
    pqi_udp **sockets = calloc(count, sizeof(pqi_udp *));
    if (sockets == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening sockets.");
    }
    pql_status status = bind_all(listener, *address, sockets, err);
    if (status == PQL_OK) {
        status = hand_all(listener, sockets, err);
        if (status != PQL_OK) {
            pqi_context_close_listener(listener);
        }
    } else {
        for (unsigned i = 0; i < count; i++) {
            pqi_udp_close(sockets[i]);
        }
    }
    free(sockets);
    return status;
}

void pqi_listeners_free(pql_context *ctx)
{
    while (ctx->listeners != NULL) {
        pql_listener *next = ctx->listeners->next;
        listener_free(ctx->listeners);
        ctx->listeners = next;
    }
}

/* Makes the TLS configuration and puts the listener into the context's list: under one lock, so
 * that a change of identity meanwhile comes before or reaches it. */
static pql_status enlist(pql_listener *listener, const pql_listen_opts *opts, pql_error *err)
{
    pql_context *ctx = listener->ctx;
    (void)pthread_mutex_lock(&ctx->lock);
    const pqi_quic_tls_opts tls = {.server = true,
                                   .policy = (pql_policy)atomic_load(&ctx->policy),
                                   .newest_policy = &ctx->policy,
                                   .keylog = ctx->keylog_fd >= 0 ? pqi_debug_keylog : NULL,
                                   .keylog_user = ctx,
                                   .identity = ctx->opts.identity,
                                   .other_identity = ctx->other_identity,
                                   .alpn = opts->alpn,
                                   .alpn_count = opts->alpn_count,
                                   .refusals = opts->refusals,
                                   .refusal_count = opts->refusal_count,
                                   .peer = opts->clients,
                                   .memory = &ctx->memory,
                                   .uncertified = opts->uncertified,
                                   .ticket_secret = opts->tickets ? ctx->ticket_secret : NULL,
                                   .pq_authentication = opts->pq_authentication};
    const pql_status status = pqi_quic_tls_new(&listener->tls, &tls, err);
    if (status == PQL_OK) {
        /* Now: when the lock is gone, the identity may be freed. */
        listener->long_leaf = pqi_identity_leaf_len(ctx->opts.identity, PQL_LEAF_PQ) > LONG_LEAF;
        listener->next = ctx->listeners;
        ctx->listeners = listener;
    }
    (void)pthread_mutex_unlock(&ctx->lock);
    return status;
}

static void delist(pql_listener *listener)
{
    pql_listener **at = &listener->ctx->listeners;
    (void)pthread_mutex_lock(&listener->ctx->lock);
    while (*at != listener) {
        at = &(*at)->next;
    }
    *at = listener->next;
    (void)pthread_mutex_unlock(&listener->ctx->lock);
}

static pql_status make_listener(pql_listener **out, pql_context *ctx, const char *url,
                                const pql_listen_opts *opts, pqi_address *address, pql_error *err)
{
    pql_listener *listener = calloc(1, sizeof(*listener));
    *out = NULL;
    if (listener == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory listening.");
    }
    listener->ctx = ctx;
    listener->handlers = opts->handlers;
    listener->user = opts->user;
    pql_status status = pqi_url_parse(&listener->url, url, err);
    if (status == PQL_OK &&
        !pqi_address_from_literal(address, listener->url.host, listener->url.port)) {
        status = pqi_fail(err, PQL_E_USAGE,
                          "'%.100s' cannot be listened on: write it as quic://ADDRESS:PORT with a "
                          "literal IPv4 or IPv6 address.",
                          url);
    }
    if (status == PQL_OK && opts->max_links_per_address > 0) {
        uint8_t key[16];
        pqi_random(key, sizeof(key));
        listener->sources = pqi_sources_new(key);
        if (listener->sources == NULL) {
            status = pqi_fail(err, PQL_E_NOMEM, "Out of memory listening.");
        }
    }
    if (status == PQL_OK) {
        status = enlist(listener, opts, err); /* last: who is in the list is not freed below */
    }
    if (status != PQL_OK) {
        listener_free(listener);
        return status;
    }
    *out = listener;
    return PQL_OK;
}

pql_status pql_listen(pql_context *ctx, const char *url, const pql_listen_opts *opts,
                      pql_listener **out, pql_error *err)
{
    pqi_address address;
    pql_listener *listener = NULL;
    if (out != NULL) {
        *out = NULL;
    }
    pqi_error_clear(err);
    pql_status status = make_listener(&listener, ctx, url, opts, &address, err);
    if (status != PQL_OK) {
        return status;
    }
    fill_endpoint(listener, opts);
    status = open_sockets(listener, &address, err);
    if (status != PQL_OK) {
        delist(listener);
        listener_free(listener);
        return status;
    }
    if (out != NULL) {
        *out = listener;
    }
    return PQL_OK;
}

pql_status pql_listener_set_clients(pql_listener *listener, const pql_peer *clients, pql_error *err)
{
    pql_context *ctx = listener->ctx;
    pqi_tls_generation *next = NULL;
    pqi_error_clear(err);
    if (clients == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "Nothing says which clients may connect.");
    }
    (void)pthread_mutex_lock(&ctx->lock);
    const pqi_tls_change change = {ctx->opts.identity, ctx->other_identity, clients,
                                   (pql_policy)atomic_load(&ctx->policy)};
    const pql_status status = pqi_quic_tls_prepare(listener->tls, &change, &next, err);
    if (status == PQL_OK) {
        pqi_quic_tls_publish(listener->tls, next);
    }
    (void)pthread_mutex_unlock(&ctx->lock);
    return status;
}

uint16_t pql_listener_port(const pql_listener *listener)
{
    return listener->port;
}
