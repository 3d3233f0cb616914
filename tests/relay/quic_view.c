#include "quic_view.h"

#include "base/cursor.h"

#define LONG_HEADER 0x80
#define FIXED_BIT 0x40
#define VERSION_1 1
/* RFC 9000, 17.2: long packet types. */
#define TYPE_INITIAL 0
#define TYPE_HANDSHAKE 2
#define TYPE_RETRY 3

/* RFC 9000, 16. */
static uint64_t read_varint(pqi_reader *r)
{
    const uint8_t first = pqi_read_u8(r);
    uint64_t value = first & 0x3f;
    for (unsigned more = (1u << (first >> 6)) - 1; more > 0; more--) {
        value = value << 8 | pqi_read_u8(r);
    }
    return value;
}

static void skip(pqi_reader *r, uint64_t len)
{
    (void)pqi_read_bytes(r, len > pqi_reader_left(r) ? SIZE_MAX : (size_t)len);
}

/* One long-header packet; false when the walk ends here. */
static bool look_at_long(pqi_reader *r, uint8_t first, quic_view *view)
{
    const unsigned type = (first >> 4) & 3;
    uint64_t token = 0;
    if (pqi_read_u32(r) != VERSION_1 || type == TYPE_RETRY) {
        return false;
    }
    skip(r, pqi_read_u8(r)); /* destination connection ID */
    skip(r, pqi_read_u8(r)); /* source connection ID */
    if (type == TYPE_INITIAL) {
        token = read_varint(r);
        skip(r, token);
    }
    skip(r, read_varint(r));
    if (!pqi_reader_ok(r)) {
        return false;
    }
    view->initial = view->initial || type == TYPE_INITIAL;
    view->handshake = view->handshake || type == TYPE_HANDSHAKE;
    view->token = view->token || token > 0;
    return true;
}

quic_view quic_look(const uint8_t *data, size_t len)
{
    quic_view view = {0};
    pqi_reader r;
    pqi_reader_init(&r, data, len);
    while (pqi_reader_left(&r) > 0) {
        const uint8_t first = pqi_read_u8(&r);
        if ((first & LONG_HEADER) == 0) {
            /* A short header is the last packet; zeros are padding behind the others. */
            view.one_rtt = (first & FIXED_BIT) != 0;
            return view;
        }
        if (!look_at_long(&r, first, &view)) {
            return view;
        }
    }
    return view;
}
