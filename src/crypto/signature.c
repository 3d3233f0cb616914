#include "crypto/signature.h"

#include "base/secret.h"

#include <openssl/curve25519.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/nid.h>

#include <string.h>

_Static_assert(PQI_ED25519_SEED_SIZE == ED25519_SEED_LEN, "RFC 8032");
_Static_assert(PQI_ED25519_PUBLIC_SIZE == ED25519_PUBLIC_KEY_LEN, "RFC 8032");
_Static_assert(PQI_ED25519_SIGNATURE_SIZE == ED25519_SIGNATURE_LEN, "RFC 8032");

void pqi_ed25519_public(uint8_t out[PQI_ED25519_PUBLIC_SIZE],
                        const uint8_t seed[PQI_ED25519_SEED_SIZE])
{
    uint8_t private_key[ED25519_PRIVATE_KEY_LEN];
    ED25519_keypair_from_seed(out, private_key, seed);
    pqi_secret_wipe(private_key, sizeof(private_key));
}

bool pqi_ed25519_sign(uint8_t out[PQI_ED25519_SIGNATURE_SIZE],
                      const uint8_t seed[PQI_ED25519_SEED_SIZE], const void *message, size_t len)
{
    uint8_t public_key[ED25519_PUBLIC_KEY_LEN];
    uint8_t private_key[ED25519_PRIVATE_KEY_LEN];
    ED25519_keypair_from_seed(public_key, private_key, seed);
    const bool ok = ED25519_sign(out, message, len, private_key) == 1;
    pqi_secret_wipe(private_key, sizeof(private_key));
    if (!ok) {
        memset(out, 0, PQI_ED25519_SIGNATURE_SIZE);
    }
    return ok;
}

bool pqi_ed25519_verify(const uint8_t signature[PQI_ED25519_SIGNATURE_SIZE],
                        const uint8_t public_key[PQI_ED25519_PUBLIC_SIZE], const void *message,
                        size_t len)
{
    const bool ok = ED25519_verify(message, len, signature, public_key) == 1;
    ERR_clear_error();
    return ok;
}

bool pqi_ml_dsa_65_public(uint8_t out[PQI_ML_DSA_65_PUBLIC_SIZE],
                          const uint8_t seed[PQI_ML_DSA_65_SEED_SIZE])
{
    size_t len = PQI_ML_DSA_65_PUBLIC_SIZE;
    EVP_PKEY *key = EVP_PKEY_pqdsa_new_raw_private_key(NID_MLDSA65, seed, PQI_ML_DSA_65_SEED_SIZE);
    const bool ok = key != NULL && EVP_PKEY_get_raw_public_key(key, out, &len) == 1 &&
                    len == PQI_ML_DSA_65_PUBLIC_SIZE;
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}

bool pqi_ml_dsa_65_sign(uint8_t out[PQI_ML_DSA_65_SIGNATURE_SIZE],
                        const uint8_t seed[PQI_ML_DSA_65_SEED_SIZE], const void *message,
                        size_t len)
{
    size_t signature_len = PQI_ML_DSA_65_SIGNATURE_SIZE;
    EVP_PKEY *key = EVP_PKEY_pqdsa_new_raw_private_key(NID_MLDSA65, seed, PQI_ML_DSA_65_SEED_SIZE);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok = key != NULL && ctx != NULL &&
                    EVP_DigestSignInit(ctx, NULL, NULL, NULL, key) == 1 &&
                    EVP_DigestSign(ctx, out, &signature_len, message, len) == 1 &&
                    signature_len == PQI_ML_DSA_65_SIGNATURE_SIZE;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}

bool pqi_ml_dsa_65_verify(const uint8_t signature[PQI_ML_DSA_65_SIGNATURE_SIZE],
                          const uint8_t public_key[PQI_ML_DSA_65_PUBLIC_SIZE], const void *message,
                          size_t len)
{
    EVP_PKEY *key =
        EVP_PKEY_pqdsa_new_raw_public_key(NID_MLDSA65, public_key, PQI_ML_DSA_65_PUBLIC_SIZE);
    EVP_MD_CTX *ctx = EVP_MD_CTX_new();
    const bool ok =
        key != NULL && ctx != NULL && EVP_DigestVerifyInit(ctx, NULL, NULL, NULL, key) == 1 &&
        EVP_DigestVerify(ctx, signature, PQI_ML_DSA_65_SIGNATURE_SIZE, message, len) == 1;
    EVP_MD_CTX_free(ctx);
    EVP_PKEY_free(key);
    ERR_clear_error();
    return ok;
}
