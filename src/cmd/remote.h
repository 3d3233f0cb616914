/* One connection to look at a peer: its certificate and what was negotiated. */
#ifndef PQI_CMD_REMOTE_H
#define PQI_CMD_REMOTE_H

#include "net/url.h"

#include <pqlink/identity.h>
#include <pqlink/link.h>

/* What a peer showed; it proved that it holds the key, not that it is the peer that was meant. */
typedef struct pqi_remote {
    pql_fingerprint certificate;
    pql_fingerprint key;
    pql_posture posture;
} pqi_remote;

/* Connects to |url| with the protocol name |alpn| within |timeout_ns|, without any check of who
 * answers, fills *out, and closes; once more, under cnsa-2.0, when hybrid is refused.  Blocks;
 * starts and ends a thread.  Errors: PQL_E_NETWORK and PQL_E_TIMEOUT when nobody answers,
 * PQL_E_PROTOCOL for a peer that does not speak |alpn|, and those of pql_connect; *out is then all
 * zero. */
pql_status pqi_remote_look(pqi_remote *out, const pqi_url *url, const char *alpn,
                           uint64_t timeout_ns, pql_error *err);

/* The same under |policy|: what a peer of that kind would meet. */
pql_status pqi_remote_look_as(pqi_remote *out, const pqi_url *url, const char *alpn,
                              pql_policy policy, uint64_t timeout_ns, pql_error *err);

#endif
