#include "signer/keys.h"

#include "base/clock.h"
#include "base/log.h"
#include "identity/identity.h"
#include "identity/rotation.h"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SERVICE "keys"
#define REFUSALS_PER_SECOND 10
#define MS_PER_SEC 1000
/* Keys that could not be read are tried again after this, unasked: a passphrase takes a while. */
#define AGAIN (10 * PQI_NS_PER_SEC)

struct pqi_signer_keys {
    const char *dir;
    pqi_identity_keys how;
    unsigned roles;
    pthread_rwlock_t lock; /* around |all| */
    pqi_rotation all;
    pthread_mutex_t follow_lock;
    uint64_t seen;  /* mark that was looked at last, also in vain; under |follow_lock| */
    uint64_t again; /* monotonic ns at which it is looked at again; 0: not; the same */
    pthread_mutex_t quota_lock;
    pqi_log_quota quota;
};

pql_status pqi_signer_keys_open(pqi_signer_keys **out, const char *dir, const char *passphrase_file,
                                unsigned roles, pql_error *err)
{
    *out = NULL;
    pqi_signer_keys *keys = calloc(1, sizeof(*keys));
    if (keys == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening the keys.");
    }
    keys->how.passphrase_file = passphrase_file;
    const pql_status status = pqi_rotation_load(&keys->all, dir, &keys->how, err);
    if (status != PQL_OK) {
        free(keys);
        return status;
    }
    keys->dir = dir;
    keys->roles = roles;
    keys->seen = keys->all.mark;
    (void)pthread_rwlock_init(&keys->lock, NULL);
    (void)pthread_mutex_init(&keys->follow_lock, NULL);
    (void)pthread_mutex_init(&keys->quota_lock, NULL);
    *out = keys;
    return PQL_OK;
}

void pqi_signer_keys_free(pqi_signer_keys *keys)
{
    if (keys == NULL) {
        return;
    }
    pqi_rotation_clear(&keys->all);
    (void)pthread_rwlock_destroy(&keys->lock);
    (void)pthread_mutex_destroy(&keys->follow_lock);
    (void)pthread_mutex_destroy(&keys->quota_lock);
    free(keys);
}

static bool read_again(pqi_signer_keys *keys)
{
    pqi_rotation fresh;
    pql_error err = {0};
    if (pqi_rotation_load(&fresh, keys->dir, &keys->how, &err) != PQL_OK) {
        pqi_log(PQI_LOG_ERROR, SERVICE, "keys_not_read", PQI_STR("reason", err.message));
        return false;
    }
    (void)pthread_rwlock_wrlock(&keys->lock);
    pqi_rotation old = keys->all;
    keys->all = fresh;
    (void)pthread_rwlock_unlock(&keys->lock);
    pqi_rotation_clear(&old);
    pqi_log(PQI_LOG_INFO, SERVICE, "keys_read", PQI_BOOL("next", fresh.next != NULL),
            PQI_BOOL("previous", fresh.previous != NULL));
    return true;
}

void pqi_signer_keys_follow(pqi_signer_keys *keys)
{
    (void)pthread_mutex_lock(&keys->follow_lock);
    const uint64_t mark = pqi_rotation_mark(keys->dir);
    const uint64_t now = pqi_clock_monotonic();
    if (mark != keys->seen || (keys->again != 0 && now >= keys->again)) {
        keys->seen = mark;
        keys->again = read_again(keys) ? 0 : now + AGAIN;
    }
    (void)pthread_mutex_unlock(&keys->follow_lock);
}

/* The leaf of |id| whose certificate is |cert|; NULL without one. */
static const pqi_leaf *leaf_of(const pql_identity *id, const uint8_t cert[PQI_SIGNER_CERT_LEN])
{
    for (int leaf = PQL_LEAF_PQ; id != NULL && leaf <= PQL_LEAF_CLASSICAL; leaf++) {
        const pqi_leaf *candidate = &pqi_identity_leaves(id)[leaf];
        if (memcmp(candidate->of_cert.sha256, cert, PQI_SIGNER_CERT_LEN) == 0) {
            return candidate;
        }
    }
    return NULL;
}

