#include "rpc/oap.h"

#include <string.h>

/* What a header says, beside what goes into the frame. */
typedef struct header {
    uint32_t length;
    uint16_t version;
    uint16_t capability_len;
} header;

size_t pqi_oap_size(const pqi_oap_frame *frame)
{
    return PQI_OAP_HEADER_SIZE + frame->capability_len + frame->payload_len;
}

static pql_status check_outgoing(const pqi_oap_frame *frame, pql_error *err)
{
    if ((frame->flags & ~PQI_OAP_FLAGS_KNOWN) != 0 || (frame->flags & PQI_OAP_COMP) != 0) {
        return pqi_fail(err, PQL_E_USAGE, "The flags %#06x of an OAP frame are not spoken here.",
                        (unsigned)frame->flags);
    }
    if (frame->capability_len > 0 && (frame->flags & PQI_OAP_START) == 0) {
        return pqi_fail(err, PQL_E_USAGE, "Only the first OAP frame (START) has a capability.");
    }
    if (frame->capability_len > PQI_OAP_CAPABILITY_MAX) {
        return pqi_fail(err, PQL_E_LIMIT, "A capability of %zu bytes is over %d.",
                        frame->capability_len, PQI_OAP_CAPABILITY_MAX);
    }
    if (frame->payload_len > PQI_OAP_FRAME_MAX - PQI_OAP_HEADER_SIZE - frame->capability_len) {
        return pqi_fail(err, PQL_E_LIMIT, "An OAP frame with a payload of %zu bytes is over %zu.",
                        frame->payload_len, PQI_OAP_FRAME_MAX);
    }
    return PQL_OK;
}

pql_status pqi_oap_write(pqi_writer *w, const pqi_oap_frame *frame, pql_error *err)
{
    const pql_status status = check_outgoing(frame, err);
    if (status != PQL_OK) {
        return status;
    }
    pqi_write_u32(w, (uint32_t)pqi_oap_size(frame));
    pqi_write_u16(w, PQI_OAP_VERSION);
    pqi_write_u16(w, frame->flags);
    pqi_write_u16(w, frame->code);
    pqi_write_u16(w, frame->app_proto_id);
    pqi_write_bytes(w, frame->tenant_id, sizeof(frame->tenant_id));
    pqi_write_u16(w, (uint16_t)frame->capability_len);
    pqi_write_u64(w, frame->corr_id);
    if (frame->capability_len > 0) {
        pqi_write_bytes(w, frame->capability, frame->capability_len);
    }
    if (frame->payload_len > 0) {
        pqi_write_bytes(w, frame->payload, frame->payload_len);
    }
    if (!pqi_writer_ok(w)) {
        return pqi_fail(err, PQL_E_LIMIT, "An OAP frame of %zu bytes does not fit its buffer.",
                        pqi_oap_size(frame));
    }
    return PQL_OK;
}

void pqi_oap_reader_init(pqi_oap_reader *r, size_t frame_max)
{
    memset(r, 0, sizeof(*r));
    r->frame_max = frame_max == 0 || frame_max > PQI_OAP_FRAME_MAX ? PQI_OAP_FRAME_MAX : frame_max;
}

void pqi_oap_reader_free(pqi_oap_reader *r)
{
    pqi_buf_free(&r->bytes);
    r->finished = 0;
}

bool pqi_oap_reader_inside(const pqi_oap_reader *r)
{
    return r->bytes.len > r->finished;
}

static void read_header(const uint8_t *bytes, header *h, pqi_oap_frame *frame)
{
    pqi_reader in;
    pqi_reader_init(&in, bytes, PQI_OAP_HEADER_SIZE);
    memset(frame, 0, sizeof(*frame));
    h->length = pqi_read_u32(&in);
    h->version = pqi_read_u16(&in);
    frame->flags = pqi_read_u16(&in);
    frame->code = pqi_read_u16(&in);
    frame->app_proto_id = pqi_read_u16(&in);
    (void)pqi_read_copy(&in, frame->tenant_id, sizeof(frame->tenant_id));
    h->capability_len = pqi_read_u16(&in);
    frame->corr_id = pqi_read_u64(&in);
}

