/* OAP/1 frames: golden bytes, every split, every truncation, and what is refused when. */
#include "test.h"

#include "base/hex.h"
#include "rpc/oap.h"

#include <stdlib.h>
#include <string.h>

/* The two vectors of micronode.md section 9.1. */
#define HELLO_HEX                                                                                  \
    "00000031000100010000000000000000000000000000000000000000000000000000000000017b227561223a6e75" \
    "6c6c7d"
#define START_HEX                                                                                  \
    "000000290001000900000064000000000000000000000000000000cc00030000000000000063434150"
#define HELLO_SIZE 49
#define START_SIZE 41

static const uint8_t hello_payload[] = {'{', '"', 'u', 'a', '"', ':', 'n', 'u', 'l', 'l', '}'};

static pqi_oap_frame hello_frame(void)
{
    return (pqi_oap_frame){.flags = PQI_OAP_REQ,
                           .corr_id = 1,
                           .payload = hello_payload,
                           .payload_len = sizeof(hello_payload)};
}

static pqi_oap_frame start_frame(void)
{
    pqi_oap_frame frame = {.flags = PQI_OAP_REQ | PQI_OAP_START,
                           .app_proto_id = 100,
                           .corr_id = 99,
                           .capability = (const uint8_t *)"CAP",
                           .capability_len = 3};
    frame.tenant_id[PQI_OAP_TENANT_SIZE - 1] = 0xcc;
    return frame;
}

static void decode_hex(const char *hex, uint8_t *out, size_t size)
{
    assert_true(pqi_hex_decode(out, size, hex, strlen(hex)));
}

static void assert_same(const pqi_oap_frame *a, const pqi_oap_frame *b)
{
    assert_int_equal(a->flags, b->flags);
    assert_int_equal(a->code, b->code);
    assert_int_equal(a->app_proto_id, b->app_proto_id);
    assert_memory_equal(a->tenant_id, b->tenant_id, PQI_OAP_TENANT_SIZE);
    assert_int_equal(a->corr_id, b->corr_id);
    assert_int_equal(a->capability_len, b->capability_len);
    assert_int_equal(a->payload_len, b->payload_len);
    if (a->capability_len > 0) {
        assert_memory_equal(a->capability, b->capability, a->capability_len);
    }
    if (a->payload_len > 0) {
        assert_memory_equal(a->payload, b->payload, a->payload_len);
    }
}

static pql_status write_frame(const pqi_oap_frame *frame, uint8_t *out, size_t size, size_t *len)
{
    pqi_writer w;
    pqi_writer_init(&w, out, size);
    const pql_status status = pqi_oap_write(&w, frame, NULL);
    *len = w.len;
    return status;
}

static void frames_are_written_as_the_golden_bytes(void **state)
{
    (void)state;
    uint8_t expected[HELLO_SIZE];
    uint8_t got[64];
    size_t len;
    const pqi_oap_frame hello = hello_frame();
    decode_hex(HELLO_HEX, expected, HELLO_SIZE);
    assert_int_equal(write_frame(&hello, got, sizeof(got), &len), PQL_OK);
    assert_int_equal(len, HELLO_SIZE);
    assert_memory_equal(got, expected, len);
    const pqi_oap_frame start = start_frame();
    decode_hex(START_HEX, expected, START_SIZE);
    assert_int_equal(write_frame(&start, got, sizeof(got), &len), PQL_OK);
    assert_int_equal(len, START_SIZE);
    assert_memory_equal(got, expected, len);
}

/* Feeds |bytes| in pieces of |piece| and compares the frames that come with those expected. */
static void expect_frames(const uint8_t *bytes, size_t len, size_t first, size_t piece)
{
    const pqi_oap_frame expected[] = {hello_frame(), start_frame()};
    size_t count = 0;
    pqi_oap_reader r;
    pqi_oap_reader_init(&r, 0);
    for (size_t at = 0; at < len;) {
        size_t take = at == 0 ? first : piece;
        take = take < len - at ? take : len - at;
        pqi_reader in;
        pqi_reader_init(&in, bytes + at, take);
        bool whole = true;
        while (whole) {
            pqi_oap_frame frame;
            assert_int_equal(pqi_oap_read(&r, &in, &frame, &whole, NULL), PQL_OK);
            if (whole) {
                assert_true(count < 2);
                assert_same(&frame, &expected[count++]);
            }
        }
        at += take;
    }
    assert_int_equal(count, 2);
    assert_false(pqi_oap_reader_inside(&r));
    pqi_oap_reader_free(&r);
}

