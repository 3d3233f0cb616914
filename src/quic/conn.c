/* The life of one connection: made and fed. */
#include "base/clock.h"
#include "base/error.h"
#include "quic/internal.h"

#include <ngtcp2/ngtcp2_crypto_boringssl.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Flow control (RFC 9000, 4): what a peer may send before we read it, and what a fast reader's
 * window may grow to. */
#define CONN_WINDOW (UINT64_C(1) << 20)
#define STREAM_WINDOW (UINT64_C(256) << 10)
#define WINDOW_MAX (UINT64_C(16) << 20)
#define STREAM_WINDOW_MAX (UINT64_C(6) << 20)

/* "the minimum of 14,720 bytes and ten times the maximum datagram size" (RFC 9002, 7.2) is reached
 * with this size. */
#define WIDE_DATAGRAM 1472
/* RFC 8999, 5: the header form bit. */
#define LONG_HEADER 0x80

static ngtcp2_conn *get_conn(ngtcp2_crypto_conn_ref *ref)
{
    const pqi_quic_conn *conn = ref->user_data;
    return conn->ngtcp2;
}

static void write_qlog(void *user_data, uint32_t flags, const void *data, size_t len)
{
    pqi_quic_conn *conn = user_data;
    const pqi_quic_io *io = &conn->endpoint->opts.io;
    io->qlog(io->user, &conn->qlog_slot, data, len, (flags & NGTCP2_QLOG_WRITE_FLAG_FIN) != 0);
}

static ngtcp2_path path_of(const pqi_address *local, const pqi_address *remote)
{
    return (ngtcp2_path){
        .local = {(ngtcp2_sockaddr *)(uintptr_t)&local->sa.any, local->len},
        .remote = {(ngtcp2_sockaddr *)(uintptr_t)&remote->sa.any, remote->len},
    };
}

static void fill_settings(pqi_quic_conn *conn, ngtcp2_settings *settings, uint64_t now)
{
    const pqi_quic_endpoint_opts *opts = &conn->endpoint->opts;
    ngtcp2_settings_default(settings);
    settings->initial_ts = now;
    settings->handshake_timeout = opts->handshake_timeout;
    settings->max_window = opts->max_receive != 0 ? opts->max_receive : WINDOW_MAX;
    settings->max_stream_window = opts->max_receive != 0 ? opts->max_receive : STREAM_WINDOW_MAX;
    settings->rand_ctx.native_handle = conn->endpoint;
    if (opts->wide_window) {
        settings->no_tx_udp_payload_size_shaping = 1;
        settings->max_tx_udp_payload_size = WIDE_DATAGRAM;
    }
    if (opts->io.qlog != NULL) {
        settings->qlog_write = write_qlog;
    }
}

static void fill_params(const pqi_quic_conn *conn, ngtcp2_transport_params *params)
{
    const pqi_quic_endpoint_opts *opts = &conn->endpoint->opts;
    ngtcp2_transport_params_default(params);
    const uint64_t most = opts->max_receive != 0 ? opts->max_receive : CONN_WINDOW;
    const uint64_t stream = most < STREAM_WINDOW ? most : STREAM_WINDOW;
    params->initial_max_data = most < CONN_WINDOW ? most : CONN_WINDOW;
    params->initial_max_stream_data_bidi_local = stream;
    params->initial_max_stream_data_bidi_remote = stream;
    params->initial_max_streams_bidi = opts->max_streams;
    params->max_idle_timeout = opts->idle_timeout;
}

static pqi_quic_conn *conn_alloc(pqi_quic_endpoint *endpoint, bool server, uint64_t now)
{
    pqi_quic_conn *conn = calloc(1, sizeof(*conn));
    if (conn == NULL) {
        return NULL;
    }
    conn->endpoint = endpoint;
    conn->server = server;
    conn->started = now;
    conn->app_timer = PQI_TIME_NEVER;
    conn->ref = (ngtcp2_crypto_conn_ref){get_conn, conn};
    conn->peer.now_unix = (int64_t)((now + endpoint->opts.wall_offset) / PQI_NS_PER_SEC);
    conn->next = endpoint->conns;
    if (conn->next != NULL) {
        conn->next->prev = conn;
    }
    endpoint->conns = conn;
    endpoint->live++;
    return conn;
}

