/* base64url without padding (RFC 4648, section 5), one text for each run of bytes and no other:
 * unused bits of the last character must be zero (section 3.5).  Pure. */
#ifndef PQI_CAPS_BASE64URL_H
#define PQI_CAPS_BASE64URL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Characters of |len| bytes, without a NUL. */
#define PQI_BASE64URL_LEN(len) (((len) / 3 * 4) + ((len) % 3 == 0 ? 0 : (len) % 3 + 1))

/* Bytes that |text_len| characters stand for. */
size_t pqi_base64url_bytes(size_t text_len);

/* Writes PQI_BASE64URL_LEN(len) characters and a NUL. */
void pqi_base64url_encode(char *out, const uint8_t *data, size_t len);

/* Reads |text_len| characters into pqi_base64url_bytes(text_len) bytes at |out|.  False when it is
 * not the one text of some bytes; |out| then holds rubbish. */
bool pqi_base64url_decode(uint8_t *out, const char *text, size_t text_len);

#endif
