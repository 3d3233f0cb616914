/* A server's OAP/1 session hears the same from a client's bytes however they are cut (the first
 * byte says how, the second what the server asks of HELLO), answers the same, keeps its bounds, and
 * stays failed once it has failed. */
#include "rpc/oap_session.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    unsigned ready, frames;
    uint64_t digest;
    pql_status status;
} outcome;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void on_ready(void *user, pqi_oap_claim claim, const char *agent)
{
    outcome *o = user;
    o->ready++;
    o->digest = o->digest * 31 + (uint64_t)claim;
    require(strlen(agent) <= PQI_OAP_AGENT_MAX);
}

static void on_frame(void *user, const pqi_oap_frame *frame)
{
    outcome *o = user;
    require(o->ready == 1 && frame->app_proto_id != PQI_OAP_CONTROL);
    o->frames++;
    o->digest = (o->digest * 31 + frame->flags) * 31 + frame->corr_id;
    for (size_t i = 0; i < frame->payload_len; i++) {
        o->digest = o->digest * 31 + frame->payload[i];
    }
}

static outcome hear(const uint8_t *data, size_t size, size_t piece, uint8_t wishes)
{
    static const pqi_oap_events events = {on_ready, on_frame};
    const pqi_oap_rules rules = {
        .server = true,
        .negotiated = {PQI_OAP_MODE_HYBRID, PQI_OAP_KEX_HYBRID, PQI_OAP_SIG_ML_DSA},
        .require_claim = (wishes & 1) != 0,
        .enforce = (wishes & 2) != 0};
    outcome o = {0};
    pqi_oap_session *s = NULL;
    pqi_buf reply = {0};
    require(pqi_oap_session_new(&s, &rules, &events, &o, NULL) == PQL_OK);
    for (size_t at = 0; at < size && o.status == PQL_OK; at += piece) {
        const size_t len = size - at < piece ? size - at : piece;
        o.status = pqi_oap_session_read(s, data + at, len, false, &reply, NULL);
        require(pqi_oap_session_inflight(s) <= PQI_OAP_INFLIGHT_MAX);
    }
    if (o.status != PQL_OK) {
        require(pqi_oap_session_read(s, data, size, false, &reply, NULL) == o.status);
    }
    for (size_t i = 0; i < reply.len; i++) {
        o.digest = o.digest * 31 + reply.data[i];
    }
    pqi_buf_free(&reply);
    pqi_oap_session_free(s);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2) {
        return 0;
    }
    const outcome whole = hear(data + 2, size - 2, size, data[1]);
    const outcome cut = hear(data + 2, size - 2, (size_t)data[0] + 1, data[1]);
    require(whole.ready == cut.ready && whole.frames == cut.frames);
    require(whole.digest == cut.digest && whole.status == cut.status);
    return 0;
}
