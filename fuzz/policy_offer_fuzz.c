/* A list of groups or signatures from a stranger is read within its bounds; what is found in it is
 * there, and cutting it anywhere finds nothing. */
#include "policy/offer.h"

#include <pqlink/policy.h>

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool contains(const uint8_t *data, size_t size, uint16_t code)
{
    for (size_t at = 2; at + 1 < size; at += 2) {
        if (((unsigned)data[at] << 8 | data[at + 1]) == code) {
            return true;
        }
    }
    return false;
}

static void check(const uint8_t *data, size_t size, uint32_t set, uint16_t (*at)(unsigned index),
                  unsigned count)
{
    for (unsigned i = 0; i < 31; i++) {
        if ((set & PQL_OFFER_BIT(i)) != 0 && (i >= count || !contains(data, size, at(i)))) {
            abort();
        }
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char text[64];
    const uint32_t groups = pqi_offer_groups(data, size);
    const uint32_t signatures = pqi_offer_signatures(data, size);
    check(data, size, groups, pql_group_at, PQL_GROUP_COUNT);
    check(data, size, signatures, pql_signature_at, PQL_SIGNATURE_COUNT);
    pqi_offer_write_groups(text, sizeof(text), groups);
    pqi_offer_write_signatures(text, sizeof(text), signatures);
    if (strlen(text) >= sizeof(text) ||
        (groups != 0 && size > 0 && pqi_offer_groups(data, size - 1) != 0)) {
        abort();
    }
    return 0;
}
