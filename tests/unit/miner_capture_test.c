/* Recorded sessions between the original node and the original miner, in quantus-miner/2: put in
 * the place of either, ours reads what the other wrote and writes, byte for byte, what was written
 * there. */
#include "test.h"

#include "base/hex.h"
#include "crypto/hash.h"
#include "miner/pow.h"
#include "miner/session_miner.h"
#include "miner/session_node.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_MAX 4096
#define TOKEN "0707070707070707070707070707070707070707070707070707070707070707"
/* What the original miner says of each of its results. */
#define HASHES 23048
#define ELAPSED_NS (194 * PQI_NS_PER_MS)

typedef struct bytes {
    uint8_t data[STREAM_MAX];
    size_t len;
} bytes;

/* One of ours in its place, with what it wrote and what came out. */
typedef struct end {
    pqi_session_node node;
    pqi_session_miner miner;
    bytes written;
    unsigned hellos, results, jobs;
    bool closed;
    uint64_t close_code;
    char close_reason[32];
} end;

static json_t *recording;

static int load_recording(void **state)
{
    (void)state;
    recording = json_load_file(PQLINK_TEST_DATA "/quantus-capture-v2.json", 0, NULL);
    return recording != NULL ? 0 : -1;
}

static int free_recording(void **state)
{
    (void)state;
    json_decref(recording);
    return 0;
}

static bytes unhex(const json_t *object, const char *name)
{
    const char *hex = json_string_value(json_object_get(object, name));
    bytes out = {.len = strlen(hex) / 2};
    assert_true(out.len <= sizeof(out.data));
    assert_true(pqi_hex_decode(out.data, out.len, hex, strlen(hex)));
    return out;
}

/* What one side of the recorded session wrote. */
static bytes recorded(const char *title, const char *direction)
{
    size_t i;
    json_t *session;
    json_array_foreach(json_object_get(recording, "sessions"), i, session)
    {
        const char *name = json_string_value(json_object_get(session, "title"));
        if (strncmp(name, title, strlen(title)) == 0) {
            return unhex(session, direction);
        }
    }
    fail_msg("no recorded session is called %s", title);
    return (bytes){0};
}

static void assert_written(const end *e, const bytes *expected)
{
    assert_int_equal(e->written.len, expected->len);
    assert_memory_equal(e->written.data, expected->data, expected->len);
}

static bool on_write(void *user, const uint8_t *frame, size_t len)
{
    bytes *b = &((end *)user)->written;
    assert_true(len <= sizeof(b->data) - b->len);
    memcpy(b->data + b->len, frame, len);
    b->len += len;
    return true;
}

static void on_close(void *user, uint64_t code, const char *reason)
{
    end *e = user;
    e->closed = true;
    e->close_code = code;
    (void)strncpy(e->close_reason, reason, sizeof(e->close_reason) - 1);
}

/* ---- In the place of the node ---- */

/* As many as the recorded node gave. */
#define JOBS 4

/* The jobs of the recorded session: all for one hash, at the least difficulty of the chain. */
static pqi_miner_job job_number(unsigned number)
{
    char id[] = {(char)('0' + number), '\0'};
    char hash[2 * PQI_MINER_HASH_SIZE + 1] = {0};
    for (size_t i = 0; i < PQI_MINER_HASH_SIZE; i++) {
        memcpy(hash + 2 * i, "01", 2);
    }
    pqi_miner_job job;
    assert_int_equal(pqi_miner_job_read(&job, id, hash, "131072", NULL), PQL_OK);
    return job;
}

static bool on_hello(void *user, const pqi_miner_hello *hello)
{
    ((end *)user)->hellos++;
    return strcmp(hello->token, TOKEN) == 0;
}

static void on_result(void *user, const pqi_miner_result *result)
{
    end *e = user;
    e->results++;
    pqi_miner_job expected = job_number(e->results);
    assert_true(pqi_miner_job_same(&result->job, &expected));
    assert_int_equal(result->hashes, HASHES);
    assert_int_equal(result->elapsed_ns, ELAPSED_NS);
    pqi_u512 target;
    assert_true(pqi_pow_target(&target, &result->job.difficulty));
    assert_true(pqi_pow_verify(result->job.mining_hash, result->work, &target));
    /* A block: the next job is there before the verdict, as in the service. */
    if (e->results < JOBS) {
        pqi_miner_job next = job_number(e->results + 1);
        pqi_session_node_job(&e->node, &next, 0);
    } else {
        pqi_session_node_cancel(&e->node, "idle", 0);
    }
    pqi_session_node_verdict(&e->node, result->ticket, PQI_VERDICT_ACCEPTED, NULL,
                             PQI_MINER_NO_NUMBER, 0);
}

static const pqi_session_node_events node_events = {
    .write = on_write, .close = on_close, .hello = on_hello, .result = on_result};

