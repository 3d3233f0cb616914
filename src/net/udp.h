/* A UDP socket that moves datagrams in batches: recvmmsg with GRO in, sendmsg with GSO out, with
 * ECN marks and the local address of each datagram. */
#ifndef PQI_NET_UDP_H
#define PQI_NET_UDP_H

#include "base/error.h"
#include "net/address.h"

#include <stddef.h>

/* A run of datagrams between the same two addresses with the same ECN mark: all |segment| bytes
 * long but the last, which may be shorter.  What GSO and GRO call one buffer. */
typedef struct pqi_datagrams {
    pqi_address local; /* len 0: let the kernel choose */
    pqi_address remote;
    uint8_t ecn; /* two bits of RFC 3168 */
    const uint8_t *data;
    size_t len;
    size_t segment;
} pqi_datagrams;

typedef struct pqi_udp pqi_udp;

/* Bytes that wait in user space when the kernel's send buffer is full; more is dropped as the
 * network would drop it, and QUIC sends it again. */
#define PQI_UDP_QUEUE_MAX ((size_t)1 << 20)

typedef struct pqi_udp_opts {
    pqi_address bind;    /* port 0: the kernel picks */
    pqi_address connect; /* len 0: unconnected */
    bool reuse_port;     /* one of several workers' sockets on the same address */
} pqi_udp_opts;

/* Opens a non-blocking socket: no fragmentation (path MTU discovery by probes, RFC 8899), ECN and
 * local addresses reported.  PQL_E_NETWORK with a sentence.  Owned by the caller. */
pql_status pqi_udp_open(pqi_udp **out, const pqi_udp_opts *opts, pql_error *err);
void pqi_udp_close(pqi_udp *udp);
int pqi_udp_fd(const pqi_udp *udp);
pqi_address pqi_udp_local(const pqi_udp *udp);

/* Steers each datagram to the socket of a SO_REUSEPORT group whose index is the first byte of its
 * destination connection ID modulo |workers|: sockets must have been bound in worker order.  False
 * where the kernel refuses; datagrams then reach any worker and have to be handed over. */
bool pqi_udp_steer(const pqi_udp *udp, unsigned workers);

/* Bytes of scratch memory that pqi_udp_receive wants; a worker lends one to all its sockets. */
#define PQI_UDP_SCRATCH ((size_t)8 * 65536)

/* True when a send was answered by "port unreachable": pqi_udp_receive then returns ECONNREFUSED.
 */
bool pqi_udp_refused(const pqi_udp *udp);

/* Reads what is there, at most |max_batches| system calls, and gives each run to |receive|; the
 * bytes lie in |scratch| until the next call.  Returns 0, or the errno of a failure that is not
 * EAGAIN (ECONNREFUSED from a connected peer). */
int pqi_udp_receive(pqi_udp *udp, uint8_t *scratch, unsigned max_batches,
                    void (*receive)(void *user, const pqi_datagrams *run), void *user);

/* Sends or queues.  False when the queue is full and the run was dropped. */
bool pqi_udp_send(pqi_udp *udp, const pqi_datagrams *run);

/* True while datagrams wait for the kernel; call pqi_udp_flush when the descriptor is writable. */
bool pqi_udp_blocked(const pqi_udp *udp);
void pqi_udp_flush(pqi_udp *udp);

#endif
