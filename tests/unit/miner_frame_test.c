/* Frames survive any split, and a bad length is found at its fourth byte. */
#include "test.h"

#include "miner/frame.h"

#include <stdlib.h>
#include <string.h>

/* Two frames, "{}" and "[1]", as one stream. */
static const uint8_t two_frames[] = {0, 0, 0, 2, '{', '}', 0, 0, 0, 3, '[', '1', ']'};

/* Feeds |len| bytes and appends each body and a ';' to |out|. */
static pql_status feed(pqi_frame_reader *r, const uint8_t *data, size_t len, char *out)
{
    pqi_reader in;
    pqi_reader_init(&in, data, len);
    for (;;) {
        const uint8_t *body;
        size_t body_len;
        pql_status status = pqi_frame_read(r, &in, &body, &body_len, NULL);
        if (status != PQL_OK || body == NULL) {
            return status;
        }
        strncat(out, (const char *)body, body_len);
        strcat(out, ";");
    }
}

static void frames_arrive_one_byte_at_a_time(void **state)
{
    (void)state;
    pqi_frame_reader r = {0};
    char got[32] = "";
    for (size_t i = 0; i < sizeof(two_frames); i++) {
        assert_int_equal(feed(&r, two_frames + i, 1, got), PQL_OK);
    }
    assert_string_equal(got, "{};[1];");
    assert_false(pqi_frame_reader_inside(&r));
}

static void frames_arrive_split_at_any_two_points(void **state)
{
    (void)state;
    for (size_t a = 0; a <= sizeof(two_frames); a++) {
        for (size_t b = a; b <= sizeof(two_frames); b++) {
            pqi_frame_reader r = {0};
            char got[32] = "";
            assert_int_equal(feed(&r, two_frames, a, got), PQL_OK);
            assert_int_equal(feed(&r, two_frames + a, b - a, got), PQL_OK);
            assert_int_equal(feed(&r, two_frames + b, sizeof(two_frames) - b, got), PQL_OK);
            assert_string_equal(got, "{};[1];");
        }
    }
}

static void no_bytes_at_all_change_nothing(void **state)
{
    (void)state;
    pqi_frame_reader r = {0};
    char got[32] = "";
    assert_int_equal(feed(&r, two_frames, 5, got), PQL_OK);
    assert_int_equal(feed(&r, NULL, 0, got), PQL_OK);
    assert_int_equal(feed(&r, two_frames + 5, 1, got), PQL_OK);
    assert_string_equal(got, "{};");
}

static void a_truncated_frame_gives_nothing_and_is_known_to_be_open(void **state)
{
    (void)state;
    for (size_t len = 1; len < 6; len++) {
        pqi_frame_reader r = {0};
        char got[32] = "";
        assert_int_equal(feed(&r, two_frames, len, got), PQL_OK);
        assert_string_equal(got, "");
        assert_true(pqi_frame_reader_inside(&r));
    }
}

static void the_largest_frame_has_1024_bytes(void **state)
{
    (void)state;
    uint8_t bytes[PQI_FRAME_SIZE_MAX] = {0, 0, 4, 0};
    memset(bytes + 4, 'x', PQI_FRAME_BODY_MAX);
    pqi_frame_reader r = {0};
    pqi_reader in;
    pqi_reader_init(&in, bytes, sizeof(bytes));
    const uint8_t *body;
    size_t len;
    assert_int_equal(pqi_frame_read(&r, &in, &body, &len, NULL), PQL_OK);
    assert_int_equal(len, 1024);
    assert_memory_equal(body, bytes + 4, 1024);
    assert_true(pqi_reader_done(&in));
}

static void a_length_of_1025_is_refused_before_any_of_the_body_is_taken(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 4, 1, 'x', 'x'};
    pqi_frame_reader r = {0};
    pqi_reader in;
    pqi_reader_init(&in, bytes, sizeof(bytes));
    const uint8_t *body;
    size_t len;
    assert_int_equal(pqi_frame_read(&r, &in, &body, &len, NULL), PQL_E_LIMIT);
    assert_null(body);
    assert_int_equal(pqi_reader_left(&in), 2);
}

static void an_empty_frame_is_refused(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 0, 0};
    pqi_frame_reader r = {0};
    char got[32] = "";
    assert_int_equal(feed(&r, bytes, sizeof(bytes), got), PQL_E_PROTOCOL);
}

static void a_failed_reader_stays_failed(void **state)
{
    (void)state;
    const uint8_t bad[] = {0xff, 0xff, 0xff, 0xff};
    pqi_frame_reader r = {0};
    char got[32] = "";
    assert_int_equal(feed(&r, bad, sizeof(bad), got), PQL_E_LIMIT);
    assert_int_equal(feed(&r, two_frames, sizeof(two_frames), got), PQL_E_LIMIT);
    assert_string_equal(got, "");
}

static void a_written_frame_is_one_piece_with_its_length_in_front(void **state)
{
    (void)state;
    uint8_t bytes[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pqi_writer_init(&w, bytes, sizeof(bytes));
    pqi_frame_begin(&w);
    pqi_write_bytes(&w, "{}", 2);
    assert_int_equal(pqi_frame_end(&w, NULL), PQL_OK);
    assert_int_equal(w.len, 6);
    assert_memory_equal(bytes, two_frames, 6);
}

static void a_body_over_1024_bytes_is_not_written(void **state)
{
    (void)state;
    uint8_t bytes[2 * PQI_FRAME_SIZE_MAX];
    uint8_t body[PQI_FRAME_BODY_MAX + 1] = {0};
    pqi_writer w;
    pqi_writer_init(&w, bytes, sizeof(bytes));
    pqi_frame_begin(&w);
    pqi_write_bytes(&w, body, sizeof(body));
    assert_int_equal(pqi_frame_end(&w, NULL), PQL_E_LIMIT);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_one_byte_at_a_time),
        cmocka_unit_test(frames_arrive_split_at_any_two_points),
        cmocka_unit_test(no_bytes_at_all_change_nothing),
        cmocka_unit_test(a_truncated_frame_gives_nothing_and_is_known_to_be_open),
        cmocka_unit_test(the_largest_frame_has_1024_bytes),
        cmocka_unit_test(a_length_of_1025_is_refused_before_any_of_the_body_is_taken),
        cmocka_unit_test(an_empty_frame_is_refused),
        cmocka_unit_test(a_failed_reader_stays_failed),
        cmocka_unit_test(a_written_frame_is_one_piece_with_its_length_in_front),
        cmocka_unit_test(a_body_over_1024_bytes_is_not_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
