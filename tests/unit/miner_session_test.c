/* Node and miner joined back to back in memory: every byte of one goes to the other, whole or one
 * at a time, in each dialect; time is a number. */
#include "test.h"

#include "miner/session_miner.h"
#include "miner/session_node.h"

#include <stdio.h>
#include <string.h>

#define SECOND PQI_NS_PER_SEC

/* Bytes on their way. */
typedef struct pipe_buffer {
    uint8_t data[16384];
    size_t len;
} pipe_buffer;

typedef struct pair {
    pqi_session_node node;
    pqi_session_miner miner;
    pipe_buffer to_node;
    pipe_buffer to_miner;
    size_t piece; /* bytes per delivery */
    uint64_t now;
    const char *token;        /* what the node takes */
    pqi_miner_verdict answer; /* of the node to each result */
    unsigned jobs;
    unsigned cancels;
    unsigned acks;
    pqi_miner_verdict last_ack;
    uint64_t serial;
    unsigned node_closes;
    unsigned miner_closes;
    uint64_t close_code;
    char close_reason[32];
} pair;

static bool push(pipe_buffer *b, const uint8_t *data, size_t len)
{
    if (sizeof(b->data) - b->len < len) {
        return false;
    }
    memcpy(b->data + b->len, data, len);
    b->len += len;
    return true;
}

static bool node_write(void *user, const uint8_t *frame, size_t len)
{
    return push(&((pair *)user)->to_miner, frame, len);
}

static void node_close(void *user, uint64_t code, const char *reason)
{
    pair *p = user;
    p->node_closes++;
    p->close_code = code;
    snprintf(p->close_reason, sizeof(p->close_reason), "%s", reason);
}

static bool node_hello(void *user, const pqi_miner_hello *hello)
{
    const pair *p = user;
    return hello->token == NULL ? p->token == NULL || hello->dialect == PQI_MINER_V1
                                : p->token != NULL && strcmp(hello->token, p->token) == 0;
}

static void node_result(void *user, const pqi_miner_result *result)
{
    pair *p = user;
    pqi_session_node_verdict(&p->node, result->ticket, p->answer, NULL, PQI_MINER_NO_NUMBER,
                             p->now);
}

static bool miner_write(void *user, const uint8_t *frame, size_t len)
{
    return push(&((pair *)user)->to_node, frame, len);
}

static void miner_close(void *user, uint64_t code, const char *reason)
{
    (void)code;
    (void)reason;
    ((pair *)user)->miner_closes++;
}

static void miner_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    (void)job;
    pair *p = user;
    p->jobs++;
    p->serial = serial;
}

static void miner_cancel(void *user, const char *reason)
{
    (void)reason;
    ((pair *)user)->cancels++;
}

static void miner_ack(void *user, const pqi_miner_ack *ack)
{
    pair *p = user;
    p->acks++;
    p->last_ack = ack->verdict;
}

static const pqi_session_node_events node_events = {node_write, node_close, node_hello,
                                                    node_result};
static const pqi_session_miner_events miner_events = {miner_write,  miner_close, miner_job,
                                                      miner_cancel, miner_ack,   NULL};

/* Delivers until nothing is on its way. */
static void settle(pair *p)
{
    while (p->to_node.len > 0 || p->to_miner.len > 0) {
        pipe_buffer a = p->to_node;
        pipe_buffer b = p->to_miner;
        p->to_node.len = 0;
        p->to_miner.len = 0;
        for (size_t at = 0; at < a.len; at += p->piece) {
            size_t len = a.len - at < p->piece ? a.len - at : p->piece;
            pqi_session_node_bytes(&p->node, a.data + at, len, p->now);
        }
        for (size_t at = 0; at < b.len; at += p->piece) {
            size_t len = b.len - at < p->piece ? b.len - at : p->piece;
            pqi_session_miner_bytes(&p->miner, b.data + at, len);
        }
    }
}

static void pair_init(pair *p, pqi_miner_dialect dialect, size_t piece)
{
    memset(p, 0, sizeof(*p));
    p->piece = piece;
    p->now = 1000 * SECOND;
    p->token = "secret";
    pqi_session_node_init(&p->node, dialect, &node_events, p, p->now);
    pqi_session_miner_init(&p->miner, dialect, &miner_events, p);
}

static void give_job(pair *p, unsigned number)
{
    pqi_miner_job job = {.difficulty = pqi_u512_max()};
    snprintf(job.id, sizeof(job.id), "%u", number);
    pqi_session_node_job(&p->node, &job, p->now);
    settle(p);
}

static void solve(pair *p, uint8_t nonce)
{
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[0] = 0xff, [63] = nonce};
    assert_int_equal(pqi_session_miner_solution(&p->miner, p->serial, work, 1, SECOND, NULL),
                     PQL_OK);
    settle(p);
}

