/* The certificate of an official node becomes our classical leaf, in every form that they have. */
#include "handshake.h"

#include "base/file.h"
#include "identity/certificate.h"
#include "identity/identity.h"
#include "identity/import.h"
#include "identity_directory.h"

#include <openssl/bytestring.h>
#include <openssl/ec_key.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>

#include <sys/stat.h>
#include <unistd.h>

typedef enum form { PKCS8, PKCS1, SEC1 } form;

static EVP_PKEY *make_ec(int curve)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_EC, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_ec_paramgen_curve_nid(ctx, curve), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static EVP_PKEY *make_rsa(int bits)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_RSA, NULL);
    assert_int_equal(EVP_PKEY_keygen_init(ctx), 1);
    assert_int_equal(EVP_PKEY_CTX_set_rsa_keygen_bits(ctx, bits), 1);
    assert_int_equal(EVP_PKEY_keygen(ctx, &key), 1);
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static void write_file(const char *dir, const char *name, const uint8_t *data, size_t len,
                       mode_t mode)
{
    assert_int_equal(pqi_file_write_atomic(in_dir(dir, name), data, len, mode, NULL), PQL_OK);
}

static void write_key(const char *dir, const EVP_PKEY *key, form how)
{
    CBB cbb;
    uint8_t *der = NULL;
    size_t len = 0;
    assert_int_equal(CBB_init(&cbb, 0), 1);
    if (how == PKCS8) {
        assert_int_equal(EVP_marshal_private_key(&cbb, key), 1);
    } else if (how == PKCS1) {
        assert_int_equal(RSA_marshal_private_key(&cbb, EVP_PKEY_get0_RSA(key)), 1);
    } else {
        assert_int_equal(EC_KEY_marshal_private_key(&cbb, EVP_PKEY_get0_EC_KEY(key), 0), 1);
    }
    assert_int_equal(CBB_finish(&cbb, &der, &len), 1);
    write_file(dir, PQI_ORIGINAL_KEY, der, len, 0600);
    OPENSSL_free(der);
}

/* Writes the certificate; answers its fingerprint. */
static pql_fingerprint write_cert(const char *dir, EVP_PKEY *key)
{
    pql_fingerprint fp;
    CRYPTO_BUFFER *cert = pqi_certificate_make(key, PQI_ISSUER_SELF);
    assert_non_null(cert);
    const uint8_t *der = CRYPTO_BUFFER_data(cert);
    const size_t len = CRYPTO_BUFFER_len(cert);
    assert_true(pqi_fingerprint_of_der(der, len, PQL_FINGERPRINT_CERT, &fp));
    write_file(dir, PQI_ORIGINAL_CERT, der, len, 0600);
    CRYPTO_BUFFER_free(cert);
    return fp;
}

/* The identity of |dir|/own that takes its classical leaf from |dir|. */
static pql_status open_importing(pql_identity **out, const char *dir, pql_error *err)
{
    char own[PATH_MAX];
    (void)snprintf(own, sizeof(own), "%s", in_dir(dir, "own"));
    return pql_identity_open(out, own,
                             &(pql_identity_opts){.must_create = true, .classical_from = dir}, err);
}

static void assert_refused(const char *dir, pql_status code, const char *words)
{
    pql_identity *id = NULL;
    pql_error err = {0};
    assert_int_equal(open_importing(&id, dir, &err), code);
    assert_non_null(strstr(err.message, words));
    struct stat st;
    assert_int_not_equal(stat(in_dir(dir, "own/identity"), &st), 0);
}

/* A client with the signature schemes of an official miner (rustls 0.21) and our policy is served.
 */
static void assert_served(const pql_identity *id, uint16_t scheme)
{
    static const uint16_t offered[] = {0x0503, 0x0403, 0x0807, 0x0806, 0x0805, 0x0804};
    const pqi_policy_use use = {.policy = PQL_POLICY_HYBRID, .quic = true};
    const pqi_policy_use server_use = {.policy = PQL_POLICY_HYBRID, .quic = true, .server = true};
    SSL_CTX *server = handshake_config(&server_use, id, PQL_LEAF_CLASSICAL);
    SSL_CTX *client = handshake_config(&use, NULL, PQL_LEAF_CLASSICAL);
    assert_int_equal(
        SSL_CTX_set_verify_algorithm_prefs(client, offered, sizeof(offered) / sizeof(offered[0])),
        1);
    handshake_client seen = {.trust = NULL};
    handshake h = handshake_run(client, server, &seen);
    assert_true(h.done);
    assert_int_equal(SSL_get_peer_signature_algorithm(h.client), scheme);
    handshake_free(&h);
    SSL_CTX_free(server);
    SSL_CTX_free(client);
}

