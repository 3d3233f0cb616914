/* A QUIC endpoint: all connections of one UDP socket, as a sans-I/O state machine.
 *
 * The owner feeds it datagrams and the time, asks for the next deadline, and is handed datagrams
 * to send.  It does not read clocks, sockets or the system's random generator.  One thread.
 * Times never go back: an earlier one than was brought before counts as that one.
 *
 * What a stranger can cause before it is authenticated: a Version Negotiation, a Retry, a refusal
 * or a stateless reset, each smaller than what came; or, below max_unauthenticated, one handshake
 * that is given up after handshake_timeout.
 *
 * One source address (an IPv4 address, or a /64 of IPv6) gets a share of those handshakes only.
 * Anybody can write the address of somebody else on a datagram, so what a limit makes us do to an
 * address depends on whether it was proven, by the token of a Retry or of an earlier connection:
 *
 *   - not proven: beyond PQI_QUIC_UNPROVEN_MAX handshakes it is asked for a proof (Retry).  Whoever
 *     fills that up in another's name costs the other one round trip, and no more.
 *   - proven: it may have as many half-open handshakes as there are free places, and
 *     PQI_QUIC_PROVEN_MIN in any case.  So one address never holds more than half of the places,
 * two never more than two thirds, while a thousand machines behind one address still get in. Beyond
 *     that its datagrams are dropped, without an answer: an honest client comes again a second
 *     later, as on a busy network, and finds room.
 *   - with max_links links already, it is refused.  That goes for a datagram in its name too, which
 *     is right either way.
 *
 * A stranger can end what he began: the keys of a first flight follow from its connection ID, so a
 * CONNECTION_CLOSE, or anything that breaks the protocol, ends a handshake in the name of any
 * address, after we have paid for key agreement and signature.  So a handshake that began without
 * a proof counts from its beginning on for handshake_timeout, however it ends; only one that is
 * completed, which nobody can do in another's name, counts no more at once.  From retry_threshold
 * of them on, every address is asked for a proof.  So in any handshake_timeout at most
 * retry_threshold unproven handshakes cost us work in vain; PQI_QUIC_STARTS_MAX, where the
 * threshold is higher, bounds the memory for it.  Clients that complete, however many one after the
 * other, meet no Retry; a crowd that comes in the same moment, or clients that give up, may, and
 * have one round trip more.
 *
 * An address is counted while it has handshakes (or had, as above) or links, so the tables are as
 * bounded as those.  A link that moves is still counted where it began.
 *
 * Connections that have ended and only repeat their CONNECTION_CLOSE: PQI_QUIC_LINGERING_MAX;
 * beyond that the oldest are forgotten, and their peers get a stateless reset. */
#ifndef PQI_QUIC_ENDPOINT_H
#define PQI_QUIC_ENDPOINT_H

#include "net/udp.h"
#include "quic/conn.h"
#include "quic/sources.h"
#include "quic/tls.h"

#define PQI_QUIC_SECRET_LEN 32
#define PQI_QUIC_LINGERING_MAX 1024
#define PQI_QUIC_UNPROVEN_MAX 64
#define PQI_QUIC_PROVEN_MIN 64
#define PQI_QUIC_STARTS_MAX 16384

typedef struct pqi_quic_endpoint pqi_quic_endpoint;

/* A run of datagrams is this long at most: GSO takes no more. */
#define PQI_QUIC_BUFFER ((size_t)65507)
/* An address token that is longer is not kept (RFC 9000, 19.7, has no bound). */
#define PQI_QUIC_TOKEN_MAX 256
/* How often a client's first flight is sent at most. */
#define PQI_QUIC_COPIES_MAX 4

/* Where an endpoint meets the world.  Every member but qlog, new_token and held_up must be set. */
typedef struct pqi_quic_io {
    /* Sends a run of datagrams; false when it was dropped for want of room. */
    bool (*send)(void *user, const pqi_datagrams *run);
    /* True while sent datagrams wait: the endpoint then writes no new ones. */
    bool (*blocked)(void *user);
    /* Cryptographically strong bytes. */
    void (*random)(void *user, uint8_t *out, size_t len);
    /* Server: a datagram that belongs to another worker, by its connection ID. */
    void (*hand_over)(void *user, unsigned worker, const pqi_datagrams *run);
    /* Server: a peer asks to connect; sets *owner (see pqi_quic_conn_set_user). */
    const pqi_quic_events *(*accept)(void *user, pqi_quic_conn *conn, void **owner);
    /* Something was refused before authentication; |reason| is static, from a closed list. */
    void (*rejected)(void *user, const char *reason);
    /* A piece of a connection's qlog; |last| with its end.  *slot is the receiver's own, NULL at
     * first.  NULL: no qlog is written. */
    void (*qlog)(void *user, void **slot, const void *data, size_t len, bool last);
    /* Client: the server gave a token for the next connection, PQI_QUIC_TOKEN_MAX bytes at most. */
    void (*new_token)(void *user, const uint8_t *token, size_t len);
    /* Client: the handshake took a round trip more although nothing was lost, because the server
     * had used up three times what it had received: |copies| of the first flight were not enough.
     */
    void (*held_up)(void *user, unsigned copies);
    void *user;
} pqi_quic_io;

