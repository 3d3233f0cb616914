/* OAP/1 over real links: HELLO names what the link negotiated, and frames of any size come through.
 * ctest labels: threads */
#include "test.h"

#include "one_identity.h"

#include "rpc/oap_stream.h"
#include "seen.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALPN "pqlink-test/1"
#define APP 7
#define BIG ((size_t)900000)

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned ready, answers, refused, closed;
    pqi_oap_claim server_claim;
    pqi_oap_posture posture;
    size_t bytes;
    uint64_t reset_code;
    bool content_ok;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

/* What the server of this test wants. */
static struct {
    bool enforce;
    bool twice; /* the client says HELLO twice in one write */
    bool lie;   /* its policy word is another, and so it believes in another key exchange */
} wish;

/* ---- server: answers a request with its own payload ---- */

static void server_ready(void *user, pqi_oap_claim claim, const char *agent)
{
    (void)user;
    assert_string_equal(agent, "test");
    SEEN(&seen, seen.server_claim = claim);
}

static void server_frame(void *user, const pqi_oap_frame *frame)
{
    pql_stream *stream = user;
    pqi_oap_frame answer = *frame;
    answer.flags = PQI_OAP_RESP;
    answer.code = 200;
    (void)pqi_oap_stream_send(pql_stream_data(stream), &answer, NULL);
}

static const pqi_oap_events server_events = {server_ready, server_frame};

static void server_stream(pql_stream *stream, void *user)
{
    (void)user;
    pqi_oap_stream *oap = NULL;
    const pqi_oap_stream_opts opts = {
        .enforce = wish.enforce, .require_claim = true, .events = &server_events, .user = stream};
    if (pqi_oap_stream_accept(&oap, stream, &opts, NULL) == PQL_OK) {
        pql_stream_set_data(stream, oap);
    }
}

static void server_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)user;
    if (pqi_oap_stream_data(pql_stream_data(stream), data, len, fin, NULL) != PQL_OK) {
        SEEN(&seen, seen.refused++);
    }
}

static void stream_gone(pql_stream *stream, uint64_t code, void *user)
{
    (void)user;
    pqi_oap_stream_free(pql_stream_data(stream));
    SEEN(&seen, seen.reset_code = code != 0 ? code : seen.reset_code);
    if (wish.twice && code != 0) {
        pql_link_close(pql_stream_link(stream), 0, "done");
    }
}

static const pql_handlers server_handlers = {
    .stream_open = server_stream, .stream_data = server_data, .stream_close = stream_gone};

/* ---- client: asks once with a big payload ---- */

static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 31 + (place >> 8));
}

static void client_ready(void *user, pqi_oap_claim claim, const char *agent)
{
    pql_stream *stream = pqi_oap_stream_of(*(pqi_oap_stream **)user);
    pqi_oap_stream *oap = pql_stream_data(stream);
    uint8_t *payload = malloc(BIG);
    (void)agent;
    SEEN(&seen, seen.ready++; seen.posture = *pqi_oap_stream_posture(oap));
    assert_non_null(payload);
    for (size_t i = 0; i < BIG; i++) {
        payload[i] = byte_at(i);
    }
    const pqi_oap_frame frame = {.flags = PQI_OAP_REQ | PQI_OAP_START | PQI_OAP_END,
                                 .app_proto_id = APP,
                                 .corr_id = 42,
                                 .payload = payload,
                                 .payload_len = BIG};
    if (claim == PQI_OAP_CLAIM_AGREES) {
        (void)pqi_oap_stream_send(oap, &frame, NULL);
    }
    free(payload);
}

static void client_frame(void *user, const pqi_oap_frame *frame)
{
    (void)user;
    bool ok = frame->code == 200 && frame->corr_id == 42 && frame->payload_len == BIG;
    for (size_t i = 0; ok && i < BIG; i++) {
        ok = frame->payload[i] == byte_at(i);
    }
    SEEN(&seen, seen.answers++; seen.content_ok = ok);
}

static const pqi_oap_events client_events = {client_ready, client_frame};
static pqi_oap_stream *of_client;

static void say_hello_twice(pql_link *link)
{
    static const char hello[] = "{\"ua\":\"test\",\"pq\":{\"mode\":1,\"kex\":3,\"sig\":2}}";
    uint8_t bytes[512];
    pqi_writer w;
    pql_stream *stream = NULL;
    const pqi_oap_frame frame = {.flags = PQI_OAP_REQ,
                                 .corr_id = 1,
                                 .payload = (const uint8_t *)hello,
                                 .payload_len = sizeof(hello) - 1};
    pqi_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_write(&w, &frame, NULL), PQL_OK);
    assert_int_equal(pqi_oap_write(&w, &frame, NULL), PQL_OK);
    assert_int_equal(pql_stream_open(link, &stream, NULL), PQL_OK);
    assert_int_equal(pql_stream_write(stream, bytes, w.len, false), PQL_OK);
}

