/* What the TLS glue of a transport needs of an identity.  Public part: include/pqlink/identity.h.
 */
#ifndef PQI_IDENTITY_IDENTITY_H
#define PQI_IDENTITY_IDENTITY_H

#include <pqlink/identity.h>

#include <openssl/ssl.h>

/* Gives |ssl_ctx| the chosen leaf: certificate and private key (each by reference count). */
pql_status pqi_identity_use(const pql_identity *id, pql_leaf leaf, SSL_CTX *ssl_ctx,
                            pql_error *err);

/* TLS SignatureScheme that the leaf's key signs with: 0x0904..0x0906, 0x0403. */
uint16_t pqi_identity_scheme(const pql_identity *id, pql_leaf leaf);

/* Bytes of the leaf's certificate in DER. */
size_t pqi_identity_leaf_len(const pql_identity *id, pql_leaf leaf);

/* Both fingerprints of a certificate in DER.  False when it is not an X.509 certificate. */
bool pqi_fingerprint_of_der(const uint8_t *der, size_t len, pql_fingerprint_form form,
                            pql_fingerprint *out);

#endif
