/* The proof of work of the Quantus chain: check a nonce, search for one.
 *
 *     hash   = poseidon2(mining_hash || nonce)       64 bytes, read as a big-endian number H
 *     target = floor((2^512 - 1) / difficulty)
 *     valid  = H < target, and the nonce is not zero
 *
 * Source: protocols/quantus.md sections 5.1 to 5.6.  No function here waits, prints, allocates or
 * keeps global state; different jobs may be used by different threads at once, one job by one
 * thread at a time.  Nothing is secret. */
#ifndef PQI_MINER_POW_H
#define PQI_MINER_POW_H

#include "miner/pow_backend.h"
#include "miner/u512.h"

#define PQI_POW_MINING_HASH_SIZE 32
#define PQI_POW_NONCE_SIZE 64
#define PQI_POW_HASH_SIZE 64

/* |*target| = floor((2^512 - 1) / difficulty).  False, with |*target| zero (which nothing meets),
 * when |difficulty| is zero. */
bool pqi_pow_target(pqi_u512 *target, const pqi_u512 *difficulty);
/* The difficulty that |hash| achieves: floor((2^512 - 1) / H).  For H = 0, which no division
 * defines, 2^512 - 1: as for H = 1, the largest there is. */
pqi_u512 pqi_pow_achieved(const uint8_t hash[PQI_POW_HASH_SIZE]);

/* The hash of one nonce, by portable code. */
void pqi_pow_hash(uint8_t out[PQI_POW_HASH_SIZE],
                  const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                  const uint8_t nonce[PQI_POW_NONCE_SIZE]);
/* True when |hash| as a number is strictly below |target|. */
bool pqi_pow_meets(const uint8_t hash[PQI_POW_HASH_SIZE], const pqi_u512 *target);
/* What the chain checks: the nonce is not zero and its hash meets the target. */
bool pqi_pow_verify(const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                    const uint8_t nonce[PQI_POW_NONCE_SIZE], const pqi_u512 *target);

/* One implementation of the search; static, never freed. */
typedef struct pqi_pow_backend pqi_pow_backend;

#define PQI_POW_BACKENDS_MAX 3
/* Fills |out| with the backends that this machine can run, fastest first; the last is always
 * "portable".  Returns how many (at least 1). */
size_t pqi_pow_backends(const pqi_pow_backend *out[PQI_POW_BACKENDS_MAX]);
/* The backend of that name if this machine can run it, else NULL. */
const pqi_pow_backend *pqi_pow_backend_find(const char *name);
/* "avx512", "avx2" or "portable".  Static string. */
const char *pqi_pow_backend_name(const pqi_pow_backend *backend);

/* One search.  Plain data, to be copied and dropped freely; the members are for pow.c alone. */
typedef struct pqi_pow_job {
    const pqi_pow_backend *backend;
    pqi_u512 target;
    uint64_t absorbed_hash[PQI_POSEIDON2_WIDTH]; /* after permutation 1 */
    uint64_t midstate[PQI_POSEIDON2_WIDTH];      /* after permutation 2 */
    pqi_pow_segment segment;                     /* of |next| */
    uint8_t next[PQI_POW_NONCE_SIZE];            /* the nonce to be tried next */
} pqi_pow_job;

/* Prepares a search that begins with |nonce_start| itself and counts up by one, with the fastest
 * backend.  After 2^512 - 1 it goes on at 0. */
void pqi_pow_search_init(pqi_pow_job *job, const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                         const uint8_t nonce_start[PQI_POW_NONCE_SIZE], const pqi_u512 *target);
/* Makes a prepared search use another backend, at any time. */
void pqi_pow_search_use(pqi_pow_job *job, const pqi_pow_backend *backend);

/* Tries up to |count| nonces and stops at the first that is valid: true, and it stands in |found|;
 * the next call goes on behind it.  False: none of them, |found| is untouched.  |*tried| is the
 * number of nonces tried, a found one included.  The zero nonce is counted, but never found.
 * A worker calls this with some ten thousand nonces at a time (milliseconds) and looks between the
 * calls whether its job is still wanted; a multiple of PQI_POW_LANES_MAX wastes nothing. */
bool pqi_pow_search(pqi_pow_job *job, uint64_t count, uint64_t *tried,
                    uint8_t found[PQI_POW_NONCE_SIZE]);

#endif
