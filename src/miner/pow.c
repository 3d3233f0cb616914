#include "miner/pow.h"

#include "miner/goldilocks.h"

#include <string.h>

#define HALF_NONCE (PQI_POW_NONCE_SIZE / 2)
#define COUNTER_AT (PQI_POW_NONCE_SIZE - sizeof(uint32_t)) /* the part that varies in a segment */

/* Element 7 is the last of its group: the matrix's last column [1 1 3 2] within its own group,
 * doubled by the column sum, and once into the others. */
const uint8_t pqi_pow_word_weight[PQI_POSEIDON2_WIDTH] = {1, 1, 3, 2, 2, 2, 6, 4, 1, 1, 3, 2};

bool pqi_pow_target(pqi_u512 *target, const pqi_u512 *difficulty)
{
    const pqi_u512 max = pqi_u512_max();
    return pqi_u512_divide(target, &max, difficulty);
}

pqi_u512 pqi_pow_achieved(const uint8_t hash[PQI_POW_HASH_SIZE])
{
    const pqi_u512 max = pqi_u512_max();
    const pqi_u512 number = pqi_u512_from_bytes(hash);
    pqi_u512 achieved;
    return pqi_u512_divide(&achieved, &max, &number) ? achieved : max;
}

void pqi_pow_hash(uint8_t out[PQI_POW_HASH_SIZE],
                  const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                  const uint8_t nonce[PQI_POW_NONCE_SIZE])
{
    uint8_t input[PQI_POW_MINING_HASH_SIZE + PQI_POW_NONCE_SIZE];
    memcpy(input, mining_hash, PQI_POW_MINING_HASH_SIZE);
    memcpy(input + PQI_POW_MINING_HASH_SIZE, nonce, PQI_POW_NONCE_SIZE);
    pqi_poseidon2_hash(out, input, sizeof(input));
}

bool pqi_pow_meets(const uint8_t hash[PQI_POW_HASH_SIZE], const pqi_u512 *target)
{
    const pqi_u512 number = pqi_u512_from_bytes(hash);
    return pqi_u512_compare(&number, target) < 0;
}

static bool is_zero(const uint8_t *bytes, size_t len)
{
    uint8_t any = 0;
    for (size_t i = 0; i < len; i++) {
        any |= bytes[i];
    }
    return any == 0;
}

bool pqi_pow_verify(const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                    const uint8_t nonce[PQI_POW_NONCE_SIZE], const pqi_u512 *target)
{
    uint8_t hash[PQI_POW_HASH_SIZE];
    if (is_zero(nonce, PQI_POW_NONCE_SIZE)) {
        return false;
    }
    pqi_pow_hash(hash, mining_hash, nonce);
    return pqi_pow_meets(hash, target);
}

size_t pqi_pow_backends(const pqi_pow_backend *out[PQI_POW_BACKENDS_MAX])
{
    static const pqi_pow_backend *const all[] = {
#if defined(__x86_64__)
        &pqi_pow_avx512,
        &pqi_pow_avx2,
#endif
        &pqi_pow_portable,
    };
    size_t count = 0;
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        if (all[i]->supported()) {
            out[count++] = all[i];
        }
    }
    return count;
}

const pqi_pow_backend *pqi_pow_backend_find(const char *name)
{
    const pqi_pow_backend *backends[PQI_POW_BACKENDS_MAX];
    const size_t count = pqi_pow_backends(backends);
    for (size_t i = 0; i < count; i++) {
        if (strcmp(backends[i]->name, name) == 0) {
            return backends[i];
        }
    }
    return NULL;
}

const char *pqi_pow_backend_name(const pqi_pow_backend *backend)
{
    return backend->name;
}

static uint32_t get_counter(const uint8_t nonce[PQI_POW_NONCE_SIZE])
{
    const uint8_t *at = nonce + COUNTER_AT;
    return (uint32_t)at[0] << 24 | (uint32_t)at[1] << 16 | (uint32_t)at[2] << 8 | at[3];
}

static void set_counter(uint8_t nonce[PQI_POW_NONCE_SIZE], uint32_t counter)
{
    for (size_t i = 0; i < sizeof(counter); i++) {
        nonce[PQI_POW_NONCE_SIZE - 1 - i] = (uint8_t)(counter >> (8 * i));
    }
}

/* Permutation 2; needed again only when counting has reached the high half of the nonce. */
static void enter_high_half(pqi_pow_job *job)
{
    memcpy(job->midstate, job->absorbed_hash, sizeof(job->midstate));
    pqi_poseidon2_add_block(job->midstate, job->next);
    pqi_poseidon2_permute(job->midstate);
}

