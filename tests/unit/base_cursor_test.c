/* Readers and writers stop at the end, stay failed, and agree with each other. */
#include "test.h"

#include "base/cursor.h"

#include <string.h>

static void integers_survive_a_round_trip(void **state)
{
    (void)state;
    uint8_t bytes[64];
    pqi_writer w;
    pqi_writer_init(&w, bytes, sizeof(bytes));
    pqi_write_u8(&w, 0xab);
    pqi_write_u16(&w, 0x1234);
    pqi_write_u32(&w, 0xdeadbeef);
    pqi_write_u64(&w, UINT64_C(0x0123456789abcdef));
    pqi_write_u32le(&w, 0xdeadbeef);
    pqi_write_u64le(&w, UINT64_C(0x0123456789abcdef));
    assert_true(pqi_writer_ok(&w));
    assert_int_equal(w.len, 27);
    assert_memory_equal(bytes + 3, "\xde\xad\xbe\xef", 4);
    assert_memory_equal(bytes + 15, "\xef\xbe\xad\xde", 4);

    pqi_reader r;
    pqi_reader_init(&r, bytes, w.len);
    assert_int_equal(pqi_read_u8(&r), 0xab);
    assert_int_equal(pqi_read_u16(&r), 0x1234);
    assert_int_equal(pqi_read_u32(&r), 0xdeadbeef);
    assert_true(pqi_read_u64(&r) == UINT64_C(0x0123456789abcdef));
    assert_int_equal(pqi_read_u32le(&r), 0xdeadbeef);
    assert_true(pqi_read_u64le(&r) == UINT64_C(0x0123456789abcdef));
    assert_true(pqi_reader_done(&r));
}

static void every_truncation_fails_and_stays_failed(void **state)
{
    (void)state;
    const uint8_t bytes[8] = {1, 2, 3, 4, 5, 6, 7, 8};
    for (size_t len = 0; len < sizeof(bytes); len++) {
        pqi_reader r;
        pqi_reader_init(&r, bytes, len);
        assert_true(pqi_read_u64(&r) == 0);
        assert_false(pqi_reader_ok(&r));
        assert_int_equal(pqi_reader_left(&r), 0);
        assert_int_equal(pqi_read_u8(&r), 0);
        assert_false(pqi_reader_done(&r));
    }
}

static void a_failed_copy_leaves_zeros(void **state)
{
    (void)state;
    const uint8_t bytes[3] = {1, 2, 3};
    uint8_t out[4] = {9, 9, 9, 9};
    const uint8_t zeros[4] = {0};
    pqi_reader r;
    pqi_reader_init(&r, bytes, sizeof(bytes));
    assert_false(pqi_read_copy(&r, out, sizeof(out)));
    assert_memory_equal(out, zeros, sizeof(out));
}

static void a_writer_never_passes_its_end(void **state)
{
    (void)state;
    uint8_t bytes[8];
    memset(bytes, 0x55, sizeof(bytes));
    for (size_t size = 0; size < sizeof(bytes); size++) {
        pqi_writer w;
        pqi_writer_init(&w, bytes, size);
        pqi_write_u64(&w, UINT64_MAX);
        assert_false(pqi_writer_ok(&w));
        assert_int_equal(w.len, 0);
        assert_int_equal(bytes[size], 0x55);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(integers_survive_a_round_trip),
        cmocka_unit_test(every_truncation_fails_and_stays_failed),
        cmocka_unit_test(a_failed_copy_leaves_zeros),
        cmocka_unit_test(a_writer_never_passes_its_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
