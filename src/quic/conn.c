/* The life of one connection: made, fed, written, ended. */
#include "base/clock.h"
#include "base/error.h"
#include "identity/identity.h"
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
/* RFC 9000, 14.1: no datagram is smaller than what must pass. */
#define DATAGRAM_MIN 1200
/* RFC 9000, 8.1: "MUST limit the amount of data [...] to three times". */
#define AMPLIFICATION_LIMIT 3
/* Shorter waits than this are the scheduler's as likely as the network's. */
#define FLIGHT_WAIT_MIN (5 * PQI_NS_PER_MS)
/* RFC 9000, 10.2: closing lasts three probe time-outs at least; the bound is for peers that made us
 * measure a very long round trip. */
#define LINGER_PTO 3
#define LINGER_MAX (10 * PQI_NS_PER_SEC)
/* Runs of datagrams that one connection may write before the others have their turn. */
#define WRITE_ROUNDS 16
/* Pieces of stream data that one packet takes at most. */
#define WRITE_PIECES 8

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
    const ngtcp2_path path = path_of(local, remote);
    if (!random_cid(conn, &scid) ||
        ngtcp2_conn_client_new(&conn->ngtcp2, &dcid, &scid, &path, NGTCP2_PROTO_VER_V1, &callbacks,
                               &settings, &params, NULL, conn) != 0 ||
        !attach_tls(conn)) {
        pqi_conn_free(conn);
        return NULL;
    }
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
    conn->counted_unauthenticated = true;
    endpoint->unauthenticated++;
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
    bool ok = random_cid(conn, &scid) &&
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
    if (ok) {
        conn->events = endpoint->opts.io.accept(endpoint->opts.io.user, conn, &conn->user);
        ok = conn->events != NULL;
    }
    if (!ok) {
        pqi_conn_free(conn);
        return NULL;
    }
    return conn;
}

/* Gives back all that only a living connection needs. */
static void release_engine(pqi_quic_conn *conn)
{
    while (conn->streams != NULL) {
        pqi_stream_free(conn->streams);
    }
    ngtcp2_conn_del(conn->ngtcp2);
    conn->ngtcp2 = NULL;
    SSL_free(conn->ssl);
    conn->ssl = NULL;
    if (conn->counted_unauthenticated) {
        conn->counted_unauthenticated = false;
        conn->endpoint->unauthenticated--;
    }
}

static void forget_cids(pqi_quic_conn *conn)
{
    pqi_cid_map *map = conn->endpoint->map;
    if (conn->cids_unknown) {
        pqi_cid_map_remove_owner(map, conn);
        return;
    }
    if (conn->initial_dcid.datalen > 0) {
        pqi_cid_map_remove(map, conn->initial_dcid.data, conn->initial_dcid.datalen);
    }
    for (size_t i = 0; i < conn->cid_count; i++) {
        pqi_cid_map_remove(map, conn->cids[i].data, conn->cids[i].datalen);
    }
    free(conn->cids);
    conn->cids = NULL;
    conn->cid_count = 0;
}

/* Takes down which IDs lead here, while ngtcp2 still knows. */
static void remember_cids(pqi_quic_conn *conn)
{
    if (conn->ngtcp2 == NULL) {
        conn->cids_unknown = true; /* it came into being half only */
        return;
    }
    const size_t count = ngtcp2_conn_get_scid2(conn->ngtcp2, NULL);
    conn->cids = calloc(count == 0 ? 1 : count, sizeof(ngtcp2_cid));
    if (conn->cids == NULL) {
        conn->cids_unknown = true;
        return;
    }
    conn->cid_count = ngtcp2_conn_get_scid2(conn->ngtcp2, conn->cids);
}

