/* Mutual authentication: a listener that lets in clients with a certificate only.  In virtual time
 * on a simulated network. */
#include "test.h"

#include "base/clock.h"
#include "identity/identity.h"
#include "identity/key.h"
#include "quic/internal.h"
#include "sim/network.h"

#include <openssl/evp.h>

#include <string.h>

#define MS PQI_NS_PER_MS
#define SEC PQI_NS_PER_SEC
#define NO_RETRY 1000
#define ALPN "pqlink-test/1"
/* RFC 9001, section 4.8: 0x100 and the TLS alert. */
#define UNKNOWN_CA 0x130
#define DECODE_ERROR 0x132
#define DECRYPT_ERROR 0x133
#define CERTIFICATE_REQUIRED 0x174

static pql_identity *node, *miner, *stranger;
static const pql_peer anybody = {.insecure = true};

static int set_up(void **state)
{
    (void)state;
    return pql_identity_ephemeral(&node, NULL, NULL) == PQL_OK &&
                   pql_identity_ephemeral(&miner, NULL, NULL) == PQL_OK &&
                   pql_identity_ephemeral(&stranger, NULL, NULL) == PQL_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pql_identity_free(node);
    pql_identity_free(miner);
    pql_identity_free(stranger);
    return 0;
}

static pql_fingerprint fingerprint(const pql_identity *id, pql_fingerprint_form form)
{
    pql_fingerprint fp;
    pql_identity_fingerprint(id, PQL_LEAF_PQ, form, &fp);
    return fp;
}

/* A server for |clients|, a client that shows |shown| (NULL: nothing), and the network between. */
typedef struct scene {
    pqi_quic_tls *server, *client;
    sim *sim;
} scene;

static scene new_scene_with(const pql_peer *clients, const pql_identity *shown, uint64_t seed,
                            unsigned loss)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_fingerprint pin = fingerprint(node, PQL_FINGERPRINT_CERT);
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pqi_quic_tls_opts server = {
        .server = true, .identity = node, .alpn = &alpn, .alpn_count = 1, .peer = clients};
    const pqi_quic_tls_opts client = {
        .identity = shown, .alpn = &alpn, .alpn_count = 1, .peer = &peer};
    scene s = {NULL, NULL, NULL};
    assert_int_equal(pqi_quic_tls_new(&s.server, &server, NULL), PQL_OK);
    assert_int_equal(pqi_quic_tls_new(&s.client, &client, NULL), PQL_OK);
    const sim_opts opts = {.seed = seed,
                           .rules = {.delay = 50 * MS, .loss = loss},
                           .retry_threshold = NO_RETRY,
                           .client_tls = s.client,
                           .server_tls = s.server};
    s.sim = sim_new(&opts);
    return s;
}

static scene new_scene(const pql_peer *clients, const pql_identity *shown)
{
    return new_scene_with(clients, shown, 1, 0);
}

static void free_scene(scene *s)
{
    sim_free(s->sim);
    pqi_quic_tls_free(s->client);
    pqi_quic_tls_free(s->server);
}

static bool connects(const scene *s)
{
    const sim_opts opts = {.seed = 2,
                           .rules = {.delay = 50 * MS},
                           .retry_threshold = NO_RETRY,
                           .client_tls = s->client,
                           .server_tls = s->server};
    sim *again = sim_new(&opts);
    sim_run(again, 1 * SEC);
    const bool open = sim_server(again)->opened == 1;
    sim_free(again);
    return open;
}

static void every_public_key_operation_of_both_sides_is_timed(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(miner, PQL_FINGERPRINT_CERT);
    scene s = new_scene(&(pql_peer){.pins = &pin, .pin_count = 1}, miner);
    sim_run(s.sim, 1 * SEC);
    const pql_posture *both[] = {&sim_client(s.sim)->posture, &sim_server(s.sim)->posture};
    for (size_t i = 0; i < 2; i++) {
        assert_true(both[i]->kex_ns > 0);
        assert_true(both[i]->sign_ns > 0);
        assert_true(both[i]->verify_ns > 0);
    }
    free_scene(&s);
}

