/* Which datagram belongs to which connection, and whose turn it is. */
#include "quic/endpoint.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/secret.h"
#include "quic/internal.h"

#include <stdlib.h>
#include <string.h>

pqi_quic_endpoint *pqi_quic_endpoint_new(const pqi_quic_endpoint_opts *opts)
{
    uint8_t key[16];
    pqi_quic_endpoint *endpoint = calloc(1, sizeof(*endpoint));
    if (endpoint == NULL) {
        return NULL;
    }
    endpoint->opts = *opts;
    pqi_endpoint_random(endpoint, key, sizeof(key));
    endpoint->map = pqi_cid_map_new(key);
    endpoint->own_buffer = opts->buffer == NULL ? malloc(PQI_QUIC_BUFFER) : NULL;
    endpoint->buffer = opts->buffer == NULL ? endpoint->own_buffer : opts->buffer;
    if (opts->server) {
        endpoint->unproven = pqi_sources_new(key);
        endpoint->proven = pqi_sources_new(key);
    }
    if (endpoint->map == NULL || endpoint->buffer == NULL ||
        (opts->server && (endpoint->unproven == NULL || endpoint->proven == NULL))) {
        pqi_quic_endpoint_free(endpoint);
        return NULL;
    }
    return endpoint;
}

void pqi_quic_endpoint_free(pqi_quic_endpoint *endpoint)
{
    if (endpoint == NULL) {
        return;
    }
    while (endpoint->conns != NULL) {
        pqi_conn_free(endpoint->conns);
    }
    pqi_starts_free(endpoint);
    pqi_heap_free(&endpoint->timers);
    pqi_cid_map_free(endpoint->map);
    pqi_sources_free(endpoint->unproven);
    pqi_sources_free(endpoint->proven);
    free(endpoint->used_tokens);
    free(endpoint->own_buffer);
    free(endpoint->early);
    pqi_secret_wipe(endpoint->opts.secret, sizeof(endpoint->opts.secret));
    free(endpoint);
}

void pqi_quic_endpoint_set_wall_offset(pqi_quic_endpoint *endpoint, uint64_t offset)
{
    endpoint->opts.wall_offset = offset;
}

void pqi_endpoint_random(const pqi_quic_endpoint *endpoint, void *out, size_t len)
{
    endpoint->opts.io.random(endpoint->opts.io.user, out, len);
}

void pqi_endpoint_send(pqi_quic_endpoint *endpoint, const pqi_datagrams *run)
{
    endpoint->counters.bytes_out += run->len;
    endpoint->counters.datagrams_out += (run->len + run->segment - 1) / run->segment;
    (void)endpoint->opts.io.send(endpoint->opts.io.user, run);
}

void pqi_endpoint_dirty(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn)
{
    if (conn->dirty) {
        return;
    }
    conn->dirty = true;
    conn->dirty_round = endpoint->round;
    conn->dirty_next = NULL;
    conn->dirty_prev = endpoint->dirty_last;
    if (endpoint->dirty_last == NULL) {
        endpoint->dirty_first = conn;
    } else {
        endpoint->dirty_last->dirty_next = conn;
    }
    endpoint->dirty_last = conn;
}

void pqi_endpoint_clean(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn)
{
    if (!conn->dirty) {
        return;
    }
    if (conn->dirty_prev == NULL) {
        endpoint->dirty_first = conn->dirty_next;
    } else {
        conn->dirty_prev->dirty_next = conn->dirty_next;
    }
    if (conn->dirty_next == NULL) {
        endpoint->dirty_last = conn->dirty_prev;
    } else {
        conn->dirty_next->dirty_prev = conn->dirty_prev;
    }
    conn->dirty = false;
}

void pqi_endpoint_schedule(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn)
{
    if (!pqi_heap_set(&endpoint->timers, &conn->timer, pqi_conn_deadline(conn))) {
        /* Without a timer the connection could never end by itself; the next flush tries again. */
        pqi_endpoint_dirty(endpoint, conn);
    }
}

uint64_t pqi_endpoint_time(pqi_quic_endpoint *endpoint, uint64_t now)
{
    if (endpoint->latest < now) {
        endpoint->latest = now;
    }
    return endpoint->latest;
}

pql_status pqi_quic_endpoint_connect(pqi_quic_endpoint *endpoint, const pqi_address *local,
                                     const pqi_address *remote, const char *host,
                                     const char *host_port, const pqi_quic_events *events,
                                     void *user, uint64_t now, pqi_quic_conn **out, pql_error *err)
{
    *out = pqi_conn_new_client(endpoint, local, remote, host, host_port, events, user,
                               pqi_endpoint_time(endpoint, now));
    if (*out == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory making a connection.");
    }
    return PQL_OK;
}

static void receive_one(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, uint64_t now)
{
    ngtcp2_version_cid vc;
    endpoint->counters.datagrams_in++;
    endpoint->counters.bytes_in += one->len;
    const int decoded = ngtcp2_pkt_decode_version_cid(&vc, one->data, one->len, PQI_CID_LEN);
    if (decoded != 0 && decoded != NGTCP2_ERR_VERSION_NEGOTIATION) {
        return;
    }
    pqi_quic_conn *conn = pqi_cid_map_find(endpoint->map, vc.dcid, vc.dcidlen);
    if (conn == NULL && !endpoint->opts.server && endpoint->conns != NULL &&
        endpoint->conns->next == NULL) {
        /* A stateless reset carries no connection ID that anybody knows (RFC 9000, 10.3): a client
         * with one connection lets it decide. */
        conn = endpoint->conns;
    }
    if (conn != NULL) {
        pqi_conn_receive(conn, one, now);
    } else if (endpoint->opts.server) {
        pqi_endpoint_stranger(endpoint, one, &vc, decoded, now);
    }
}

