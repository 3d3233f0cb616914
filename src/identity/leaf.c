#include "identity/leaf.h"

#include "identity/certificate.h"
#include "identity/elsewhere.h"
#include "identity/identity.h"
#include "identity/pem.h"

#include <openssl/err.h>
#include <openssl/mem.h>
#include <openssl/x509.h>

#include <string.h>

void pqi_leaf_clear(pqi_leaf *leaf)
{
    EVP_PKEY_free(leaf->key);
    CRYPTO_BUFFER_free(leaf->cert);
    memset(leaf, 0, sizeof(*leaf));
}

/* The public key that the certificate shows; owned by the caller. */
static EVP_PKEY *public_key_of(CRYPTO_BUFFER *buffer)
{
    X509 *cert = X509_parse_from_buffer(buffer);
    EVP_PKEY *key = cert != NULL ? X509_get_pubkey(cert) : NULL;
    X509_free(cert);
    return key;
}

/* Fills what follows from key and certificate; false when they do not make a leaf. */
static bool complete(pqi_leaf *leaf, const EVP_PKEY *key, pql_leaf which)
{
    const uint8_t *der = CRYPTO_BUFFER_data(leaf->cert);
    const size_t len = CRYPTO_BUFFER_len(leaf->cert);
    leaf->kind = pqi_key_kind_of(key, which);
    return leaf->kind != NULL && pqi_fingerprints_of_der(der, len, &leaf->of_cert, &leaf->of_spki);
}

static bool key_fits_certificate(const pqi_leaf *leaf)
{
    EVP_PKEY *public_key = public_key_of(leaf->cert);
    const bool fits = public_key != NULL && pqi_key_fits(leaf->key, public_key);
    EVP_PKEY_free(public_key);
    return fits;
}

pql_status pqi_leaf_certify(pqi_leaf *leaf, pql_leaf which, EVP_PKEY *key, bool self_signed,
                            pql_error *err)
{
    const bool compact = which == PQL_LEAF_PQ && !self_signed;
    leaf->key = key;
    if (key != NULL) {
        leaf->cert = pqi_certificate_make(key, compact ? PQI_ISSUER_THROW_AWAY : PQI_ISSUER_SELF);
    }
    if (leaf->key == NULL || leaf->cert == NULL || !complete(leaf, leaf->key, which) ||
        !key_fits_certificate(leaf)) {
        pqi_leaf_clear(leaf);
        ERR_clear_error();
        return pqi_fail(err, PQL_E_CRYPTO,
                        "A new %s key and its certificate could not be made by the cryptographic "
                        "library.",
                        which == PQL_LEAF_PQ ? "ML-DSA" : "classical");
    }
    return PQL_OK;
}

pql_status pqi_leaf_make(pqi_leaf *leaf, pql_leaf which, const pql_identity_opts *opts,
                         pql_error *err)
{
    if (pqi_keys_holder() != NULL) {
        return pqi_fail(err, PQL_E_STATE,
                        "Private keys are in a process of their own (--key-process), so none can "
                        "be made here.");
    }
    EVP_PKEY *key = which == PQL_LEAF_PQ ? pqi_key_make_ml_dsa(opts->sign) : pqi_key_make_p256();
    return pqi_leaf_certify(leaf, which, key, opts->self_signed, err);
}

void pqi_leaf_copy(pqi_leaf *leaf, const pqi_leaf *from)
{
    *leaf = *from;
    if (leaf->key != NULL) {
        (void)EVP_PKEY_up_ref(leaf->key);
    }
    (void)CRYPTO_BUFFER_up_ref(leaf->cert);
}

/* Reads one certificate; NULL when |pem| holds anything else. */
static CRYPTO_BUFFER *cert_from_pem(const uint8_t *pem, size_t len)
{
    uint8_t *der = NULL;
    size_t der_len = 0;
    if (!pqi_pem_decode(pem, len, PQI_PEM_CERTIFICATE, &der, &der_len)) {
        return NULL;
    }
    CRYPTO_BUFFER *buffer = CRYPTO_BUFFER_new(der, der_len, NULL);
    OPENSSL_free(der);
    return buffer;
}

