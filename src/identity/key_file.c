#include "identity/key_file.h"

#include "identity/key.h"
#include "identity/pem.h"

#include <openssl/bytestring.h>
#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/pkcs8.h>

#include <string.h>

static const char encrypted_begin[] = "-----BEGIN " PQI_PEM_ENCRYPTED_KEY "-----";
#define ENCRYPTED_BEGIN_LEN (sizeof(encrypted_begin) - 1)
/* PBES2, whose parts are chosen by the cipher. */
#define PBES2 (-1)

bool pqi_key_file_is_encrypted(const uint8_t *pem, size_t len)
{
    return len >= ENCRYPTED_BEGIN_LEN && memcmp(pem, encrypted_begin, ENCRYPTED_BEGIN_LEN) == 0;
}

/* ---- writing ---- */

pql_status pqi_key_file_encode(const EVP_PKEY *key, const pqi_passphrase *passphrase, uint8_t **pem,
                               size_t *len, pql_error *err)
{
    CBB cbb;
    uint8_t *der = NULL;
    size_t der_len = 0;
    if (passphrase == NULL) {
        return pqi_key_to_pem(key, pem, len, err);
    }
    *pem = NULL;
    *len = 0;
    CBB_zero(&cbb);
    const bool ok = CBB_init(&cbb, 0) == 1 &&
                    PKCS8_marshal_encrypted_private_key(&cbb, PBES2, EVP_aes_256_cbc(),
                                                        passphrase->text, passphrase->len, NULL, 0,
                                                        PQI_KEY_FILE_ROUNDS, key) == 1 &&
                    CBB_finish(&cbb, &der, &der_len) == 1 &&
                    pqi_pem_encode(der, der_len, PQI_PEM_ENCRYPTED_KEY, pem, len);
    CBB_cleanup(&cbb);
    OPENSSL_free(der);
    ERR_clear_error();
    return ok ? PQL_OK : pqi_fail(err, PQL_E_CRYPTO, "A private key could not be encrypted.");
}

/* ---- reading ---- */

/* Why decrypting failed, by the first error that the library left: what it says of the form of the
 * encryption is certain; anything later comes of a wrong key, mostly. */
static pql_status fail_decrypt(const char *name, pql_error *err)
{
    const uint32_t error = ERR_peek_error();
    const int reason = ERR_GET_REASON(error);
    if (ERR_GET_LIB(error) != ERR_LIB_PKCS8) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The passphrase does not fit the key in %s. Look whether --passphrase-file "
                        "names the right file.",
                        name);
    }
    if (reason == PKCS8_R_DECODE_ERROR) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s is not one encrypted PKCS#8 private key in PEM. Restore it from a "
                        "backup.",
                        name);
    }
    return pqi_fail(err, PQL_E_IDENTITY,
                    "The key in %s is encrypted in a way that is not known here. Known is PBES2 "
                    "with PBKDF2 (HMAC-SHA-1 or HMAC-SHA-256) and AES in CBC mode: 'openssl pkcs8 "
                    "-topk8 -v2 aes-256-cbc'.",
                    name);
}

static pql_status decrypt(EVP_PKEY **key, const uint8_t *der, size_t len,
                          const pqi_passphrase *passphrase, const char *name, pql_error *err)
{
    CBS cbs;
    CBS_init(&cbs, der, len);
    ERR_clear_error();
    *key = PKCS8_parse_encrypted_private_key(&cbs, passphrase->text, passphrase->len);
    if (*key != NULL && CBS_len(&cbs) == 0) {
        return PQL_OK;
    }
    const pql_status status = fail_decrypt(name, err);
    ERR_clear_error();
    EVP_PKEY_free(*key);
    *key = NULL;
    return status;
}

static pql_status decode_encrypted(EVP_PKEY **key, const uint8_t *pem, size_t len,
                                   const pqi_passphrase *passphrase, const char *name,
                                   pql_error *err)
{
    uint8_t *der = NULL;
    size_t der_len = 0;
    if (passphrase == NULL) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The key in %s is encrypted: give --passphrase-file FILE.", name);
    }
    if (!pqi_pem_decode(pem, len, PQI_PEM_ENCRYPTED_KEY, &der, &der_len)) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s is not one encrypted PKCS#8 private key in PEM. Restore it from a "
                        "backup.",
                        name);
    }
    const pql_status status = decrypt(key, der, der_len, passphrase, name, err);
    OPENSSL_free(der);
    return status;
}

pql_status pqi_key_file_decode(EVP_PKEY **key, const uint8_t *pem, size_t len,
                               const pqi_passphrase *passphrase, const char *name, pql_error *err)
{
    *key = NULL;
    if (pqi_key_file_is_encrypted(pem, len)) {
        return decode_encrypted(key, pem, len, passphrase, name, err);
    }
    *key = pqi_key_from_pem(pem, len);
    if (*key == NULL) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s is not one PKCS#8 private key in PEM. Restore it from a backup.", name);
    }
    if (passphrase != NULL) {
        EVP_PKEY_free(*key);
        *key = NULL;
        return pqi_fail(
            err, PQL_E_IDENTITY,
            "The key in %s is not encrypted, but a passphrase is given. Encrypt it with "
            "'pqlink key encrypt' (also when that was cut short), or leave out "
            "--passphrase-file.",
            name);
    }
    return PQL_OK;
}
