/* Which leaf an address took last. */
#include "test.h"

#include "quic/tls_memory.h"

#include <string.h>

typedef struct address {
    uint8_t bytes[PQI_LEAF_ADDRESS_LEN];
} address;

static address numbered(unsigned n)
{
    return (address){{(uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16)}};
}

static bool other(pqi_leaf_memory *memory, unsigned n)
{
    return pqi_leaf_memory_wants_other(memory, numbered(n).bytes);
}

static void refused(pqi_leaf_memory *memory, unsigned n, bool was_other)
{
    pqi_leaf_memory_refused(memory, numbered(n).bytes, was_other);
}

static void took(pqi_leaf_memory *memory, unsigned n, bool was_other)
{
    pqi_leaf_memory_took(memory, numbered(n).bytes, was_other);
}

static void who_refuses_one_leaf_is_shown_the_other(void **state)
{
    (void)state;
    pqi_leaf_memory *memory = pqi_leaf_memory_new();
    assert_false(other(memory, 1));
    refused(memory, 1, false);
    assert_true(other(memory, 1));
    assert_false(other(memory, 2));
    refused(memory, 1, true);
    assert_false(other(memory, 1));
    pqi_leaf_memory_free(memory);
}

static void who_took_a_leaf_is_shown_it_again(void **state)
{
    (void)state;
    pqi_leaf_memory *memory = pqi_leaf_memory_new();
    took(memory, 1, true);
    assert_true(other(memory, 1));
    took(memory, 1, false);
    assert_false(other(memory, 1));
    pqi_leaf_memory_free(memory);
}

static void the_oldest_goes_when_it_is_full(void **state)
{
    (void)state;
    pqi_leaf_memory *memory = pqi_leaf_memory_new();
    for (unsigned i = 0; i < PQI_LEAF_MEMORY_MAX; i++) {
        refused(memory, i, false);
    }
    took(memory, 0, true); /* heard of again */
    refused(memory, PQI_LEAF_MEMORY_MAX, false);
    assert_true(other(memory, 0));
    assert_false(other(memory, 1));
    assert_true(other(memory, 2));
    assert_true(other(memory, PQI_LEAF_MEMORY_MAX));
    pqi_leaf_memory_free(memory);
}

static void content_addresses_take_no_place(void **state)
{
    (void)state;
    pqi_leaf_memory *memory = pqi_leaf_memory_new();
    refused(memory, 0, false);
    for (unsigned i = 1; i < 2 * PQI_LEAF_MEMORY_MAX; i++) {
        took(memory, i, false);
    }
    assert_true(other(memory, 0));
    pqi_leaf_memory_free(memory);
}

static void one_network_of_ipv6_has_one_place(void **state)
{
    (void)state;
    static const address here = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 1}};
    static const address too = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 1, 9, 9, 9, 9, 9, 9, 9, 9}};
    static const address next_door = {{0x20, 1, 0xd, 0xb8, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 1}};
    pqi_leaf_memory *memory = pqi_leaf_memory_new();
    refused(memory, 1, false);
    for (unsigned i = 0; i < 2 * PQI_LEAF_MEMORY_MAX; i++) {
        address a = here;
        a.bytes[14] = (uint8_t)(i >> 8);
        a.bytes[15] = (uint8_t)i;
        pqi_leaf_memory_refused(memory, a.bytes, false);
    }
    assert_true(pqi_leaf_memory_wants_other(memory, too.bytes));
    assert_false(pqi_leaf_memory_wants_other(memory, next_door.bytes));
    assert_true(other(memory, 1));
    pqi_leaf_memory_free(memory);
}

static void each_address_of_ipv4_has_its_own_place(void **state)
{
    (void)state;
    static const address here = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 1}};
    static const address next_door = {{[10] = 0xff, [11] = 0xff, 192, 0, 2, 2}};
    pqi_leaf_memory *memory = pqi_leaf_memory_new();
    pqi_leaf_memory_refused(memory, here.bytes, false);
    assert_true(pqi_leaf_memory_wants_other(memory, here.bytes));
    assert_false(pqi_leaf_memory_wants_other(memory, next_door.bytes));
    pqi_leaf_memory_free(memory);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(who_refuses_one_leaf_is_shown_the_other),
        cmocka_unit_test(who_took_a_leaf_is_shown_it_again),
        cmocka_unit_test(the_oldest_goes_when_it_is_full),
        cmocka_unit_test(content_addresses_take_no_place),
        cmocka_unit_test(one_network_of_ipv6_has_one_place),
        cmocka_unit_test(each_address_of_ipv4_has_its_own_place),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
