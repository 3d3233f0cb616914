/* Deadlines in order, against a plain array. */
#include "test.h"

#include "net/heap.h"

#define NODES 300
#define STEPS 60000

static uint32_t next_random(uint32_t *state)
{
    *state = *state * 1664525u + 1013904223u;
    return *state >> 8;
}

static uint64_t least_key(const pqi_heap_node *nodes, size_t *in)
{
    uint64_t least = UINT64_MAX;
    *in = 0;
    for (size_t i = 0; i < NODES; i++) {
        if (nodes[i].place != 0) {
            (*in)++;
            least = nodes[i].key < least ? nodes[i].key : least;
        }
    }
    return least;
}

static void the_first_node_has_the_least_key_after_any_operations(void **state)
{
    (void)state;
    static pqi_heap_node nodes[NODES];
    pqi_heap heap = {0};
    uint32_t random = 7;
    for (unsigned step = 0; step < STEPS; step++) {
        pqi_heap_node *node = &nodes[next_random(&random) % NODES];
        if (next_random(&random) % 3 == 0) {
            pqi_heap_remove(&heap, node);
            assert_int_equal(node->place, 0);
        } else {
            const uint64_t key = next_random(&random) % 500;
            assert_true(pqi_heap_set(&heap, node, key));
            assert_int_equal(node->key, key);
        }
        size_t in = 0;
        const uint64_t least = least_key(nodes, &in);
        assert_int_equal(heap.len, in);
        assert_true((in == 0) == (pqi_heap_first(&heap) == NULL));
        assert_true(in == 0 || pqi_heap_first(&heap)->key == least);
    }
    pqi_heap_free(&heap);
}

static void nodes_come_out_sorted(void **state)
{
    (void)state;
    static pqi_heap_node nodes[NODES];
    pqi_heap heap = {0};
    uint32_t random = 3;
    uint64_t before = 0;
    for (size_t i = 0; i < NODES; i++) {
        assert_true(pqi_heap_set(&heap, &nodes[i], next_random(&random)));
    }
    for (size_t i = 0; i < NODES; i++) {
        pqi_heap_node *first = pqi_heap_first(&heap);
        assert_true(first->key >= before);
        before = first->key;
        pqi_heap_remove(&heap, first);
    }
    assert_null(pqi_heap_first(&heap));
    pqi_heap_free(&heap);
}

static void a_node_that_is_not_in_is_left_alone(void **state)
{
    (void)state;
    pqi_heap heap = {0};
    pqi_heap_node in = {0};
    pqi_heap_node not_in = {.key = 9};
    assert_true(pqi_heap_set(&heap, &in, 1));
    pqi_heap_remove(&heap, &not_in);
    assert_ptr_equal(pqi_heap_first(&heap), &in);
    assert_int_equal(not_in.key, 9);
    pqi_heap_free(&heap);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_node_has_the_least_key_after_any_operations),
        cmocka_unit_test(nodes_come_out_sorted),
        cmocka_unit_test(a_node_that_is_not_in_is_left_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
