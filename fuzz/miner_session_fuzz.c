/* Both ends of a miner connection under any bytes, in any order of events.
 *
 * Input: one byte for the dialect, then steps of two bytes, action and argument.  The action
 * "bytes" is followed by four times its argument in bytes, which go to both ends. */
#include "miner/session_miner.h"
#include "miner/session_node.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct world {
    pqi_session_node node;
    pqi_session_miner miner;
    uint64_t now;
    unsigned node_closes;
    unsigned miner_closes;
    unsigned results;
    uint64_t ticket;
    uint64_t serial;
    bool full;
    bool answer_now;
} world;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* Each frame is whole and a message of the dialect. */
static void require_message(pqi_miner_dialect dialect, const uint8_t *frame, size_t len)
{
    pqi_frame_reader r = {0};
    pqi_reader in;
    pqi_reader_init(&in, frame, len);
    const uint8_t *body;
    size_t body_len;
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_message m;
    require(pqi_frame_read(&r, &in, &body, &body_len, NULL) == PQL_OK && body != NULL);
    require(pqi_reader_done(&in));
    require(pqi_miner_decode(dialect, body, body_len, &m, text, NULL) == PQL_OK);
    require(m.type != PQI_MINER_UNKNOWN);
}

static bool node_write(void *user, const uint8_t *frame, size_t len)
{
    world *w = user;
    require(w->node_closes == 0);
    require_message(w->node.dialect, frame, len);
    return !w->full;
}

static void node_close(void *user, uint64_t code, const char *reason)
{
    world *w = user;
    w->node_closes++;
    require(w->node_closes == 1 && code < PQI_CLOSE_COUNT && reason != NULL);
}

static bool node_hello(void *user, const pqi_miner_hello *hello)
{
    (void)user;
    require(hello->token == NULL || strlen(hello->token) <= PQI_MINER_TOKEN_MAX);
    return hello->token == NULL || hello->token[0] != 'x';
}

static void node_result(void *user, const pqi_miner_result *result)
{
    world *w = user;
    w->results++;
    w->ticket = result->ticket;
    require(!pqi_miner_work_is_zero(result->work));
    if (w->answer_now) {
        pqi_miner_verdict verdict = (pqi_miner_verdict)(result->work[0] % PQI_VERDICT_COUNT);
        require(pqi_session_node_verdict(&w->node, result->ticket, verdict, NULL,
                                         PQI_MINER_NO_NUMBER, w->now));
    }
}

static bool miner_write(void *user, const uint8_t *frame, size_t len)
{
    world *w = user;
    require(w->miner_closes == 0);
    require_message(w->miner.dialect, frame, len);
    return !w->full;
}

static void miner_close(void *user, uint64_t code, const char *reason)
{
    world *w = user;
    w->miner_closes++;
    require(w->miner_closes == 1 && code < PQI_CLOSE_COUNT && reason != NULL);
}

static void miner_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    world *w = user;
    require(serial > w->serial && !pqi_u512_is_zero(&job->difficulty));
    w->serial = serial;
}

static void miner_cancel(void *user, const char *reason)
{
    (void)user;
    require(reason != NULL);
}

static void miner_ack(void *user, const pqi_miner_ack *ack)
{
    (void)user;
    require(ack->job_id != NULL && ack->reason != NULL && ack->verdict < PQI_VERDICT_COUNT);
}

static const pqi_session_node_events node_events = {node_write, node_close, node_hello,
                                                    node_result};
static const pqi_session_miner_events miner_events = {miner_write,  miner_close, miner_job,
                                                      miner_cancel, miner_ack,   NULL};

static void give_job(world *w, uint8_t argument)
{
    pqi_miner_job job = {.id = {(char)('0' + argument % 10), '\0'},
                         .difficulty = pqi_u512_from_u64((uint64_t)argument + 1)};
    pqi_session_node_job(&w->node, &job, w->now);
}

static void solve(world *w, uint8_t argument)
{
    const uint8_t work[PQI_MINER_WORK_SIZE] = {[63] = argument};
    pqi_session_miner_solution(&w->miner, w->serial, work, argument, argument, NULL);
}

static void give_bytes(world *w, pqi_reader *script, size_t len)
{
    len = pqi_reader_left(script) < len ? pqi_reader_left(script) : len;
    const uint8_t *bytes = pqi_read_bytes(script, len);
    pqi_session_node_bytes(&w->node, bytes, len, w->now);
    pqi_session_miner_bytes(&w->miner, bytes, len);
}

static void step(world *w, pqi_reader *script)
{
    uint8_t action = pqi_read_u8(script);
    uint8_t argument = pqi_read_u8(script);
    switch (action % 8) {
    case 0:
        give_job(w, argument);
        break;
    case 1:
        pqi_session_node_cancel(&w->node, "idle", w->now);
        break;
    case 2:
        solve(w, argument);
        break;
    case 3:
        w->now += argument * (PQI_NS_PER_SEC / 16);
        pqi_session_node_expire(&w->node, w->now);
        break;
    case 4:
        w->full = argument % 2 != 0;
        pqi_session_node_writable(&w->node, w->now);
        break;
    case 5:
        pqi_session_node_verdict(&w->node, w->ticket,
                                 (pqi_miner_verdict)(argument % PQI_VERDICT_COUNT), "because",
                                 argument, w->now);
        break;
    case 6:
        w->answer_now = argument % 2 != 0;
        pqi_session_miner_stats(&w->miner, argument, argument * PQI_NS_PER_SEC, NULL);
        break;
    default:
        give_bytes(w, script, (size_t)argument * 4);
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static world w;
    memset(&w, 0, sizeof(w));
    pqi_reader script;
    pqi_reader_init(&script, data, size);
    pqi_miner_dialect dialect = (pqi_miner_dialect)(pqi_read_u8(&script) % PQI_MINER_DIALECTS);
    uint64_t start = PQI_NS_PER_SEC;
    w.now = start;
    pqi_session_node_init(&w.node, dialect, &node_events, &w, w.now);
    pqi_session_miner_init(&w.miner, dialect, &miner_events, &w);
    pqi_session_miner_open(&w.miner, "token", "rig", NULL, NULL);
    while (pqi_reader_left(&script) > 0) {
        step(&w, &script);
    }
    pqi_session_node_fin(&w.node);
    pqi_session_miner_fin(&w.miner);
    require(w.node_closes == 1 && w.miner_closes == 1);
    uint64_t grown = (w.now - start) * PQI_NODE_RESULTS_PER_SEC / PQI_NS_PER_SEC;
    require(w.results <= PQI_NODE_RESULT_BURST + grown + 1);
    return 0;
}
