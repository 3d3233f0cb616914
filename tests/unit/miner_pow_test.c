/* Checking and searching nonces: the vectors on every backend, and the backends against each other.
 */
#include "test.h"

#include "base/hex.h"
#include "miner/pow.h"

#include <jansson.h>
#include <string.h>

#define RANDOM_ROUNDS 400
#define SEARCHED_PER_ROUND 61 /* prime, so no multiple of any backend's lanes */

static json_t *vectors;

static int load_vectors(void **state)
{
    (void)state;
    vectors = json_load_file(PQLINK_TEST_DATA "/quantus-pow.json", 0, NULL);
    return vectors == NULL ? -1 : 0;
}

static int drop_vectors(void **state)
{
    (void)state;
    json_decref(vectors);
    return 0;
}

static void read_hex(uint8_t *out, size_t len, const json_t *row, const char *member)
{
    const char *text = json_string_value(json_object_get(row, member));
    assert_non_null(text);
    assert_true(pqi_hex_decode(out, len, text, strlen(text)));
}

static pqi_u512 read_number(const json_t *row, const char *member)
{
    const char *text = json_string_value(json_object_get(row, member));
    pqi_u512 value;
    assert_non_null(text);
    assert_int_equal(pqi_u512_from_decimal(&value, text, strlen(text), NULL), PQL_OK);
    return value;
}

static pqi_u512 read_target(const json_t *row, const char *member)
{
    uint8_t bytes[PQI_U512_BYTES];
    read_hex(bytes, sizeof(bytes), row, member);
    return pqi_u512_from_bytes(bytes);
}

static void assert_equal(const pqi_u512 *actual, const pqi_u512 *expected)
{
    assert_int_equal(pqi_u512_compare(actual, expected), 0);
}

/* A fixed sequence (SplitMix64): the tests see the same "random" input every time. */
static uint64_t next_random(uint64_t *seed)
{
    uint64_t z = *seed += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
    return z ^ z >> 31;
}

static void fill_random(uint64_t *seed, uint8_t *out, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        out[i] = (uint8_t)next_random(seed);
    }
}

static void add_to_nonce(uint8_t nonce[PQI_POW_NONCE_SIZE], uint64_t steps)
{
    const pqi_u512 old = pqi_u512_from_bytes(nonce);
    const pqi_u512 more = pqi_u512_from_u64(steps);
    pqi_u512 sum;
    pqi_u512_add(&sum, &old, &more);
    pqi_u512_to_bytes(nonce, &sum);
}

static void every_hash_of_the_vectors_comes_out_the_same(void **state)
{
    (void)state;
    const json_t *list = json_object_get(vectors, "hashes");
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
        uint8_t nonce[PQI_POW_NONCE_SIZE];
        uint8_t expected[PQI_POW_HASH_SIZE];
        uint8_t hash[PQI_POW_HASH_SIZE];
        read_hex(mining_hash, sizeof(mining_hash), row, "mining_hash");
        read_hex(nonce, sizeof(nonce), row, "nonce");
        read_hex(expected, sizeof(expected), row, "hash");
        pqi_pow_hash(hash, mining_hash, nonce);
        assert_memory_equal(hash, expected, sizeof(expected));
        const pqi_u512 achieved = pqi_pow_achieved(hash);
        const pqi_u512 wanted = read_number(row, "achieved_difficulty");
        assert_equal(&achieved, &wanted);
    }
}

static void every_check_of_the_vectors_is_decided_the_same(void **state)
{
    (void)state;
    const json_t *list = json_object_get(vectors, "hashes");
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const json_t *checks = json_object_get(row, "checks");
        const bool usable = json_is_true(json_object_get(row, "node_accepts_nonce"));
        uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
        uint8_t nonce[PQI_POW_NONCE_SIZE];
        uint8_t hash[PQI_POW_HASH_SIZE];
        read_hex(mining_hash, sizeof(mining_hash), row, "mining_hash");
        read_hex(nonce, sizeof(nonce), row, "nonce");
        pqi_pow_hash(hash, mining_hash, nonce);
        for (size_t k = 0; k < json_array_size(checks); k++) {
            const json_t *check = json_array_get(checks, k);
            const bool meets = json_is_true(json_object_get(check, "meets_target"));
            const pqi_u512 target = read_target(check, "target");
            assert_int_equal(pqi_pow_meets(hash, &target), meets);
            assert_int_equal(pqi_pow_verify(mining_hash, nonce, &target), meets && usable);
        }
    }
}

