/* Session tickets (RFC 8446, section 4.6.1) that a listener can open again after a restart, on any
 * of its workers, and that no weaker listener's can be passed off as.
 *
 * The keys follow from a secret and the time: each is in use for PQI_TICKET_PERIOD and opens
 * tickets for as long again, so nothing has to be shared or stored.  A ticket is
 *
 *   version (1), period (4, big-endian), nonce (12), AES-256-GCM-SIV of facts and session, tag (16)
 *
 * with the first five bytes as associated data. */
#ifndef PQI_QUIC_TLS_TICKETS_H
#define PQI_QUIC_TLS_TICKETS_H

#include <pqlink/identity.h>
#include <pqlink/policy.h>

#include <stddef.h>

#define PQI_TICKET_SECRET_LEN 32
#define PQI_TICKET_PERIOD 21600 /* seconds: 6 hours */
/* What a ticket is longer than the session in it. */
#define PQI_TICKET_OVERHEAD (1 + 4 + 12 + PQI_TICKET_FACTS_LEN + 16)
#define PQI_TICKET_FACTS_LEN (1 + 2 + 2 + PQL_SHA256_SIZE)

/* What was true of the session that a ticket was made for. */
typedef struct pqi_ticket_facts {
    pql_policy policy;             /* the listener's */
    uint16_t group;                /* key exchange */
    uint16_t signature;            /* scheme that the listener proved its key with */
    uint8_t leaf[PQL_SHA256_SIZE]; /* certificate that the listener showed */
} pqi_ticket_facts;

/* Writes a ticket of |len| + PQI_TICKET_OVERHEAD bytes.  |out| and |session| may be the same.
 * |now_unix| in seconds.  False when |size| is too small or the library fails. */
bool pqi_ticket_seal(const uint8_t secret[PQI_TICKET_SECRET_LEN], int64_t now_unix,
                     const pqi_ticket_facts *facts, const uint8_t *session, size_t len,
                     uint8_t *out, size_t size, size_t *out_len);

/* Reads a ticket.  |out| has room for |len| bytes at least, and may be the ticket itself.  False,
 * with *out_len 0, when it is forged, of another secret, too old, or from the future. */
bool pqi_ticket_open(const uint8_t secret[PQI_TICKET_SECRET_LEN], int64_t now_unix,
                     const uint8_t *ticket, size_t len, pqi_ticket_facts *facts, uint8_t *out,
                     size_t size, size_t *out_len);

/* True when a listener under |policy| may resume a session of which |facts| are true: it was made
 * under a policy that is at least as strict, has ML-KEM unless the policy is off, and both key
 * exchange and signature are such as the policy asks for. */
bool pqi_ticket_strong_enough(const pqi_ticket_facts *facts, pql_policy policy);

#endif
