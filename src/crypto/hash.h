/* SHA-256 (FIPS 180-4), HMAC (RFC 2104) and HKDF (RFC 5869), over AWS-LC.  Any thread. */
#ifndef PQI_CRYPTO_HASH_H
#define PQI_CRYPTO_HASH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PQI_SHA256_SIZE 32
/* RFC 5869, section 2.3: at most 255 blocks of output. */
#define PQI_HKDF_MAX ((size_t)255 * PQI_SHA256_SIZE)

/* SHA-256 of |len| bytes; |data| may be NULL when |len| is 0. */
void pqi_sha256(uint8_t out[PQI_SHA256_SIZE], const void *data, size_t len);

/* HMAC-SHA-256.  False, with |out| zeroed, when the library has no memory.  Compare the result with
 * pqi_secret_equal. */
bool pqi_hmac_sha256(uint8_t out[PQI_SHA256_SIZE], const void *key, size_t key_len,
                     const void *data, size_t len);

/* HKDF-SHA-256, extract then expand (RFC 5869, section 2): |out_len| bytes from |secret| under
 * |salt| and |info| (either may be NULL with length 0).  False, with |out| zeroed, when |out_len|
 * is over PQI_HKDF_MAX or the library has no memory. */
bool pqi_hkdf(uint8_t *out, size_t out_len, const void *secret, size_t secret_len, const void *salt,
              size_t salt_len, const void *info, size_t info_len);

#endif
