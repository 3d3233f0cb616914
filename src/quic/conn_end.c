/* The end of a connection: why it ended, what is said on the wire, what stays for a while. */
#include "base/clock.h"
#include "base/error.h"
#include "quic/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* RFC 9000, 10.2: closing lasts three probe time-outs at least; the bound is for peers that made us
 * measure a very long round trip. */
#define LINGER_PTO 3
#define LINGER_MAX (10 * PQI_NS_PER_SEC)
/* A sentence of our own about the peer's close, in front of what the peer said. */
#define SENTENCE_SIZE 400

void pqi_conn_not_half_open(pqi_quic_conn *conn)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    if (conn->counted_unauthenticated) {
        conn->counted_unauthenticated = false;
        endpoint->unauthenticated--;
    }
    pqi_sources_remove(endpoint->proven, conn->proven);
    conn->proven = NULL;
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
    pqi_conn_not_half_open(conn);
    pqi_starts_leave(conn);
    pqi_sources_remove(conn->endpoint->opts.link_sources, conn->linked);
    conn->linked = NULL;
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

void pqi_conn_finish(pqi_quic_conn *conn, uint64_t now)
{
    const uint64_t linger = LINGER_PTO * ngtcp2_conn_get_pto2(conn->ngtcp2);
    conn->close_wanted = true;
    while (conn->streams != NULL) {
        conn->events->stream_closed(conn->streams, 0);
        pqi_stream_free(conn->streams);
    }
    if (conn->state == CONN_HANDSHAKE) {
        conn->posture.peer_groups = conn->peer.groups;
        conn->posture.peer_signatures = conn->peer.signatures;
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
    pqi_conn_finish(conn, now);
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
static void explain_peer_code(const pqi_quic_conn *conn, pql_close *close)
{
    char words[sizeof(close->reason)];
    char sentence[SENTENCE_SIZE];
    const unsigned alert =
        (close->code & ~UINT64_C(0xff)) == NGTCP2_CRYPTO_ERROR ? (unsigned)(close->code & 0xff) : 0;
    if (close->status == PQL_OK) {
        return;
    }
    if (close->status == PQL_E_POLICY) {
        pqi_quic_tls_explain_alert(conn->endpoint->opts.tls, conn->ssl, alert,
                                   conn->state == CONN_OPEN, sentence, sizeof(sentence));
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
    } else if (alert == SSL_AD_UNKNOWN_CA && !conn->server) {
        (void)snprintf(sentence, sizeof(sentence),
                       "The peer ended the handshake with TLS alert %u (%s): if it lets in listed "
                       "miners only, give its operator this miner's fingerprint ('pqlink "
                       "fingerprint').",
                       alert, SSL_alert_desc_string_long((int)alert));
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
    if (conn->server && conn->state == CONN_HANDSHAKE && conn->address_proven) {
        pqi_quic_tls_refused(conn->ssl, &conn->peer);
    }
    if (conn->stateless_reset) {
        conn->close.status = PQL_E_CLOSED;
        (void)snprintf(conn->close.reason, sizeof(conn->close.reason),
                       "The peer has lost this link (stateless reset): it was restarted.");
    } else if (ccerr->type == NGTCP2_CCERR_TYPE_APPLICATION) {
        conn->close.application = true;
        conn->close.status = ccerr->error_code == 0 ? PQL_OK : PQL_E_CLOSED;
    } else {
        conn->close.status = status_of_peer_code(ccerr->error_code);
        explain_peer_code(conn, &conn->close);
    }
    pqi_conn_finish(conn, now);
}

/* For those who count: the session would have been a downgrade. */
void pqi_conn_note_downgrade(pqi_quic_conn *conn)
{
    if (conn->peer.downgraded) {
        conn->posture.downgrade = PQL_DOWNGRADE_REMEMBERED;
    }
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
        conn->posture.signature_failure = pqi_quic_tls_signature_failure(&conn->peer);
        ngtcp2_ccerr_set_tls_alert(&ccerr, ngtcp2_conn_get_tls_alert2(conn->ngtcp2), NULL, 0);
    } else {
        ngtcp2_ccerr_set_liberr(&ccerr, rv, NULL, 0);
    }
    if (rv == NGTCP2_ERR_CRYPTO && conn->peer.refusal.code != PQL_OK) {
        pqi_conn_note_downgrade(conn);
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

void pqi_conn_fail(pqi_quic_conn *conn, int rv, uint64_t now)
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

void pqi_conn_linger_receive(pqi_quic_conn *conn, const pqi_datagrams *one)
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
    if (conn->close_len <= PQI_AMPLIFICATION_LIMIT * one->len) {
        pqi_endpoint_send(conn->endpoint, &run);
    }
}