static void every_target_of_the_vectors_comes_out_the_same(void **state)
{
    (void)state;
    const json_t *list = json_object_get(vectors, "targets");
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const pqi_u512 difficulty = read_number(row, "difficulty");
        const pqi_u512 expected = read_target(row, "target");
        pqi_u512 target;
        assert_true(pqi_pow_target(&target, &difficulty));
        assert_equal(&target, &expected);
    }
}

static void every_comparison_of_the_vectors_is_decided_the_same(void **state)
{
    (void)state;
    const json_t *list = json_object_get(vectors, "comparison");
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        uint8_t hash[PQI_POW_HASH_SIZE];
        read_hex(hash, sizeof(hash), row, "hash");
        const pqi_u512 target = read_target(row, "target");
        assert_int_equal(pqi_pow_meets(hash, &target), json_is_true(json_object_get(row, "meets")));
    }
}

static void difficulty_zero_has_a_target_that_nothing_meets(void **state)
{
    (void)state;
    const pqi_u512 zero = pqi_u512_from_u64(0);
    const uint8_t best_hash[PQI_POW_HASH_SIZE] = {0};
    pqi_u512 target = pqi_u512_max();
    assert_false(pqi_pow_target(&target, &zero));
    assert_false(pqi_pow_meets(best_hash, &target));
}

static void a_hash_of_zero_achieves_the_largest_difficulty(void **state)
{
    (void)state;
    const uint8_t hash[PQI_POW_HASH_SIZE] = {0};
    const pqi_u512 achieved = pqi_pow_achieved(hash);
    const pqi_u512 max = pqi_u512_max();
    assert_equal(&achieved, &max);
}

static void the_zero_nonce_is_refused_even_by_the_easiest_target(void **state)
{
    (void)state;
    const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = {0};
    const uint8_t nonce[PQI_POW_NONCE_SIZE] = {0};
    const pqi_u512 target = pqi_u512_max();
    assert_false(pqi_pow_verify(mining_hash, nonce, &target));
}

static void a_hash_equal_to_the_target_is_not_valid(void **state)
{
    (void)state;
    const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = {7};
    const uint8_t nonce[PQI_POW_NONCE_SIZE] = {9};
    const pqi_u512 one = pqi_u512_from_u64(1);
    uint8_t hash[PQI_POW_HASH_SIZE];
    pqi_pow_hash(hash, mining_hash, nonce);
    pqi_u512 target = pqi_u512_from_bytes(hash);
    assert_false(pqi_pow_verify(mining_hash, nonce, &target));
    pqi_u512_add(&target, &target, &one);
    assert_true(pqi_pow_verify(mining_hash, nonce, &target));
}

/* --- searching; each test runs on every backend that this machine has --- */

static void for_each_backend(void (*test)(const pqi_pow_backend *backend))
{
    const pqi_pow_backend *backends[PQI_POW_BACKENDS_MAX];
    const size_t count = pqi_pow_backends(backends);
    for (size_t i = 0; i < count; i++) {
        print_message("           on %s\n", pqi_pow_backend_name(backends[i]));
        test(backends[i]);
    }
}

static void init_search(pqi_pow_job *job, const pqi_pow_backend *backend,
                        const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                        const uint8_t start[PQI_POW_NONCE_SIZE], const pqi_u512 *target)
{
    pqi_pow_search_init(job, mining_hash, start, target);
    pqi_pow_search_use(job, backend);
}

/* Of longer jobs only this many nonces before the solution are searched. */
#define SOLVED_JOB_LIMIT 5000