/* What the backend needs to know of the nonces that share all but the last four bytes. */
static void enter_segment(pqi_pow_job *job)
{
    uint8_t low_half[HALF_NONCE];
    memcpy(low_half, job->next + HALF_NONCE, HALF_NONCE);
    memset(low_half + HALF_NONCE - sizeof(uint32_t), 0, sizeof(uint32_t));
    memcpy(job->segment.opened, job->midstate, sizeof(job->segment.opened));
    pqi_poseidon2_add_block(job->segment.opened, low_half);
    pqi_poseidon2_external_layer(job->segment.opened);
}

void pqi_pow_search_init(pqi_pow_job *job, const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                         const uint8_t nonce_start[PQI_POW_NONCE_SIZE], const pqi_u512 *target)
{
    const pqi_pow_backend *backends[PQI_POW_BACKENDS_MAX];
    pqi_pow_backends(backends);
    *job = (pqi_pow_job){.backend = backends[0], .target = *target};
    memcpy(job->next, nonce_start, PQI_POW_NONCE_SIZE);
    pqi_poseidon2_add_block(job->absorbed_hash, mining_hash);
    pqi_poseidon2_permute(job->absorbed_hash);
    enter_high_half(job);
    enter_segment(job);
}

void pqi_pow_search_use(pqi_pow_job *job, const pqi_pow_backend *backend)
{
    job->backend = backend;
}

/* Adds |steps| to the next nonce; |steps| stays within the segment or goes to the first nonce
 * behind it, where the prepared states are made anew. */
static void advance(pqi_pow_job *job, uint32_t steps)
{
    const uint32_t counter = get_counter(job->next);
    set_counter(job->next, counter + steps);
    if (steps == 0 || counter + steps > counter) {
        return;
    }
    bool carried = true;
    for (size_t at = COUNTER_AT; carried && at > 0; at--) {
        carried = ++job->next[at - 1] == 0;
    }
    if (is_zero(job->next + HALF_NONCE, HALF_NONCE)) {
        enter_high_half(job);
    }
    enter_segment(job);
}

/* The whole check of a nonce that passed the early one, from the midstate on. */
static bool check(const pqi_pow_job *job, const uint8_t nonce[PQI_POW_NONCE_SIZE])
{
    uint64_t state[PQI_POSEIDON2_WIDTH];
    uint8_t hash[PQI_POW_HASH_SIZE];
    if (is_zero(nonce, PQI_POW_NONCE_SIZE)) {
        return false;
    }
    memcpy(state, job->midstate, sizeof(state));
    pqi_poseidon2_add_block(state, nonce + HALF_NONCE);
    pqi_poseidon2_permute(state);
    pqi_poseidon2_add_end(state);
    pqi_poseidon2_permute(state);
    pqi_poseidon2_squeeze(hash, state);
    return pqi_pow_meets(hash, &job->target);
}

/* Hashes one call's worth of nonces and looks at the first |count| of them (1 to lanes, all in the
 * segment).  True when one is valid.  |*passed|: how many were tried, a valid one included. */
static bool try_lanes(const pqi_pow_job *job, uint32_t count, uint32_t *passed,
                      uint8_t found[PQI_POW_NONCE_SIZE])
{
    uint64_t first[PQI_POW_LANES_MAX];
    const uint32_t counter = get_counter(job->next);
    const uint64_t target_top = job->target.limb[PQI_U512_LIMBS - 1];
    job->backend->hash(first, &job->segment, counter);
    for (uint32_t lane = 0; lane < count; lane++) {
        /* The top 64 bits of H are element 0 as little-endian bytes.  Above the target's: no. */
        if (__builtin_bswap64(first[lane]) <= target_top) {
            uint8_t nonce[PQI_POW_NONCE_SIZE];
            memcpy(nonce, job->next, sizeof(nonce));
            set_counter(nonce, counter + lane);
            if (check(job, nonce)) {
                memcpy(found, nonce, sizeof(nonce));
                *passed = lane + 1;
                return true;
            }
        }
    }
    *passed = count;
    return false;
}

static uint32_t smaller(uint64_t a, uint64_t b)
{
    return (uint32_t)(a < b ? a : b);
}

bool pqi_pow_search(pqi_pow_job *job, uint64_t count, uint64_t *tried,
                    uint8_t found[PQI_POW_NONCE_SIZE])
{
    bool hit = false;
    *tried = 0;
    while (!hit && *tried < count) {
        const uint64_t left_in_segment = (UINT64_C(1) << 32) - get_counter(job->next);
        const uint32_t lanes =
            smaller(smaller(count - *tried, job->backend->lanes), left_in_segment);
        uint32_t passed;
        hit = try_lanes(job, lanes, &passed, found);
        *tried += passed;
        advance(job, passed);
    }
    return hit;
}
