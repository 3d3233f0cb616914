/* The search with AVX-512 IFMA: two vectors of eight nonces go through it side by side.
 *
 * An element x is kept as two limbs, x = low + 2^52 high (mod p).  IFMA multiplies the lowest 52
 * bits of its operands and adds half of the 104-bit product to a 64-bit accumulator.  So limbs that
 * are only added need no carrying: the accumulators have 12 bits to spare, the external layer
 * (whose rows sum to 28) is plain additions, and round constants are accumulators' first values.
 *
 * "Carried" limbs: the bits of low from 52 up have been added to high as well, and IFMA does not
 * see them where they were.  Only carried limbs may be multiplied, with high below 2^21.7.
 *
 * Reductions rest on 2^64 = 2^32 - 1 and 2^96 = -1 (mod p), so on
 *     2^52 * 2^12 q = (2^32 - 1) q     and     2^104 q = -2^8 q.
 *
 * What was measured (one Sapphire Rapids core at about 3.5 GHz; gcc 12 and clang 19 alike): 2.0 to
 * 2.2 MH/s where portable code has 0.35.  The core starts two vector operations a cycle, which
 * bounds this many at 2.4.  One vector alone cannot hide the latency of the internal rounds; three
 * or four side by side gained nothing over two.  Plain 32-bit products (as in pow_avx2.c) need 21
 * to 28 operations for each multiplication, this form 13 or 14. */
#include "miner/pow_avx512_tables.h"
#include "miner/pow_backend.h"

#include <immintrin.h>

#define WIDTH PQI_POSEIDON2_WIDTH
#define GROUP 4
#define VECTOR_LANES 8
#define LANES (2 * VECTOR_LANES)

#define P UINT64_C(0xffffffff00000001)
#define EPSILON UINT64_C(0xffffffff) /* 2^64 mod p */
#define LIMB_BITS 52
#define LIMB_MASK ((UINT64_C(1) << LIMB_BITS) - 1)
#define TOP_BITS 12 /* 64 - LIMB_BITS: bits of high that have weight below 2^64 */
#define TOP_MASK ((UINT64_C(1) << TOP_BITS) - 1)
#define MINUS_256 ((UINT64_C(1) << LIMB_BITS) - 256)

/* Two vectors that go through the same steps, one behind the other: each multiplication takes four
 * cycles, and the second vector's work fills them. */
typedef struct wide {
    __m512i a;
    __m512i b;
} wide;

typedef struct element {
    wide low;
    wide high;
} element;

static inline __m512i broadcast(uint64_t value)
{
    return _mm512_set1_epi64((long long)value);
}

static inline wide spread(uint64_t value)
{
    return (wide){broadcast(value), broadcast(value)};
}

static inline wide add(wide x, wide y)
{
    return (wide){_mm512_add_epi64(x.a, y.a), _mm512_add_epi64(x.b, y.b)};
}

static inline wide mask(wide x, uint64_t bits)
{
    const __m512i m = broadcast(bits);
    return (wide){_mm512_and_si512(x.a, m), _mm512_and_si512(x.b, m)};
}

static inline wide shift_right(wide x, unsigned bits)
{
    return (wide){_mm512_srli_epi64(x.a, bits), _mm512_srli_epi64(x.b, bits)};
}

/* sum + the lowest 52 bits of x * y. */
static inline wide add_low(wide sum, wide x, wide y)
{
    return (wide){_mm512_madd52lo_epu64(sum.a, x.a, y.a), _mm512_madd52lo_epu64(sum.b, x.b, y.b)};
}

/* sum + the 52 bits of x * y above those. */
static inline wide add_high(wide sum, wide x, wide y)
{
    return (wide){_mm512_madd52hi_epu64(sum.a, x.a, y.a), _mm512_madd52hi_epu64(sum.b, x.b, y.b)};
}

static inline element add_elements(element x, element y)
{
    return (element){add(x.low, y.low), add(x.high, y.high)};
}

static inline element spread_limbs(const uint64_t limbs[2])
{
    return (element){spread(limbs[0]), spread(limbs[1])};
}

static inline element carry(element x)
{
    x.high = add(x.high, shift_right(x.low, LIMB_BITS));
    return x;
}

/* Brings limbs of any size (low up to 2^64 - 2^52, high below 2^32) to high < 2^13.2, carried. */
static inline element normalise(element x)
{
    const wide over = shift_right(x.high, TOP_BITS);
    x.high = mask(x.high, TOP_MASK);
    x.low = add_low(x.low, over, spread(EPSILON));
    return carry(x);
}

static inline element drop_carried(element x)
{
    x.low = mask(x.low, LIMB_MASK);
    return x;
}

