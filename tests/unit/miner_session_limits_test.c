/* The node's side of a miner's connection: the rules of docs/protocol-miner.md section 7 about
 * rates, statistics, messages that are wrong, miners that do not read, and rotation. */
#include "miner_session_room.h"

static void results_over_the_rate_are_flood_and_never_verified(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    for (unsigned nonce = 1; nonce <= PQI_NODE_RESULT_BURST + 3; nonce++) {
        r.sent[0] = '\0';
        miner_solves(&r, "1", nonce);
    }
    assert_int_equal(r.results, PQI_NODE_RESULT_BURST);
    assert_int_equal(verdicts(&r, PQI_VERDICT_FLOOD), 3);
    assert_non_null(strstr(r.sent, "\"verdict\":\"flood\""));
    assert_int_equal(r.closes, 0);
}

static void after_a_second_of_rest_32_more_results_are_verified(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V1);
    for (unsigned nonce = 1; nonce <= PQI_NODE_RESULT_BURST; nonce++) {
        miner_solves(&r, "1", nonce);
    }
    r.now += SECOND;
    for (unsigned nonce = 1; nonce <= PQI_NODE_RESULTS_PER_SEC + 1; nonce++) {
        miner_solves(&r, "1", 1000 + nonce);
    }
    assert_int_equal(r.results, PQI_NODE_RESULT_BURST + PQI_NODE_RESULTS_PER_SEC);
    assert_int_equal(verdicts(&r, PQI_VERDICT_FLOOD), 1);
}

static void a_sustained_flood_closes_the_connection(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V1);
    unsigned sent = 0;
    while (r.closes == 0 && sent < 10000) {
        miner_solves(&r, "0", ++sent);
    }
    assert_int_equal(sent, PQI_NODE_RESULT_BURST + PQI_NODE_EXCESS_BURST + 1);
    assert_closed(&r, 0, "too many messages");
}

static void other_messages_over_their_rate_are_ignored_then_close(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    unsigned sent = 0;
    while (r.closes == 0 && sent < 10000) {
        miner_sends(&r, "{\"Stats\":{\"hashes\":10,\"seconds\":1}}");
        sent++;
    }
    assert_int_equal(sent, PQI_NODE_OTHER_BURST + PQI_NODE_EXCESS_BURST + 1);
    assert_int_equal(pqi_session_node_counters_get(&r.s)->hashes, 10 * PQI_NODE_OTHER_BURST);
    assert_closed(&r, PQI_CLOSE_FLOOD, "too many messages");
}

static void stats_every_ten_seconds_give_the_hash_rate(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    for (int i = 0; i < 100; i++) {
        r.now += 10 * SECOND;
        miner_sends(&r, "{\"Stats\":{\"hashes\":25,\"seconds\":10.0}}");
    }
    const pqi_session_node_counters *c = pqi_session_node_counters_get(&r.s);
    assert_int_equal(c->hashes, 2500);
    assert_true(c->hash_rate == 2.5);
    assert_true(c->hash_rate_at == r.now);
}

static void stats_over_no_time_are_ignored(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"Stats\":{\"hashes\":25,\"seconds\":0}}");
    assert_int_equal(pqi_session_node_counters_get(&r.s)->hashes, 0);
    assert_int_equal(pqi_session_node_counters_get(&r.s)->ignored, 1);
}

static void the_sum_of_hashes_stays_at_its_largest_value(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"Stats\":{\"hashes\":18446744073709551615,\"seconds\":1}}");
    miner_sends(&r, "{\"Stats\":{\"hashes\":2,\"seconds\":1}}");
    assert_true(pqi_session_node_counters_get(&r.s)->hashes == UINT64_MAX);
}

static void an_official_miner_gets_its_job_again_when_it_stays_the_current_one(void **state)
{
    (void)state;
    static const pqi_miner_verdict again[] = {PQI_VERDICT_INVALID, PQI_VERDICT_REJECTED,
                                              PQI_VERDICT_UNAVAILABLE, PQI_VERDICT_DUPLICATE,
                                              PQI_VERDICT_ACCEPTED};
    for (size_t i = 0; i < sizeof(again) / sizeof(again[0]); i++) {
        room r;
        room_active(&r, PQI_MINER_V2);
        r.answer = again[i];
        miner_solves(&r, "1", 7);
        assert_true(sent_job(&r, "1"));
    }
}

