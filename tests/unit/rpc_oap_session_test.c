/* A conversation of OAP/1: HELLO first, exchanges by their ids, and every bound of both. */
#include "test.h"

#include "rpc/oap_session.h"

#include <stdio.h>

#include <stdlib.h>
#include <string.h>

/* X25519MLKEM768 with ML-DSA under the policy hybrid. */
static const pqi_oap_posture hybrid = {PQI_OAP_MODE_HYBRID, PQI_OAP_KEX_HYBRID, PQI_OAP_SIG_ML_DSA};
static const pqi_oap_posture classical = {PQI_OAP_MODE_HYBRID, PQI_OAP_KEX_X25519,
                                          PQI_OAP_SIG_ML_DSA};

#define APP 100
#define SEEN_MAX 256

/* One end and what it heard. */
typedef struct end {
    pqi_oap_session *session;
    unsigned ready;
    pqi_oap_claim claim;
    char agent[PQI_OAP_AGENT_MAX + 1];
    unsigned frames;
    uint16_t flags[SEEN_MAX];
    uint64_t ids[SEEN_MAX];
    size_t payload_bytes;
} end;

static void on_ready(void *user, pqi_oap_claim claim, const char *agent)
{
    end *e = user;
    e->ready++;
    e->claim = claim;
    (void)snprintf(e->agent, sizeof(e->agent), "%s", agent);
}

static void on_frame(void *user, const pqi_oap_frame *frame)
{
    end *e = user;
    assert_true(e->frames < SEEN_MAX);
    e->flags[e->frames] = frame->flags;
    e->ids[e->frames++] = frame->corr_id;
    e->payload_bytes += frame->payload_len;
}

static const pqi_oap_events events = {on_ready, on_frame};

static void end_open(end *e, const pqi_oap_rules *rules)
{
    memset(e, 0, sizeof(*e));
    assert_int_equal(pqi_oap_session_new(&e->session, rules, &events, e, NULL), PQL_OK);
}

/* Both ends, with HELLO through. */
typedef struct pair {
    end client, server;
} pair;

static pql_status give(end *to, pqi_buf *bytes, pqi_buf *reply, pql_error *err)
{
    const pql_status status =
        pqi_oap_session_read(to->session, bytes->data, bytes->len, false, reply, err);
    bytes->len = 0;
    return status;
}

static void pair_open(pair *p, size_t server_frame_max)
{
    pqi_buf out = {0};
    pqi_buf reply = {0};
    end_open(&p->client, &(pqi_oap_rules){.agent = "test/1", .negotiated = hybrid});
    end_open(&p->server,
             &(pqi_oap_rules){.server = true, .negotiated = hybrid, .frame_max = server_frame_max});
    assert_int_equal(pqi_oap_session_start(p->client.session, &out, NULL), PQL_OK);
    assert_int_equal(give(&p->server, &out, &reply, NULL), PQL_OK);
    assert_int_equal(give(&p->client, &reply, &out, NULL), PQL_OK);
    assert_int_equal(out.len, 0);
    assert_true(pqi_oap_session_ready(p->client.session));
    assert_true(pqi_oap_session_ready(p->server.session));
    pqi_buf_free(&out);
    pqi_buf_free(&reply);
}

static void pair_close(pair *p)
{
    pqi_oap_session_free(p->client.session);
    pqi_oap_session_free(p->server.session);
}

static pqi_oap_frame frame_of(unsigned flags, uint64_t id)
{
    return (pqi_oap_frame){.flags = (uint16_t)flags, .app_proto_id = APP, .corr_id = id};
}

/* Writes at one end, reads at the other: what the writer, else the reader, says. */
static pql_status pass(end *from, end *to, unsigned flags, uint64_t id)
{
    pqi_buf out = {0};
    pqi_buf reply = {0};
    const pqi_oap_frame frame = frame_of(flags, id);
    pql_status status = pqi_oap_session_write(from->session, &frame, &out, NULL);
    if (status == PQL_OK) {
        status = give(to, &out, &reply, NULL);
    }
    assert_int_equal(reply.len, 0);
    pqi_buf_free(&out);
    pqi_buf_free(&reply);
    return status;
}

/* Bytes that the reader's own side would not have written. */
static pql_status inject(end *to, const pqi_oap_frame *frame)
{
    uint8_t bytes[512];
    pqi_writer w;
    pqi_buf reply = {0};
    pqi_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_write(&w, frame, NULL), PQL_OK);
    const pql_status status = pqi_oap_session_read(to->session, bytes, w.len, false, &reply, NULL);
    pqi_buf_free(&reply);
    return status;
}

/* ---- HELLO ---- */

