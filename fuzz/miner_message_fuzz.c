/* Bodies of frames: what is read can be written and read again to the same message, and what is
 * JSON at all is judged as jansson judges it.  The first byte chooses the dialect. */
#include "miner/json.h"
#include "miner/message.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

/* jansson nests deeper, cannot hold numbers beyond int64 and double, and lets a NUL after a bare
 * number pass (2.14). */
static void compare_with_jansson(const uint8_t *body, size_t len)
{
    char text[PQI_FRAME_BODY_MAX];
    pqi_json j;
    pqi_json_init(&j, body, len, text, sizeof(text));
    pqi_json_skip(&j);
    bool ours = pqi_json_done(&j);
    if (memchr(body, 0, len) != NULL) {
        require(!ours);
        return;
    }
    size_t brackets = 0;
    for (size_t i = 0; i < len; i++) {
        brackets += body[i] == '[' || body[i] == '{';
    }
    json_error_t error = {0};
    json_t *value = json_loadb((const char *)body, len, JSON_DECODE_ANY, &error);
    bool theirs = value != NULL;
    json_decref(value);
    require(ours || !theirs || brackets > PQI_JSON_DEPTH);
    require(theirs || !ours || json_error_code(&error) == json_error_numeric_overflow);
}

static void write_and_read_again(pqi_miner_dialect dialect, const pqi_miner_message *m)
{
    uint8_t first[PQI_FRAME_SIZE_MAX];
    uint8_t second[PQI_FRAME_SIZE_MAX];
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_message again;
    pqi_writer w;
    pqi_writer w2;
    pqi_writer_init(&w, first, sizeof(first));
    pqi_writer_init(&w2, second, sizeof(second));
    if (pqi_miner_encode(dialect, m, &w, NULL) != PQL_OK) {
        return; /* our form of a number or an escape may be longer than theirs */
    }
    require(pqi_miner_decode(dialect, first + PQI_FRAME_PREFIX_SIZE, w.len - PQI_FRAME_PREFIX_SIZE,
                             &again, text, NULL) == PQL_OK);
    require(pqi_miner_encode(dialect, &again, &w2, NULL) == PQL_OK);
    require(w2.len == w.len && memcmp(first, second, w.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size - 1 > PQI_FRAME_BODY_MAX) {
        return 0;
    }
    pqi_miner_dialect dialect = (pqi_miner_dialect)(data[0] % PQI_MINER_DIALECTS);
    char text[PQI_FRAME_BODY_MAX];
    pqi_miner_message m;
    compare_with_jansson(data + 1, size - 1);
    if (pqi_miner_decode(dialect, data + 1, size - 1, &m, text, NULL) == PQL_OK &&
        m.type != PQI_MINER_UNKNOWN) {
        write_and_read_again(dialect, &m);
    }
    return 0;
}