static void feed_node(end *e, const bytes *in, size_t piece)
{
    *e = (end){0};
    pqi_session_node_init(&e->node, PQI_MINER_V2, &node_events, e, 0);
    pqi_miner_job first = job_number(1);
    pqi_session_node_job(&e->node, &first, 0);
    for (size_t at = 0; at < in->len && !e->closed; at += piece) {
        size_t left = in->len - at;
        pqi_session_node_bytes(&e->node, in->data + at, left < piece ? left : piece, 0);
    }
}

static void our_node_serves_the_original_miner_as_the_original_node_did(void **state)
{
    (void)state;
    const bytes in = recorded("normal session", "miner_to_node");
    const bytes out = recorded("normal session", "node_to_miner");
    static const size_t pieces[] = {STREAM_MAX, 1, 7};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        end e;
        feed_node(&e, &in, pieces[i]);
        assert_int_equal(e.hellos, 1);
        assert_int_equal(e.results, 4);
        assert_false(e.closed);
        assert_written(&e, &out);
    }
}

static void
our_node_refuses_the_wrong_token_with_the_words_that_stop_the_original_miner(void **state)
{
    (void)state;
    const bytes in = recorded("wrong token", "miner_to_node");
    end e;
    feed_node(&e, &in, in.len);
    assert_true(e.closed);
    assert_int_equal(e.close_code, 0);
    assert_string_equal(e.close_reason, "auth failed");
    assert_int_equal(e.written.len, 0);
}

/* ---- In the place of the miner ---- */

static void on_job(void *user, const pqi_miner_job *job, uint64_t serial)
{
    end *e = user;
    e->jobs++;
    pqi_miner_job expected = job_number(e->jobs);
    assert_true(pqi_miner_job_same(job, &expected));
    uint8_t work[PQI_MINER_WORK_SIZE] = {0};
    work[PQI_MINER_WORK_SIZE - 2] = 0x5a;
    work[PQI_MINER_WORK_SIZE - 1] = 0x08;
    assert_int_equal(pqi_session_miner_solution(&e->miner, serial, work, HASHES, ELAPSED_NS, NULL),
                     PQL_OK);
}

static void on_cancel(void *user, const char *reason)
{
    (void)user;
    fail_msg("the original node cannot cancel: %s", reason);
}

static void on_ack(void *user, const pqi_miner_ack *ack)
{
    (void)user;
    fail_msg("the original node does not acknowledge: %s", ack->reason);
}

static const pqi_session_miner_events miner_events = {
    .write = on_write, .close = on_close, .job = on_job, .cancel = on_cancel, .ack = on_ack};

static void our_miner_mines_for_the_original_node_as_the_original_miner_did(void **state)
{
    (void)state;
    const bytes in = recorded("normal session", "node_to_miner");
    const bytes out = recorded("normal session", "miner_to_node");
    static const size_t pieces[] = {STREAM_MAX, 1, 7};
    for (size_t i = 0; i < sizeof(pieces) / sizeof(pieces[0]); i++) {
        end e = {0};
        pqi_session_miner_init(&e.miner, PQI_MINER_V2, &miner_events, &e);
        // It has a name, which this dialect has no place for.
        assert_int_equal(pqi_session_miner_open(&e.miner, TOKEN, "rig-1", NULL, NULL), PQL_OK);
        for (size_t at = 0; at < in.len; at += pieces[i]) {
            size_t left = in.len - at;
            pqi_session_miner_bytes(&e.miner, in.data + at, left < pieces[i] ? left : pieces[i]);
        }
        assert_int_equal(e.jobs, 4);
        assert_false(e.closed);
        assert_written(&e, &out);
    }
}

static void the_recorded_close_is_final_for_our_miner_too(void **state)
{
    (void)state;
    assert_true(pqi_miner_close_is_final(PQI_MINER_V2, 0, "auth failed", strlen("auth failed")));
    assert_false(pqi_miner_close_is_final(PQI_MINER_V2, 0, "", 0));
}

static void the_recorded_pin_is_the_hash_of_the_recorded_certificate(void **state)
{
    (void)state;
    const bytes certificate = unhex(recording, "certificate_der");
    const bytes pin = unhex(recording, "certificate_sha256");
    uint8_t hash[PQI_SHA256_SIZE];
    pqi_sha256(hash, certificate.data, certificate.len);
    assert_int_equal(pin.len, sizeof(hash));
    assert_memory_equal(hash, pin.data, sizeof(hash));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(our_node_serves_the_original_miner_as_the_original_node_did),
        cmocka_unit_test(
            our_node_refuses_the_wrong_token_with_the_words_that_stop_the_original_miner),
        cmocka_unit_test(our_miner_mines_for_the_original_node_as_the_original_miner_did),
        cmocka_unit_test(the_recorded_pin_is_the_hash_of_the_recorded_certificate),
        cmocka_unit_test(the_recorded_close_is_final_for_our_miner_too),
    };
    return cmocka_run_group_tests(tests, load_recording, free_recording);
}
