/* Every recorded frame is judged as the official parser judges it, and our own are byte for byte
 * what official programs write. */
#include "test.h"

#include "base/hex.h"
#include "miner/message.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

static char text[PQI_FRAME_BODY_MAX];

static pql_status decode(pqi_miner_dialect dialect, const char *json, pqi_miner_message *m)
{
    return pqi_miner_decode(dialect, json, strlen(json), m, text, NULL);
}

/* The frame that |m| makes, its JSON as a string; NULL when it cannot be written. */
static const char *encode(pqi_miner_dialect dialect, const pqi_miner_message *m)
{
    static uint8_t frame[PQI_FRAME_SIZE_MAX + 1];
    pqi_writer w;
    pqi_writer_init(&w, frame, PQI_FRAME_SIZE_MAX);
    if (pqi_miner_encode(dialect, m, &w, NULL) != PQL_OK) {
        return NULL;
    }
    frame[w.len] = '\0';
    return (const char *)frame + PQI_FRAME_PREFIX_SIZE;
}

/* True when the frame and its message are both taken. */
static bool frame_is_taken(pqi_miner_dialect dialect, const uint8_t *frame, size_t len,
                           pqi_miner_message *m)
{
    pqi_frame_reader r = {0};
    pqi_reader in;
    pqi_reader_init(&in, frame, len);
    const uint8_t *body;
    size_t body_len;
    return pqi_frame_read(&r, &in, &body, &body_len, NULL) == PQL_OK && body != NULL &&
           pqi_miner_decode(dialect, body, body_len, m, text, NULL) == PQL_OK;
}

static json_t *recorded_frames;

static int load_recorded_frames(void **state)
{
    (void)state;
    recorded_frames = json_load_file(PQLINK_TEST_DATA "/quantus-wire.json", JSON_ALLOW_NUL, NULL);
    return recorded_frames != NULL ? 0 : -1;
}

static int free_recorded_frames(void **state)
{
    (void)state;
    json_decref(recorded_frames);
    return 0;
}

static const char *member(const json_t *object, const char *name)
{
    return json_string_value(json_object_get(object, name));
}

static size_t frame_bytes(const json_t *vector, uint8_t frame[PQI_FRAME_SIZE_MAX])
{
    const char *hex = member(vector, "frame_hex");
    size_t len = strlen(hex) / 2;
    assert_true(pqi_hex_decode(frame, len, hex, strlen(hex)));
    return len;
}

/* The three recorded frames whose outcome depends on the generation. */
static pqi_miner_dialect dialect_of(const json_t *vector)
{
    const char *protocol = member(vector, "protocol");
    return strncmp(protocol, "quantus-miner", 13) == 0 && protocol[13] != '/' ? PQI_MINER_V1
                                                                              : PQI_MINER_V2;
}

static void every_recorded_frame_is_judged_as_by_the_official_parser(void **state)
{
    (void)state;
    size_t i;
    json_t *vector;
    json_array_foreach(recorded_frames, i, vector)
    {
        uint8_t frame[PQI_FRAME_SIZE_MAX];
        size_t len = frame_bytes(vector, frame);
        pqi_miner_message m;
        bool expected = strncmp(member(vector, "real_parser"), "accept", 6) == 0;
        if (frame_is_taken(dialect_of(vector), frame, len, &m) != expected) {
            fail_msg("frame '%s' is not judged as by the official parser", member(vector, "name"));
        }
    }
    assert_int_equal(json_array_size(recorded_frames), 34);
}

static void old_forms_are_refused_by_the_new_dialect(void **state)
{
    (void)state;
    pqi_miner_message m;
    assert_int_equal(decode(PQI_MINER_V2, "\"Ready\"", &m), PQL_E_PROTOCOL);
    assert_int_equal(decode(PQI_MINER_V2,
                            "{\"NewJob\":{\"job_id\":\"1\",\"mining_hash\":\"00\","
                            "\"distance_threshold\":\"5\"}}",
                            &m),
                     PQL_E_PROTOCOL);
    assert_int_equal(decode(PQI_MINER_V1, "{\"Ready\":{\"token\":\"x\"}}", &m), PQL_E_PROTOCOL);
}

/* The recorded frames that official programs write themselves, so that ours must equal them. */
static bool is_golden(const char *name)
{
    static const char *const names[] = {
        "ready with the default token form",
        "ready, old protocol",
        "job",
        "job, largest values",
        "result that solves the job above",
        "result, largest values",
        "result, failed",
    };
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        if (strcmp(names[i], name) == 0) {
            return true;
        }
    }
    return false;
}