/* What the two files should hold, for the sentences. */
typedef struct form_names {
    const char *key;
    const char *cert;
} form_names;

static const form_names pem_form = {"PKCS#8 private key in PEM", "X.509 certificate in PEM"};

static pql_status check(pqi_leaf *leaf, pql_leaf which, const form_names *form,
                        const char *key_name, const char *cert_name, pql_error *err)
{
    if (leaf->key == NULL) {
        return pqi_fail(err, PQL_E_IDENTITY, "%s is not one %s. Restore it from a backup.",
                        key_name, form->key);
    }
    if (pqi_key_kind_of(leaf->key, which) == NULL) {
        return pqi_fail(err, PQL_E_IDENTITY, "%s holds another kind of key than %s.", key_name,
                        which == PQL_LEAF_PQ
                            ? "ML-DSA"
                            : "ECDSA P-256, ECDSA P-384, Ed25519 or RSA of 2048 bits or more");
    }
    if (leaf->cert == NULL || !complete(leaf, leaf->key, which)) {
        return pqi_fail(err, PQL_E_IDENTITY, "%s is not one %s. Restore it from a backup.",
                        cert_name, form->cert);
    }
    if (!key_fits_certificate(leaf)) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The key in %s does not fit the certificate in %s. Restore both files from "
                        "one backup.",
                        key_name, cert_name);
    }
    return PQL_OK;
}

static pql_status check_or_clear(pqi_leaf *leaf, pql_leaf which, const form_names *form,
                                 const char *key_name, const char *cert_name, pql_error *err)
{
    const pql_status status = check(leaf, which, form, key_name, cert_name, err);
    if (status != PQL_OK) {
        pqi_leaf_clear(leaf);
        ERR_clear_error();
    }
    return status;
}

pql_status pqi_leaf_read(pqi_leaf *leaf, pql_leaf which, const pqi_leaf_file *key,
                         const pqi_passphrase *passphrase, const pqi_leaf_file *cert,
                         pql_error *err)
{
    const pql_status status =
        pqi_key_file_decode(&leaf->key, key->data, key->len, passphrase, key->name, err);
    if (status != PQL_OK) {
        return status;
    }
    leaf->cert = cert_from_pem(cert->data, cert->len);
    return check_or_clear(leaf, which, &pem_form, key->name, cert->name, err);
}

pql_status pqi_leaf_read_cert(pqi_leaf *leaf, pql_leaf which, const pqi_leaf_file *cert,
                              pql_error *err)
{
    leaf->cert = cert_from_pem(cert->data, cert->len);
    EVP_PKEY *key = leaf->cert != NULL ? public_key_of(leaf->cert) : NULL;
    const bool ok = key != NULL && complete(leaf, key, which);
    EVP_PKEY_free(key);
    if (ok) {
        return PQL_OK;
    }
    pqi_leaf_clear(leaf);
    ERR_clear_error();
    return pqi_fail(err, PQL_E_IDENTITY, "%s is not one %s. Restore it from a backup.", cert->name,
                    pem_form.cert);
}

pql_status pqi_leaf_read_der(pqi_leaf *leaf, pql_leaf which, const uint8_t *key_der, size_t key_len,
                             const char *key_name, const uint8_t *cert_der, size_t cert_len,
                             const char *cert_name, pql_error *err)
{
    static const form_names der = {"private key in DER (PKCS#8, PKCS#1 or SEC1)",
                                   "X.509 certificate in DER"};
    leaf->key = pqi_key_from_der(key_der, key_len);
    leaf->cert = CRYPTO_BUFFER_new(cert_der, cert_len, NULL);
    return check_or_clear(leaf, which, &der, key_name, cert_name, err);
}

pql_status pqi_leaf_cert_to_pem(const pqi_leaf *leaf, uint8_t **pem, size_t *len, pql_error *err)
{
    if (!pqi_pem_encode(CRYPTO_BUFFER_data(leaf->cert), CRYPTO_BUFFER_len(leaf->cert),
                        PQI_PEM_CERTIFICATE, pem, len)) {
        return pqi_fail(err, PQL_E_CRYPTO, "A certificate could not be encoded as PEM.");
    }
    return PQL_OK;
}
