/* Every policy against every other, in a real handshake, judged on both sides. */
#include "test.h"

#include "base/cursor.h"
#include "handshake.h"

#include <stdio.h>

#define X25519 0x001d
#define X25519MLKEM768 0x11ec
#define SECP384R1MLKEM1024 0x11ed
#define MLKEM1024 0x0202
#define REFUSED 0

/* The longest ClientHello that two QUIC Initial packets of 1,200 bytes carry, after headers,
 * authentication tags, frame headers (about 60 bytes each) and 150 bytes of transport parameters.
 */
#define CLIENT_HELLO_MAX 2100

static pql_identity *identity;

static int make_identity(void **state)
{
    (void)state;
    return pql_identity_ephemeral(&identity, NULL, NULL) == PQL_OK ? 0 : -1;
}

static int free_identity(void **state)
{
    (void)state;
    pql_identity_free(identity);
    return 0;
}

static pql_posture posture_of(const SSL *ssl, bool server)
{
    return (pql_posture){
        .tls_version = (uint16_t)SSL_version(ssl),
        .group = SSL_get_group_id(ssl),
        .peer_signature = server ? 0 : SSL_get_peer_signature_algorithm(ssl),
        .own_signature = server ? pqi_identity_scheme(identity, PQL_LEAF_PQ) : 0,
        .cipher = SSL_CIPHER_get_protocol_id(SSL_get_current_cipher(ssl)),
    };
}

/* What came of one handshake. */
typedef struct outcome {
    bool done;
    int client_reason;
    pql_posture client;
    pql_posture server;
    pql_status client_verdict;
    pql_status server_verdict;
} outcome;

static outcome connect_configs(SSL_CTX *client_ctx, const pqi_policy_use *client_use,
                               SSL_CTX *server_ctx, const pqi_policy_use *server_use)
{
    handshake_client client = {0};
    handshake h = handshake_run(client_ctx, server_ctx, &client);
    outcome o = {.done = h.done, .client_reason = h.client_reason};
    if (h.done) {
        o.client = posture_of(h.client, false);
        o.server = posture_of(h.server, true);
        o.client_verdict = pqi_policy_judge(client_use, &o.client, NULL);
        o.server_verdict = pqi_policy_judge(server_use, &o.server, NULL);
    }
    handshake_free(&h);
    return o;
}

