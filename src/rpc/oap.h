/* OAP/1 frames on a stream: a header of 38 bytes, a capability, a payload.  All integers are
 * big-endian.  docs/protocol-oap.md; micronode.md section 9.1.
 *
 *      0   4  length of the whole frame     12  16  tenant id, 0: none
 *      4   2  version, 1                    28   2  length of the capability
 *      6   2  flags                         30   8  correlation id
 *      8   2  code                          38      capability, then payload
 *     10   2  application protocol
 *
 * Pure functions over buffers: no clock, no socket, no randomness. */
#ifndef PQI_RPC_OAP_H
#define PQI_RPC_OAP_H

#include "base/buf.h"
#include "base/cursor.h"
#include "base/error.h"

#define PQI_OAP_VERSION 1
#define PQI_OAP_HEADER_SIZE 38
#define PQI_OAP_FRAME_MAX ((size_t)1 << 20)
#define PQI_OAP_TENANT_SIZE 16
#define PQI_OAP_CAPABILITY_MAX 65535

/* Bits of the flags; all others must be zero. */
#define PQI_OAP_REQ 0x01U     /* a request */
#define PQI_OAP_RESP 0x02U    /* its answer */
#define PQI_OAP_EVENT 0x04U   /* pushed without a request */
#define PQI_OAP_START 0x08U   /* first frame of an exchange; the only one with a capability */
#define PQI_OAP_END 0x10U     /* last frame of an exchange */
#define PQI_OAP_ACK_REQ 0x20U /* the receiver is to acknowledge it */
#define PQI_OAP_COMP 0x40U    /* the payload is compressed: not spoken here */
#define PQI_OAP_APP_E2E 0x80U /* the payload is encrypted end to end */
#define PQI_OAP_FLAGS_KNOWN 0xffU

/* The application protocol of HELLO and other control frames. */
#define PQI_OAP_CONTROL 0

/* One frame.  What it points to is borrowed. */
typedef struct pqi_oap_frame {
    uint16_t flags;
    uint16_t code; /* 0 in requests; a status, as in HTTP, in answers */
    uint16_t app_proto_id;
    uint8_t tenant_id[PQI_OAP_TENANT_SIZE];
    uint64_t corr_id;
    const uint8_t *capability; /* NULL when capability_len is 0 */
    size_t capability_len;     /* only with PQI_OAP_START */
    const uint8_t *payload;    /* NULL when payload_len is 0 */
    size_t payload_len;
} pqi_oap_frame;

/* Bytes that |frame| takes on the wire. */
size_t pqi_oap_size(const pqi_oap_frame *frame);

/* Writes the whole frame to |w|.  PQL_E_USAGE for flags that are unknown or not spoken here, and
 * for a capability without PQI_OAP_START; PQL_E_LIMIT for a capability over PQI_OAP_CAPABILITY_MAX,
 * a frame over PQI_OAP_FRAME_MAX, or when it does not fit |w|.  |w| is then as it was, but for a
 * writer that ran full. */
pql_status pqi_oap_write(pqi_writer *w, const pqi_oap_frame *frame, pql_error *err);

/* Collects frames from a stream, in any pieces.  Holds one frame at a time, and never more bytes
 * than have come: memory follows what arrives, not what a header announces. */
typedef struct pqi_oap_reader {
    size_t frame_max; /* largest frame that is taken, PQI_OAP_HEADER_SIZE to PQI_OAP_FRAME_MAX */
    pqi_buf bytes;    /* of the frame in hand; owned */
    size_t finished;  /* length of the frame given out by the last call; 0: none */
    pql_status failed;
} pqi_oap_reader;

/* |frame_max|: see above; 0 stands for PQI_OAP_FRAME_MAX. */
void pqi_oap_reader_init(pqi_oap_reader *r, size_t frame_max);
void pqi_oap_reader_free(pqi_oap_reader *r);

/* Takes bytes from |in| until one frame is whole or |in| is empty.  True in *whole: *frame is set,
 * and what it points to is valid until the next call.
 * The header is judged when its 38 bytes are there, before anything behind it is taken, in this
 * order: unknown flags, version, length (under the header's size or over the bound), capability
 * without START or longer than the frame, compression.  PQL_E_PROTOCOL, PQL_E_LIMIT for a length
 * over the bound, PQL_E_UNSUPPORTED for compression, PQL_E_NOMEM.  A failed reader stays failed,
 * with the same status: the stream has no way back into step. */
pql_status pqi_oap_read(pqi_oap_reader *r, pqi_reader *in, pqi_oap_frame *frame, bool *whole,
                        pql_error *err);

/* True when part of a frame is in hand: the stream must not end here. */
bool pqi_oap_reader_inside(const pqi_oap_reader *r);

#endif