static void enter_lingering(pqi_quic_conn *conn)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    conn->state = CONN_LINGER;
    endpoint->live--;
    endpoint->lingering++;
    conn->linger_prev = endpoint->linger_last;
    if (endpoint->linger_last == NULL) {
        endpoint->linger_first = conn;
    } else {
        endpoint->linger_last->linger_next = conn;
    }
    endpoint->linger_last = conn;
}

static void leave_lingering(pqi_quic_conn *conn)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    endpoint->lingering--;
    if (conn->linger_prev == NULL) {
        endpoint->linger_first = conn->linger_next;
    } else {
        conn->linger_prev->linger_next = conn->linger_next;
    }
    if (conn->linger_next == NULL) {
        endpoint->linger_last = conn->linger_prev;
    } else {
        conn->linger_next->linger_prev = conn->linger_prev;
    }
}

void pqi_conn_free(pqi_quic_conn *conn)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    if (conn->state == CONN_LINGER) {
        leave_lingering(conn);
    } else {
        remember_cids(conn);
        endpoint->live--;
    }
    release_engine(conn);
    forget_cids(conn);
    pqi_endpoint_clean(endpoint, conn);
    pqi_heap_remove(&endpoint->timers, &conn->timer);
    if (conn->prev != NULL) {
        conn->prev->next = conn->next;
    } else {
        endpoint->conns = conn->next;
    }
    if (conn->next != NULL) {
        conn->next->prev = conn->prev;
    }
    free(conn->close_packet);
    free(conn);
}

/* The closed event; then only what a closing connection needs stays (RFC 9000, 10.2.1). */
static void finish(pqi_quic_conn *conn, uint64_t now)
{
    const uint64_t linger = LINGER_PTO * ngtcp2_conn_get_pto2(conn->ngtcp2);
    conn->close_wanted = true;
    while (conn->streams != NULL) {
        conn->events->stream_closed(conn->streams, 0);
        pqi_stream_free(conn->streams);
    }
    conn->events->closed(conn, &conn->close);
    remember_cids(conn);
    release_engine(conn);
    conn->events = NULL;
    conn->user = NULL;
    enter_lingering(conn);
    conn->linger_until = now + (linger < LINGER_MAX ? linger : LINGER_MAX);
    pqi_endpoint_schedule(conn->endpoint, conn);
}

void pqi_conn_abort(pqi_quic_conn *conn, pql_status status, uint64_t transport_code,
                    const char *sentence)
{
    if (conn->close_wanted || conn->state == CONN_LINGER) {
        return;
    }
    conn->close_wanted = true;
    conn->close_is_transport = true;
    conn->close = (pql_close){.status = status, .code = transport_code};
    (void)snprintf(conn->close.reason, sizeof(conn->close.reason), "%s", sentence);
    pqi_endpoint_dirty(conn->endpoint, conn);
}

void pqi_conn_drop(pqi_quic_conn *conn, pql_status status, const char *sentence, uint64_t now)
{
    if (conn->state == CONN_LINGER) {
        return;
    }
    conn->close = (pql_close){.status = status};
    (void)snprintf(conn->close.reason, sizeof(conn->close.reason), "%s", sentence);
    finish(conn, now);
    /* Nothing was said, so nothing needs repeating: whoever uses these IDs next is a stranger. */
    forget_cids(conn);
    conn->initial_dcid.datalen = 0;
    conn->linger_until = now;
    pqi_endpoint_schedule(conn->endpoint, conn);
}

void pqi_quic_conn_close(pqi_quic_conn *conn, uint64_t code, const char *reason)
{
    if (conn->close_wanted || conn->state == CONN_LINGER) {
        return;
    }
    conn->close_wanted = true;
    conn->close = (pql_close){.status = PQL_OK, .application = true, .code = code};
    (void)snprintf(conn->close.reason, sizeof(conn->close.reason), "%s",
                   reason != NULL ? reason : "");
    pqi_endpoint_dirty(conn->endpoint, conn);
}

