/* The ML-KEM answers are those of OpenSSL 3.5, the ML-DSA answers those of dilithium-py 1.5.1 and
 * of OpenSSL 3.5, which agree; neither shares code with AWS-LC. */
#include "crypto/self_test.h"

#include "base/clock.h"
#include "base/hex.h"
#include "base/secret.h"
#include "crypto/hash.h"
#include "crypto/random.h"

#include <openssl/aead.h>
#include <openssl/curve25519.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/experimental/kem_deterministic_api.h>
#include <openssl/nid.h>

#include <string.h>

/* FIPS 203, table 3: the longest are those of ML-KEM-1024. */
#define KEM_SEED_LEN 64
#define KEM_PUBLIC_MAX 1568
#define KEM_SECRET_MAX 3168
#define KEM_CIPHERTEXT_MAX 1568
#define KEM_SHARED_LEN 32
#define KEM_COIN_FIRST 0x80 /* the 32 bytes of encapsulation are 80 81 .. 9f */
/* FIPS 204, table 2: the longest are those of ML-DSA-87. */
#define DSA_SEED_LEN 32
#define DSA_PUBLIC_MAX 2592
#define DSA_SIGNATURE_MAX 4627
#define GCM_TAG_LEN 16
#define GCM_TEXT_LEN 60

extern const uint8_t pqi_ml_dsa_44_sig[], pqi_ml_dsa_65_sig[], pqi_ml_dsa_87_sig[];
extern const size_t pqi_ml_dsa_44_sig_len, pqi_ml_dsa_65_sig_len, pqi_ml_dsa_87_sig_len;

static const char message[] = "pqlink known answer";
#define MESSAGE_LEN (sizeof(message) - 1)

const char pqi_self_test_algorithms[] =
    "ML-KEM-768, ML-KEM-1024, ML-DSA-44, ML-DSA-65, ML-DSA-87, X25519, AES-256-GCM";

const pqi_self_test_answers pqi_self_test_known = {
    .kems =
        {
            {.name = "ML-KEM-768",
             .nid = NID_MLKEM768,
             .public_sha256 = "0b7934c83125c788995e2ba6bd761e33046b3e40571be53e023309a29f398cc9",
             .secret_sha256 = "dac268bde6a8dd238e9887117d6b664e7a7a9350ad6b7c08a948e504809572a5",
             .ciphertext_sha256 =
                 "1f16e217ad23771f7f72522c602dcf10cd1e2eea2648e72d29c1255a3949c33e",
             .shared = "ef91db44b6cd5b2c50f483481a3d6e2a08cc149764fcb8dc568851332da45ed9",
             .rejected = "016b585c8abc901fa45387c496d0ed74332aa06501ace2bb65ab9f8458a35bfc"},
            {.name = "ML-KEM-1024",
             .nid = NID_MLKEM1024,
             .public_sha256 = "c7b8fa0aa471d5ae18922d6ccad5b31e1d84f92ae723abfd13747018740a8530",
             .secret_sha256 = "3a2a676c5a242ee683cb6097c8f3e64fbef4d90267f9250ec2beab8f99621fad",
             .ciphertext_sha256 =
                 "ed94c4d368750d7afcae38a6e5a5d351840a8c66c6da49907f6ebfbdd402c2d3",
             .shared = "7d9404fdb9a12fafe778c3cec2c017de229fdb1c8564964830db5541970e8079",
             .rejected = "d35f7dfb8f0945bf574a3b2ae51630bb7766e769b68cb6983bab3e337f4b97dc"},
        },
    .dsas =
        {
            {.name = "ML-DSA-44",
             .nid = NID_MLDSA44,
             .public_sha256 = "9f107644c1084526af3bc8098680b05499a2325a644e388fb4f970e058d19d46",
             .signature = pqi_ml_dsa_44_sig,
             .signature_len = &pqi_ml_dsa_44_sig_len},
            {.name = "ML-DSA-65",
             .nid = NID_MLDSA65,
             .public_sha256 = "d666806e11cee19a7c989f7445f90dd419cf4d2d51db8c0fdb4c0f0a542238c9",
             .signature = pqi_ml_dsa_65_sig,
             .signature_len = &pqi_ml_dsa_65_sig_len},
            {.name = "ML-DSA-87",
             .nid = NID_MLDSA87,
             .public_sha256 = "91dc389cfaa01470b7f66eee45a4ae9026d154817c754dfe22298b3fa241ffcd",
             .signature = pqi_ml_dsa_87_sig,
             .signature_len = &pqi_ml_dsa_87_sig_len},
        },
    .x25519_shared = "4a5d9d5ba4ce2de1728e3bf480350f25e07e21c947d19e3376f09b3c1e161742",
    .gcm_sealed = "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
                  "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
                  "76fc6ece0f4e1768cddf8853bb2d551b",
};

