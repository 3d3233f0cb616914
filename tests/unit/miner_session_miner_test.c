/* The miner's side of its connection to a node: each rule of docs/protocol-miner.md section 8. */
#include "test.h"

#include "miner/session_miner.h"

#include <stdio.h>
#include <string.h>

#define HASH_ONES "0101010101010101010101010101010101010101010101010101010101010101"
#define ACCEPTED                                                                                   \
    "{\"JobAck\":{\"job_id\":\"1\",\"nonce\":\"7\",\"verdict\":\"accepted\","                      \
    "\"reason\":\"block found\",\"height\":12}}"
#define JOB_1                                                                                      \
    "{\"NewJob\":{\"job_id\":\"1\",\"mining_hash\":\"" HASH_ONES "\",\"difficulty\":\"131072\"}}"

/* What the session did. */
typedef struct room {
    pqi_session_miner s;
    char sent[8192]; /* JSON of each frame, a line each */
    bool full;
    unsigned closes;
    uint64_t close_code;
    const char *close_reason;
    unsigned jobs;
    pqi_miner_job job;
    uint64_t serial;
    unsigned cancels;
    char cancel_reason[64];
    unsigned acks;
    pqi_miner_verdict verdict;
    bool ack_has_nonce;
    uint64_t height;
    unsigned rotations;
    pqi_miner_rotation rotation;
} room;

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    room *r = user;
    if (r->full) {
        return false;
    }
    strncat(r->sent, (const char *)frame + PQI_FRAME_PREFIX_SIZE, len - PQI_FRAME_PREFIX_SIZE);
    strcat(r->sent, "\n");
    return true;
}

static void on_close(void *user, uint64_t code, const char *reason)
{
    room *r = user;
    r->closes++;
    r->close_code = code;
    r->close_reason = reason;
}

static void on_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    room *r = user;
    r->jobs++;
    r->job = *job;
    r->serial = serial;
}

static void on_cancel(void *user, const char *reason)
{
    room *r = user;
    r->cancels++;
    snprintf(r->cancel_reason, sizeof(r->cancel_reason), "%s", reason);
}

static void on_ack(void *user, const pqi_miner_ack *ack)
{
    room *r = user;
    r->acks++;
    r->verdict = ack->verdict;
    r->ack_has_nonce = ack->nonce != NULL;
    r->height = ack->height;
}

static void on_rotation(void *user, const pqi_miner_rotation *rotation)
{
    room *r = user;
    r->rotations++;
    r->rotation = *rotation;
}

static const pqi_session_miner_events events = {on_write,  on_close, on_job,
                                                on_cancel, on_ack,   on_rotation};

static void node_sends(room *r, const char *json)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pqi_writer_init(&w, frame, sizeof(frame));
    pqi_frame_begin(&w);
    pqi_write_bytes(&w, json, strlen(json));
    assert_int_equal(pqi_frame_end(&w, NULL), PQL_OK);
    pqi_session_miner_bytes(&r->s, w.data, w.len);
}

static void room_init(room *r, pqi_miner_dialect dialect)
{
    memset(r, 0, sizeof(*r));
    pqi_session_miner_init(&r->s, dialect, &events, r);
}

/* A session that has said Ready, and nothing in |sent|. */
static void room_open(room *r, pqi_miner_dialect dialect)
{
    room_init(r, dialect);
    assert_int_equal(pqi_session_miner_open(&r->s, "t", NULL, NULL, NULL), PQL_OK);
    r->sent[0] = '\0';
}

static void ready_has_the_form_of_its_dialect(void **state)
{
    (void)state;
    static const char *const expected[] = {
        [PQI_MINER_PQ1] = "{\"Ready\":{\"token\":\"t\",\"name\":\"rig\",\"agent\":\"a/1\"}}\n",
        [PQI_MINER_V2] = "{\"Ready\":{\"token\":\"t\"}}\n",
        [PQI_MINER_V1] = "\"Ready\"\n",
    };
    for (int d = 0; d < PQI_MINER_DIALECTS; d++) {
        room r;
        room_init(&r, (pqi_miner_dialect)d);
        assert_int_equal(pqi_session_miner_open(&r.s, "t", "rig", "a/1", NULL), PQL_OK);
        assert_string_equal(r.sent, expected[d]);
    }
}