/* The TLS session, bound to the connection that exists by now. */
static bool attach_tls(pqi_quic_conn *conn)
{
    conn->ssl = pqi_quic_tls_session(conn->endpoint->opts.tls, &conn->peer);
    if (conn->ssl == NULL) {
        return false;
    }
    SSL_set_app_data(conn->ssl, &conn->ref);
    ngtcp2_conn_set_tls_native_handle(conn->ngtcp2, conn->ssl);
    if (conn->endpoint->opts.keep_alive != 0) {
        ngtcp2_conn_set_keep_alive_timeout(conn->ngtcp2, conn->endpoint->opts.keep_alive);
    }
    return true;
}

static bool random_cid(pqi_quic_conn *conn, ngtcp2_cid *cid)
{
    uint8_t random[PQI_CID_LEN];
    pqi_endpoint_random(conn->endpoint, random, sizeof(random));
    pqi_cid_make(cid, random, conn->endpoint->opts.worker, conn->endpoint->opts.workers);
    return pqi_cid_map_add(conn->endpoint->map, cid->data, cid->datalen, conn);
}

pqi_quic_conn *pqi_conn_new_client(pqi_quic_endpoint *endpoint, const pqi_address *local,
                                   const pqi_address *remote, const char *host,
                                   const char *host_port, const pqi_quic_events *events, void *user,
                                   uint64_t now)
{
    ngtcp2_callbacks callbacks;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid scid;
    ngtcp2_cid dcid;
    uint8_t random[NGTCP2_MIN_INITIAL_DCIDLEN];
    pqi_quic_conn *conn = conn_alloc(endpoint, false, now);
    if (conn == NULL) {
        return NULL;
    }
    conn->remote = *remote;
    conn->events = events;
    conn->user = user;
    (void)snprintf(conn->peer.host, sizeof(conn->peer.host), "%s", host);
    (void)snprintf(conn->peer.host_port, sizeof(conn->peer.host_port), "%s", host_port);
    pqi_endpoint_random(endpoint, random, sizeof(random));
    ngtcp2_cid_init(&dcid, random, sizeof(random));
    pqi_conn_callbacks(&callbacks, false);
    fill_settings(conn, &settings, now);
    fill_params(conn, &params);
    settings.token = endpoint->opts.token;
    settings.tokenlen = endpoint->opts.token_len;
    const ngtcp2_path path = path_of(local, remote);
    if (!random_cid(conn, &scid) ||
        ngtcp2_conn_client_new(&conn->ngtcp2, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks,
                               &settings, &params, NULL, conn) != 0 ||
        !attach_tls(conn)) {
        pqi_conn_free(conn);
        return NULL;
    }
    endpoint->opts.token = NULL; /* borrowed until now */
    pqi_endpoint_dirty(endpoint, conn);
    return conn;
}

pqi_quic_conn *pqi_conn_new_server(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                                   const ngtcp2_pkt_hd *hd, const ngtcp2_cid *original,
                                   ngtcp2_token_type token_type, uint64_t now)
{
    ngtcp2_callbacks callbacks;
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid scid;
    pqi_quic_conn *conn = conn_alloc(endpoint, true, now);
    if (conn == NULL) {
        return NULL;
    }
    conn->remote = one->remote;
    pqi_address_bytes(&conn->remote, conn->peer.address);
    conn->counted_unauthenticated = true;
    endpoint->unauthenticated++;
    bool ok = true;
    if (token_type == NGTCP2_TOKEN_TYPE_UNKNOWN) {
        ok = pqi_starts_add(conn);
    } else {
        conn->proven = pqi_sources_add(endpoint->proven, &one->remote, SIZE_MAX);
        conn->address_proven = true;
    }
    pqi_conn_callbacks(&callbacks, true);
    fill_settings(conn, &settings, now);
    fill_params(conn, &params);
    settings.token = hd->token;
    settings.tokenlen = hd->tokenlen;
    settings.token_type = token_type;
    params.original_dcid = token_type == NGTCP2_TOKEN_TYPE_RETRY ? *original : hd->dcid;
    params.original_dcid_present = 1;
    if (token_type == NGTCP2_TOKEN_TYPE_RETRY) {
        params.retry_scid = hd->dcid;
        params.retry_scid_present = 1;
    }
    const ngtcp2_path path = path_of(&one->local, &one->remote);
    ok = ok && random_cid(conn, &scid) &&
         pqi_cid_map_add(endpoint->map, hd->dcid.data, hd->dcid.datalen, conn);
    if (ok) {
        conn->initial_dcid = hd->dcid;
        params.stateless_reset_token_present = 1;
        ok = ngtcp2_crypto_generate_stateless_reset_token(
                 params.stateless_reset_token, endpoint->opts.secret, sizeof(endpoint->opts.secret),
                 &scid) == 0 &&
             ngtcp2_conn_server_new(&conn->ngtcp2, &hd->scid, &scid, &path, hd->version, &callbacks,
                                    &settings, &params, NULL, conn) == 0 &&
             attach_tls(conn);
    }
    if (!ok) {
        pqi_conn_free(conn);
        return NULL;
    }
    return conn;
}

