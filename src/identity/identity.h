/* What the TLS glue of a transport needs of an identity.  Public part: include/pqlink/identity.h.
 */
#ifndef PQI_IDENTITY_IDENTITY_H
#define PQI_IDENTITY_IDENTITY_H

#include "identity/leaf.h"

#include <openssl/ssl.h>

/* Gives |ssl_ctx| the chosen leaf: certificate and private key (each by reference count). */
pql_status pqi_identity_use(const pql_identity *id, pql_leaf leaf, SSL_CTX *ssl_ctx,
                            pql_error *err);

/* TLS SignatureScheme that the leaf's key signs with: 0x0904..0x0906, 0x0403; of imported classical
 * keys also 0x0503, 0x0807 and 0x0804. */
uint16_t pqi_identity_scheme(const pql_identity *id, pql_leaf leaf);

/* Bytes of the leaf's certificate in DER. */
size_t pqi_identity_leaf_len(const pql_identity *id, pql_leaf leaf);

/* True when the leaf's certificate names itself as its issuer; a compact one does not. */
bool pqi_identity_is_self_signed(const pql_identity *id, pql_leaf leaf);

/* When the leaf's certificate ends: seconds since 1970, PQI_VALID_FOR_EVER (crypto/validity.h). */
uint64_t pqi_identity_not_after(const pql_identity *id, pql_leaf leaf);

/* Makes an identity of two leaves, which it takes over, also on failure (PQL_E_NOMEM). */
pql_status pqi_identity_of_leaves(pql_identity **out, pqi_leaf leaves[2], pql_error *err);

/* Its two leaves, by pql_leaf; borrowed. */
const pqi_leaf *pqi_identity_leaves(const pql_identity *id);

/* Both fingerprints of a certificate in DER.  False when it is not an X.509 certificate; both are
 * then zero.  Reading the certificate costs as much as the hashes: ask for both at once. */
bool pqi_fingerprints_of_der(const uint8_t *der, size_t len, pql_fingerprint *of_cert,
                             pql_fingerprint *of_spki);
/* One of them.  False as above. */
bool pqi_fingerprint_of_der(const uint8_t *der, size_t len, pql_fingerprint_form form,
                            pql_fingerprint *out);

#endif
