/* ML-DSA keys agree with another implementation of FIPS 204, and a signature is good or it is not.
 *
 * The vectors were made with the Python package dilithium-py 1.5.1 (pure Python, written from
 * FIPS 204): key from the seed 00 01 .. 1f, deterministic signature over the message below with an
 * empty context.  src/crypto/vectors holds the signatures. */
#include "test.h"

#include "base/file.h"
#include "base/hex.h"
#include "crypto/hash.h"
#include "identity/key.h"
#include "identity/pem.h"

#include <openssl/mem.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char message[] = "pqlink known answer";
#define MESSAGE_LEN (sizeof(message) - 1)

typedef struct known_answer {
    const char *name;
    uint8_t oid_arc; /* last arc of 2.16.840.1.101.3.4.3.x (RFC 9881, section 2) */
    const char *algorithm;
    size_t public_len;
    size_t signature_len;
    const char *public_sha256;
} known_answer;

static const known_answer answers[] = {
    {"44", 17, "ML-DSA-44", 1312, 2420,
     "9f107644c1084526af3bc8098680b05499a2325a644e388fb4f970e058d19d46"},
    {"65", 18, "ML-DSA-65", 1952, 3309,
     "d666806e11cee19a7c989f7445f90dd419cf4d2d51db8c0fdb4c0f0a542238c9"},
    {"87", 19, "ML-DSA-87", 2592, 4627,
     "91dc389cfaa01470b7f66eee45a4ae9026d154817c754dfe22298b3fa241ffcd"},
};
#define ANSWER_COUNT (sizeof(answers) / sizeof(answers[0]))

/* The PKCS#8 of the seed 00 01 .. 1f, built by hand (RFC 9881, section 6: seed [0]). */
static EVP_PKEY *key_from_seed(uint8_t oid_arc)
{
    uint8_t der[54] = {0x30, 0x34, 0x02, 0x01, 0x00, 0x30, 0x0b, 0x06, 0x09, 0x60, 0x86,
                       0x48, 0x01, 0x65, 0x03, 0x04, 0x03, 0x00, 0x04, 0x22, 0x80, 0x20};
    der[17] = oid_arc;
    for (uint8_t i = 0; i < 32; i++) {
        der[22 + i] = i;
    }
    uint8_t *pem = NULL;
    size_t len = 0;
    assert_true(pqi_pem_encode(der, sizeof(der), PQI_PEM_KEY, &pem, &len));
    EVP_PKEY *key = pqi_key_from_pem(pem, len);
    free(pem);
    assert_non_null(key);
    return key;
}

static bool verify(EVP_PKEY *key, const uint8_t *signature, size_t len, const void *text,
                   size_t text_len)
{
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    const bool ok = EVP_DigestVerifyInit(&ctx, NULL, NULL, NULL, key) == 1 &&
                    EVP_DigestVerify(&ctx, signature, len, text, text_len) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    return ok;
}

static uint8_t *read_signature(const known_answer *answer)
{
    char path[512];
    uint8_t *data = NULL;
    size_t len = 0;
    (void)snprintf(path, sizeof(path), PQLINK_TEST_DATA "/../../src/crypto/vectors/ml-dsa-%s.sig",
                   answer->name);
    assert_int_equal(pqi_file_read(path, 65536, &data, &len, NULL), PQL_OK);
    assert_int_equal(len, answer->signature_len);
    return data;
}

static void a_seed_gives_the_key_that_another_implementation_derives(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        EVP_PKEY *key = key_from_seed(answers[i].oid_arc);
        uint8_t raw[4096];
        uint8_t digest[PQI_SHA256_SIZE];
        char text[2 * PQI_SHA256_SIZE + 1];
        size_t len = sizeof(raw);
        assert_int_equal(EVP_PKEY_get_raw_public_key(key, raw, &len), 1);
        assert_int_equal(len, answers[i].public_len);
        pqi_sha256(digest, raw, len);
        pqi_hex_encode(text, digest, sizeof(digest));
        assert_string_equal(text, answers[i].public_sha256);
        assert_string_equal(pqi_key_kind_of(key, PQL_LEAF_PQ)->algorithm, answers[i].algorithm);
        EVP_PKEY_free(key);
    }
}

static void a_signature_of_another_implementation_verifies(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        EVP_PKEY *key = key_from_seed(answers[i].oid_arc);
        uint8_t *signature = read_signature(&answers[i]);
        assert_true(verify(key, signature, answers[i].signature_len, message, MESSAGE_LEN));
        free(signature);
        EVP_PKEY_free(key);
    }
}

