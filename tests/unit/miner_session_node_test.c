/* The node's side of a miner's connection: each rule of docs/protocol-miner.md section 7 about
 * Ready, jobs and results.  What is too much, out of place or unread is in
 * miner_session_limits_test.c. */
#include "miner_session_room.h"

static void the_current_job_follows_ready_in_every_dialect(void **state)
{
    (void)state;
    for (int d = 0; d < PQI_MINER_DIALECTS; d++) {
        room r;
        room_init(&r, (pqi_miner_dialect)d);
        pqi_miner_job job = job_number(1);
        pqi_session_node_job(&r.s, &job, r.now);
        assert_string_equal(r.sent, "");
        say_hello(&r);
        assert_true(sent_job(&r, "1"));
        assert_int_equal(r.hellos, 1);
    }
}

static void a_pq_miner_without_a_job_is_told_why_after_ready(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    pqi_session_node_cancel(&r.s, "syncing", r.now);
    say_hello(&r);
    assert_string_equal(r.sent, "{\"Cancel\":{\"job_id\":null,\"reason\":\"syncing\"}}\n");
}

static void an_official_miner_without_a_job_is_sent_nothing(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_V2);
    say_hello(&r);
    assert_string_equal(r.sent, "");
}

static void everything_works_one_byte_at_a_time(void **state)
{
    (void)state;
    static const char stream[] = "\0\0\0\x0c{\"Ready\":{}}";
    room r;
    room_init(&r, PQI_MINER_PQ1);
    for (size_t i = 0; i < sizeof(stream) - 1; i++) {
        assert_false(pqi_session_node_active(&r.s));
        pqi_session_node_bytes(&r.s, stream + i, 1, r.now);
    }
    assert_true(pqi_session_node_active(&r.s));
}

static void two_frames_in_one_piece_are_two_messages(void **state)
{
    (void)state;
    static const char stream[] = "\0\0\0\x0c{\"Ready\":{}}\0\0\0\x0c{\"Ready\":{}}";
    room r;
    room_init(&r, PQI_MINER_PQ1);
    pqi_session_node_bytes(&r.s, stream, sizeof(stream) - 1, r.now);
    assert_int_equal(r.hellos, 1);
    assert_int_equal(pqi_session_node_counters_get(&r.s)->ignored, 1);
}

static void the_token_reaches_the_check_trimmed(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_V2);
    miner_sends(&r, "{\"Ready\":{\"token\":\" \\n secret word\\t \"}}");
    assert_true(r.had_token);
    assert_string_equal(r.token, "secret word");
}

static void a_missing_token_reaches_the_check_as_none(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"Ready\":{\"name\":\"rig-1\",\"agent\":\"x/1\"}}");
    assert_int_equal(r.hellos, 1);
    assert_false(r.had_token);
    assert_string_equal(r.name, "rig-1");
}

static void the_token_does_not_stay_in_the_session(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_V2);
    miner_sends(&r, "{\"Ready\":{\"token\":\"very-secret\"}}");
    assert_null(memmem(&r.s, sizeof(r.s), "very-secret", 11));
}

static void a_wrong_token_closes_with_the_words_of_each_dialect(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_V2);
    r.welcome = false;
    miner_sends(&r, "{\"Ready\":{\"token\":\"wrong\"}}");
    assert_closed(&r, 0, "auth failed");

    room_init(&r, PQI_MINER_PQ1);
    r.welcome = false;
    miner_sends(&r, "{\"Ready\":{\"token\":\"wrong\"}}");
    assert_closed(&r, PQI_CLOSE_REFUSED, "token refused");
}

static void a_token_over_512_bytes_is_refused_without_asking(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    char json[PQI_FRAME_BODY_MAX];
    snprintf(json, sizeof(json), "{\"Ready\":{\"token\":\"%0*d\"}}", PQI_MINER_TOKEN_MAX + 1, 1);
    miner_sends(&r, json);
    assert_int_equal(r.hellos, 0);
    assert_closed(&r, PQI_CLOSE_REFUSED, "token refused");
}

