/* Trust by certificate authority: a whole chain up to a root that the operator named. */
#ifndef PQI_TRUST_AUTHORITY_H
#define PQI_TRUST_AUTHORITY_H

#include "trust/trust.h"

#include <openssl/x509.h>

/* Reads the roots of a PEM bundle.  Owned by the caller (X509_STORE_free).  PQL_E_IO: unreadable;
 * PQL_E_USAGE: no certificate, garbage, or one that is no CA (a leaf belongs into a pin). */
pql_status pqi_authority_load(X509_STORE **out, const char *path, pql_error *err);

/* When the first of the roots in |path| ends: pqi_validity_end of it.  Errors as above. */
pql_status pqi_authority_first_end(const char *path, uint64_t *end, pql_error *err);

/* Verifies |chain| for the server |host| (a name or an address, brackets allowed), or for a client
 * of any name when |host| is NULL, at |now_unix|:
 * signatures up to a root, dates, names (subjectAltName only, RFC 9525), extended key usage, and no
 * SHA-1 or short RSA anywhere below the root.  PQL_E_TRUST with a sentence without
 * fingerprint; PQL_E_NOMEM, PQL_E_CRYPTO: refused as well. */
pql_status pqi_authority_check(X509_STORE *roots, const pqi_chain *chain, const char *host,
                               int64_t now_unix, pql_error *err);

#endif