/* What the peer said, made fit to print. */
static void copy_peer_reason(pql_close *close, const uint8_t *reason, size_t len)
{
    size_t n = 0;
    for (; n < len && n + 1 < sizeof(close->reason); n++) {
        const uint8_t c = reason[n];
        close->reason[n] = c >= 0x20 && c < 0x7f ? (char)c : '?';
    }
    close->reason[n] = '\0';
}

/* What a transport error code of the peer's means for us. */
static pql_status status_of_peer_code(uint64_t code)
{
    if (code == NGTCP2_NO_ERROR) {
        return PQL_OK;
    }
    if (code == NGTCP2_CONNECTION_REFUSED) {
        return PQL_E_REFUSED;
    }
    if ((code & ~UINT64_C(0xff)) == NGTCP2_CRYPTO_ERROR) {
        switch (code & 0xff) {
        case SSL_AD_HANDSHAKE_FAILURE:
        case SSL_AD_INSUFFICIENT_SECURITY:
            return PQL_E_POLICY;
        case SSL_AD_BAD_CERTIFICATE:
        case SSL_AD_UNKNOWN_CA:
        case SSL_AD_CERTIFICATE_UNKNOWN:
        case SSL_AD_CERTIFICATE_REQUIRED:
            return PQL_E_TRUST;
        default:
            break;
        }
    }
    return PQL_E_PROTOCOL;
}

/* A sentence of our own for the peer's transport error code.  The peer's text, where it sent one,
 * comes after it: on its own it often says no more than "handshake failed". */
static void explain_peer_code(pql_close *close)
{
    char words[sizeof(close->reason)];
    char sentence[160];
    const unsigned alert =
        (close->code & ~UINT64_C(0xff)) == NGTCP2_CRYPTO_ERROR ? (unsigned)(close->code & 0xff) : 0;
    if (close->status == PQL_OK) {
        return;
    }
    if (close->status == PQL_E_POLICY) {
        (void)snprintf(sentence, sizeof(sentence),
                       "The peer found no key exchange or signature that both sides allow (TLS "
                       "alert %u): compare the policies of both.",
                       alert);
    } else if (close->status == PQL_E_REFUSED) {
        (void)snprintf(sentence, sizeof(sentence), "The peer takes no more links at the moment.");
    } else if (alert == SSL_AD_NO_APPLICATION_PROTOCOL) {
        (void)snprintf(sentence, sizeof(sentence),
                       "The peer does not speak the protocol (ALPN) that was asked for (TLS alert "
                       "%u): is this the right port?",
                       alert);
    } else if (alert == SSL_AD_CERTIFICATE_REQUIRED) {
        (void)snprintf(sentence, sizeof(sentence),
                       "The peer lets in clients with a certificate only, and none was shown (TLS "
                       "alert %u).",
                       alert);
    } else if (alert != 0) {
        (void)snprintf(sentence, sizeof(sentence),
                       "The peer ended the handshake with TLS alert %u (%s).", alert,
                       SSL_alert_desc_string_long((int)alert));
    } else {
        (void)snprintf(sentence, sizeof(sentence),
                       "The peer closed the link with QUIC transport error 0x%llx.",
                       (unsigned long long)close->code);
    }
    (void)snprintf(words, sizeof(words), "%s", close->reason);
    (void)snprintf(close->reason, sizeof(close->reason), "%s%s%s", sentence,
                   words[0] == '\0' ? "" : " It said: ", words);
}

static void closed_by_peer(pqi_quic_conn *conn, uint64_t now)
{
    const ngtcp2_ccerr *ccerr = ngtcp2_conn_get_ccerr2(conn->ngtcp2);
    conn->close = (pql_close){.by_peer = true, .code = ccerr->error_code};
    copy_peer_reason(&conn->close, ccerr->reason, ccerr->reasonlen);
    if (conn->stateless_reset) {
        conn->close.status = PQL_E_CLOSED;
        (void)snprintf(conn->close.reason, sizeof(conn->close.reason),
                       "The peer has lost this link (stateless reset): it was restarted.");
    } else if (ccerr->type == NGTCP2_CCERR_TYPE_APPLICATION) {
        conn->close.application = true;
        conn->close.status = ccerr->error_code == 0 ? PQL_OK : PQL_E_CLOSED;
    } else {
        conn->close.status = status_of_peer_code(ccerr->error_code);
        explain_peer_code(&conn->close);
    }
    finish(conn, now);
}