static void hello_tells_agent_and_posture_and_opens_both_ends(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 0);
    assert_int_equal(p.server.ready, 1);
    assert_int_equal(p.client.ready, 1);
    assert_string_equal(p.server.agent, "test/1");
    assert_int_equal(p.server.claim, PQI_OAP_CLAIM_AGREES);
    assert_int_equal(p.client.claim, PQI_OAP_CLAIM_AGREES);
    pair_close(&p);
}

static void nothing_is_sent_before_hello_is_through(void **state)
{
    (void)state;
    end client;
    pqi_buf out = {0};
    const pqi_oap_frame frame = frame_of(PQI_OAP_REQ, 7);
    end_open(&client, &(pqi_oap_rules){.negotiated = hybrid});
    assert_int_equal(pqi_oap_session_write(client.session, &frame, &out, NULL), PQL_E_STATE);
    assert_int_equal(pqi_oap_session_start(client.session, &out, NULL), PQL_OK);
    const size_t hello = out.len;
    assert_int_equal(pqi_oap_session_write(client.session, &frame, &out, NULL), PQL_E_STATE);
    assert_int_equal(pqi_oap_session_start(client.session, &out, NULL), PQL_E_STATE);
    assert_int_equal(out.len, hello);
    pqi_buf_free(&out);
    pqi_oap_session_free(client.session);
}

static void a_first_frame_that_is_no_hello_fails_the_session_for_good(void **state)
{
    (void)state;
    const pqi_oap_frame wrong[] = {
        frame_of(PQI_OAP_REQ, 1),
        {.flags = PQI_OAP_RESP, .corr_id = 1},
        {.flags = PQI_OAP_REQ, .corr_id = 1},
        {.flags = PQI_OAP_REQ, .corr_id = 1, .payload_len = 2, .payload = (const uint8_t *)"[]"}};
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        end server;
        end_open(&server, &(pqi_oap_rules){.server = true, .negotiated = hybrid});
        assert_int_equal(inject(&server, &wrong[i]), PQL_E_PROTOCOL);
        assert_int_equal(inject(&server, &wrong[i]), PQL_E_PROTOCOL);
        assert_int_equal(server.ready, 0);
        pqi_oap_session_free(server.session);
    }
}

/* The answer to a HELLO with the posture |claim| at a server that negotiated |hybrid|. */
static pql_status hello_with(const pqi_oap_posture *claim, bool require, bool enforce, end *server,
                             pqi_buf *reply)
{
    uint8_t payload[PQI_OAP_HELLO_MAX];
    uint8_t bytes[PQI_OAP_HELLO_MAX];
    pqi_writer w;
    pqi_oap_hello hello = {.has_posture = claim != NULL};
    if (claim != NULL) {
        hello.posture = *claim;
    }
    end_open(server, &(pqi_oap_rules){.server = true,
                                      .negotiated = hybrid,
                                      .require_claim = require,
                                      .enforce = enforce});
    pqi_writer_init(&w, payload, sizeof(payload));
    assert_int_equal(pqi_oap_hello_write(&w, &hello, NULL), PQL_OK);
    const pqi_oap_frame frame = {
        .flags = PQI_OAP_REQ, .corr_id = 9, .payload = payload, .payload_len = w.len};
    pqi_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_write(&w, &frame, NULL), PQL_OK);
    return pqi_oap_session_read(server->session, bytes, w.len, false, reply, NULL);
}

static void a_posture_is_compared_and_refused_only_where_rules_say_so(void **state)
{
    (void)state;
    const pqi_oap_posture later = {PQI_OAP_MODE_HYBRID, 77, PQI_OAP_SIG_ML_DSA};
    static const struct {
        int claim; /* 0 absent, 1 agrees, 2 disagrees, 3 later */
        bool require, enforce;
        pql_status status;
        pqi_oap_claim verdict;
    } cases[] = {
        {0, false, false, PQL_OK, PQI_OAP_CLAIM_ABSENT},
        {0, false, true, PQL_OK, PQI_OAP_CLAIM_ABSENT},
        {0, true, false, PQL_E_POLICY, 0},
        {1, true, true, PQL_OK, PQI_OAP_CLAIM_AGREES},
        {2, false, false, PQL_OK, PQI_OAP_CLAIM_DISAGREES},
        {2, false, true, PQL_E_POLICY, 0},
        {3, true, false, PQL_OK, PQI_OAP_CLAIM_UNKNOWN},
        {3, false, true, PQL_E_POLICY, 0},
    };
    const pqi_oap_posture *const claims[] = {NULL, &hybrid, &classical, &later};
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        end server;
        pqi_buf reply = {0};
        assert_int_equal(
            hello_with(claims[cases[i].claim], cases[i].require, cases[i].enforce, &server, &reply),
            cases[i].status);
        assert_int_equal(server.ready, cases[i].status == PQL_OK ? 1 : 0);
        assert_int_equal(server.claim, cases[i].verdict);
        /* Welcome or refusal, the client is told. */
        assert_true(reply.len > PQI_OAP_HEADER_SIZE);
        assert_int_equal(reply.data[8] << 8 | reply.data[9], cases[i].status == PQL_OK ? 200 : 403);
        pqi_buf_free(&reply);
        pqi_oap_session_free(server.session);
    }
}

