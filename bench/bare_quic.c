#include "bare_quic.h"

#include "bench.h"
#include "crypto/random.h"
#include "net/address.h"

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>
#include <ngtcp2/ngtcp2_crypto_boringssl.h>

#include <string.h>

#define CID_LEN 8
#define FLIGHT_MAX 64
#define DATAGRAM_MAX 1500
#define STEPS_MAX 10
#define CLIENT_PORT 40000
#define SERVER_PORT 9833
/* The size of what is written before the path's MTU is known. */
#define WRITE_SIZE 1200

typedef struct flight {
    size_t count;
    size_t len[FLIGHT_MAX];
    uint8_t data[FLIGHT_MAX][DATAGRAM_MAX];
} flight;

typedef struct side {
    ngtcp2_conn *conn;
    SSL *ssl;
    ngtcp2_crypto_conn_ref ref;
    bool done;
    ngtcp2_path path;
    flight *out;
} side;

static const uint8_t secret[32];

static ngtcp2_conn *conn_of(ngtcp2_crypto_conn_ref *ref)
{
    return ((side *)ref->user_data)->conn;
}

static void on_rand(uint8_t *out, size_t len, const ngtcp2_rand_ctx *ctx)
{
    (void)ctx;
    pqi_random(out, len);
}

static int on_new_cid(ngtcp2_conn *conn, ngtcp2_cid *cid, ngtcp2_stateless_reset_token *token,
                      size_t len, void *user)
{
    (void)conn;
    (void)user;
    pqi_random(cid->data, len);
    cid->datalen = len;
    return ngtcp2_crypto_generate_stateless_reset_token(token->data, secret, sizeof(secret), cid) ==
                   0
               ? 0
               : NGTCP2_ERR_CALLBACK_FAILURE;
}

static int on_done(ngtcp2_conn *conn, void *user)
{
    (void)conn;
    ((side *)user)->done = true;
    return 0;
}

static const ngtcp2_callbacks callbacks = {
    .client_initial = ngtcp2_crypto_client_initial_cb,
    .recv_client_initial = ngtcp2_crypto_recv_client_initial_cb,
    .recv_crypto_data = ngtcp2_crypto_recv_crypto_data_cb,
    .handshake_completed = on_done,
    .encrypt = ngtcp2_crypto_encrypt_cb,
    .decrypt = ngtcp2_crypto_decrypt_cb,
    .hp_mask = ngtcp2_crypto_hp_mask_cb,
    .recv_retry = ngtcp2_crypto_recv_retry_cb,
    .rand = on_rand,
    .update_key = ngtcp2_crypto_update_key_cb,
    .delete_crypto_aead_ctx = ngtcp2_crypto_delete_crypto_aead_ctx_cb,
    .delete_crypto_cipher_ctx = ngtcp2_crypto_delete_crypto_cipher_ctx_cb,
    .version_negotiation = ngtcp2_crypto_version_negotiation_cb,
    .get_new_connection_id2 = on_new_cid,
    .get_path_challenge_data2 = ngtcp2_crypto_get_path_challenge_data2_cb,
};

static int select_alpn(SSL *ssl, const uint8_t **out, uint8_t *out_len, const uint8_t *in,
                       unsigned in_len, void *arg)
{
    const char *alpn = arg;
    const size_t len = strlen(alpn);
    (void)ssl;
    if (in_len < 1 + len || in[0] != len || memcmp(in + 1, alpn, len) != 0) {
        return SSL_TLSEXT_ERR_ALERT_FATAL;
    }
    *out = in + 1;
    *out_len = in[0];
    return SSL_TLSEXT_ERR_OK;
}

void bare_quic_setup(SSL_CTX *ctx, const char *alpn, int server)
{
    const int failed = server != 0 ? ngtcp2_crypto_boringssl_configure_server_context(ctx)
                                   : ngtcp2_crypto_boringssl_configure_client_context(ctx);
    check(failed == 0, "QUIC configuration of the library");
    if (server != 0) {
        SSL_CTX_set_alpn_select_cb(ctx, select_alpn, (void *)(uintptr_t)alpn);
    }
}

static void fill(ngtcp2_settings *settings, ngtcp2_transport_params *params, uint64_t now)
{
    ngtcp2_settings_default(settings);
    settings->initial_ts = now;
    settings->handshake_timeout = 10 * PQI_NS_PER_SEC;
    ngtcp2_transport_params_default(params);
    params->initial_max_data = 1 << 20;
    params->initial_max_stream_data_bidi_local = 256 << 10;
    params->initial_max_stream_data_bidi_remote = 256 << 10;
    params->initial_max_streams_bidi = 1;
    params->max_idle_timeout = 60 * PQI_NS_PER_SEC;
}

static void random_cid(ngtcp2_cid *cid)
{
    uint8_t bytes[CID_LEN];
    pqi_random(bytes, sizeof(bytes));
    ngtcp2_cid_init(cid, bytes, sizeof(bytes));
}

static void attach(side *s, SSL_CTX *ctx, const char *alpn)
{
    s->ref = (ngtcp2_crypto_conn_ref){conn_of, s};
    s->ssl = SSL_new(ctx);
    SSL_set_app_data(s->ssl, &s->ref);
    if (alpn == NULL) {
        SSL_set_accept_state(s->ssl);
    } else {
        uint8_t list[256];
        list[0] = (uint8_t)strlen(alpn);
        memcpy(list + 1, alpn, list[0]);
        SSL_set_connect_state(s->ssl);
        check(SSL_set_alpn_protos(s->ssl, list, 1u + list[0]) == 0, "ALPN");
        check(SSL_set_tlsext_host_name(s->ssl, "localhost") == 1, "server name");
    }
    ngtcp2_conn_set_tls_native_handle(s->conn, s->ssl);
}