static void ready_is_sent_once(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    assert_int_equal(pqi_session_miner_open(&r.s, "t", NULL, NULL, NULL), PQL_E_STATE);
    assert_string_equal(r.sent, "");
}

static void an_unfit_hello_is_refused_before_it_is_sent(void **state)
{
    (void)state;
    char token[PQI_MINER_TOKEN_MAX + 2];
    memset(token, 'x', sizeof(token));
    token[sizeof(token) - 1] = '\0';
    room r;
    room_init(&r, PQI_MINER_V2);
    assert_int_equal(pqi_session_miner_open(&r.s, NULL, NULL, NULL, NULL), PQL_E_USAGE);
    assert_int_equal(pqi_session_miner_open(&r.s, token, NULL, NULL, NULL), PQL_E_USAGE);
    assert_int_equal(pqi_session_miner_open(&r.s, "t", "a b", NULL, NULL), PQL_E_USAGE);
    assert_int_equal(pqi_session_miner_open(&r.s, "t", "", NULL, NULL), PQL_E_USAGE);
    assert_int_equal(pqi_session_miner_open(&r.s, "t", NULL, "\x01", NULL), PQL_E_USAGE);
    assert_string_equal(r.sent, "");
}

static void a_job_is_handed_over_in_binary(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    assert_false(pqi_session_miner_had_job(&r.s));
    node_sends(&r, JOB_1);
    const pqi_u512 difficulty = pqi_u512_from_u64(131072);
    assert_int_equal(r.jobs, 1);
    assert_string_equal(r.job.id, "1");
    assert_int_equal(r.job.mining_hash[31], 1);
    assert_int_equal(pqi_u512_compare(&r.job.difficulty, &difficulty), 0);
    assert_true(pqi_session_miner_had_job(&r.s));
}

static void the_same_job_again_has_a_serial_of_its_own(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_V2);
    node_sends(&r, JOB_1);
    uint64_t first = r.serial;
    node_sends(&r, JOB_1);
    assert_int_equal(r.jobs, 2);
    assert_true(r.serial != first);
}

static void upper_case_hex_and_leading_zeros_are_taken(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_V2);
    node_sends(&r, "{\"NewJob\":{\"job_id\":\"1\",\"mining_hash\":\"ABCDEF0101010101010101010101010"
                   "10101010101010101010101010101abcd\",\"difficulty\":\"0007\"}}");
    const pqi_u512 seven = pqi_u512_from_u64(7);
    assert_int_equal(r.jobs, 1);
    assert_int_equal(r.job.mining_hash[0], 0xab);
    assert_int_equal(pqi_u512_compare(&r.job.difficulty, &seven), 0);
}

static void a_job_that_cannot_be_used_is_answered_and_the_old_one_goes_on(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "\"mining_hash\":\"00\",\"difficulty\":\"5\"",
        "\"mining_hash\":\"zz01010101010101010101010101010101010101010101010101010101010101\","
        "\"difficulty\":\"5\"",
        "\"mining_hash\":\"" HASH_ONES "\",\"difficulty\":\"\"",
        "\"mining_hash\":\"" HASH_ONES "\",\"difficulty\":\"0\"",
        "\"mining_hash\":\"" HASH_ONES "\",\"difficulty\":\"0x10\"",
        "\"mining_hash\":\"" HASH_ONES "\",\"difficulty\":\" 5\"",
        "\"mining_hash\":\"" HASH_ONES "\",\"difficulty\":\"-5\"",
        "\"mining_hash\":\"" HASH_ONES
        "\",\"difficulty\":\"13407807929942597099574024998205846127479"
        "365820592393377723561443721764030073546976801874298166903427690031858186486050853753882811"
        "94"
        "6569946433649006084096\"",
    };
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[63] = 7};
    room r;
    room_open(&r, PQI_MINER_V2);
    node_sends(&r, JOB_1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char json[PQI_FRAME_BODY_MAX];
        r.sent[0] = '\0';
        snprintf(json, sizeof(json), "{\"NewJob\":{\"job_id\":\"2\",%s}}", bad[i]);
        node_sends(&r, json);
        assert_string_equal(r.sent,
                            "{\"JobResult\":{\"status\":\"failed\",\"job_id\":\"2\",\"nonce\":null,"
                            "\"work\":null,\"hash_count\":0,\"elapsed_time\":0.0}}\n");
    }
    assert_int_equal(r.jobs, 1);
    assert_int_equal(pqi_session_miner_solution(&r.s, r.serial, work, 1, 1, NULL), PQL_OK);
}

