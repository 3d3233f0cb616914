#include "caps/keyring.h"

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

pql_status pqi_cap_keyring_reload(pqi_cap_keyring *ring, pql_error *err)
{
    pqi_cap_keys keys = {0};
    const pql_status status = load(ring->path, ring->check, &keys, err);
    if (status != PQL_OK) {
        return status;
    }
    (void)pthread_rwlock_wrlock(&ring->lock);
    pqi_cap_keys old = ring->keys;
    ring->keys = keys;
    (void)pthread_rwlock_unlock(&ring->lock);
    pqi_cap_keys_clear(&old);
    return PQL_OK;
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
