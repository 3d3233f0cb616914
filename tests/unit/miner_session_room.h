/* The node's side of one miner's connection, with a test in the place of both ends. */
#ifndef PQI_TESTS_MINER_SESSION_ROOM_H
#define PQI_TESTS_MINER_SESSION_ROOM_H

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

static inline bool on_write(void *user, const uint8_t *frame, size_t len)
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

static inline void on_close(void *user, uint64_t code, const char *reason)
{
    room *r = user;
    r->closes++;
    r->close_code = code;
    r->close_reason = reason;
}

static inline bool on_hello(void *user, const pqi_miner_hello *hello)
{
    room *r = user;
    r->hellos++;
    r->had_token = hello->token != NULL;
    snprintf(r->token, sizeof(r->token), "%s", hello->token != NULL ? hello->token : "");
    snprintf(r->name, sizeof(r->name), "%s", hello->name != NULL ? hello->name : "");
    return r->welcome;
}

static inline void on_result(void *user, const pqi_miner_result *result)
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

static inline pqi_miner_job job_number(unsigned number)
{
    pqi_miner_job job = {.difficulty = pqi_u512_from_u64(131072)};
    snprintf(job.id, sizeof(job.id), "%u", number);
    memset(job.mining_hash, (int)number, sizeof(job.mining_hash));
    return job;
}

static inline void room_init(room *r, pqi_miner_dialect dialect)
{
    memset(r, 0, sizeof(*r));
    r->now = START;
    r->welcome = true;
    r->answer_now = true;
    r->answer = PQI_VERDICT_ACCEPTED;
    pqi_session_node_init(&r->s, dialect, &events, r, r->now);
}

static inline void miner_sends(room *r, const char *json)
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
static inline void miner_solves(room *r, const char *job_id, unsigned nonce)
{
    char json[PQI_FRAME_BODY_MAX];
    snprintf(json, sizeof(json),
             "{\"JobResult\":{\"status\":\"completed\",\"job_id\":\"%s\",\"nonce\":\"%x\","
             "\"work\":\"%0*x\",\"hash_count\":5,\"elapsed_time\":0.5}}",
             job_id, nonce, 2 * PQI_MINER_WORK_SIZE, nonce);
    miner_sends(r, json);
}

static inline void say_hello(room *r)
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
static inline void room_active(room *r, pqi_miner_dialect dialect)
{
    room_init(r, dialect);
    pqi_miner_job job = job_number(1);
    pqi_session_node_job(&r->s, &job, r->now);
    say_hello(r);
    r->sent[0] = '\0';
}

static inline uint64_t verdicts(const room *r, pqi_miner_verdict verdict)
{
    return pqi_session_node_counters_get(&r->s)->verdicts[verdict];
}

static inline bool sent_job(const room *r, const char *id)
{
    char start[64];
    snprintf(start, sizeof(start), "{\"NewJob\":{\"job_id\":\"%s\"", id);
    return strstr(r->sent, start) != NULL;
}

static inline void assert_closed(const room *r, uint64_t code, const char *reason)
{
    assert_int_equal(r->closes, 1);
    assert_true(r->close_code == code);
    assert_string_equal(r->close_reason, reason);
    assert_false(pqi_session_node_active(&r->s));
}

#endif