static void a_client_is_told_that_its_posture_was_refused(void **state)
{
    (void)state;
    end client;
    end server;
    pqi_buf out = {0};
    pqi_buf reply = {0};
    pql_error err;
    end_open(&client, &(pqi_oap_rules){.negotiated = classical});
    end_open(&server, &(pqi_oap_rules){.server = true, .negotiated = hybrid, .enforce = true});
    assert_int_equal(pqi_oap_session_start(client.session, &out, NULL), PQL_OK);
    assert_int_equal(give(&server, &out, &reply, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "another posture"));
    assert_int_equal(give(&client, &reply, &out, &err), PQL_E_REFUSED);
    assert_non_null(strstr(err.message, "403"));
    assert_int_equal(client.ready, 0);
    pqi_buf_free(&out);
    pqi_buf_free(&reply);
    pqi_oap_session_free(client.session);
    pqi_oap_session_free(server.session);
}

static void a_client_judges_the_servers_posture_too(void **state)
{
    (void)state;
    end client;
    end server;
    pqi_buf out = {0};
    pqi_buf reply = {0};
    end_open(&client, &(pqi_oap_rules){.negotiated = classical, .enforce = true});
    end_open(&server, &(pqi_oap_rules){.server = true, .negotiated = hybrid});
    assert_int_equal(pqi_oap_session_start(client.session, &out, NULL), PQL_OK);
    assert_int_equal(give(&server, &out, &reply, NULL), PQL_OK);
    assert_int_equal(server.claim, PQI_OAP_CLAIM_DISAGREES);
    assert_int_equal(give(&client, &reply, &out, NULL), PQL_E_POLICY);
    pqi_buf_free(&out);
    pqi_buf_free(&reply);
    pqi_oap_session_free(client.session);
    pqi_oap_session_free(server.session);
}

/* ---- Exchanges ---- */

static void a_request_in_one_frame_gets_an_answer_in_one_frame(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 0);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, 5), PQL_OK);
    assert_int_equal(pqi_oap_session_inflight(p.server.session), 1);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_RESP, 5), PQL_OK);
    assert_int_equal(pqi_oap_session_inflight(p.server.session), 0);
    assert_int_equal(pqi_oap_session_inflight(p.client.session), 0);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, 5), PQL_OK); /* the id is free again */
    pair_close(&p);
}

static void requests_and_answers_may_have_many_frames(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 0);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ | PQI_OAP_START, 1), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ | PQI_OAP_START, 2), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, 1), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ | PQI_OAP_END, 2), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ | PQI_OAP_END, 1), PQL_OK);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_RESP | PQI_OAP_START, 2), PQL_OK);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_RESP | PQI_OAP_START | PQI_OAP_END, 1),
                     PQL_OK);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_RESP, 2), PQL_OK);
    assert_int_equal(pqi_oap_session_inflight(p.client.session), 1);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_RESP | PQI_OAP_END, 2), PQL_OK);
    assert_int_equal(pqi_oap_session_inflight(p.client.session), 0);
    assert_int_equal(p.server.frames, 5);
    assert_int_equal(p.client.frames, 4);
    pair_close(&p);
}

static void an_early_answer_ends_a_request_whose_rest_is_dropped(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 0);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ | PQI_OAP_START, 3), PQL_OK);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_RESP, 3), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, 3), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ | PQI_OAP_END, 3), PQL_OK);
    assert_int_equal(p.server.frames, 1);
    assert_int_equal(pqi_oap_session_inflight(p.server.session), 0);
    assert_int_equal(pqi_oap_session_inflight(p.client.session), 0);
    pair_close(&p);
}

static void events_belong_to_no_exchange(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 0);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_EVENT, 0), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_EVENT, 0), PQL_OK);
    assert_int_equal(p.client.frames + p.server.frames, 2);
    assert_int_equal(pqi_oap_session_inflight(p.client.session), 0);
    pair_close(&p);
}