static pql_status judge_header(const pqi_oap_reader *r, const header *h, const pqi_oap_frame *frame,
                               pql_error *err)
{
    if ((frame->flags & ~PQI_OAP_FLAGS_KNOWN) != 0) {
        return pqi_fail(err, PQL_E_PROTOCOL, "An OAP frame has unknown flags (%#06x).",
                        (unsigned)frame->flags);
    }
    if (h->version != PQI_OAP_VERSION) {
        return pqi_fail(err, PQL_E_PROTOCOL, "An OAP frame has version %u, which is not 1.",
                        (unsigned)h->version);
    }
    if (h->length > r->frame_max) {
        return pqi_fail(err, PQL_E_LIMIT, "An OAP frame of %u bytes is over the limit of %zu.",
                        (unsigned)h->length, r->frame_max);
    }
    if (h->length < PQI_OAP_HEADER_SIZE) {
        return pqi_fail(err, PQL_E_PROTOCOL, "An OAP frame of %u bytes is shorter than its header.",
                        (unsigned)h->length);
    }
    if (h->capability_len > 0 && (frame->flags & PQI_OAP_START) == 0) {
        return pqi_fail(err, PQL_E_PROTOCOL, "An OAP frame has a capability and is not a START.");
    }
    if (h->capability_len > h->length - PQI_OAP_HEADER_SIZE) {
        return pqi_fail(err, PQL_E_PROTOCOL, "The capability of an OAP frame is longer than it.");
    }
    if ((frame->flags & PQI_OAP_COMP) != 0) {
        return pqi_fail(err, PQL_E_UNSUPPORTED,
                        "An OAP frame is compressed, which is not spoken here.");
    }
    return PQL_OK;
}

/* Appends from |in| until the reader holds |wanted| bytes; false when |in| ends before. */
static bool collect(pqi_oap_reader *r, pqi_reader *in, size_t wanted, pql_status *status,
                    pql_error *err)
{
    size_t take = wanted - r->bytes.len;
    if (take > pqi_reader_left(in)) {
        take = pqi_reader_left(in);
    }
    const uint8_t *piece = pqi_read_bytes(in, take);
    if (take > 0 && !pqi_buf_append(&r->bytes, piece, take)) {
        *status = pqi_fail(err, PQL_E_NOMEM, "Out of memory reading an OAP frame.");
        return false;
    }
    return r->bytes.len == wanted;
}

static pql_status advance(pqi_oap_reader *r, pqi_reader *in, pqi_oap_frame *frame, bool *whole,
                          pql_error *err)
{
    pql_status status = PQL_OK;
    header h;
    if (r->bytes.len < PQI_OAP_HEADER_SIZE && !collect(r, in, PQI_OAP_HEADER_SIZE, &status, err)) {
        return status;
    }
    read_header(r->bytes.data, &h, frame);
    status = judge_header(r, &h, frame, err);
    if (status != PQL_OK || !collect(r, in, h.length, &status, err)) {
        return status;
    }
    const uint8_t *behind = r->bytes.data + PQI_OAP_HEADER_SIZE;
    frame->capability_len = h.capability_len;
    frame->capability = h.capability_len > 0 ? behind : NULL;
    frame->payload_len = h.length - PQI_OAP_HEADER_SIZE - h.capability_len;
    frame->payload = frame->payload_len > 0 ? behind + h.capability_len : NULL;
    r->finished = h.length;
    *whole = true;
    return PQL_OK;
}

pql_status pqi_oap_read(pqi_oap_reader *r, pqi_reader *in, pqi_oap_frame *frame, bool *whole,
                        pql_error *err)
{
    *whole = false;
    if (r->failed != PQL_OK) {
        return pqi_fail(err, r->failed, "The OAP stream is out of step since an earlier error.");
    }
    if (r->finished > 0) {
        r->bytes.len = 0;
        r->finished = 0;
    }
    r->failed = advance(r, in, frame, whole, err);
    if (!*whole) {
        memset(frame, 0, sizeof(*frame));
    }
    return r->failed;
}