static void a_solution_is_written_like_an_official_one(void **state)
{
    (void)state;
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[62] = 0x5a, [63] = 0x08};
    room r;
    room_open(&r, PQI_MINER_V2);
    node_sends(&r, JOB_1);
    assert_int_equal(
        pqi_session_miner_solution(&r.s, r.serial, work, 23048, UINT64_C(194000000), NULL), PQL_OK);
    assert_string_equal(
        r.sent,
        "{\"JobResult\":{\"status\":\"completed\",\"job_id\":\"1\",\"nonce\":\"5a08\",\"work\":\""
        "0000000000000000000000000000000000000000000000000000000000000000"
        "0000000000000000000000000000000000000000000000000000000000005a08\","
        "\"hash_count\":23048,\"elapsed_time\":0.194}}\n");
}

static void a_solution_of_a_replaced_job_is_not_sent(void **state)
{
    (void)state;
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[63] = 7};
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, JOB_1);
    uint64_t old = r.serial;
    node_sends(&r, JOB_1);
    assert_int_equal(pqi_session_miner_solution(&r.s, old, work, 1, 1, NULL), PQL_E_STATE);
    assert_string_equal(r.sent, "");
}

static void the_zero_nonce_is_not_sent(void **state)
{
    (void)state;
    const uint8_t work[PQI_MINER_WORK_SIZE] = {0};
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, JOB_1);
    assert_int_equal(pqi_session_miner_solution(&r.s, r.serial, work, 1, 1, NULL), PQL_E_USAGE);
    assert_string_equal(r.sent, "");
}

static void a_solution_without_room_is_reported(void **state)
{
    (void)state;
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[63] = 7};
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, JOB_1);
    r.full = true;
    assert_int_equal(pqi_session_miner_solution(&r.s, r.serial, work, 1, 1, NULL), PQL_E_LIMIT);
}

static void a_cancel_ends_the_job(void **state)
{
    (void)state;
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[63] = 7};
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, JOB_1);
    node_sends(&r, "{\"Cancel\":{\"job_id\":null,\"reason\":\"syncing\"}}");
    assert_int_equal(r.cancels, 1);
    assert_string_equal(r.cancel_reason, "syncing");
    assert_int_equal(pqi_session_miner_solution(&r.s, r.serial, work, 1, 1, NULL), PQL_E_STATE);
}

static void a_cancel_of_another_job_is_ignored(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, JOB_1);
    node_sends(&r, "{\"Cancel\":{\"job_id\":\"0\",\"reason\":\"idle\"}}");
    assert_int_equal(r.cancels, 0);
    node_sends(&r, "{\"Cancel\":{\"job_id\":\"1\",\"reason\":\"idle\"}}");
    assert_int_equal(r.cancels, 1);
}

static void send_a_solution(room *r)
{
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[PQI_MINER_WORK_SIZE - 1] = 7};
    assert_int_equal(pqi_session_miner_solution(&r->s, r->serial, work, 1, 1, NULL), PQL_OK);
}

static void an_acknowledgement_is_handed_over(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, JOB_1);
    send_a_solution(&r);
    node_sends(&r, ACCEPTED);
    assert_int_equal(r.acks, 1);
    assert_int_equal(r.verdict, PQI_VERDICT_ACCEPTED);
    assert_true(r.ack_has_nonce);
    assert_true(r.height == 12);
}

static void an_acknowledgement_of_nothing_is_ignored(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, ACCEPTED);
    node_sends(&r, JOB_1);
    node_sends(&r, ACCEPTED);
    assert_int_equal(r.acks, 0);
    assert_int_equal(r.closes, 0);
}

