/* Cursors under any order of reads: never past the end, and failed for ever once they would be.
 *
 * The first half of the input is a programme of reads, the second half what they read.  What was
 * read is written back, and must be the same bytes. */
#include "base/cursor.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition)
{
    if (!condition) {
        abort();
    }
}

/* One read of the kind that |what| says, written again to |w|. */
static void copy_one(pqi_reader *r, pqi_writer *w, uint8_t what)
{
    size_t len = what >> 3;
    const uint8_t *bytes;

    switch (what & 7) {
    case 0:
        pqi_write_u8(w, pqi_read_u8(r));
        break;
    case 1:
        pqi_write_u16(w, pqi_read_u16(r));
        break;
    case 2:
        pqi_write_u32(w, pqi_read_u32(r));
        break;
    case 3:
        pqi_write_u64(w, pqi_read_u64(r));
        break;
    case 4:
        pqi_write_u32le(w, pqi_read_u32le(r));
        break;
    case 5:
        pqi_write_u64le(w, pqi_read_u64le(r));
        break;
    default:
        bytes = pqi_read_bytes(r, len);
        if (bytes != NULL) {
            pqi_write_bytes(w, bytes, len);
        }
        break;
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    size_t half = size / 2;
    uint8_t *copy = malloc(half + 1);
    pqi_reader r;
    pqi_writer w;

    require(copy != NULL);
    pqi_reader_init(&r, data + half, half);
    pqi_writer_init(&w, copy, half);
    for (size_t i = 0; i < half && pqi_reader_ok(&r); i++) {
        size_t left = pqi_reader_left(&r);

        copy_one(&r, &w, data[i]);
        require(pqi_reader_left(&r) <= left);
        if (pqi_reader_ok(&r)) {
            require(pqi_writer_ok(&w));
            require(w.len == half - pqi_reader_left(&r));
            require(memcmp(copy, data + half, w.len) == 0);
        }
    }
    if (!pqi_reader_ok(&r)) {
        require(pqi_reader_left(&r) == 0);
        require(pqi_read_u64(&r) == 0);
        require(!pqi_reader_done(&r));
    }
    free(copy);
    return 0;
}