static void a_listed_client_is_let_in(void **state)
{
    (void)state;
    for (int form = PQL_FINGERPRINT_CERT; form <= PQL_FINGERPRINT_SPKI; form++) {
        const pql_fingerprint pins[] = {fingerprint(stranger, (pql_fingerprint_form)form),
                                        fingerprint(miner, (pql_fingerprint_form)form)};
        scene s = new_scene(&(pql_peer){.pins = pins, .pin_count = 2}, miner);
        sim_run(s.sim, 1 * SEC);
        assert_int_equal(sim_client(s.sim)->opened, 1);
        assert_int_equal(sim_server(s.sim)->opened, 1);
        const pql_posture *posture = &sim_server(s.sim)->posture;
        assert_int_equal(posture->trust, PQL_TRUST_PIN);
        assert_int_equal(posture->peer_signature, 0x0906);
        assert_int_equal(posture->own_signature, 0x0906);
        assert_true(posture->pq_authentication);
        assert_int_equal(sim_client(s.sim)->posture.own_signature, 0x0906);
        free_scene(&s);
    }
}

static void the_server_knows_the_fingerprints_of_its_client(void **state)
{
    (void)state;
    scene s = new_scene(&anybody, miner);
    sim_run(s.sim, 1 * SEC);
    for (int form = PQL_FINGERPRINT_CERT; form <= PQL_FINGERPRINT_SPKI; form++) {
        const pql_fingerprint expected = fingerprint(miner, (pql_fingerprint_form)form);
        pql_fingerprint shown;
        assert_true(pqi_quic_conn_peer_fingerprint(sim_server_conn(s.sim),
                                                   (pql_fingerprint_form)form, &shown));
        assert_int_equal(shown.form, form);
        assert_memory_equal(shown.sha256, expected.sha256, PQL_SHA256_SIZE);
    }
    assert_int_equal(sim_server(s.sim)->posture.trust, PQL_TRUST_INSECURE);
    free_scene(&s);
}

/* A link keeps the hash of its client's certificate, and not 2.8 kB. */
static void the_certificate_itself_is_not_kept(void **state)
{
    (void)state;
    scene s = new_scene(&anybody, miner);
    sim_run(s.sim, 1 * SEC);
    assert_int_equal(sim_server(s.sim)->opened, 1);
    assert_null(SSL_get0_peer_certificates(sim_server_conn(s.sim)->ssl));
    free_scene(&s);
}

static void assert_refused(scene *s, uint64_t code)
{
    sim_run(s->sim, 20 * SEC);
    assert_int_equal(sim_server(s->sim)->opened, 0);
    assert_int_equal(sim_server(s->sim)->close.status, PQL_E_TRUST);
    assert_int_equal(sim_server(s->sim)->close.code, code);
    assert_int_equal(sim_client(s->sim)->closed, 1);
    assert_true(sim_client(s->sim)->close.by_peer);
    assert_int_equal(sim_client(s->sim)->close.code, code);
}

static void a_client_that_is_not_listed_is_refused(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(miner, PQL_FINGERPRINT_CERT);
    char shown[PQL_FINGERPRINT_SIZE];
    const pql_fingerprint of_stranger = fingerprint(stranger, PQL_FINGERPRINT_CERT);
    pql_fingerprint_format(&of_stranger, shown);
    scene s = new_scene(&(pql_peer){.pins = &pin, .pin_count = 1}, stranger);
    assert_refused(&s, UNKNOWN_CA);
    assert_int_equal(sim_server(s.sim)->posture.signature_failure, PQL_SIGNATURE_FINE);
    assert_int_equal(sim_client(s.sim)->close.status, PQL_E_TRUST);
    assert_non_null(strstr(sim_server(s.sim)->close.reason, shown));
    assert_non_null(strstr(sim_client(s.sim)->close.reason, "'pqlink fingerprint')."));
    free_scene(&s);
}

static void a_client_without_a_certificate_is_told_that_it_needs_one(void **state)
{
    (void)state;
    scene s = new_scene(&anybody, NULL);
    assert_refused(&s, CERTIFICATE_REQUIRED);
    assert_int_equal(sim_client(s.sim)->close.status, PQL_E_TRUST);
    assert_non_null(strstr(sim_client(s.sim)->close.reason, "with a certificate only"));
    assert_non_null(strstr(sim_server(s.sim)->close.reason, "showed no certificate"));
    free_scene(&s);
}

