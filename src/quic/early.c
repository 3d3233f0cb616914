/* Later parts of a ClientHello that overtook the first one.
 *
 * A hybrid ClientHello takes two datagrams.  When the second comes first, ngtcp2 wants to validate
 * the address before it keeps anything, and ends the connection.  A client that is told nothing
 * would send it again only a probe time-out later, a second at first contact.  So the datagram is
 * laid aside, whole and unread, and given to the connection that the first part makes.
 *
 * Bounds: PLACES datagrams of up to EARLY_SIZE bytes per endpoint, the oldest goes, none stays
 * longer than EARLY_LIFE.  A stranger that fills all places makes others wait for their probe, as
 * they would without them. */
#include "base/clock.h"
#include "quic/internal.h"

#include <stdlib.h>
#include <string.h>

#define PLACES 32
#define EARLY_SIZE 1500
#define EARLY_LIFE PQI_NS_PER_SEC

typedef struct place {
    uint64_t at; /* when it came */
    pqi_address local, remote;
    ngtcp2_cid dcid;
    uint8_t ecn;
    size_t len; /* 0: free */
    uint8_t data[EARLY_SIZE];
} place;

struct pqi_early {
    size_t next;
    place places[PLACES];
};

void pqi_early_keep(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, const ngtcp2_cid *dcid,
                    uint64_t now)
{
    if (one->len > EARLY_SIZE) {
        return;
    }
    if (endpoint->early == NULL) {
        endpoint->early = calloc(1, sizeof(*endpoint->early));
        if (endpoint->early == NULL) {
            return;
        }
    }
    place *p = &endpoint->early->places[endpoint->early->next];
    endpoint->early->next = (endpoint->early->next + 1) % PLACES;
    p->at = now;
    p->local = one->local;
    p->remote = one->remote;
    p->dcid = *dcid;
    p->ecn = one->ecn;
    p->len = one->len;
    memcpy(p->data, one->data, one->len);
}

void pqi_early_give(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn, const ngtcp2_cid *dcid,
                    uint64_t now)
{
    for (size_t i = 0; endpoint->early != NULL && i < PLACES; i++) {
        place *p = &endpoint->early->places[i];
        if (p->len == 0 || !ngtcp2_cid_eq(&p->dcid, dcid) ||
            !pqi_address_equal(&p->remote, &conn->remote)) {
            continue;
        }
        const pqi_datagrams one = {.local = p->local,
                                   .remote = p->remote,
                                   .ecn = p->ecn,
                                   .data = p->data,
                                   .len = p->len,
                                   .segment = p->len};
        p->len = 0;
        if (now - p->at <= EARLY_LIFE) {
            pqi_conn_receive(conn, &one, now);
        }
    }
}