static void official_frames_are_written_again_byte_for_byte(void **state)
{
    (void)state;
    size_t i;
    size_t golden = 0;
    json_t *vector;
    json_array_foreach(recorded_frames, i, vector)
    {
        if (!is_golden(member(vector, "name"))) {
            continue;
        }
        golden++;
        uint8_t frame[PQI_FRAME_SIZE_MAX];
        uint8_t again[PQI_FRAME_SIZE_MAX];
        size_t len = frame_bytes(vector, frame);
        pqi_miner_message m;
        assert_true(frame_is_taken(dialect_of(vector), frame, len, &m));
        pqi_writer w;
        pqi_writer_init(&w, again, sizeof(again));
        assert_int_equal(pqi_miner_encode(dialect_of(vector), &m, &w, NULL), PQL_OK);
        assert_int_equal(w.len, len);
        assert_memory_equal(again, frame, len);
    }
    assert_int_equal(golden, 7);
}

/* tests/data/pqlink-miner-1.json: "exact" frames are written as they are read, "accept" are read,
 * "refuse" are not. */
static void the_published_frames_of_our_profile_are_judged_as_published(void **state)
{
    (void)state;
    json_t *vectors = json_load_file(PQLINK_TEST_DATA "/pqlink-miner-1.json", JSON_ALLOW_NUL, NULL);
    assert_true(json_array_size(vectors) > 0);
    size_t i;
    json_t *vector;
    json_array_foreach(vectors, i, vector)
    {
        const char *outcome = member(vector, "outcome");
        uint8_t frame[PQI_FRAME_SIZE_MAX];
        size_t len = frame_bytes(vector, frame);
        pqi_miner_message m;
        if (frame_is_taken(PQI_MINER_PQ1, frame, len, &m) == (strcmp(outcome, "refuse") == 0)) {
            fail_msg("frame '%s' is not judged as published", member(vector, "name"));
        }
        if (strcmp(outcome, "exact") == 0) {
            assert_string_equal(encode(PQI_MINER_PQ1, &m), member(vector, "json"));
        }
    }
    json_decref(vectors);
}

static void every_truncation_of_a_message_is_refused(void **state)
{
    (void)state;
    static const char *const messages[] = {
        "{\"Ready\":{\"token\":\"x\",\"name\":\"rig\",\"agent\":\"a/1\"}}",
        "{\"Stats\":{\"hashes\":18446744073709551615,\"seconds\":1.5e1}}",
        "{\"JobAck\":{\"job_id\":\"1\",\"nonce\":null,\"verdict\":\"stale\",\"reason\":\"r\"}}",
        "{\"Later\":[1,{\"a\":\"b\"}]}",
    };
    for (size_t i = 0; i < sizeof(messages) / sizeof(messages[0]); i++) {
        pqi_miner_message m;
        assert_int_equal(decode(PQI_MINER_PQ1, messages[i], &m), PQL_OK);
        for (size_t len = 0; len < strlen(messages[i]); len++) {
            assert_int_equal(pqi_miner_decode(PQI_MINER_PQ1, messages[i], len, &m, text, NULL),
                             PQL_E_PROTOCOL);
        }
    }
}

static void a_v1_job_is_written_under_both_names_of_the_difficulty(void **state)
{
    (void)state;
    const pqi_miner_message m = {
        .type = PQI_MINER_NEW_JOB,
        .new_job = {.job_id = "1", .mining_hash = "01", .difficulty = "131072"},
    };
    assert_string_equal(encode(PQI_MINER_V1, &m),
                        "{\"NewJob\":{\"job_id\":\"1\",\"mining_hash\":\"01\","
                        "\"difficulty\":\"131072\",\"distance_threshold\":\"131072\"}}");
}

static void a_pq_ready_says_only_what_it_has_to_say(void **state)
{
    (void)state;
    pqi_miner_message m = {.type = PQI_MINER_READY};
    assert_string_equal(encode(PQI_MINER_PQ1, &m), "{\"Ready\":{}}");
    m.ready.name = "rig-1";
    m.ready.agent = "pqlink/0.1";
    assert_string_equal(encode(PQI_MINER_PQ1, &m),
                        "{\"Ready\":{\"name\":\"rig-1\",\"agent\":\"pqlink/0.1\"}}");
}

