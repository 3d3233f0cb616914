#include "quic/tls_memory.h"

#include <netinet/in.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

/* What one network is given of IPv6. */
#define NETWORK_LEN 8

typedef struct entry {
    uint8_t key[PQI_LEAF_ADDRESS_LEN];
    uint64_t heard; /* grows with each event; 0: a free place */
    bool other;
} entry;

struct pqi_leaf_memory {
    atomic_uint owners;
    pthread_mutex_t lock;
    uint64_t events;
    entry entries[PQI_LEAF_MEMORY_MAX];
};

pqi_leaf_memory *pqi_leaf_memory_new(void)
{
    pqi_leaf_memory *memory = calloc(1, sizeof(*memory));
    if (memory != NULL) {
        atomic_store(&memory->owners, 1);
        (void)pthread_mutex_init(&memory->lock, NULL);
    }
    return memory;
}

pqi_leaf_memory *pqi_leaf_memory_ref(pqi_leaf_memory *memory)
{
    (void)atomic_fetch_add(&memory->owners, 1);
    return memory;
}

void pqi_leaf_memory_free(pqi_leaf_memory *memory)
{
    if (memory != NULL && atomic_fetch_sub(&memory->owners, 1) == 1) {
        (void)pthread_mutex_destroy(&memory->lock);
        free(memory);
    }
}

/* An IPv4 address whole, of an IPv6 address the network. */
static void make_key(uint8_t key[PQI_LEAF_ADDRESS_LEN], const uint8_t *address)
{
    struct in6_addr whole;
    memcpy(&whole, address, sizeof(whole));
    memset(key, 0, PQI_LEAF_ADDRESS_LEN);
    memcpy(key, address, IN6_IS_ADDR_V4MAPPED(&whole) ? PQI_LEAF_ADDRESS_LEN : NETWORK_LEN);
}

/* The entry of |key|, or NULL; *oldest: where a new one goes. */
static entry *find(pqi_leaf_memory *memory, const uint8_t *key, entry **oldest)
{
    *oldest = &memory->entries[0];
    for (size_t i = 0; i < PQI_LEAF_MEMORY_MAX; i++) {
        entry *e = &memory->entries[i];
        if (e->heard != 0 && memcmp(e->key, key, sizeof(e->key)) == 0) {
            return e;
        }
        if (e->heard < (*oldest)->heard) {
            *oldest = e;
        }
    }
    return NULL;
}

bool pqi_leaf_memory_wants_other(pqi_leaf_memory *memory,
                                 const uint8_t address[PQI_LEAF_ADDRESS_LEN])
{
    uint8_t key[PQI_LEAF_ADDRESS_LEN];
    entry *oldest = NULL;
    make_key(key, address);
    (void)pthread_mutex_lock(&memory->lock);
    const entry *e = find(memory, key, &oldest);
    const bool other = e != NULL && e->other;
    (void)pthread_mutex_unlock(&memory->lock);
    return other;
}

/* An address that is content with the current leaf needs no place: that is what a stranger gets. */
static void note(pqi_leaf_memory *memory, const uint8_t *address, bool other)
{
    uint8_t key[PQI_LEAF_ADDRESS_LEN];
    entry *oldest = NULL;
    make_key(key, address);
    (void)pthread_mutex_lock(&memory->lock);
    entry *e = find(memory, key, &oldest);
    if (e == NULL && other) {
        e = oldest;
        memcpy(e->key, key, sizeof(e->key));
    }
    if (e != NULL) {
        e->other = other;
        e->heard = other ? ++memory->events : 0;
    }
    (void)pthread_mutex_unlock(&memory->lock);
}

void pqi_leaf_memory_took(pqi_leaf_memory *memory, const uint8_t address[PQI_LEAF_ADDRESS_LEN],
                          bool other)
{
    note(memory, address, other);
}

void pqi_leaf_memory_refused(pqi_leaf_memory *memory, const uint8_t address[PQI_LEAF_ADDRESS_LEN],
                             bool other)
{
    note(memory, address, !other);
}