/* Its service knows its peers by another way, such as a token. */
static void a_protocol_may_be_spoken_without_a_certificate(void **state)
{
    (void)state;
    static const pql_alpn served[] = {{ALPN, PQL_LEAF_PQ}, {"old/1", PQL_LEAF_PQ}};
    const pqi_quic_tls_opts server_opts = {.server = true,
                                           .identity = node,
                                           .alpn = served,
                                           .alpn_count = 2,
                                           .peer = &anybody,
                                           .uncertified = 1u << 1};
    pqi_quic_tls *server = NULL;
    assert_int_equal(pqi_quic_tls_new(&server, &server_opts, NULL), PQL_OK);
    for (unsigned i = 0; i < 2; i++) {
        const pqi_quic_tls_opts client_opts = {
            .alpn = &served[i], .alpn_count = 1, .peer = &anybody};
        scene s = {.server = server};
        assert_int_equal(pqi_quic_tls_new(&s.client, &client_opts, NULL), PQL_OK);
        assert_int_equal(connects(&s), i == 1);
        pqi_quic_tls_free(s.client);
    }
    pqi_quic_tls_free(server);
}

/* ---- the right certificate with a foreign key ---- */

static EVP_PKEY *signer;

static enum ssl_private_key_result_t sign(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out,
                                          uint16_t scheme, const uint8_t *in, size_t in_len)
{
    (void)ssl;
    (void)scheme;
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    *out_len = max_out;
    const bool ok = EVP_DigestSignInit(&ctx, NULL, NULL, NULL, signer) == 1 &&
                    EVP_DigestSign(&ctx, out, out_len, in, in_len) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    return ok ? ssl_private_key_success : ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD sign_method = {.sign = sign};

/* The miner's certificate, signed for by |key| (NULL: the miner's own, by the same way). */
static scene new_scene_with_signer(const pql_peer *clients, EVP_PKEY *key)
{
    scene s = new_scene(clients, miner);
    SSL *ssl = sim_client_conn(s.sim)->ssl;
    SSL_CTX *ctx = SSL_get_SSL_CTX(ssl);
    CRYPTO_BUFFER *const chain[] = {sk_CRYPTO_BUFFER_value(SSL_CTX_get0_chain(ctx), 0)};
    signer = key != NULL ? key : SSL_CTX_get0_privatekey(ctx);
    assert_int_equal(SSL_set_chain_and_key(ssl, chain, 1, NULL, &sign_method), 1);
    return s;
}

static pql_signature_failure failure_of(const sim_peer_log *log)
{
    return log->posture.signature_failure;
}

static void a_listed_certificate_with_a_foreign_key_is_refused(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(miner, PQL_FINGERPRINT_CERT);
    const pql_peer clients = {.pins = &pin, .pin_count = 1};
    EVP_PKEY *foreign = pqi_key_make_ml_dsa(PQL_ML_DSA_87);
    scene s = new_scene_with_signer(&clients, foreign);
    assert_refused(&s, DECRYPT_ERROR);
    assert_int_equal(failure_of(sim_server(s.sim)), PQL_SIGNATURE_WRONG);
    assert_int_equal(failure_of(sim_client(s.sim)), PQL_SIGNATURE_FINE);
    free_scene(&s);
    s = new_scene_with_signer(&clients, NULL); /* the right key passes by the same way */
    sim_run(s.sim, 1 * SEC);
    assert_int_equal(sim_server(s.sim)->opened, 1);
    free_scene(&s);
    EVP_PKEY_free(foreign);
}

/* ---- what else can be wrong with a signature ---- */

static enum ssl_private_key_result_t sign_nothing(SSL *ssl, uint8_t *out, size_t *out_len,
                                                  size_t max_out, uint16_t scheme,
                                                  const uint8_t *in, size_t in_len)
{
    (void)ssl;
    (void)out;
    (void)out_len;
    (void)max_out;
    (void)scheme;
    (void)in;
    (void)in_len;
    return ssl_private_key_failure;
}

static enum ssl_private_key_result_t sign_ecdsa(SSL *ssl, uint8_t *out, size_t *out_len,
                                                size_t max_out, uint16_t scheme, const uint8_t *in,
                                                size_t in_len)
{
    (void)ssl;
    (void)scheme;
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    *out_len = max_out;
    const bool ok = EVP_DigestSignInit(&ctx, NULL, EVP_sha256(), NULL, signer) == 1 &&
                    EVP_DigestSign(&ctx, out, out_len, in, in_len) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    return ok ? ssl_private_key_success : ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD sign_ecdsa_method = {.sign = sign_ecdsa};
static const SSL_PRIVATE_KEY_METHOD fail_method = {.sign = sign_nothing};

/* The client of |s| shows |cert| (used up), which |method| signs for. */
static void show(const scene *s, CRYPTO_BUFFER *cert, const SSL_PRIVATE_KEY_METHOD *method)
{
    CRYPTO_BUFFER *const chain[] = {cert};
    assert_int_equal(SSL_set_chain_and_key(sim_client_conn(s->sim)->ssl, chain, 1, NULL, method),
                     1);
    CRYPTO_BUFFER_free(cert);
}

static CRYPTO_BUFFER *certificate_of(const pql_identity *id, pql_leaf leaf)
{
    CRYPTO_BUFFER *cert = pqi_identity_leaves(id)[leaf].cert;
    (void)CRYPTO_BUFFER_up_ref(cert);
    return cert;
}

static void a_signature_that_we_cannot_make_is_told_from_a_wrong_one(void **state)
{
    (void)state;
    scene s = new_scene(&anybody, miner);
    show(&s, certificate_of(miner, PQL_LEAF_PQ), &fail_method);
    sim_run(s.sim, 20 * SEC);
    assert_int_equal(sim_server(s.sim)->opened, 0);
    assert_int_equal(failure_of(sim_client(s.sim)), PQL_SIGNATURE_NOT_MADE);
    assert_int_equal(failure_of(sim_server(s.sim)), PQL_SIGNATURE_FINE);
    free_scene(&s);
}

/* The dates are no dates any more; key and outer form are as they were. */
static CRYPTO_BUFFER *broken_certificate(void)
{
    CRYPTO_BUFFER *cert = pqi_identity_leaves(miner)[PQL_LEAF_PQ].cert;
    const size_t len = CRYPTO_BUFFER_len(cert);
    uint8_t *der = malloc(len);
    assert_non_null(der);
    memcpy(der, CRYPTO_BUFFER_data(cert), len);
    uint8_t *date = memmem(der, len, "\x17\x0d", 2); /* UTCTime of 13 characters */
    if (date == NULL) {
        date = memmem(der, len, "\x18\x0f", 2); /* GeneralizedTime of 15 */
    }
    assert_non_null(date);
    memset(date + 2, 'x', 10);
    CRYPTO_BUFFER *broken = CRYPTO_BUFFER_new(der, len, NULL);
    free(der);
    return broken;
}

static void a_certificate_that_cannot_be_parsed_is_told_from_a_foreign_one(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(miner, PQL_FINGERPRINT_CERT);
    const pql_peer clients = {.pins = &pin, .pin_count = 1};
    scene s = new_scene(&clients, miner);
    signer = SSL_CTX_get0_privatekey(SSL_get_SSL_CTX(sim_client_conn(s.sim)->ssl));
    show(&s, broken_certificate(), &sign_method);
    sim_run(s.sim, 20 * SEC);
    assert_int_equal(sim_server(s.sim)->opened, 0);
    assert_int_equal(sim_server(s.sim)->close.code, DECODE_ERROR);
    assert_int_equal(failure_of(sim_server(s.sim)), PQL_SIGNATURE_MALFORMED);
    free_scene(&s);
}

static void a_server_whose_signature_the_client_does_not_allow_says_so(void **state)
{
    (void)state;
    static const pql_alpn alpn = {ALPN, PQL_LEAF_CLASSICAL};
    const pqi_quic_tls_opts server = {
        .server = true, .identity = node, .alpn = &alpn, .alpn_count = 1};
    const pqi_quic_tls_opts client = {
        .alpn = &alpn, .alpn_count = 1, .peer = &anybody, .pq_authentication = true};
    scene s = {NULL, NULL, NULL};
    assert_int_equal(pqi_quic_tls_new(&s.server, &server, NULL), PQL_OK);
    assert_int_equal(pqi_quic_tls_new(&s.client, &client, NULL), PQL_OK);
    const sim_opts opts = {.seed = 1,
                           .rules = {.delay = 50 * MS},
                           .retry_threshold = NO_RETRY,
                           .client_tls = s.client,
                           .server_tls = s.server};
    s.sim = sim_new(&opts);
    sim_run(s.sim, 20 * SEC);
    assert_int_equal(sim_client(s.sim)->opened, 0);
    assert_int_equal(sim_server(s.sim)->close.status, PQL_E_POLICY);
    assert_int_equal(failure_of(sim_server(s.sim)), PQL_SIGNATURE_NOT_ALLOWED);
    assert_int_equal(failure_of(sim_client(s.sim)), PQL_SIGNATURE_FINE);
    free_scene(&s);
}

/* True when a client that shows its classical certificate gets in under the policy off; *of_client
 * is what it says else. */
static bool a_classical_client_gets_in(bool pq_authentication, pql_signature_failure *of_client)
{
    const uint16_t ecdsa = SSL_SIGN_ECDSA_SECP256R1_SHA256;
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pqi_quic_tls_opts server = {.server = true,
                                      .policy = PQL_POLICY_OFF,
                                      .identity = node,
                                      .alpn = &alpn,
                                      .alpn_count = 1,
                                      .peer = &anybody,
                                      .pq_authentication = pq_authentication};
    const pqi_quic_tls_opts client = {.policy = PQL_POLICY_OFF,
                                      .identity = miner,
                                      .alpn = &alpn,
                                      .alpn_count = 1,
                                      .peer = &anybody};
    scene s = {NULL, NULL, NULL};
    assert_int_equal(pqi_quic_tls_new(&s.server, &server, NULL), PQL_OK);
    assert_int_equal(pqi_quic_tls_new(&s.client, &client, NULL), PQL_OK);
    const sim_opts opts = {.seed = 1,
                           .rules = {.delay = 50 * MS},
                           .retry_threshold = NO_RETRY,
                           .client_policy = PQL_POLICY_OFF,
                           .server_policy = PQL_POLICY_OFF,
                           .client_tls = s.client,
                           .server_tls = s.server};
    s.sim = sim_new(&opts);
    signer = pqi_identity_leaves(miner)[PQL_LEAF_CLASSICAL].key;
    show(&s, certificate_of(miner, PQL_LEAF_CLASSICAL), &sign_ecdsa_method);
    assert_int_equal(SSL_set_signing_algorithm_prefs(sim_client_conn(s.sim)->ssl, &ecdsa, 1), 1);
    sim_run(s.sim, 20 * SEC);
    const bool in = sim_server(s.sim)->opened == 1;
    *of_client = failure_of(sim_client(s.sim));
    free_scene(&s);
    return in;
}

static void
a_server_that_asks_for_ml_dsa_takes_no_classical_client_that_the_policy_would(void **state)
{
    (void)state;
    pql_signature_failure failure = PQL_SIGNATURE_FINE;
    assert_true(a_classical_client_gets_in(false, &failure));
    assert_false(a_classical_client_gets_in(true, &failure));
    assert_int_equal(failure, PQL_SIGNATURE_NOT_ALLOWED);
}

/* ---- cost ---- */

static void a_mutual_handshake_takes_one_round_trip(void **state)
{
    (void)state;
    scene s = new_scene(&anybody, miner);
    sim_run(s.sim, 300 * MS);
    assert_int_equal(sim_client(s.sim)->posture.round_trips, 1);
    assert_true(sim_client(s.sim)->opened_at < 101 * MS);
    /* The client's second flight left at once, so the server is through half a round trip later. */
    assert_true(sim_server(s.sim)->opened_at < 152 * MS);
    const pqi_quic_counters in = pqi_quic_endpoint_counters(sim_client_endpoint(s.sim));
    const pqi_quic_counters out = pqi_quic_endpoint_counters(sim_server_endpoint(s.sim));
    print_message("server open after %.1f ms; UDP bytes: %llu from the client (its first flight "
                  "twice), %llu from the server\n",
                  (double)sim_server(s.sim)->opened_at / (double)MS,
                  (unsigned long long)in.bytes_out, (unsigned long long)out.bytes_out);
    free_scene(&s);
}

static void mutual_handshakes_get_through_a_bad_network(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(miner, PQL_FINGERPRINT_SPKI);
    for (uint64_t seed = 1; seed <= 100; seed++) {
        scene s = new_scene_with(&(pql_peer){.pins = &pin, .pin_count = 1}, miner, seed, 50);
        sim_run(s.sim, 20 * SEC);
        assert_int_equal(sim_server(s.sim)->opened, 1);
        assert_true(sim_amplification(s.sim) <= 3.0);
        free_scene(&s);
    }
}

/* ---- the list ---- */

static void change_clients(scene *s, const pql_peer *clients)
{
    pqi_tls_generation *next = NULL;
    const pqi_tls_change change = {.current = node, .clients = clients};
    assert_int_equal(pqi_quic_tls_prepare(s->server, &change, &next, NULL), PQL_OK);
    pqi_quic_tls_publish(s->server, next);
}

static void a_new_list_counts_from_the_next_handshake_on(void **state)
{
    (void)state;
    const pql_fingerprint pins[] = {fingerprint(miner, PQL_FINGERPRINT_CERT),
                                    fingerprint(stranger, PQL_FINGERPRINT_CERT)};
    scene s = new_scene(&(pql_peer){.pins = &pins[0], .pin_count = 1}, miner);
    sim_run(s.sim, 1 * SEC);
    assert_int_equal(sim_server(s.sim)->opened, 1);
    change_clients(&s, &(pql_peer){.pins = &pins[1], .pin_count = 1});
    assert_false(connects(&s));
    change_clients(&s, &(pql_peer){.pins = pins, .pin_count = 2});
    assert_true(connects(&s));
    sim_run(s.sim, 20 * SEC);
    assert_int_equal(sim_server(s.sim)->closed, 0); /* the live link stays */
    free_scene(&s);
}

static void a_change_of_identity_keeps_the_list(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(stranger, PQL_FINGERPRINT_CERT);
    scene s = new_scene(&(pql_peer){.pins = &pin, .pin_count = 1}, miner);
    change_clients(&s, NULL);
    assert_false(connects(&s));
    free_scene(&s);
}

static void a_list_of_thousands_is_searched(void **state)
{
    (void)state;
    enum { COUNT = 5000 };
    static pql_fingerprint pins[COUNT + 1];
    for (unsigned i = 0; i < COUNT; i++) {
        pins[i] = (pql_fingerprint){.sha256 = {(uint8_t)(i * 7), (uint8_t)(i >> 3)}};
    }
    pins[COUNT] = fingerprint(miner, PQL_FINGERPRINT_CERT);
    scene s = new_scene(&(pql_peer){.pins = pins, .pin_count = COUNT + 1}, miner);
    assert_true(connects(&s));
    change_clients(&s, &(pql_peer){.pins = pins, .pin_count = COUNT});
    assert_false(connects(&s));
    free_scene(&s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_public_key_operation_of_both_sides_is_timed),
        cmocka_unit_test(a_listed_client_is_let_in),
        cmocka_unit_test(the_server_knows_the_fingerprints_of_its_client),
        cmocka_unit_test(the_certificate_itself_is_not_kept),
        cmocka_unit_test(a_client_that_is_not_listed_is_refused),
        cmocka_unit_test(a_client_without_a_certificate_is_told_that_it_needs_one),
        cmocka_unit_test(a_protocol_may_be_spoken_without_a_certificate),
        cmocka_unit_test(a_listed_certificate_with_a_foreign_key_is_refused),
        cmocka_unit_test(a_signature_that_we_cannot_make_is_told_from_a_wrong_one),
        cmocka_unit_test(a_certificate_that_cannot_be_parsed_is_told_from_a_foreign_one),
        cmocka_unit_test(a_server_whose_signature_the_client_does_not_allow_says_so),
        cmocka_unit_test(
            a_server_that_asks_for_ml_dsa_takes_no_classical_client_that_the_policy_would),
        cmocka_unit_test(a_mutual_handshake_takes_one_round_trip),
        cmocka_unit_test(mutual_handshakes_get_through_a_bad_network),
        cmocka_unit_test(a_new_list_counts_from_the_next_handshake_on),
        cmocka_unit_test(a_change_of_identity_keeps_the_list),
        cmocka_unit_test(a_list_of_thousands_is_searched),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