/* Moves |start| to the solution's neighbourhood if it is far away; returns the tries to expect. */
static uint64_t shorten_job(uint8_t start[PQI_POW_NONCE_SIZE],
                            const uint8_t work[PQI_POW_NONCE_SIZE], uint64_t hashes_tried)
{
    if (hashes_tried <= SOLVED_JOB_LIMIT) {
        return hashes_tried;
    }
    const pqi_u512 at = pqi_u512_from_bytes(work);
    const pqi_u512 before = pqi_u512_from_u64(SOLVED_JOB_LIMIT - 1);
    pqi_u512 first;
    pqi_u512_subtract(&first, &at, &before);
    pqi_u512_to_bytes(start, &first);
    return SOLVED_JOB_LIMIT;
}

static void solve_jobs(const pqi_pow_backend *backend)
{
    const json_t *list = json_object_get(vectors, "solved_jobs");
    assert_true(json_array_size(list) > 0);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        const json_int_t hashes = json_integer_value(json_object_get(row, "hashes_tried"));
        uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
        uint8_t start[PQI_POW_NONCE_SIZE];
        uint8_t work[PQI_POW_NONCE_SIZE];
        uint8_t found[PQI_POW_NONCE_SIZE];
        uint64_t tried;
        pqi_pow_job job;
        read_hex(mining_hash, sizeof(mining_hash), row, "mining_hash");
        read_hex(start, sizeof(start), row, "start_nonce");
        read_hex(work, sizeof(work), row, "work");
        const uint64_t expected = shorten_job(start, work, (uint64_t)hashes);
        const pqi_u512 target = read_target(row, "target");
        init_search(&job, backend, mining_hash, start, &target);
        assert_true(pqi_pow_search(&job, SOLVED_JOB_LIMIT, &tried, found));
        assert_memory_equal(found, work, sizeof(work));
        assert_int_equal(tried, expected);
    }
}

static void the_solved_jobs_of_the_vectors_are_solved_again(void **state)
{
    (void)state;
    for_each_backend(solve_jobs);
}

static void find_vector_hashes(const pqi_pow_backend *backend)
{
    const json_t *list = json_object_get(vectors, "hashes");
    const pqi_u512 one = pqi_u512_from_u64(1);
    for (size_t i = 0; i < json_array_size(list); i++) {
        const json_t *row = json_array_get(list, i);
        uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
        uint8_t nonce[PQI_POW_NONCE_SIZE];
        uint8_t found[PQI_POW_NONCE_SIZE];
        uint64_t tried;
        pqi_pow_job job;
        read_hex(mining_hash, sizeof(mining_hash), row, "mining_hash");
        read_hex(nonce, sizeof(nonce), row, "nonce");
        const pqi_u512 hash = read_target(row, "hash");
        const bool usable = json_is_true(json_object_get(row, "node_accepts_nonce"));
        init_search(&job, backend, mining_hash, nonce, &hash);
        assert_false(pqi_pow_search(&job, 1, &tried, found) && memcmp(found, nonce, 64) == 0);
        pqi_u512 target;
        pqi_u512_add(&target, &hash, &one);
        init_search(&job, backend, mining_hash, nonce, &target);
        const bool hit = pqi_pow_search(&job, 1, &tried, found);
        assert_int_equal(hit && memcmp(found, nonce, sizeof(nonce)) == 0, usable);
    }
}

static void each_vector_hash_is_found_with_a_target_just_above_it_only(void **state)
{
    (void)state;
    for_each_backend(find_vector_hashes);
}

/* What a backend says of one nonce must be what the whole hash begins with. */
static void compare_with_whole_hash(const pqi_pow_backend *backend)
{
    uint64_t seed = 1;
    const pqi_u512 target = pqi_u512_max();
    for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
        uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
        uint8_t nonce[PQI_POW_NONCE_SIZE];
        uint64_t first[PQI_POW_LANES_MAX];
        pqi_pow_job job;
        fill_random(&seed, mining_hash, sizeof(mining_hash));
        fill_random(&seed, nonce, sizeof(nonce));
        nonce[60] &= 0x7f; /* far from the end of the segment */
        const uint32_t counter = (uint32_t)nonce[60] << 24 | (uint32_t)nonce[61] << 16 |
                                 (uint32_t)nonce[62] << 8 | nonce[63];
        init_search(&job, backend, mining_hash, nonce, &target);
        backend->hash(first, &job.segment, counter);
        for (size_t lane = 0; lane < backend->lanes; lane++) {
            uint8_t hash[PQI_POW_HASH_SIZE];
            pqi_pow_hash(hash, mining_hash, nonce);
            const pqi_u512 number = pqi_u512_from_bytes(hash);
            assert_true(__builtin_bswap64(first[lane]) == number.limb[PQI_U512_LIMBS - 1]);
            add_to_nonce(nonce, 1);
        }
    }
}