static void an_official_miner_gets_nothing_after_a_stale_result(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V2);
    miner_solves(&r, "0", 7);
    r.answer = PQI_VERDICT_STALE; /* the source has a newer job, which is on its way */
    miner_solves(&r, "1", 7);
    assert_string_equal(r.sent, "");
}

static void an_official_miner_over_its_rate_gets_its_job_again_after_a_pause(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V2);
    for (unsigned i = 0; i < PQI_NODE_RESULT_BURST; i++) {
        miner_solves(&r, "1", i + 1);
    }
    r.sent[0] = '\0';

    miner_solves(&r, "1", 1000);
    assert_int_equal(verdicts(&r, PQI_VERDICT_FLOOD), 1);
    assert_string_equal(r.sent, "");
    const uint64_t deadline = pqi_session_node_deadline(&r.s);
    assert_true(deadline == r.now + PQI_NODE_FLOOD_PAUSE_NS);
    pqi_session_node_expire(&r.s, deadline);

    assert_true(sent_job(&r, "1"));
    assert_true(pqi_session_node_deadline(&r.s) == PQI_TIME_NEVER);
}

static void a_closed_session_tells_why_where_the_wire_does_not(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V2);
    pqi_session_node_close(&r.s, PQI_CLOSE_FLOOD);
    assert_closed(&r, 0, "too many messages");
    assert_int_equal(pqi_session_node_why(&r.s), PQI_CLOSE_FLOOD);
}

static void a_late_rejection_does_not_bring_an_old_job_back(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V2);
    r.answer_now = false;
    miner_solves(&r, "1", 7);
    pqi_miner_job job = job_number(2);
    pqi_session_node_job(&r.s, &job, r.now);
    r.sent[0] = '\0';
    pqi_session_node_verdict(&r.s, r.last.ticket, PQI_VERDICT_INVALID, NULL, PQI_MINER_NO_NUMBER,
                             r.now);
    assert_string_equal(r.sent, "");
}

static void a_failed_result_is_counted_and_not_acknowledged(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"JobResult\":{\"status\":\"failed\",\"job_id\":\"1\",\"nonce\":null,"
                    "\"work\":null,\"hash_count\":0,\"elapsed_time\":0.0}}");
    assert_int_equal(pqi_session_node_counters_get(&r.s)->failed, 1);
    assert_string_equal(r.sent, "");
}

static void messages_out_of_place_are_ignored_and_counted(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V2);
    miner_sends(&r, "{\"Ready\":{\"token\":\"t\"}}");
    miner_sends(&r, "{\"NewJob\":{\"job_id\":\"9\",\"mining_hash\":\"00\",\"difficulty\":\"1\"}}");
    assert_int_equal(pqi_session_node_counters_get(&r.s)->ignored, 2);
    assert_int_equal(r.closes, 0);
    assert_int_equal(r.hellos, 1);
}

static void a_message_of_a_later_version_is_ignored_in_our_profile_only(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"Later\":{}}");
    assert_int_equal(r.closes, 0);
    room_active(&r, PQI_MINER_V2);
    miner_sends(&r, "{\"Later\":{}}");
    assert_closed(&r, 0, "protocol error");
}

static void bad_json_closes(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_sends(&r, "{\"JobResult\":{}}");
    assert_closed(&r, PQI_CLOSE_PROTOCOL, "protocol error");
}

static void a_frame_over_the_limit_closes_at_its_prefix(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    pqi_session_node_bytes(&r.s, "\0\0\4\1", 4, r.now);
    assert_closed(&r, PQI_CLOSE_PROTOCOL, "protocol error");
}

