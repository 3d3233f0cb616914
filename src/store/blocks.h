/* The block history of the development chain.  Threads and common errors: store.h. */
#ifndef PQI_STORE_BLOCKS_H
#define PQI_STORE_BLOCKS_H

#include "store/store.h"

#include <stddef.h>
#include <stdint.h>

#define PQI_STORE_HASH_SIZE 32
#define PQI_STORE_NUMBER_SIZE 64 /* difficulty and nonce: 512-bit big-endian numbers */
#define PQI_STORE_MINER_MAX 64   /* characters of a miner's name; may be none */

typedef struct pqi_store_block {
    uint64_t height;
    uint64_t time_ms; /* unix time in the header */
    uint8_t hash[PQI_STORE_HASH_SIZE];
    uint8_t parent[PQI_STORE_HASH_SIZE];
    uint8_t mining_hash[PQI_STORE_HASH_SIZE];
    uint8_t difficulty[PQI_STORE_NUMBER_SIZE];
    uint8_t nonce[PQI_STORE_NUMBER_SIZE];
    char miner[PQI_STORE_MINER_MAX + 1]; /* who found it; NUL-terminated */
} pqi_store_block;

/* Adds |block| after the last one; the first of all may have any height.  Durable when it returns
 * PQL_OK.  A height at or below the last: PQL_E_EXISTS.  A gap: PQL_E_STATE.  A height or time of
 * 2^63 or more, or a name without end: PQL_E_USAGE.  Nothing changes after a failure. */
pql_status pqi_store_block_append(pqi_store *store, const pqi_store_block *block, pql_error *err);

/* Fills *out with the block at |height|, or with the last one.  None: PQL_E_NOT_FOUND.  *out is all
 * zero after a failure. */
pql_status pqi_store_block_get(pqi_store *store, uint64_t height, pqi_store_block *out,
                               pql_error *err);
pql_status pqi_store_block_last(pqi_store *store, pqi_store_block *out, pql_error *err);

/* How many blocks there are; *count is 0 after a failure.  Costs one look-up. */
pql_status pqi_store_block_count(pqi_store *store, uint64_t *count, pql_error *err);

/* Fills |out| with at most |max| blocks of rising height from |from| on; *count says how many, and
 * is 0 after a failure.  None is no error. */
pql_status pqi_store_block_list(pqi_store *store, uint64_t from, pqi_store_block *out, size_t max,
                                size_t *count, pql_error *err);

#endif