static outcome connect_uses(const pqi_policy_use *client_use, const pqi_policy_use *server_use,
                            pql_leaf leaf)
{
    SSL_CTX *client_ctx = handshake_config(client_use, NULL, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(server_use, identity, leaf);
    const outcome o = connect_configs(client_ctx, client_use, server_ctx, server_use);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    return o;
}

/* [client][server], indexed by pql_policy: hybrid, off, pq-only, cnsa-2.0. */
#define WORDS 4u
static const uint16_t expected_group[WORDS][WORDS] = {
    {X25519MLKEM768, X25519, X25519MLKEM768, REFUSED},
    {X25519, X25519, REFUSED, REFUSED},
    {X25519MLKEM768, REFUSED, X25519MLKEM768, SECP384R1MLKEM1024},
    {REFUSED, REFUSED, SECP384R1MLKEM1024, MLKEM1024},
};

/* The enum has the words first and then, in the same order, what they mean in 2026. */
static unsigned word_of(pql_policy policy)
{
    return (unsigned)policy % WORDS;
}

static pql_downgrade expected_downgrade(pql_policy policy, uint16_t group)
{
    return word_of(policy) == PQL_POLICY_HYBRID && group == X25519 ? PQL_DOWNGRADE_PEER_CLASSICAL
                                                                   : PQL_DOWNGRADE_NONE;
}

static void assert_cell(pql_policy client, pql_policy server, bool quic)
{
    const pqi_policy_use client_use = {.policy = client, .quic = quic};
    const pqi_policy_use server_use = {.policy = server, .quic = quic, .server = true};
    const uint16_t group = expected_group[word_of(client)][word_of(server)];
    const outcome o = connect_uses(&client_use, &server_use, PQL_LEAF_PQ);
    assert_int_equal(o.done, group != REFUSED);
    if (!o.done) {
        return;
    }
    assert_int_equal(o.client.group, group);
    assert_int_equal(o.client.tls_version, 0x0304);
    assert_int_equal(o.client.cipher, 0x1302);
    assert_int_equal(o.client_verdict, PQL_OK);
    assert_int_equal(o.server_verdict, PQL_OK);
    assert_int_equal(o.client.pq_key_exchange, group != X25519);
    assert_true(o.client.pq_authentication);
    assert_true(o.server.pq_authentication);
    assert_int_equal(o.client.downgrade, expected_downgrade(client, group));
    assert_int_equal(o.server.downgrade, expected_downgrade(server, group));
}

static void every_pair_of_policies_meets_or_refuses_as_documented(void **state)
{
    (void)state;
    for (unsigned client = 0; client < PQL_POLICY_COUNT; client++) {
        for (unsigned server = 0; server < PQL_POLICY_COUNT; server++) {
            assert_cell((pql_policy)client, (pql_policy)server, true);
            assert_cell((pql_policy)client, (pql_policy)server, false);
        }
    }
}

static void a_server_takes_ml_kem_from_a_client_that_likes_x25519_better(void **state)
{
    (void)state;
    const pqi_policy_use client_use = {.policy = PQL_POLICY_HYBRID, .quic = true};
    const pqi_policy_use server_use = {.policy = PQL_POLICY_HYBRID, .quic = true, .server = true};
    SSL_CTX *client_ctx = handshake_config(&client_use, NULL, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(&server_use, identity, PQL_LEAF_PQ);
    assert_int_equal(SSL_CTX_set1_groups_list(client_ctx, "X25519:X25519MLKEM768"), 1);
    const outcome o = connect_configs(client_ctx, &client_use, server_ctx, &server_use);
    assert_true(o.done);
    assert_int_equal(o.client.group, X25519MLKEM768);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
}

static enum ssl_select_cert_result_t prefer_ciphers(const SSL_CLIENT_HELLO *hello)
{
    return pqi_policy_prefer_ciphers(PQL_POLICY_HYBRID, hello) ? ssl_select_cert_success
                                                               : ssl_select_cert_error;
}

/* The suite that a hybrid server uses with a client that likes |ciphers| in this order. */
static uint16_t cipher_for(const char *ciphers)
{
    const pqi_policy_use client_use = {.policy = PQL_POLICY_HYBRID, .quic = true};
    const pqi_policy_use server_use = {.policy = PQL_POLICY_HYBRID, .quic = true, .server = true};
    SSL_CTX *client_ctx = handshake_config(&client_use, NULL, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(&server_use, identity, PQL_LEAF_PQ);
    SSL_CTX_set_select_certificate_cb(server_ctx, prefer_ciphers);
    assert_int_equal(SSL_CTX_set_ciphersuites(client_ctx, ciphers), 1);
    const outcome o = connect_configs(client_ctx, &client_use, server_ctx, &server_use);
    assert_true(o.done);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    return o.server.cipher;
}

static void aes_128_is_for_clients_that_have_nothing_stronger(void **state)
{
    (void)state;
    assert_int_equal(cipher_for("TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384"), 0x1302);
    assert_int_equal(cipher_for("TLS_AES_128_GCM_SHA256:TLS_CHACHA20_POLY1305_SHA256"), 0x1303);
    assert_int_equal(cipher_for("TLS_AES_128_GCM_SHA256"), 0x1301);
}

static void required_pq_authentication_refuses_a_classical_leaf(void **state)
{
    (void)state;
    const pqi_policy_use client_use = {
        .policy = PQL_POLICY_HYBRID, .quic = true, .pq_authentication = true};
    const pqi_policy_use server_use = {.policy = PQL_POLICY_HYBRID, .quic = true, .server = true};
    assert_false(connect_uses(&client_use, &server_use, PQL_LEAF_CLASSICAL).done);
    assert_true(connect_uses(&client_use, &server_use, PQL_LEAF_PQ).done);
}

/* A client that knows nothing newer than TLS 1.2. */
static outcome connect_tls12(pql_policy policy, bool quic)
{
    const pqi_policy_use client_use = {.policy = PQL_POLICY_HYBRID};
    const pqi_policy_use server_use = {.policy = policy, .quic = quic, .server = true};
    SSL_CTX *client_ctx = handshake_config(&client_use, NULL, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(&server_use, identity, PQL_LEAF_CLASSICAL);
    assert_int_equal(SSL_CTX_set_max_proto_version(client_ctx, TLS1_2_VERSION), 1);
    const outcome o = connect_configs(client_ctx, &client_use, server_ctx, &server_use);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    return o;
}

static void tls_12_is_for_classical_peers_on_tcp_only(void **state)
{
    (void)state;
    const outcome o = connect_tls12(PQL_POLICY_HYBRID, false);
    assert_true(o.done);
    assert_int_equal(o.server.tls_version, 0x0303);
    assert_int_equal(o.server.downgrade, PQL_DOWNGRADE_PEER_CLASSICAL);
    assert_string_equal(pql_cipher_name(o.server.cipher),
                        "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384");
    assert_false(connect_tls12(PQL_POLICY_PQ_ONLY, false).done);
    assert_false(connect_tls12(PQL_POLICY_HYBRID, true).done);
}

static void a_client_hello_fits_two_quic_datagrams(void **state)
{
    (void)state;
    for (unsigned policy = 0; policy < PQL_POLICY_COUNT; policy++) {
        const pqi_policy_use use = {.policy = (pql_policy)policy, .quic = true};
        SSL_CTX *ctx = handshake_config(&use, NULL, PQL_LEAF_PQ);
        SSL *ssl = SSL_new(ctx);
        BIO *out = BIO_new(BIO_s_mem());
        SSL_set_bio(ssl, BIO_new(BIO_s_mem()), out);
        SSL_set_connect_state(ssl);
        (void)SSL_do_handshake(ssl);
        const size_t len = BIO_pending(out);
        print_message("ClientHello under %s: %zu bytes\n", pql_policy_name((pql_policy)policy),
                      len);
        assert_true(len > 0 && len <= CLIENT_HELLO_MAX);
        SSL_free(ssl);
        SSL_CTX_free(ctx);
        ERR_clear_error();
    }
}

#define EXTENSION_KEY_SHARE 51

typedef struct shares {
    uint16_t *groups;
    size_t count, most;
} shares;

static enum ssl_select_cert_result_t note_shares(const SSL_CLIENT_HELLO *hello)
{
    shares *s = SSL_CTX_get_app_data(SSL_get_SSL_CTX(hello->ssl));
    const uint8_t *data = NULL;
    size_t len = 0;
    pqi_reader r;
    if (SSL_early_callback_ctx_extension_get(hello, EXTENSION_KEY_SHARE, &data, &len) != 1) {
        return ssl_select_cert_success;
    }
    pqi_reader_init(&r, data, len);
    (void)pqi_read_u16(&r);
    while (pqi_reader_left(&r) > 0 && s->count < s->most) {
        s->groups[s->count++] = pqi_read_u16(&r);
        (void)pqi_read_bytes(&r, pqi_read_u16(&r));
    }
    return ssl_select_cert_success;
}

/* Groups of the key shares in a ClientHello of |policy|, in order; their number. */
static size_t key_shares(pql_policy policy, uint16_t *groups, size_t most)
{
    const pqi_policy_use client_use = {.policy = policy, .quic = true};
    const pqi_policy_use server_use = {.policy = policy, .quic = true, .server = true};
    shares s = {groups, 0, most};
    SSL_CTX *client_ctx = handshake_config(&client_use, NULL, PQL_LEAF_PQ);
    SSL_CTX *server_ctx = handshake_config(&server_use, identity, PQL_LEAF_PQ);
    SSL_CTX_set_app_data(server_ctx, &s);
    SSL_CTX_set_select_certificate_cb(server_ctx, note_shares);
    assert_true(connect_configs(client_ctx, &client_use, server_ctx, &server_use).done);
    SSL_CTX_free(client_ctx);
    SSL_CTX_free(server_ctx);
    return s.count;
}

/* What each policy costs on the first flight, and which guess it makes. */
static void a_client_sends_the_key_shares_that_its_policy_likes_best(void **state)
{
    (void)state;
    static const struct {
        pql_policy policy;
        size_t count;
        uint16_t groups[2];
    } table[] = {{PQL_POLICY_HYBRID, 2, {X25519MLKEM768, X25519}},
                 {PQL_POLICY_OFF, 1, {X25519}},
                 {PQL_POLICY_PQ_ONLY, 1, {X25519MLKEM768}},
                 {PQL_POLICY_CNSA_2_0, 1, {MLKEM1024}}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        uint16_t groups[4] = {0};
        assert_int_equal(key_shares(table[i].policy, groups, 4), table[i].count);
        for (size_t k = 0; k < table[i].count; k++) {
            assert_int_equal(groups[k], table[i].groups[k]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_pair_of_policies_meets_or_refuses_as_documented),
        cmocka_unit_test(a_server_takes_ml_kem_from_a_client_that_likes_x25519_better),
        cmocka_unit_test(aes_128_is_for_clients_that_have_nothing_stronger),
        cmocka_unit_test(required_pq_authentication_refuses_a_classical_leaf),
        cmocka_unit_test(tls_12_is_for_classical_peers_on_tcp_only),
        cmocka_unit_test(a_client_sends_the_key_shares_that_its_policy_likes_best),
        cmocka_unit_test(a_client_hello_fits_two_quic_datagrams),
    };
    return cmocka_run_group_tests(tests, make_identity, free_identity);
}
