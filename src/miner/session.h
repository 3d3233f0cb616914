/* What both ends of a miner connection share: jobs, limits, and the ways a connection ends.
 * docs/protocol-miner.md sections 6 to 9. */
#ifndef PQI_MINER_SESSION_H
#define PQI_MINER_SESSION_H

#include "miner/message.h"
#include "miner/u512.h"

#include <pqlink/identity.h>

#define PQI_MINER_JOB_ID_MAX 64 /* bytes */
#define PQI_MINER_HASH_SIZE 32
#define PQI_MINER_WORK_SIZE 64
#define PQI_MINER_NONCE_TEXT_SIZE (2 * PQI_MINER_WORK_SIZE + 1)
#define PQI_MINER_TOKEN_MAX 512 /* bytes, after white space at both ends is cut off */
#define PQI_MINER_NAME_MAX 32   /* of a-z A-Z 0-9 . _ - */
#define PQI_MINER_AGENT_MAX 64  /* printable ASCII */
#define PQI_MINER_REASON_MAX 160

/* One job.  Plain data: copied, never shared. */
typedef struct pqi_miner_job {
    char id[PQI_MINER_JOB_ID_MAX + 1]; /* opaque text, NUL-terminated */
    uint8_t mining_hash[PQI_MINER_HASH_SIZE];
    pqi_u512 difficulty; /* not zero */
} pqi_miner_job;

/* What a node says of the certificate that follows, or has just followed, its old one.  Times are
 * Unix seconds. */
typedef struct pqi_miner_rotation {
    bool any;                  /* false: the node keeps its certificate; the rest has no meaning */
    pql_fingerprint next;      /* of the certificate */
    pql_fingerprint next_spki; /* of its key */
    uint64_t switch_at;        /* 0: not decided yet */
    uint64_t drop_at; /* when the old certificate is no longer shown to those who pinned it; 0: not
                         decided yet */
} pqi_miner_rotation;

/* Makes a job from the texts of a NewJob.  PQL_E_PROTOCOL, with *job zeroed, when the id is longer
 * than PQI_MINER_JOB_ID_MAX, the hash is not 64 hex digits, or the difficulty is not a decimal
 * number of 1 to 2^512 - 1. */
pql_status pqi_miner_job_read(pqi_miner_job *job, const char *id, const char *mining_hash,
                              const char *difficulty, pql_error *err);

/* Writes the NewJob frame of |job| to the empty writer |w|; as pqi_miner_encode. */
pql_status pqi_miner_job_write(const pqi_miner_job *job, pqi_miner_dialect dialect, pqi_writer *w,
                               pql_error *err);

/* Writes the Rotation frame of |rotation| to the empty writer |w|; as pqi_miner_encode. */
pql_status pqi_miner_rotation_write(const pqi_miner_rotation *rotation, pqi_miner_dialect dialect,
                                    pqi_writer *w, pql_error *err);
/* Reads a decoded PQI_MINER_ROTATION.  False, with *out zeroed, when the fingerprints are none or
 * one of them is missing. */
bool pqi_miner_rotation_read(pqi_miner_rotation *out, const pqi_miner_message *m);

/* True when both would be searched for the same solutions under the same name. */
bool pqi_miner_job_same(const pqi_miner_job *a, const pqi_miner_job *b);

/* The number in |work| (big-endian) as lower-case hex without leading zeros; "0" for zero. */
void pqi_miner_nonce_text(char out[PQI_MINER_NONCE_TEXT_SIZE],
                          const uint8_t work[PQI_MINER_WORK_SIZE]);

bool pqi_miner_work_is_zero(const uint8_t work[PQI_MINER_WORK_SIZE]);

/* True when |name| is 1 to PQI_MINER_NAME_MAX characters of a-z A-Z 0-9 . _ - */
bool pqi_miner_name_ok(const char *name);
/* True when |agent| is 1 to PQI_MINER_AGENT_MAX printable ASCII characters. */
bool pqi_miner_agent_ok(const char *agent);

/* Why a connection ends.  The numbers are the application error codes of pqlink-miner/1. */
typedef enum pqi_miner_close {
    PQI_CLOSE_DONE = 0,          /* the peer ended the stream, or we are done */
    PQI_CLOSE_HELLO_TIMEOUT = 1, /* no Ready in time */
    PQI_CLOSE_REFUSED = 2,       /* wrong or missing token: final, do not come back */
    PQI_CLOSE_PROTOCOL = 3,      /* bytes that the protocol forbids */
    PQI_CLOSE_FLOOD = 4,         /* messages far over the rate */
    PQI_CLOSE_STALLED = 5,       /* the peer does not read */
    PQI_CLOSE_DRAINING = 6,      /* the node goes away on purpose: come back, or go elsewhere */
    PQI_CLOSE_POLICY = 7,        /* the link has no ML-KEM, which the profile promises: final */
    PQI_CLOSE_CROWDED = 8,       /* too many others wait to say Ready */
    PQI_CLOSE_COUNT
} pqi_miner_close;

/* What goes into CONNECTION_CLOSE (frame type 0x1d).  In V1 and V2 the code is 0 always, and the
 * letters "auth" stand in no reason but that of PQI_CLOSE_REFUSED, because an official miner that
 * reads them stops for good.  Returns the reason, a static string. */
const char *pqi_miner_close_wire(pqi_miner_dialect dialect, pqi_miner_close why, uint64_t *code);

/* For the miner: true when a node's close with |code| and |reason| (|len| bytes) says that trying
 * again is useless.  In V2 that is the exact text "auth failed": unlike the official miner we come
 * back after "auth timeout". */
bool pqi_miner_close_is_final(pqi_miner_dialect dialect, uint64_t code, const void *reason,
                              size_t len);

#endif
