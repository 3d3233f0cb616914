/* How the difficulty follows the block times, exactly as the Quantus chain does it.
 *
 * Source: protocols/quantus.md section 4.3.  For the chain's block time of 12 000 ms:
 *
 *     new = d + floor(d / 2048) * max(1 - floor(t / 8000), -99)
 *
 * with the block time t raised to at least 500 ms, then clamped to [minimum, 2^512 - 1].
 * For another target block time T (all in ms) both numbers keep their ratio to it:
 * 8000 becomes floor(T * 2 / 3) and 500 becomes floor(T / 24), each at least 1.
 *
 * With the formula as it stands the difficulty rests while blocks take 2/3 T to 4/3 T, grows by
 * 1/2048 below and falls by up to 99/2048 above.  A difficulty below 2048 would never move, as
 * floor(d / 2048) is 0 then; minimums below that are for tests only. */
#ifndef PQI_MINER_DIFFICULTY_H
#define PQI_MINER_DIFFICULTY_H

#include "miner/u512.h"

#include <stdint.h>

#define PQI_DIFFICULTY_MINIMUM 131072U
#define PQI_DIFFICULTY_BLOCK_TIME_MS 12000U
/* Longest target block time that is taken (a day); it keeps every product far below 2^64. */
#define PQI_DIFFICULTY_BLOCK_TIME_MAX_MS 86400000U

typedef struct pqi_difficulty_rules {
    uint64_t block_time_ms; /* wanted; 1 to PQI_DIFFICULTY_BLOCK_TIME_MAX_MS */
    pqi_u512 minimum;       /* not zero */
} pqi_difficulty_rules;

/* The rules of the real chain: 12 000 ms and 131 072. */
pqi_difficulty_rules pqi_difficulty_rules_chain(void);

/* The difficulty of the block after one that had |parent| and took |took_ms|.  A parent outside
 * of the bounds is clamped too.  Thread-safe, cannot fail. */
pqi_u512 pqi_difficulty_next(const pqi_difficulty_rules *rules, const pqi_u512 *parent,
                             uint64_t took_ms);

#endif