static void a_name_with_other_characters_is_refused(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"Ready\":{\"name\":\"a b\"}}");
    assert_closed(&r, PQI_CLOSE_PROTOCOL, "protocol error");
}

static void another_message_before_ready_closes(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"Stats\":{\"hashes\":1,\"seconds\":1}}");
    assert_closed(&r, PQI_CLOSE_PROTOCOL, "protocol error");
}

static void an_unknown_message_before_ready_closes(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"Later\":{}}");
    assert_closed(&r, PQI_CLOSE_PROTOCOL, "protocol error");
}

static void without_ready_the_session_ends_after_ten_seconds(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    uint64_t deadline = pqi_session_node_deadline(&r.s);
    assert_true(deadline == START + 10 * SECOND);
    pqi_session_node_expire(&r.s, deadline - 1);
    assert_int_equal(r.closes, 0);
    pqi_session_node_expire(&r.s, deadline);
    assert_closed(&r, PQI_CLOSE_HELLO_TIMEOUT, "hello timeout");
    assert_true(pqi_session_node_deadline(&r.s) == PQI_TIME_NEVER);
}

static void bytes_without_a_whole_ready_do_not_move_the_deadline(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_V2);
    pqi_session_node_bytes(&r.s, "\0\0\0\x20{", 5, START + 9 * SECOND);
    assert_true(pqi_session_node_deadline(&r.s) == START + 10 * SECOND);
}

static void only_a_refusal_says_auth_to_official_miners(void **state)
{
    (void)state;
    for (int why = 0; why < PQI_CLOSE_COUNT; why++) {
        uint64_t code = 99;
        const char *reason = pqi_miner_close_wire(PQI_MINER_V2, (pqi_miner_close)why, &code);
        assert_true(code == 0);
        assert_int_equal(strcasestr(reason, "auth") != NULL, why == PQI_CLOSE_REFUSED);
    }
}

static void an_active_session_has_no_deadline(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    assert_true(pqi_session_node_deadline(&r.s) == PQI_TIME_NEVER);
    pqi_session_node_expire(&r.s, START + 100000 * SECOND);
    assert_int_equal(r.closes, 0);
}

static void a_new_job_is_sent_at_once(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    pqi_miner_job job = job_number(2);
    pqi_session_node_job(&r.s, &job, r.now);
    assert_true(sent_job(&r, "2"));
    assert_int_equal(pqi_session_node_counters_get(&r.s)->jobs_sent, 2);
}

static void an_accepted_result_is_counted_and_acknowledged(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_solves(&r, "1", 0x5a08);
    assert_int_equal(r.results, 1);
    assert_string_equal(r.last.job.id, "1");
    assert_int_equal(r.last.work[62], 0x5a);
    assert_int_equal(r.last.work[63], 0x08);
    assert_int_equal(verdicts(&r, PQI_VERDICT_ACCEPTED), 1);
    assert_string_equal(r.sent, "{\"JobAck\":{\"job_id\":\"1\",\"nonce\":\"5a08\",\"verdict\":"
                                "\"accepted\",\"reason\":\"accepted\"}}\n");
}

static void a_verdict_may_come_later_with_reason_and_height(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.answer_now = false;
    miner_solves(&r, "1", 7);
    assert_string_equal(r.sent, "");
    assert_true(pqi_session_node_verdict(&r.s, r.last.ticket, PQI_VERDICT_ACCEPTED, "block found",
                                         12, r.now));
    assert_non_null(strstr(r.sent, "\"reason\":\"block found\",\"height\":12"));
    assert_false(
        pqi_session_node_verdict(&r.s, r.last.ticket, PQI_VERDICT_ACCEPTED, NULL, 12, r.now));
    assert_int_equal(verdicts(&r, PQI_VERDICT_ACCEPTED), 1);
}

static void a_new_job_from_inside_the_verdict_goes_out_once(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V2);
    pqi_miner_job job = job_number(2);
    r.job_inside = &job;
    miner_solves(&r, "1", 7);
    assert_int_equal(pqi_session_node_counters_get(&r.s)->jobs_sent, 2);
    assert_true(sent_job(&r, "2"));
    assert_false(sent_job(&r, "1"));
}

