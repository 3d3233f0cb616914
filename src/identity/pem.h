/* PEM (RFC 7468): one block per file, nothing else beside it. */
#ifndef PQI_IDENTITY_PEM_H
#define PQI_IDENTITY_PEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The labels of the files of an identity. */
#define PQI_PEM_KEY "PRIVATE KEY"
#define PQI_PEM_ENCRYPTED_KEY "ENCRYPTED PRIVATE KEY"
#define PQI_PEM_CERTIFICATE "CERTIFICATE"

/* Reads exactly one block with |label| that starts at the first byte
 * and has nothing but white space after it.  *der is owned by the caller (OPENSSL_free, which
 * wipes).  False: *der NULL. */
bool pqi_pem_decode(const uint8_t *pem, size_t pem_len, const char *label, uint8_t **der,
                    size_t *der_len);

/* Writes one block.  *pem is owned by the caller (pqi_secret_free(*pem, *pem_len)).  False, with
 * *pem NULL, when there is no memory. */
bool pqi_pem_encode(const uint8_t *der, size_t der_len, const char *label, uint8_t **pem,
                    size_t *pem_len);

#endif