/* A sentence and a code for the wire from what ngtcp2 or TLS did not accept. */
static void fail_locally(pqi_quic_conn *conn, int rv)
{
    ngtcp2_ccerr ccerr;
    conn->engine_failed = true;
    if (conn->close_wanted) {
        return; /* a callback has decided already how it ends */
    }
    ngtcp2_ccerr_default(&ccerr);
    if (rv == NGTCP2_ERR_CRYPTO) {
        ngtcp2_ccerr_set_tls_alert(&ccerr, ngtcp2_conn_get_tls_alert2(conn->ngtcp2), NULL, 0);
    } else {
        ngtcp2_ccerr_set_liberr(&ccerr, rv, NULL, 0);
    }
    if (rv == NGTCP2_ERR_CRYPTO && conn->peer.refusal.code != PQL_OK) {
        pqi_conn_abort(conn, conn->peer.refusal.code, ccerr.error_code, conn->peer.refusal.message);
        return;
    }
    const uint8_t alert = rv == NGTCP2_ERR_CRYPTO ? (uint8_t)(ccerr.error_code & 0xff) : 0;
    char sentence[160];
    pql_status status = PQL_E_PROTOCOL;
    if (alert == SSL_AD_DECRYPT_ERROR) {
        status = PQL_E_TRUST;
        (void)snprintf(sentence, sizeof(sentence),
                       "The peer showed a certificate whose key it does not hold: its "
                       "CertificateVerify signature is wrong.");
    } else if (alert == SSL_AD_CERTIFICATE_REQUIRED) {
        status = PQL_E_TRUST;
        (void)snprintf(sentence, sizeof(sentence),
                       "The client showed no certificate, and none gets in without.");
    } else if (alert == SSL_AD_HANDSHAKE_FAILURE || alert == SSL_AD_INSUFFICIENT_SECURITY) {
        status = PQL_E_POLICY;
        (void)snprintf(sentence, sizeof(sentence),
                       "No key exchange or signature is allowed by both sides' policies.");
    } else if (alert == SSL_AD_NO_APPLICATION_PROTOCOL) {
        (void)snprintf(sentence, sizeof(sentence),
                       "The two sides have no protocol (ALPN) in common.");
    } else if (alert != 0) {
        (void)snprintf(sentence, sizeof(sentence), "The TLS handshake failed: %s.",
                       SSL_alert_desc_string_long(alert));
    } else {
        (void)snprintf(sentence, sizeof(sentence), "The peer broke the QUIC protocol: %s.",
                       ngtcp2_strerror(rv));
    }
    pqi_conn_abort(conn, status, ccerr.error_code, sentence);
}

/* |rv|: what an ngtcp2 call answered. */
static void fail(pqi_quic_conn *conn, int rv, uint64_t now)
{
    switch (rv) {
    case NGTCP2_ERR_DRAINING:
        closed_by_peer(conn, now);
        return;
    case NGTCP2_ERR_IDLE_CLOSE:
        pqi_conn_drop(conn, PQL_E_TIMEOUT, "The peer has been silent for too long.", now);
        return;
    case NGTCP2_ERR_HANDSHAKE_TIMEOUT:
        pqi_conn_drop(conn, PQL_E_TIMEOUT, "The handshake was not finished in time.", now);
        return;
    case NGTCP2_ERR_DROP_CONN:
    case NGTCP2_ERR_RETRY:
        pqi_conn_drop(conn, PQL_E_PROTOCOL, "The first packet was not one of a handshake.", now);
        return;
    case NGTCP2_ERR_RECV_VERSION_NEGOTIATION:
        pqi_conn_drop(conn, PQL_E_PROTOCOL, "The peer does not speak QUIC version 1.", now);
        return;
    case NGTCP2_ERR_NOMEM:
    case NGTCP2_ERR_CALLBACK_FAILURE: /* ours fail for want of memory only */
        conn->engine_failed = true;
        pqi_conn_abort(conn, PQL_E_NOMEM, NGTCP2_INTERNAL_ERROR, "Out of memory.");
        return;
    default:
        fail_locally(conn, rv);
    }
}

