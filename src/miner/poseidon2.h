/* Poseidon2 over the Goldilocks field, width 12, s-box x^7, and the sponge built on it: the hash of
 * the Quantus proof of work.  Portable C; the vector versions stand in pow_avx2.c, pow_avx512.c.
 *
 * p = 2^64 - 2^32 + 1.  An element is any u64; every function takes values up to 2^64 - 1 and
 * gives canonical ones (< p).  Nothing here is secret.  Thread-safe, cannot fail.
 * Source: protocols/quantus.md sections 5.2 to 5.5. */
#ifndef PQI_MINER_POSEIDON2_H
#define PQI_MINER_POSEIDON2_H

#include "miner/poseidon2_constants.h"

#include <stddef.h>
#include <stdint.h>

#define PQI_POSEIDON2_RATE 8
#define PQI_POSEIDON2_BLOCK_SIZE 32 /* bytes that one permutation absorbs */
#define PQI_POSEIDON2_HASH_SIZE 64

/* The permutation, in place. */
void pqi_poseidon2_permute(uint64_t state[PQI_POSEIDON2_WIDTH]);

/* The parts of the permutation, in place, for tests and for precomputation. */
void pqi_poseidon2_external_layer(uint64_t state[PQI_POSEIDON2_WIDTH]);
void pqi_poseidon2_internal_layer(uint64_t state[PQI_POSEIDON2_WIDTH]);
uint64_t pqi_poseidon2_sbox(uint64_t x);

/* The permutation without the external layer that opens it, in place: a search starts there. */
void pqi_poseidon2_permute_rounds(uint64_t state[PQI_POSEIDON2_WIDTH]);

/* The steps of the sponge, none of which permutes: 32 bytes as 8 little-endian u32 words added to
 * the rate; the terminator and padding elements behind data of a multiple of 32 bytes. */
void pqi_poseidon2_add_block(uint64_t state[PQI_POSEIDON2_WIDTH],
                             const uint8_t block[PQI_POSEIDON2_BLOCK_SIZE]);
void pqi_poseidon2_add_end(uint64_t state[PQI_POSEIDON2_WIDTH]);
/* Both halves of the output; permutes |state| once in between. */
void pqi_poseidon2_squeeze(uint8_t out[PQI_POSEIDON2_HASH_SIZE],
                           uint64_t state[PQI_POSEIDON2_WIDTH]);

/* The 64-byte hash of |len| bytes of any length. */
void pqi_poseidon2_hash(uint8_t out[PQI_POSEIDON2_HASH_SIZE], const uint8_t *data, size_t len);

#endif