static bool is(const uint8_t *data, size_t len, const char *hex)
{
    uint8_t expected[GCM_TEXT_LEN + GCM_TAG_LEN];
    return len <= sizeof(expected) && pqi_hex_decode(expected, len, hex, strlen(hex)) &&
           pqi_secret_equal(data, expected, len);
}

static bool hashes_to(const uint8_t *data, size_t len, const char *hex)
{
    uint8_t digest[PQI_SHA256_SIZE];
    pqi_sha256(digest, data, len);
    return is(digest, sizeof(digest), hex);
}

static void count_up(uint8_t *out, size_t len, uint8_t first)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)(first + i);
    }
}

/* ---- ML-KEM ---- */

static EVP_PKEY *kem_key(int nid)
{
    uint8_t seed[KEM_SEED_LEN];
    size_t len = sizeof(seed);
    EVP_PKEY *key = NULL;
    count_up(seed, sizeof(seed), 0);
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(EVP_PKEY_KEM, NULL);
    if (ctx == NULL || EVP_PKEY_CTX_kem_set_params(ctx, nid) != 1 ||
        EVP_PKEY_keygen_init(ctx) != 1 ||
        EVP_PKEY_keygen_deterministic(ctx, &key, seed, &len) != 1) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

static bool kem_key_right(const pqi_kem_answer *a, EVP_PKEY *key)
{
    uint8_t public[KEM_PUBLIC_MAX];
    uint8_t secret[KEM_SECRET_MAX];
    size_t public_len = sizeof(public);
    size_t secret_len = sizeof(secret);
    return EVP_PKEY_get_raw_public_key(key, public, &public_len) == 1 &&
           EVP_PKEY_get_raw_private_key(key, secret, &secret_len) == 1 &&
           hashes_to(public, public_len, a->public_sha256) &&
           hashes_to(secret, secret_len, a->secret_sha256);
}

static bool decapsulates(EVP_PKEY_CTX *ctx, const uint8_t *ciphertext, size_t len,
                         const char *expected)
{
    uint8_t shared[KEM_SHARED_LEN];
    size_t shared_len = sizeof(shared);
    return EVP_PKEY_decapsulate(ctx, shared, &shared_len, ciphertext, len) == 1 &&
           is(shared, shared_len, expected);
}

static bool kem_right(const pqi_kem_answer *a, EVP_PKEY *key, EVP_PKEY_CTX *ctx)
{
    uint8_t coin[KEM_SHARED_LEN];
    uint8_t ciphertext[KEM_CIPHERTEXT_MAX];
    uint8_t shared[KEM_SHARED_LEN];
    size_t coin_len = sizeof(coin);
    size_t len = sizeof(ciphertext);
    size_t shared_len = sizeof(shared);
    count_up(coin, sizeof(coin), KEM_COIN_FIRST);
    if (ctx == NULL || !kem_key_right(a, key) ||
        EVP_PKEY_encapsulate_deterministic(ctx, ciphertext, &len, shared, &shared_len, coin,
                                           &coin_len) != 1 ||
        !hashes_to(ciphertext, len, a->ciphertext_sha256) || !is(shared, shared_len, a->shared) ||
        !decapsulates(ctx, ciphertext, len, a->shared)) {
        return false;
    }
    ciphertext[0] ^= 1;
    return decapsulates(ctx, ciphertext, len, a->rejected);
}

static bool kem_test(const pqi_kem_answer *a)
{
    EVP_PKEY *key = kem_key(a->nid);
    EVP_PKEY_CTX *ctx = key == NULL ? NULL : EVP_PKEY_CTX_new(key, NULL);
    const bool right = kem_right(a, key, ctx);
    EVP_PKEY_CTX_free(ctx);
    EVP_PKEY_free(key);
    return right;
}

/* ---- ML-DSA ---- */

static bool verifies(EVP_PKEY *key, const uint8_t *signature, size_t len)
{
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    const bool good =
        EVP_DigestVerifyInit(&ctx, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestVerify(&ctx, signature, len, (const uint8_t *)message, MESSAGE_LEN) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    return good;
}

static bool signs(EVP_PKEY *key, uint8_t *signature, size_t *len)
{
    EVP_MD_CTX ctx;
    EVP_MD_CTX_init(&ctx);
    const bool good =
        EVP_DigestSignInit(&ctx, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestSign(&ctx, signature, len, (const uint8_t *)message, MESSAGE_LEN) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    return good;
}

/* |signature| verifies as it is, and not with a bit of its middle flipped. */
static bool verdicts_right(EVP_PKEY *key, const uint8_t *signature, size_t len)
{
    uint8_t spoilt[DSA_SIGNATURE_MAX];
    if (len > sizeof(spoilt) || !verifies(key, signature, len)) {
        return false;
    }
    memcpy(spoilt, signature, len);
    spoilt[len / 2] ^= 1;
    return !verifies(key, spoilt, len);
}

static bool dsa_right(const pqi_dsa_answer *a, EVP_PKEY *key)
{
    uint8_t public[DSA_PUBLIC_MAX];
    uint8_t fresh[DSA_SIGNATURE_MAX];
    size_t public_len = sizeof(public);
    size_t fresh_len = sizeof(fresh);
    return EVP_PKEY_get_raw_public_key(key, public, &public_len) == 1 &&
           hashes_to(public, public_len, a->public_sha256) &&
           verdicts_right(key, a->signature, *a->signature_len) && signs(key, fresh, &fresh_len) &&
           verdicts_right(key, fresh, fresh_len);
}

static bool dsa_test(const pqi_dsa_answer *a)
{
    uint8_t seed[DSA_SEED_LEN];
    count_up(seed, sizeof(seed), 0);
    EVP_PKEY *key = EVP_PKEY_pqdsa_new_raw_private_key(a->nid, seed, sizeof(seed));
    const bool right = key != NULL && dsa_right(a, key);
    EVP_PKEY_free(key);
    return right;
}

/* ---- The classical parts ---- */

static bool x25519_test(const char *expected)
{
    /* RFC 7748, section 6.1: Bob's private key, Alice's public key. */
    static const char private_hex[] =
        "5dab087e624a8a4b79e17f8b83800ee66f3bb1292618b6fd1c2f8b27ff88e0eb";
    static const char public_hex[] =
        "8520f0098930a754748b7ddcb43ef75a0dbf3a0d26381af4eba4a98eaa9b4e6a";
    static const uint8_t small_order[X25519_PUBLIC_VALUE_LEN];
    uint8_t private[X25519_PRIVATE_KEY_LEN];
    uint8_t public[X25519_PUBLIC_VALUE_LEN];
    uint8_t shared[X25519_SHARED_KEY_LEN];
    return pqi_hex_decode(private, sizeof(private), private_hex, strlen(private_hex)) &&
           pqi_hex_decode(public, sizeof(public), public_hex, strlen(public_hex)) &&
           X25519(shared, private, public) == 1 && is(shared, sizeof(shared), expected) &&
           X25519(shared, private, small_order) == 0;
}

static bool gcm_right(const EVP_AEAD_CTX *ctx, const char *expected)
{
    /* The GCM specification (McGrew, Viega), test case 16. */
    static const uint8_t nonce[] = {0xca, 0xfe, 0xba, 0xbe, 0xfa, 0xce,
                                    0xdb, 0xad, 0xde, 0xca, 0xf8, 0x88};
    static const uint8_t header[] = {0xfe, 0xed, 0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xfe, 0xed,
                                     0xfa, 0xce, 0xde, 0xad, 0xbe, 0xef, 0xab, 0xad, 0xda, 0xd2};
    static const char text_hex[] =
        "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
        "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39";
    uint8_t text[GCM_TEXT_LEN];
    uint8_t opened[GCM_TEXT_LEN];
    uint8_t sealed[GCM_TEXT_LEN + GCM_TAG_LEN];
    size_t len = 0;
    size_t opened_len = 0;
    if (!pqi_hex_decode(text, sizeof(text), text_hex, strlen(text_hex)) ||
        EVP_AEAD_CTX_seal(ctx, sealed, &len, sizeof(sealed), nonce, sizeof(nonce), text,
                          sizeof(text), header, sizeof(header)) != 1 ||
        len != sizeof(sealed) || !is(sealed, len, expected) ||
        EVP_AEAD_CTX_open(ctx, opened, &opened_len, sizeof(opened), nonce, sizeof(nonce), sealed,
                          len, header, sizeof(header)) != 1 ||
        opened_len != sizeof(text) || memcmp(opened, text, sizeof(text)) != 0) {
        return false;
    }
    sealed[0] ^= 1;
    return EVP_AEAD_CTX_open(ctx, opened, &opened_len, sizeof(opened), nonce, sizeof(nonce), sealed,
                             len, header, sizeof(header)) == 0;
}

static bool gcm_test(const char *expected)
{
    static const uint8_t half[] = {0xfe, 0xff, 0xe9, 0x92, 0x86, 0x65, 0x73, 0x1c,
                                   0x6d, 0x6a, 0x8f, 0x94, 0x67, 0x30, 0x83, 0x08};
    uint8_t key[2 * sizeof(half)];
    EVP_AEAD_CTX ctx;
    memcpy(key, half, sizeof(half));
    memcpy(key + sizeof(half), half, sizeof(half));
    if (EVP_AEAD_CTX_init(&ctx, EVP_aead_aes_256_gcm(), key, sizeof(key), GCM_TAG_LEN, NULL) != 1) {
        return false;
    }
    const bool right = gcm_right(&ctx, expected);
    EVP_AEAD_CTX_cleanup(&ctx);
    return right;
}

/* ---- All of it ---- */

/* NULL when all answers are right. */
static const char *first_wrong(const pqi_self_test_answers *a)
{
    for (size_t i = 0; i < PQI_SELF_TEST_KEMS; i++) {
        if (!kem_test(&a->kems[i])) {
            return a->kems[i].name;
        }
    }
    for (size_t i = 0; i < PQI_SELF_TEST_DSAS; i++) {
        if (!dsa_test(&a->dsas[i])) {
            return a->dsas[i].name;
        }
    }
    if (!x25519_test(a->x25519_shared)) {
        return "X25519";
    }
    return gcm_test(a->gcm_sealed) ? NULL : "AES-256-GCM";
}

pql_status pqi_self_test(const pqi_self_test_answers *answers, uint64_t *took_ns, pql_error *err)
{
    uint8_t first_random;
    pqi_random(&first_random, sizeof(first_random)); /* seeds the generator, which takes longer */
    const uint64_t start = pqi_clock_monotonic();
    const char *wrong = first_wrong(answers);
    ERR_clear_error(); /* what the refused tests left there */
    if (wrong != NULL) {
        return pqi_fail(err, PQL_E_CRYPTO,
                        "The self-test of %s gave a wrong answer, so no link would be safe.  The "
                        "cryptographic library was built wrong, or this machine computes wrong; "
                        "install pqlink anew, or use another machine.",
                        wrong);
    }
    if (took_ns != NULL) {
        *took_ns = pqi_clock_monotonic() - start;
    }
    return PQL_OK;
}
