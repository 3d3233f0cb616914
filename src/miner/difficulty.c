#include "miner/difficulty.h"

#define STEP_DIVISOR 2048U /* one step is this part of the difficulty */
#define MAX_STEPS_DOWN 99U
#define SHORTEST_BLOCK_PART 24U /* 12 000 / 500 */

pqi_difficulty_rules pqi_difficulty_rules_chain(void)
{
    return (pqi_difficulty_rules){
        .block_time_ms = PQI_DIFFICULTY_BLOCK_TIME_MS,
        .minimum = pqi_u512_from_u64(PQI_DIFFICULTY_MINIMUM),
    };
}

static uint64_t larger(uint64_t a, uint64_t b)
{
    return a > b ? a : b;
}

/* floor(t / (T * 2 / 3)): 0 means one step up, 1 means stay, n means n - 1 steps down. */
static uint64_t block_time_quotient(const pqi_difficulty_rules *rules, uint64_t took_ms)
{
    const uint64_t divisor = larger(rules->block_time_ms * 2 / 3, 1);
    const uint64_t shortest = larger(rules->block_time_ms / SHORTEST_BLOCK_PART, 1);
    return larger(took_ms, shortest) / divisor;
}

pqi_u512 pqi_difficulty_next(const pqi_difficulty_rules *rules, const pqi_u512 *parent,
                             uint64_t took_ms)
{
    const uint64_t quotient = block_time_quotient(rules, took_ms);
    pqi_u512 next;
    pqi_u512 step;
    pqi_u512_divide_u64(&step, parent, STEP_DIVISOR);
    if (quotient == 0) {
        if (pqi_u512_add(&next, parent, &step)) {
            next = pqi_u512_max();
        }
    } else {
        const uint64_t steps_down = quotient - 1 < MAX_STEPS_DOWN ? quotient - 1 : MAX_STEPS_DOWN;
        /* 99 steps of 1/2048 never pass zero and never leave 512 bits. */
        pqi_u512_multiply_u64(&step, &step, steps_down, 0);
        pqi_u512_subtract(&next, parent, &step);
    }
    return pqi_u512_compare(&next, &rules->minimum) < 0 ? rules->minimum : next;
}
