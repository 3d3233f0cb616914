#include "identity/elsewhere.h"

#include "identity/identity.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* Of an ML-DSA-87 (FIPS 204, table 2), the longest there is. */
#define SIGNATURE_MAX 4627
/* What a server signs in TLS 1.3 (RFC 8446, section 4.4.3): spaces, a context with its zero byte, a
 * hash. */
#define PADDING 64
#define HASH_LEN 48
static const char context[] = "TLS 1.3, server CertificateVerify";

static const pqi_key_holder *the_holder;

static int cert_index = -1; /* SSL_CTX ex data: SHA-256 of the certificate */
static pthread_once_t cert_index_once = PTHREAD_ONCE_INIT;

void pqi_keys_move_out(const pqi_key_holder *holder)
{
    the_holder = holder;
}

const pqi_key_holder *pqi_keys_holder(void)
{
    return the_holder;
}

/* The hash is all zero: nobody has a transcript with that one. */
static bool is_signed_for(const pqi_key_holder *holder, const pqi_leaf *leaf)
{
    uint8_t input[PADDING + sizeof(context) + HASH_LEN] = {0};
    uint8_t signature[SIGNATURE_MAX];
    size_t len = 0;
    memset(input, ' ', PADDING);
    memcpy(input + PADDING, context, sizeof(context));
    return holder->sign(holder->user, leaf->of_cert.sha256, leaf->kind->scheme, input,
                        sizeof(input), signature, &len, sizeof(signature));
}

bool pqi_keys_fit(const pql_identity *id)
{
    const pqi_key_holder *holder = the_holder;
    bool fits = true;
    for (int leaf = PQL_LEAF_PQ; holder != NULL && fits && leaf <= PQL_LEAF_CLASSICAL; leaf++) {
        fits = is_signed_for(holder, &pqi_identity_leaves(id)[leaf]);
    }
    return fits;
}

static void free_cert(void *parent, void *cert, CRYPTO_EX_DATA *data, int index, long argl,
                      void *argp)
{
    (void)parent;
    (void)data;
    (void)index;
    (void)argl;
    (void)argp;
    free(cert);
}

static void make_cert_index(void)
{
    cert_index = SSL_CTX_get_ex_new_index(0, NULL, NULL, NULL, free_cert);
}

static enum ssl_private_key_result_t sign(SSL *ssl, uint8_t *out, size_t *out_len, size_t max_out,
                                          uint16_t scheme, const uint8_t *in, size_t in_len)
{
    const pqi_key_holder *holder = the_holder;
    const uint8_t *cert = SSL_CTX_get_ex_data(SSL_get_SSL_CTX(ssl), cert_index);
    const bool ok = holder != NULL && cert != NULL &&
                    holder->sign(holder->user, cert, scheme, in, in_len, out, out_len, max_out);
    return ok ? ssl_private_key_success : ssl_private_key_failure;
}

/* RSA key transport is of TLS 1.2 suites that no policy has. */
static enum ssl_private_key_result_t decrypt(SSL *ssl, uint8_t *out, size_t *out_len,
                                             size_t max_out, const uint8_t *in, size_t in_len)
{
    (void)ssl;
    (void)out;
    (void)out_len;
    (void)max_out;
    (void)in;
    (void)in_len;
    return ssl_private_key_failure;
}

/* Nothing is ever left open: sign() waits. */
static enum ssl_private_key_result_t complete(SSL *ssl, uint8_t *out, size_t *out_len,
                                              size_t max_out)
{
    (void)ssl;
    (void)out;
    (void)out_len;
    (void)max_out;
    return ssl_private_key_failure;
}

static const SSL_PRIVATE_KEY_METHOD method = {
    .sign = sign, .decrypt = decrypt, .complete = complete};

bool pqi_keys_use_elsewhere(const pqi_leaf *leaf, SSL_CTX *ssl_ctx)
{
    CRYPTO_BUFFER *const chain[] = {leaf->cert};
    (void)pthread_once(&cert_index_once, make_cert_index);
    uint8_t *cert = malloc(sizeof(leaf->of_cert.sha256));
    if (cert == NULL) {
        return false;
    }
    memcpy(cert, leaf->of_cert.sha256, sizeof(leaf->of_cert.sha256));
    if (SSL_CTX_set_ex_data(ssl_ctx, cert_index, cert) != 1) {
        free(cert);
        return false;
    }
    return SSL_CTX_set_chain_and_key(ssl_ctx, chain, 1, NULL, &method) == 1;
}