/* Round trips are counted as client flights that waited for the server.  A flight waited when what
 * came after it could not have been on its way before: the server had used up the three times that
 * it may send to an address that it has not validated, it had asked for a new first flight (Retry),
 * or half the first answer's time has passed.  Time says nothing where a round trip is shorter than
 * what a busy machine makes a process wait. */
static void flight_answered(pqi_quic_conn *conn, size_t len, uint64_t now)
{
    if (conn->flight_waits) {
        const uint64_t waited = now - conn->flight_at;
        const bool first = conn->posture.round_trips == 0;
        const bool long_wait = waited >= FLIGHT_WAIT_MIN && 2 * waited >= conn->first_wait;
        if (first || conn->retried || long_wait ||
            conn->handshake_in + DATAGRAM_MIN > conn->flight_budget) {
            conn->posture.round_trips++;
            conn->flight_waits = false;
            conn->retried = false;
        }
        if (first) {
            conn->first_wait = waited;
        }
    }
    conn->heard = true;
    conn->handshake_in += len;
}

static void flight_sent(pqi_quic_conn *conn, size_t len, uint64_t now)
{
    if (conn->handshake_out == 0 || conn->heard) {
        conn->flight_waits = true;
        conn->flight_at = now;
        conn->flight_budget = AMPLIFICATION_LIMIT * conn->handshake_out;
        conn->heard = false;
    }
    conn->handshake_out += len;
}

/* CONNECTION_CLOSE again, for every power of two of datagrams that still come in: an answer that
 * can never amplify (RFC 9000, 10.2.1). */
static void linger_receive(pqi_quic_conn *conn, const pqi_datagrams *one)
{
    conn->close_heard++;
    if (conn->close_packet == NULL || (conn->close_heard & (conn->close_heard - 1)) != 0) {
        return;
    }
    const pqi_datagrams run = {.local = one->local,
                               .remote = one->remote,
                               .data = conn->close_packet,
                               .len = conn->close_len,
                               .segment = conn->close_len};
    if (conn->close_len <= AMPLIFICATION_LIMIT * one->len) {
        pqi_endpoint_send(conn->endpoint, &run);
    }
}

void pqi_conn_receive(pqi_quic_conn *conn, const pqi_datagrams *one, uint64_t now)
{
    if (conn->state == CONN_LINGER) {
        linger_receive(conn, one);
        return;
    }
    if (conn->close_wanted) {
        return; /* the end is decided; it leaves with the next flush */
    }
    if (conn->state == CONN_HANDSHAKE && !conn->server) {
        flight_answered(conn, one->len, now);
    }
    const ngtcp2_path path = path_of(&one->local, &one->remote);
    const ngtcp2_pkt_info info = {.ecn = one->ecn};
    const int rv = ngtcp2_conn_read_pkt(conn->ngtcp2, &path, &info, one->data, one->len, now);
    if (rv != 0) {
        fail(conn, rv, now);
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
            fail(conn, rv, now);
        }
    }
    if (conn->state != CONN_LINGER) {
        pqi_endpoint_dirty(conn->endpoint, conn);
    }
}

