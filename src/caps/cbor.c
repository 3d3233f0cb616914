#include "caps/cbor.h"

/* Major types (RFC 8949, section 3.1). */
enum { MAJOR_UINT = 0, MAJOR_BYTES = 2, MAJOR_TEXT = 3, MAJOR_ARRAY = 4, MAJOR_MAP = 5 };
#define MAJOR_SHIFT 5
#define INFO_MASK 0x1f
/* Values below stand in the head itself; from here on so many bytes follow. */
#define INFO_U8 24
#define INFO_U16 25
#define INFO_U32 26
#define INFO_U64 27

/* The number of a head whose low bits are |info|; fails the reader unless that is the shortest. */
static uint64_t read_number(pqi_reader *r, unsigned info)
{
    uint64_t value = info;
    uint64_t least = 0;
    switch (info) {
    case INFO_U8:
        value = pqi_read_u8(r);
        least = INFO_U8;
        break;
    case INFO_U16:
        value = pqi_read_u16(r);
        least = UINT64_C(1) + UINT8_MAX;
        break;
    case INFO_U32:
        value = pqi_read_u32(r);
        least = UINT64_C(1) + UINT16_MAX;
        break;
    case INFO_U64:
        value = pqi_read_u64(r);
        least = UINT64_C(1) + UINT32_MAX;
        break;
    default: /* in the head, reserved, or of indefinite length */
        r->failed = r->failed || info > INFO_U64;
        break;
    }
    if (r->failed || value < least) {
        r->failed = true;
        return 0;
    }
    return value;
}

static uint64_t read_head(pqi_reader *r, unsigned *major)
{
    const uint8_t head = pqi_read_u8(r);
    *major = head >> MAJOR_SHIFT;
    return read_number(r, head & INFO_MASK);
}

static uint64_t expect(pqi_reader *r, unsigned wanted)
{
    unsigned major = 0;
    const uint64_t value = read_head(r, &major);
    if (major != wanted) {
        r->failed = true;
    }
    return r->failed ? 0 : value;
}

static pqi_span take(pqi_reader *r, uint64_t len)
{
    if (len > pqi_reader_left(r)) {
        r->failed = true;
    }
    const uint8_t *at = pqi_read_bytes(r, r->failed ? 0 : (size_t)len);
    const pqi_span span = {at, r->failed ? 0 : (size_t)len};
    return span;
}

static void check_text(pqi_reader *r, pqi_span text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.at[i] < ' ' || text.at[i] > '~') {
            r->failed = true;
        }
    }
}

uint64_t pqi_cbor_uint(pqi_reader *r)
{
    return expect(r, MAJOR_UINT);
}

pqi_span pqi_cbor_bytes(pqi_reader *r)
{
    return take(r, expect(r, MAJOR_BYTES));
}

pqi_span pqi_cbor_text(pqi_reader *r)
{
    pqi_span text = take(r, expect(r, MAJOR_TEXT));
    check_text(r, text);
    if (r->failed) {
        text = (pqi_span){0};
    }
    return text;
}

static size_t read_count(pqi_reader *r, unsigned major, size_t bytes_each)
{
    const uint64_t count = expect(r, major);
    if (count > pqi_reader_left(r) / bytes_each) {
        r->failed = true;
    }
    return r->failed ? 0 : (size_t)count;
}

size_t pqi_cbor_array(pqi_reader *r)
{
    return read_count(r, MAJOR_ARRAY, 1);
}

size_t pqi_cbor_map(pqi_reader *r)
{
    return read_count(r, MAJOR_MAP, 2);
}

void pqi_cbor_skip(pqi_reader *r)
{
    uint64_t left[PQI_CBOR_DEPTH_MAX] = {1}; /* items still to come, of each array around */
    size_t depth = 1;
    while (depth > 0 && !r->failed) {
        unsigned major = 0;
        if (left[depth - 1] == 0) {
            depth--;
            continue;
        }
        left[depth - 1]--;
        const uint64_t value = read_head(r, &major);
        if (major == MAJOR_BYTES || major == MAJOR_TEXT) {
            const pqi_span string = take(r, value);
            if (major == MAJOR_TEXT) {
                check_text(r, string);
            }
        } else if (major == MAJOR_ARRAY && depth < PQI_CBOR_DEPTH_MAX) {
            left[depth++] = value; /* each takes a byte at least, so this ends */
        } else if (major != MAJOR_UINT) {
            r->failed = true;
        }
    }
}

pqi_span pqi_cbor_since(const pqi_reader *r, size_t start)
{
    pqi_span span = {0};
    if (!r->failed) {
        span = (pqi_span){r->data + start, r->pos - start};
    }
    return span;
}

static void write_head(pqi_writer *w, unsigned major, uint64_t value)
{
    const uint8_t high = (uint8_t)(major << MAJOR_SHIFT);
    if (value < INFO_U8) {
        pqi_write_u8(w, (uint8_t)(high | value));
    } else if (value <= UINT8_MAX) {
        pqi_write_u8(w, high | INFO_U8);
        pqi_write_u8(w, (uint8_t)value);
    } else if (value <= UINT16_MAX) {
        pqi_write_u8(w, high | INFO_U16);
        pqi_write_u16(w, (uint16_t)value);
    } else if (value <= UINT32_MAX) {
        pqi_write_u8(w, high | INFO_U32);
        pqi_write_u32(w, (uint32_t)value);
    } else {
        pqi_write_u8(w, high | INFO_U64);
        pqi_write_u64(w, value);
    }
}

void pqi_cbor_write_uint(pqi_writer *w, uint64_t value)
{
    write_head(w, MAJOR_UINT, value);
}

void pqi_cbor_write_bytes(pqi_writer *w, const void *data, size_t len)
{
    write_head(w, MAJOR_BYTES, len);
    pqi_write_bytes(w, data, len);
}

void pqi_cbor_write_text(pqi_writer *w, const void *text, size_t len)
{
    write_head(w, MAJOR_TEXT, len);
    pqi_write_bytes(w, text, len);
}

void pqi_cbor_write_array(pqi_writer *w, size_t count)
{
    write_head(w, MAJOR_ARRAY, count);
}

void pqi_cbor_write_map(pqi_writer *w, size_t count)
{
    write_head(w, MAJOR_MAP, count);
}
