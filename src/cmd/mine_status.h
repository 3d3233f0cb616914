/* What a miner says of itself: words and numbers for the status line, and JSON for /status. */
#ifndef PQI_CMD_MINE_STATUS_H
#define PQI_CMD_MINE_STATUS_H

#include "base/buf.h"
#include "miner/mine_service.h"

/* The word for what the miner does now: "connecting", "waiting for a job" or "mining". */
const char *pqi_mine_state_name(const pqi_mine_status *status);
/* Results that the node answered neither "accepted" nor "stale" to. */
uint64_t pqi_mine_rejected(const pqi_mine_status *status);

/* A rate for people: "950 H/s", "1.25 MH/s". */
#define PQI_RATE_SIZE 32
void pqi_rate_format(char out[PQI_RATE_SIZE], double hashes_per_second);

/* Appends the status as one JSON object; |node| is the URL, |now| CLOCK_MONOTONIC.  PQL_E_NOMEM
 * when it cannot be written. */
pql_status pqi_mine_status_json(const pqi_mine_status *status, const char *node, uint64_t now,
                                pqi_buf *out, pql_error *err);

#endif
