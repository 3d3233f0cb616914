/* The search with AVX2: two vectors of four nonces go through it side by side.
 *
 * An element is any u64 in a 64-bit lane, standing for itself modulo p = 2^64 - 2^32 + 1.  AVX2
 * multiplies 32 bits by 32, so a product is four of those; it is reduced by 2^64 = 2^32 - 1 and
 * 2^96 = -1.  The linear layers work on halves of 32 bits in lanes of 64, where nothing overflows.
 *
 * Carries: AVX2 compares signed numbers only, so sums that may overflow are made with the sign bit
 * flipped; a comparison gives all ones for a carry, and all ones shifted right by 32 is 2^64 mod p.
 *
 * What was measured (one Sapphire Rapids core): 0.75 MH/s, twice the portable code. */
#include "miner/goldilocks.h"
#include "miner/pow_backend.h"

#include <immintrin.h>

#define WIDTH PQI_POSEIDON2_WIDTH
#define GROUP 4
#define VECTOR_LANES 4
#define LANES (2 * VECTOR_LANES)
#define HALF_BITS 32
#define ODD_HALVES 0xaa /* blend: the upper 32 bits of each lane from the second operand */

/* Two vectors that go through the same steps, one behind the other, to hide latency. */
typedef struct wide {
    __m256i a;
    __m256i b;
} wide;

/* low + 2^32 high (mod p), each anywhere in 64 bits. */
typedef struct halves {
    wide low;
    wide high;
} halves;

static inline wide spread(uint64_t value)
{
    const __m256i v = _mm256_set1_epi64x((long long)value);
    return (wide){v, v};
}

static inline wide add(wide x, wide y)
{
    return (wide){_mm256_add_epi64(x.a, y.a), _mm256_add_epi64(x.b, y.b)};
}

static inline wide subtract(wide x, wide y)
{
    return (wide){_mm256_sub_epi64(x.a, y.a), _mm256_sub_epi64(x.b, y.b)};
}

static inline wide shift_right(wide x, int bits)
{
    return (wide){_mm256_srli_epi64(x.a, bits), _mm256_srli_epi64(x.b, bits)};
}

static inline wide shift_left(wide x, int bits)
{
    return (wide){_mm256_slli_epi64(x.a, bits), _mm256_slli_epi64(x.b, bits)};
}

/* The product of the lower halves. */
static inline wide multiply_low(wide x, wide y)
{
    return (wide){_mm256_mul_epu32(x.a, y.a), _mm256_mul_epu32(x.b, y.b)};
}

static inline wide low_half(wide x)
{
    const __m256i mask = _mm256_set1_epi64x((long long)GOLDILOCKS_EPSILON);
    return (wide){_mm256_and_si256(x.a, mask), _mm256_and_si256(x.b, mask)};
}

/* The lower halves of |low| below the lower halves of |high|. */
static inline wide join(wide low, wide high)
{
    high = shift_left(high, HALF_BITS);
    return (wide){_mm256_blend_epi32(low.a, high.a, ODD_HALVES),
                  _mm256_blend_epi32(low.b, high.b, ODD_HALVES)};
}

static inline wide flip_sign(wide x)
{
    const __m256i sign = _mm256_set1_epi64x(INT64_MIN);
    return (wide){_mm256_xor_si256(x.a, sign), _mm256_xor_si256(x.b, sign)};
}

/* 2^64 mod p in the lanes where x > y as signed numbers, else 0. */
static inline wide epsilon_if_greater(wide x, wide y)
{
    const wide all_ones = {_mm256_cmpgt_epi64(x.a, y.a), _mm256_cmpgt_epi64(x.b, y.b)};
    return shift_right(all_ones, HALF_BITS);
}

/* flipped + y (mod p), flipped again; one carry at most. */
static inline wide add_flipped(wide flipped, wide y)
{
    const wide sum = add(flipped, y);
    return add(sum, epsilon_if_greater(flipped, sum));
}

