/* The embedded development chain: a job source that needs no node beside it.
 *
 * It has the proof of work and the difficulty rule of the Quantus chain, and nothing else of it: no
 * transactions, no consensus with others.  One process makes the templates, verifies, and keeps the
 * history in the store.
 *
 * A block, all numbers big-endian:
 *
 *     header      = version (4) || parent hash (32) || height (8) || time, unix ms (8)
 *                   || difficulty (64) || body root (32)
 *     body root   = H("pqlink development chain body" || parent hash || height (8) || time (8))
 *     mining hash = H(header)
 *     block hash  = H(header || nonce (64))
 *     H(x)        = the first 32 bytes of the Poseidon2 hash of x (protocols/quantus.md 5.4)
 *
 * Height 0 is a fixed genesis block that is never stored.  The time of a block is when its template
 * was made, but always later than its parent's, whatever the clock does.
 *
 * A job is replaced at once by an accepted block, and by a fresh template every |refresh_ms|, as
 * transactions would do it; results for any older job are stale.  An accepted block is durable in
 * the store before the verdict is returned: kill -9 loses none.  Threads and ownership: source.h.
 */
#ifndef PQI_MINER_DEVCHAIN_H
#define PQI_MINER_DEVCHAIN_H

#include "miner/difficulty.h"
#include "miner/source.h"
#include "store/store.h"

#define PQI_DEVCHAIN_REFRESH_MS 10000
/* How many of the last blocks are verified at start. */
#define PQI_DEVCHAIN_CHECKED_BLOCKS 64
/* How many accepted results are remembered to tell a duplicate from a stale one; the oldest goes.
 */
#define PQI_DEVCHAIN_REMEMBERED_RESULTS 64

typedef struct pqi_devchain_opts {
    pqi_store *store;           /* borrowed for the life of the source */
    pqi_difficulty_rules rules; /* wanted block time and least difficulty */
    pqi_u512 difficulty;        /* of the first block; a chain with blocks goes on with its own */
    uint64_t refresh_ms;        /* a fresh template this often; 0: PQI_DEVCHAIN_REFRESH_MS */
} pqi_devchain_opts;

/* Makes the source and resumes behind the last stored block, after verifying the last
 * PQI_DEVCHAIN_CHECKED_BLOCKS of them: header, hash, proof of work, linkage.
 *
 * Errors: PQL_E_USAGE: a block time or difficulty out of its range (difficulty below the least is
 * one).  PQL_E_IO: the store fails, or the stored chain is broken; the sentence names the height.
 * PQL_E_NOMEM.  *out is NULL after a failure; else the caller frees it with pqi_source_destroy. */
pql_status pqi_devchain_new(pqi_source **out, const pqi_devchain_opts *opts, pql_error *err);

#endif
