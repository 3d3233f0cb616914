/* pqlink mine --bench: how many hashes this machine computes. */
#ifndef PQI_CMD_MINE_BENCH_H
#define PQI_CMD_MINE_BENCH_H

#include "cmd/mine.h"

/* Hashes for options->bench_seconds with options->threads threads, without a node, and prints the
 * rate of each thread and of all: a table, or one JSON object where the log would be JSON.
 * PQL_E_NOMEM, PQL_E_FAILED as pqi_hasher_new. */
pql_status pqi_mine_bench(const pqi_mine_options *options, pql_error *err);

#endif
