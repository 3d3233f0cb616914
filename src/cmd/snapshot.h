/* What the status page shows: one JSON object, bounded whoever connects. */
#ifndef PQI_CMD_SNAPSHOT_H
#define PQI_CMD_SNAPSHOT_H

#include "cmd/runtime.h"

/* Appends, on one line: now_ms (|now_ms|, Unix time), uptime_seconds (at |now|, monotonic ns),
 * version, service (a word), health (as /readyz), posture (as pqi_posture_json, and
 * amnesia), keys, links, downgrades
 * and handshakes (observe/link_table.h), and view (what the service tells of itself).  Any thread.
 * PQL_E_NOMEM, or the failure of the service. */
pql_status pqi_snapshot_write(pqi_runtime *rt, uint64_t now_ms, uint64_t now, pqi_buf *out,
                              pql_error *err);

#endif
