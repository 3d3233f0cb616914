#include "rpc/oap_session.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HELLO_CORR_ID 1
/* Status codes of answers, as in HTTP (RFC 9110, section 15). */
#define CODE_OK 200
#define CODE_FORBIDDEN 403
/* Bits that say what kind of frame it is: exactly one of them. */
#define KINDS (PQI_OAP_REQ | PQI_OAP_RESP | PQI_OAP_EVENT)

typedef enum phase {
    PHASE_NEW,   /* nothing was said yet */
    PHASE_HELLO, /* client: HELLO is sent, the answer is waited for */
    PHASE_OPEN,
    PHASE_FAILED
} phase;

/* A request and its answer. */
typedef struct exchange {
    uint64_t corr_id;
    bool asking;    /* more of the request may come */
    bool answering; /* the answer has begun and goes on */
    bool answered;  /* it is through; what still comes of the request is dropped */
} exchange;

struct pqi_oap_session {
    pqi_oap_rules rules;
    const pqi_oap_events *events;
    void *user;
    char agent[PQI_OAP_AGENT_MAX + 1];
    phase phase;
    pql_status failed; /* in PHASE_FAILED */
    pqi_oap_reader reader;
    size_t peer_frame_max; /* that the peer takes */
    unsigned inflight_max; /* that the one who is asked takes */
    exchange open[PQI_OAP_INFLIGHT_MAX];
    unsigned open_count;
    exchange before[PQI_OAP_INFLIGHT_MAX]; /* as |open| was before the last write */
    unsigned before_count;
};

pql_status pqi_oap_session_new(pqi_oap_session **out, const pqi_oap_rules *rules,
                               const pqi_oap_events *events, void *user, pql_error *err)
{
    *out = NULL;
    if (rules->agent != NULL && strlen(rules->agent) > PQI_OAP_AGENT_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "The agent's name has at most %d characters.",
                        PQI_OAP_AGENT_MAX);
    }
    pqi_oap_session *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory beginning an OAP session.");
    }
    s->rules = *rules;
    if (rules->agent != NULL) {
        (void)snprintf(s->agent, sizeof(s->agent), "%s", rules->agent);
    }
    s->rules.agent = NULL;
    s->events = events;
    s->user = user;
    pqi_oap_reader_init(&s->reader, rules->frame_max);
    s->peer_frame_max = PQI_OAP_FRAME_MAX;
    s->inflight_max = PQI_OAP_INFLIGHT_MAX;
    *out = s;
    return PQL_OK;
}

void pqi_oap_session_free(pqi_oap_session *s)
{
    if (s != NULL) {
        pqi_oap_reader_free(&s->reader);
        free(s);
    }
}

bool pqi_oap_session_ready(const pqi_oap_session *s)
{
    return s->phase == PHASE_OPEN;
}

unsigned pqi_oap_session_inflight(const pqi_oap_session *s)
{
    return s->open_count;
}

/* ---- Frames into a buffer ---- */

static pql_status append(pqi_buf *out, const pqi_oap_frame *frame, pql_error *err)
{
    pqi_writer w;
    const size_t size = pqi_oap_size(frame);
    uint8_t *bytes = malloc(size);
    if (bytes == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory writing an OAP frame.");
    }
    pqi_writer_init(&w, bytes, size);
    pql_status status = pqi_oap_write(&w, frame, err);
    if (status == PQL_OK && !pqi_buf_append(out, bytes, w.len)) {
        status = pqi_fail(err, PQL_E_NOMEM, "Out of memory writing an OAP frame.");
    }
    free(bytes);
    return status;
}

static pql_status append_control(pqi_buf *out, uint16_t flags, uint16_t code, uint64_t corr_id,
                                 const pqi_writer *payload, pql_error *err)
{
    const pqi_oap_frame frame = {.flags = flags,
                                 .code = code,
                                 .app_proto_id = PQI_OAP_CONTROL,
                                 .corr_id = corr_id,
                                 .payload = payload->data,
                                 .payload_len = payload->len};
    return append(out, &frame, err);
}

