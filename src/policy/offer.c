#include "policy/offer.h"

#include "base/cursor.h"

#include <pqlink/policy.h>

#include <stdbool.h>
#include <stdio.h>

/* RFC 8701, section 2: both bytes the same, 0x?A. */
static bool is_grease(uint16_t code)
{
    return (code & 0x0f0f) == 0x0a0a && code >> 8 == (code & 0xff);
}

static uint32_t bit_of(uint16_t code, uint16_t (*at)(unsigned index), unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        if (at(i) == code) {
            return PQL_OFFER_BIT(i);
        }
    }
    return PQL_OFFER_OTHER;
}

uint32_t pqi_offer_group_bit(uint16_t group)
{
    return bit_of(group, pql_group_at, PQL_GROUP_COUNT);
}

uint32_t pqi_offer_signature_bit(uint16_t scheme)
{
    return bit_of(scheme, pql_signature_at, PQL_SIGNATURE_COUNT);
}

static uint32_t read_set(const uint8_t *data, size_t len, uint32_t (*bit)(uint16_t code))
{
    pqi_reader r;
    uint32_t set = 0;
    pqi_reader_init(&r, data, len);
    const uint16_t bytes = pqi_read_u16(&r);
    if (!pqi_reader_ok(&r) || bytes != pqi_reader_left(&r) || bytes % sizeof(uint16_t) != 0) {
        return 0;
    }
    for (unsigned i = 0; i < PQI_OFFER_MAX && pqi_reader_left(&r) > 0; i++) {
        const uint16_t code = pqi_read_u16(&r);
        set |= is_grease(code) ? 0 : bit(code);
    }
    return set;
}

uint32_t pqi_offer_groups(const uint8_t *data, size_t len)
{
    return read_set(data, len, pqi_offer_group_bit);
}

uint32_t pqi_offer_signatures(const uint8_t *data, size_t len)
{
    return read_set(data, len, pqi_offer_signature_bit);
}

static void append(char *out, size_t size, size_t *at, const char *name)
{
    if (*at < size) {
        const int n = snprintf(out + *at, size - *at, "%s%s", *at > 0 ? ", " : "", name);
        *at += n > 0 ? (size_t)n : 0;
    }
}

static void write_set(char *out, size_t size, uint32_t set, uint16_t (*code)(unsigned index),
                      const char *(*name)(uint16_t code), unsigned count)
{
    size_t at = 0;
    for (unsigned i = 0; i < count; i++) {
        if ((set & PQL_OFFER_BIT(i)) != 0) {
            append(out, size, &at, name(code(i)));
        }
    }
    if (at == 0) {
        append(out, size, &at, "nothing known");
    } else if ((set & PQL_OFFER_OTHER) != 0) {
        append(out, size, &at, "others");
    }
}

void pqi_offer_write_groups(char *out, size_t size, uint32_t set)
{
    write_set(out, size, set, pql_group_at, pql_group_name, PQL_GROUP_COUNT);
}

void pqi_offer_write_signatures(char *out, size_t size, uint32_t set)
{
    write_set(out, size, set, pql_signature_at, pql_signature_name, PQL_SIGNATURE_COUNT);
}
