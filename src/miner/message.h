/* The messages of the miner protocol, in its three dialects.
 * docs/protocol-miner.md section 5; quantus.md section 3.
 *
 * One table per message (message.c) says the members, their order and their types; reading and
 * writing both follow it. */
#ifndef PQI_MINER_MESSAGE_H
#define PQI_MINER_MESSAGE_H

#include "miner/frame.h"

#include <stdbool.h>

/* Chosen by ALPN, fixed for the life of a connection. */
typedef enum pqi_miner_dialect {
    PQI_MINER_PQ1, /* "pqlink-miner/1": our post-quantum profile */
    PQI_MINER_V2,  /* "quantus-miner/2": official programs of today */
    PQI_MINER_V1,  /* "quantus-miner": official programs before v0.10 / v4.0, no authentication */
    PQI_MINER_DIALECTS
} pqi_miner_dialect;

/* The ALPN name; a static string. */
const char *pqi_miner_alpn(pqi_miner_dialect dialect);
/* The dialect of |len| bytes of ALPN name; false, and *out unchanged, for a name we do not speak.
 */
bool pqi_miner_dialect_find(const void *alpn, size_t len, pqi_miner_dialect *out);

typedef enum pqi_miner_message_type {
    PQI_MINER_READY,      /* miner to node, first */
    PQI_MINER_NEW_JOB,    /* node to miner */
    PQI_MINER_JOB_RESULT, /* miner to node */
    PQI_MINER_JOB_ACK,    /* node to miner, pqlink-miner/1 only, as all below */
    PQI_MINER_CANCEL,     /* node to miner */
    PQI_MINER_STATS,      /* miner to node */
    PQI_MINER_ROTATION,   /* node to miner */
    PQI_MINER_UNKNOWN     /* read only: a well-formed message of a later version, to be ignored */
} pqi_miner_message_type;

typedef enum pqi_miner_status {
    PQI_MINER_STATUS_ACCEPTED,
    PQI_MINER_STATUS_RUNNING,
    PQI_MINER_STATUS_COMPLETED,
    PQI_MINER_STATUS_FAILED,
    PQI_MINER_STATUS_CANCELLED,
    PQI_MINER_STATUS_NOT_FOUND,
    PQI_MINER_STATUS_ERROR
} pqi_miner_status;

/* What became of a result. */
typedef enum pqi_miner_verdict {
    PQI_VERDICT_ACCEPTED,    /* the proof is right and was used */
    PQI_VERDICT_STALE,       /* for a job that is not the current one; not looked at */
    PQI_VERDICT_INVALID,     /* the proof is malformed or does not meet the difficulty */
    PQI_VERDICT_DUPLICATE,   /* this miner sent the same work for this job before */
    PQI_VERDICT_FLOOD,       /* over the rate; not looked at */
    PQI_VERDICT_UNAVAILABLE, /* the node cannot judge it now; sending it again later may help */
    PQI_VERDICT_REJECTED,    /* the proof is right, but the chain did not take the block */
    PQI_VERDICT_COUNT
} pqi_miner_verdict;

/* The word on the wire, "accepted" and so on; a static string. */
const char *pqi_miner_verdict_name(pqi_miner_verdict verdict);

/* A JobAck without the member "height", and so on. */
#define PQI_MINER_NO_NUMBER UINT64_MAX

/* One message.  Strings are NUL-terminated UTF-8 and borrowed: from the |text| buffer of
 * pqi_miner_decode, or from the caller of pqi_miner_encode.  NULL means null or left out. */
typedef struct pqi_miner_message {
    pqi_miner_message_type type;
    union {
        struct {
            const char *token; /* V2 must have one; PQ1 may; V1 has none of these */
            const char *name;  /* PQ1: what the miner calls itself, may be NULL */
            const char *agent; /* PQ1: program and version, may be NULL */
        } ready;
        struct {
            const char *job_id;
            const char *mining_hash; /* as it stands on the wire: 64 hex digits if it is right */
            const char *difficulty;  /* as it stands on the wire: decimal digits if it is right */
        } new_job;
        struct {
            pqi_miner_status status;
            const char *job_id;
            const char *nonce; /* may be NULL */
            const char *work;  /* may be NULL; 128 hex digits if it is right */
            uint64_t hash_count;
            uint64_t elapsed_ns; /* below zero reads as 0, too large as UINT64_MAX */
            uint64_t miner_id;   /* PQI_MINER_NO_NUMBER when absent; of no meaning from the wire */
        } job_result;
        struct {
            const char *job_id;
            const char *nonce; /* hex number without leading zeros; NULL when work was malformed */
            pqi_miner_verdict verdict;
            const char *reason; /* a sentence for a person */
            uint64_t height;    /* of the block it made, or PQI_MINER_NO_NUMBER */
        } job_ack;
        struct {
            const char *job_id; /* NULL: whatever is running */
            const char *reason;
        } cancel;
        struct {
            uint64_t hashes; /* since the Stats before this, or since Ready */
            uint64_t elapsed_ns;
        } stats;
        struct {
            const char *next;      /* fingerprint of a certificate; NULL: the node keeps its own */
            const char *next_spki; /* of its key */
            uint64_t switch_at;    /* Unix seconds; 0: not decided yet */
            uint64_t drop_at;      /* Unix seconds, or PQI_MINER_NO_NUMBER */
        } rotation;
    };
} pqi_miner_message;

/* Reads the body of one frame.  |text| gives room for the strings that *out then points to.
 *
 * As the official parser: members in any order, unknown members skipped, duplicate or missing
 * members, trailing bytes and wrong types refused.  In PQ1 an unknown message is
 * PQI_MINER_UNKNOWN; in V1 and V2 it is refused.  An object written as an array of its members is
 * taken in V1 and V2 (the official parser's quirk), refused in PQ1.
 * Where we differ: U+0000 in a string, nesting over PQI_JSON_DEPTH and text that is not UTF-8 are
 * refused everywhere, also in members that are skipped.
 *
 * Returns PQL_OK or PQL_E_PROTOCOL; then *out is zeroed and |text| may hold parts.  |err| never
 * quotes the peer's bytes.  Pure: no memory, clock or globals. */
pql_status pqi_miner_decode(pqi_miner_dialect dialect, const void *body, size_t len,
                            pqi_miner_message *out, char text[PQI_FRAME_BODY_MAX], pql_error *err);

/* Writes one whole frame, prefix included, to the empty writer |w| (PQI_FRAME_SIZE_MAX bytes always
 * suffice), members in the order of the official programs and without white space.
 * A member that must be there but is NULL, a message that the dialect does not have, or
 * PQI_MINER_UNKNOWN: PQL_E_USAGE.  Too long, or not UTF-8: PQL_E_LIMIT.  |w| is then of no use. */
pql_status pqi_miner_encode(pqi_miner_dialect dialect, const pqi_miner_message *m, pqi_writer *w,
                            pql_error *err);

#endif