/* As goldilocks_reduce of low + 2^64 high. */
static inline wide reduce(wide low, wide high)
{
    const wide flipped = flip_sign(low);
    wide rest = subtract(flipped, shift_right(high, HALF_BITS));
    rest = subtract(rest, epsilon_if_greater(rest, flipped));
    return flip_sign(add_flipped(rest, multiply_low(high, spread(GOLDILOCKS_EPSILON))));
}

/* x * y + addend.low + 2^32 addend.high, where both are below 2^32: never over 128 bits. */
static inline wide multiply_add(wide x, wide y, halves addend)
{
    const wide x_high = shift_right(x, HALF_BITS);
    const wide y_high = shift_right(y, HALF_BITS);
    const wide ll = add(multiply_low(x, y), addend.low);
    const wide hl = add(multiply_low(x_high, y), addend.high);
    const wide lh = multiply_low(x, y_high);
    const wide hh = multiply_low(x_high, y_high);
    const wide middle = add(hl, shift_right(ll, HALF_BITS));
    const wide upper = add(lh, low_half(middle));
    const wide high = add(hh, add(shift_right(middle, HALF_BITS), shift_right(upper, HALF_BITS)));
    return reduce(join(ll, upper), high);
}

static inline wide multiply(wide x, wide y)
{
    return multiply_add(x, y, (halves){spread(0), spread(0)});
}

static inline wide square(wide x)
{
    const wide x_high = shift_right(x, HALF_BITS);
    const wide ll = multiply_low(x, x);
    const wide lh = multiply_low(x, x_high); /* counts twice: weight 2^33 */
    const wide hh = multiply_low(x_high, x_high);
    const wide upper = add(lh, shift_right(ll, HALF_BITS + 1));
    return reduce(add(ll, shift_left(lh, HALF_BITS + 1)),
                  add(hh, shift_right(upper, HALF_BITS - 1)));
}

static inline wide power7(wide x)
{
    const wide x2 = square(x);
    return multiply(multiply(x2, x), square(x2));
}

static inline halves split(wide x)
{
    return (halves){low_half(x), shift_right(x, HALF_BITS)};
}

static inline halves spread_halves(uint64_t value)
{
    return (halves){spread(value & GOLDILOCKS_EPSILON), spread(value >> HALF_BITS)};
}

static inline halves add_halves(halves x, halves y)
{
    return (halves){add(x.low, y.low), add(x.high, y.high)};
}

/* One element again; both halves below 2^44. */
static inline wide combine(halves x)
{
    const wide over = multiply_low(shift_right(x.high, HALF_BITS), spread(GOLDILOCKS_EPSILON));
    const wide flipped = flip_sign(shift_left(x.high, HALF_BITS));
    return flip_sign(add_flipped(flipped, add(x.low, over)));
}

/* [2 3 1 1; 1 2 3 1; 1 1 2 3; 3 1 1 2] on a group. */
static inline void multiply_group(halves x[GROUP])
{
    const halves x0 = x[0];
    const halves x2 = x[2];
    const halves x01 = add_halves(x0, x[1]);
    const halves x23 = add_halves(x2, x[3]);
    const halves sum = add_halves(x01, x23);
    const halves sum1 = add_halves(sum, x[1]);
    const halves sum3 = add_halves(sum, x[3]);
    x[0] = add_halves(sum1, x01);
    x[1] = add_halves(sum1, add_halves(x2, x2));
    x[2] = add_halves(sum3, x23);
    x[3] = add_halves(sum3, add_halves(x0, x0));
}

/* The external layer; halves grow by a factor of 28. */
static void external_layer(halves x[WIDTH])
{
    halves column[GROUP];
    for (size_t i = 0; i < GROUP; i++) {
        column[i] = add_halves(x[i], add_halves(x[i + 4], x[i + 8]));
    }
    for (size_t g = 0; g < WIDTH; g += GROUP) {
        for (size_t i = 0; i < GROUP; i++) {
            x[g + i] = add_halves(x[g + i], column[i]);
        }
        multiply_group(x + g);
    }
}