static void a_job_id_over_64_bytes_in_a_result_closes(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    miner_solves(&r, "12345678901234567890123456789012345678901234567890123456789012345", 7);
    assert_closed(&r, PQI_CLOSE_PROTOCOL, "protocol error");
}

static void the_end_of_the_stream_closes_quietly(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_V2);
    pqi_session_node_fin(&r.s);
    assert_closed(&r, 0, "");
}

static void nothing_happens_after_the_close(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.answer_now = false;
    miner_solves(&r, "1", 7);
    pqi_session_node_close(&r.s, PQI_CLOSE_DRAINING);
    assert_closed(&r, PQI_CLOSE_DRAINING, "draining");
    pqi_miner_job job = job_number(2);
    miner_solves(&r, "1", 8);
    pqi_session_node_job(&r.s, &job, r.now);
    pqi_session_node_cancel(&r.s, "idle", r.now);
    pqi_session_node_verdict(&r.s, r.last.ticket, PQI_VERDICT_ACCEPTED, NULL, 1, r.now);
    pqi_session_node_writable(&r.s, r.now);
    pqi_session_node_fin(&r.s);
    pqi_session_node_expire(&r.s, PQI_TIME_NEVER);
    assert_int_equal(r.closes, 1);
    assert_int_equal(r.results, 1);
    assert_string_equal(r.sent, "");
}

static void a_miner_that_does_not_read_gets_the_newest_job_only(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.full = true;
    for (unsigned number = 2; number <= 5; number++) {
        pqi_miner_job job = job_number(number);
        pqi_session_node_job(&r.s, &job, r.now);
    }
    miner_solves(&r, "5", 7);
    assert_int_equal(pqi_session_node_counters_get(&r.s)->acks_dropped, 1);
    r.full = false;
    pqi_session_node_writable(&r.s, r.now);
    assert_true(sent_job(&r, "5"));
    assert_false(sent_job(&r, "4"));
    assert_int_equal(pqi_session_node_counters_get(&r.s)->jobs_sent, 2);
}

static void a_cancel_that_did_not_fit_is_sent_when_there_is_room(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.full = true;
    pqi_session_node_cancel(&r.s, "syncing", r.now);
    r.full = false;
    pqi_session_node_writable(&r.s, r.now);
    assert_non_null(strstr(r.sent, "\"reason\":\"syncing\""));
}

static void a_miner_that_does_not_read_for_thirty_seconds_is_closed(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    r.full = true;
    pqi_miner_job job = job_number(2);
    pqi_session_node_job(&r.s, &job, r.now);
    assert_true(pqi_session_node_deadline(&r.s) == START + 30 * SECOND);
    pqi_session_node_expire(&r.s, START + 30 * SECOND);
    assert_closed(&r, PQI_CLOSE_STALLED, "not reading");
}

#define NEXT_HEX "abababababababababababababababababababababababababababababababab"
#define ANNOUNCED                                                                                  \
    "{\"Rotation\":{\"next\":\"sha256:" NEXT_HEX "\",\"next_spki\":\"spki-sha256:" NEXT_HEX        \
    "\",\"switch_at\":1800000000}}\n"
#define WITHDRAWN "{\"Rotation\":{\"next\":null,\"next_spki\":null,\"switch_at\":0}}\n"

static pqi_miner_rotation announcement(void)
{
    pqi_miner_rotation r = {.any = true, .switch_at = 1800000000};
    assert_int_equal(pql_fingerprint_parse(&r.next, "sha256:" NEXT_HEX, NULL), PQL_OK);
    assert_int_equal(pql_fingerprint_parse(&r.next_spki, "spki-sha256:" NEXT_HEX, NULL), PQL_OK);
    return r;
}

static void an_active_miner_hears_of_the_next_certificate_and_of_its_end(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    const pqi_miner_rotation next = announcement();
    pqi_session_node_rotation(&r.s, &next, r.now);
    assert_string_equal(r.sent, ANNOUNCED);
    r.sent[0] = '\0';
    pqi_session_node_rotation(&r.s, &(pqi_miner_rotation){0}, r.now);
    assert_string_equal(r.sent, WITHDRAWN);
}

