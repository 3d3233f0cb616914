/* What endpoint.c, accept.c, conn.c and stream.c share.  Private to src/quic. */
#ifndef PQI_QUIC_INTERNAL_H
#define PQI_QUIC_INTERNAL_H

#include "net/heap.h"
#include "quic/cid.h"
#include "quic/endpoint.h"

#include <ngtcp2/ngtcp2.h>
#include <ngtcp2/ngtcp2_crypto.h>

/* CONNECTION_CLOSE that is sent again fits the smallest allowed datagram. */
#define PQI_QUIC_CLOSE_SIZE 1200
/* RFC 9000, 8.1: "MUST limit the amount of data [...] to three times". */
#define PQI_AMPLIFICATION_LIMIT 3
/* Room for each answer to a stranger. */
#define PQI_ANSWER_SIZE 512

/* Pieces of the send queue that share a chunk.  Two neighbours have more than PQI_PIECE_SMALL bytes
 * together, so the smallest chunk, 512 bytes, never holds more. */
#define PQI_CHUNK_PIECES 6
/* ngtcp2 puts a piece of up to this many bytes into a packet whole or not at all
 * (NGTCP2_MIN_STREAM_DATALEN is one more). */
#define PQI_PIECE_SMALL 255

/* Queued stream data: one write, or several small ones. */
typedef struct pqi_quic_chunk {
    struct pqi_quic_chunk *next;
    size_t len, size; /* bytes in use, and room */
    /* Where the pieces that are not sent yet end.  None: what is not sent is one piece. */
    uint16_t ends[PQI_CHUNK_PIECES];
    uint8_t end_count;
    uint8_t data[];
} pqi_quic_chunk;

/* What is to be sent next of a stream: one write, some small ones, or a part of a large one. */
typedef struct pqi_quic_piece {
    ngtcp2_vec bytes;
    bool fin;   /* the stream's end comes with it */
    bool whole; /* it must not straddle two packets */
} pqi_quic_piece;

struct pqi_quic_stream {
    pqi_quic_conn *conn;
    pqi_quic_stream *next, *prev; /* all streams of the connection */
    pqi_quic_stream *ready_next;  /* those with something to send */
    void *user;
    int64_t id;
    pqi_quic_chunk *first, *last; /* from the first byte that is not acknowledged */
    pqi_quic_chunk *unsent;       /* chunk of the next byte to send; NULL: all sent */
    size_t unsent_at;             /* offset in it */
    size_t first_acked;           /* acknowledged bytes of |first| */
    size_t queued;                /* bytes that are not acknowledged */
    bool ready, blocked, fin, fin_sent, closed_write, want_writable;
};

typedef struct pqi_start pqi_start; /* starts.c */

typedef enum conn_state { CONN_HANDSHAKE, CONN_OPEN, CONN_LINGER } conn_state;

struct pqi_quic_conn {
    pqi_heap_node timer; /* first member: the heap hands back its address */
    pqi_quic_endpoint *endpoint;
    pqi_quic_conn *next, *prev;               /* all connections of the endpoint */
    pqi_quic_conn *dirty_next, *dirty_prev;   /* those that want to write */
    uint64_t dirty_round;                     /* the flush during which it was put there */
    pqi_quic_conn *linger_next, *linger_prev; /* lingering ones, oldest first */
    const pqi_quic_events *events;
    void *user;
    ngtcp2_conn *ngtcp2;
    SSL *ssl;
    ngtcp2_crypto_conn_ref ref;
    pqi_quic_tls_peer peer;
    conn_state state;
    /* Server: where it is counted.  Half open: one of the first two; open: the last, perhaps. */
    pqi_start *start; /* its address was not proven */
    pqi_source *proven, *linked;
    bool server, dirty, counted_unauthenticated, close_wanted, close_is_transport;
    bool engine_failed; /* ngtcp2 may only say goodbye any more */
    bool quiet;         /* within a flush: nothing but stream data waits to be sent */
    bool small;         /* the path lost all large datagrams: only small ones until it changes */
    bool path_unproven; /* server: the peer's new address is being validated */
    bool stateless_reset;
    bool address_proven; /* server: the client gets what is sent to the address that it names */
    pql_posture posture;
    char alpn[256];
    void *qlog_slot;
    pqi_address remote;
    pqi_quic_stream *streams;
    pqi_quic_stream *ready_first, *ready_last;
    ngtcp2_cid initial_dcid; /* server: what the client chose */
    /* Round trips of a client, see flight_sent. */
    uint64_t started, flight_at, flight_budget, first_wait, handshake_in, handshake_out;
    bool flight_waits, heard, retried;
    bool ever_retried, limited; /* limited: the first answer ended at three times what was sent */
    unsigned copies;            /* of the first flight */
    /* The end. */
    pql_close close;
    uint64_t app_timer;
    uint64_t large_at; /* first large datagram since the peer acknowledged data; 0: none */
    uint64_t linger_until;
    uint8_t *close_packet; /* PQI_QUIC_CLOSE_SIZE at most; owned */
    size_t close_len;
    unsigned close_heard; /* datagrams since; CONNECTION_CLOSE answers every power of two of them */
    ngtcp2_cid *cids;     /* while lingering: what still maps here; owned */
    size_t cid_count;
    bool cids_unknown; /* they could not be taken down: the map has to be searched */
};

