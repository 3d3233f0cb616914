#include "base/text.h"

#include <string.h>

size_t pqi_utf8_read(const char *text, uint32_t *point)
{
    static const uint32_t least[] = {0, 0, 0x80, 0x800, 0x10000};
    const unsigned char first = (unsigned char)text[0];
    const size_t len = first < 0x80   ? 1
                       : first < 0xc0 ? 0
                       : first < 0xe0 ? 2
                       : first < 0xf0 ? 3
                                      : 4;
    *point = len <= 1 ? first : first & (0x7fU >> len);
    for (size_t i = 1; i < len; i++) {
        const unsigned char next = (unsigned char)text[i]; /* the final NUL fails here */
        if ((next & 0xc0) != 0x80) {
            return 0;
        }
        *point = *point << 6 | (next & 0x3fU);
    }
    const bool surrogate = *point >= 0xd800 && *point <= 0xdfff;
    return len > 0 && *point >= least[len] && *point <= 0x10ffff && !surrogate ? len : 0;
}

bool pqi_char_is_control(uint32_t point)
{
    return point < 0x20 || (point >= 0x7f && point <= 0x9f) ||
           (point >= 0x2028 && point <= 0x202e) || (point >= 0x2066 && point <= 0x2069);
}

void pqi_text_clean(char *text)
{
    while (*text != '\0') {
        uint32_t point = 0;
        const size_t len = pqi_utf8_read(text, &point);
        const size_t step = len == 0 ? 1 : len;
        if (len == 0 || pqi_char_is_control(point)) {
            memset(text, '?', step);
        }
        text += step;
    }
}
