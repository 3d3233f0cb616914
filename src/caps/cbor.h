/* The part of CBOR (RFC 8949) that capability tokens are written in, in its deterministic form
 * (section 4.2.1) and in no other: unsigned numbers, byte strings, texts of printable ASCII,
 * arrays, maps; the shortest heads, definite lengths.  Everything else fails the reader: negative
 * numbers, tags, simple values and floats, indefinite lengths, heads that are longer than needed.
 *
 * Over the cursors of base/cursor.h: read everything, then ask pqi_reader_ok once.  Pure. */
#ifndef PQI_CAPS_CBOR_H
#define PQI_CAPS_CBOR_H

#include "base/cursor.h"

/* Arrays inside arrays that pqi_cbor_skip follows. */
#define PQI_CBOR_DEPTH_MAX 4

/* Bytes or characters in place; borrowed. */
typedef struct pqi_span {
    const uint8_t *at;
    size_t len;
} pqi_span;

uint64_t pqi_cbor_uint(pqi_reader *r);
/* Strings in place: len 0 after a failure. */
pqi_span pqi_cbor_bytes(pqi_reader *r);
pqi_span pqi_cbor_text(pqi_reader *r);
/* How many items follow: of a map, pairs.  More than there are bytes left fails the reader, so that
 * a loop over them ends. */
size_t pqi_cbor_array(pqi_reader *r);
size_t pqi_cbor_map(pqi_reader *r);
/* Passes over one item that is a number, a string or an array of such. */
void pqi_cbor_skip(pqi_reader *r);
/* What was read since |start| (a former r->pos). */
pqi_span pqi_cbor_since(const pqi_reader *r, size_t start);

void pqi_cbor_write_uint(pqi_writer *w, uint64_t value);
void pqi_cbor_write_bytes(pqi_writer *w, const void *data, size_t len);
void pqi_cbor_write_text(pqi_writer *w, const void *text, size_t len);
/* The heads; |count| items, or pairs of key and value in rising order of the keys, follow. */
void pqi_cbor_write_array(pqi_writer *w, size_t count);
void pqi_cbor_write_map(pqi_writer *w, size_t count);

#endif
