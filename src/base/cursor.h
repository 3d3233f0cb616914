/* Cursors: the only way that wire bytes are read and written.
 *
 * A reader or writer that once ran past its end stays failed, returns zeros, and moves no further:
 * parse the whole message, then ask `ok` once.  Neither allocates. */
#ifndef PQI_BASE_CURSOR_H
#define PQI_BASE_CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct pqi_reader {
    const uint8_t *data; /* borrowed */
    size_t len;
    size_t pos;
    bool failed;
} pqi_reader;

void pqi_reader_init(pqi_reader *r, const void *data, size_t len);
bool pqi_reader_ok(const pqi_reader *r);     /* never ran past the end */
bool pqi_reader_done(const pqi_reader *r);   /* ok, and nothing is left */
size_t pqi_reader_left(const pqi_reader *r); /* bytes left; 0 after a failure */
uint8_t pqi_read_u8(pqi_reader *r);
uint16_t pqi_read_u16(pqi_reader *r); /* big-endian, as are the next two */
uint32_t pqi_read_u32(pqi_reader *r);
uint64_t pqi_read_u64(pqi_reader *r);
uint32_t pqi_read_u32le(pqi_reader *r);
uint64_t pqi_read_u64le(pqi_reader *r);
/* |len| bytes in place, or NULL when there are fewer (the reader is then failed). */
const uint8_t *pqi_read_bytes(pqi_reader *r, size_t len);
/* Copies |len| bytes to |out|; on failure |out| is zeroed. */
bool pqi_read_copy(pqi_reader *r, void *out, size_t len);

typedef struct pqi_writer {
    uint8_t *data; /* borrowed */
    size_t size;
    size_t len; /* bytes written */
    bool failed;
} pqi_writer;

void pqi_writer_init(pqi_writer *w, void *data, size_t size);
bool pqi_writer_ok(const pqi_writer *w);
void pqi_write_u8(pqi_writer *w, uint8_t v);
void pqi_write_u16(pqi_writer *w, uint16_t v); /* big-endian, as are the next two */
void pqi_write_u32(pqi_writer *w, uint32_t v);
void pqi_write_u64(pqi_writer *w, uint64_t v);
void pqi_write_u32le(pqi_writer *w, uint32_t v);
void pqi_write_u64le(pqi_writer *w, uint64_t v);
void pqi_write_bytes(pqi_writer *w, const void *data, size_t len);

#endif
