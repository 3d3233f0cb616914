/* Unsigned numbers of 512 bits: difficulties, targets and hashes of the miner link.
 *
 * Plain data, no memory is allocated, nothing here is secret (time depends on the values).
 * Every function is thread-safe.  Source of the text rules: protocols/quantus.md section 3.2. */
#ifndef PQI_MINER_U512_H
#define PQI_MINER_U512_H

#include <pqlink/error.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define PQI_U512_LIMBS 8
#define PQI_U512_BYTES 64
#define PQI_U512_DIGITS 155 /* decimal digits of 2^512 - 1 */
#define PQI_U512_TEXT_SIZE (PQI_U512_DIGITS + 1)

/* The number is the sum of limb[i] * 2^(64 i): limb[0] is the least significant. */
typedef struct pqi_u512 {
    uint64_t limb[PQI_U512_LIMBS];
} pqi_u512;

pqi_u512 pqi_u512_from_u64(uint64_t value);
/* 2^512 - 1. */
pqi_u512 pqi_u512_max(void);

/* Reads |len| characters of decimal text (no NUL needed): ASCII digits only, no sign, no space,
 * 1 to PQI_U512_DIGITS of them, leading zeros allowed.
 * PQL_OK, or with |*out| zero: PQL_E_NOT_FOUND when the text is empty (the official miner reads
 * that as zero), PQL_E_USAGE on a character that is not a digit, PQL_E_LIMIT when there are too
 * many digits or the number needs more than 512 bits. */
pql_status pqi_u512_from_decimal(pqi_u512 *out, const char *text, size_t len, pql_error *err);
/* Writes decimal text without leading zeros ("0" for zero) and a NUL.  Returns its length. */
size_t pqi_u512_to_decimal(char out[PQI_U512_TEXT_SIZE], const pqi_u512 *value);

/* Big-endian bytes: bytes[0] is the most significant. */
pqi_u512 pqi_u512_from_bytes(const uint8_t bytes[PQI_U512_BYTES]);
void pqi_u512_to_bytes(uint8_t out[PQI_U512_BYTES], const pqi_u512 *value);

/* Negative, zero or positive as |a| is below, equal to or above |b|. */
int pqi_u512_compare(const pqi_u512 *a, const pqi_u512 *b);
bool pqi_u512_is_zero(const pqi_u512 *value);

/* |*sum| = (a + b) mod 2^512; true when a bit was carried out.  |sum| may be |a| or |b|. */
bool pqi_u512_add(pqi_u512 *sum, const pqi_u512 *a, const pqi_u512 *b);
/* |*difference| = (a - b) mod 2^512; true when a < b.  |difference| may be |a| or |b|. */
bool pqi_u512_subtract(pqi_u512 *difference, const pqi_u512 *a, const pqi_u512 *b);
/* |*product| = (a * factor + addend) mod 2^512; returns what did not fit (0: nothing).
 * |product| may be |a|. */
uint64_t pqi_u512_multiply_u64(pqi_u512 *product, const pqi_u512 *a, uint64_t factor,
                               uint64_t addend);
/* |*quotient| = floor(a / divisor); returns the remainder.  |divisor| is not 0.
 * |quotient| may be |a|. */
uint64_t pqi_u512_divide_u64(pqi_u512 *quotient, const pqi_u512 *a, uint64_t divisor);
/* |*quotient| = floor(a / divisor).  False, with |*quotient| zero, when |divisor| is zero. */
bool pqi_u512_divide(pqi_u512 *quotient, const pqi_u512 *a, const pqi_u512 *divisor);

/* The nearest double, for gauges and people; infinity does not occur. */
double pqi_u512_to_double(const pqi_u512 *value);

#endif
