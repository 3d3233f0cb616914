/* The file of a private key: PKCS#8 in PEM, as it is or encrypted.
 *
 * Encrypted: EncryptedPrivateKeyInfo (RFC 5958, section 3) with PBES2 (RFC 8018): a key from the
 * passphrase by PBKDF2, AES-256-CBC over the key.  OpenSSL reads what we write, and we read what it
 * writes with its defaults. */
#ifndef PQI_IDENTITY_KEY_FILE_H
#define PQI_IDENTITY_KEY_FILE_H

#include "identity/passphrase.h"

#include <openssl/evp.h>

/* Rounds of PBKDF2 (HMAC-SHA-1, the one that the library writes): a quarter of a second. */
#define PQI_KEY_FILE_ROUNDS 600000

/* True when |pem| begins like an encrypted key. */
bool pqi_key_file_is_encrypted(const uint8_t *pem, size_t len);

/* The key as PEM, encrypted unless |passphrase| is NULL.  *pem is owned by the caller:
 * pqi_secret_free(*pem, *len).  PQL_E_CRYPTO, *pem NULL. */
pql_status pqi_key_file_encode(const EVP_PKEY *key, const pqi_passphrase *passphrase, uint8_t **pem,
                               size_t *len, pql_error *err);

/* Reads exactly one key.  |name| is the file's, for the sentence.  PQL_E_IDENTITY, *key NULL: it is
 * no such key; it is encrypted and |passphrase| is NULL, or the wrong one; it is encrypted in a way
 * that the library does not know; it is not encrypted, and |passphrase| is not NULL.  *key is owned
 * by the caller (EVP_PKEY_free). */
pql_status pqi_key_file_decode(EVP_PKEY **key, const uint8_t *pem, size_t len,
                               const pqi_passphrase *passphrase, const char *name, pql_error *err);

#endif