static void one_flipped_bit_spoils_a_signature(void **state)
{
    (void)state;
    for (size_t i = 0; i < ANSWER_COUNT; i++) {
        EVP_PKEY *key = key_from_seed(answers[i].oid_arc);
        const size_t len = answers[i].signature_len;
        uint8_t *signature = read_signature(&answers[i]);
        /* A prime step meets the commitment, the response and the hints alike. */
        for (size_t bit = 0; bit < 8 * len; bit += 251) {
            signature[bit / 8] ^= (uint8_t)(1U << (bit % 8));
            assert_false(verify(key, signature, len, message, MESSAGE_LEN));
            signature[bit / 8] ^= (uint8_t)(1U << (bit % 8));
        }
        assert_false(verify(key, signature, len - 1, message, MESSAGE_LEN));
        assert_false(verify(key, signature, len, message, MESSAGE_LEN - 1));
        assert_true(verify(key, signature, len, message, MESSAGE_LEN));
        free(signature);
        EVP_PKEY_free(key);
    }
}

static void a_key_survives_pem_in_its_seed_form(void **state)
{
    (void)state;
    EVP_PKEY *key = pqi_key_make_ml_dsa(PQL_ML_DSA_87);
    uint8_t *pem = NULL;
    size_t len = 0;
    assert_int_equal(pqi_key_to_pem(key, &pem, &len, NULL), PQL_OK);
    assert_true(len < 160); /* the expanded form would take 6.6 kB */
    EVP_PKEY *again = pqi_key_from_pem(pem, len);
    assert_non_null(again);
    assert_int_equal(EVP_PKEY_cmp(key, again), 1);
    assert_true(pqi_key_fits(again, key));
    free(pem);
    EVP_PKEY_free(again);
    EVP_PKEY_free(key);
}

static void a_key_fits_only_its_own_public_key(void **state)
{
    (void)state;
    EVP_PKEY *one = pqi_key_make_ml_dsa(PQL_ML_DSA_65);
    EVP_PKEY *two = pqi_key_make_ml_dsa(PQL_ML_DSA_65);
    EVP_PKEY *larger = pqi_key_make_ml_dsa(PQL_ML_DSA_87);
    EVP_PKEY *classical = pqi_key_make_p256();
    assert_true(pqi_key_fits(one, one));
    assert_false(pqi_key_fits(one, two));
    assert_false(pqi_key_fits(one, larger));
    assert_false(pqi_key_fits(one, classical));
    EVP_PKEY_free(one);
    EVP_PKEY_free(two);
    EVP_PKEY_free(larger);
    EVP_PKEY_free(classical);
}

static void only_the_kinds_of_an_identity_are_known(void **state)
{
    (void)state;
    EVP_PKEY *ed25519 = pqi_key_make_ed25519();
    EVP_PKEY *p256 = pqi_key_make_p256();
    assert_null(pqi_key_kind_of(ed25519, PQL_LEAF_PQ));
    EVP_PKEY *ml_dsa = pqi_key_make_ml_dsa(PQL_ML_DSA_44);
    assert_null(pqi_key_kind_of(ml_dsa, PQL_LEAF_CLASSICAL));
    EVP_PKEY_free(ml_dsa);
    assert_null(pqi_key_kind_of(p256, PQL_LEAF_PQ));
    assert_string_equal(pqi_key_kind_of(ed25519, PQL_LEAF_CLASSICAL)->algorithm, "Ed25519");
    assert_string_equal(pqi_key_kind_of(p256, PQL_LEAF_CLASSICAL)->algorithm, "ECDSA-P256");
    assert_null(pqi_key_make_ml_dsa((pql_sign)3));
    EVP_PKEY_free(ed25519);
    EVP_PKEY_free(p256);
}

static void pem_is_one_block_of_the_right_label(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "-----BEGIN PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END CERTIFICATE-----\n",
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
        " -----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\nx",
        "-----BEGIN PRIVATE KEY-----\n-----END PRIVATE KEY-----\n",
        "-----BEGIN PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n\nAAAA\n-----END PRIVATE KEY-----\n",
    };
    uint8_t *der = NULL;
    size_t len = 0;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_false(
            pqi_pem_decode((const uint8_t *)bad[i], strlen(bad[i]), PQI_PEM_KEY, &der, &len));
        assert_null(der);
    }
    const char *good = "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n \r\n";
    assert_true(pqi_pem_decode((const uint8_t *)good, strlen(good), PQI_PEM_KEY, &der, &len));
    assert_int_equal(len, 3);
    OPENSSL_free(der);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_seed_gives_the_key_that_another_implementation_derives),
        cmocka_unit_test(a_signature_of_another_implementation_verifies),
        cmocka_unit_test(one_flipped_bit_spoils_a_signature),
        cmocka_unit_test(a_key_survives_pem_in_its_seed_form),
        cmocka_unit_test(a_key_fits_only_its_own_public_key),
        cmocka_unit_test(only_the_kinds_of_an_identity_are_known),
        cmocka_unit_test(pem_is_one_block_of_the_right_label),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
