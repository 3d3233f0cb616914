/* Connection IDs name their worker, and the map knows exactly what was put in. */
#include "test.h"

#include "quic/cid.h"

#include <string.h>

#define IDS 400
#define STEPS 40000

static uint32_t random_state = 1;

static uint32_t next_random(void)
{
    random_state = random_state * 1664525u + 1013904223u;
    return random_state >> 8;
}

static void an_id_names_its_worker_for_every_number_of_workers(void **state)
{
    (void)state;
    for (unsigned workers = 1; workers <= 256; workers++) {
        for (unsigned worker = 0; worker < workers; worker++) {
            for (unsigned first = 0; first < 256; first += 5) {
                const uint8_t random[PQI_CID_LEN] = {(uint8_t)first, 1, 2, 3, 4, 5, 6, 7};
                uint8_t datagram[1 + PQI_CID_LEN] = {0x40};
                ngtcp2_cid id;
                pqi_cid_make(&id, random, worker, workers);
                memcpy(datagram + 1, id.data, id.datalen);
                assert_int_equal(id.datalen, PQI_CID_LEN);
                assert_memory_equal(id.data + 1, random + 1, PQI_CID_LEN - 1);
                assert_int_equal(pqi_cid_worker_of_datagram(datagram, sizeof(datagram), workers),
                                 worker);
            }
        }
    }
}

static void a_long_header_names_the_same_worker(void **state)
{
    (void)state;
    const uint8_t random[PQI_CID_LEN] = {200};
    uint8_t datagram[6 + PQI_CID_LEN] = {0xc0, 0, 0, 0, 1, PQI_CID_LEN};
    ngtcp2_cid id;
    pqi_cid_make(&id, random, 5, 7);
    memcpy(datagram + 6, id.data, id.datalen);
    assert_int_equal(pqi_cid_worker_of_datagram(datagram, sizeof(datagram), 7), 5);
}

static void every_truncation_of_a_datagram_has_a_worker(void **state)
{
    (void)state;
    static const uint8_t starts[] = {0x00, 0x40, 0x80, 0xc0, 0xff};
    for (size_t s = 0; s < sizeof(starts); s++) {
        uint8_t datagram[32];
        memset(datagram, 0xff, sizeof(datagram));
        datagram[0] = starts[s];
        for (size_t len = 0; len <= sizeof(datagram); len++) {
            for (unsigned workers = 1; workers <= 256; workers++) {
                assert_true(pqi_cid_worker_of_datagram(datagram, len, workers) < workers);
            }
        }
    }
}

static void the_map_agrees_with_a_list_after_any_operations(void **state)
{
    (void)state;
    static struct {
        uint8_t id[NGTCP2_MAX_CIDLEN];
        size_t len;
        bool in;
    } list[IDS];
    const uint8_t key[16] = {1, 2, 3};
    pqi_cid_map *map = pqi_cid_map_new(key);
    size_t count = 0;
    for (size_t i = 0; i < IDS; i++) {
        /* Short IDs could be equal, so only the first of them stay short. */
        const size_t len = i % (NGTCP2_MAX_CIDLEN + 1);
        list[i].len = len < 2 && i > NGTCP2_MAX_CIDLEN ? 2 : len;
        memcpy(list[i].id, &i, list[i].len < sizeof(i) ? list[i].len : sizeof(i));
    }
    for (unsigned step = 0; step < STEPS; step++) {
        const size_t i = next_random() % IDS;
        if (next_random() % 2 == 0) {
            assert_int_equal(pqi_cid_map_add(map, list[i].id, list[i].len, &list[i]), !list[i].in);
            count += list[i].in ? 0 : 1;
            list[i].in = true;
        } else {
            pqi_cid_map_remove(map, list[i].id, list[i].len);
            count -= list[i].in ? 1 : 0;
            list[i].in = false;
        }
        const size_t k = next_random() % IDS;
        void *expected = list[k].in ? &list[k] : NULL;
        assert_ptr_equal(pqi_cid_map_find(map, list[k].id, list[k].len), expected);
        assert_int_equal(pqi_cid_map_count(map), count);
    }
    pqi_cid_map_free(map);
}

static void all_ids_of_an_owner_can_be_forgotten(void **state)
{
    (void)state;
    const uint8_t key[16] = {0};
    int owners[2];
    pqi_cid_map *map = pqi_cid_map_new(key);
    for (uint8_t i = 0; i < 200; i++) {
        assert_true(pqi_cid_map_add(map, &i, 1, &owners[i % 2]));
    }
    pqi_cid_map_remove_owner(map, &owners[0]);
    assert_int_equal(pqi_cid_map_count(map), 100);
    for (uint8_t i = 0; i < 200; i++) {
        assert_ptr_equal(pqi_cid_map_find(map, &i, 1), i % 2 == 0 ? NULL : (void *)&owners[1]);
    }
    pqi_cid_map_free(map);
}

static void an_id_that_is_too_long_is_not_taken(void **state)
{
    (void)state;
    const uint8_t key[16] = {0};
    const uint8_t id[255] = {0};
    int owner = 0;
    pqi_cid_map *map = pqi_cid_map_new(key);
    assert_false(pqi_cid_map_add(map, id, NGTCP2_MAX_CIDLEN + 1, &owner));
    assert_null(pqi_cid_map_find(map, id, sizeof(id)));
    pqi_cid_map_free(map);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_id_names_its_worker_for_every_number_of_workers),
        cmocka_unit_test(a_long_header_names_the_same_worker),
        cmocka_unit_test(every_truncation_of_a_datagram_has_a_worker),
        cmocka_unit_test(the_map_agrees_with_a_list_after_any_operations),
        cmocka_unit_test(all_ids_of_an_owner_can_be_forgotten),
        cmocka_unit_test(an_id_that_is_too_long_is_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