/* A reference to the key, and its scheme; NULL without one. */
static EVP_PKEY *find(pqi_signer_keys *keys, const uint8_t cert[PQI_SIGNER_CERT_LEN],
                      uint16_t *scheme)
{
    EVP_PKEY *key = NULL;
    (void)pthread_rwlock_rdlock(&keys->lock);
    const pql_identity *const identities[] = {keys->all.current, keys->all.next,
                                              keys->all.previous};
    for (size_t i = 0; key == NULL && i < sizeof(identities) / sizeof(identities[0]); i++) {
        const pqi_leaf *leaf = leaf_of(identities[i], cert);
        if (leaf != NULL) {
            (void)EVP_PKEY_up_ref(leaf->key);
            key = leaf->key;
            *scheme = leaf->kind->scheme;
        }
    }
    (void)pthread_rwlock_unlock(&keys->lock);
    return key;
}

/* One that is not there yet may have come with a rotation. */
static EVP_PKEY *find_or_follow(pqi_signer_keys *keys, const uint8_t cert[PQI_SIGNER_CERT_LEN],
                                uint16_t *scheme)
{
    EVP_PKEY *key = find(keys, cert, scheme);
    if (key == NULL) {
        pqi_signer_keys_follow(keys);
        key = find(keys, cert, scheme);
    }
    return key;
}

/* RFC 8446, section 4.2.3: an RSA-PSS salt is as long as the digest. */
static bool sign_with(EVP_PKEY *key, const pqi_signer_request *request, uint8_t *out, size_t *len)
{
    EVP_MD_CTX ctx;
    EVP_PKEY_CTX *how = NULL;
    EVP_MD_CTX_init(&ctx);
    bool ok = EVP_DigestSignInit(&ctx, &how, SSL_get_signature_algorithm_digest(request->scheme),
                                 NULL, key) == 1;
    if (ok && SSL_is_signature_algorithm_rsa_pss(request->scheme) == 1) {
        ok = EVP_PKEY_CTX_set_rsa_padding(how, RSA_PKCS1_PSS_PADDING) == 1 &&
             EVP_PKEY_CTX_set_rsa_pss_saltlen(how, RSA_PSS_SALTLEN_DIGEST) == 1;
    }
    ok = ok && EVP_DigestSign(&ctx, out, len, request->input, request->input_len) == 1;
    EVP_MD_CTX_cleanup(&ctx);
    ERR_clear_error();
    return ok;
}

static pqi_signer_verdict sign(pqi_signer_keys *keys, const pqi_signer_request *request,
                               uint8_t *out, size_t *len)
{
    uint16_t scheme = 0;
    const pqi_signer_role role = pqi_signer_input_role(request->input, request->input_len);
    if ((keys->roles & role) == 0) {
        return PQI_SIGNER_NOT_TLS;
    }
    EVP_PKEY *key = find_or_follow(keys, request->cert, &scheme);
    if (key == NULL) {
        return PQI_SIGNER_NO_KEY;
    }
    const pqi_signer_verdict verdict = scheme != request->scheme           ? PQI_SIGNER_NO_SCHEME
                                       : sign_with(key, request, out, len) ? PQI_SIGNER_SIGNED
                                                                           : PQI_SIGNER_FAILED;
    EVP_PKEY_free(key);
    return verdict;
}

/* Who asks for more than TLS does is worth a line, but not a full disk. */
static void log_refusal(pqi_signer_keys *keys, pqi_signer_verdict verdict)
{
    uint64_t left_out = 0;
    (void)pthread_mutex_lock(&keys->quota_lock);
    const bool say = pqi_log_quota_take(&keys->quota, REFUSALS_PER_SECOND,
                                        pqi_clock_unix_ms() / MS_PER_SEC, &left_out);
    (void)pthread_mutex_unlock(&keys->quota_lock);
    if (say) {
        pqi_log(PQI_LOG_ERROR, SERVICE, "signature_refused",
                PQI_STR("reason", pqi_signer_verdict_name(verdict)), PQI_U64("left_out", left_out));
    }
}

size_t pqi_signer_keys_answer(pqi_signer_keys *keys, const uint8_t *data, size_t len, uint8_t *out)
{
    uint8_t signature[PQI_SIGNER_SIGNATURE_MAX];
    size_t signature_len = sizeof(signature);
    pqi_signer_request request;
    const pqi_signer_verdict verdict = pqi_signer_request_read(&request, data, len)
                                           ? sign(keys, &request, signature, &signature_len)
                                           : PQI_SIGNER_MALFORMED;
    const pqi_signer_answer answer = {.id = request.id,
                                      .verdict = verdict,
                                      .signature = signature,
                                      .signature_len =
                                          verdict == PQI_SIGNER_SIGNED ? signature_len : 0};
    if (verdict != PQI_SIGNER_SIGNED) {
        log_refusal(keys, verdict);
    }
    return pqi_signer_answer_write(out, PQI_SIGNER_ANSWER_MAX, &answer);
}
