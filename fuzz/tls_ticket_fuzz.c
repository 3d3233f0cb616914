/* A ticket that comes from a stranger never opens; one of ours gives back what was sealed, and not
 * after one bit of it was changed. */
#include "quic/tls_tickets.h"

#include <stdlib.h>
#include <string.h>

#define NOW INT64_C(1790000000)
#define SESSION_MAX ((size_t)4096)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const uint8_t secret[PQI_TICKET_SECRET_LEN] = {5};

static void require(bool holds)
{
    if (!holds) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static uint8_t ticket[SESSION_MAX + PQI_TICKET_OVERHEAD];
    static uint8_t out[SESSION_MAX + PQI_TICKET_OVERHEAD];
    const pqi_ticket_facts facts = {.policy = PQL_POLICY_HYBRID, .group = 0x11ec};
    pqi_ticket_facts read;
    size_t len = 0;
    size_t out_len = 0;
    if (size == 0 || size > SESSION_MAX) {
        return 0;
    }
    require(!pqi_ticket_open(secret, NOW, data, size, &read, out, sizeof(out), &out_len));
    require(pqi_ticket_seal(secret, NOW, &facts, data, size, ticket, sizeof(ticket), &len));
    require(pqi_ticket_open(secret, NOW, ticket, len, &read, out, sizeof(out), &out_len));
    require(out_len == size && memcmp(out, data, size) == 0 && read.group == facts.group);
    ticket[data[0] % len] ^= 1;
    require(!pqi_ticket_open(secret, NOW, ticket, len, &read, out, sizeof(out), &out_len));
    return 0;
}