pql_status pqi_oap_session_start(pqi_oap_session *s, pqi_buf *out, pql_error *err)
{
    uint8_t bytes[PQI_OAP_HELLO_MAX];
    pqi_writer w;
    pqi_oap_hello hello = {
        .has_agent = s->agent[0] != '\0', .has_posture = true, .posture = s->rules.negotiated};
    if (s->rules.server || s->phase != PHASE_NEW) {
        return pqi_fail(err, PQL_E_STATE, "A HELLO is said once, by the client.");
    }
    memcpy(hello.agent, s->agent, sizeof(hello.agent));
    pqi_writer_init(&w, bytes, sizeof(bytes));
    pql_status status = pqi_oap_hello_write(&w, &hello, err);
    if (status == PQL_OK) {
        status = append_control(out, PQI_OAP_REQ, 0, HELLO_CORR_ID, &w, err);
    }
    s->phase = status == PQL_OK ? PHASE_HELLO : s->phase;
    return status;
}

/* ---- HELLO ---- */

/* The posture in a HELLO proves nothing: it can only make the answer worse. */
static pql_status judge_claim(const pqi_oap_session *s, const pqi_oap_posture *claim,
                              pqi_oap_claim *verdict, pql_error *err)
{
    *verdict = pqi_oap_claim_judge(claim, &s->rules.negotiated);
    if (*verdict == PQI_OAP_CLAIM_ABSENT && s->rules.require_claim) {
        return pqi_fail(err, PQL_E_POLICY,
                        "The peer's HELLO names no post-quantum posture, and one is required. "
                        "Update the peer, or require none on this side.");
    }
    if (s->rules.enforce &&
        (*verdict == PQI_OAP_CLAIM_DISAGREES || *verdict == PQI_OAP_CLAIM_UNKNOWN)) {
        return pqi_fail(err, PQL_E_POLICY,
                        "The peer's HELLO names another posture (key exchange %u, signature %u) "
                        "than the link has (%u, %u): somebody may be in between.",
                        claim->kex, claim->sig, s->rules.negotiated.kex, s->rules.negotiated.sig);
    }
    return PQL_OK;
}

static void open_session(pqi_oap_session *s, pqi_oap_claim claim, const char *agent)
{
    s->phase = PHASE_OPEN;
    if (s->events->ready != NULL) {
        s->events->ready(s->user, claim, agent);
    }
}

/* The error envelope of micronode.md section 11.  The sentence is for our log; the peer is told
 * what kind it is. */
static void refuse(const pqi_oap_frame *hello, pqi_buf *reply)
{
    uint8_t bytes[PQI_OAP_HELLO_MAX];
    char text[PQI_OAP_HELLO_MAX];
    pqi_writer w;
    (void)snprintf(
        text, sizeof(text),
        "{\"code\":\"forbidden\",\"message\":\"the posture in the HELLO is not accepted\","
        "\"retryable\":false,\"corr_id\":\"%llu\"}",
        (unsigned long long)hello->corr_id);
    pqi_writer_init(&w, bytes, sizeof(bytes));
    pqi_write_bytes(&w, text, strlen(text));
    /* Without memory the reset of the stream has to do. */
    (void)append_control(reply, PQI_OAP_RESP, CODE_FORBIDDEN, hello->corr_id, &w, NULL);
}

static pql_status welcome(pqi_oap_session *s, const pqi_oap_frame *frame, pqi_buf *reply,
                          pql_error *err)
{
    uint8_t bytes[PQI_OAP_HELLO_MAX];
    pqi_writer w;
    const pqi_oap_welcome answer = {.frame_max = (uint32_t)s->reader.frame_max,
                                    .inflight_max = PQI_OAP_INFLIGHT_MAX,
                                    .flags = PQI_OAP_FLAGS_KNOWN & ~PQI_OAP_COMP,
                                    .has_posture = true,
                                    .posture = s->rules.negotiated};
    pqi_writer_init(&w, bytes, sizeof(bytes));
    const pql_status status = pqi_oap_welcome_write(&w, &answer, err);
    return status == PQL_OK ? append_control(reply, PQI_OAP_RESP, CODE_OK, frame->corr_id, &w, err)
                            : status;
}

static pql_status server_hello(pqi_oap_session *s, const pqi_oap_frame *frame, pqi_buf *reply,
                               pql_error *err)
{
    pqi_oap_hello hello;
    pqi_oap_claim claim;
    if (frame->app_proto_id != PQI_OAP_CONTROL || (frame->flags & KINDS) != PQI_OAP_REQ) {
        return pqi_fail(err, PQL_E_PROTOCOL, "The first OAP frame is not a HELLO.");
    }
    pql_status status = pqi_oap_hello_read(&hello, frame->payload, frame->payload_len, err);
    if (status != PQL_OK) {
        return status;
    }
    status = judge_claim(s, hello.has_posture ? &hello.posture : NULL, &claim, err);
    if (status != PQL_OK) {
        refuse(frame, reply);
        return status;
    }
    status = welcome(s, frame, reply, err);
    if (status == PQL_OK) {
        open_session(s, claim, hello.agent);
    }
    return status;
}

