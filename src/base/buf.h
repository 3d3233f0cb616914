/* A growable byte buffer with a bound.  All zero is a valid empty buffer without bound. */
#ifndef PQI_BASE_BUF_H
#define PQI_BASE_BUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pqi_buf {
    uint8_t *data; /* owned */
    size_t len;
    size_t size;
    size_t max; /* 0: no bound */
} pqi_buf;

/* Makes room for |extra| more bytes and a NUL at once; false as for pqi_buf_append. */
bool pqi_buf_reserve(pqi_buf *b, size_t extra);
/* Appends; false (and nothing changed) when memory or the bound does not allow it. */
bool pqi_buf_append(pqi_buf *b, const void *data, size_t len);
/* As printf; the text's NUL is not counted in len, but is there after it. */
bool pqi_buf_printf(pqi_buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* Frees the memory and empties; the bound stays.  Does not wipe. */
void pqi_buf_free(pqi_buf *b);

#endif
