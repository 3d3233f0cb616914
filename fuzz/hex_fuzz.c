/* Hexadecimal text: whatever is accepted encodes to the same text again, in lower case. */
#include "base/hex.h"

#include <ctype.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t len = size / 2;
    uint8_t *bytes = malloc(len + 1);
    char *text = malloc(2 * len + 1);

    if (bytes == NULL || text == NULL) {
        abort();
    }
    if (pqi_hex_decode(bytes, len, (const char *)data, size)) {
        pqi_hex_encode(text, bytes, len);
        for (size_t i = 0; i < size; i++) {
            if (text[i] != tolower(data[i])) {
                abort();
            }
        }
    }
    free(text);
    free(bytes);
    return 0;
}
