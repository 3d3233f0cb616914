#include "trust/authority.h"

#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"
#include "crypto/validity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include <arpa/inet.h>
#include <limits.h>
#include <string.h>

/* The bundle of all public authorities is 250 kB. */
#define BUNDLE_MAX ((size_t)8 * 1024 * 1024)
/* NIST SP 800-131A: shorter RSA keys are disallowed. */
#define RSA_BITS_MIN 2048
/* Intermediates between leaf and root; pqi_chain holds eight certificates. */
#define DEPTH_MAX 7
#define HOST_SIZE 256

/* ---- loading ---- */

/* Adds one certificate.  A leaf as its own root would let its key vouch for any name it likes. */
static pql_status add_root(X509_STORE *store, X509 *cert, const char *path, pql_error *err)
{
    if (X509_check_ca(cert) != 1) {
        char name[128] = "";
        (void)X509_NAME_oneline(X509_get_subject_name(cert), name, (int)sizeof(name));
        return pqi_fail(err, PQL_E_IO,
                        "%s holds a certificate that is not of an authority (%s). Trust a single "
                        "peer by its fingerprint instead.",
                        path, name);
    }
    if (X509_STORE_add_cert(store, cert) != 1) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %s.", path);
    }
    return PQL_OK;
}

/* True when reading stopped because there are no more PEM blocks. */
static bool at_end(void)
{
    const uint32_t error = ERR_peek_last_error();
    return ERR_GET_LIB(error) == ERR_LIB_PEM && ERR_GET_REASON(error) == PEM_R_NO_START_LINE;
}

static pql_status add_roots(X509_STORE *store, BIO *bio, const char *path, pql_error *err)
{
    size_t count = 0;
    X509 *cert;
    ERR_clear_error();
    while ((cert = PEM_read_bio_X509(bio, NULL, NULL, NULL)) != NULL) {
        const pql_status status = add_root(store, cert, path, err);
        X509_free(cert);
        if (status != PQL_OK) {
            return status;
        }
        count++;
    }
    if (!at_end()) {
        return pqi_fail(err, PQL_E_IO, "Certificate number %zu in %s cannot be read.", count + 1,
                        path);
    }
    if (count == 0) {
        return pqi_fail(err, PQL_E_IO, "There is no PEM certificate in %s.", path);
    }
    return PQL_OK;
}

pql_status pqi_authority_load(X509_STORE **out, const char *path, pql_error *err)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    *out = NULL;
    pql_status status = pqi_file_read(path, BUNDLE_MAX, &pem, &len, err);
    if (status != PQL_OK) {
        if (err != NULL) {
            err->code = PQL_E_IO;
        }
        return PQL_E_IO;
    }
    X509_STORE *store = X509_STORE_new();
    BIO *bio = BIO_new_mem_buf(pem, (int)len);
    if (store == NULL || bio == NULL) {
        status = pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %s.", path);
    } else {
        status = add_roots(store, bio, path, err);
    }
    BIO_free(bio);
    pqi_secret_free(pem, len);
    ERR_clear_error();
    if (status != PQL_OK) {
        X509_STORE_free(store);
        return status;
    }
    *out = store;
    return PQL_OK;
}

pql_status pqi_authority_first_end(const char *path, uint64_t *end, pql_error *err)
{
    X509_STORE *roots = NULL;
    *end = PQI_VALID_FOR_EVER;
    const pql_status status = pqi_authority_load(&roots, path, err);
    if (status != PQL_OK) {
        return status;
    }
    const STACK_OF(X509_OBJECT) *objects = X509_STORE_get0_objects(roots);
    for (size_t i = 0; i < sk_X509_OBJECT_num(objects); i++) {
        const X509 *cert = X509_OBJECT_get0_X509(sk_X509_OBJECT_value(objects, i));
        const uint64_t one = cert != NULL ? pqi_validity_end(cert) : PQI_VALID_FOR_EVER;
        *end = one < *end ? one : *end;
    }
    X509_STORE_free(roots);
    return PQL_OK;
}

/* ---- verifying ---- */

/* One certificate of the chain; NULL when it is not exactly one. */
static X509 *parse(const uint8_t *der, size_t len)
{
    if (len == 0 || len > LONG_MAX) {
        return NULL;
    }
    const uint8_t *end = der;
    X509 *cert = d2i_X509(NULL, &end, (long)len);
    if (cert != NULL && end != der + len) {
        X509_free(cert);
        return NULL;
    }
    return cert;
}

/* The certificates after the leaf; false when one cannot be read. */
static bool parse_rest(const pqi_chain *chain, STACK_OF(X509) * rest)
{
    for (size_t i = 1; i < chain->count; i++) {
        X509 *cert = parse(chain->der[i], chain->len[i]);
        if (cert == NULL || sk_X509_push(rest, cert) == 0) {
            X509_free(cert);
            return false;
        }
    }
    return true;
}

