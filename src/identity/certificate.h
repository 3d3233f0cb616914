/* The leaf certificates that an identity makes for itself (docs/identity.md shows their shape). */
#ifndef PQI_IDENTITY_CERTIFICATE_H
#define PQI_IDENTITY_CERTIFICATE_H

#include <openssl/evp.h>
#include <openssl/pool.h>

/* Who signs a new leaf. */
typedef enum pqi_issuer {
    PQI_ISSUER_THROW_AWAY, /* an Ed25519 key made for this one signature and wiped: a compact leaf
                            */
    PQI_ISSUER_SELF        /* the leaf's own key */
} pqi_issuer;

/* A new X.509 v3 certificate for |key| (RFC 5280; ML-DSA: RFC 9881) with a random serial number and
 * subjectAltName localhost.  Owned by the caller (CRYPTO_BUFFER_free); NULL when the library fails.
 */
CRYPTO_BUFFER *pqi_certificate_make(EVP_PKEY *key, pqi_issuer issuer);

#endif
