#include "caps/base64url.h"

#define GROUP_BYTES 3
#define GROUP_CHARS 4
#define CHAR_BITS 6
#define CHAR_MASK 0x3f
#define BYTE_BITS 8

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

size_t pqi_base64url_bytes(size_t text_len)
{
    return text_len / GROUP_CHARS * GROUP_BYTES + text_len % GROUP_CHARS * CHAR_BITS / BYTE_BITS;
}

void pqi_base64url_encode(char *out, const uint8_t *data, size_t len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    for (size_t i = 0; i < len; i++) {
        bits = (bits << BYTE_BITS) | data[i];
        have += BYTE_BITS;
        while (have >= CHAR_BITS) {
            have -= CHAR_BITS;
            *out++ = alphabet[(bits >> have) & CHAR_MASK];
        }
    }
    if (have > 0) {
        *out++ = alphabet[(bits << (CHAR_BITS - have)) & CHAR_MASK];
    }
    *out = '\0';
}

/* What a character stands for; over CHAR_MASK for one that is not of the alphabet. */
static uint32_t value_of(char c)
{
    if (c >= 'A' && c <= 'Z') {
        return (uint32_t)(c - 'A');
    }
    if (c >= 'a' && c <= 'z') {
        return (uint32_t)(c - 'a') + 26;
    }
    if (c >= '0' && c <= '9') {
        return (uint32_t)(c - '0') + 52;
    }
    return c == '-' ? 62 : c == '_' ? 63 : CHAR_MASK + 1;
}

bool pqi_base64url_decode(uint8_t *out, const char *text, size_t text_len)
{
    uint32_t bits = 0;
    unsigned have = 0;
    if (text_len % GROUP_CHARS == 1) {
        return false; /* six bits are no byte */
    }
    for (size_t i = 0; i < text_len; i++) {
        const uint32_t value = value_of(text[i]);
        if (value > CHAR_MASK) {
            return false;
        }
        bits = (bits << CHAR_BITS) | value;
        have += CHAR_BITS;
        if (have >= BYTE_BITS) {
            have -= BYTE_BITS;
            *out++ = (uint8_t)(bits >> have);
        }
    }
    return (bits & ((UINT32_C(1) << have) - 1)) == 0;
}
