/* The time at which a certificate ends. */
#ifndef PQI_CRYPTO_VALIDITY_H
#define PQI_CRYPTO_VALIDITY_H

#include <openssl/x509.h>

#include <stdint.h>

/* notAfter 99991231235959Z: "no well-defined expiration date" (RFC 5280, section 4.1.2.5). */
#define PQI_VALID_FOR_EVER UINT64_MAX

/* notAfter in seconds since 1970 UTC, 0 for what is before or cannot be read; PQI_VALID_FOR_EVER.
 */
uint64_t pqi_validity_end(const X509 *cert);

#endif
