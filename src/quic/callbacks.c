/* What ngtcp2 calls back for. */
#include "base/error.h"
#include "quic/internal.h"

#include <ngtcp2/ngtcp2_crypto_boringssl.h>

#include <string.h>

/* False when the peer's address has too many links: others were opened meanwhile. */
static bool count_link(pqi_quic_conn *conn)
{
    const pqi_quic_endpoint_opts *opts = &conn->endpoint->opts;
    if (opts->max_links_per_address == 0) {
        return true;
    }
    conn->linked = pqi_sources_add(opts->link_sources, &conn->remote, opts->max_links_per_address);
    return conn->linked != NULL;
}

static int on_handshake_completed(ngtcp2_conn *ngtcp2, void *user_data)
{
    pqi_quic_conn *conn = user_data;
    pql_error err = {0};
    const uint8_t *alpn = NULL;
    unsigned alpn_len = 0;
    SSL_get0_alpn_selected(conn->ssl, &alpn, &alpn_len);
    if (alpn_len == 0) {
        /* RFC 9001, 8.1: "MUST immediately close a connection [...] with a no_application_protocol
         * TLS alert". */
        pqi_conn_abort(conn, PQL_E_PROTOCOL, NGTCP2_CRYPTO_ERROR | SSL_AD_NO_APPLICATION_PROTOCOL,
                       "The peer named no protocol (ALPN) that is spoken here.");
        return 0;
    }
    memcpy(conn->alpn, alpn, alpn_len);
    conn->alpn[alpn_len] = '\0';
    pql_status status = pqi_quic_tls_posture(conn->endpoint->opts.tls, conn->ssl, &conn->peer,
                                             &conn->posture, &err);
    if (status == PQL_OK) {
        status = pqi_quic_tls_settle(conn->endpoint->opts.tls, conn->ssl, &conn->peer, &err);
    }
    if (status != PQL_OK) {
        pqi_conn_note_downgrade(conn);
        pqi_conn_abort(conn, status, NGTCP2_CRYPTO_ERROR | pqi_trust_alert(status), err.message);
        return 0;
    }
    if (!count_link(conn)) {
        conn->endpoint->counters.refused++;
        pqi_conn_abort(conn, PQL_E_LIMIT, NGTCP2_CONNECTION_REFUSED,
                       "The address has as many links as one may have.");
        return 0;
    }
    conn->state = CONN_OPEN;
    conn->posture.handshake_ns = ngtcp2_conn_get_timestamp(ngtcp2) - conn->started;
    pqi_conn_not_half_open(conn);
    pqi_starts_give_back(conn);
    if (conn->server) {
        pqi_token_issue(conn, &conn->remote);
    } else {
        pqi_conn_flight_done(conn);
    }
    conn->events->open(conn);
    return 0;
}

static pqi_quic_stream *stream_of(pqi_quic_conn *conn, int64_t id, void *stream_user_data)
{
    if (stream_user_data != NULL) {
        return stream_user_data;
    }
    for (pqi_quic_stream *s = conn->streams; s != NULL; s = s->next) {
        if (s->id == id) {
            return s;
        }
    }
    return NULL;
}

static int on_stream_open(ngtcp2_conn *ngtcp2, int64_t id, void *user_data)
{
    pqi_quic_conn *conn = user_data;
    if (conn->state != CONN_OPEN || conn->close_wanted) {
        return 0; /* refused within this very datagram: its owner never hears of the stream */
    }
    pqi_quic_stream *stream = pqi_stream_new(conn, id);
    if (stream == NULL) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    (void)ngtcp2_conn_set_stream_user_data(ngtcp2, id, stream);
    conn->events->stream_open(stream);
    return 0;
}

static int on_stream_data(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t offset,
                          const uint8_t *data, size_t len, void *user_data, void *stream_user_data)
{
    (void)offset;
    pqi_quic_conn *conn = user_data;
    pqi_quic_stream *stream = stream_of(conn, id, stream_user_data);
    if (stream != NULL && !conn->close_wanted) {
        conn->events->stream_data(stream, data, len, (flags & NGTCP2_STREAM_DATA_FLAG_FIN) != 0);
    }
    (void)ngtcp2_conn_extend_max_stream_offset(ngtcp2, id, len);
    ngtcp2_conn_extend_max_offset(ngtcp2, len);
    return 0;
}