static void every_lane_agrees_with_the_whole_hash_on_random_input(void **state)
{
    (void)state;
    for_each_backend(compare_with_whole_hash);
}

/* States whose elements sit at the edges of the field and of the vector code's limbs. */
static void compare_edge_states(const pqi_pow_backend *backend)
{
    static const uint64_t edges[] = {
        0,
        1,
        UINT64_C(0xffffffff00000000), /* p - 1 */
        UINT64_C(0xfffffffeffffffff), /* p - 2 */
        UINT64_C(0xffffffff),
        UINT64_C(0x100000000),
        UINT64_C(0xfffffffffffff), /* 2^52 - 1 */
        UINT64_C(0x10000000000000),
        UINT64_C(0x1000000000000), /* 2^48, whose square is -1 */
        UINT64_C(0x7fffffffffffffff),
        UINT64_C(0x8000000000000000),
        UINT64_C(0xfff0000000000000),
    };
    static const uint32_t counters[] = {0, 1, 0x7fffffff, 0x80000000, 0xffffffe0};
    const size_t edge_count = sizeof(edges) / sizeof(edges[0]);
    uint64_t seed = 2;
    for (size_t round = 0; round < RANDOM_ROUNDS; round++) {
        pqi_pow_segment segment;
        uint64_t first[PQI_POW_LANES_MAX];
        const uint32_t counter = counters[round % (sizeof(counters) / sizeof(counters[0]))];
        for (size_t i = 0; i < PQI_POSEIDON2_WIDTH; i++) {
            const size_t pick = round < edge_count ? round : next_random(&seed) % edge_count;
            segment.opened[i] = edges[pick];
        }
        backend->hash(first, &segment, counter);
        for (size_t lane = 0; lane < backend->lanes; lane++) {
            uint64_t expected;
            pqi_pow_portable.hash(&expected, &segment, counter + (uint32_t)lane);
            assert_true(first[lane] == expected);
        }
    }
}

static void every_lane_agrees_with_portable_code_at_the_edges_of_the_field(void **state)
{
    (void)state;
    for_each_backend(compare_edge_states);
}

/* Portable code, one whole hash at a time, as the judge of what a search must find. */
static uint64_t first_valid(const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE],
                            const uint8_t start[PQI_POW_NONCE_SIZE], const pqi_u512 *target,
                            uint64_t count)
{
    uint8_t nonce[PQI_POW_NONCE_SIZE];
    memcpy(nonce, start, sizeof(nonce));
    for (uint64_t i = 0; i < count; i++) {
        if (pqi_pow_verify(mining_hash, nonce, target)) {
            return i;
        }
        add_to_nonce(nonce, 1);
    }
    return count;
}

static void search_random(const pqi_pow_backend *backend)
{
    uint64_t seed = 3;
    const pqi_u512 difficulty = pqi_u512_from_u64(SEARCHED_PER_ROUND);
    pqi_u512 target;
    assert_true(pqi_pow_target(&target, &difficulty));
    for (size_t round = 0; round < RANDOM_ROUNDS / 4; round++) {
        uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
        uint8_t start[PQI_POW_NONCE_SIZE];
        uint8_t found[PQI_POW_NONCE_SIZE];
        uint64_t tried;
        pqi_pow_job job;
        fill_random(&seed, mining_hash, sizeof(mining_hash));
        fill_random(&seed, start, sizeof(start));
        init_search(&job, backend, mining_hash, start, &target);
        const uint64_t at = first_valid(mining_hash, start, &target, SEARCHED_PER_ROUND);
        const bool hit = pqi_pow_search(&job, SEARCHED_PER_ROUND, &tried, found);
        assert_int_equal(hit, at < SEARCHED_PER_ROUND);
        assert_int_equal(tried, hit ? at + 1 : SEARCHED_PER_ROUND);
        if (hit) {
            add_to_nonce(start, at);
            assert_memory_equal(found, start, sizeof(start));
        }
    }
}