static void frames_arrive_whole_however_they_are_cut(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_SIZE + START_SIZE];
    decode_hex(HELLO_HEX, bytes, HELLO_SIZE);
    decode_hex(START_HEX, bytes + HELLO_SIZE, START_SIZE);
    for (size_t first = 1; first <= sizeof(bytes); first++) {
        for (size_t piece = 1; piece <= sizeof(bytes); piece++) {
            expect_frames(bytes, sizeof(bytes), first, piece);
        }
    }
}

static void a_truncated_frame_is_waited_for(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_SIZE];
    decode_hex(HELLO_HEX, bytes, HELLO_SIZE);
    for (size_t len = 1; len < HELLO_SIZE; len++) {
        pqi_oap_reader r;
        pqi_reader in;
        pqi_oap_frame frame;
        bool whole = true;
        pqi_oap_reader_init(&r, 0);
        pqi_reader_init(&in, bytes, len);
        assert_int_equal(pqi_oap_read(&r, &in, &frame, &whole, NULL), PQL_OK);
        assert_false(whole);
        assert_true(pqi_oap_reader_inside(&r));
        pqi_oap_reader_free(&r);
    }
}

/* The status that a HELLO gets with |value| in |size| bytes at |at|. */
static pql_status read_changed(size_t at, size_t size, uint32_t value, size_t given)
{
    uint8_t bytes[HELLO_SIZE];
    pqi_writer w;
    pqi_oap_reader r;
    pqi_reader in;
    pqi_oap_frame frame;
    bool whole;
    decode_hex(HELLO_HEX, bytes, HELLO_SIZE);
    pqi_writer_init(&w, bytes + at, size);
    if (size == 2) {
        pqi_write_u16(&w, (uint16_t)value);
    } else {
        pqi_write_u32(&w, value);
    }
    pqi_oap_reader_init(&r, 0);
    pqi_reader_init(&in, bytes, given);
    const pql_status status = pqi_oap_read(&r, &in, &frame, &whole, NULL);
    assert_false(status != PQL_OK && whole);
    if (status != PQL_OK) { /* and it stays so */
        pqi_reader_init(&in, bytes, HELLO_SIZE);
        assert_int_equal(pqi_oap_read(&r, &in, &frame, &whole, NULL), status);
    }
    pqi_oap_reader_free(&r);
    return status;
}

static void a_bad_header_is_refused_before_its_body_comes(void **state)
{
    (void)state;
    const size_t header = PQI_OAP_HEADER_SIZE;
    assert_int_equal(read_changed(6, 2, 0x0101, header), PQL_E_PROTOCOL); /* unknown flag */
    assert_int_equal(read_changed(4, 2, 2, header), PQL_E_PROTOCOL);      /* version */
    assert_int_equal(read_changed(0, 4, 0, header), PQL_E_PROTOCOL);      /* no length */
    assert_int_equal(read_changed(0, 4, 37, header), PQL_E_PROTOCOL);     /* half a header */
    assert_int_equal(read_changed(0, 4, 1 << 20, header), PQL_OK);        /* the largest */
    assert_int_equal(read_changed(0, 4, (1 << 20) + 1, header), PQL_E_LIMIT);
    assert_int_equal(read_changed(0, 4, UINT32_MAX, header), PQL_E_LIMIT);
    assert_int_equal(read_changed(28, 2, 1, header), PQL_E_PROTOCOL); /* capability, no START */
    assert_int_equal(read_changed(6, 2, PQI_OAP_REQ | PQI_OAP_COMP, header), PQL_E_UNSUPPORTED);
}

static void a_capability_ends_within_its_frame(void **state)
{
    (void)state;
    uint8_t bytes[START_SIZE];
    decode_hex(START_HEX, bytes, START_SIZE);
    bytes[29] = 4; /* of three bytes that there are */
    pqi_oap_reader r;
    pqi_reader in;
    pqi_oap_frame frame;
    bool whole;
    pqi_oap_reader_init(&r, 0);
    pqi_reader_init(&in, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_read(&r, &in, &frame, &whole, NULL), PQL_E_PROTOCOL);
    pqi_oap_reader_free(&r);
}

static void a_reader_may_have_a_smaller_bound(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_SIZE];
    pqi_oap_reader r;
    pqi_reader in;
    pqi_oap_frame frame;
    bool whole;
    decode_hex(HELLO_HEX, bytes, HELLO_SIZE);
    pqi_oap_reader_init(&r, HELLO_SIZE - 1);
    pqi_reader_init(&in, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_read(&r, &in, &frame, &whole, NULL), PQL_E_LIMIT);
    pqi_oap_reader_free(&r);
}