typedef struct pqi_quic_endpoint_opts {
    pqi_quic_io io;
    const pqi_quic_tls *tls; /* borrowed */
    /* Borrowed: PQI_QUIC_BUFFER bytes that nobody else touches while the endpoint flushes; all
     * endpoints of a thread may share them.  NULL: the endpoint has its own. */
    uint8_t *buffer;
    bool server;
    unsigned worker, workers;            /* index and number, for connection IDs */
    uint8_t secret[PQI_QUIC_SECRET_LEN]; /* Retry, address tokens, stateless reset */
    uint64_t wall_offset;                /* as for pqi_quic_endpoint_set_wall_offset */
    size_t max_links;
    size_t max_unauthenticated;
    size_t retry_threshold;       /* half-open or unproven handshakes from which Retry is sent */
    size_t max_links_per_address; /* 0: no limit */
    /* Links by address, shared by the endpoints that serve together; borrowed.  Needed with
     * max_links_per_address. */
    pqi_sources *link_sources;
    unsigned max_streams;
    uint64_t max_receive; /* bytes that one connection can make us hold; 0: grows to 16 MiB */
    /* Server: the first flight may be 14,720 bytes instead of 12,000 (RFC 9002, 7.2), for a
     * certificate that needs it.  ngtcp2 counts the window in datagrams of the size that it may
     * send, so it is told 1472 and given room for 1200; all datagrams then have 1200 bytes at most,
     * and no larger path is looked for. */
    bool wide_window;
    size_t stream_queue;        /* bytes; 0, or more: PQL_STREAM_QUEUE_MAX */
    uint64_t idle_timeout;      /* ns */
    uint64_t handshake_timeout; /* ns */
    uint64_t keep_alive;        /* ns; 0: none */
    /* Client: how often the datagrams of the first flight are sent, 1 to PQI_QUIC_COPIES_MAX, when
     * the flight is one datagram, and when it is more.  Each copy lets the server send three times
     * its size before the client's address is validated; that is how a flight with an ML-DSA
     * certificate takes one round trip (RFC 9000, 8.1).  0: 1. */
    unsigned copies_short, copies_long;
    /* Client: what io.new_token was given in an earlier connection; it must not be used again.
     * Read by pqi_quic_endpoint_connect.  The first flight is then sent once. */
    const uint8_t *token;
    size_t token_len;
} pqi_quic_endpoint_opts;

/* Copies |opts|.  NULL when memory could not be had. */
pqi_quic_endpoint *pqi_quic_endpoint_new(const pqi_quic_endpoint_opts *opts);
/* Frees what is left, without events for connections that are still there. */
void pqi_quic_endpoint_free(pqi_quic_endpoint *endpoint);

/* Nanoseconds to add to |now| for the time since 1970-01-01 UTC (modulo 2^64), by which tokens,
 * tickets and certificates are dated: from now on, for connections that begin and tokens that are
 * given.  To be set again now and then: the one clock is put right and goes on while the machine
 * sleeps, the other does not. */
void pqi_quic_endpoint_set_wall_offset(pqi_quic_endpoint *endpoint, uint64_t offset);

/* Client: starts a connection; its first datagrams leave with the next flush. */
pql_status pqi_quic_endpoint_connect(pqi_quic_endpoint *endpoint, const pqi_address *local,
                                     const pqi_address *remote, const char *host,
                                     const char *host_port, const pqi_quic_events *events,
                                     void *user, uint64_t now, pqi_quic_conn **out, pql_error *err);

/* Takes in a run of datagrams.  Answers leave with the next flush, so read all there is first. */
void pqi_quic_endpoint_receive(pqi_quic_endpoint *endpoint, const pqi_datagrams *run, uint64_t now);
/* Runs what is due and writes what can be written. */
void pqi_quic_endpoint_flush(pqi_quic_endpoint *endpoint, uint64_t now);
/* When flush wants to be called next; PQI_TIME_NEVER: only after datagrams or requests. */
uint64_t pqi_quic_endpoint_deadline(const pqi_quic_endpoint *endpoint);
/* The peer's port is closed (ICMP): connections that have heard nothing yet are given up. */
void pqi_quic_endpoint_unreachable(pqi_quic_endpoint *endpoint, const char *why, uint64_t now);
/* New connections are refused from now on. */
void pqi_quic_endpoint_drain(pqi_quic_endpoint *endpoint);
/* Connections that have not had their closed event. */
size_t pqi_quic_endpoint_live(const pqi_quic_endpoint *endpoint);
/* Connections that have ended and only repeat their CONNECTION_CLOSE. */
size_t pqi_quic_endpoint_lingering(const pqi_quic_endpoint *endpoint);
/* No connection is left, not even one that only repeats its CONNECTION_CLOSE. */
bool pqi_quic_endpoint_empty(const pqi_quic_endpoint *endpoint);
/* Asks every connection to close. */
void pqi_quic_endpoint_close_all(pqi_quic_endpoint *endpoint, uint64_t code, const char *reason);

/* Asks every connection whose posture the newest policy does not allow to close: its owner hears
 * PQL_E_POLICY, its peer the alert insufficient_security.  Connections in their handshake are
 * judged when that is complete.  Their number. */
size_t pqi_quic_endpoint_enforce(pqi_quic_endpoint *endpoint);

/* Ends every connection at once without a word on the wire; each gets its closed event. */
void pqi_quic_endpoint_abandon(pqi_quic_endpoint *endpoint, uint64_t now);

/* Totals since the endpoint was made. */
typedef struct pqi_quic_counters {
    uint64_t datagrams_in, datagrams_out, bytes_in, bytes_out;
    uint64_t accepted, retries, resets, version_negotiations, refused;
} pqi_quic_counters;
pqi_quic_counters pqi_quic_endpoint_counters(const pqi_quic_endpoint *endpoint);

#endif