static void an_unfit_reason_becomes_the_verdicts_word(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.answer_now = false;
    miner_solves(&r, "1", 7);
    pqi_session_node_verdict(&r.s, r.last.ticket, PQI_VERDICT_REJECTED, "\xff", PQI_MINER_NO_NUMBER,
                             r.now);
    assert_non_null(strstr(r.sent, "\"verdict\":\"rejected\",\"reason\":\"rejected\""));
}

static void a_stale_result_is_counted_and_never_verified(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_solves(&r, "0", 7);
    assert_int_equal(r.results, 0);
    assert_int_equal(verdicts(&r, PQI_VERDICT_STALE), 1);
    assert_non_null(strstr(r.sent, "\"job_id\":\"0\",\"nonce\":\"7\",\"verdict\":\"stale\""));
}

static void every_result_is_stale_while_there_is_no_job(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    pqi_session_node_cancel(&r.s, "idle", r.now);
    miner_solves(&r, "1", 7);
    assert_int_equal(r.results, 0);
    assert_int_equal(verdicts(&r, PQI_VERDICT_STALE), 1);
}

static void work_of_63_or_65_bytes_or_none_is_invalid(void **state)
{
    (void)state;
    static const int digits[] = {0, 126, 127, 129, 130};
    room r;
    room_active(&r, PQI_MINER_PQ1);
    for (size_t i = 0; i < sizeof(digits) / sizeof(digits[0]); i++) {
        char json[PQI_FRAME_BODY_MAX];
        snprintf(json, sizeof(json),
                 "{\"JobResult\":{\"status\":\"completed\",\"job_id\":\"1\",\"work\":\"%.*s%s\","
                 "\"hash_count\":5,\"elapsed_time\":0.5}}",
                 digits[i] > 0 ? digits[i] - 1 : 0,
                 "00000000000000000000000000000000000000000000000000000000000000000000000000000000"
                 "00000000000000000000000000000000000000000000000000000000000000000000000000000000",
                 digits[i] > 0 ? "1" : "");
        miner_sends(&r, json);
    }
    miner_sends(&r, "{\"JobResult\":{\"status\":\"completed\",\"job_id\":\"1\",\"hash_count\":5,"
                    "\"elapsed_time\":0.5}}");
    assert_int_equal(r.results, 0);
    assert_int_equal(verdicts(&r, PQI_VERDICT_INVALID), 6);
    assert_non_null(strstr(r.sent, "\"nonce\":null,\"verdict\":\"invalid\""));
}

static void the_zero_nonce_is_invalid_without_verification(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_solves(&r, "1", 0);
    assert_int_equal(r.results, 0);
    assert_int_equal(verdicts(&r, PQI_VERDICT_INVALID), 1);
}

static void the_same_work_twice_is_a_duplicate(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_solves(&r, "1", 7);
    miner_solves(&r, "1", 7);
    miner_solves(&r, "1", 8);
    assert_int_equal(r.results, 2);
    assert_int_equal(verdicts(&r, PQI_VERDICT_DUPLICATE), 1);
}

static void the_same_work_for_another_job_is_no_duplicate(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_solves(&r, "1", 7);
    pqi_miner_job job = job_number(2);
    pqi_session_node_job(&r.s, &job, r.now);
    miner_solves(&r, "2", 7);
    assert_int_equal(verdicts(&r, PQI_VERDICT_ACCEPTED), 2);
}

static void sending_a_job_again_forgets_no_duplicates(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_solves(&r, "1", 7);
    pqi_miner_job job = job_number(1);
    pqi_session_node_cancel(&r.s, "idle", r.now);
    pqi_session_node_job(&r.s, &job, r.now);
    miner_solves(&r, "1", 7);
    assert_int_equal(verdicts(&r, PQI_VERDICT_DUPLICATE), 1);
}

