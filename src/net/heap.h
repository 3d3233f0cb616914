/* A binary heap of deadlines.  Nodes live inside their owners; the heap holds pointers only. */
#ifndef PQI_NET_HEAP_H
#define PQI_NET_HEAP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pqi_heap_node {
    uint64_t key;
    size_t place; /* index + 1 in the heap; 0: not in it */
} pqi_heap_node;

/* All zero is an empty heap. */
typedef struct pqi_heap {
    pqi_heap_node **nodes; /* owned array of borrowed nodes */
    size_t len;
    size_t size;
} pqi_heap;

/* Puts |node| in, or moves it, so that its key is |key|.  False when memory could not be had; a
 * node that was in stays with its old key. */
bool pqi_heap_set(pqi_heap *heap, pqi_heap_node *node, uint64_t key);
/* Takes |node| out; one that is not in is left alone. */
void pqi_heap_remove(pqi_heap *heap, pqi_heap_node *node);
/* The node with the least key; NULL when empty. */
pqi_heap_node *pqi_heap_first(const pqi_heap *heap);
/* Frees the array; the nodes are the owners'. */
void pqi_heap_free(pqi_heap *heap);

#endif