/* One packet: handshake, acknowledgements and what streams have to say. */
static ngtcp2_ssize write_packet(ngtcp2_conn *ngtcp2, ngtcp2_path *path, ngtcp2_pkt_info *info,
                                 uint8_t *out, size_t size, ngtcp2_tstamp now, void *user_data)
{
    pqi_quic_conn *conn = user_data;
    for (;;) {
        ngtcp2_vec pieces[WRITE_PIECES];
        size_t count = 0;
        bool fin = false;
        pqi_quic_stream *stream = pqi_stream_next_ready(conn);
        int64_t id = -1;
        uint32_t flags = 0;
        ngtcp2_ssize taken = -1;
        if (stream != NULL) {
            id = stream->id;
            count = pqi_stream_pieces(stream, pieces, WRITE_PIECES, &fin);
            flags = NGTCP2_WRITE_STREAM_FLAG_MORE | (fin ? NGTCP2_WRITE_STREAM_FLAG_FIN : 0);
        }
        const ngtcp2_ssize n = ngtcp2_conn_writev_stream(ngtcp2, path, info, out, size, &taken,
                                                         flags, id, pieces, count, now);
        if (stream != NULL && taken >= 0) {
            size_t total = 0;
            for (size_t i = 0; i < count; i++) {
                total += pieces[i].len;
            }
            pqi_stream_sent(stream, (size_t)taken, fin && (size_t)taken == total);
        }
        switch (n) {
        case NGTCP2_ERR_STREAM_DATA_BLOCKED:
            stream->blocked = true;
            continue;
        case NGTCP2_ERR_STREAM_SHUT_WR:
        case NGTCP2_ERR_STREAM_NOT_FOUND:
            stream->closed_write = true;
            continue;
        case NGTCP2_ERR_WRITE_MORE:
            continue;
        default:
            if (n > 0 && stream != NULL && taken > 0) {
                pqi_stream_had_its_turn(stream);
            }
            return n;
        }
    }
}

static void send_run(pqi_quic_conn *conn, const ngtcp2_path *path, const ngtcp2_pkt_info *info,
                     size_t len, size_t segment, uint64_t now)
{
    pqi_datagrams run = {.ecn = info->ecn,
                         .data = conn->endpoint->buffer,
                         .len = len,
                         .segment = segment < len ? segment : len};
    memcpy(&run.local.sa, path->local.addr, path->local.addrlen);
    run.local.len = path->local.addrlen;
    memcpy(&run.remote.sa, path->remote.addr, path->remote.addrlen);
    run.remote.len = path->remote.addrlen;
    const bool first_flight = !conn->server && conn->handshake_out == 0;
    if (conn->state == CONN_HANDSHAKE && !conn->server) {
        flight_sent(conn, first_flight ? 2 * len : len, now);
    }
    pqi_endpoint_send(conn->endpoint, &run);
    if (first_flight) {
        /* Twice, so that three times what the server has received covers its 9.3 kB flight with an
         * ML-DSA-87 leaf, and the handshake takes one round trip. */
        pqi_endpoint_send(conn->endpoint, &run);
    }
}

/* The peer's address on the path in use; where a probe of another path goes does not count. */
static void follow_path(pqi_quic_conn *conn)
{
    const ngtcp2_path *path = ngtcp2_conn_get_path2(conn->ngtcp2);
    memcpy(&conn->remote.sa, path->remote.addr, path->remote.addrlen);
    conn->remote.len = path->remote.addrlen;
}