static void a_solution_is_acknowledged_once_even_after_the_next_job(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, JOB_1);
    send_a_solution(&r);
    node_sends(&r, JOB_1);
    node_sends(&r, ACCEPTED);
    node_sends(&r, ACCEPTED);
    assert_int_equal(r.acks, 1);
}

static void stats_go_out_in_our_profile_only(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    assert_int_equal(pqi_session_miner_stats(&r.s, 25, UINT64_C(10000000000), NULL), PQL_OK);
    assert_string_equal(r.sent, "{\"Stats\":{\"hashes\":25,\"seconds\":10.0}}\n");
    room_open(&r, PQI_MINER_V2);
    assert_int_equal(pqi_session_miner_stats(&r.s, 25, UINT64_C(10000000000), NULL), PQL_OK);
    assert_string_equal(r.sent, "");
}

static void messages_that_are_ours_to_send_are_ignored(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r, "{\"Ready\":{}}");
    node_sends(&r, "{\"Later\":{}}");
    assert_int_equal(r.closes, 0);
    assert_string_equal(r.sent, "");
}

static void what_is_no_message_closes(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_V2);
    node_sends(&r, "{\"Later\":{}}");
    assert_int_equal(r.closes, 1);
    assert_true(r.close_code == 0);
    room_open(&r, PQI_MINER_PQ1);
    pqi_session_miner_bytes(&r.s, "\0\0\0\0", 4);
    assert_int_equal(r.closes, 1);
    assert_true(r.close_code == PQI_CLOSE_PROTOCOL);
    assert_string_equal(r.close_reason, "protocol error");
}

static void a_job_id_over_64_bytes_closes(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r,
               "{\"NewJob\":{\"job_id\":\"123456789012345678901234567890123456789012345678901234"
               "56789012345\",\"mining_hash\":\"\",\"difficulty\":\"\"}}");
    assert_int_equal(r.closes, 1);
    assert_string_equal(r.sent, "");
}

static void the_end_of_the_stream_closes_once(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    pqi_session_miner_fin(&r.s);
    pqi_session_miner_close(&r.s, PQI_CLOSE_DONE);
    node_sends(&r, JOB_1);
    assert_int_equal(r.closes, 1);
    assert_int_equal(r.jobs, 0);
    assert_int_equal(pqi_session_miner_stats(&r.s, 1, 1, NULL), PQL_E_STATE);
}

static void jobs_arrive_one_byte_at_a_time(void **state)
{
    (void)state;
    const char stream[] = "\0\0\0\x80" JOB_1 "\0\0\0\x80" JOB_1;
    room r;
    room_open(&r, PQI_MINER_V2);
    for (size_t i = 0; i < sizeof(stream) - 1; i++) {
        pqi_session_miner_bytes(&r.s, stream + i, 1);
    }
    assert_int_equal(r.jobs, 2);
}

static void only_a_refused_token_is_final(void **state)
{
    (void)state;
    assert_true(pqi_miner_close_is_final(PQI_MINER_V2, 0, "auth failed", 11));
    assert_false(pqi_miner_close_is_final(PQI_MINER_V2, 0, "auth timeout", 12));
    assert_false(pqi_miner_close_is_final(PQI_MINER_V2, 0, "", 0));
    assert_false(pqi_miner_close_is_final(PQI_MINER_V2, 1, "auth failed", 11));
    assert_true(pqi_miner_close_is_final(PQI_MINER_PQ1, PQI_CLOSE_REFUSED, "", 0));
    assert_false(pqi_miner_close_is_final(PQI_MINER_PQ1, PQI_CLOSE_HELLO_TIMEOUT, "", 0));
    assert_false(pqi_miner_close_is_final(PQI_MINER_V1, 0, "auth failed", 11));
}

static void a_nonce_is_written_without_leading_zeros(void **state)
{
    (void)state;
    uint8_t work[PQI_MINER_WORK_SIZE] = {0};
    char out[PQI_MINER_NONCE_TEXT_SIZE];
    pqi_miner_nonce_text(out, work);
    assert_string_equal(out, "0");
    work[63] = 0x10;
    pqi_miner_nonce_text(out, work);
    assert_string_equal(out, "10");
    memset(work, 0xff, sizeof(work));
    pqi_miner_nonce_text(out, work);
    assert_int_equal(strlen(out), 128);
}