static int read_datagram(pqi_quic_conn *conn, const pqi_datagrams *one, uint64_t now)
{
    const ngtcp2_path path = path_of(&one->local, &one->remote);
    const ngtcp2_pkt_info info = {.ecn = one->ecn};
    return ngtcp2_conn_read_pkt(conn->ngtcp2, &path, &info, one->data, one->len, now);
}

pqi_first pqi_conn_receive_first(pqi_quic_conn *conn, const pqi_datagrams *one, uint64_t now)
{
    const pqi_quic_io *io = &conn->endpoint->opts.io;
    const int rv = read_datagram(conn, one, now);
    if (rv == NGTCP2_ERR_RETRY || rv == NGTCP2_ERR_DROP_CONN) {
        pqi_conn_free(conn);
        return rv == NGTCP2_ERR_RETRY ? PQI_FIRST_TOO_EARLY : PQI_FIRST_NONSENSE;
    }
    /* Only now is there a handshake that somebody should hear of. */
    conn->events = io->accept(io->user, conn, &conn->user);
    if (conn->events == NULL) {
        pqi_conn_free(conn);
        return PQI_FIRST_NO_OWNER;
    }
    if (rv != 0) {
        pqi_conn_fail(conn, rv, now);
    }
    if (conn->state != CONN_LINGER) {
        pqi_endpoint_dirty(conn->endpoint, conn);
    }
    return PQI_FIRST_TAKEN;
}

/* False when every packet of the datagram is protected by more than an Initial's keys, which
 * anybody can compute from the first packet (RFC 9001, 5.2). */
static bool may_have_initial(const pqi_datagrams *one)
{
    size_t at = 0;
    while (at < one->len && (one->data[at] & LONG_HEADER) != 0) {
        ngtcp2_pkt_hd hd;
        const ngtcp2_ssize read = ngtcp2_pkt_decode_hd_long(&hd, one->data + at, one->len - at);
        if (read < 0 || hd.type != NGTCP2_PKT_HANDSHAKE || hd.len > one->len - at - (size_t)read) {
            return true;
        }
        at += (size_t)read + hd.len;
    }
    return false;
}

void pqi_conn_receive(pqi_quic_conn *conn, const pqi_datagrams *one, uint64_t now)
{
    if (conn->state == CONN_LINGER) {
        pqi_conn_linger_receive(conn, one);
        return;
    }
    if (conn->close_wanted) {
        return; /* the end is decided; it leaves with the next flush */
    }
    if (conn->state == CONN_HANDSHAKE && !conn->server) {
        pqi_conn_flight_answered(conn, one->len, now);
    }
    const int rv = read_datagram(conn, one, now);
    if (rv == NGTCP2_ERR_DRAINING && conn->server && conn->state == CONN_HANDSHAKE &&
        !may_have_initial(one)) {
        conn->address_proven = true; /* the keys of the close follow from our answer */
    }
    if (rv != 0) {
        pqi_conn_fail(conn, rv, now);
    }
    if (conn->state != CONN_LINGER) {
        pqi_endpoint_dirty(conn->endpoint, conn);
    }
}