static void client_open(pql_link *link, void *user)
{
    (void)user;
    if (wish.twice) {
        say_hello_twice(link);
        return;
    }
    const pqi_oap_stream_opts opts = {.policy = wish.lie ? PQL_POLICY_OFF : PQL_POLICY_HYBRID,
                                      .agent = "test",
                                      .events = &client_events,
                                      .user = &of_client};
    assert_int_equal(pqi_oap_stream_open(&of_client, link, &opts, NULL), PQL_OK);
    pql_stream_set_data(pqi_oap_stream_of(of_client), of_client);
}

static void client_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)user;
    pql_link *link = pql_stream_link(stream);
    SEEN(&seen, seen.bytes += len);
    const pql_status status = pqi_oap_stream_data(pql_stream_data(stream), data, len, fin, NULL);
    if (status != PQL_OK || pqi_oap_session_inflight(pqi_oap_stream_session(of_client)) == 0) {
        pql_link_close(link, 0, "done");
    }
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)why;
    (void)user;
    SEEN(&seen, seen.closed++);
}

static const pql_handlers client_handlers = {.link_open = client_open,
                                             .link_close = client_close,
                                             .stream_data = client_data,
                                             .stream_close = stream_gone};

static void talk(void)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    char url[64];
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_context_opts opts = {.identity = identity, .workers = 1};
    const pql_listen_opts listen = {.alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers};
    const pql_connect_opts connect = {.alpn = ALPN, .handlers = &client_handlers};
    pql_context *server = NULL;
    pql_context *client = NULL;
    pql_listener *listener = NULL;
    SEEN(&seen, seen.ready = seen.answers = seen.refused = seen.closed = 0; seen.bytes = 0;
         seen.reset_code = 0);
    assert_int_equal(pql_context_new(&server, &opts, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&client, &opts, NULL), PQL_OK);
    assert_int_equal(pql_listen(server, "quic://127.0.0.1:0", &listen, &listener, NULL), PQL_OK);
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)pql_listener_port(listener));
    assert_int_equal(pql_connect(client, url, &peer, &connect, NULL, NULL), PQL_OK);
    WAIT_UNTIL(&seen, seen.closed == 1);
    pql_context_free(client);
    pql_context_free(server);
}

static void a_big_request_and_its_answer_cross_a_link(void **state)
{
    (void)state;
    wish.enforce = true;
    talk();
    assert_int_equal(seen.ready, 1);
    assert_int_equal(seen.answers, 1);
    assert_true(seen.content_ok);
    assert_true(seen.bytes > BIG + (size_t)2 * PQI_OAP_HEADER_SIZE);
    assert_int_equal(seen.server_claim, PQI_OAP_CLAIM_AGREES);
}

static void the_posture_in_hello_is_that_of_the_link(void **state)
{
    (void)state;
    wish.enforce = true;
    talk();
    assert_int_equal(seen.posture.mode, PQI_OAP_MODE_HYBRID);
    assert_int_equal(seen.posture.kex, PQI_OAP_KEX_HYBRID);
    assert_int_equal(seen.posture.sig, PQI_OAP_SIG_ML_DSA);
}

/* The mode is the peer's own policy: another one there is no disagreement about the link. */
static void another_policy_word_of_the_peer_is_no_other_posture(void **state)
{
    (void)state;
    wish.enforce = true;
    wish.lie = true;
    talk();
    wish.lie = false;
    assert_int_equal(seen.answers, 1);
    assert_int_equal(seen.refused, 0);
}

/* The answer to the first is not sent then: it would end the stream in order. */
static void what_fails_behind_a_hello_resets_the_stream(void **state)
{
    (void)state;
    wish.twice = true;
    talk();
    wish.twice = false;
    assert_int_equal(seen.refused, 1);
    assert_int_equal(seen.reset_code, PQI_OAP_ERROR_PROTOCOL);
    assert_int_equal(seen.bytes, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_big_request_and_its_answer_cross_a_link),
        cmocka_unit_test(the_posture_in_hello_is_that_of_the_link),
        cmocka_unit_test(what_fails_behind_a_hello_resets_the_stream),
        cmocka_unit_test(another_policy_word_of_the_peer_is_no_other_posture),
    };
    return cmocka_run_group_tests(tests, identity_set_up, identity_tear_down);
}