static size_t smaller(size_t a, size_t b)
{
    return a < b ? a : b;
}

static pql_status client_hello_answered(pqi_oap_session *s, const pqi_oap_frame *frame,
                                        pql_error *err)
{
    pqi_oap_welcome answer;
    pqi_oap_claim claim;
    if (frame->app_proto_id != PQI_OAP_CONTROL || (frame->flags & KINDS) != PQI_OAP_RESP ||
        frame->corr_id != HELLO_CORR_ID) {
        return pqi_fail(err, PQL_E_PROTOCOL, "The first OAP frame does not answer our HELLO.");
    }
    if (frame->code != CODE_OK) {
        return pqi_fail(err, PQL_E_REFUSED, "The server refused our HELLO with the code %u.",
                        (unsigned)frame->code);
    }
    pql_status status = pqi_oap_welcome_read(&answer, frame->payload, frame->payload_len, err);
    if (status == PQL_OK) {
        status = judge_claim(s, answer.has_posture ? &answer.posture : NULL, &claim, err);
    }
    if (status == PQL_OK && (answer.frame_max < PQI_OAP_HEADER_SIZE || answer.inflight_max == 0)) {
        status = pqi_fail(err, PQL_E_PROTOCOL, "The server takes no frames at all.");
    }
    if (status == PQL_OK) {
        /* Only downwards: more than the protocol's own bounds is never used. */
        s->peer_frame_max = smaller(answer.frame_max, PQI_OAP_FRAME_MAX);
        s->inflight_max = (unsigned)smaller(answer.inflight_max, PQI_OAP_INFLIGHT_MAX);
        open_session(s, claim, "");
    }
    return status;
}

/* ---- Exchanges ---- */

static exchange *find(pqi_oap_session *s, uint64_t corr_id)
{
    for (unsigned i = 0; i < s->open_count; i++) {
        if (s->open[i].corr_id == corr_id) {
            return &s->open[i];
        }
    }
    return NULL;
}

/* Its id is free again when both sides are through. */
static void close_if_over(pqi_oap_session *s, exchange *e)
{
    if (e->answered && !e->asking) {
        *e = s->open[--s->open_count];
    }
}

/* What is wrong is the peer's fault when it read so, and ours when we were to write it. */
static pql_status wrong(bool ours, uint64_t corr_id, const char *what, pql_error *err)
{
    return pqi_fail(err, ours ? PQL_E_STATE : PQL_E_PROTOCOL, "OAP exchange %llu: %s.",
                    (unsigned long long)corr_id, what);
}

static pql_status track_request(pqi_oap_session *s, const pqi_oap_frame *frame, bool ours,
                                pql_error *err)
{
    exchange *e = find(s, frame->corr_id);
    const bool start = (frame->flags & PQI_OAP_START) != 0;
    const bool end = (frame->flags & PQI_OAP_END) != 0;
    if (e != NULL) {
        if (start || !e->asking) {
            return wrong(ours, frame->corr_id, "its id is in use", err);
        }
        e->asking = !end;
        close_if_over(s, e);
        return PQL_OK;
    }
    if (frame->code != 0) {
        return wrong(ours, frame->corr_id, "a request has no status code", err);
    }
    if (s->open_count >= s->inflight_max) {
        return pqi_fail(err, PQL_E_LIMIT, "%u OAP exchanges are under way, and no more are taken.",
                        s->open_count);
    }
    /* One frame without START and END is a whole request too. */
    s->open[s->open_count++] = (exchange){.corr_id = frame->corr_id, .asking = start && !end};
    return PQL_OK;
}

static pql_status track_answer(pqi_oap_session *s, const pqi_oap_frame *frame, bool ours,
                               pql_error *err)
{
    exchange *e = find(s, frame->corr_id);
    const bool start = (frame->flags & PQI_OAP_START) != 0;
    const bool end = (frame->flags & PQI_OAP_END) != 0;
    if (e == NULL || e->answered) {
        return wrong(ours, frame->corr_id, "nobody waits for an answer", err);
    }
    if (start && e->answering) {
        return wrong(ours, frame->corr_id, "its answer has begun already", err);
    }
    if ((start || e->answering) && !end) {
        e->answering = true;
        return PQL_OK;
    }
    e->answered = true; /* also while the request goes on: the answer says that it is enough */
    close_if_over(s, e);
    return PQL_OK;
}

