/* Hexadecimal text. */
#ifndef PQI_BASE_HEX_H
#define PQI_BASE_HEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Writes 2 * |len| lower-case digits and a NUL to |out|. */
void pqi_hex_encode(char *out, const uint8_t *data, size_t len);

/* Reads exactly 2 * |len| digits of either case from |text| of |text_len| characters.
 * False, with |out| zeroed, when the length or any character is wrong. */
bool pqi_hex_decode(uint8_t *out, size_t len, const char *text, size_t text_len);

#endif
