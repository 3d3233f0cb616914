/* Decimal text to 512-bit numbers: what is accepted must come back the same. */
#include "miner/u512.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* How many zeros stand before the first significant digit; a lone zero is significant. */
static size_t leading_zeros(const char *text, size_t len)
{
    size_t zeros = 0;
    while (zeros + 1 < len && text[zeros] == '0') {
        zeros++;
    }
    return zeros;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    char again[PQI_U512_TEXT_SIZE];
    pql_error err;
    pqi_u512 value;
    if (pqi_u512_from_decimal(&value, text, size, &err) != PQL_OK) {
        if (!pqi_u512_is_zero(&value) || err.code == PQL_OK) {
            abort();
        }
        return 0;
    }
    const size_t zeros = leading_zeros(text, size);
    const size_t len = pqi_u512_to_decimal(again, &value);
    if (len != size - zeros || memcmp(again, text + zeros, len) != 0) {
        abort();
    }
    pqi_u512 quotient;
    if (pqi_u512_divide(&quotient, &value, &value) == pqi_u512_is_zero(&value)) {
        abort();
    }
    return 0;
}
