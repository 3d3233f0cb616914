/* HELLO, the first exchange of OAP/1: who is there, and which post-quantum posture it believes to
 * have.  docs/protocol-oap.md; micronode.md sections 9.1 and 9.3.
 *
 * A posture in a HELLO is a claim.  What holds is what the link negotiated, so the claim is only
 * ever compared with that: a difference means that the two ends do not see the same link. */
#ifndef PQI_RPC_OAP_HELLO_H
#define PQI_RPC_OAP_HELLO_H

#include "base/cursor.h"
#include "base/error.h"

#include <pqlink/policy.h>

/* Longest HELLO payload in either direction. */
#define PQI_OAP_HELLO_MAX 1024
/* Longest "ua" text, in bytes. */
#define PQI_OAP_AGENT_MAX 128
/* Frames that a peer may have under way, as our answer says. */
#define PQI_OAP_INFLIGHT_MAX 64

typedef enum pqi_oap_mode {
    PQI_OAP_MODE_OFF = 0,
    PQI_OAP_MODE_HYBRID = 1,
    PQI_OAP_MODE_PQ_ONLY = 2,
    PQI_OAP_MODE_UNKNOWN = 255
} pqi_oap_mode;

typedef enum pqi_oap_kex {
    PQI_OAP_KEX_NONE = 0,
    PQI_OAP_KEX_X25519 = 1,
    PQI_OAP_KEX_ML_KEM = 2,
    PQI_OAP_KEX_HYBRID = 3
} pqi_oap_kex;

typedef enum pqi_oap_sig {
    PQI_OAP_SIG_NONE = 0,
    PQI_OAP_SIG_ED25519 = 1,
    PQI_OAP_SIG_ML_DSA = 2,
    PQI_OAP_SIG_SLH_DSA = 3,
    PQI_OAP_SIG_UNKNOWN = 255
} pqi_oap_sig;

/* Three small integers on the wire; numbers that we do not know are kept as they are. */
typedef struct pqi_oap_posture {
    uint8_t mode; /* pqi_oap_mode: the sender's policy */
    uint8_t kex;  /* pqi_oap_kex: of this link */
    uint8_t sig;  /* pqi_oap_sig: the server's on this link */
} pqi_oap_posture;

/* What the link negotiated, in the terms of HELLO.  |server|: posture is a server's own. */
pqi_oap_posture pqi_oap_posture_of(pql_policy policy, const pql_posture *posture, bool server);

/* Outcome of comparing a peer's claim with what was negotiated.  Closed list. */
typedef enum pqi_oap_claim {
    PQI_OAP_CLAIM_ABSENT,   /* it said nothing: an older peer */
    PQI_OAP_CLAIM_AGREES,   /* key exchange and signature are those of the link */
    PQI_OAP_CLAIM_UNKNOWN,  /* numbers of a later version */
    PQI_OAP_CLAIM_DISAGREES /* the ends do not see the same link */
} pqi_oap_claim;

/* |claim| NULL: absent.  The mode is the peer's own policy and is not compared. */
pqi_oap_claim pqi_oap_claim_judge(const pqi_oap_posture *claim, const pqi_oap_posture *negotiated);
/* "absent", "agrees", "unknown", "disagrees"; static string. */
const char *pqi_oap_claim_name(pqi_oap_claim claim);

typedef struct pqi_oap_hello {
    bool has_agent, has_posture;
    char agent[PQI_OAP_AGENT_MAX + 1];
    pqi_oap_posture posture;
} pqi_oap_hello;

typedef struct pqi_oap_welcome {
    uint32_t frame_max;    /* bytes */
    uint32_t inflight_max; /* frames */
    uint32_t flags;        /* supported bits */
    bool has_posture;
    pqi_oap_posture posture;
} pqi_oap_welcome;

/* Write the JSON payload of a HELLO request or answer.  PQL_E_USAGE: agent over its bound or not
 * printable ASCII.  PQL_E_LIMIT: |w| ran full. */
pql_status pqi_oap_hello_write(pqi_writer *w, const pqi_oap_hello *hello, pql_error *err);
pql_status pqi_oap_welcome_write(pqi_writer *w, const pqi_oap_welcome *welcome, pql_error *err);

/* Read them.  Unknown members are skipped; a missing or malformed known one, duplicate members, and
 * anything over PQI_OAP_HELLO_MAX is PQL_E_PROTOCOL, with *out zeroed.  An answer has to offer
 * version 1. */
pql_status pqi_oap_hello_read(pqi_oap_hello *out, const uint8_t *payload, size_t len,
                              pql_error *err);
pql_status pqi_oap_welcome_read(pqi_oap_welcome *out, const uint8_t *payload, size_t len,
                                pql_error *err);

#endif