/* |host| without the brackets of an IPv6 URL and the final dot of a rooted name. */
static bool plain_host(char out[HOST_SIZE], const char *host)
{
    size_t len = strlen(host);
    if (len >= 2 && host[0] == '[' && host[len - 1] == ']') {
        host++;
        len -= 2;
    } else if (len >= 2 && host[len - 1] == '.') {
        len--;
    }
    if (len == 0 || len >= HOST_SIZE) {
        return false;
    }
    memcpy(out, host, len);
    out[len] = '\0';
    return true;
}

static bool is_address(const char *host)
{
    uint8_t bytes[sizeof(struct in6_addr)];
    return inet_pton(AF_INET, host, bytes) == 1 || inet_pton(AF_INET6, host, bytes) == 1;
}

static bool set_expectations(X509_STORE_CTX *ctx, const char *host, int64_t now_unix)
{
    char plain[HOST_SIZE];
    if ((host != NULL && !plain_host(plain, host)) ||
        X509_STORE_CTX_set_default(ctx, host != NULL ? "ssl_server" : "ssl_client") != 1) {
        return false;
    }
    X509_VERIFY_PARAM *param = X509_STORE_CTX_get0_param(ctx);
    X509_VERIFY_PARAM_set_time_posix(param, now_unix);
    X509_VERIFY_PARAM_set_depth(param, DEPTH_MAX);
    X509_VERIFY_PARAM_set_hostflags(param, X509_CHECK_FLAG_NEVER_CHECK_SUBJECT |
                                               X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS);
    if (host == NULL) {
        return true; /* a client's name is nothing that could be compared */
    }
    return is_address(plain) ? X509_VERIFY_PARAM_set1_ip_asc(param, plain) == 1
                             : X509_VERIFY_PARAM_set1_host(param, plain, strlen(plain)) == 1;
}

static bool key_is_strong(X509 *cert)
{
    EVP_PKEY *key = X509_get0_pubkey(cert);
    return key != NULL && (EVP_PKEY_id(key) != EVP_PKEY_RSA || EVP_PKEY_bits(key) >= RSA_BITS_MIN);
}

static bool signature_is_strong(const X509 *cert)
{
    switch (X509_get_signature_nid(cert)) {
    case NID_sha1WithRSAEncryption:
    case NID_sha1WithRSA:
    case NID_ecdsa_with_SHA1:
    case NID_dsaWithSHA1:
    case NID_md5WithRSAEncryption:
        return false;
    default:
        return true;
    }
}

/* A root is trusted as it stands; its own signature proves nothing and is not judged. */
static bool chain_is_strong(X509_STORE_CTX *ctx)
{
    const STACK_OF(X509) *verified = X509_STORE_CTX_get0_chain(ctx);
    const size_t count = sk_X509_num(verified);
    for (size_t i = 0; i < count; i++) {
        X509 *cert = sk_X509_value(verified, i);
        if (!key_is_strong(cert) || (i + 1 < count && !signature_is_strong(cert))) {
            return false;
        }
    }
    return true;
}

static pql_status verify(X509_STORE_CTX *ctx, const char *host, int64_t now_unix, pql_error *err)
{
    const char *whom = host != NULL ? host : "a client";
    if (!set_expectations(ctx, host, now_unix)) {
        return pqi_fail(err, PQL_E_TRUST, "\"%.100s\" is not a name that a certificate can prove.",
                        whom);
    }
    if (X509_verify_cert(ctx) != 1) {
        return pqi_fail(err, PQL_E_TRUST, "The certificate is not good for %.100s: %s.", whom,
                        X509_verify_cert_error_string(X509_STORE_CTX_get_error(ctx)));
    }
    if (!chain_is_strong(ctx)) {
        return pqi_fail(err, PQL_E_TRUST,
                        "The certificate chain of %.100s uses SHA-1, MD5 or an RSA key below %d "
                        "bits.",
                        whom, RSA_BITS_MIN);
    }
    return PQL_OK;
}

pql_status pqi_authority_check(X509_STORE *roots, const pqi_chain *chain, const char *host,
                               int64_t now_unix, pql_error *err)
{
    pql_status status = PQL_E_TRUST;
    X509 *leaf = parse(chain->der[0], chain->len[0]);
    STACK_OF(X509) *rest = sk_X509_new_null();
    X509_STORE_CTX *ctx = X509_STORE_CTX_new();
    if (rest == NULL || ctx == NULL) {
        status = pqi_fail(err, PQL_E_NOMEM, "Out of memory verifying a certificate.");
    } else if (leaf == NULL || !parse_rest(chain, rest)) {
        status = pqi_fail(err, PQL_E_TRUST, "The peer sent bytes that are no X.509 certificate.");
    } else if (X509_STORE_CTX_init(ctx, roots, leaf, rest) != 1) {
        status = pqi_fail(err, PQL_E_CRYPTO, "The library could not begin to verify a chain.");
    } else {
        status = verify(ctx, host, now_unix, err);
    }
    X509_STORE_CTX_free(ctx);
    sk_X509_pop_free(rest, X509_free);
    X509_free(leaf);
    ERR_clear_error();
    return status;
}
