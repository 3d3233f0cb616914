#include "identity/key.h"

#include "identity/pem.h"

#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/ssl.h>

#include <stdlib.h>

/* Indexed by pql_sign. */
static const pqi_key_kind pq_kinds[] = {
    [PQL_ML_DSA_87] = {EVP_PKEY_PQDSA, NID_MLDSA87, SSL_SIGN_MLDSA87, "ML-DSA-87"},
    [PQL_ML_DSA_65] = {EVP_PKEY_PQDSA, NID_MLDSA65, SSL_SIGN_MLDSA65, "ML-DSA-65"},
    [PQL_ML_DSA_44] = {EVP_PKEY_PQDSA, NID_MLDSA44, SSL_SIGN_MLDSA44, "ML-DSA-44"},
};
#define PQ_KIND_COUNT (sizeof(pq_kinds) / sizeof(pq_kinds[0]))

static const pqi_key_kind classical_kind = {EVP_PKEY_EC, NID_X9_62_prime256v1,
                                            SSL_SIGN_ECDSA_SECP256R1_SHA256, "ECDSA-P256"};

static const pqi_key_kind *pq_kind_of(const EVP_PKEY *key)
{
    if (EVP_PKEY_id(key) != EVP_PKEY_PQDSA) {
        return NULL;
    }
    const int nid = EVP_PKEY_pqdsa_get_type(key);
    for (size_t i = 0; i < PQ_KIND_COUNT; i++) {
        if (pq_kinds[i].nid == nid) {
            return &pq_kinds[i];
        }
    }
    return NULL;
}

const pqi_key_kind *pqi_key_kind_of(const EVP_PKEY *key, pql_leaf leaf)
{
    if (leaf == PQL_LEAF_PQ) {
        return pq_kind_of(key);
    }
    if (EVP_PKEY_id(key) != EVP_PKEY_EC) {
        return NULL;
    }
    const EC_GROUP *group = EC_KEY_get0_group(EVP_PKEY_get0_EC_KEY(key));
    const bool p256 = group != NULL && EC_GROUP_get_curve_name(group) == classical_kind.nid;
    return p256 ? &classical_kind : NULL;
}

/* Generates with parameters set by |set| (NULL: none needed). */
static EVP_PKEY *generate(int type, int (*set)(EVP_PKEY_CTX *ctx, int nid), int nid)
{
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *ctx = EVP_PKEY_CTX_new_id(type, NULL);
    if (ctx == NULL || EVP_PKEY_keygen_init(ctx) != 1 || (set != NULL && set(ctx, nid) != 1) ||
        EVP_PKEY_keygen(ctx, &key) != 1) {
        key = NULL;
    }
    EVP_PKEY_CTX_free(ctx);
    return key;
}

EVP_PKEY *pqi_key_make_ml_dsa(pql_sign sign)
{
    if ((size_t)sign >= PQ_KIND_COUNT) {
        return NULL;
    }
    return generate(EVP_PKEY_PQDSA, EVP_PKEY_CTX_pqdsa_set_params, pq_kinds[sign].nid);
}

EVP_PKEY *pqi_key_make_p256(void)
{
    return generate(EVP_PKEY_EC, EVP_PKEY_CTX_set_ec_paramgen_curve_nid, classical_kind.nid);
}

EVP_PKEY *pqi_key_make_ed25519(void)
{
    return generate(EVP_PKEY_ED25519, NULL, NID_undef);
}

pql_status pqi_key_to_pem(const EVP_PKEY *key, uint8_t **pem, size_t *len, pql_error *err)
{
    CBB cbb;
    uint8_t *der = NULL;
    size_t der_len = 0;
    *pem = NULL;
    *len = 0;
    CBB_zero(&cbb);
    const bool ok = CBB_init(&cbb, 0) == 1 && EVP_marshal_private_key(&cbb, key) == 1 &&
                    CBB_finish(&cbb, &der, &der_len) == 1 &&
                    pqi_pem_encode(der, der_len, PQI_PEM_KEY, pem, len);
    CBB_cleanup(&cbb);
    OPENSSL_free(der); /* which wipes */
    ERR_clear_error();
    return ok ? PQL_OK
              : pqi_fail(err, PQL_E_CRYPTO, "A private key could not be encoded as PKCS#8.");
}

EVP_PKEY *pqi_key_from_pem(const uint8_t *pem, size_t len)
{
    uint8_t *der = NULL;
    size_t der_len = 0;
    if (!pqi_pem_decode(pem, len, PQI_PEM_KEY, &der, &der_len)) {
        return NULL;
    }
    CBS cbs;
    CBS_init(&cbs, der, der_len);
    EVP_PKEY *key = EVP_parse_private_key(&cbs);
    if (key != NULL && CBS_len(&cbs) != 0) {
        EVP_PKEY_free(key);
        key = NULL;
    }
    OPENSSL_free(der);
    ERR_clear_error();
    return key;
}

/* ML-DSA and Ed25519 hash for themselves. */
static const EVP_MD *digest_of(const EVP_PKEY *key)
{
    return EVP_PKEY_id(key) == EVP_PKEY_EC ? EVP_sha256() : NULL;
}

static bool sign_and_verify(EVP_PKEY *key, EVP_PKEY *public_key, uint8_t *signature, size_t size)
{
    static const uint8_t message[] = "pqlink: does this key fit its certificate?";
    EVP_MD_CTX signer;
    EVP_MD_CTX verifier;
    EVP_MD_CTX_init(&signer);
    EVP_MD_CTX_init(&verifier);
    size_t len = size;
    const bool ok =
        EVP_DigestSignInit(&signer, NULL, digest_of(key), NULL, key) == 1 &&
        EVP_DigestSign(&signer, signature, &len, message, sizeof(message)) == 1 &&
        EVP_DigestVerifyInit(&verifier, NULL, digest_of(public_key), NULL, public_key) == 1 &&
        EVP_DigestVerify(&verifier, signature, len, message, sizeof(message)) == 1;
    EVP_MD_CTX_cleanup(&signer);
    EVP_MD_CTX_cleanup(&verifier);
    return ok;
}

bool pqi_key_fits(EVP_PKEY *key, EVP_PKEY *public_key)
{
    if (EVP_PKEY_id(key) != EVP_PKEY_id(public_key)) {
        return false;
    }
    const int size = EVP_PKEY_size(key);
    uint8_t *signature = size > 0 ? malloc((size_t)size) : NULL;
    const bool ok = signature != NULL && sign_and_verify(key, public_key, signature, (size_t)size);
    free(signature);
    ERR_clear_error();
    return ok;
}