/* x * y + start, not carried, low < start.low + 3 * 2^52, high < 2^21.6 + start.high / 2^32.
 *
 * |start| must hold POW_AVX512_START, which makes up for what the reduction adds: the products of
 * weight 2^104 are gathered as p2, from 1 on so that it is never 0, and for 0 < 2^8 p2 <= 2^52
 * the lowest 52 bits of p2 * (2^52 - 2^8) are 2^52 - 2^8 p2: one instruction subtracts. */
static inline element multiply(element x, element y, element start)
{
    wide p0 = start.low;
    wide p1 = start.high;
    wide p2 = spread(1);
    p1 = add_high(p1, x.low, y.low);
    p2 = add_low(p2, x.high, y.high);
    p0 = add_low(p0, x.low, y.low);
    p1 = add_low(p1, x.low, y.high);
    p2 = add_high(p2, x.low, y.high);
    p1 = add_low(p1, x.high, y.low);
    p2 = add_high(p2, x.high, y.low);

    const wide over = shift_right(p1, TOP_BITS);
    p0 = add_low(p0, p2, spread(MINUS_256));
    return (element){
        add_low(p0, over, spread(EPSILON)),
        add_high(mask(p1, TOP_MASK), over, spread(EPSILON)),
    };
}

/* As multiply(x, x) with two products less, carried. */
static inline element square(element x)
{
    const element start = spread_limbs(pow_avx512_start);
    const wide twice = add(x.high, x.high);
    wide p0 = start.low;
    wide p1 = start.high;
    wide p2 = spread(1);
    p1 = add_high(p1, x.low, x.low);
    p2 = add_low(p2, x.high, x.high);
    p0 = add_low(p0, x.low, x.low);
    p1 = add_low(p1, x.low, twice);
    p2 = add_high(p2, x.low, twice);

    const wide over = shift_right(p1, TOP_BITS);
    p0 = add_low(p0, p2, spread(MINUS_256));
    return carry((element){
        add_low(p0, over, spread(EPSILON)),
        add_high(mask(p1, TOP_MASK), over, spread(EPSILON)),
    });
}

/* x^7 + start, not carried; |x| is. */
static inline element power7(element x, element start)
{
    const element x2 = square(x);
    const element x3 = carry(multiply(x2, x, spread_limbs(pow_avx512_start)));
    const element x4 = square(x2);
    return multiply(x3, x4, start);
}

/* [2 3 1 1; 1 2 3 1; 1 1 2 3; 3 1 1 2] on one limb of a group. */
static inline void multiply_group(wide y[GROUP], wide x0, wide x1, wide x2, wide x3)
{
    const wide x01 = add(x0, x1);
    const wide x23 = add(x2, x3);
    const wide sum = add(x01, x23);
    const wide sum1 = add(sum, x1);
    const wide sum3 = add(sum, x3);
    y[0] = add(sum1, x01);
    y[1] = add(sum1, add(x2, x2));
    y[2] = add(sum3, x23);
    y[3] = add(sum3, add(x0, x0));
}

/* The external layer without any reduction: limbs grow by a factor of 28.  The column sums come
 * first, which is the same by linearity and needs fewer additions. */
static void external_layer(element x[WIDTH])
{
    element column[GROUP];
    for (size_t i = 0; i < GROUP; i++) {
        column[i] = add_elements(x[i], add_elements(x[i + 4], x[i + 8]));
    }
    for (size_t g = 0; g < WIDTH; g += GROUP) {
        wide low[GROUP];
        wide high[GROUP];
        multiply_group(low, add(x[g].low, column[0].low), add(x[g + 1].low, column[1].low),
                       add(x[g + 2].low, column[2].low), add(x[g + 3].low, column[3].low));
        multiply_group(high, add(x[g].high, column[0].high), add(x[g + 1].high, column[1].high),
                       add(x[g + 2].high, column[2].high), add(x[g + 3].high, column[3].high));
        for (size_t i = 0; i < GROUP; i++) {
            x[g + i] = (element){low[i], high[i]};
        }
    }
}

/* Element 0 of the external layer: all that a search needs of its last one. */
static element external_layer_first(const element x[WIDTH])
{
    element y[3];
    for (size_t g = 0; g < 3; g++) {
        const element *in = x + g * GROUP;
        const element x01 = add_elements(in[0], in[1]);
        const element x23 = add_elements(in[2], in[3]);
        y[g] = add_elements(add_elements(x01, x23), add_elements(x01, in[1]));
    }
    return add_elements(add_elements(y[0], y[0]), add_elements(y[1], y[2]));
}

static void sboxes(element x[WIDTH], const uint64_t starts[WIDTH][2])
{
    for (size_t i = 0; i < WIDTH; i++) {
        x[i] = power7(x[i], spread_limbs(starts[i]));
    }
}

static void normalise_all(element x[WIDTH])
{
    for (size_t i = 0; i < WIDTH; i++) {
        x[i] = normalise(x[i]);
    }
}