struct pqi_quic_endpoint {
    pqi_quic_endpoint_opts opts;
    pqi_cid_map *map;
    pqi_heap timers;
    pqi_quic_conn *conns;
    pqi_quic_conn *dirty_first, *dirty_last;
    pqi_quic_conn *linger_first, *linger_last;
    uint64_t round;  /* number of flushes */
    uint64_t latest; /* the time never goes back: see pqi_endpoint_time */
    size_t live, lingering, unauthenticated;
    /* Server: by source address, what |starts| counts, and half-open handshakes with a proof. */
    pqi_sources *unproven, *proven;
    pqi_start *starts_first, *starts_last; /* starts.c; owned */
    size_t starts;
    bool draining;
    uint64_t *used_tokens;   /* tokens.c: names of tokens, each where its value says; owned */
    struct pqi_early *early; /* early.c; owned */
    double reset_credit;     /* stateless resets that may be sent now */
    uint64_t reset_at;
    pqi_quic_counters counters;
    uint8_t *buffer;     /* PQI_QUIC_BUFFER bytes, for the run that is written just now */
    uint8_t *own_buffer; /* the same, when nobody lent one */
};

/* endpoint.c */
/* |now|, or the latest time that was brought before where that is later.  An owner that took the
 * time once for several things may bring an older one after a newer one, and ngtcp2 ends the
 * program over a clock that goes back. */
uint64_t pqi_endpoint_time(pqi_quic_endpoint *endpoint, uint64_t now);
void pqi_endpoint_random(const pqi_quic_endpoint *endpoint, void *out, size_t len);
void pqi_endpoint_send(pqi_quic_endpoint *endpoint, const pqi_datagrams *run);
void pqi_endpoint_dirty(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn);
void pqi_endpoint_clean(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn);
void pqi_endpoint_schedule(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn);

/* accept.c: a datagram that belongs to no connection. */
void pqi_endpoint_stranger(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                           const ngtcp2_version_cid *vc, int decoded, uint64_t now);
/* Sends |len| bytes, if any, back to where |one| came from. */
void pqi_endpoint_answer(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, const uint8_t *data,
                         ngtcp2_ssize len);

/* tokens.c.  |wall|: nanoseconds since 1970, because tokens live through restarts. */
/* What the token of an Initial proves: *type, and *original with a Retry token.  A token that is
 * not ours, stale, used before or of another address proves nothing.  False: it is a Retry token
 * that proves the contrary. */
bool pqi_token_judge(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, const ngtcp2_pkt_hd *hd,
                     uint64_t wall, ngtcp2_token_type *type, ngtcp2_cid *original);
void pqi_token_send_retry(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                          const ngtcp2_pkt_hd *hd, uint64_t wall);
/* Gives the peer of |conn| a token for its next connection from |remote| (RFC 9000, 8.1.3). */
void pqi_token_issue(pqi_quic_conn *conn, const pqi_address *remote);

/* starts.c: handshakes that began without a proof of address.  Each is counted until it is complete
 * or handshake_timeout has gone by since it began, even when it ended before: see endpoint.h. */
/* True when |remote| has to prove that it is the sender's: as many are counted as may be, of all
 * or of this address. */
bool pqi_starts_must_prove(pqi_quic_endpoint *endpoint, const pqi_address *remote, uint64_t now);
/* Counts |conn|.  False when memory could not be had. */
bool pqi_starts_add(pqi_quic_conn *conn);
/* The handshake of |conn| is complete: it counts no more. */
void pqi_starts_give_back(pqi_quic_conn *conn);
/* |conn| has ended; what was counted for it stays. */
void pqi_starts_leave(pqi_quic_conn *conn);
void pqi_starts_free(pqi_quic_endpoint *endpoint);

/* early.c: a datagram that came before the one that makes its connection. */
void pqi_early_keep(pqi_quic_endpoint *endpoint, const pqi_datagrams *one, const ngtcp2_cid *dcid,
                    uint64_t now);
