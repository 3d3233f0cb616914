/* Arithmetic modulo p = 2^64 - 2^32 + 1 for the portable code.
 *
 * Values are any u64, standing for themselves modulo p: none but goldilocks_canonical brings them
 * below p.  All of it rests on 2^64 = 2^32 - 1 and 2^96 = -1 (mod p). */
#ifndef PQI_MINER_GOLDILOCKS_H
#define PQI_MINER_GOLDILOCKS_H

#include <stdint.h>

typedef unsigned __int128 goldilocks_wide;

#define GOLDILOCKS_P UINT64_C(0xffffffff00000001)
#define GOLDILOCKS_EPSILON UINT64_C(0xffffffff) /* 2^64 mod p */

static inline uint64_t goldilocks_canonical(uint64_t x)
{
    return x >= GOLDILOCKS_P ? x - GOLDILOCKS_P : x;
}

/* Any 128-bit number to one u64 of the same residue. */
static inline uint64_t goldilocks_reduce(goldilocks_wide x)
{
    const uint64_t high = (uint64_t)(x >> 64);
    uint64_t low;
    if (__builtin_sub_overflow((uint64_t)x, high >> 32, &low)) {
        low -= GOLDILOCKS_EPSILON; /* cannot wrap again: low is at least 2^64 - 2^32 */
    }
    uint64_t sum;
    if (__builtin_add_overflow(low, (high & GOLDILOCKS_EPSILON) * GOLDILOCKS_EPSILON, &sum)) {
        sum += GOLDILOCKS_EPSILON; /* cannot wrap again: the product is at most 2^64 - 2^33 + 1 */
    }
    return sum;
}

static inline uint64_t goldilocks_multiply(uint64_t a, uint64_t b)
{
    return goldilocks_reduce((goldilocks_wide)a * b);
}

static inline uint64_t goldilocks_add(uint64_t a, uint64_t b)
{
    return goldilocks_reduce((goldilocks_wide)a + b);
}

/* x^7, the s-box. */
static inline uint64_t goldilocks_power7(uint64_t x)
{
    const uint64_t x2 = goldilocks_multiply(x, x);
    const uint64_t x3 = goldilocks_multiply(x2, x);
    const uint64_t x4 = goldilocks_multiply(x2, x2);
    return goldilocks_multiply(x3, x4);
}

#endif
