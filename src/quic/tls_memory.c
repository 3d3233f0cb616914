#include "quic/tls_memory.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

typedef struct entry {
    uint8_t address[PQI_LEAF_ADDRESS_LEN];
    uint64_t heard; /* grows with each event; 0: a free place */
    bool other;
} entry;

struct pqi_leaf_memory {
    pthread_mutex_t lock;
    uint64_t events;
    entry entries[PQI_LEAF_MEMORY_MAX];
};

pqi_leaf_memory *pqi_leaf_memory_new(void)
{
    pqi_leaf_memory *memory = calloc(1, sizeof(*memory));
    if (memory != NULL) {
        (void)pthread_mutex_init(&memory->lock, NULL);
    }
    return memory;
}

void pqi_leaf_memory_free(pqi_leaf_memory *memory)
{
    if (memory != NULL) {
        (void)pthread_mutex_destroy(&memory->lock);
        free(memory);
    }
}

/* The entry of |address|, or NULL; *oldest: where a new one goes. */
static entry *find(pqi_leaf_memory *memory, const uint8_t *address, entry **oldest)
{
    *oldest = &memory->entries[0];
    for (size_t i = 0; i < PQI_LEAF_MEMORY_MAX; i++) {
        entry *e = &memory->entries[i];
        if (e->heard != 0 && memcmp(e->address, address, sizeof(e->address)) == 0) {
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
    entry *oldest = NULL;
    (void)pthread_mutex_lock(&memory->lock);
    const entry *e = find(memory, address, &oldest);
    const bool other = e != NULL && e->other;
    (void)pthread_mutex_unlock(&memory->lock);
    return other;
}

/* An address that is content with the current leaf needs no place: that is what a stranger gets. */
static void note(pqi_leaf_memory *memory, const uint8_t *address, bool other)
{
    entry *oldest = NULL;
    (void)pthread_mutex_lock(&memory->lock);
    entry *e = find(memory, address, &oldest);
    if (e == NULL && other) {
        e = oldest;
        memcpy(e->address, address, sizeof(e->address));
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
