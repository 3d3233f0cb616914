/* What an onlooker sees of a QUIC v1 datagram without any key (RFC 9000, 17). */
#ifndef PQI_TESTS_RELAY_QUIC_VIEW_H
#define PQI_TESTS_RELAY_QUIC_VIEW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct quic_view {
    bool initial, handshake, one_rtt; /* packets of these kinds are in the datagram */
    bool token;                       /* an Initial carries an address token */
} quic_view;

/* Walks over the coalesced packets; what cannot be read ends the walk. */
quic_view quic_look(const uint8_t *data, size_t len);

#endif