static void start_client(side *s, SSL_CTX *ctx, const char *alpn, uint64_t now)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_cid dcid;
    ngtcp2_cid scid;
    fill(&settings, &params, now);
    random_cid(&dcid);
    random_cid(&scid);
    check(ngtcp2_conn_client_new(&s->conn, &dcid, &scid, &s->path, NGTCP2_PROTO_VER_V1, &callbacks,
                                 &settings, &params, NULL, s) == 0,
          "client");
    attach(s, ctx, alpn);
}

static void start_server(side *s, SSL_CTX *ctx, const uint8_t *data, size_t len, uint64_t now)
{
    ngtcp2_settings settings;
    ngtcp2_transport_params params;
    ngtcp2_pkt_hd hd;
    ngtcp2_cid scid;
    check(ngtcp2_accept(&hd, data, len) == 0, "accept");
    fill(&settings, &params, now);
    random_cid(&scid);
    params.original_dcid = hd.dcid;
    params.original_dcid_present = 1;
    params.stateless_reset_token_present = 1;
    check(ngtcp2_crypto_generate_stateless_reset_token(params.stateless_reset_token, secret,
                                                       sizeof(secret), &scid) == 0,
          "reset token");
    check(ngtcp2_conn_server_new(&s->conn, &hd.scid, &scid, &s->path, hd.version, &callbacks,
                                 &settings, &params, NULL, s) == 0,
          "server");
    attach(s, ctx, NULL);
}

static void write_all(side *s, uint64_t now)
{
    flight *f = s->out;
    for (;;) {
        ngtcp2_pkt_info info;
        check(f->count < FLIGHT_MAX, "a flight is too long");
        const ngtcp2_ssize n =
            ngtcp2_conn_write_pkt(s->conn, NULL, &info, f->data[f->count], WRITE_SIZE, now);
        check(n >= 0, "write");
        if (n == 0) {
            return;
        }
        f->len[f->count++] = (size_t)n;
    }
}

static void write_end(side *s, uint64_t now)
{
    ngtcp2_pkt_info info;
    ngtcp2_ccerr why;
    flight *f = s->out;
    ngtcp2_ccerr_default(&why);
    ngtcp2_ccerr_set_application_error(&why, 0, NULL, 0);
    const ngtcp2_ssize n = ngtcp2_conn_write_connection_close(
        s->conn, NULL, &info, f->data[f->count], WRITE_SIZE, &why, now);
    check(n > 0, "close");
    f->len[f->count++] = (size_t)n;
}

static void read_all(side *s, flight *in, unsigned copies, uint64_t now)
{
    for (unsigned copy = 0; copy < copies; copy++) {
        for (size_t i = 0; i < in->count; i++) {
            const ngtcp2_pkt_info info = {0};
            const int rv =
                ngtcp2_conn_read_pkt(s->conn, &s->path, &info, in->data[i], in->len[i], now);
            check(rv == 0 || rv == NGTCP2_ERR_DRAINING, "read");
        }
    }
    in->count = 0;
}

static void end(side *s)
{
    ngtcp2_conn_del(s->conn);
    SSL_free(s->ssl);
}

static void paths(side *client, side *server)
{
    static pqi_address near;
    static pqi_address far;
    (void)pqi_address_from_literal(&near, "127.0.0.1", CLIENT_PORT);
    (void)pqi_address_from_literal(&far, "127.0.0.1", SERVER_PORT);
    client->path =
        (ngtcp2_path){.local = {&near.sa.any, near.len}, .remote = {&far.sa.any, far.len}};
    server->path =
        (ngtcp2_path){.local = {&far.sa.any, far.len}, .remote = {&near.sa.any, near.len}};
}

/* One turn of the server; its nanoseconds of CPU time. */
__attribute__((noinline)) static uint64_t serve(side *server, SSL_CTX *ctx, flight *in,
                                                unsigned copies)
{
    const uint64_t before = cpu_now();
    const uint64_t now = pqi_clock_monotonic();
    if (server->conn == NULL) {
        start_server(server, ctx, in->data[0], in->len[0], now);
    }
    read_all(server, in, copies, now);
    write_all(server, now);
    return cpu_now() - before;
}

uint64_t bare_quic_handshake(SSL_CTX *server_ctx, SSL_CTX *client_ctx, const char *alpn,
                             unsigned copies)
{
    static flight to_server;
    static flight to_client;
    side client = {.out = &to_server};
    side server = {.out = &to_client};
    uint64_t spent = 0;
    to_server.count = 0;
    to_client.count = 0;
    paths(&client, &server);
    start_client(&client, client_ctx, alpn, pqi_clock_monotonic());
    write_all(&client, pqi_clock_monotonic());
    for (int i = 0; i < STEPS_MAX && !(client.done && server.done); i++) {
        spent += serve(&server, server_ctx, &to_server, i == 0 ? copies : 1);
        read_all(&client, &to_client, 1, pqi_clock_monotonic());
        write_all(&client, pqi_clock_monotonic());
    }
    check(client.done && server.done, "the bare QUIC handshake did not end");
    write_end(&client, pqi_clock_monotonic());
    const uint64_t before = cpu_now();
    read_all(&server, &to_server, 1, pqi_clock_monotonic());
    end(&server);
    spent += cpu_now() - before;
    end(&client);
    return spent;
}