void pqi_quic_endpoint_receive(pqi_quic_endpoint *endpoint, const pqi_datagrams *run, uint64_t now)
{
    now = pqi_endpoint_time(endpoint, now);
    for (size_t at = 0; at < run->len; at += run->segment) {
        pqi_datagrams one = *run;
        one.data = run->data + at;
        one.len = run->len - at < run->segment ? run->len - at : run->segment;
        one.segment = one.len;
        receive_one(endpoint, &one, now);
    }
}

static void expire_due(pqi_quic_endpoint *endpoint, uint64_t now)
{
    /* As many as there are, so that an owner whose timer is always due cannot hold us here. */
    for (size_t left = endpoint->timers.len; left > 0; left--) {
        pqi_heap_node *first = pqi_heap_first(&endpoint->timers);
        if (first == NULL || first->key > now) {
            return;
        }
        pqi_quic_conn *conn = (pqi_quic_conn *)first;
        /* Out of the heap first: a connection that stays is put back when it is flushed. */
        pqi_heap_remove(&endpoint->timers, first);
        pqi_conn_expire(conn, now);
    }
}

void pqi_quic_endpoint_flush(pqi_quic_endpoint *endpoint, uint64_t now)
{
    const pqi_quic_io *io = &endpoint->opts.io;
    now = pqi_endpoint_time(endpoint, now);
    expire_due(endpoint, now);
    endpoint->round++;
    while (endpoint->dirty_first != NULL && !io->blocked(io->user)) {
        pqi_quic_conn *conn = endpoint->dirty_first;
        if (conn->dirty_round == endpoint->round) {
            break; /* those that became dirty again meanwhile wait for the next flush */
        }
        pqi_endpoint_clean(endpoint, conn);
        pqi_conn_flush(conn, now);
    }
    while (endpoint->lingering > PQI_QUIC_LINGERING_MAX) {
        pqi_conn_free(endpoint->linger_first);
    }
}

uint64_t pqi_quic_endpoint_deadline(const pqi_quic_endpoint *endpoint)
{
    if (endpoint->dirty_first != NULL && !endpoint->opts.io.blocked(endpoint->opts.io.user)) {
        return 0;
    }
    const pqi_heap_node *first = pqi_heap_first(&endpoint->timers);
    return first == NULL ? PQI_TIME_NEVER : first->key;
}

void pqi_quic_endpoint_unreachable(pqi_quic_endpoint *endpoint, const char *why, uint64_t now)
{
    now = pqi_endpoint_time(endpoint, now);
    for (pqi_quic_conn *conn = endpoint->conns; conn != NULL; conn = conn->next) {
        if (conn->state == CONN_HANDSHAKE && !conn->heard) {
            pqi_conn_drop(conn, PQL_E_NETWORK, why, now);
        }
    }
}

void pqi_quic_endpoint_drain(pqi_quic_endpoint *endpoint)
{
    endpoint->draining = true;
}

size_t pqi_quic_endpoint_live(const pqi_quic_endpoint *endpoint)
{
    return endpoint->live;
}

size_t pqi_quic_endpoint_lingering(const pqi_quic_endpoint *endpoint)
{
    return endpoint->lingering;
}

bool pqi_quic_endpoint_empty(const pqi_quic_endpoint *endpoint)
{
    return endpoint->conns == NULL;
}

void pqi_quic_endpoint_close_all(pqi_quic_endpoint *endpoint, uint64_t code, const char *reason)
{
    for (pqi_quic_conn *conn = endpoint->conns; conn != NULL; conn = conn->next) {
        pqi_quic_conn_close(conn, code, reason);
    }
}

size_t pqi_quic_endpoint_enforce(pqi_quic_endpoint *endpoint)
{
    size_t count = 0;
    for (pqi_quic_conn *conn = endpoint->conns; conn != NULL; conn = conn->next) {
        pql_error err;
        if (conn->state == CONN_OPEN &&
            pqi_quic_tls_keeps(endpoint->opts.tls, &conn->posture, &err) != PQL_OK) {
            pqi_conn_abort(conn, PQL_E_POLICY, NGTCP2_CRYPTO_ERROR | pqi_trust_alert(PQL_E_POLICY),
                           err.message);
            count++;
        }
    }
    return count;
}

void pqi_quic_endpoint_abandon(pqi_quic_endpoint *endpoint, uint64_t now)
{
    now = pqi_endpoint_time(endpoint, now);
    for (pqi_quic_conn *conn = endpoint->conns; conn != NULL; conn = conn->next) {
        pqi_conn_drop(conn, PQL_E_CANCELLED, "The program is ending.", now);
    }
}

pqi_quic_counters pqi_quic_endpoint_counters(const pqi_quic_endpoint *endpoint)
{
    return endpoint->counters;
}
