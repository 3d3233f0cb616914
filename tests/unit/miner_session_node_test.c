/* The node's side of a miner's connection: each rule of docs/protocol-miner.md section 7. */
#include "test.h"

#include "miner/session_node.h"

#include <stdio.h>
#include <string.h>

#define SECOND PQI_NS_PER_SEC
#define START (UINT64_C(1000) * SECOND)

/* What the session did, and what the test wants it to be answered. */
typedef struct room {
    pqi_session_node s;
    uint64_t now;
    char sent[16384]; /* JSON of each frame, a line each */
    bool full;        /* write has no room */
    unsigned closes;
    uint64_t close_code;
    const char *close_reason;
    bool welcome;
    unsigned hellos;
    char token[PQI_MINER_TOKEN_MAX + 1];
    bool had_token;
    char name[PQI_MINER_NAME_MAX + 1];
    unsigned results;
    pqi_miner_result last;
    bool answer_now;
    pqi_miner_verdict answer;
    const pqi_miner_job *job_inside; /* given to the session from inside `result` */
} room;

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    room *r = user;
    assert_int_equal(r->closes, 0);
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

static bool on_hello(void *user, const pqi_miner_hello *hello)
{
    room *r = user;
    r->hellos++;
    r->had_token = hello->token != NULL;
    snprintf(r->token, sizeof(r->token), "%s", hello->token != NULL ? hello->token : "");
    snprintf(r->name, sizeof(r->name), "%s", hello->name != NULL ? hello->name : "");
    return r->welcome;
}

static void on_result(void *user, const pqi_miner_result *result)
{
    room *r = user;
    r->results++;
    r->last = *result;
    if (r->job_inside != NULL) {
        pqi_session_node_job(&r->s, r->job_inside, r->now);
    }
    if (r->answer_now) {
        assert_true(pqi_session_node_verdict(&r->s, result->ticket, r->answer, NULL,
                                             PQI_MINER_NO_NUMBER, r->now));
    }
}

static const pqi_session_node_events events = {on_write, on_close, on_hello, on_result};

static pqi_miner_job job_number(unsigned number)
{
    pqi_miner_job job = {.difficulty = pqi_u512_from_u64(131072)};
    snprintf(job.id, sizeof(job.id), "%u", number);
    memset(job.mining_hash, (int)number, sizeof(job.mining_hash));
    return job;
}

static void room_init(room *r, pqi_miner_dialect dialect)
{
    memset(r, 0, sizeof(*r));
    r->now = START;
    r->welcome = true;
    r->answer_now = true;
    r->answer = PQI_VERDICT_ACCEPTED;
    pqi_session_node_init(&r->s, dialect, &events, r, r->now);
}

static void miner_sends(room *r, const char *json)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_writer w;
    pqi_writer_init(&w, frame, sizeof(frame));
    pqi_frame_begin(&w);
    pqi_write_bytes(&w, json, strlen(json));
    assert_int_equal(pqi_frame_end(&w, NULL), PQL_OK);
    pqi_session_node_bytes(&r->s, w.data, w.len, r->now);
}

/* A completed result whose work ends in |nonce|. */
static void miner_solves(room *r, const char *job_id, unsigned nonce)
{
    char json[PQI_FRAME_BODY_MAX];
    snprintf(json, sizeof(json),
             "{\"JobResult\":{\"status\":\"completed\",\"job_id\":\"%s\",\"nonce\":\"%x\","
             "\"work\":\"%0*x\",\"hash_count\":5,\"elapsed_time\":0.5}}",
             job_id, nonce, 2 * PQI_MINER_WORK_SIZE, nonce);
    miner_sends(r, json);
}

static void say_hello(room *r)
{
    static const char *const hello[] = {
        [PQI_MINER_PQ1] = "{\"Ready\":{}}",
        [PQI_MINER_V2] = "{\"Ready\":{\"token\":\"t\"}}",
        [PQI_MINER_V1] = "\"Ready\"",
    };
    miner_sends(r, hello[r->s.dialect]);
    assert_true(pqi_session_node_active(&r->s));
}

/* An active miner with job 1, and nothing in |sent|. */
static void room_active(room *r, pqi_miner_dialect dialect)
{
    room_init(r, dialect);
    pqi_miner_job job = job_number(1);
    pqi_session_node_job(&r->s, &job, r->now);
    say_hello(r);
    r->sent[0] = '\0';
}

static uint64_t verdicts(const room *r, pqi_miner_verdict verdict)
{
    return pqi_session_node_counters_get(&r->s)->verdicts[verdict];
}

static bool sent_job(const room *r, const char *id)
{
    char start[64];
    snprintf(start, sizeof(start), "{\"NewJob\":{\"job_id\":\"%s\"", id);
    return strstr(r->sent, start) != NULL;
}

static void assert_closed(const room *r, uint64_t code, const char *reason)
{
    assert_int_equal(r->closes, 1);
    assert_true(r->close_code == code);
    assert_string_equal(r->close_reason, reason);
    assert_false(pqi_session_node_active(&r->s));
}

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
