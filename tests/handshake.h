/* A TLS handshake in memory between two configurations, for tests of identity, policy and trust. */
#ifndef PQI_TESTS_HANDSHAKE_H
#define PQI_TESTS_HANDSHAKE_H

#include "test.h"

#include "identity/identity.h"
#include "policy/policy.h"
#include "trust/trust.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <string.h>

/* Bytes that one side may have under way; two flights of ML-DSA-87 fit. */
#define HANDSHAKE_PIPE_SIZE ((size_t)1 << 16)
#define HANDSHAKE_TURNS 10
#define HANDSHAKE_NOW INT64_C(1790000000) /* 2026-09-21 */

/* What the client's verify callback sees and answers. */
typedef struct handshake_client {
    const pqi_trust *trust; /* NULL: accept without a check */
    pql_status status;
    pql_trust how;
    uint16_t group_at_check;
    pql_error err;
} handshake_client;

typedef struct handshake {
    SSL *client;
    SSL *server;
    bool done;
    int client_reason; /* SSL_R_* of the client's failure; 0 when there was none */
} handshake;

static inline pqi_chain handshake_chain(const SSL *ssl)
{
    pqi_chain chain = {.count = 0};
    const STACK_OF(CRYPTO_BUFFER) *certs = SSL_get0_peer_certificates(ssl);
    const size_t count = certs != NULL ? sk_CRYPTO_BUFFER_num(certs) : 0;
    for (size_t i = 0; i < count && i < 8; i++) {
        const CRYPTO_BUFFER *cert = sk_CRYPTO_BUFFER_value(certs, i);
        chain.der[i] = CRYPTO_BUFFER_data(cert);
        chain.len[i] = CRYPTO_BUFFER_len(cert);
        chain.count = i + 1;
    }
    return chain;
}

static inline enum ssl_verify_result_t handshake_verify(SSL *ssl, uint8_t *alert)
{
    handshake_client *client = SSL_get_app_data(ssl);
    const pqi_chain chain = handshake_chain(ssl);
    client->group_at_check = SSL_get_group_id(ssl);
    if (client->trust == NULL) {
        return ssl_verify_ok;
    }
    client->status =
        pqi_trust_check(client->trust, &chain, "localhost", "localhost:9833", HANDSHAKE_NOW,
                        pql_group_is_pq(client->group_at_check), &client->how, &client->err);
    *alert = pqi_trust_alert(client->status);
    return client->status == PQL_OK ? ssl_verify_ok : ssl_verify_invalid;
}

/* A configuration under |use|; a server shows |leaf| of |id|. */
static inline SSL_CTX *handshake_config(const pqi_policy_use *use, const pql_identity *id,
                                        pql_leaf leaf)
{
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    assert_non_null(ctx);
    assert_int_equal(pqi_policy_apply(use, ctx, NULL), PQL_OK);
    if (id != NULL) {
        assert_int_equal(pqi_identity_use(id, leaf, ctx, NULL), PQL_OK);
    }
    if (!use->server) {
        SSL_CTX_set_custom_verify(ctx, SSL_VERIFY_PEER, handshake_verify);
    }
    return ctx;
}

static inline bool handshake_turn(SSL *ssl, bool *failed, int *reason)
{
    const int rc = SSL_do_handshake(ssl);
    if (rc == 1) {
        return true;
    }
    *failed = SSL_get_error(ssl, rc) != SSL_ERROR_WANT_READ;
    *reason = *failed ? ERR_GET_REASON(ERR_peek_last_error()) : 0;
    ERR_clear_error();
    return false;
}

/* Runs the handshake to its end; handshake_free afterwards. */
static inline handshake handshake_run(SSL_CTX *client_ctx, SSL_CTX *server_ctx,
                                      handshake_client *client)
{
    handshake h = {SSL_new(client_ctx), SSL_new(server_ctx), false, 0};
    BIO *client_bio = NULL;
    BIO *server_bio = NULL;
    assert_int_equal(
        BIO_new_bio_pair(&client_bio, HANDSHAKE_PIPE_SIZE, &server_bio, HANDSHAKE_PIPE_SIZE), 1);
    SSL_set_bio(h.client, client_bio, client_bio);
    SSL_set_bio(h.server, server_bio, server_bio);
    SSL_set_app_data(h.client, client);
    SSL_set_connect_state(h.client);
    SSL_set_accept_state(h.server);
    bool failed = false;
    for (unsigned i = 0; i < HANDSHAKE_TURNS && !failed && !h.done; i++) {
        bool server_failed = false;
        int server_reason = 0;
        const bool client_done = handshake_turn(h.client, &failed, &h.client_reason);
        const bool server_done = handshake_turn(h.server, &server_failed, &server_reason);
        h.done = client_done && server_done;
        failed = failed || (server_failed && client_done);
    }
    return h;
}

static inline void handshake_free(handshake *h)
{
    SSL_free(h->client);
    SSL_free(h->server);
}

#endif