static void what_fits_no_exchange_is_our_error_and_the_peers_protocol_error(void **state)
{
    (void)state;
    static const struct {
        bool by_server;
        unsigned first; /* by the client, with the same id; 0: none */
        unsigned flags;
    } cases[] = {
        {true, 0, PQI_OAP_RESP},           /* nobody asked */
        {true, 0, PQI_OAP_REQ},            /* a server asks nothing */
        {false, 0, PQI_OAP_RESP},          /* a client answers nothing */
        {false, PQI_OAP_REQ, PQI_OAP_REQ}, /* the id is in use */
        {false, PQI_OAP_REQ | PQI_OAP_START, PQI_OAP_REQ | PQI_OAP_START},
        {false, 0, 0},
        {false, 0, PQI_OAP_REQ | PQI_OAP_EVENT},
        {true, PQI_OAP_REQ, PQI_OAP_RESP | PQI_OAP_EVENT},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pair p;
        pqi_buf out = {0};
        const pqi_oap_frame frame = frame_of(cases[i].flags, 8);
        pair_open(&p, 0);
        if (cases[i].first != 0) {
            assert_int_equal(pass(&p.client, &p.server, cases[i].first, 8), PQL_OK);
        }
        end *from = cases[i].by_server ? &p.server : &p.client;
        end *to = cases[i].by_server ? &p.client : &p.server;
        assert_int_equal(pqi_oap_session_write(from->session, &frame, &out, NULL), PQL_E_STATE);
        assert_int_equal(out.len, 0);
        assert_int_equal(inject(to, &frame), PQL_E_PROTOCOL);
        pqi_buf_free(&out);
        pair_close(&p);
    }
}

static void a_request_with_a_status_and_a_second_hello_are_refused(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 0);
    pqi_oap_frame frame = frame_of(PQI_OAP_REQ, 1);
    frame.code = 200;
    assert_int_equal(inject(&p.server, &frame), PQL_E_PROTOCOL);
    pair_close(&p);
    pair_open(&p, 0);
    frame = frame_of(PQI_OAP_REQ, 1);
    frame.app_proto_id = PQI_OAP_CONTROL;
    assert_int_equal(inject(&p.server, &frame), PQL_E_PROTOCOL);
    pair_close(&p);
}

/* ---- Bounds ---- */

static void no_more_exchanges_than_offered_are_under_way(void **state)
{
    (void)state;
    pair p;
    pair_open(&p, 0);
    for (uint64_t id = 0; id < PQI_OAP_INFLIGHT_MAX; id++) {
        assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, id), PQL_OK);
    }
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, 999), PQL_E_LIMIT); /* ours says so */
    assert_int_equal(p.server.frames, PQI_OAP_INFLIGHT_MAX);
    assert_int_equal(pass(&p.server, &p.client, PQI_OAP_RESP, 3), PQL_OK);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, 999), PQL_OK);
    const pqi_oap_frame more = frame_of(PQI_OAP_REQ, 1000);
    assert_int_equal(inject(&p.server, &more), PQL_E_LIMIT); /* and so does a server, of others */
    pair_close(&p);
}

static void a_frame_over_the_peers_limit_is_not_sent(void **state)
{
    (void)state;
    pair p;
    pqi_buf out = {0};
    static const uint8_t payload[512];
    pqi_oap_frame frame = frame_of(PQI_OAP_REQ, 1);
    pair_open(&p, PQI_OAP_HEADER_SIZE + 400);
    frame.payload = payload;
    frame.payload_len = 400;
    assert_int_equal(pqi_oap_session_write(p.client.session, &frame, &out, NULL), PQL_OK);
    pqi_buf_free(&out);
    frame.corr_id = 2;
    frame.payload_len = 401;
    assert_int_equal(pqi_oap_session_write(p.client.session, &frame, &out, NULL), PQL_E_LIMIT);
    assert_int_equal(out.len, 0);
    assert_int_equal(inject(&p.server, &frame), PQL_E_LIMIT);
    pair_close(&p);
}

static void a_frame_that_could_not_be_sent_was_never_written(void **state)
{
    (void)state;
    pair p;
    pqi_buf out = {0};
    const pqi_oap_frame ask = frame_of(PQI_OAP_REQ, 1);
    pair_open(&p, 0);
    assert_int_equal(pqi_oap_session_write(p.client.session, &ask, &out, NULL), PQL_OK);
    assert_int_equal(pqi_oap_session_inflight(p.client.session), 1);
    pqi_oap_session_unwrite(p.client.session);
    assert_int_equal(pqi_oap_session_inflight(p.client.session), 0);
    assert_int_equal(pass(&p.client, &p.server, PQI_OAP_REQ, 1), PQL_OK);
    pqi_buf_free(&out);
    pair_close(&p);
}