static void an_acknowledgement_survives_a_round_trip(void **state)
{
    (void)state;
    const pqi_miner_message m = {
        .type = PQI_MINER_JOB_ACK,
        .job_ack = {.job_id = "7",
                    .nonce = "5a08",
                    .verdict = PQI_VERDICT_ACCEPTED,
                    .reason = "block \"12\"",
                    .height = 12},
    };
    const char *json = encode(PQI_MINER_PQ1, &m);
    assert_string_equal(json, "{\"JobAck\":{\"job_id\":\"7\",\"nonce\":\"5a08\",\"verdict\":"
                              "\"accepted\",\"reason\":\"block \\\"12\\\"\",\"height\":12}}");
    pqi_miner_message got;
    assert_int_equal(decode(PQI_MINER_PQ1, json, &got), PQL_OK);
    assert_int_equal(got.type, PQI_MINER_JOB_ACK);
    assert_string_equal(got.job_ack.reason, "block \"12\"");
    assert_int_equal(got.job_ack.verdict, PQI_VERDICT_ACCEPTED);
    assert_true(got.job_ack.height == 12);
}

static void every_verdict_has_its_word(void **state)
{
    (void)state;
    for (int v = 0; v < PQI_VERDICT_COUNT; v++) {
        const pqi_miner_message m = {
            .type = PQI_MINER_JOB_ACK,
            .job_ack = {.job_id = "7",
                        .verdict = (pqi_miner_verdict)v,
                        .reason = "",
                        .height = PQI_MINER_NO_NUMBER},
        };
        pqi_miner_message got;
        assert_int_equal(decode(PQI_MINER_PQ1, encode(PQI_MINER_PQ1, &m), &got), PQL_OK);
        assert_int_equal(got.job_ack.verdict, v);
        assert_true(got.job_ack.height == PQI_MINER_NO_NUMBER);
        assert_null(got.job_ack.nonce);
    }
}

static void a_cancel_and_a_stats_survive_a_round_trip(void **state)
{
    (void)state;
    pqi_miner_message m = {.type = PQI_MINER_CANCEL, .cancel = {.reason = "syncing"}};
    pqi_miner_message got;
    assert_string_equal(encode(PQI_MINER_PQ1, &m),
                        "{\"Cancel\":{\"job_id\":null,\"reason\":\"syncing\"}}");
    m = (pqi_miner_message){.type = PQI_MINER_STATS,
                            .stats = {.hashes = UINT64_MAX, .elapsed_ns = UINT64_C(10000000000)}};
    const char *json = encode(PQI_MINER_PQ1, &m);
    assert_string_equal(json, "{\"Stats\":{\"hashes\":18446744073709551615,\"seconds\":10.0}}");
    assert_int_equal(decode(PQI_MINER_PQ1, json, &got), PQL_OK);
    assert_true(got.stats.hashes == UINT64_MAX);
}

static void a_message_of_a_later_version_is_unknown_in_our_profile_only(void **state)
{
    (void)state;
    pqi_miner_message m;
    assert_int_equal(decode(PQI_MINER_PQ1, "{\"Later\":{\"x\":[1]}}", &m), PQL_OK);
    assert_int_equal(m.type, PQI_MINER_UNKNOWN);
    assert_int_equal(decode(PQI_MINER_PQ1, "{\"Later\":{\"x\":[1]}", &m), PQL_E_PROTOCOL);
    assert_int_equal(decode(PQI_MINER_V2, "{\"Later\":{}}", &m), PQL_E_PROTOCOL);
    assert_int_equal(decode(PQI_MINER_V2, "{\"Stats\":{\"hashes\":1,\"seconds\":1}}", &m),
                     PQL_E_PROTOCOL);
}

static void our_profile_refuses_a_message_written_as_an_array(void **state)
{
    (void)state;
    pqi_miner_message m;
    assert_int_equal(decode(PQI_MINER_PQ1, "{\"Ready\":[\"x\"]}", &m), PQL_E_PROTOCOL);
    assert_int_equal(decode(PQI_MINER_V2, "{\"Ready\":[\"x\"]}", &m), PQL_OK);
    assert_string_equal(m.ready.token, "x");
    assert_int_equal(decode(PQI_MINER_V2, "{\"Ready\":[\"x\",\"y\"]}", &m), PQL_E_PROTOCOL);
    assert_int_equal(decode(PQI_MINER_V2, "{\"Ready\":[]}", &m), PQL_E_PROTOCOL);
}

