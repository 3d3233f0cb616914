/* A stream of OAP/1 frames gives the same frames however it is cut (the first byte says how), every
 * frame that is read is written as the same bytes, and every control payload is parsed. */
#include "rpc/oap.h"
#include "rpc/oap_hello.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct outcome {
    size_t frames;
    uint64_t digest;
    pql_status status;
} outcome;

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

static void parse_hello(const pqi_oap_frame *frame)
{
    pqi_oap_hello hello;
    pqi_oap_welcome welcome;
    if (frame->payload_len == 0) {
        return;
    }
    if (pqi_oap_hello_read(&hello, frame->payload, frame->payload_len, NULL) == PQL_OK) {
        uint8_t bytes[PQI_OAP_HELLO_MAX];
        pqi_writer w;
        pqi_oap_hello again;
        pqi_writer_init(&w, bytes, sizeof(bytes));
        require(pqi_oap_hello_write(&w, &hello, NULL) == PQL_OK);
        require(pqi_oap_hello_read(&again, bytes, w.len, NULL) == PQL_OK);
        require(memcmp(&hello, &again, sizeof(hello)) == 0);
    }
    (void)pqi_oap_welcome_read(&welcome, frame->payload, frame->payload_len, NULL);
}

static void take(outcome *o, const pqi_oap_frame *frame)
{
    const size_t size = pqi_oap_size(frame);
    uint8_t *bytes = malloc(size);
    pqi_writer w;
    require(bytes != NULL);
    pqi_writer_init(&w, bytes, size);
    require(pqi_oap_write(&w, frame, NULL) == PQL_OK && w.len == size);
    o->frames++;
    for (size_t i = 0; i < size; i++) {
        o->digest = o->digest * 31 + bytes[i];
    }
    free(bytes);
    if (frame->app_proto_id == PQI_OAP_CONTROL) {
        parse_hello(frame);
    }
}

static outcome read_in_pieces(const uint8_t *data, size_t size, size_t piece)
{
    outcome o = {0};
    pqi_oap_reader r;
    pqi_oap_reader_init(&r, 0);
    for (size_t at = 0; at < size && o.status == PQL_OK; at += piece) {
        pqi_reader in;
        bool whole = true;
        pqi_reader_init(&in, data + at, size - at < piece ? size - at : piece);
        while (whole && o.status == PQL_OK) {
            pqi_oap_frame frame;
            o.status = pqi_oap_read(&r, &in, &frame, &whole, NULL);
            if (whole) {
                take(&o, &frame);
            }
        }
    }
    pqi_oap_reader_free(&r);
    return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0) {
        return 0;
    }
    const outcome whole = read_in_pieces(data + 1, size - 1, size);
    const outcome cut = read_in_pieces(data + 1, size - 1, (size_t)data[0] + 1);
    require(whole.frames == cut.frames && whole.digest == cut.digest);
    require(whole.status == cut.status);
    return 0;
}
