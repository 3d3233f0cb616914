/* Connecting: a name becomes addresses, and the addresses are tried one after the other. */
#include "base/clock.h"
#include "base/error.h"
#include "link/internal.h"

#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define DEFAULT_CONNECT_TIMEOUT_MS 10000
#define DEFAULT_IDLE_TIMEOUT_MS 60000
#define DEFAULT_MAX_STREAMS 16
/* Protocols (ALPN) of our own begin with this: their servers have compact certificates. */
#define OWN_PROFILE "pqlink-"
/* One address among several has this long at least, so that a slow one is not given up too soon. */
#define ATTEMPT_MIN (2 * PQI_NS_PER_SEC)

void pqi_connect_free(pqi_connect *connect)
{
    if (connect != NULL) {
        pqi_quic_tls_free(connect->tls);
        free(connect);
    }
}

static void give_up(pql_link *link, pql_status status, const char *sentence)
{
    pql_close why = {.status = status};
    (void)snprintf(why.reason, sizeof(why.reason), "%s", sentence);
    pqi_link_finish(link, &why);
}

/* Time for the next attempt: an equal share of what is left. */
static uint64_t attempt_time(const pqi_connect *connect, uint64_t now)
{
    const uint64_t left = connect->deadline > now ? connect->deadline - now : 0;
    const uint64_t share = left / (connect->address_count - connect->address_at);
    if (share >= ATTEMPT_MIN || share == left) {
        return share;
    }
    return left < ATTEMPT_MIN ? left : ATTEMPT_MIN;
}

/* False when no address is left or time is up; |err| then holds the last failure, if any. */
static bool try_next(pql_link *link, pql_error *err)
{
    pqi_connect *connect = link->connect;
    while (connect->address_at < connect->address_count) {
        const uint64_t time = attempt_time(connect, pqi_clock_monotonic());
        if (time == 0) {
            return false;
        }
        const pqi_address *address = &connect->addresses[connect->address_at++];
        if (pqi_port_connect(link, address, time, err) == PQL_OK) {
            return true;
        }
    }
    return false;
}

bool pqi_connect_again(pql_link *link, const pql_close *why)
{
    pql_error err = {0};
    if (why->status != PQL_E_NETWORK && why->status != PQL_E_TIMEOUT) {
        return false;
    }
    return !atomic_load(&link->ctx->closing) && try_next(link, &err);
}

static void start(pql_link *link)
{
    pql_error err = {0};
    if (!try_next(link, &err)) {
        give_up(link, err.code == PQL_OK ? PQL_E_TIMEOUT : err.code,
                err.code == PQL_OK ? "No address answered in time." : err.message);
    }
}

static void leave_resolving(pql_link *link)
{
    pqi_worker_forget(link->ctx->workers[link->worker].worker, &link->resolve_end);
    if (link->prev_resolving != NULL) {
        link->prev_resolving->next_resolving = link->next_resolving;
    } else {
        link->ctx->workers[link->worker].resolving = link->next_resolving;
    }
    if (link->next_resolving != NULL) {
        link->next_resolving->prev_resolving = link->prev_resolving;
    }
    link->resolver = NULL;
}

static void take_addresses(pqi_connect *connect, const struct addrinfo *list)
{
    for (; list != NULL && connect->address_count < PQI_CONNECT_ADDRESSES; list = list->ai_next) {
        pqi_address *address = &connect->addresses[connect->address_count];
        if (list->ai_addrlen > sizeof(address->sa)) {
            continue;
        }
        memcpy(&address->sa, list->ai_addr, list->ai_addrlen);
        address->len = list->ai_addrlen;
        pqi_address_set_port(address, connect->url.port);
        connect->address_count++;
    }
}

static void on_resolved(uv_getaddrinfo_t *resolver, int status, struct addrinfo *list)
{
    pql_link *link = resolver->data;
    free(resolver);
    if (link == NULL) {
        uv_freeaddrinfo(list);
        return; /* nobody waits for it any more */
    }
    leave_resolving(link);
    if (atomic_load(&link->ctx->closing)) {
        give_up(link, PQL_E_CANCELLED, "The program is ending.");
    } else if (status != 0) {
        char sentence[sizeof(((pql_close *)0)->reason)];
        (void)snprintf(sentence, sizeof(sentence), "The name %.120s has no address: %s.",
                       link->connect->url.host, uv_strerror(status));
        give_up(link, PQL_E_NETWORK, sentence);
    } else {
        take_addresses(link->connect, list);
        start(link);
    }
    uv_freeaddrinfo(list);
}