static void escaped_names_and_words_are_the_same_names_and_words(void **state)
{
    (void)state;
    pqi_miner_message m;
    assert_int_equal(
        decode(PQI_MINER_V2, "{\"\\u0052eady\":{\"tok\\u0065n\":\"\\ud83d\\ude00\"}}", &m), PQL_OK);
    assert_string_equal(m.ready.token, "\xf0\x9f\x98\x80");
}

static void a_failed_decoding_leaves_zeros(void **state)
{
    (void)state;
    pqi_miner_message m;
    pqi_miner_message zero;
    memset(&m, 0xff, sizeof(m));
    memset(&zero, 0, sizeof(zero));
    pql_error err;
    assert_int_equal(pqi_miner_decode(PQI_MINER_V2, "{\"Ready\":{}}", 12, &m, text, &err),
                     PQL_E_PROTOCOL);
    assert_memory_equal(&m, &zero, sizeof(m));
    assert_true(strlen(err.message) > 0);
}

static void a_message_that_the_dialect_lacks_is_not_written(void **state)
{
    (void)state;
    const pqi_miner_message stats = {.type = PQI_MINER_STATS};
    const pqi_miner_message unknown = {.type = PQI_MINER_UNKNOWN};
    const pqi_miner_message no_token = {.type = PQI_MINER_READY};
    assert_null(encode(PQI_MINER_V2, &stats));
    assert_null(encode(PQI_MINER_PQ1, &unknown));
    assert_null(encode(PQI_MINER_V2, &no_token));
}

static void the_longest_token_fits_a_frame_and_one_byte_more_does_not(void **state)
{
    (void)state;
    char token[1024];
    memset(token, 'x', sizeof(token));
    pqi_miner_message m = {.type = PQI_MINER_READY, .ready = {.token = token}};
    token[PQI_FRAME_BODY_MAX - 22] = '\0';
    assert_int_equal(strlen(encode(PQI_MINER_V2, &m)), PQI_FRAME_BODY_MAX);
    token[PQI_FRAME_BODY_MAX - 22] = 'x';
    token[PQI_FRAME_BODY_MAX - 21] = '\0';
    assert_null(encode(PQI_MINER_V2, &m));
}

static void each_alpn_name_finds_its_dialect(void **state)
{
    (void)state;
    pqi_miner_dialect d;
    for (int i = 0; i < PQI_MINER_DIALECTS; i++) {
        const char *name = pqi_miner_alpn((pqi_miner_dialect)i);
        assert_true(pqi_miner_dialect_find(name, strlen(name), &d));
        assert_int_equal(d, i);
    }
    assert_false(pqi_miner_dialect_find("quantus-miner/3", 15, &d));
    assert_false(pqi_miner_dialect_find("", 0, &d));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_recorded_frame_is_judged_as_by_the_official_parser),
        cmocka_unit_test(old_forms_are_refused_by_the_new_dialect),
        cmocka_unit_test(official_frames_are_written_again_byte_for_byte),
        cmocka_unit_test(the_published_frames_of_our_profile_are_judged_as_published),
        cmocka_unit_test(every_truncation_of_a_message_is_refused),
        cmocka_unit_test(a_v1_job_is_written_under_both_names_of_the_difficulty),
        cmocka_unit_test(a_pq_ready_says_only_what_it_has_to_say),
        cmocka_unit_test(an_acknowledgement_survives_a_round_trip),
        cmocka_unit_test(every_verdict_has_its_word),
        cmocka_unit_test(a_cancel_and_a_stats_survive_a_round_trip),
        cmocka_unit_test(a_message_of_a_later_version_is_unknown_in_our_profile_only),
        cmocka_unit_test(our_profile_refuses_a_message_written_as_an_array),
        cmocka_unit_test(escaped_names_and_words_are_the_same_names_and_words),
        cmocka_unit_test(a_failed_decoding_leaves_zeros),
        cmocka_unit_test(a_message_that_the_dialect_lacks_is_not_written),
        cmocka_unit_test(the_longest_token_fits_a_frame_and_one_byte_more_does_not),
        cmocka_unit_test(each_alpn_name_finds_its_dialect),
    };
    return cmocka_run_group_tests(tests, load_recorded_frames, free_recorded_frames);
}
