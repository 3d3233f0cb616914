#include "base/secret.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

void pqi_secret_wipe(void *data, size_t len)
{
    if (len > 0) {
        explicit_bzero(data, len);
    }
}

void pqi_secret_free(void *data, size_t len)
{
    if (data != NULL) {
        pqi_secret_wipe(data, len);
        free(data);
    }
}

bool pqi_secret_equal(const void *a, const void *b, size_t len)
{
    const volatile uint8_t *left = a;
    const volatile uint8_t *right = b;
    uint8_t difference = 0;
    for (size_t i = 0; i < len; i++) {
        difference = (uint8_t)(difference | (left[i] ^ right[i]));
    }
    return difference == 0;
}