static void write_close(pqi_quic_conn *conn, uint64_t now)
{
    ngtcp2_path_storage path;
    ngtcp2_pkt_info info = {0};
    ngtcp2_ccerr ccerr;
    const size_t reason_len = strlen(conn->close.reason);
    const uint8_t *reason = (const uint8_t *)conn->close.reason;
    ngtcp2_path_storage_zero(&path);
    ngtcp2_ccerr_default(&ccerr);
    if (conn->close_is_transport) {
        /* Our own sentences stay here: a stranger learns the code only. */
        ngtcp2_ccerr_set_transport_error(&ccerr, conn->close.code, NULL, 0);
    } else {
        ngtcp2_ccerr_set_application_error(&ccerr, conn->close.code, reason, reason_len);
    }
    uint8_t *packet = conn->endpoint->buffer;
    const ngtcp2_ssize n = ngtcp2_conn_write_connection_close(
        conn->ngtcp2, &path.path, &info, packet, PQI_QUIC_CLOSE_SIZE, &ccerr, now);
    if (n > 0) {
        send_run(conn, &path.path, &info, (size_t)n, (size_t)n, now);
        conn->close_packet = malloc((size_t)n);
        if (conn->close_packet != NULL) {
            memcpy(conn->close_packet, packet, (size_t)n);
            conn->close_len = (size_t)n;
        }
    }
    finish(conn, now);
}

static void write_data(pqi_quic_conn *conn, uint64_t now)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    const pqi_quic_io *io = &endpoint->opts.io;
    pqi_stream_unblock_all(conn);
    for (unsigned round = 0; round < WRITE_ROUNDS && !io->blocked(io->user); round++) {
        ngtcp2_path_storage path;
        ngtcp2_pkt_info info = {0};
        size_t segment = 0;
        ngtcp2_path_storage_zero(&path);
        const ngtcp2_ssize n =
            ngtcp2_conn_write_aggregate_pkt(conn->ngtcp2, &path.path, &info, endpoint->buffer,
                                            sizeof(endpoint->buffer), &segment, write_packet, now);
        if (n < 0) {
            fail(conn, (int)n, now);
            return;
        }
        if (n == 0) {
            return;
        }
        send_run(conn, &path.path, &info, (size_t)n, segment, now);
    }
    pqi_endpoint_dirty(endpoint, conn); /* the next flush goes on */
}

void pqi_conn_flush(pqi_quic_conn *conn, uint64_t now)
{
    if (conn->state != CONN_LINGER && !conn->engine_failed &&
        (!conn->close_wanted || !conn->close_is_transport)) {
        write_data(conn, now);
    }
    if (conn->state != CONN_LINGER) {
        follow_path(conn);
    }
    if (conn->close_wanted && conn->state != CONN_LINGER) {
        write_close(conn, now);
    }
    pqi_endpoint_schedule(conn->endpoint, conn);
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
    if (conn->peer.shown) {
        *out = form == PQL_FINGERPRINT_SPKI ? conn->peer.shown_spki : conn->peer.shown_cert;
        return true;
    }
    const STACK_OF(CRYPTO_BUFFER) *chain =
        conn->ssl == NULL ? NULL : SSL_get0_peer_certificates(conn->ssl);
    if (chain == NULL || sk_CRYPTO_BUFFER_num(chain) == 0) {
        return false;
    }
    const CRYPTO_BUFFER *leaf = sk_CRYPTO_BUFFER_value(chain, 0);
    return pqi_fingerprint_of_der(CRYPTO_BUFFER_data(leaf), CRYPTO_BUFFER_len(leaf), form, out);
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
    if (conn->state != CONN_OPEN || ngtcp2_conn_initiate_key_update(conn->ngtcp2, now) != 0) {
        return PQL_E_STATE;
    }
    pqi_endpoint_dirty(conn->endpoint, conn);
    return PQL_OK;
}

pql_status pqi_quic_conn_migrate(pqi_quic_conn *conn, const pqi_address *local, uint64_t now)
{
    const ngtcp2_path path = path_of(local, &conn->remote);
    if (conn->server || conn->state != CONN_OPEN ||
        ngtcp2_conn_initiate_immediate_migration(conn->ngtcp2, &path, now) != 0) {
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
        .path_mtu = ngtcp2_conn_get_path_max_tx_udp_payload_size2(conn->ngtcp2),
    };
}
