/* A leaf: one private key with its certificate, checked to belong together. */
#ifndef PQI_IDENTITY_LEAF_H
#define PQI_IDENTITY_LEAF_H

#include "identity/key.h"
#include "identity/key_file.h"

#include <openssl/pool.h>

/* All zero is an empty leaf. */
typedef struct pqi_leaf {
    EVP_PKEY *key;            /* owned; NULL after pqi_leaf_read_cert */
    CRYPTO_BUFFER *cert;      /* owned; DER */
    const pqi_key_kind *kind; /* static */
    pql_fingerprint of_cert;
    pql_fingerprint of_spki;
} pqi_leaf;

/* Makes a new key and certificate.  |leaf| must be empty, and stays so on failure.  PQL_E_CRYPTO.
 */
pql_status pqi_leaf_make(pqi_leaf *leaf, pql_leaf which, const pql_identity_opts *opts,
                         pql_error *err);

/* Makes a new certificate for |key|, of which it becomes the owner, also on failure; NULL fails.
 * |self_signed| matters to a post-quantum leaf only.  |leaf| as above.  PQL_E_CRYPTO. */
pql_status pqi_leaf_certify(pqi_leaf *leaf, pql_leaf which, EVP_PKEY *key, bool self_signed,
                            pql_error *err);

/* Makes the empty |leaf| share the key and certificate of |from|. */
void pqi_leaf_copy(pqi_leaf *leaf, const pqi_leaf *from);

/* A file of a leaf, and its name for the sentence. */
typedef struct pqi_leaf_file {
    const uint8_t *data;
    size_t len;
    const char *name;
} pqi_leaf_file;

/* Reads a leaf from its two PEM texts, the key with |passphrase| (NULL: it is not encrypted).
 * |leaf| must be empty, and stays so on failure.  PQL_E_IDENTITY: not PEM, trailing data, an
 * algorithm that does not belong here, a key that does not fit its certificate, or as
 * pqi_key_file_decode has it. */
pql_status pqi_leaf_read(pqi_leaf *leaf, pql_leaf which, const pqi_leaf_file *key,
                         const pqi_passphrase *passphrase, const pqi_leaf_file *cert,
                         pql_error *err);

/* Reads the certificate alone: the leaf has no key then.  It is good for being shown to people, or
 * to peers when another process has the key (elsewhere.h). */
pql_status pqi_leaf_read_cert(pqi_leaf *leaf, pql_leaf which, const pqi_leaf_file *cert,
                              pql_error *err);

/* The same from DER; the key in any form that pqi_key_from_der knows. */
pql_status pqi_leaf_read_der(pqi_leaf *leaf, pql_leaf which, const uint8_t *key_der, size_t key_len,
                             const char *key_name, const uint8_t *cert_der, size_t cert_len,
                             const char *cert_name, pql_error *err);

/* The certificate as PEM; *pem is owned by the caller (pqi_secret_free).  PQL_E_CRYPTO. */
pql_status pqi_leaf_cert_to_pem(const pqi_leaf *leaf, uint8_t **pem, size_t *len, pql_error *err);

/* Wipes the key, frees, leaves an empty leaf. */
void pqi_leaf_clear(pqi_leaf *leaf);

#endif