static void an_announced_certificate_is_handed_on(void **state)
{
    (void)state;
    room r;
    room_open(&r, PQI_MINER_PQ1);
    node_sends(&r,
               "{\"Rotation\":{\"next\":\"sha256:" HASH_ONES
               "\",\"next_spki\":\"spki-sha256:" HASH_ONES "\",\"switch_at\":5,\"drop_at\":9}}");
    assert_int_equal(r.rotations, 1);
    assert_true(r.rotation.any);
    assert_int_equal(r.rotation.next.form, PQL_FINGERPRINT_CERT);
    assert_int_equal(r.rotation.next.sha256[31], 1);
    assert_int_equal(r.rotation.next_spki.form, PQL_FINGERPRINT_SPKI);
    assert_true(r.rotation.switch_at == 5 && r.rotation.drop_at == 9);
    node_sends(&r, "{\"Rotation\":{\"switch_at\":0}}");
    assert_int_equal(r.rotations, 2);
    assert_false(r.rotation.any);
    assert_int_equal(r.closes, 0);
}

static void an_announcement_that_names_no_fingerprint_is_ignored(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "{\"Rotation\":{\"next\":\"soon\",\"next_spki\":\"spki-sha256:" HASH_ONES
        "\",\"switch_at\":5}}",
        "{\"Rotation\":{\"next\":\"sha256:" HASH_ONES "\",\"next_spki\":\"sha256:" HASH_ONES
        "\",\"switch_at\":5}}",
        "{\"Rotation\":{\"next\":\"sha256:" HASH_ONES "\",\"switch_at\":5}}",
        "{\"Rotation\":{\"next_spki\":\"spki-sha256:" HASH_ONES "\",\"switch_at\":5}}",
    };
    room r;
    room_open(&r, PQI_MINER_PQ1);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        node_sends(&r, bad[i]);
    }
    assert_int_equal(r.rotations, 0);
    assert_int_equal(r.closes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ready_has_the_form_of_its_dialect),
        cmocka_unit_test(ready_is_sent_once),
        cmocka_unit_test(an_unfit_hello_is_refused_before_it_is_sent),
        cmocka_unit_test(a_job_is_handed_over_in_binary),
        cmocka_unit_test(the_same_job_again_has_a_serial_of_its_own),
        cmocka_unit_test(upper_case_hex_and_leading_zeros_are_taken),
        cmocka_unit_test(a_job_that_cannot_be_used_is_answered_and_the_old_one_goes_on),
        cmocka_unit_test(a_solution_is_written_like_an_official_one),
        cmocka_unit_test(a_solution_of_a_replaced_job_is_not_sent),
        cmocka_unit_test(the_zero_nonce_is_not_sent),
        cmocka_unit_test(a_solution_without_room_is_reported),
        cmocka_unit_test(a_cancel_ends_the_job),
        cmocka_unit_test(a_cancel_of_another_job_is_ignored),
        cmocka_unit_test(an_acknowledgement_is_handed_over),
        cmocka_unit_test(an_acknowledgement_of_nothing_is_ignored),
        cmocka_unit_test(a_solution_is_acknowledged_once_even_after_the_next_job),
        cmocka_unit_test(stats_go_out_in_our_profile_only),
        cmocka_unit_test(messages_that_are_ours_to_send_are_ignored),
        cmocka_unit_test(what_is_no_message_closes),
        cmocka_unit_test(a_job_id_over_64_bytes_closes),
        cmocka_unit_test(the_end_of_the_stream_closes_once),
        cmocka_unit_test(jobs_arrive_one_byte_at_a_time),
        cmocka_unit_test(only_a_refused_token_is_final),
        cmocka_unit_test(a_nonce_is_written_without_leading_zeros),
        cmocka_unit_test(an_announced_certificate_is_handed_on),
        cmocka_unit_test(an_announcement_that_names_no_fingerprint_is_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