/* The look-up may go on without its link: one that has begun cannot be stopped. */
static void stop_resolving(pql_link *link, const pql_close *why)
{
    uv_getaddrinfo_t *resolver = link->resolver;
    leave_resolving(link);
    resolver->data = NULL;
    (void)uv_cancel((uv_req_t *)resolver);
    pqi_link_finish(link, why);
}

static void on_resolve_end(pqi_task *task, uint64_t now)
{
    (void)now;
    pql_link *link = (pql_link *)((char *)task - offsetof(pql_link, resolve_end));
    const pql_close late = {.status = PQL_E_TIMEOUT, .reason = "The name look-up took too long."};
    pql_close *early = link->close_early;
    link->close_early = NULL;
    stop_resolving(link, early != NULL ? early : &late);
    free(early);
}

void pqi_connect_abandon(pql_link *link, uint64_t code, const char *reason)
{
    if (link->resolver == NULL || link->close_early != NULL) {
        return;
    }
    link->close_early = calloc(1, sizeof(*link->close_early));
    if (link->close_early != NULL) {
        *link->close_early = (pql_close){.application = true, .code = code};
        (void)snprintf(link->close_early->reason, sizeof(link->close_early->reason), "%s",
                       reason != NULL ? reason : "");
    }
    pqi_worker_kick(link->ctx->workers[link->worker].worker, &link->resolve_end);
}

static void resolve(pql_link *link)
{
    pqi_context_worker *home = &link->ctx->workers[link->worker];
    const struct addrinfo hints = {.ai_socktype = SOCK_DGRAM, .ai_flags = AI_ADDRCONFIG};
    uv_getaddrinfo_t *resolver = calloc(1, sizeof(*resolver));
    if (resolver == NULL) {
        give_up(link, PQL_E_NOMEM, "Out of memory looking up a name.");
        return;
    }
    resolver->data = link;
    if (uv_getaddrinfo(pqi_worker_loop(home->worker), resolver, on_resolved,
                       link->connect->url.host, NULL, &hints) != 0) {
        free(resolver);
        give_up(link, PQL_E_NETWORK, "The name look-up could not be started.");
        return;
    }
    link->resolver = resolver;
    link->prev_resolving = NULL;
    link->next_resolving = home->resolving;
    if (home->resolving != NULL) {
        home->resolving->prev_resolving = link;
    }
    home->resolving = link;
    link->resolve_end.run = on_resolve_end;
    pqi_worker_schedule(home->worker, &link->resolve_end, link->connect->deadline);
}

/* "localhost" is this machine without asking anybody, so that it works where no file of hosts and
 * no name server does ("always return the IP loopback address", RFC 6761 section 6.3). */
static bool take_localhost(pqi_connect *connect)
{
    const uint16_t port = connect->url.port;
    if (strcasecmp(connect->url.host, "localhost") != 0) {
        return false;
    }
    (void)pqi_address_from_literal(&connect->addresses[0], "127.0.0.1", port);
    (void)pqi_address_from_literal(&connect->addresses[1], "::1", port);
    connect->address_count = 2;
    return true;
}

/* On the link's worker. */
static void begin(void *arg)
{
    pql_link *link = arg;
    pqi_connect *connect = link->connect;
    pqi_link_started(link);
    if (atomic_load(&link->ctx->closing)) {
        give_up(link, PQL_E_CANCELLED, "The program is ending.");
    } else if (pqi_address_from_literal(&connect->addresses[0], connect->url.host,
                                        connect->url.port)) {
        connect->address_count = 1;
        start(link);
    } else if (take_localhost(connect)) {
        start(link);
    } else {
        resolve(link);
    }
}

void pqi_connect_cancel_all(pql_context *ctx, unsigned worker)
{
    const pql_close why = {.status = PQL_E_CANCELLED, .reason = "The program is ending."};
    while (ctx->workers[worker].resolving != NULL) {
        stop_resolving(ctx->workers[worker].resolving, &why);
    }
}

