/* The search in portable C, one nonce at a time. */
#include "miner/goldilocks.h"
#include "miner/pow_backend.h"

static bool always(void)
{
    return true;
}

static void hash(uint64_t *first, const pqi_pow_segment *segment, uint32_t counter)
{
    const uint64_t word = __builtin_bswap32(counter);
    uint64_t state[PQI_POSEIDON2_WIDTH];
    for (size_t i = 0; i < PQI_POSEIDON2_WIDTH; i++) {
        state[i] = goldilocks_add(segment->opened[i], word * pqi_pow_word_weight[i]);
    }
    pqi_poseidon2_permute_rounds(state);
    pqi_poseidon2_add_end(state);
    pqi_poseidon2_permute(state);
    first[0] = state[0];
}

const struct pqi_pow_backend pqi_pow_portable = {
    .name = "portable",
    .lanes = 1,
    .supported = always,
    .hash = hash,
};
