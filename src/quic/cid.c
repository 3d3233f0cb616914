#include "quic/cid.h"

#include <openssl/siphash.h>

#include <stdlib.h>
#include <string.h>

/* RFC 8999: where the destination connection ID starts in a long and in a short header. */
#define LONG_HEADER 0x80
#define LONG_CID_AT 6
#define SHORT_CID_AT 1

#define FIRST_BUCKETS 64

typedef struct entry {
    struct entry *next;
    void *owner;
    uint64_t hash;
    uint8_t len;
    uint8_t cid[NGTCP2_MAX_CIDLEN];
} entry;

struct pqi_cid_map {
    uint64_t key[2];
    entry **buckets;
    size_t bucket_count; /* a power of two */
    size_t count;
};

void pqi_cid_make(ngtcp2_cid *out, const uint8_t random[PQI_CID_LEN], unsigned worker,
                  unsigned workers)
{
    uint8_t bytes[PQI_CID_LEN];
    memcpy(bytes, random, sizeof(bytes));
    unsigned first = bytes[0] - bytes[0] % workers + worker;
    if (first > UINT8_MAX) {
        first -= workers;
    }
    bytes[0] = (uint8_t)first;
    ngtcp2_cid_init(out, bytes, sizeof(bytes));
}

unsigned pqi_cid_worker_of_datagram(const uint8_t *data, size_t len, unsigned workers)
{
    if (len == 0) {
        return 0;
    }
    const size_t at = (data[0] & LONG_HEADER) != 0 ? LONG_CID_AT : SHORT_CID_AT;
    return at < len ? data[at] % workers : 0;
}

static uint64_t hash_of(const pqi_cid_map *map, const uint8_t *cid, size_t len)
{
    return SIPHASH_24(map->key, cid, len);
}

pqi_cid_map *pqi_cid_map_new(const uint8_t key[16])
{
    pqi_cid_map *map = calloc(1, sizeof(*map));
    if (map == NULL) {
        return NULL;
    }
    memcpy(map->key, key, sizeof(map->key));
    map->bucket_count = FIRST_BUCKETS;
    map->buckets = calloc(map->bucket_count, sizeof(entry *));
    if (map->buckets == NULL) {
        free(map);
        return NULL;
    }
    return map;
}

static void keep_owner(void *owner)
{
    (void)owner;
}

void pqi_cid_map_free(pqi_cid_map *map)
{
    pqi_cid_map_free_with(map, keep_owner);
}

void pqi_cid_map_free_with(pqi_cid_map *map, void (*free_owner)(void *owner))
{
    if (map == NULL) {
        return;
    }
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (entry *e = map->buckets[i]; e != NULL;) {
            entry *next = e->next;
            free_owner(e->owner);
            free(e);
            e = next;
        }
    }
    free(map->buckets);
    free(map);
}

static entry **find(const pqi_cid_map *map, const uint8_t *cid, size_t len, uint64_t hash)
{
    entry **at = &map->buckets[hash & (map->bucket_count - 1)];
    while (*at != NULL &&
           ((*at)->hash != hash || (*at)->len != len || memcmp((*at)->cid, cid, len) != 0)) {
        at = &(*at)->next;
    }
    return at;
}

/* Doubles the table; without memory it just stays fuller. */
static void grow(pqi_cid_map *map)
{
    const size_t count = 2 * map->bucket_count;
    entry **buckets = calloc(count, sizeof(entry *));
    if (buckets == NULL) {
        return;
    }
    for (size_t i = 0; i < map->bucket_count; i++) {
        for (entry *e = map->buckets[i]; e != NULL;) {
            entry *next = e->next;
            e->next = buckets[e->hash & (count - 1)];
            buckets[e->hash & (count - 1)] = e;
            e = next;
        }
    }
    free(map->buckets);
    map->buckets = buckets;
    map->bucket_count = count;
}

bool pqi_cid_map_add(pqi_cid_map *map, const uint8_t *cid, size_t len, void *owner)
{
    if (len > NGTCP2_MAX_CIDLEN) {
        return false;
    }
    if (map->count >= map->bucket_count) {
        grow(map);
    }
    const uint64_t hash = hash_of(map, cid, len);
    entry **at = find(map, cid, len, hash);
    if (*at != NULL) {
        return false;
    }
    entry *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return false;
    }
    *e = (entry){.owner = owner, .hash = hash, .len = (uint8_t)len};
    memcpy(e->cid, cid, len);
    *at = e;
    map->count++;
    return true;
}

static void unlink_entry(pqi_cid_map *map, entry **at)
{
    entry *e = *at;
    *at = e->next;
    free(e);
    map->count--;
}

void pqi_cid_map_remove(pqi_cid_map *map, const uint8_t *cid, size_t len)
{
    entry **at = find(map, cid, len, hash_of(map, cid, len));
    if (*at != NULL) {
        unlink_entry(map, at);
    }
}

void pqi_cid_map_remove_owner(pqi_cid_map *map, const void *owner)
{
    for (size_t i = 0; i < map->bucket_count; i++) {
        entry **at = &map->buckets[i];
        while (*at != NULL) {
            if ((*at)->owner == owner) {
                unlink_entry(map, at);
            } else {
                at = &(*at)->next;
            }
        }
    }
}

void *pqi_cid_map_find(const pqi_cid_map *map, const uint8_t *cid, size_t len)
{
    entry *const *at = find(map, cid, len, hash_of(map, cid, len));
    return *at == NULL ? NULL : (*at)->owner;
}

size_t pqi_cid_map_count(const pqi_cid_map *map)
{
    return map->count;
}