static void the_last_64_results_of_a_job_are_remembered(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    for (unsigned nonce = 1; nonce <= PQI_NODE_SEEN_MAX + 1; nonce++) {
        r.now += SECOND;
        miner_solves(&r, "1", nonce);
    }
    r.now += SECOND;
    miner_solves(&r, "1", 2);
    assert_int_equal(verdicts(&r, PQI_VERDICT_DUPLICATE), 1);
    miner_solves(&r, "1", 1);
    assert_int_equal(verdicts(&r, PQI_VERDICT_DUPLICATE), 1);
}

static void an_unavailable_result_may_be_sent_again(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.answer = PQI_VERDICT_UNAVAILABLE;
    miner_solves(&r, "1", 7);
    r.answer = PQI_VERDICT_ACCEPTED;
    miner_solves(&r, "1", 7);
    assert_int_equal(verdicts(&r, PQI_VERDICT_UNAVAILABLE), 1);
    assert_int_equal(verdicts(&r, PQI_VERDICT_ACCEPTED), 1);
}

static void only_eight_results_wait_for_their_verdicts(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.answer_now = false;
    for (unsigned nonce = 1; nonce <= PQI_NODE_PENDING_MAX + 1; nonce++) {
        miner_solves(&r, "1", nonce);
    }
    assert_int_equal(r.results, PQI_NODE_PENDING_MAX);
    assert_int_equal(verdicts(&r, PQI_VERDICT_UNAVAILABLE), 1);
    assert_true(pqi_session_node_verdict(&r.s, r.last.ticket, PQI_VERDICT_INVALID, NULL,
                                         PQI_MINER_NO_NUMBER, r.now));
    miner_solves(&r, "1", PQI_NODE_PENDING_MAX + 1);
    assert_int_equal(r.results, PQI_NODE_PENDING_MAX + 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_current_job_follows_ready_in_every_dialect),
        cmocka_unit_test(a_pq_miner_without_a_job_is_told_why_after_ready),
        cmocka_unit_test(an_official_miner_without_a_job_is_sent_nothing),
        cmocka_unit_test(everything_works_one_byte_at_a_time),
        cmocka_unit_test(two_frames_in_one_piece_are_two_messages),
        cmocka_unit_test(the_token_reaches_the_check_trimmed),
        cmocka_unit_test(a_missing_token_reaches_the_check_as_none),
        cmocka_unit_test(the_token_does_not_stay_in_the_session),
        cmocka_unit_test(a_wrong_token_closes_with_the_words_of_each_dialect),
        cmocka_unit_test(a_token_over_512_bytes_is_refused_without_asking),
        cmocka_unit_test(a_name_with_other_characters_is_refused),
        cmocka_unit_test(another_message_before_ready_closes),
        cmocka_unit_test(an_unknown_message_before_ready_closes),
        cmocka_unit_test(without_ready_the_session_ends_after_ten_seconds),
        cmocka_unit_test(bytes_without_a_whole_ready_do_not_move_the_deadline),
        cmocka_unit_test(only_a_refusal_says_auth_to_official_miners),
        cmocka_unit_test(an_active_session_has_no_deadline),
        cmocka_unit_test(a_new_job_is_sent_at_once),
        cmocka_unit_test(an_accepted_result_is_counted_and_acknowledged),
        cmocka_unit_test(a_verdict_may_come_later_with_reason_and_height),
        cmocka_unit_test(a_new_job_from_inside_the_verdict_goes_out_once),
        cmocka_unit_test(an_unfit_reason_becomes_the_verdicts_word),
        cmocka_unit_test(a_stale_result_is_counted_and_never_verified),
        cmocka_unit_test(every_result_is_stale_while_there_is_no_job),
        cmocka_unit_test(work_of_63_or_65_bytes_or_none_is_invalid),
        cmocka_unit_test(the_zero_nonce_is_invalid_without_verification),
        cmocka_unit_test(the_same_work_twice_is_a_duplicate),
        cmocka_unit_test(the_same_work_for_another_job_is_no_duplicate),
        cmocka_unit_test(sending_a_job_again_forgets_no_duplicates),
        cmocka_unit_test(the_last_64_results_of_a_job_are_remembered),
        cmocka_unit_test(an_unavailable_result_may_be_sent_again),
        cmocka_unit_test(only_eight_results_wait_for_their_verdicts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