static void a_rotation_is_announced_after_ready_and_the_job(void **state)
{
    (void)state;
    room r;
    room_init(&r, PQI_MINER_PQ1);
    const pqi_miner_rotation next = announcement();
    pqi_session_node_rotation(&r.s, &next, r.now);
    assert_string_equal(r.sent, "");
    say_hello(&r);
    assert_non_null(strstr(r.sent, "}\n" ANNOUNCED));
    assert_ptr_equal(strstr(r.sent, "{\"Cancel\""), r.sent);
}

static void nothing_is_said_of_rotation_where_there_was_none(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    pqi_session_node_rotation(&r.s, &(pqi_miner_rotation){0}, r.now);
    assert_string_equal(r.sent, "");
}

static void official_miners_are_told_nothing_of_a_rotation(void **state)
{
    (void)state;
    const pqi_miner_rotation next = announcement();
    for (int d = PQI_MINER_V2; d < PQI_MINER_DIALECTS; d++) {
        room r;
        room_active(&r, (pqi_miner_dialect)d);
        pqi_session_node_rotation(&r.s, &next, r.now);
        assert_string_equal(r.sent, "");
    }
}

static void an_announcement_waits_for_room(void **state)
{
    (void)state;
    room r;
    room_active(&r, PQI_MINER_PQ1);
    const pqi_miner_rotation next = announcement();
    r.full = true;
    pqi_session_node_rotation(&r.s, &next, r.now);
    r.full = false;
    assert_string_equal(r.sent, "");
    pqi_session_node_writable(&r.s, r.now);
    assert_string_equal(r.sent, ANNOUNCED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(results_over_the_rate_are_flood_and_never_verified),
        cmocka_unit_test(after_a_second_of_rest_32_more_results_are_verified),
        cmocka_unit_test(a_sustained_flood_closes_the_connection),
        cmocka_unit_test(other_messages_over_their_rate_are_ignored_then_close),
        cmocka_unit_test(stats_every_ten_seconds_give_the_hash_rate),
        cmocka_unit_test(stats_over_no_time_are_ignored),
        cmocka_unit_test(the_sum_of_hashes_stays_at_its_largest_value),
        cmocka_unit_test(an_official_miner_gets_its_job_again_when_it_stays_the_current_one),
        cmocka_unit_test(an_official_miner_over_its_rate_gets_its_job_again_after_a_pause),
        cmocka_unit_test(a_closed_session_tells_why_where_the_wire_does_not),
        cmocka_unit_test(an_official_miner_gets_nothing_after_a_stale_result),
        cmocka_unit_test(a_late_rejection_does_not_bring_an_old_job_back),
        cmocka_unit_test(a_failed_result_is_counted_and_not_acknowledged),
        cmocka_unit_test(messages_out_of_place_are_ignored_and_counted),
        cmocka_unit_test(a_message_of_a_later_version_is_ignored_in_our_profile_only),
        cmocka_unit_test(bad_json_closes),
        cmocka_unit_test(a_frame_over_the_limit_closes_at_its_prefix),
        cmocka_unit_test(a_job_id_over_64_bytes_in_a_result_closes),
        cmocka_unit_test(the_end_of_the_stream_closes_quietly),
        cmocka_unit_test(nothing_happens_after_the_close),
        cmocka_unit_test(a_miner_that_does_not_read_gets_the_newest_job_only),
        cmocka_unit_test(a_cancel_that_did_not_fit_is_sent_when_there_is_room),
        cmocka_unit_test(a_miner_that_does_not_read_for_thirty_seconds_is_closed),
        cmocka_unit_test(an_active_miner_hears_of_the_next_certificate_and_of_its_end),
        cmocka_unit_test(a_rotation_is_announced_after_ready_and_the_job),
        cmocka_unit_test(nothing_is_said_of_rotation_where_there_was_none),
        cmocka_unit_test(official_miners_are_told_nothing_of_a_rotation),
        cmocka_unit_test(an_announcement_waits_for_room),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
