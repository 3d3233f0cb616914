#include "rpc/oap_stream.h"

#include <stdlib.h>

struct pqi_oap_stream {
    pql_stream *stream; /* borrowed */
    pqi_oap_session *session;
    pqi_oap_posture posture;
    pqi_buf out; /* between session and stream; empty between calls */
};

static pql_status make(pqi_oap_stream **out, const pql_link *link, bool server,
                       const pqi_oap_stream_opts *opts, pql_error *err)
{
    *out = NULL;
    pqi_oap_stream *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory beginning an OAP stream.");
    }
    s->posture = pqi_oap_posture_of(opts->policy, pql_link_posture(link), server);
    const pqi_oap_rules rules = {.server = server,
                                 .agent = opts->agent,
                                 .negotiated = s->posture,
                                 .require_claim = opts->require_claim,
                                 .enforce = opts->enforce,
                                 .frame_max = opts->frame_max};
    const pql_status status =
        pqi_oap_session_new(&s->session, &rules, opts->events, opts->user, err);
    if (status != PQL_OK) {
        pqi_oap_stream_free(s);
        return status;
    }
    *out = s;
    return PQL_OK;
}

void pqi_oap_stream_free(pqi_oap_stream *s)
{
    if (s != NULL) {
        pqi_oap_session_free(s->session);
        pqi_buf_free(&s->out);
        free(s);
    }
}

/* Hands over what the session wrote. */
static pql_status flush(pqi_oap_stream *s, pql_error *err)
{
    const pql_status status = pql_stream_write(s->stream, s->out.data, s->out.len, false);
    s->out.len = 0;
    if (status == PQL_E_LIMIT) {
        return pqi_fail(err, status, "The peer reads too slowly: the stream's queue is full.");
    }
    return status == PQL_OK ? PQL_OK : pqi_fail(err, status, "The OAP stream is closed.");
}

pql_status pqi_oap_stream_open(pqi_oap_stream **out, pql_link *link,
                               const pqi_oap_stream_opts *opts, pql_error *err)
{
    pql_status status = make(out, link, false, opts, err);
    pqi_oap_stream *s = *out;
    if (status != PQL_OK) {
        return status;
    }
    status = pqi_oap_session_start(s->session, &s->out, err);
    if (status == PQL_OK) {
        status = pql_stream_open(link, &s->stream, err);
    }
    if (status == PQL_OK) {
        status = flush(s, err);
    }
    if (status != PQL_OK) {
        pqi_oap_stream_free(s);
        *out = NULL;
    }
    return status;
}

pql_status pqi_oap_stream_accept(pqi_oap_stream **out, pql_stream *stream,
                                 const pqi_oap_stream_opts *opts, pql_error *err)
{
    const pql_status status = make(out, pql_stream_link(stream), true, opts, err);
    if (status == PQL_OK) {
        (*out)->stream = stream;
    }
    return status;
}

static uint64_t code_of(pql_status status)
{
    switch (status) {
    case PQL_E_POLICY:
        return PQI_OAP_ERROR_POSTURE;
    case PQL_E_LIMIT:
        return PQI_OAP_ERROR_LIMIT;
    case PQL_E_PROTOCOL:
    case PQL_E_UNSUPPORTED:
        return PQI_OAP_ERROR_PROTOCOL;
    default:
        return PQI_OAP_ERROR_INTERNAL;
    }
}

pql_status pqi_oap_stream_data(pqi_oap_stream *s, const uint8_t *data, size_t len, bool fin,
                               pql_error *err)
{
    const pql_status status = pqi_oap_session_read(s->session, data, len, fin, &s->out, err);
    const bool has_reply = s->out.len > 0;
    if (status == PQL_OK) {
        return has_reply ? flush(s, err) : PQL_OK;
    }
    if (status == PQL_E_POLICY && has_reply &&
        pql_stream_write(s->stream, s->out.data, s->out.len, true) == PQL_OK) {
        s->out.len = 0; /* a refusal ends the stream in order, so that it arrives */
        return status;
    }
    s->out.len = 0;
    pql_stream_reset(s->stream, code_of(status));
    return status;
}

pql_status pqi_oap_stream_send(pqi_oap_stream *s, const pqi_oap_frame *frame, pql_error *err)
{
    /* From within an event an answer to HELLO may still wait, which must not be lost with us. */
    pql_status status = s->out.len > 0 ? flush(s, err) : PQL_OK;
    if (status == PQL_OK) {
        status = pqi_oap_session_write(s->session, frame, &s->out, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    status = flush(s, err);
    if (status != PQL_OK) {
        pqi_oap_session_unwrite(s->session);
    }
    return status;
}

const pqi_oap_posture *pqi_oap_stream_posture(const pqi_oap_stream *s)
{
    return &s->posture;
}

const pqi_oap_session *pqi_oap_stream_session(const pqi_oap_stream *s)
{
    return s->session;
}

pql_stream *pqi_oap_stream_of(const pqi_oap_stream *s)
{
    return s->stream;
}