static void a_session_runs_in_each_dialect_whole_and_bytewise(void **state)
{
    (void)state;
    for (int d = 0; d < PQI_MINER_DIALECTS; d++) {
        for (size_t piece = 1; piece <= 1024; piece *= 4) {
            pair p;
            pair_init(&p, (pqi_miner_dialect)d, piece);
            assert_int_equal(pqi_session_miner_open(&p.miner, "secret", NULL, NULL, NULL), PQL_OK);
            settle(&p);
            give_job(&p, 1);
            solve(&p, 1);
            give_job(&p, 2);
            solve(&p, 1);
            pqi_session_miner_stats(&p.miner, 20, 10 * SECOND, NULL);
            settle(&p);
            const pqi_session_node_counters *c = pqi_session_node_counters_get(&p.node);
            assert_int_equal(c->verdicts[PQI_VERDICT_ACCEPTED], 2);
            /* Official miners get a job that stays the current one again after each result. */
            assert_int_equal(p.jobs, d == PQI_MINER_PQ1 ? 2 : 4);
            assert_int_equal(p.acks, d == PQI_MINER_PQ1 ? 2 : 0);
            assert_int_equal(c->hashes, d == PQI_MINER_PQ1 ? 20 : 0);
            assert_int_equal(p.node_closes + p.miner_closes, 0);
        }
    }
}

static void a_wrong_token_is_final_for_the_miner(void **state)
{
    (void)state;
    for (int d = PQI_MINER_PQ1; d <= PQI_MINER_V2; d++) {
        pair p;
        pair_init(&p, (pqi_miner_dialect)d, 1);
        pqi_session_miner_open(&p.miner, "guess", NULL, NULL, NULL);
        settle(&p);
        assert_int_equal(p.node_closes, 1);
        assert_true(pqi_miner_close_is_final((pqi_miner_dialect)d, p.close_code, p.close_reason,
                                             strlen(p.close_reason)));
    }
}

static void a_silent_miner_is_dropped_but_may_come_back(void **state)
{
    (void)state;
    for (int d = 0; d < PQI_MINER_DIALECTS; d++) {
        pair p;
        pair_init(&p, (pqi_miner_dialect)d, 1);
        p.now = pqi_session_node_deadline(&p.node);
        pqi_session_node_expire(&p.node, p.now);
        assert_int_equal(p.node_closes, 1);
        assert_false(pqi_miner_close_is_final((pqi_miner_dialect)d, p.close_code, p.close_reason,
                                              strlen(p.close_reason)));
    }
}

static void a_result_that_crosses_a_new_job_is_stale_and_harmless(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, PQI_MINER_PQ1, 1);
    pqi_session_miner_open(&p.miner, "secret", NULL, NULL, NULL);
    settle(&p);
    give_job(&p, 1);
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[63] = 1};
    pqi_session_miner_solution(&p.miner, p.serial, work, 1, SECOND, NULL);
    give_job(&p, 2);
    assert_int_equal(p.acks, 1);
    assert_int_equal(p.last_ack, PQI_VERDICT_STALE);
    solve(&p, 1);
    assert_int_equal(p.last_ack, PQI_VERDICT_ACCEPTED);
}

static void an_official_miner_works_on_after_a_result_that_brought_no_new_job(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, PQI_MINER_V2, 1);
    p.answer = PQI_VERDICT_INVALID;
    pqi_session_miner_open(&p.miner, "secret", NULL, NULL, NULL);
    settle(&p);
    give_job(&p, 1);
    solve(&p, 1);
    assert_int_equal(p.jobs, 2);
    p.answer = PQI_VERDICT_ACCEPTED;
    solve(&p, 2);
    assert_int_equal(p.jobs, 3);
}

static void a_cancel_stops_the_miner_until_the_next_job(void **state)
{
    (void)state;
    pair p;
    pair_init(&p, PQI_MINER_PQ1, 1);
    pqi_session_miner_open(&p.miner, "secret", NULL, NULL, NULL);
    settle(&p);
    assert_int_equal(p.cancels, 1);
    give_job(&p, 1);
    pqi_session_node_cancel(&p.node, "syncing", p.now);
    settle(&p);
    assert_int_equal(p.cancels, 2);
    give_job(&p, 2);
    solve(&p, 1);
    assert_int_equal(p.last_ack, PQI_VERDICT_ACCEPTED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_session_runs_in_each_dialect_whole_and_bytewise),
        cmocka_unit_test(a_wrong_token_is_final_for_the_miner),
        cmocka_unit_test(a_silent_miner_is_dropped_but_may_come_back),
        cmocka_unit_test(a_result_that_crosses_a_new_job_is_stale_and_harmless),
        cmocka_unit_test(an_official_miner_works_on_after_a_result_that_brought_no_new_job),
        cmocka_unit_test(a_cancel_stops_the_miner_until_the_next_job),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
