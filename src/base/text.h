/* Text that comes from outside and goes to a terminal. */
#ifndef PQI_BASE_TEXT_H
#define PQI_BASE_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Reads one character of UTF-8 (RFC 3629) and returns its length in bytes, 1 to 4, with the
 * character in *point.  0: |text| (NUL-terminated) is no UTF-8 here; *point is then meaningless. */
size_t pqi_utf8_read(const char *text, uint32_t *point);

/* True for control characters of both sets, line separators and what turns the direction of
 * writing: with them somebody could steer a terminal, or show a line that is none. */
bool pqi_char_is_control(uint32_t point);

/* Puts '?' in place of each byte of the NUL-terminated |text| that belongs to a control character
 * or is no UTF-8. */
void pqi_text_clean(char *text);

#endif