static pql_status make_connect(pqi_connect **out, pql_context *ctx, const char *url,
                               const pql_peer *peer, const pql_connect_opts *opts, pql_error *err)
{
    const pql_alpn alpn = {opts->alpn, PQL_LEAF_PQ};
    const pqi_quic_tls_opts tls = {.policy = (pql_policy)atomic_load(&ctx->policy),
                                   .newest_policy = &ctx->policy,
                                   .keylog = ctx->keylog_fd >= 0 ? pqi_debug_keylog : NULL,
                                   .keylog_user = ctx,
                                   .alpn = &alpn,
                                   .alpn_count = 1,
                                   .peer = peer,
                                   .memory = &ctx->memory,
                                   .identity = opts->identity,
                                   .sessions = opts->resume ? ctx->sessions : NULL,
                                   .pq_authentication = opts->pq_authentication};
    const uint64_t timeout_ms =
        opts->connect_timeout_ms != 0 ? opts->connect_timeout_ms : DEFAULT_CONNECT_TIMEOUT_MS;
    const uint64_t idle_ms =
        opts->idle_timeout_ms != 0 ? opts->idle_timeout_ms : DEFAULT_IDLE_TIMEOUT_MS;
    pqi_connect *connect = calloc(1, sizeof(*connect));
    *out = NULL;
    if (connect == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory connecting.");
    }
    pql_status status = pqi_url_parse(&connect->url, url, err);
    if (status == PQL_OK && connect->url.port == 0) {
        status = pqi_fail(err, PQL_E_USAGE,
                          "'%.100s' cannot be connected to: its port may not be 0.", url);
    }
    if (status == PQL_OK && opts->first_flight_copies > PQI_QUIC_COPIES_MAX) {
        status = pqi_fail(err, PQL_E_USAGE, "The first flight can be sent %d times at most.",
                          PQI_QUIC_COPIES_MAX);
    }
    if (status == PQL_OK) {
        status = pqi_quic_tls_new(&connect->tls, &tls, err);
    }
    if (status != PQL_OK) {
        pqi_connect_free(connect);
        return status;
    }
    connect->deadline = pqi_clock_monotonic() + timeout_ms * PQI_NS_PER_MS;
    connect->idle_timeout = idle_ms * PQI_NS_PER_MS;
    connect->keep_alive = opts->keep_alive_ms * PQI_NS_PER_MS;
    connect->copies = opts->first_flight_copies;
    connect->no_token = opts->no_token;
    connect->own_profile = strncmp(opts->alpn, OWN_PROFILE, strlen(OWN_PROFILE)) == 0;
    (void)snprintf(connect->host_port, sizeof(connect->host_port), "%.255s:%u", connect->url.host,
                   (unsigned)connect->url.port);
    connect->max_streams = opts->max_streams != 0 ? opts->max_streams : DEFAULT_MAX_STREAMS;
    *out = connect;
    return PQL_OK;
}

pql_status pql_connect(pql_context *ctx, const char *url, const pql_peer *peer,
                       const pql_connect_opts *opts, pql_link **out, pql_error *err)
{
    pqi_connect *connect = NULL;
    if (out != NULL) {
        *out = NULL;
    }
    pqi_error_clear(err);
    if (atomic_load(&ctx->closing) || atomic_load(&ctx->draining)) {
        return pqi_fail(err, PQL_E_STATE, "The context is closing: no new links are made.");
    }
    pql_status status = make_connect(&connect, ctx, url, peer, opts, err);
    if (status != PQL_OK) {
        return status;
    }
    const unsigned worker = atomic_fetch_add(&ctx->next_worker, 1) % ctx->worker_count;
    pql_link *link = pqi_link_new(ctx, worker, opts->handlers, opts->user);
    if (link == NULL) {
        pqi_connect_free(connect);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory connecting.");
    }
    link->connect = connect;
    pql_link_ref(link); /* the caller's, or given back below */
    (void)atomic_fetch_add(&ctx->live, 1);
    status = pqi_worker_post(ctx->workers[worker].worker, begin, link);
    if (status != PQL_OK) {
        (void)atomic_fetch_sub(&ctx->live, 1);
        pql_link_unref(link);
        pql_link_unref(link);
        return pqi_fail(err, status, "The worker takes no more work at the moment.");
    }
    if (out != NULL) {
        *out = link;
    } else {
        pql_link_unref(link);
    }
    return PQL_OK;
}
