#include "identity/key.h"

#include "identity/pem.h"

#include <openssl/bytestring.h>
#include <openssl/ec.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/nid.h>
#include <openssl/rsa.h>
#include <openssl/ssl.h>

#include <stdlib.h>

/* Indexed by pql_sign. */
static const pqi_key_kind pq_kinds[] = {
    [PQL_ML_DSA_87] = {EVP_PKEY_PQDSA, NID_MLDSA87, SSL_SIGN_MLDSA87, "ML-DSA-87"},
    [PQL_ML_DSA_65] = {EVP_PKEY_PQDSA, NID_MLDSA65, SSL_SIGN_MLDSA65, "ML-DSA-65"},
    [PQL_ML_DSA_44] = {EVP_PKEY_PQDSA, NID_MLDSA44, SSL_SIGN_MLDSA44, "ML-DSA-44"},
};
#define PQ_KIND_COUNT (sizeof(pq_kinds) / sizeof(pq_kinds[0]))

/* The first is what we make; the others come from the files of official nodes, whose operators put
 * their own there.  For Ed25519 and RSA the nid has no meaning. */
static const pqi_key_kind classical_kinds[] = {
    {EVP_PKEY_EC, NID_X9_62_prime256v1, SSL_SIGN_ECDSA_SECP256R1_SHA256, "ECDSA-P256"},
    {EVP_PKEY_EC, NID_secp384r1, SSL_SIGN_ECDSA_SECP384R1_SHA384, "ECDSA-P384"},
    {EVP_PKEY_ED25519, NID_undef, SSL_SIGN_ED25519, "Ed25519"},
    {EVP_PKEY_RSA, NID_undef, SSL_SIGN_RSA_PSS_RSAE_SHA256, "RSA"},
};
#define CLASSICAL_KIND_COUNT (sizeof(classical_kinds) / sizeof(classical_kinds[0]))
/* RSA keys below this are refused, as in trust/. */
#define RSA_BITS_MIN 2048

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

/* The curve of an EC key, NID_undef of any other. */
static int curve_of(const EVP_PKEY *key)
{
    const EC_KEY *ec = EVP_PKEY_id(key) == EVP_PKEY_EC ? EVP_PKEY_get0_EC_KEY(key) : NULL;
    const EC_GROUP *group = ec != NULL ? EC_KEY_get0_group(ec) : NULL;
    return group != NULL ? EC_GROUP_get_curve_name(group) : NID_undef;
}

const pqi_key_kind *pqi_key_kind_of(const EVP_PKEY *key, pql_leaf leaf)
{
    const int type = EVP_PKEY_id(key);
    if (leaf == PQL_LEAF_PQ) {
        return pq_kind_of(key);
    }
    if (type == EVP_PKEY_RSA && EVP_PKEY_bits(key) < RSA_BITS_MIN) {
        return NULL;
    }
    const int curve = curve_of(key);
    for (size_t i = 0; i < CLASSICAL_KIND_COUNT; i++) {
        if (classical_kinds[i].type == type && classical_kinds[i].nid == curve) {
            return &classical_kinds[i];
        }
    }
    return NULL;
}

pql_sign pqi_key_sign_of(const EVP_PKEY *key)
{
    const pqi_key_kind *kind = pq_kind_of(key);
    return kind != NULL ? (pql_sign)(kind - pq_kinds) : PQL_ML_DSA_87;
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
    return generate(EVP_PKEY_EC, EVP_PKEY_CTX_set_ec_paramgen_curve_nid, classical_kinds[0].nid);
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

/* ---- the other forms of private keys ---- */

/* All of |der| as PKCS#8 (RFC 5958). */
static EVP_PKEY *parse_pkcs8(CBS *der)
{
    return EVP_parse_private_key(der);
}

/* RSAPrivateKey (RFC 8017, appendix A.1.2), called PKCS#1. */
static EVP_PKEY *parse_rsa(CBS *der)
{
    EVP_PKEY *key = EVP_PKEY_new();
    RSA *rsa = RSA_parse_private_key(der);
    if (key == NULL || rsa == NULL || EVP_PKEY_assign_RSA(key, rsa) != 1) {
        RSA_free(rsa);
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

/* ECPrivateKey (RFC 5915), called SEC1; it must name its curve. */
static EVP_PKEY *parse_ec(CBS *der)
{
    EVP_PKEY *key = EVP_PKEY_new();
    EC_KEY *ec = EC_KEY_parse_private_key(der, NULL);
    if (key == NULL || ec == NULL || EVP_PKEY_assign_EC_KEY(key, ec) != 1) {
        EC_KEY_free(ec);
        EVP_PKEY_free(key);
        return NULL;
    }
    return key;
}

EVP_PKEY *pqi_key_from_der(const uint8_t *der, size_t len)
{
    static EVP_PKEY *(*const forms[])(CBS *der) = {parse_pkcs8, parse_rsa, parse_ec};
    EVP_PKEY *key = NULL;
    for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]) && key == NULL; i++) {
        CBS cbs;
        CBS_init(&cbs, der, len);
        key = forms[i](&cbs);
        if (key != NULL && CBS_len(&cbs) != 0) {
            EVP_PKEY_free(key);
            key = NULL;
        }
    }
    ERR_clear_error();
    return key;
}

/* ---- does it work? ---- */

const EVP_MD *pqi_key_digest(const EVP_PKEY *key)
{
    const int type = EVP_PKEY_id(key);
    return type == EVP_PKEY_EC || type == EVP_PKEY_RSA ? EVP_sha256() : NULL;
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
        EVP_DigestSignInit(&signer, NULL, pqi_key_digest(key), NULL, key) == 1 &&
        EVP_DigestSign(&signer, signature, &len, message, sizeof(message)) == 1 &&
        EVP_DigestVerifyInit(&verifier, NULL, pqi_key_digest(public_key), NULL, public_key) == 1 &&
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
