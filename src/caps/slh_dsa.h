/* SLH-DSA-SHA2-192s (FIPS 205), which AWS-LC does not have: from the machine's own OpenSSL, 3.5 or
 * later, which is opened at the first use (libcrypto.so.3) and never linked.  Its symbols stay out
 * of sight of ours.  Pure signing, empty context.  Any thread. */
#ifndef PQI_CAPS_SLH_DSA_H
#define PQI_CAPS_SLH_DSA_H

#include "base/error.h"

#include <stddef.h>
#include <stdint.h>

/* FIPS 205, table 2. */
#define PQI_SLH_DSA_PUBLIC_SIZE 48
#define PQI_SLH_DSA_PRIVATE_SIZE 96
#define PQI_SLH_DSA_SIGNATURE_SIZE 16224

/* PQL_OK when this machine has it; PQL_E_UNSUPPORTED, with a sentence about what is missing. */
pql_status pqi_slh_dsa_check(pql_error *err);

/* PQL_E_UNSUPPORTED as above; PQL_E_CRYPTO. */
pql_status pqi_slh_dsa_make(uint8_t public_key[PQI_SLH_DSA_PUBLIC_SIZE],
                            uint8_t private_key[PQI_SLH_DSA_PRIVATE_SIZE], pql_error *err);
pql_status pqi_slh_dsa_sign(uint8_t out[PQI_SLH_DSA_SIGNATURE_SIZE],
                            const uint8_t private_key[PQI_SLH_DSA_PRIVATE_SIZE],
                            const void *message, size_t len, pql_error *err);
/* False also when this machine has no SLH-DSA. */
bool pqi_slh_dsa_verify(const uint8_t signature[PQI_SLH_DSA_SIGNATURE_SIZE],
                        const uint8_t public_key[PQI_SLH_DSA_PUBLIC_SIZE], const void *message,
                        size_t len);

#endif