static pql_status track(pqi_oap_session *s, const pqi_oap_frame *frame, bool ours, pql_error *err)
{
    const bool asks = ours != s->rules.server; /* this frame comes from the client */
    switch (frame->flags & KINDS) {
    case PQI_OAP_REQ:
        return asks ? track_request(s, frame, ours, err)
                    : wrong(ours, frame->corr_id, "a server asks nothing", err);
    case PQI_OAP_RESP:
        return asks ? wrong(ours, frame->corr_id, "a client answers nothing", err)
                    : track_answer(s, frame, ours, err);
    case PQI_OAP_EVENT:
        return PQL_OK;
    default:
        return wrong(ours, frame->corr_id, "a frame is one of request, answer and event", err);
    }
}

/* ---- In ---- */

static pql_status take_frame(pqi_oap_session *s, const pqi_oap_frame *frame, pqi_buf *reply,
                             pql_error *err)
{
    if (s->phase == PHASE_NEW) {
        return s->rules.server ? server_hello(s, frame, reply, err)
                               : pqi_fail(err, PQL_E_PROTOCOL, "An answer came before HELLO.");
    }
    if (s->phase == PHASE_HELLO) {
        return client_hello_answered(s, frame, err);
    }
    if (frame->app_proto_id == PQI_OAP_CONTROL) {
        return pqi_fail(err, PQL_E_PROTOCOL, "A control frame came after HELLO.");
    }
    const exchange *e = find(s, frame->corr_id);
    const bool leftover = e != NULL && e->answered && (frame->flags & KINDS) == PQI_OAP_REQ;
    const pql_status status = track(s, frame, false, err);
    if (status == PQL_OK && !leftover && s->events->frame != NULL) {
        s->events->frame(s->user, frame);
    }
    return status;
}

static pql_status take(pqi_oap_session *s, pqi_reader *in, bool fin, pqi_buf *reply, pql_error *err)
{
    for (;;) {
        pqi_oap_frame frame;
        bool whole = false;
        pql_status status = pqi_oap_read(&s->reader, in, &frame, &whole, err);
        if (status == PQL_OK && whole) {
            status = take_frame(s, &frame, reply, err);
        }
        if (status != PQL_OK) {
            return status;
        }
        if (!whole) {
            return fin && pqi_oap_reader_inside(&s->reader)
                       ? pqi_fail(err, PQL_E_PROTOCOL, "The OAP stream ended within a frame.")
                       : PQL_OK;
        }
    }
}

pql_status pqi_oap_session_read(pqi_oap_session *s, const uint8_t *data, size_t len, bool fin,
                                pqi_buf *reply, pql_error *err)
{
    pqi_reader in;
    if (s->phase == PHASE_FAILED) {
        return pqi_fail(err, s->failed, "The OAP session has failed before.");
    }
    pqi_reader_init(&in, data, len);
    const pql_status status = take(s, &in, fin, reply, err);
    if (status != PQL_OK) {
        s->phase = PHASE_FAILED;
        s->failed = status;
    }
    return status;
}

/* ---- Out ---- */

pql_status pqi_oap_session_write(pqi_oap_session *s, const pqi_oap_frame *frame, pqi_buf *out,
                                 pql_error *err)
{
    if (s->phase != PHASE_OPEN) {
        return pqi_fail(err, PQL_E_STATE, "OAP frames can be sent when HELLO is through.");
    }
    if (frame->app_proto_id == PQI_OAP_CONTROL) {
        return pqi_fail(err, PQL_E_USAGE, "Control frames are the session's own.");
    }
    if (pqi_oap_size(frame) > s->peer_frame_max) {
        return pqi_fail(err, PQL_E_LIMIT,
                        "An OAP frame of %zu bytes is over the peer's limit, %zu.",
                        pqi_oap_size(frame), s->peer_frame_max);
    }
    memcpy(s->before, s->open, sizeof(s->before));
    s->before_count = s->open_count;
    pql_status status = track(s, frame, true, err);
    if (status == PQL_OK) {
        status = append(out, frame, err);
    }
    if (status != PQL_OK) {
        pqi_oap_session_unwrite(s);
    }
    return status;
}

void pqi_oap_session_unwrite(pqi_oap_session *s)
{
    memcpy(s->open, s->before, sizeof(s->open));
    s->open_count = s->before_count;
}
