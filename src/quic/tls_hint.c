#include "quic/tls_hint.h"

#include "base/cursor.h"
#include "base/hex.h"

#include <stdio.h>
#include <string.h>

/* Bytes of the fingerprint that a name shows: enough that no two identities share them. */
#define SHOWN 16
#define TEXT_SIZE (sizeof("spki-sha256:") + (size_t)2 * SHOWN)
#define NAME_SIZE 64
/* DER (X.690): tags of SEQUENCE, SET, OBJECT IDENTIFIER and UTF8String. */
#define TAG_SEQUENCE 0x30
#define TAG_SET 0x31
#define TAG_OID 0x06
#define TAG_UTF8 0x0c
/* Tag and length in front of a value of less than 128 bytes. */
#define HEADER 2u

/* RFC 5280, appendix A.1: id-at-commonName, 2.5.4.3. */
static const uint8_t common_name[] = {TAG_OID, 3, 0x55, 0x04, 0x03};

static void text_of(char out[TEXT_SIZE], const pql_fingerprint *fp)
{
    char digits[2 * SHOWN + 1];
    pqi_hex_encode(digits, fp->sha256, SHOWN);
    (void)snprintf(out, TEXT_SIZE, "%s%s",
                   fp->form == PQL_FINGERPRINT_SPKI ? "spki-sha256:" : "sha256:", digits);
}

/* One Name (RFC 5280, section 4.1.2.4) in DER; its length. */
static size_t name_of(uint8_t out[NAME_SIZE], const pql_fingerprint *fp)
{
    char text[TEXT_SIZE];
    pqi_writer w;
    text_of(text, fp);
    const size_t len = strlen(text);
    const size_t attribute = sizeof(common_name) + HEADER + len;
    pqi_writer_init(&w, out, NAME_SIZE);
    pqi_write_u8(&w, TAG_SEQUENCE);
    pqi_write_u8(&w, (uint8_t)(attribute + 2 * HEADER));
    pqi_write_u8(&w, TAG_SET);
    pqi_write_u8(&w, (uint8_t)(attribute + HEADER));
    pqi_write_u8(&w, TAG_SEQUENCE);
    pqi_write_u8(&w, (uint8_t)attribute);
    pqi_write_bytes(&w, common_name, sizeof(common_name));
    pqi_write_u8(&w, TAG_UTF8);
    pqi_write_u8(&w, (uint8_t)len);
    pqi_write_bytes(&w, text, len);
    return w.len;
}

size_t pqi_tls_hint_write(uint8_t out[PQI_TLS_HINT_SIZE], const pql_fingerprint *pins, size_t count)
{
    uint8_t name[NAME_SIZE];
    pqi_writer w;
    size_t total = 0;
    if (count == 0 || count > PQI_TLS_HINT_NAMES) {
        return 0;
    }
    for (size_t i = 0; i < count; i++) {
        total += sizeof(uint16_t) + name_of(name, &pins[i]);
    }
    pqi_writer_init(&w, out, PQI_TLS_HINT_SIZE);
    pqi_write_u16(&w, (uint16_t)total);
    for (size_t i = 0; i < count; i++) {
        const size_t len = name_of(name, &pins[i]);
        pqi_write_u16(&w, (uint16_t)len);
        pqi_write_bytes(&w, name, len);
    }
    return pqi_writer_ok(&w) ? w.len : 0;
}

bool pqi_tls_hint_names(const uint8_t *data, size_t len, const pql_fingerprint *leaf)
{
    uint8_t wanted[NAME_SIZE];
    const size_t wanted_len = name_of(wanted, leaf);
    pqi_reader r;
    bool found = false;
    pqi_reader_init(&r, data, len);
    if (pqi_read_u16(&r) != pqi_reader_left(&r)) {
        return false;
    }
    while (pqi_reader_left(&r) > 0) {
        const size_t name_len = pqi_read_u16(&r);
        const uint8_t *name = pqi_read_bytes(&r, name_len);
        found = found ||
                (name != NULL && name_len == wanted_len && memcmp(name, wanted, wanted_len) == 0);
    }
    return found && pqi_reader_ok(&r);
}
