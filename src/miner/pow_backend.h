/* What one implementation of the search offers to pow.c.  Internal to the proof of work.
 *
 * A segment is the 2^32 nonces that differ only in their last four bytes.  Those bytes are the
 * little-endian u32 word of element 7, while the nonce is a big-endian number: counting up by one
 * changes the top byte of that word.  Everything else about a segment is computed once. */
#ifndef PQI_MINER_POW_BACKEND_H
#define PQI_MINER_POW_BACKEND_H

#include "miner/poseidon2.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Most nonces that a backend hashes in one call. */
#define PQI_POW_LANES_MAX 32

typedef struct pqi_pow_segment {
    /* The state of permutation 3 behind its opening external layer, were the last word zero:
     * the word adds pqi_pow_word_weight[i] times itself to element i.  Canonical. */
    uint64_t opened[PQI_POSEIDON2_WIDTH];
} pqi_pow_segment;

/* Column 7 of the external layer's matrix. */
extern const uint8_t pqi_pow_word_weight[PQI_POSEIDON2_WIDTH];

struct pqi_pow_backend {
    const char *name;
    size_t lanes; /* nonces hashed in one call; at most PQI_POW_LANES_MAX */
    bool (*supported)(void);
    /* For each lane i, the canonical element 0 after permutation 4 of the nonce whose last four
     * bytes are the big-endian number |counter| + i (mod 2^32) goes to first[i]. */
    void (*hash)(uint64_t *first, const pqi_pow_segment *segment, uint32_t counter);
};

extern const struct pqi_pow_backend pqi_pow_portable;
#if defined(__x86_64__)
extern const struct pqi_pow_backend pqi_pow_avx2;
extern const struct pqi_pow_backend pqi_pow_avx512;
#endif

#endif