static void random_searches_find_the_first_valid_nonce(void **state)
{
    (void)state;
    for_each_backend(search_random);
}

/* With the easiest target every nonce is a hit: each lane in turn has the first one. */
static void search_all_hits(const pqi_pow_backend *backend)
{
    const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = {1, 2, 3};
    uint8_t nonce[PQI_POW_NONCE_SIZE] = {4, 5, 6};
    const pqi_u512 target = pqi_u512_max();
    pqi_pow_job job;
    init_search(&job, backend, mining_hash, nonce, &target);
    for (size_t i = 0; i < 3 * PQI_POW_LANES_MAX; i++) {
        uint8_t found[PQI_POW_NONCE_SIZE];
        uint64_t tried;
        assert_true(pqi_pow_search(&job, PQI_POW_LANES_MAX, &tried, found));
        assert_int_equal(tried, 1);
        assert_memory_equal(found, nonce, sizeof(nonce));
        add_to_nonce(nonce, 1);
    }
}

static void a_search_goes_on_behind_the_nonce_it_found(void **state)
{
    (void)state;
    for_each_backend(search_all_hits);
}

/* One nonce with a target that only it meets, put into each lane by starting before it. */
static void search_each_lane(const pqi_pow_backend *backend)
{
    const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = {8};
    uint8_t solution[PQI_POW_NONCE_SIZE] = {0};
    pqi_u512 target;
    const pqi_u512 difficulty = pqi_u512_from_u64(2000);
    assert_true(pqi_pow_target(&target, &difficulty));
    add_to_nonce(solution, 1000);
    add_to_nonce(solution, first_valid(mining_hash, solution, &target, 100000));
    const pqi_u512 at = pqi_u512_from_bytes(solution);
    for (uint64_t lane = 0; lane < backend->lanes; lane++) {
        const pqi_u512 before = pqi_u512_from_u64(lane);
        uint8_t start[PQI_POW_NONCE_SIZE];
        uint8_t found[PQI_POW_NONCE_SIZE];
        uint64_t tried;
        pqi_u512 first;
        pqi_pow_job job;
        pqi_u512_subtract(&first, &at, &before);
        pqi_u512_to_bytes(start, &first);
        init_search(&job, backend, mining_hash, start, &target);
        assert_false(pqi_pow_search(&job, lane, &tried, found));
        assert_int_equal(tried, lane);
        init_search(&job, backend, mining_hash, start, &target);
        assert_true(pqi_pow_search(&job, backend->lanes, &tried, found));
        assert_int_equal(tried, lane + 1);
        assert_memory_equal(found, solution, sizeof(solution));
    }
}

static void a_hit_in_any_lane_is_found_and_none_beyond_the_count(void **state)
{
    (void)state;
    for_each_backend(search_each_lane);
}

/* Searches across the nonce |start| + 20 and compares every find with the judge. */
static void assert_crossing(const pqi_pow_backend *backend, const uint8_t start[PQI_POW_NONCE_SIZE])
{
    const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = {0x5a};
    const pqi_u512 difficulty = pqi_u512_from_u64(3);
    uint8_t nonce[PQI_POW_NONCE_SIZE];
    uint64_t done = 0;
    pqi_u512 target;
    pqi_pow_job job;
    assert_true(pqi_pow_target(&target, &difficulty));
    memcpy(nonce, start, sizeof(nonce));
    init_search(&job, backend, mining_hash, start, &target);
    while (done < 60) {
        uint8_t found[PQI_POW_NONCE_SIZE];
        uint64_t tried;
        add_to_nonce(nonce, first_valid(mining_hash, nonce, &target, 100));
        assert_true(pqi_pow_search(&job, 100, &tried, found));
        assert_memory_equal(found, nonce, sizeof(nonce));
        add_to_nonce(nonce, 1);
        done += tried;
    }
}

static void cross_segments(const pqi_pow_backend *backend)
{
    uint8_t start[PQI_POW_NONCE_SIZE] = {0};
    memset(start + 58, 0xff, 6);
    start[63] -= 19;
    assert_crossing(backend, start);
}

