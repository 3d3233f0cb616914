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

/* Any 128-bit number to one u64 of the same residue.  Carries are masks, not branches: the second
 * is a coin toss, and mispredicting it made the whole hash 2.5 times slower. */
static inline uint64_t goldilocks_reduce(goldilocks_wide x)
{
    const uint64_t high = (uint64_t)(x >> 64);
    const uint64_t middle = (high & GOLDILOCKS_EPSILON) * GOLDILOCKS_EPSILON;
    uint64_t low;
    uint64_t sum;
    const uint64_t borrowed = __builtin_sub_overflow((uint64_t)x, high >> 32, &low);
    low -= (0 - borrowed) & GOLDILOCKS_EPSILON; /* no second borrow: low >= 2^64 - 2^32 */
    const uint64_t carried = __builtin_add_overflow(low, middle, &sum);
    return sum +
           ((0 - carried) & GOLDILOCKS_EPSILON); /* no second carry: middle <= 2^64 - 2^33 + 1 */
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