/* |conn| came into being with |dcid|: it gets what was kept for it. */
void pqi_early_give(pqi_quic_endpoint *endpoint, pqi_quic_conn *conn, const ngtcp2_cid *dcid,
                    uint64_t now);

/* conn.c */
pqi_quic_conn *pqi_conn_new_client(pqi_quic_endpoint *endpoint, const pqi_address *local,
                                   const pqi_address *remote, const char *host,
                                   const char *host_port, const pqi_quic_events *events, void *user,
                                   uint64_t now);
pqi_quic_conn *pqi_conn_new_server(pqi_quic_endpoint *endpoint, const pqi_datagrams *one,
                                   const ngtcp2_pkt_hd *hd, const ngtcp2_cid *original,
                                   ngtcp2_token_type token_type, uint64_t now);
/* Frees without an event. */
void pqi_conn_free(pqi_quic_conn *conn);
void pqi_conn_receive(pqi_quic_conn *conn, const pqi_datagrams *one, uint64_t now);
/* Server: the datagram that |conn| was made for.  Unless it is taken, |conn| is gone without an
 * event. */
typedef enum pqi_first {
    PQI_FIRST_TAKEN,
    PQI_FIRST_TOO_EARLY, /* a later part of a ClientHello */
    PQI_FIRST_NONSENSE,  /* not the beginning of a handshake */
    PQI_FIRST_NO_OWNER,  /* nobody wanted the connection */
} pqi_first;
pqi_first pqi_conn_receive_first(pqi_quic_conn *conn, const pqi_datagrams *one, uint64_t now);
void pqi_conn_expire(pqi_quic_conn *conn, uint64_t now);
void pqi_conn_flush(pqi_quic_conn *conn, uint64_t now);
uint64_t pqi_conn_deadline(const pqi_quic_conn *conn);
/* Ends the connection by our own decision, with what goes on the wire; the closed event follows. */
void pqi_conn_note_downgrade(pqi_quic_conn *conn);
void pqi_conn_abort(pqi_quic_conn *conn, pql_status status, uint64_t transport_code,
                    const char *sentence);
/* Ends it at once without a word on the wire. */
void pqi_conn_drop(pqi_quic_conn *conn, pql_status status, const char *sentence, uint64_t now);

/* conn_end.c */
/* The handshake is over, well or not: it does not count as half open any more.  What pqi_starts_add
 * counted is another matter. */
void pqi_conn_not_half_open(pqi_quic_conn *conn);
/* What an ngtcp2 call answered, |rv|, becomes an end of the connection. */
void pqi_conn_fail(pqi_quic_conn *conn, int rv, uint64_t now);
/* The closed event; then only what a closing connection needs stays (RFC 9000, 10.2.1). */
void pqi_conn_finish(pqi_quic_conn *conn, uint64_t now);
/* CONNECTION_CLOSE again, for every power of two of datagrams that still come in: an answer that
 * can never amplify (RFC 9000, 10.2.1). */
void pqi_conn_linger_receive(pqi_quic_conn *conn, const pqi_datagrams *one);

/* conn_flight.c: a client's handshake sent or received |len| bytes. */
void pqi_conn_flight_sent(pqi_quic_conn *conn, size_t len, uint64_t now);
void pqi_conn_flight_answered(pqi_quic_conn *conn, size_t len, uint64_t now);
/* How often a first flight of so many datagrams is sent. */
unsigned pqi_conn_flight_copies(const pqi_quic_conn *conn, size_t datagrams);
/* The handshake is complete: tells the owner when the first flight should have been larger. */
void pqi_conn_flight_done(const pqi_quic_conn *conn);

/* callbacks.c: what ngtcp2 calls. */
void pqi_conn_callbacks(ngtcp2_callbacks *callbacks, bool server);

/* stream.c */
pqi_quic_stream *pqi_stream_new(pqi_quic_conn *conn, int64_t id);
void pqi_stream_free(pqi_quic_stream *stream);
void pqi_stream_ready(pqi_quic_stream *stream);
pqi_quic_stream *pqi_stream_next_ready(pqi_quic_conn *conn);
/* Behind the others, after it filled a packet: one long stream does not hold up the short ones. */
void pqi_stream_had_its_turn(pqi_quic_stream *stream);
pqi_quic_piece pqi_stream_piece(const pqi_quic_stream *stream);
void pqi_stream_sent(pqi_quic_stream *stream, size_t len, bool fin);
void pqi_stream_acked(pqi_quic_stream *stream, uint64_t len);
void pqi_stream_unblock_all(pqi_quic_conn *conn);

#endif
