#include "miner/poseidon2.h"

#include "miner/goldilocks.h"

#include <string.h>

#define WIDTH PQI_POSEIDON2_WIDTH
#define GROUP 4 /* the external matrix works on groups of four */
#define WORD_SIZE 4
#define SQUEEZED 4 /* elements given out after a permutation */

/* One group times the circulant matrix [2 3 1 1; 1 2 3 1; 1 1 2 3; 3 1 1 2]. */
static void multiply_group(goldilocks_wide y[GROUP], const uint64_t x[GROUP])
{
    const goldilocks_wide sum = (goldilocks_wide)x[0] + x[1] + x[2] + x[3];
    for (size_t i = 0; i < GROUP; i++) {
        y[i] = sum + x[i] + 2 * (goldilocks_wide)x[(i + 1) % GROUP];
    }
}

static void external_layer(uint64_t state[WIDTH])
{
    goldilocks_wide y[WIDTH];
    for (size_t g = 0; g < WIDTH; g += GROUP) {
        multiply_group(y + g, state + g);
    }
    for (size_t i = 0; i < GROUP; i++) {
        const goldilocks_wide column = y[i] + y[i + 4] + y[i + 8];
        for (size_t g = 0; g < WIDTH; g += GROUP) {
            state[g + i] = goldilocks_reduce(y[g + i] + column);
        }
    }
}

static void internal_layer(uint64_t state[WIDTH])
{
    goldilocks_wide total = 0;
    for (size_t i = 0; i < WIDTH; i++) {
        total += state[i];
    }
    const uint64_t sum = goldilocks_reduce(total);
    for (size_t i = 0; i < WIDTH; i++) {
        /* (2^64 - 1)^2 + 2^64 - 1 fits in 128 bits. */
        state[i] = goldilocks_reduce((goldilocks_wide)state[i] * pqi_poseidon2_diagonal[i] + sum);
    }
}

static void external_round(uint64_t state[WIDTH], const uint64_t constants[WIDTH])
{
    for (size_t i = 0; i < WIDTH; i++) {
        state[i] = goldilocks_power7(goldilocks_add(state[i], constants[i]));
    }
    external_layer(state);
}

static void permute_rounds(uint64_t state[WIDTH])
{
    for (size_t r = 0; r < PQI_POSEIDON2_EXTERNAL_ROUNDS; r++) {
        external_round(state, pqi_poseidon2_initial_constants[r]);
    }
    for (size_t r = 0; r < PQI_POSEIDON2_INTERNAL_ROUNDS; r++) {
        state[0] = goldilocks_power7(goldilocks_add(state[0], pqi_poseidon2_internal_constants[r]));
        internal_layer(state);
    }
    for (size_t r = 0; r < PQI_POSEIDON2_EXTERNAL_ROUNDS; r++) {
        external_round(state, pqi_poseidon2_terminal_constants[r]);
    }
}

static void make_canonical(uint64_t state[WIDTH])
{
    for (size_t i = 0; i < WIDTH; i++) {
        state[i] = goldilocks_canonical(state[i]);
    }
}

void pqi_poseidon2_permute(uint64_t state[WIDTH])
{
    external_layer(state);
    permute_rounds(state);
    make_canonical(state);
}

void pqi_poseidon2_permute_rounds(uint64_t state[WIDTH])
{
    permute_rounds(state);
    make_canonical(state);
}

void pqi_poseidon2_external_layer(uint64_t state[WIDTH])
{
    external_layer(state);
    make_canonical(state);
}

void pqi_poseidon2_internal_layer(uint64_t state[WIDTH])
{
    internal_layer(state);
    make_canonical(state);
}

uint64_t pqi_poseidon2_sbox(uint64_t x)
{
    return goldilocks_canonical(goldilocks_power7(x));
}

static uint64_t read_word(const uint8_t bytes[WORD_SIZE])
{
    return (uint64_t)bytes[0] | (uint64_t)bytes[1] << 8 | (uint64_t)bytes[2] << 16 |
           (uint64_t)bytes[3] << 24;
}

void pqi_poseidon2_add_block(uint64_t state[WIDTH], const uint8_t block[PQI_POSEIDON2_BLOCK_SIZE])
{
    for (size_t i = 0; i < PQI_POSEIDON2_RATE; i++) {
        const uint64_t word = read_word(block + i * WORD_SIZE);
        state[i] = goldilocks_canonical(goldilocks_add(state[i], word));
    }
}

void pqi_poseidon2_add_end(uint64_t state[WIDTH])
{
    state[0] = goldilocks_canonical(goldilocks_add(state[0], 1));
    state[1] = goldilocks_canonical(goldilocks_add(state[1], 1));
}

static void squeeze(uint8_t *out, const uint64_t state[WIDTH])
{
    for (size_t i = 0; i < SQUEEZED * sizeof(uint64_t); i++) {
        out[i] = (uint8_t)(state[i / 8] >> (8 * (i % 8)));
    }
}

void pqi_poseidon2_squeeze(uint8_t out[PQI_POSEIDON2_HASH_SIZE], uint64_t state[WIDTH])
{
    squeeze(out, state);
    pqi_poseidon2_permute(state);
    squeeze(out + PQI_POSEIDON2_HASH_SIZE / 2, state);
}

/* Data words, then the rest of the bytes with 0x01 behind them as one word, then the padding
 * element 1; zeros need no adding.  Elements are absorbed one by one: a permutation runs when
 * the eight of the rate are full. */
typedef struct absorber {
    uint64_t state[WIDTH];
    size_t filled;
} absorber;

static void absorb_element(absorber *a, uint64_t element)
{
    if (a->filled == PQI_POSEIDON2_RATE) {
        pqi_poseidon2_permute(a->state);
        a->filled = 0;
    }
    a->state[a->filled] = goldilocks_canonical(goldilocks_add(a->state[a->filled], element));
    a->filled++;
}

void pqi_poseidon2_hash(uint8_t out[PQI_POSEIDON2_HASH_SIZE], const uint8_t *data, size_t len)
{
    absorber a = {.filled = 0};
    uint8_t last[WORD_SIZE] = {0};
    const size_t whole = len - len % WORD_SIZE;
    for (size_t at = 0; at < whole; at += WORD_SIZE) {
        absorb_element(&a, read_word(data + at));
    }
    if (len > whole) {
        memcpy(last, data + whole, len - whole);
    }
    last[len - whole] = 1;
    absorb_element(&a, read_word(last));
    absorb_element(&a, 1);
    pqi_poseidon2_permute(a.state);
    pqi_poseidon2_squeeze(out, a.state);
}
