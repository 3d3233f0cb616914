/* A stream of frames gives the same frames however it is cut: the first byte says how. */
#include "miner/frame.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    size_t frames;
    size_t bytes;
    uint64_t digest; /* of lengths and bodies */
    pql_status status;
} outcome;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void add(outcome *o, const uint8_t *body, size_t len)
{
    require(len > 0 && len <= PQI_FRAME_BODY_MAX);
    o->frames++;
    o->bytes += len;
    o->digest = o->digest * 31 + len;
    for (size_t i = 0; i < len; i++) {
        o->digest = o->digest * 31 + body[i];
    }
}

static outcome read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    outcome o = {0};
    pqi_frame_reader r = {0};
    for (size_t at = 0; at < size && o.status == PQL_OK; at += piece) {
        pqi_reader in;
        pqi_reader_init(&in, data + at, size - at < piece ? size - at : piece);
        const uint8_t *body;
        size_t len;
        do {
            o.status = pqi_frame_read(&r, &in, &body, &len, NULL);
            if (body != NULL) {
                add(&o, body, len);
            }
        } while (o.status == PQL_OK && body != NULL);
    }
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    outcome whole = read_in_pieces(data + 1, size - 1, size);
    outcome cut = read_in_pieces(data + 1, size - 1, (size_t)data[0] + 1);
    require(whole.frames == cut.frames && whole.bytes == cut.bytes);
    require(whole.digest == cut.digest && whole.status == cut.status);
    return 0;
}
