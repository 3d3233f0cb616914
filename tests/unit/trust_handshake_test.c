/* Trust inside a real TLS 1.3 handshake: the pin names the certificate, CertificateVerify proves
 * the key, and neither counts without the other. */
#include "test.h"

#include "handshake.h"
#include "identity/key.h"

#include <openssl/evp.h>

static const pqi_policy_use client_use = {.policy = PQL_POLICY_HYBRID, .quic = true};
static const pqi_policy_use server_use = {
    .policy = PQL_POLICY_HYBRID, .quic = true, .server = true};

static pql_identity *make_identity(void)
{
    pql_identity *id = NULL;
    assert_int_equal(pql_identity_ephemeral(&id, NULL, NULL), PQL_OK);
    return id;
}

static pqi_trust *pin_to(const pql_identity *id, pql_leaf leaf, pql_fingerprint_form form)
{
    pqi_trust *trust = NULL;
    pql_fingerprint pin;
    pql_identity_fingerprint(id, leaf, form, &pin);
    assert_int_equal(pqi_trust_new(&trust, &(pql_peer){.pins = &pin, .pin_count = 1}, NULL),
                     PQL_OK);
    return trust;
}

/* One handshake with |server|'s leaf and a client that pinned |pinned|'s. */
static bool connect_pinned(const pql_identity *server, const pql_identity *pinned, pql_leaf leaf,
                           pql_fingerprint_form form, handshake_client *client, uint16_t *scheme)
{
    pqi_trust *trust = pin_to(pinned, leaf, form);
    SSL_CTX *client_ctx = handshake_config(&client_use, NULL, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(&server_use, server, leaf);
    *client = (handshake_client){.trust = trust};
    handshake h = handshake_run(client_ctx, server_ctx, client);
    const bool done = h.done;
    *scheme = done ? SSL_get_peer_signature_algorithm(h.client) : 0;
    handshake_free(&h);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    pqi_trust_free(trust);
    return done;
}

static void the_pinned_compact_leaf_is_accepted(void **state)
{
    (void)state;
    pql_identity *id = make_identity();
    handshake_client client;
    uint16_t scheme;
    assert_true(connect_pinned(id, id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &client, &scheme));
    assert_int_equal(client.how, PQL_TRUST_PIN);
    assert_int_equal(scheme, 0x0906);
    assert_int_equal(client.group_at_check, 0x11ec);
    pql_identity_free(id);
}

static void the_pinned_public_key_is_accepted(void **state)
{
    (void)state;
    pql_identity *id = make_identity();
    handshake_client client;
    uint16_t scheme;
    assert_true(connect_pinned(id, id, PQL_LEAF_PQ, PQL_FINGERPRINT_SPKI, &client, &scheme));
    assert_int_equal(client.how, PQL_TRUST_PIN);
    pql_identity_free(id);
}

static void the_pinned_classical_leaf_is_accepted(void **state)
{
    (void)state;
    pql_identity *id = make_identity();
    handshake_client client;
    uint16_t scheme;
    assert_true(connect_pinned(id, id, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT, &client, &scheme));
    assert_int_equal(scheme, 0x0403);
    pql_identity_free(id);
}

static void another_certificate_than_the_pinned_one_is_refused(void **state)
{
    (void)state;
    pql_identity *server = make_identity();
    pql_identity *expected = make_identity();
    handshake_client client;
    uint16_t scheme;
    assert_false(
        connect_pinned(server, expected, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &client, &scheme));
    assert_int_equal(client.status, PQL_E_TRUST);
    assert_int_equal(client.how, PQL_TRUST_NONE);
    pql_identity_free(server);
    pql_identity_free(expected);
}

/* ---- the right certificate with a foreign key ---- */

static EVP_PKEY *foreign_key;

static enum ssl_private_key_result_t sign_with_foreign_key(SSL *ssl, uint8_t *out, size_t *out_len,
                                                           size_t max_out, uint16_t scheme,
                                                           const uint8_t *in, size_t in_len)
{
    (void)ssl;
    (void)scheme;
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    *out_len = max_out;
    const bool ok = EVP_DigestSignInit(&ctx, NULL, NULL, NULL, foreign_key) == 1 &&
                    EVP_DigestSign(&ctx, out, out_len, in, in_len) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    return ok ? ssl_private_key_success : ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD foreign_method = {.sign = sign_with_foreign_key};

/* A server that shows the certificate of |id|, which the client pinned, but signs with |signer|
 * (NULL: its own key, by the same way).  Returns the client's SSL_R_* reason, 0 when it connected.
 */
static int connect_with_signer(const pql_identity *id, EVP_PKEY *signer, handshake_client *client)
{
    pqi_trust *trust = pin_to(id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
    SSL_CTX *client_ctx = handshake_config(&client_use, NULL, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(&server_use, id, PQL_LEAF_PQ);
    CRYPTO_BUFFER *const chain[] = {sk_CRYPTO_BUFFER_value(SSL_CTX_get0_chain(server_ctx), 0)};
    CRYPTO_BUFFER_up_ref(chain[0]);
    foreign_key = signer != NULL ? signer : SSL_CTX_get0_privatekey(server_ctx);
    EVP_PKEY_up_ref(foreign_key);
    assert_int_equal(SSL_CTX_set_chain_and_key(server_ctx, chain, 1, NULL, &foreign_method), 1);
    *client = (handshake_client){.trust = trust};
    handshake h = handshake_run(client_ctx, server_ctx, client);
    assert_true(h.done == (h.client_reason == 0));
    handshake_free(&h);
    EVP_PKEY_free(foreign_key);
    CRYPTO_BUFFER_free(chain[0]);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    pqi_trust_free(trust);
    return h.client_reason;
}

static void the_right_certificate_with_a_foreign_key_is_refused(void **state)
{
    (void)state;
    pql_identity *id = make_identity();
    EVP_PKEY *other = pqi_key_make_ml_dsa(PQL_ML_DSA_87);
    handshake_client client;

    const int reason = connect_with_signer(id, other, &client);

    assert_int_equal(client.status, PQL_OK); /* the certificate was the right one */
    assert_int_equal(reason, SSL_R_BAD_SIGNATURE);
    assert_int_equal(connect_with_signer(id, NULL, &client), 0); /* the right key passes */
    EVP_PKEY_free(other);
    pql_identity_free(id);
}

/* ---- mutual ---- */

/* DESIGN: with compact leaves on both sides. */
#define MUTUAL_BYTES_MAX 17800u

static enum ssl_verify_result_t accept_client(SSL *ssl, uint8_t *alert)
{
    (void)ssl;
    (void)alert;
    return ssl_verify_ok;
}

static void a_mutual_handshake_with_compact_leaves_stays_below_its_bound(void **state)
{
    (void)state;
    pql_identity *node = make_identity();
    pql_identity *miner = make_identity();
    SSL_CTX *client_ctx = handshake_config(&client_use, miner, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(&server_use, node, PQL_LEAF_PQ);
    SSL_CTX_set_custom_verify(server_ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT,
                              accept_client);
    (void)SSL_CTX_set_num_tickets(server_ctx, 0);
    handshake_client client = {0};

    handshake h = handshake_run(client_ctx, server_ctx, &client);

    assert_true(h.done);
    assert_int_equal(SSL_get_peer_signature_algorithm(h.server), 0x0906);
    const uint64_t sent = BIO_number_written(SSL_get_wbio(h.client));
    const uint64_t received = BIO_number_written(SSL_get_wbio(h.server));
    print_message("TLS bytes of a mutual handshake: %llu + %llu = %llu\n", (unsigned long long)sent,
                  (unsigned long long)received, (unsigned long long)(sent + received));
    assert_true(sent + received <= MUTUAL_BYTES_MAX);
    handshake_free(&h);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    pql_identity_free(node);
    pql_identity_free(miner);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_pinned_compact_leaf_is_accepted),
        cmocka_unit_test(the_pinned_public_key_is_accepted),
        cmocka_unit_test(the_pinned_classical_leaf_is_accepted),
        cmocka_unit_test(another_certificate_than_the_pinned_one_is_refused),
        cmocka_unit_test(the_right_certificate_with_a_foreign_key_is_refused),
        cmocka_unit_test(a_mutual_handshake_with_compact_leaves_stays_below_its_bound),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
