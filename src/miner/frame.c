#include "miner/frame.h"

/* The length of the body as the prefix says; call with the whole prefix in hand. */
static uint32_t body_length(const pqi_frame_reader *r)
{
    pqi_reader prefix;
    pqi_reader_init(&prefix, r->bytes, PQI_FRAME_PREFIX_SIZE);
    return pqi_read_u32(&prefix);
}

/* Takes bytes until |goal| are in hand; true when they are. */
static bool fill(pqi_frame_reader *r, pqi_reader *in, size_t goal)
{
    size_t wanted = goal - r->have;
    size_t count = pqi_reader_left(in) < wanted ? pqi_reader_left(in) : wanted;
    if (count > 0) { /* an empty reader may stand over NULL */
        pqi_read_copy(in, r->bytes + r->have, count);
        r->have += count;
    }
    return r->have == goal;
}

static pql_status check_length(pqi_frame_reader *r, uint32_t length, pql_error *err)
{
    if (length == 0) {
        r->failed = pqi_fail(err, PQL_E_PROTOCOL,
                             "The peer sent an empty frame, which this protocol does not know.");
    } else if (length > PQI_FRAME_BODY_MAX) {
        r->failed = pqi_fail(err, PQL_E_LIMIT,
                             "The peer announced a frame of %lu bytes, but at most %d are allowed.",
                             (unsigned long)length, PQI_FRAME_BODY_MAX);
    }
    return r->failed;
}

pql_status pqi_frame_read(pqi_frame_reader *r, pqi_reader *in, const uint8_t **body, size_t *len,
                          pql_error *err)
{
    *body = NULL;
    *len = 0;
    if (r->failed != PQL_OK) {
        return pqi_fail(err, r->failed, "The stream lost step at an earlier frame.");
    }
    if (r->finished > 0) {
        r->have = 0;
        r->finished = 0;
    }
    if (r->have < PQI_FRAME_PREFIX_SIZE && !fill(r, in, PQI_FRAME_PREFIX_SIZE)) {
        return PQL_OK;
    }
    uint32_t length = body_length(r);
    if (check_length(r, length, err) != PQL_OK) {
        return r->failed;
    }
    if (fill(r, in, PQI_FRAME_PREFIX_SIZE + (size_t)length)) {
        r->finished = length;
        *body = r->bytes + PQI_FRAME_PREFIX_SIZE;
        *len = length;
    }
    return PQL_OK;
}

bool pqi_frame_reader_inside(const pqi_frame_reader *r)
{
    return r->have > 0 && r->finished == 0;
}

void pqi_frame_begin(pqi_writer *w)
{
    pqi_write_u32(w, 0);
}

pql_status pqi_frame_end(pqi_writer *w, pql_error *err)
{
    if (!pqi_writer_ok(w) || w->len > PQI_FRAME_SIZE_MAX) {
        return pqi_fail(err, PQL_E_LIMIT,
                        "The message does not fit into a frame of %d bytes, or holds text that is "
                        "not UTF-8.",
                        PQI_FRAME_BODY_MAX);
    }
    pqi_writer prefix;
    pqi_writer_init(&prefix, w->data, PQI_FRAME_PREFIX_SIZE);
    pqi_write_u32(&prefix, (uint32_t)(w->len - PQI_FRAME_PREFIX_SIZE));
    return PQL_OK;
}
