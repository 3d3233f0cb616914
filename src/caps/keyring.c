#include "caps/keyring.h"

#include "base/secret.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct pqi_cap_keyring {
    char *path;
    pqi_cap_policy policy;
    pqi_cap_keyring_check check; /* NULL: none */
    pthread_rwlock_t lock;       /* guards |keys| */
    pqi_cap_keys keys;
};

static pql_status load(const char *path, pqi_cap_keyring_check check, pqi_cap_keys *keys,
                       pql_error *err)
{
    pql_status status = pqi_cap_keys_load(keys, path, err);
    if (status == PQL_OK && keys->count == 0) {
        status = pqi_fail(err, PQL_E_USAGE,
                          "%.200s has no key: make one with 'pqlink token keygen --keys FILE "
                          "--tenant NAME'.",
                          path);
    }
    if (status == PQL_OK && check != NULL) {
        status = check(keys, path, err);
    }
    if (status != PQL_OK) {
        pqi_cap_keys_clear(keys);
    }
    return status;
}

pql_status pqi_cap_keyring_open(pqi_cap_keyring **out, const char *path,
                                const pqi_cap_policy *policy, pqi_cap_keyring_check check,
                                pql_error *err)
{
    pqi_cap_keys keys = {0};
    *out = NULL;
    const pql_status status = load(path, check, &keys, err);
    if (status != PQL_OK) {
        return status;
    }
    pqi_cap_keyring *ring = calloc(1, sizeof(*ring));
    char *copy = strdup(path);
    if (ring == NULL || copy == NULL) {
        free(ring);
        free(copy);
        pqi_cap_keys_clear(&keys);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %.200s.", path);
    }
    *ring = (pqi_cap_keyring){.path = copy, .policy = *policy, .check = check, .keys = keys};
    (void)pthread_rwlock_init(&ring->lock, NULL);
    *out = ring;
    return PQL_OK;
}

void pqi_cap_keyring_free(pqi_cap_keyring *ring)
{
    if (ring != NULL) {
        (void)pthread_rwlock_destroy(&ring->lock);
        pqi_cap_keys_clear(&ring->keys);
        free(ring->path);
        free(ring);
    }
}

pql_status pqi_cap_keyring_read(const pqi_cap_keyring *ring, pqi_cap_keys *out, pql_error *err)
{
    *out = (pqi_cap_keys){0};
    return load(ring->path, ring->check, out, err);
}

static bool same_key(const pqi_cap_key *a, const pqi_cap_key *b)
{
    return strcmp(a->kid, b->kid) == 0 && strcmp(a->tenant, b->tenant) == 0 &&
           a->current == b->current && a->require_signature == b->require_signature &&
           a->algorithm == b->algorithm && a->has_private == b->has_private &&
           pqi_secret_equal(a->root, b->root, sizeof(a->root)) &&
           memcmp(a->ed25519_public, b->ed25519_public, sizeof(a->ed25519_public)) == 0 &&
           memcmp(a->pq_public, b->pq_public, sizeof(a->pq_public)) == 0 &&
           pqi_secret_equal(a->ed25519_private, b->ed25519_private, sizeof(a->ed25519_private)) &&
           pqi_secret_equal(a->pq_private, b->pq_private, sizeof(a->pq_private));
}

static bool same_keys(const pqi_cap_keys *a, const pqi_cap_keys *b)
{
    bool same = a->count == b->count && a->revoked_count == b->revoked_count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = same_key(&a->keys[i], &b->keys[i]);
    }
    for (size_t i = 0; same && i < a->revoked_count; i++) {
        same = memcmp(a->revoked[i].nonce, b->revoked[i].nonce, sizeof(a->revoked[i].nonce)) == 0;
    }
    return same;
}

bool pqi_cap_keyring_differs(pqi_cap_keyring *ring, const pqi_cap_keys *keys)
{
    (void)pthread_rwlock_rdlock(&ring->lock);
    const bool same = same_keys(&ring->keys, keys);
    (void)pthread_rwlock_unlock(&ring->lock);
    return !same;
}

void pqi_cap_keyring_take(pqi_cap_keyring *ring, pqi_cap_keys *keys)
{
    (void)pthread_rwlock_wrlock(&ring->lock);
    pqi_cap_keys old = ring->keys;
    ring->keys = *keys;
    (void)pthread_rwlock_unlock(&ring->lock);
    *keys = (pqi_cap_keys){0};
    pqi_cap_keys_clear(&old);
}

size_t pqi_cap_keyring_count(pqi_cap_keyring *ring)
{
    (void)pthread_rwlock_rdlock(&ring->lock);
    const size_t count = ring->keys.count;
    (void)pthread_rwlock_unlock(&ring->lock);
    return count;
}

bool pqi_cap_keyring_verify(pqi_cap_keyring *ring, const char *text, size_t len,
                            const pqi_cap_request *request, uint64_t now, pqi_cap_verdict *verdict)
{
    (void)pthread_rwlock_rdlock(&ring->lock);
    const bool allowed =
        pqi_cap_verify(text, len, &ring->keys, &ring->policy, request, now, verdict);
    (void)pthread_rwlock_unlock(&ring->lock);
    return allowed;
}

pqi_cap_reason pqi_cap_keyring_recheck(pqi_cap_keyring *ring, const pqi_cap_grant *grant,
                                       uint64_t now)
{
    (void)pthread_rwlock_rdlock(&ring->lock);
    const pqi_cap_reason reason = pqi_cap_recheck(grant, &ring->keys, now);
    (void)pthread_rwlock_unlock(&ring->lock);
    return reason;
}