static void add_constants(element x[WIDTH], const uint64_t constants[WIDTH][2])
{
    for (size_t i = 0; i < WIDTH; i++) {
        x[i] = normalise(add_elements(x[i], spread_limbs(constants[i])));
    }
}

/* Elements are not carried between internal rounds, for the sum must see each bit once. */
static void internal_round(element x[WIDTH], const uint64_t next_constant[2])
{
    const element start = spread_limbs(pow_avx512_start);
    const element y = power7(carry(x[0]), start);
    element sum = add_elements(y, start);
    for (size_t i = 1; i < WIDTH; i++) {
        sum = add_elements(sum, x[i]);
    }
    x[0] = multiply(carry(y), spread_limbs(pow_avx512_diagonal[0]),
                    add_elements(sum, spread_limbs(next_constant)));
    sum = drop_carried(normalise(sum));
    for (size_t i = 1; i < WIDTH; i++) {
        x[i] = multiply(carry(x[i]), spread_limbs(pow_avx512_diagonal[i]), sum);
    }
}

/* The permutation from behind its opening layer and first constants to before its last layer.
 * Takes carried limbs; gives low < 2^54, high < 2^21.7, not carried. */
static void permute_rounds(element x[WIDTH])
{
    for (size_t r = 0; r < PQI_POSEIDON2_EXTERNAL_ROUNDS; r++) {
        sboxes(x, pow_avx512_initial_starts[r]);
        external_layer(x);
        normalise_all(x);
    }
    for (size_t i = 0; i < WIDTH; i++) {
        x[i] = drop_carried(x[i]);
    }
    for (size_t r = 0; r < PQI_POSEIDON2_INTERNAL_ROUNDS; r++) {
        internal_round(x, pow_avx512_internal_constants[r]);
    }
    add_constants(x, pow_avx512_terminal_constants);
    for (size_t r = 0; r + 1 < PQI_POSEIDON2_EXTERNAL_ROUNDS; r++) {
        sboxes(x, pow_avx512_terminal_starts[r]);
        external_layer(x);
        normalise_all(x);
    }
    sboxes(x, pow_avx512_terminal_starts[PQI_POSEIDON2_EXTERNAL_ROUNDS - 1]);
}

/* Permutation 3's state with the last word of each nonce added, and the first constants. */
static void open_segment(element x[WIDTH], const pqi_pow_segment *segment, uint32_t counter)
{
    uint64_t words[LANES];
    for (uint32_t lane = 0; lane < LANES; lane++) {
        words[lane] = __builtin_bswap32(counter + lane);
    }
    const wide word = {_mm512_loadu_si512(words), _mm512_loadu_si512(words + VECTOR_LANES)};
    for (size_t i = 0; i < WIDTH; i++) {
        const uint64_t limbs[2] = {segment->opened[i] & LIMB_MASK, segment->opened[i] >> LIMB_BITS};
        x[i] = spread_limbs(limbs);
        x[i].low = add_low(x[i].low, word, spread(pqi_pow_word_weight[i]));
    }
    add_constants(x, pow_avx512_first_constants);
}

/* low + 2^52 high (carried) as one canonical number; high < 2^14, so one carry at most. */
static uint64_t canonical(uint64_t low, uint64_t high)
{
    const uint64_t bottom = (low & LIMB_MASK) | high << LIMB_BITS;
    uint64_t sum;
    if (__builtin_add_overflow(bottom, (high >> TOP_BITS) * EPSILON, &sum)) {
        sum += EPSILON;
    }
    return sum >= P ? sum - P : sum;
}

static void store_canonical(uint64_t out[LANES], element x)
{
    uint64_t low[LANES];
    uint64_t high[LANES];
    _mm512_storeu_si512(low, x.low.a);
    _mm512_storeu_si512(low + VECTOR_LANES, x.low.b);
    _mm512_storeu_si512(high, x.high.a);
    _mm512_storeu_si512(high + VECTOR_LANES, x.high.b);
    for (size_t lane = 0; lane < LANES; lane++) {
        out[lane] = canonical(low[lane], high[lane]);
    }
}

static void hash(uint64_t *first, const pqi_pow_segment *segment, uint32_t counter)
{
    element x[WIDTH];
    open_segment(x, segment, counter);
    permute_rounds(x);
    /* The last layer of permutation 3 and the opening one of permutation 4 need no reduction in
     * between: low is below 2^54 here, and 28 * 28 * 2^54 < 2^63.7. */
    external_layer(x);
    external_layer(x);
    add_constants(x, pow_avx512_second_constants);
    permute_rounds(x);
    store_canonical(first, normalise(external_layer_first(x)));
}

static bool supported(void)
{
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512ifma");
}

const struct pqi_pow_backend pqi_pow_avx512 = {
    .name = "avx512",
    .lanes = LANES,
    .supported = supported,
    .hash = hash,
};