static void a_stream_that_ends_within_a_frame_is_an_error(void **state)
{
    (void)state;
    pair p;
    uint8_t bytes[64];
    pqi_writer w;
    pqi_buf reply = {0};
    const pqi_oap_frame frame = frame_of(PQI_OAP_EVENT, 0);
    pqi_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_write(&w, &frame, NULL), PQL_OK);
    for (size_t len = 0; len <= w.len; len++) {
        pair_open(&p, 0);
        assert_int_equal(pqi_oap_session_read(p.server.session, bytes, len, true, &reply, NULL),
                         len == 0 || len == w.len ? PQL_OK : PQL_E_PROTOCOL);
        assert_int_equal(p.server.frames, len == w.len ? 1 : 0);
        pair_close(&p);
    }
    pqi_buf_free(&reply);
}

/* A whole conversation of a client, as bytes. */
static void conversation(pqi_buf *all)
{
    pair p;
    pqi_buf out = {0};
    pqi_buf reply = {0};
    static const unsigned flags[] = {PQI_OAP_REQ | PQI_OAP_START, PQI_OAP_REQ, PQI_OAP_EVENT,
                                     PQI_OAP_REQ | PQI_OAP_END};
    end_open(&p.client, &(pqi_oap_rules){.agent = "test/1", .negotiated = hybrid});
    end_open(&p.server, &(pqi_oap_rules){.server = true, .negotiated = hybrid});
    assert_int_equal(pqi_oap_session_start(p.client.session, all, NULL), PQL_OK);
    assert_int_equal(
        pqi_oap_session_read(p.server.session, all->data, all->len, false, &reply, NULL), PQL_OK);
    assert_int_equal(give(&p.client, &reply, &out, NULL), PQL_OK);
    for (size_t i = 0; i < sizeof(flags) / sizeof(flags[0]); i++) {
        pqi_oap_frame frame = frame_of(flags[i], 6);
        frame.payload = (const uint8_t *)"payload";
        frame.payload_len = i * 2;
        assert_int_equal(pqi_oap_session_write(p.client.session, &frame, all, NULL), PQL_OK);
    }
    pqi_buf_free(&out);
    pqi_buf_free(&reply);
    pair_close(&p);
}

static void a_conversation_may_be_cut_anywhere(void **state)
{
    (void)state;
    pqi_buf all = {0};
    conversation(&all);
    for (size_t cut = 0; cut <= all.len; cut++) {
        end server;
        pqi_buf reply = {0};
        end_open(&server, &(pqi_oap_rules){.server = true, .negotiated = hybrid});
        assert_int_equal(pqi_oap_session_read(server.session, all.data, cut, false, &reply, NULL),
                         PQL_OK);
        assert_int_equal(
            pqi_oap_session_read(server.session, all.data + cut, all.len - cut, true, &reply, NULL),
            PQL_OK);
        assert_int_equal(server.ready, 1);
        assert_int_equal(server.frames, 4);
        assert_int_equal(server.payload_bytes, 2 + 4 + 6);
        pqi_buf_free(&reply);
        pqi_oap_session_free(server.session);
    }
    pqi_buf_free(&all);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hello_tells_agent_and_posture_and_opens_both_ends),
        cmocka_unit_test(nothing_is_sent_before_hello_is_through),
        cmocka_unit_test(a_first_frame_that_is_no_hello_fails_the_session_for_good),
        cmocka_unit_test(a_posture_is_compared_and_refused_only_where_rules_say_so),
        cmocka_unit_test(a_client_is_told_that_its_posture_was_refused),
        cmocka_unit_test(a_client_judges_the_servers_posture_too),
        cmocka_unit_test(a_request_in_one_frame_gets_an_answer_in_one_frame),
        cmocka_unit_test(requests_and_answers_may_have_many_frames),
        cmocka_unit_test(an_early_answer_ends_a_request_whose_rest_is_dropped),
        cmocka_unit_test(events_belong_to_no_exchange),
        cmocka_unit_test(what_fits_no_exchange_is_our_error_and_the_peers_protocol_error),
        cmocka_unit_test(a_request_with_a_status_and_a_second_hello_are_refused),
        cmocka_unit_test(no_more_exchanges_than_offered_are_under_way),
        cmocka_unit_test(a_frame_over_the_peers_limit_is_not_sent),
        cmocka_unit_test(a_frame_that_could_not_be_sent_was_never_written),
        cmocka_unit_test(a_stream_that_ends_within_a_frame_is_an_error),
        cmocka_unit_test(a_conversation_may_be_cut_anywhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
