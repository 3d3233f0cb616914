#include "quic/sources.h"

#include "quic/cid.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

/* A family, and the bytes of the address that count. */
#define KEY_MAX (1 + 8)
#define V4_LEN 4
#define V6_NETWORK_LEN 8

struct pqi_source {
    size_t count;
    size_t key_len;
    uint8_t key[KEY_MAX];
};

struct pqi_sources {
    pthread_mutex_t lock;
    pqi_cid_map *map; /* sources by key */
};

pqi_sources *pqi_sources_new(const uint8_t key[16])
{
    pqi_sources *sources = calloc(1, sizeof(*sources));
    if (sources == NULL) {
        return NULL;
    }
    sources->map = pqi_cid_map_new(key);
    if (sources->map == NULL) {
        free(sources);
        return NULL;
    }
    (void)pthread_mutex_init(&sources->lock, NULL);
    return sources;
}

void pqi_sources_free(pqi_sources *sources)
{
    if (sources == NULL) {
        return;
    }
    pqi_cid_map_free_with(sources->map, free);
    (void)pthread_mutex_destroy(&sources->lock);
    free(sources);
}

static size_t key_of(const pqi_address *address, uint8_t key[KEY_MAX])
{
    const uint8_t *bytes = (const uint8_t *)&address->sa.v4.sin_addr;
    size_t len = V4_LEN;
    key[0] = 4;
    if (address->sa.any.sa_family == AF_INET6) {
        bytes = address->sa.v6.sin6_addr.s6_addr;
        if (IN6_IS_ADDR_V4MAPPED(&address->sa.v6.sin6_addr)) {
            bytes += sizeof(address->sa.v6.sin6_addr) - V4_LEN;
        } else {
            key[0] = 6;
            len = V6_NETWORK_LEN;
        }
    }
    memcpy(key + 1, bytes, len);
    return 1 + len;
}

size_t pqi_sources_count(pqi_sources *sources, const pqi_address *address)
{
    uint8_t key[KEY_MAX];
    if (sources == NULL) {
        return 0;
    }
    const size_t key_len = key_of(address, key);
    (void)pthread_mutex_lock(&sources->lock);
    const pqi_source *source = pqi_cid_map_find(sources->map, key, key_len);
    const size_t count = source == NULL ? 0 : source->count;
    (void)pthread_mutex_unlock(&sources->lock);
    return count;
}

static pqi_source *find_or_add(pqi_sources *sources, const uint8_t *key, size_t key_len)
{
    pqi_source *source = pqi_cid_map_find(sources->map, key, key_len);
    if (source != NULL) {
        return source;
    }
    source = calloc(1, sizeof(*source));
    if (source == NULL) {
        return NULL;
    }
    source->key_len = key_len;
    memcpy(source->key, key, key_len);
    if (!pqi_cid_map_add(sources->map, key, key_len, source)) {
        free(source);
        return NULL;
    }
    return source;
}

pqi_source *pqi_sources_add(pqi_sources *sources, const pqi_address *address, size_t limit)
{
    uint8_t key[KEY_MAX];
    if (sources == NULL || limit == 0) {
        return NULL;
    }
    const size_t key_len = key_of(address, key);
    (void)pthread_mutex_lock(&sources->lock);
    pqi_source *source = find_or_add(sources, key, key_len);
    if (source != NULL && source->count >= limit) {
        source = NULL;
    }
    if (source != NULL) {
        source->count++;
    }
    (void)pthread_mutex_unlock(&sources->lock);
    return source;
}

void pqi_sources_remove(pqi_sources *sources, pqi_source *source)
{
    if (source == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&sources->lock);
    source->count--;
    if (source->count == 0) {
        pqi_cid_map_remove(sources->map, source->key, source->key_len);
        free(source);
    }
    (void)pthread_mutex_unlock(&sources->lock);
}
