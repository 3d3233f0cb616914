/* Raw signatures over AWS-LC: Ed25519 (RFC 8032) and ML-DSA-65 (FIPS 204, pure, empty context; who
 * signs puts a domain separator before the message).  Keys are seeds and public keys as bytes.
 * Any thread. */
#ifndef PQI_CRYPTO_SIGNATURE_H
#define PQI_CRYPTO_SIGNATURE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PQI_ED25519_SEED_SIZE 32
#define PQI_ED25519_PUBLIC_SIZE 32
#define PQI_ED25519_SIGNATURE_SIZE 64
/* FIPS 204, table 2; the seed is xi of algorithm 6. */
#define PQI_ML_DSA_65_SEED_SIZE 32
#define PQI_ML_DSA_65_PUBLIC_SIZE 1952
#define PQI_ML_DSA_65_SIGNATURE_SIZE 3309

/* The public key of |seed|. */
void pqi_ed25519_public(uint8_t out[PQI_ED25519_PUBLIC_SIZE],
                        const uint8_t seed[PQI_ED25519_SEED_SIZE]);
/* False, with |out| zeroed, when the library has no memory. */
bool pqi_ed25519_sign(uint8_t out[PQI_ED25519_SIGNATURE_SIZE],
                      const uint8_t seed[PQI_ED25519_SEED_SIZE], const void *message, size_t len);
bool pqi_ed25519_verify(const uint8_t signature[PQI_ED25519_SIGNATURE_SIZE],
                        const uint8_t public_key[PQI_ED25519_PUBLIC_SIZE], const void *message,
                        size_t len);

/* The same for ML-DSA-65; each false when the library fails.  Signatures are hedged: no two of one
 * message are the same. */
bool pqi_ml_dsa_65_public(uint8_t out[PQI_ML_DSA_65_PUBLIC_SIZE],
                          const uint8_t seed[PQI_ML_DSA_65_SEED_SIZE]);
bool pqi_ml_dsa_65_sign(uint8_t out[PQI_ML_DSA_65_SIGNATURE_SIZE],
                        const uint8_t seed[PQI_ML_DSA_65_SEED_SIZE], const void *message,
                        size_t len);
bool pqi_ml_dsa_65_verify(const uint8_t signature[PQI_ML_DSA_65_SIGNATURE_SIZE],
                          const uint8_t public_key[PQI_ML_DSA_65_PUBLIC_SIZE], const void *message,
                          size_t len);

#endif
