#include "base/cursor.h"

#include <string.h>

void pqi_reader_init(pqi_reader *r, const void *data, size_t len)
{
    *r = (pqi_reader){.data = data, .len = len};
}

bool pqi_reader_ok(const pqi_reader *r)
{
    return !r->failed;
}

bool pqi_reader_done(const pqi_reader *r)
{
    return !r->failed && r->pos == r->len;
}

size_t pqi_reader_left(const pqi_reader *r)
{
    return r->failed ? 0 : r->len - r->pos;
}

const uint8_t *pqi_read_bytes(pqi_reader *r, size_t len)
{
    if (r->failed || r->len - r->pos < len) {
        r->failed = true;
        return NULL;
    }
    /* Adding to a NULL pointer is undefined, even when it is 0 that is added (C17, 6.5.6). */
    const uint8_t *at = r->pos == 0 ? r->data : r->data + r->pos;
    r->pos += len;
    return at;
}

bool pqi_read_copy(pqi_reader *r, void *out, size_t len)
{
    const uint8_t *at = pqi_read_bytes(r, len);
    if (at == NULL) {
        memset(out, 0, len);
        return false;
    }
    if (len > 0) {
        memcpy(out, at, len);
    }
    return true;
}

static uint64_t read_be(pqi_reader *r, size_t len)
{
    const uint8_t *at = pqi_read_bytes(r, len);
    uint64_t v = 0;
    for (size_t i = 0; at != NULL && i < len; i++) {
        v = (v << 8) | at[i];
    }
    return v;
}

static uint64_t read_le(pqi_reader *r, size_t len)
{
    const uint8_t *at = pqi_read_bytes(r, len);
    uint64_t v = 0;
    for (size_t i = len; at != NULL && i > 0; i--) {
        v = (v << 8) | at[i - 1];
    }
    return v;
}

uint8_t pqi_read_u8(pqi_reader *r)
{
    return (uint8_t)read_be(r, 1);
}

uint16_t pqi_read_u16(pqi_reader *r)
{
    return (uint16_t)read_be(r, 2);
}

uint32_t pqi_read_u32(pqi_reader *r)
{
    return (uint32_t)read_be(r, 4);
}

uint64_t pqi_read_u64(pqi_reader *r)
{
    return read_be(r, 8);
}

uint32_t pqi_read_u32le(pqi_reader *r)
{
    return (uint32_t)read_le(r, 4);
}

uint64_t pqi_read_u64le(pqi_reader *r)
{
    return read_le(r, 8);
}

void pqi_writer_init(pqi_writer *w, void *data, size_t size)
{
    *w = (pqi_writer){.data = data, .size = size};
}

bool pqi_writer_ok(const pqi_writer *w)
{
    return !w->failed;
}

void pqi_write_bytes(pqi_writer *w, const void *data, size_t len)
{
    if (w->failed || w->size - w->len < len) {
        w->failed = true;
        return;
    }
    if (len > 0) {
        memcpy(w->data + w->len, data, len);
    }
    w->len += len;
}

static void write_be(pqi_writer *w, uint64_t v, size_t len)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++) {
        bytes[len - 1 - i] = (uint8_t)(v >> (8 * i));
    }
    pqi_write_bytes(w, bytes, len);
}

static void write_le(pqi_writer *w, uint64_t v, size_t len)
{
    uint8_t bytes[8];
    for (size_t i = 0; i < len; i++) {
        bytes[i] = (uint8_t)(v >> (8 * i));
    }
    pqi_write_bytes(w, bytes, len);
}

void pqi_write_u8(pqi_writer *w, uint8_t v)
{
    write_be(w, v, 1);
}

void pqi_write_u16(pqi_writer *w, uint16_t v)
{
    write_be(w, v, 2);
}

void pqi_write_u32(pqi_writer *w, uint32_t v)
{
    write_be(w, v, 4);
}

void pqi_write_u64(pqi_writer *w, uint64_t v)
{
    write_be(w, v, 8);
}

void pqi_write_u32le(pqi_writer *w, uint32_t v)
{
    write_le(w, v, 4);
}

void pqi_write_u64le(pqi_writer *w, uint64_t v)
{
    write_le(w, v, 8);
}