void pqi_conn_expire(pqi_quic_conn *conn, uint64_t now)
{
    if (conn->state == CONN_LINGER) {
        if (now >= conn->linger_until) {
            pqi_conn_free(conn);
        }
        return;
    }
    if (now >= conn->app_timer) {
        conn->app_timer = PQI_TIME_NEVER;
        conn->events->timer(conn, now);
    }
    if (now >= ngtcp2_conn_get_expiry2(conn->ngtcp2)) {
        const int rv = ngtcp2_conn_handle_expiry(conn->ngtcp2, now);
        if (rv != 0) {
            pqi_conn_fail(conn, rv, now);
        }
    }
    if (conn->state != CONN_LINGER) {
        pqi_endpoint_dirty(conn->endpoint, conn);
    }
}

uint64_t pqi_conn_deadline(const pqi_quic_conn *conn)
{
    if (conn->state == CONN_LINGER) {
        return conn->linger_until;
    }
    const uint64_t expiry = ngtcp2_conn_get_expiry2(conn->ngtcp2);
    return expiry < conn->app_timer ? expiry : conn->app_timer;
}

void pqi_quic_conn_set_user(pqi_quic_conn *conn, void *user)
{
    conn->user = user;
}

void *pqi_quic_conn_user(const pqi_quic_conn *conn)
{
    return conn->user;
}

const pql_posture *pqi_quic_conn_posture(const pqi_quic_conn *conn)
{
    return &conn->posture;
}

const char *pqi_quic_conn_alpn(const pqi_quic_conn *conn)
{
    return conn->alpn;
}

const pqi_address *pqi_quic_conn_remote(const pqi_quic_conn *conn)
{
    return &conn->remote;
}

bool pqi_quic_conn_is_server(const pqi_quic_conn *conn)
{
    return conn->server;
}

bool pqi_quic_conn_peer_fingerprint(const pqi_quic_conn *conn, pql_fingerprint_form form,
                                    pql_fingerprint *out)
{
    const pqi_quic_tls_peer *peer = &conn->peer;
    *out = form == PQL_FINGERPRINT_SPKI ? peer->shown_spki : peer->shown_cert;
    return peer->shown;
}

void pqi_quic_conn_set_timer(pqi_quic_conn *conn, uint64_t when)
{
    conn->app_timer = when;
    if (conn->state != CONN_LINGER) {
        pqi_endpoint_schedule(conn->endpoint, conn);
    }
}

pql_status pqi_quic_conn_update_keys(pqi_quic_conn *conn, uint64_t now)
{
    if (conn->state != CONN_OPEN ||
        ngtcp2_conn_initiate_key_update(conn->ngtcp2, pqi_endpoint_time(conn->endpoint, now)) !=
            0) {
        return PQL_E_STATE;
    }
    pqi_endpoint_dirty(conn->endpoint, conn);
    return PQL_OK;
}

pql_status pqi_quic_conn_migrate(pqi_quic_conn *conn, const pqi_address *local, uint64_t now)
{
    const ngtcp2_path path = path_of(local, &conn->remote);
    if (conn->server || conn->state != CONN_OPEN ||
        ngtcp2_conn_initiate_immediate_migration(conn->ngtcp2, &path,
                                                 pqi_endpoint_time(conn->endpoint, now)) != 0) {
        return PQL_E_STATE;
    }
    pqi_endpoint_dirty(conn->endpoint, conn);
    return PQL_OK;
}

void pqi_quic_conn_stats(const pqi_quic_conn *conn, pqi_quic_stats *out)
{
    *out = (pqi_quic_stats){0};
    if (conn->ngtcp2 == NULL) {
        return;
    }
    ngtcp2_conn_info info;
    ngtcp2_conn_get_conn_info2(conn->ngtcp2, &info);
    *out = (pqi_quic_stats){
        .bytes_sent = info.bytes_sent,
        .bytes_received = info.bytes_recv,
        .packets_lost = info.pkt_lost,
        .smoothed_rtt_ns = info.smoothed_rtt,
        .path_mtu = conn->small || conn->endpoint->opts.wide_window
                        ? NGTCP2_MAX_UDP_PAYLOAD_SIZE
                        : ngtcp2_conn_get_path_max_tx_udp_payload_size2(conn->ngtcp2),
    };
}