static int on_stream_acked(ngtcp2_conn *ngtcp2, int64_t id, uint64_t offset, uint64_t len,
                           void *user_data, void *stream_user_data)
{
    (void)ngtcp2;
    (void)offset;
    pqi_quic_stream *stream = stream_of(user_data, id, stream_user_data);
    pqi_quic_conn *conn = user_data;
    conn->large_at = 0;
    if (stream != NULL) {
        pqi_stream_acked(stream, len);
    }
    return 0;
}

static int on_stream_close(ngtcp2_conn *ngtcp2, uint32_t flags, int64_t id, uint64_t code,
                           void *user_data, void *stream_user_data)
{
    pqi_quic_conn *conn = user_data;
    pqi_quic_stream *stream = stream_of(conn, id, stream_user_data);
    if (stream != NULL) {
        const bool has_code = (flags & NGTCP2_STREAM_CLOSE_FLAG_APP_ERROR_CODE_SET) != 0;
        conn->events->stream_closed(stream, has_code ? code : 0);
        pqi_stream_free(stream);
    }
    if (ngtcp2_conn_is_local_stream2(ngtcp2, id) == 0) {
        ngtcp2_conn_extend_max_streams_bidi(ngtcp2, 1);
    }
    return 0;
}

/* A half that the peer gave up ends the other half too: our services have no use for one alone. */
static int on_stream_reset(ngtcp2_conn *ngtcp2, int64_t id, uint64_t final_size, uint64_t code,
                           void *user_data, void *stream_user_data)
{
    (void)ngtcp2;
    (void)final_size;
    pqi_quic_stream *stream = stream_of(user_data, id, stream_user_data);
    if (stream != NULL) {
        pqi_quic_stream_reset(stream, code);
    }
    return 0;
}

static int on_stream_stop_sending(ngtcp2_conn *ngtcp2, int64_t id, uint64_t code, void *user_data,
                                  void *stream_user_data)
{
    (void)ngtcp2;
    pqi_quic_stream *stream = stream_of(user_data, id, stream_user_data);
    if (stream != NULL) {
        pqi_quic_stream_reset(stream, code);
    }
    return 0;
}

static int on_extend_stream_data(ngtcp2_conn *ngtcp2, int64_t id, uint64_t max_data,
                                 void *user_data, void *stream_user_data)
{
    (void)ngtcp2;
    (void)max_data;
    pqi_quic_stream *stream = stream_of(user_data, id, stream_user_data);
    if (stream != NULL) {
        stream->blocked = false;
        pqi_stream_ready(stream);
    }
    return 0;
}

/* Until the peer's new address is validated, a server may send three times what came from there
 * (RFC 9000, 8.2), and ngtcp2 cuts packets to that. */
static int on_path_validation_begins(ngtcp2_conn *ngtcp2, uint32_t flags, const ngtcp2_path *path,
                                     const ngtcp2_path *fallback, void *user_data)
{
    (void)flags;
    (void)fallback;
    pqi_quic_conn *conn = user_data;
    /* The old path is looked at once more after that, without need. */
    conn->path_unproven = conn->server && ngtcp2_path_eq(path, ngtcp2_conn_get_path2(ngtcp2)) != 0;
    return 0;
}

static int on_path_validated(ngtcp2_conn *ngtcp2, uint32_t flags, const ngtcp2_path *path,
                             const ngtcp2_path *fallback, ngtcp2_path_validation_result result,
                             void *user_data)
{
    (void)ngtcp2;
    (void)fallback;
    pqi_quic_conn *conn = user_data;
    conn->path_unproven = false;
    conn->small = false;
    conn->large_at = 0;
    if (result == NGTCP2_PATH_VALIDATION_RESULT_SUCCESS &&
        (flags & NGTCP2_PATH_VALIDATION_FLAG_NEW_TOKEN) != 0) {
        pqi_address remote = {.len = path->remote.addrlen};
        memcpy(&remote.sa, path->remote.addr, path->remote.addrlen);
        pqi_token_issue(conn, &remote);
    }
    return 0;
}

