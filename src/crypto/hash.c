#include "crypto/hash.h"

#include <openssl/digest.h>
#include <openssl/hkdf.h>
#include <openssl/hmac.h>
#include <openssl/sha.h>

#include <string.h>

_Static_assert(PQI_SHA256_SIZE == SHA256_DIGEST_LENGTH, "SHA-256 has 32 bytes");

void pqi_sha256(uint8_t out[PQI_SHA256_SIZE], const void *data, size_t len)
{
    (void)SHA256(data, len, out);
}

bool pqi_hmac_sha256(uint8_t out[PQI_SHA256_SIZE], const void *key, size_t key_len,
                     const void *data, size_t len)
{
    unsigned out_len = 0;
    if (HMAC(EVP_sha256(), key, key_len, data, len, out, &out_len) == NULL) {
        memset(out, 0, PQI_SHA256_SIZE);
        return false;
    }
    return true;
}

bool pqi_hkdf(uint8_t *out, size_t out_len, const void *secret, size_t secret_len, const void *salt,
              size_t salt_len, const void *info, size_t info_len)
{
    if (HKDF(out, out_len, EVP_sha256(), secret, secret_len, salt, salt_len, info, info_len) != 1) {
        memset(out, 0, out_len);
        return false;
    }
    return true;
}
