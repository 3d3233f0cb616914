#include "miner/u512.h"

#include "base/error.h"

#include <string.h>

typedef unsigned __int128 u128;

#define LIMB_BITS 64
#define U512_BITS (PQI_U512_LIMBS * LIMB_BITS)

pqi_u512 pqi_u512_from_u64(uint64_t value)
{
    return (pqi_u512){.limb = {value}};
}

pqi_u512 pqi_u512_max(void)
{
    pqi_u512 value;
    memset(&value, 0xff, sizeof(value));
    return value;
}

static pql_status parse_digits(pqi_u512 *out, const char *text, size_t len, pql_error *err)
{
    for (size_t i = 0; i < len; i++) {
        if (text[i] < '0' || text[i] > '9') {
            return pqi_fail(err, PQL_E_USAGE,
                            "Character %zu of the number is not a decimal digit; write it with the "
                            "digits 0 to 9 only.",
                            i + 1);
        }
        if (pqi_u512_multiply_u64(out, out, 10, (uint64_t)(text[i] - '0')) != 0) {
            return pqi_fail(err, PQL_E_LIMIT,
                            "The number needs more than 512 bits; the largest is 2^512 - 1.");
        }
    }
    return PQL_OK;
}

pql_status pqi_u512_from_decimal(pqi_u512 *out, const char *text, size_t len, pql_error *err)
{
    *out = pqi_u512_from_u64(0);
    if (len == 0) {
        return pqi_fail(err, PQL_E_NOT_FOUND, "A number was expected, but the text is empty.");
    }
    if (len > PQI_U512_DIGITS) {
        return pqi_fail(err, PQL_E_LIMIT, "The number has %zu digits; at most %d are allowed.", len,
                        PQI_U512_DIGITS);
    }
    const pql_status status = parse_digits(out, text, len, err);
    if (status != PQL_OK) {
        *out = pqi_u512_from_u64(0);
    }
    return status;
}

/* Digits that one long division yields: 10^18 fits 64 bits. */
#define PART_DIGITS 18
#define PART UINT64_C(1000000000000000000)

size_t pqi_u512_to_decimal(char out[PQI_U512_TEXT_SIZE], const pqi_u512 *value)
{
    char digits[PQI_U512_DIGITS];
    size_t start = sizeof(digits);
    pqi_u512 rest = *value;
    bool more = true;
    while (more) {
        uint64_t part = pqi_u512_divide_u64(&rest, &rest, PART);
        more = !pqi_u512_is_zero(&rest);
        for (size_t i = 0; i < PART_DIGITS && (more || part > 0 || start == sizeof(digits)); i++) {
            digits[--start] = (char)('0' + part % 10);
            part /= 10;
        }
    }
    const size_t len = sizeof(digits) - start;
    memcpy(out, digits + start, len);
    out[len] = '\0';
    return len;
}

pqi_u512 pqi_u512_from_bytes(const uint8_t bytes[PQI_U512_BYTES])
{
    pqi_u512 value = {{0}};
    for (size_t i = 0; i < PQI_U512_BYTES; i++) {
        uint64_t *limb = &value.limb[(PQI_U512_BYTES - 1 - i) / sizeof(*limb)];
        *limb = *limb << 8 | bytes[i];
    }
    return value;
}

void pqi_u512_to_bytes(uint8_t out[PQI_U512_BYTES], const pqi_u512 *value)
{
    for (size_t i = 0; i < PQI_U512_BYTES; i++) {
        const size_t from_low = PQI_U512_BYTES - 1 - i;
        out[i] = (uint8_t)(value->limb[from_low / 8] >> (8 * (from_low % 8)));
    }
}

int pqi_u512_compare(const pqi_u512 *a, const pqi_u512 *b)
{
    for (size_t i = PQI_U512_LIMBS; i-- > 0;) {
        if (a->limb[i] != b->limb[i]) {
            return a->limb[i] < b->limb[i] ? -1 : 1;
        }
    }
    return 0;
}

bool pqi_u512_is_zero(const pqi_u512 *value)
{
    uint64_t any = 0;
    for (size_t i = 0; i < PQI_U512_LIMBS; i++) {
        any |= value->limb[i];
    }
    return any == 0;
}

bool pqi_u512_add(pqi_u512 *sum, const pqi_u512 *a, const pqi_u512 *b)
{
    u128 carry = 0;
    for (size_t i = 0; i < PQI_U512_LIMBS; i++) {
        carry += (u128)a->limb[i] + b->limb[i];
        sum->limb[i] = (uint64_t)carry;
        carry >>= LIMB_BITS;
    }
    return carry != 0;
}

bool pqi_u512_subtract(pqi_u512 *difference, const pqi_u512 *a, const pqi_u512 *b)
{
    uint64_t borrow = 0;
    for (size_t i = 0; i < PQI_U512_LIMBS; i++) {
        const u128 step = (u128)a->limb[i] - b->limb[i] - borrow;
        difference->limb[i] = (uint64_t)step;
        borrow = (uint64_t)(step >> LIMB_BITS) & 1;
    }
    return borrow != 0;
}

uint64_t pqi_u512_multiply_u64(pqi_u512 *product, const pqi_u512 *a, uint64_t factor,
                               uint64_t addend)
{
    u128 carry = addend;
    for (size_t i = 0; i < PQI_U512_LIMBS; i++) {
        carry += (u128)a->limb[i] * factor;
        product->limb[i] = (uint64_t)carry;
        carry >>= LIMB_BITS;
    }
    return (uint64_t)carry;
}

uint64_t pqi_u512_divide_u64(pqi_u512 *quotient, const pqi_u512 *a, uint64_t divisor)
{
    u128 rest = 0;
    for (size_t i = PQI_U512_LIMBS; i-- > 0;) {
        rest = rest << LIMB_BITS | a->limb[i];
        quotient->limb[i] = (uint64_t)(rest / divisor);
        rest %= divisor;
    }
    return (uint64_t)rest;
}

/* Shifts left by one bit and puts |low_bit| in at the bottom; returns the bit that fell out. */
static bool shift_in(pqi_u512 *value, uint64_t low_bit)
{
    for (size_t i = 0; i < PQI_U512_LIMBS; i++) {
        const uint64_t high_bit = value->limb[i] >> (LIMB_BITS - 1);
        value->limb[i] = value->limb[i] << 1 | low_bit;
        low_bit = high_bit;
    }
    return low_bit != 0;
}

/* School division bit by bit: some microseconds, and it runs once for each job. */
bool pqi_u512_divide(pqi_u512 *quotient, const pqi_u512 *a, const pqi_u512 *divisor)
{
    pqi_u512 result = {{0}};
    pqi_u512 rest = {{0}};
    const bool possible = !pqi_u512_is_zero(divisor);
    for (size_t bit = U512_BITS; possible && bit-- > 0;) {
        const bool carried = shift_in(&rest, a->limb[bit / LIMB_BITS] >> (bit % LIMB_BITS) & 1);
        const bool fits = carried || pqi_u512_compare(&rest, divisor) >= 0;
        if (fits) {
            pqi_u512_subtract(&rest, &rest, divisor);
        }
        shift_in(&result, fits);
    }
    *quotient = result;
    return possible;
}

double pqi_u512_to_double(const pqi_u512 *value)
{
    const double limb_size = 18446744073709551616.0; /* 2^64 */
    double sum = 0.0;
    for (size_t i = PQI_U512_LIMBS; i > 0; i--) {
        sum = sum * limb_size + (double)value->limb[i - 1];
    }
    return sum;
}