/* The s-boxes, then as halves through the external layer. */
static void external_round(halves out[WIDTH], const wide x[WIDTH])
{
    for (size_t i = 0; i < WIDTH; i++) {
        out[i] = split(power7(x[i]));
    }
    external_layer(out);
}

/* Back to elements, with the next round's constants. */
static void combine_all(wide x[WIDTH], const halves h[WIDTH], const uint64_t constants[WIDTH])
{
    for (size_t i = 0; i < WIDTH; i++) {
        x[i] = combine(add_halves(h[i], spread_halves(constants[i])));
    }
}

static void internal_round(wide x[WIDTH], uint64_t constant)
{
    const wide y = power7(flip_sign(add_flipped(flip_sign(x[0]), spread(constant))));
    halves sum = split(y);
    for (size_t i = 1; i < WIDTH; i++) {
        sum = add_halves(sum, split(x[i]));
    }
    sum = split(combine(sum));
    x[0] = multiply_add(y, spread(pqi_poseidon2_diagonal[0]), sum);
    for (size_t i = 1; i < WIDTH; i++) {
        x[i] = multiply_add(x[i], spread(pqi_poseidon2_diagonal[i]), sum);
    }
}

/* The permutation from behind its opening layer; takes and gives halves. */
static void permute_rounds(halves h[WIDTH])
{
    static const uint64_t none[WIDTH] = {0};
    wide x[WIDTH];
    for (size_t r = 0; r < PQI_POSEIDON2_EXTERNAL_ROUNDS; r++) {
        combine_all(x, h, pqi_poseidon2_initial_constants[r]);
        external_round(h, x);
    }
    combine_all(x, h, none);
    for (size_t r = 0; r < PQI_POSEIDON2_INTERNAL_ROUNDS; r++) {
        internal_round(x, pqi_poseidon2_internal_constants[r]);
    }
    for (size_t i = 0; i < WIDTH; i++) {
        h[i] = split(x[i]);
    }
    for (size_t r = 0; r < PQI_POSEIDON2_EXTERNAL_ROUNDS; r++) {
        combine_all(x, h, pqi_poseidon2_terminal_constants[r]);
        external_round(h, x);
    }
}

/* Permutation 3's state with the last word of each nonce added. */
static void open_segment(halves h[WIDTH], const pqi_pow_segment *segment, uint32_t counter)
{
    uint64_t words[LANES];
    for (uint32_t lane = 0; lane < LANES; lane++) {
        words[lane] = __builtin_bswap32(counter + lane);
    }
    const wide word = {_mm256_loadu_si256((const __m256i *)words),
                       _mm256_loadu_si256((const __m256i *)(words + VECTOR_LANES))};
    for (size_t i = 0; i < WIDTH; i++) {
        h[i] = spread_halves(segment->opened[i]);
        h[i].low = add(h[i].low, multiply_low(word, spread(pqi_pow_word_weight[i])));
    }
}

static void hash(uint64_t *first, const pqi_pow_segment *segment, uint32_t counter)
{
    const halves one = spread_halves(1);
    halves h[WIDTH];
    open_segment(h, segment, counter);
    permute_rounds(h);
    h[0] = add_halves(h[0], one); /* the terminator and the padding, as pqi_poseidon2_add_end */
    h[1] = add_halves(h[1], one);
    external_layer(h); /* the halves are below 28 * 28 * 2^32 behind it */
    permute_rounds(h);

    const wide result = combine(h[0]);
    _mm256_storeu_si256((__m256i *)first, result.a);
    _mm256_storeu_si256((__m256i *)(first + VECTOR_LANES), result.b);
    for (size_t lane = 0; lane < LANES; lane++) {
        first[lane] = goldilocks_canonical(first[lane]);
    }
}

static bool supported(void)
{
    return __builtin_cpu_supports("avx2") != 0;
}

const struct pqi_pow_backend pqi_pow_avx2 = {
    .name = "avx2",
    .lanes = LANES,
    .supported = supported,
    .hash = hash,
};