static void memory_follows_what_arrives(void **state)
{
    (void)state;
    uint8_t bytes[HELLO_SIZE];
    pqi_oap_reader r;
    pqi_reader in;
    pqi_oap_frame frame;
    bool whole;
    decode_hex(HELLO_HEX, bytes, HELLO_SIZE);
    bytes[1] = 0x10; /* announces a megabyte */
    bytes[3] = 0;
    pqi_oap_reader_init(&r, 0);
    pqi_reader_init(&in, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_read(&r, &in, &frame, &whole, NULL), PQL_OK);
    assert_false(whole);
    assert_true(r.bytes.size < 4096);
    pqi_oap_reader_free(&r);
}

static void frames_at_the_limits_survive_the_way_and_beyond_are_not_written(void **state)
{
    (void)state;
    const size_t most = PQI_OAP_FRAME_MAX - PQI_OAP_HEADER_SIZE - PQI_OAP_CAPABILITY_MAX;
    uint8_t *stuff = malloc(PQI_OAP_FRAME_MAX);
    uint8_t *bytes = malloc(PQI_OAP_FRAME_MAX);
    size_t len;
    assert_non_null(stuff);
    assert_non_null(bytes);
    for (size_t i = 0; i < PQI_OAP_FRAME_MAX; i++) {
        stuff[i] = (uint8_t)(i * 7);
    }
    pqi_oap_frame frame = {.flags = PQI_OAP_RESP | PQI_OAP_START | PQI_OAP_END,
                           .code = 200,
                           .corr_id = UINT64_MAX,
                           .capability = stuff,
                           .capability_len = PQI_OAP_CAPABILITY_MAX,
                           .payload = stuff + 1,
                           .payload_len = most};
    assert_int_equal(write_frame(&frame, bytes, PQI_OAP_FRAME_MAX, &len), PQL_OK);
    assert_int_equal(len, PQI_OAP_FRAME_MAX);
    pqi_oap_reader r;
    pqi_reader in;
    pqi_oap_frame got;
    bool whole;
    pqi_oap_reader_init(&r, 0);
    pqi_reader_init(&in, bytes, len);
    assert_int_equal(pqi_oap_read(&r, &in, &got, &whole, NULL), PQL_OK);
    assert_true(whole);
    assert_same(&got, &frame);
    pqi_oap_reader_free(&r);

    frame.payload_len = most + 1;
    assert_int_equal(write_frame(&frame, bytes, PQI_OAP_FRAME_MAX, &len), PQL_E_LIMIT);
    assert_int_equal(len, 0);
    frame.payload_len = SIZE_MAX - PQI_OAP_FRAME_MAX;
    assert_int_equal(write_frame(&frame, bytes, PQI_OAP_FRAME_MAX, &len), PQL_E_LIMIT);
    frame.payload_len = 0;
    frame.capability_len = PQI_OAP_CAPABILITY_MAX + 1;
    assert_int_equal(write_frame(&frame, bytes, PQI_OAP_FRAME_MAX, &len), PQL_E_LIMIT);
    free(stuff);
    free(bytes);
}

static void what_must_not_be_said_is_not_written(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t len;
    pqi_oap_frame frame = start_frame();
    frame.flags = PQI_OAP_REQ;
    assert_int_equal(write_frame(&frame, bytes, sizeof(bytes), &len), PQL_E_USAGE);
    frame = hello_frame();
    frame.flags |= PQI_OAP_COMP;
    assert_int_equal(write_frame(&frame, bytes, sizeof(bytes), &len), PQL_E_USAGE);
    frame.flags = 0x100;
    assert_int_equal(write_frame(&frame, bytes, sizeof(bytes), &len), PQL_E_USAGE);
    frame = hello_frame();
    assert_int_equal(write_frame(&frame, bytes, HELLO_SIZE - 1, &len), PQL_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_are_written_as_the_golden_bytes),
        cmocka_unit_test(frames_arrive_whole_however_they_are_cut),
        cmocka_unit_test(a_truncated_frame_is_waited_for),
        cmocka_unit_test(a_bad_header_is_refused_before_its_body_comes),
        cmocka_unit_test(a_capability_ends_within_its_frame),
        cmocka_unit_test(a_reader_may_have_a_smaller_bound),
        cmocka_unit_test(memory_follows_what_arrives),
        cmocka_unit_test(frames_at_the_limits_survive_the_way_and_beyond_are_not_written),
        cmocka_unit_test(what_must_not_be_said_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