static void assert_imported(const char *dir, const pql_fingerprint *wanted, const char *algorithm,
                            uint16_t scheme)
{
    pql_fingerprint fp;
    pql_error err = {0};
    pql_identity *id = NULL;
    if (open_importing(&id, dir, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    pql_identity_free(id); /* and once more from our own files */
    assert_int_equal(pql_identity_open(&id, in_dir(dir, "own"), NULL, NULL), PQL_OK);
    assert_string_equal(pql_identity_algorithm(id, PQL_LEAF_CLASSICAL), algorithm);
    assert_string_equal(pql_identity_algorithm(id, PQL_LEAF_PQ), "ML-DSA-87");
    assert_int_equal(pqi_identity_scheme(id, PQL_LEAF_CLASSICAL), scheme);
    pql_identity_fingerprint(id, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT, &fp);
    assert_memory_equal(fp.sha256, wanted->sha256, sizeof(fp.sha256));
    assert_served(id, scheme);
    pql_identity_free(id);
}

static void every_kind_and_form_is_taken_with_its_fingerprint(void **state)
{
    static const struct {
        int curve; /* 0: RSA, -1: Ed25519 */
        form how;
        const char *algorithm;
        uint16_t scheme;
    } cases[] = {
        {NID_X9_62_prime256v1, PKCS8, "ECDSA-P256", 0x0403},
        {NID_X9_62_prime256v1, SEC1, "ECDSA-P256", 0x0403},
        {NID_secp384r1, PKCS8, "ECDSA-P384", 0x0503},
        {NID_secp384r1, SEC1, "ECDSA-P384", 0x0503},
        {-1, PKCS8, "Ed25519", 0x0807},
        {0, PKCS8, "RSA", 0x0804},
        {0, PKCS1, "RSA", 0x0804},
    };
    const char *dir = *state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        EVP_PKEY *key = cases[i].curve == 0  ? make_rsa(2048)
                        : cases[i].curve < 0 ? pqi_key_make_ed25519()
                                             : make_ec(cases[i].curve);
        write_key(dir, key, cases[i].how);
        const pql_fingerprint fp = write_cert(dir, key);
        assert_imported(dir, &fp, cases[i].algorithm, cases[i].scheme);
        remove_tree(in_dir(dir, "own"));
        EVP_PKEY_free(key);
    }
}

static void a_key_of_another_certificate_is_refused(void **state)
{
    const char *dir = *state;
    EVP_PKEY *one = pqi_key_make_p256();
    EVP_PKEY *two = pqi_key_make_p256();
    (void)write_cert(dir, one);
    write_key(dir, two, PKCS8);
    assert_refused(dir, PQL_E_IDENTITY, "does not fit");
    EVP_PKEY_free(one);
    EVP_PKEY_free(two);
}

static void half_of_a_pair_is_refused(void **state)
{
    const char *dir = *state;
    EVP_PKEY *key = pqi_key_make_p256();
    assert_refused(dir, PQL_E_NOT_FOUND, "chain directory");
    (void)write_cert(dir, key);
    assert_refused(dir, PQL_E_IDENTITY, PQI_ORIGINAL_KEY " is missing");
    assert_int_equal(unlink(in_dir(dir, PQI_ORIGINAL_CERT)), 0);
    write_key(dir, key, PKCS8);
    assert_refused(dir, PQL_E_IDENTITY, PQI_ORIGINAL_CERT " is missing");
    EVP_PKEY_free(key);
}

static void a_key_that_others_can_read_is_refused(void **state)
{
    const char *dir = *state;
    EVP_PKEY *key = pqi_key_make_p256();
    (void)write_cert(dir, key);
    write_key(dir, key, PKCS8);
    assert_int_equal(chmod(in_dir(dir, PQI_ORIGINAL_KEY), 0640), 0);
    assert_refused(dir, PQL_E_IDENTITY, "chmod 600");
    EVP_PKEY_free(key);
}

static void keys_that_no_miner_would_take_are_refused(void **state)
{
    const char *dir = *state;
    EVP_PKEY *const keys[] = {make_rsa(1024), make_ec(NID_secp521r1),
                              pqi_key_make_ml_dsa(PQL_ML_DSA_44)};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++) {
        (void)write_cert(dir, keys[i]);
        write_key(dir, keys[i], PKCS8);
        assert_refused(dir, PQL_E_IDENTITY, "another kind of key");
        EVP_PKEY_free(keys[i]);
    }
}

static void garbage_is_refused_and_named(void **state)
{
    const char *dir = *state;
    static const uint8_t garbage[] = {0x30, 0x03, 0x02, 0x01, 0x00};
    EVP_PKEY *key = pqi_key_make_p256();
    (void)write_cert(dir, key);
    write_file(dir, PQI_ORIGINAL_KEY, garbage, sizeof(garbage), 0600);
    assert_refused(dir, PQL_E_IDENTITY, PQI_ORIGINAL_KEY " is not one private key");
    write_key(dir, key, PKCS8);
    write_file(dir, PQI_ORIGINAL_CERT, garbage, sizeof(garbage), 0600);
    assert_refused(dir, PQL_E_IDENTITY, PQI_ORIGINAL_CERT " is not one X.509");
    EVP_PKEY_free(key);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        DIR_TEST(every_kind_and_form_is_taken_with_its_fingerprint),
        DIR_TEST(a_key_of_another_certificate_is_refused),
        DIR_TEST(half_of_a_pair_is_refused),
        DIR_TEST(a_key_that_others_can_read_is_refused),
        DIR_TEST(keys_that_no_miner_would_take_are_refused),
        DIR_TEST(garbage_is_refused_and_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