/* ngtcp2 wants unpredictable bytes here only for packet padding and the spin bit. */
static void on_rand(uint8_t *out, size_t len, const ngtcp2_rand_ctx *context)
{
    pqi_endpoint_random(context->native_handle, out, len);
}

static int on_new_connection_id(ngtcp2_conn *ngtcp2, ngtcp2_cid *cid,
                                ngtcp2_stateless_reset_token *token, size_t len, void *user_data)
{
    (void)ngtcp2;
    (void)len;
    pqi_quic_conn *conn = user_data;
    pqi_quic_endpoint *endpoint = conn->endpoint;
    uint8_t random[PQI_CID_LEN];
    pqi_endpoint_random(endpoint, random, sizeof(random));
    pqi_cid_make(cid, random, endpoint->opts.worker, endpoint->opts.workers);
    if (ngtcp2_crypto_generate_stateless_reset_token(token->data, endpoint->opts.secret,
                                                     sizeof(endpoint->opts.secret), cid) != 0 ||
        !pqi_cid_map_add(endpoint->map, cid->data, cid->datalen, conn)) {
        return NGTCP2_ERR_CALLBACK_FAILURE;
    }
    return 0;
}

static int on_remove_connection_id(ngtcp2_conn *ngtcp2, const ngtcp2_cid *cid, void *user_data)
{
    (void)ngtcp2;
    pqi_quic_conn *conn = user_data;
    pqi_cid_map_remove(conn->endpoint->map, cid->data, cid->datalen);
    return 0;
}

static int on_stateless_reset(ngtcp2_conn *ngtcp2, const ngtcp2_pkt_stateless_reset2 *reset,
                              void *user_data)
{
    (void)ngtcp2;
    (void)reset;
    pqi_quic_conn *conn = user_data;
    conn->stateless_reset = true;
    return 0;
}

static int on_retry(ngtcp2_conn *ngtcp2, const ngtcp2_pkt_hd *hd, void *user_data)
{
    pqi_quic_conn *conn = user_data;
    conn->retried = true;
    conn->ever_retried = true;
    return ngtcp2_crypto_recv_retry_cb(ngtcp2, hd, user_data);
}

static int on_new_token(ngtcp2_conn *ngtcp2, const uint8_t *token, size_t len, void *user_data)
{
    (void)ngtcp2;
    const pqi_quic_conn *conn = user_data;
    const pqi_quic_io *io = &conn->endpoint->opts.io;
    if (io->new_token != NULL && len <= PQI_QUIC_TOKEN_MAX) {
        io->new_token(io->user, token, len);
    }
    return 0;
}

void pqi_conn_callbacks(ngtcp2_callbacks *callbacks, bool server)
{
    *callbacks = (ngtcp2_callbacks){
        .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
        .handshake_completed = on_handshake_completed,
        .encrypt = ngtcp2_crypto_encrypt_cb,
        .decrypt = ngtcp2_crypto_decrypt_cb,
        .hp_mask = ngtcp2_crypto_hp_mask_cb,
        .recv_stream_data = on_stream_data,
        .acked_stream_data_offset = on_stream_acked,
        .stream_open = on_stream_open,
        .stream_close = on_stream_close,
        .rand = on_rand,
        .remove_connection_id = on_remove_connection_id,
        .path_validation = on_path_validated,
        .begin_path_validation = on_path_validation_begins,
        .update_key = ngtcp2_crypto_update_key_cb,
        .stream_reset = on_stream_reset,
        .extend_max_stream_data = on_extend_stream_data,
        .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
        .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
        .stream_stop_sending = on_stream_stop_sending,
        .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
        .recv_stateless_reset2 = on_stateless_reset,
        .get_new_connection_id2 = on_new_connection_id,
        .get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
    };
    if (server) {
        callbacks->recv_client_initial = ngtcp2_crypto_recv_client_initial_cb;
    } else {
        callbacks->client_initial = ngtcp2_crypto_client_initial_cb;
        callbacks->recv_retry = on_retry;
        callbacks->recv_new_token = on_new_token;
    }
}
