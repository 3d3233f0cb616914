/* A network in a process: takes datagrams at one port and hands them to a server, and back, late,
 * lossy, damaged or not at all, as told.  One thread.
 *
 * Each client address has a socket of its own towards the server, RELAY_CLIENTS at most; when they
 * are all taken, the client that was silent longest makes room.  RELAY_PARCELS datagrams are under
 * way at most; more are lost.  Datagrams of one client and direction never overtake each other.
 * ECN marks are kept. */
#ifndef PQI_TESTS_RELAY_RELAY_H
#define PQI_TESTS_RELAY_RELAY_H

#include "net/address.h"

#include <pqlink/error.h>

#include <stdio.h>

#define RELAY_CLIENTS 1024
#define RELAY_PARCELS 65536

/* Times in nanoseconds; those counted from "a client's first" start anew for each client. */
typedef struct relay_opts {
    pqi_address listen, server;
    uint64_t delay;       /* each way */
    double loss, corrupt; /* 0 to 1, of datagrams each way; corrupt: one bit is flipped */
    uint64_t seed;        /* of what loss and corruption hit */
    unsigned duplicate;   /* how often each datagram of the first flight arrives; 0 counts as 1 */
    bool once; /* a datagram of the first flight that came before is lost: undoes a client's
                  own doubling */
    uint64_t split_first;  /* pause between the datagrams of the first flight */
    uint64_t rebind_after; /* after a client's first datagram its source port changes; 0: never */
    uint64_t blackhole_after; /* after a client's first datagram nothing passes ... */
    uint64_t blackhole_for;   /* ... for so long; 0: for ever */
    bool blackhole;
    size_t mtu; /* larger datagrams (UDP payload) are lost; 0: none */
} relay_opts;

typedef struct relay relay;

/* Binds.  PQL_E_NETWORK when the address cannot be had.  The caller frees. */
pql_status relay_new(relay **out, const relay_opts *opts, pql_error *err);
/* The port that was bound. */
uint16_t relay_port(const relay *r);
/* Relays until SIGTERM or SIGINT.  Blocks these two but while it waits. */
void relay_run(relay *r);
/* One JSON object on one line.  "before_validation" is what the server sent and had received of
 * the client whose share was the largest, until the first datagram with a Handshake packet, or an
 * address token, was given to the server (RFC 9000, 8.1); "over_three_times" counts the server's
 * datagrams of all clients that broke the limit.  "before_done" is the largest datagram each way
 * before the client's first 1-RTT packet. */
void relay_write_stats(const relay *r, FILE *out);
void relay_free(relay *r);

#endif