static void counting_carries_out_of_the_last_four_bytes(void **state)
{
    (void)state;
    for_each_backend(cross_segments);
}

static void cross_halves(const pqi_pow_backend *backend)
{
    uint8_t start[PQI_POW_NONCE_SIZE] = {0};
    memset(start + 31, 0xff, 33);
    start[63] -= 19;
    assert_crossing(backend, start);
}

static void counting_carries_into_the_high_half(void **state)
{
    (void)state;
    for_each_backend(cross_halves);
}

static void cross_the_end(const pqi_pow_backend *backend)
{
    uint8_t start[PQI_POW_NONCE_SIZE];
    memset(start, 0xff, sizeof(start));
    start[63] -= 19;
    assert_crossing(backend, start);
}

static void counting_goes_on_at_zero_behind_the_largest_nonce(void **state)
{
    (void)state;
    for_each_backend(cross_the_end);
}

static void start_at_zero(const pqi_pow_backend *backend)
{
    const uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE] = {0};
    const uint8_t start[PQI_POW_NONCE_SIZE] = {0};
    uint8_t one[PQI_POW_NONCE_SIZE] = {0};
    uint8_t found[PQI_POW_NONCE_SIZE];
    const pqi_u512 target = pqi_u512_max();
    uint64_t tried;
    pqi_pow_job job;
    one[PQI_POW_NONCE_SIZE - 1] = 1;
    init_search(&job, backend, mining_hash, start, &target);
    assert_true(pqi_pow_search(&job, PQI_POW_LANES_MAX, &tried, found));
    assert_int_equal(tried, 2);
    assert_memory_equal(found, one, sizeof(one));
}

static void the_zero_nonce_is_never_found(void **state)
{
    (void)state;
    for_each_backend(start_at_zero);
}

static void the_last_backend_is_portable_and_each_is_found_by_name(void **state)
{
    (void)state;
    const pqi_pow_backend *backends[PQI_POW_BACKENDS_MAX];
    const size_t count = pqi_pow_backends(backends);
    assert_string_equal(pqi_pow_backend_name(backends[count - 1]), "portable");
    for (size_t i = 0; i < count; i++) {
        assert_ptr_equal(pqi_pow_backend_find(pqi_pow_backend_name(backends[i])), backends[i]);
        assert_true(backends[i]->lanes <= PQI_POW_LANES_MAX);
    }
    assert_null(pqi_pow_backend_find("abacus"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_hash_of_the_vectors_comes_out_the_same),
        cmocka_unit_test(every_check_of_the_vectors_is_decided_the_same),
        cmocka_unit_test(every_target_of_the_vectors_comes_out_the_same),
        cmocka_unit_test(every_comparison_of_the_vectors_is_decided_the_same),
        cmocka_unit_test(difficulty_zero_has_a_target_that_nothing_meets),
        cmocka_unit_test(a_hash_of_zero_achieves_the_largest_difficulty),
        cmocka_unit_test(the_zero_nonce_is_refused_even_by_the_easiest_target),
        cmocka_unit_test(a_hash_equal_to_the_target_is_not_valid),
        cmocka_unit_test(the_solved_jobs_of_the_vectors_are_solved_again),
        cmocka_unit_test(each_vector_hash_is_found_with_a_target_just_above_it_only),
        cmocka_unit_test(every_lane_agrees_with_the_whole_hash_on_random_input),
        cmocka_unit_test(every_lane_agrees_with_portable_code_at_the_edges_of_the_field),
        cmocka_unit_test(random_searches_find_the_first_valid_nonce),
        cmocka_unit_test(a_search_goes_on_behind_the_nonce_it_found),
        cmocka_unit_test(a_hit_in_any_lane_is_found_and_none_beyond_the_count),
        cmocka_unit_test(counting_carries_out_of_the_last_four_bytes),
        cmocka_unit_test(counting_carries_into_the_high_half),
        cmocka_unit_test(counting_goes_on_at_zero_behind_the_largest_nonce),
        cmocka_unit_test(the_zero_nonce_is_never_found),
        cmocka_unit_test(the_last_backend_is_portable_and_each_is_found_by_name),
    };
    return cmocka_run_group_tests(tests, load_vectors, drop_vectors);
}
