#include "net/heap.h"

#include <stdlib.h>

static void place(pqi_heap *heap, size_t index, pqi_heap_node *node)
{
    heap->nodes[index] = node;
    node->place = index + 1;
}

static void sift_up(pqi_heap *heap, size_t index)
{
    pqi_heap_node *node = heap->nodes[index];
    while (index > 0) {
        const size_t parent = (index - 1) / 2;
        if (heap->nodes[parent]->key <= node->key) {
            break;
        }
        place(heap, index, heap->nodes[parent]);
        index = parent;
    }
    place(heap, index, node);
}

static void sift_down(pqi_heap *heap, size_t index)
{
    pqi_heap_node *node = heap->nodes[index];
    for (;;) {
        size_t child = 2 * index + 1;
        if (child >= heap->len) {
            break;
        }
        if (child + 1 < heap->len && heap->nodes[child + 1]->key < heap->nodes[child]->key) {
            child++;
        }
        if (heap->nodes[child]->key >= node->key) {
            break;
        }
        place(heap, index, heap->nodes[child]);
        index = child;
    }
    place(heap, index, node);
}

static bool grow(pqi_heap *heap)
{
    if (heap->len < heap->size) {
        return true;
    }
    const size_t size = heap->size == 0 ? 16 : 2 * heap->size;
    pqi_heap_node **nodes = realloc(heap->nodes, size * sizeof(pqi_heap_node *));
    if (nodes == NULL) {
        return false;
    }
    heap->nodes = nodes;
    heap->size = size;
    return true;
}

bool pqi_heap_set(pqi_heap *heap, pqi_heap_node *node, uint64_t key)
{
    if (node->place == 0) {
        if (!grow(heap)) {
            return false;
        }
        node->key = key;
        place(heap, heap->len++, node);
        sift_up(heap, heap->len - 1);
        return true;
    }
    const uint64_t before = node->key;
    node->key = key;
    if (key < before) {
        sift_up(heap, node->place - 1);
    } else if (key > before) {
        sift_down(heap, node->place - 1);
    }
    return true;
}

void pqi_heap_remove(pqi_heap *heap, pqi_heap_node *node)
{
    if (node->place == 0) {
        return;
    }
    const size_t index = node->place - 1;
    pqi_heap_node *last = heap->nodes[--heap->len];
    node->place = 0;
    if (last == node) {
        return;
    }
    place(heap, index, last);
    sift_up(heap, index);
    sift_down(heap, last->place - 1);
}

pqi_heap_node *pqi_heap_first(const pqi_heap *heap)
{
    return heap->len == 0 ? NULL : heap->nodes[0];
}

void pqi_heap_free(pqi_heap *heap)
{
    free(heap->nodes);
    *heap = (pqi_heap){0};
}
