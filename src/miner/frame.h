/* Frames of the miner stream: a 4-byte big-endian length, then that many bytes of JSON.
 * docs/protocol-miner.md section 4; quantus.md sections 1 and 2.6. */
#ifndef PQI_MINER_FRAME_H
#define PQI_MINER_FRAME_H

#include "base/cursor.h"
#include "base/error.h"

#define PQI_FRAME_PREFIX_SIZE 4
#define PQI_FRAME_BODY_MAX 1024
#define PQI_FRAME_SIZE_MAX (PQI_FRAME_PREFIX_SIZE + PQI_FRAME_BODY_MAX)

/* Collects one frame from any pieces.  All zero is a fresh reader.  Never allocates; may hold a
 * peer's token, so wipe it when that matters. */
typedef struct pqi_frame_reader {
    uint8_t bytes[PQI_FRAME_SIZE_MAX];
    size_t have;     /* bytes of the frame in hand */
    size_t finished; /* length of the frame given out by the last call, 0 for none */
    pql_status failed;
} pqi_frame_reader;

/* Takes bytes from |in| until one frame is whole or |in| is empty.
 * A whole frame: PQL_OK, *body points to its *len bytes (1 to PQI_FRAME_BODY_MAX), valid until the
 * next call; call again for what is left in |in|.  Not whole yet: PQL_OK, *body NULL, *len 0.
 * Length 0: PQL_E_PROTOCOL (no JSON value is empty); over PQI_FRAME_BODY_MAX: PQL_E_LIMIT; both as
 * soon as the fourth byte is there, before any byte of the body is taken.  A failed reader stays
 * failed: there is no way back into step. */
pql_status pqi_frame_read(pqi_frame_reader *r, pqi_reader *in, const uint8_t **body, size_t *len,
                          pql_error *err);

/* True when part of a frame is in hand: the stream must not end here. */
bool pqi_frame_reader_inside(const pqi_frame_reader *r);

/* Writes room for the prefix; the body is then written to |w| by the caller. */
void pqi_frame_begin(pqi_writer *w);

/* Fills in the prefix of the frame that begins at the start of |w|.  The whole frame is then
 * w->data, w->len, in one piece: hand it to the transport in one write, because official programs
 * lose step when prefix and body arrive apart (quantus.md section 2.6).
 * PQL_E_LIMIT when |w| ran full or the body is over PQI_FRAME_BODY_MAX. */
pql_status pqi_frame_end(pqi_writer *w, pql_error *err);

#endif
