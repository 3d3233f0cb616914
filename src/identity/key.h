/* Private keys: make, write and read them as PKCS#8 PEM, and prove that they work.
 *
 * A post-quantum leaf holds ML-DSA.  A classical leaf holds ECDSA P-256 when we made it; imported
 * ones may also be ECDSA P-384, Ed25519, or RSA of 2048 bits or more. */
#ifndef PQI_IDENTITY_KEY_H
#define PQI_IDENTITY_KEY_H

#include "base/error.h"

#include <pqlink/identity.h>

#include <openssl/evp.h>

/* What pqlink knows of one kind of key. */
typedef struct pqi_key_kind {
    int type;              /* EVP_PKEY_id */
    int nid;               /* parameter set or curve */
    uint16_t scheme;       /* TLS SignatureScheme */
    const char *algorithm; /* "ML-DSA-87" */
} pqi_key_kind;

/* The kind of |key|, or NULL when it is none that an identity may hold as |leaf|. */
const pqi_key_kind *pqi_key_kind_of(const EVP_PKEY *key, pql_leaf leaf);

/* The parameter set of an ML-DSA key; ML-DSA-87 for any other key. */
pql_sign pqi_key_sign_of(const EVP_PKEY *key);

/* New keys; owned by the caller (EVP_PKEY_free, which wipes).  NULL when the library fails. */
EVP_PKEY *pqi_key_make_ml_dsa(pql_sign sign);
EVP_PKEY *pqi_key_make_p256(void);
EVP_PKEY *pqi_key_make_ed25519(void);

/* The key as PKCS#8 PEM ("PRIVATE KEY"): an ML-DSA key in its 32-byte seed form (RFC 9881,
 * section 6).  *pem is owned by the caller: pqi_secret_free(*pem, *len).  PQL_E_CRYPTO, *pem NULL.
 */
pql_status pqi_key_to_pem(const EVP_PKEY *key, uint8_t **pem, size_t *len, pql_error *err);

/* Reads exactly one PKCS#8 PEM block; NULL when |pem| holds anything else.  Owned by the caller. */
EVP_PKEY *pqi_key_from_pem(const uint8_t *pem, size_t len);

/* Reads one private key in DER and nothing else: PKCS#8, PKCS#1 (RSA) or SEC1 (EC, with its curve).
 * NULL when |der| holds anything else.  Owned by the caller. */
EVP_PKEY *pqi_key_from_der(const uint8_t *der, size_t len);

/* The digest to sign with; NULL for ML-DSA and Ed25519, which hash for themselves. */
const EVP_MD *pqi_key_digest(const EVP_PKEY *key);

/* Pairwise consistency: signs a fixed message with |key| and verifies it with |public_key|, the one
 * that the certificate shows.  False when they do not belong together. */
bool pqi_key_fits(EVP_PKEY *key, EVP_PKEY *public_key);

#endif
