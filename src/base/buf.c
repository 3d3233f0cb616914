#include "base/buf.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

bool pqi_buf_reserve(pqi_buf *b, size_t extra)
{
    if (extra >= SIZE_MAX / 2 - b->len || (b->max != 0 && b->len + extra > b->max)) {
        return false;
    }
    const size_t need = b->len + extra + 1;
    if (need <= b->size) {
        return true;
    }
    size_t size = b->size < 64 ? 64 : b->size;
    while (size < need) {
        size *= 2;
    }
    uint8_t *data = realloc(b->data, size);
    if (data == NULL) {
        return false;
    }
    b->data = data;
    b->size = size;
    return true;
}

bool pqi_buf_append(pqi_buf *b, const void *data, size_t len)
{
    if (!pqi_buf_reserve(b, len)) {
        return false;
    }
    if (len > 0) {
        memcpy(b->data + b->len, data, len);
    }
    b->len += len;
    return true;
}

bool pqi_buf_printf(pqi_buf *b, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    const int need = vsnprintf(NULL, 0, fmt, args);
    va_end(args);
    if (need < 0 || !pqi_buf_reserve(b, (size_t)need)) {
        return false;
    }
    va_start(args, fmt);
    (void)vsnprintf((char *)b->data + b->len, (size_t)need + 1, fmt, args);
    va_end(args);
    b->len += (size_t)need;
    return true;
}

void pqi_buf_free(pqi_buf *b)
{
    free(b->data);
    b->data = NULL;
    b->len = 0;
    b->size = 0;
}
