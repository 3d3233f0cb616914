/* Links: authenticated, encrypted connections to peers, whatever the transport.
 *
 * A context owns worker threads.  Every link lives on one worker; all its handlers run there, one
 * at a time, so a handler needs no lock for its own link.  Functions that take a link or a stream
 * may be called from its handlers (or from a pql_link_run function) only, unless they say
 * otherwise.
 *
 * URLs: "quic://HOST:PORT"; HOST is a name, an IPv4 address, or an IPv6 address in brackets. */
#ifndef PQLINK_LINK_H
#define PQLINK_LINK_H

#include <pqlink/error.h>
#include <pqlink/identity.h>
#include <pqlink/policy.h>

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct pql_context pql_context;
typedef struct pql_listener pql_listener;
typedef struct pql_link pql_link;
typedef struct pql_stream pql_stream;

/* Why a link ended. */
typedef struct pql_close {
    pql_status status; /* PQL_OK: closed in order by either side */
    bool by_peer;      /* the peer closed */
    bool application;  /* code is an application code, not a transport one (RFC 9000, 19.19) */
    uint64_t code;     /* error code on the wire; 0 when there was none */
    /* Our own sentence, the peer's text, or both; what is not printable ASCII in the peer's text is
     * replaced by '?'. */
    char reason[PQL_ERROR_MESSAGE_SIZE];
} pql_close;

/* What a service wants to hear.  Every member may be NULL.  |user| is the pointer given with them.
 */
typedef struct pql_handlers {
    /* The handshake is done, the peer is authenticated and the policy holds. */
    void (*link_open)(pql_link *link, void *user);
    /* The last call for a link; exactly once for each that opened and for each pql_connect, also
     * when that failed.  A stranger whose handshake failed at a listener is not told of. */
    void (*link_close)(pql_link *link, const pql_close *why, void *user);
    /* The time set with pql_link_set_timer has come. */
    void (*link_timer)(pql_link *link, uint64_t now_ns, void *user);
    /* The peer opened a stream. */
    void (*stream_open)(pql_stream *stream, void *user);
    /* In-order bytes; |len| may be 0 with |fin|.  The bytes are borrowed until the return. */
    void (*stream_data)(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user);
    /* The send queue is empty again after pql_stream_write had answered PQL_E_LIMIT. */
    void (*stream_writable)(pql_stream *stream, void *user);
    /* The last call for a stream.  |code|: application error code of a reset, else 0. */
    void (*stream_close)(pql_stream *stream, uint64_t code, void *user);
} pql_handlers;

/* What an observer is told of a link.  Borrowed until the callback returns. */
typedef struct pql_link_info {
    uint64_t id;         /* pql_link_id */
    bool server;         /* our role */
    const char *address; /* the peer's, as text */
    const char *alpn;    /* "" before there is one */
    const pql_posture *posture;
    uint64_t age_ns;              /* since it was accepted or asked for */
    uint64_t bytes_in, bytes_out; /* datagrams of this link so far; 0 before it opened */
} pql_link_info;

/* Streams of links, by who opened them: in is the peer. */
typedef struct pql_stream_counts {
    uint64_t opened_in, opened_out, closed_in, closed_out;
} pql_stream_counts;

/* Observers of a context: called on worker threads, for metrics and logs. */
typedef struct pql_observer {
    /* A handshake begins; the posture is empty yet.  A client's address may still be unknown ("").
     */
    void (*link_start)(const pql_link_info *link, void *user);
    /* A handshake ended: well (|failure| NULL), or not. */
    void (*handshake)(const pql_link_info *link, const pql_close *failure, void *user);
    /* A link opened (|why| NULL), after its handshake, or one that was open has ended. */
    void (*link_change)(const pql_link_info *link, const pql_close *why, void *user);
    /* Rejected before authentication; |reason| is a static name from a closed list. */
    void (*reject)(const char *reason, void *user);
    /* What strangers were answered since the last call: proof of their address was asked for
     * (Retry), a lost link was reported (stateless reset), another QUIC version was offered. */
    void (*strangers)(uint64_t retries, uint64_t resets, uint64_t version_negotiations, void *user);
    void (*traffic)(uint64_t bytes_in, uint64_t bytes_out, uint64_t datagrams_in,
                    uint64_t datagrams_out, void *user);
    /* Streams since the last call: opened and ended, by the peer's wish (in) and by ours (out). */
    void (*streams)(const pql_stream_counts *counts, void *user);
    void *user;
} pql_observer;

typedef struct pql_context_opts {
    pql_identity *identity; /* borrowed until pql_context_set_identity or pql_context_free; needed
                               to listen */
    pql_policy policy;
    unsigned workers;      /* 0: one per processor; at most 64 */
    const uint8_t *secret; /* 32 bytes that survive restarts: Retry, address tokens, stateless
                              reset and tickets are derived from it; NULL: random */
    const struct pql_hybrid_memory *memory; /* of pinned peers; see trust.h; copied; NULL: none */
    const char *keylog_file; /* NULL: none.  Breaks the secrecy of every link: for debugging */
    const char *qlog_dir;    /* NULL: none */
    pql_observer observer;
} pql_context_opts;

/* Starts the workers.  The context is owned by the caller; PQL_E_USAGE, PQL_E_NOMEM, PQL_E_IO. */
PQL_API pql_status pql_context_new(pql_context **out, const pql_context_opts *opts, pql_error *err);

/* Closes every link (each gets link_close), stops the workers, frees.  Any thread but a worker.
 * NULL is a no-op. */
PQL_API void pql_context_free(pql_context *ctx);

/* Takes no new links, lets live ones go on until |grace_ms| has passed or all are gone, then closes
 * them.  Blocks.  Any thread but a worker. */
PQL_API void pql_context_drain(pql_context *ctx, uint64_t grace_ms);

/* Replaces the identity of every listener, present and to come: handshakes that begin after the
 * return show |current|.  Live links stay, and handshakes that have begun end with what they began
 * with.  |other| (NULL: none) is the identity of a rotation's other side: the next one before the
 * switch, the previous one after it.  A client that pinned only |other|, and says so by the hint of
 * docs/identity.md, is shown |other|.
 * All or nothing: PQL_E_USAGE (|current| is NULL), PQL_E_NOMEM, PQL_E_CRYPTO; everything is then
 * as it was.  Both are borrowed until the next call or pql_context_free; those of the call before
 * may be freed after the return.  Any thread. */
PQL_API pql_status pql_context_set_identity(pql_context *ctx, pql_identity *current,
                                            pql_identity *other, pql_error *err);

/* Replaces the policy of every listener, present and to come, and of every pql_connect afterwards.
 * Handshakes that begin after the return follow it, and those under way are judged by it when they
 * are complete.  Live links that it does not allow are closed before the return: no more bytes of
 * theirs are taken in or sent, link_close with PQL_E_POLICY and a sentence follows, and the peer
 * gets the alert insufficient_security.  Links that satisfy it stay, and a link is never closed for
 * being stronger than |policy| asks for.  Sessions of weaker links are not resumed.
 * All or nothing: PQL_E_USAGE (no such policy), PQL_E_POLICY (it does not go with the identity, the
 * protocols or the clients of a listener), PQL_E_NOMEM, PQL_E_CRYPTO; everything is then as it was.
 * Waits for every worker.  Any thread but a worker. */
PQL_API pql_status pql_context_set_policy(pql_context *ctx, pql_policy policy, pql_error *err);

/* The policy of now; any thread. */
PQL_API pql_policy pql_context_policy(const pql_context *ctx);

/* Number of worker threads; any thread. */
PQL_API unsigned pql_context_workers(const pql_context *ctx);

/* Runs |fn| on worker |index| as soon as may be.  Any thread.  PQL_E_LIMIT when 65,536 calls wait.
 */
PQL_API pql_status pql_context_run(pql_context *ctx, unsigned index, void (*fn)(void *arg),
                                   void *arg);

/* One protocol that a listener speaks, in order of preference. */
typedef struct pql_alpn {
    const char *name; /* at most 255 bytes */
    pql_leaf leaf;    /* certificate that its peers get */
} pql_alpn;

/* One protocol that a listener knows and does not speak.  A client that offers it, and nothing that
 * is spoken, is refused as any without a common protocol, and the sentence is the reason that the
 * observer hears. */
typedef struct pql_alpn_refusal {
    const char *name;
    const char *sentence;
} pql_alpn_refusal;

/* Pins of one server, and of the clients of a listener. */
#define PQL_PEER_PINS_MAX ((size_t)8)
#define PQL_CLIENT_PINS_MAX ((size_t)65536)

/* Who the peer has to be.  Exactly one of pins, tofu, ca_file, insecure. */
typedef struct pql_peer {
    const pql_fingerprint *pins; /* any one of them suffices; copied */
    size_t pin_count;            /* at most PQL_PEER_PINS_MAX; for clients PQL_CLIENT_PINS_MAX */
    const char *ca_file;         /* PEM bundle; the chain, and of a server the name, are then
                                    checked; copied */
    const struct pql_tofu *tofu; /* memory for trust on first use; see trust.h; not for clients */
    bool insecure;               /* nobody is checked: shouts in log, metrics and posture */
} pql_peer;

typedef struct pql_listen_opts {
    const pql_alpn *alpn; /* copied; at least one, at most 8 */
    size_t alpn_count;
    const pql_alpn_refusal *refusals; /* borrowed until pql_context_free; NULL: none */
    size_t refusal_count;
    const pql_peer *clients; /* whose certificates are asked for and needed: pins, CA file, or
                                insecure (any certificate); copied; NULL: none is asked for */
    uint32_t uncertified;    /* bit i: peers of alpn[i] are let in without a certificate all the
                                same; the service has another way to know them */
    bool pq_authentication;  /* accept ML-DSA from clients only */
    bool tickets; /* let clients resume their sessions (docs/identity.md): cheaper handshakes
                     without a new proof of our key; never with |clients| */
    const pql_handlers *handlers; /* borrowed; must outlive the context */
    void *user;
    unsigned max_links;           /* 0: 65,536 per worker */
    unsigned max_unauthenticated; /* half-open handshakes per worker before new ones are refused; 0:
                                     1,024.  One address gets a share of them only */
    /* Links that one address may have, on all workers together: an IPv4 address, or the first 64
     * bits of an IPv6 address.  0: no limit.  Machines behind one NAT have one address. */
    unsigned max_links_per_address;
    unsigned retry_threshold; /* half-open handshakes per worker from which Retry is sent; 0: 128.
                                 One from an unproven address counts for 10 s, or until it is
                                 completed, even when the client ends it before */
    unsigned max_streams;     /* streams that a peer may have open; 0: 16 */
    uint64_t idle_timeout_ms; /* 0: 60,000 */
    size_t max_receive;       /* bytes that one link can make us hold at most (flow control);
                                 0: 1 MiB; less than 16 KiB counts as that */
    size_t stream_queue; /* bytes that wait for one stream's peer before pql_stream_write answers
                            PQL_E_LIMIT; 0, or more: PQL_STREAM_QUEUE_MAX */
} pql_listen_opts;

/* Binds on every worker (SO_REUSEPORT) and serves.  Port 0 picks one (pql_listener_port).  Any
 * thread but a worker, one at a time.
 * The listener belongs to the context.  PQL_E_NETWORK (address in use, not ours), PQL_E_USAGE. */
PQL_API pql_status pql_listen(pql_context *ctx, const char *url, const pql_listen_opts *opts,
                              pql_listener **out, pql_error *err);
PQL_API uint16_t pql_listener_port(const pql_listener *listener);

/* Asks for the certificates of |clients| (copied) from the next handshake on.  Live links stay.
 * PQL_E_USAGE, PQL_E_IO (CA file), PQL_E_NOMEM: everything is then as it was.  Any thread. */
PQL_API pql_status pql_listener_set_clients(pql_listener *listener, const pql_peer *clients,
                                            pql_error *err);

typedef struct pql_connect_opts {
    const char *alpn;             /* copied */
    bool pq_authentication;       /* accept ML-DSA from the peer only */
    const pql_identity *identity; /* its ML-DSA leaf is shown to a server that asks, and proven;
                                     used up by the call; NULL: none is shown.  A server that does
                                     not accept it ends the link soon after link_open */
    bool resume; /* resume a session with this peer, of the same policy, protocol and trust, when
                    there is one, and keep those that it gives; not with |identity| */
    const pql_handlers *handlers; /* borrowed; must outlive the context */
    void *user;
    uint64_t connect_timeout_ms; /* 0: 10,000: name look-up and handshake together */
    uint64_t idle_timeout_ms;    /* 0: 60,000 */
    uint64_t keep_alive_ms;      /* 0: none */
    unsigned max_streams;        /* streams that the peer may have open; 0: 16 */
    /* How often the first datagrams are sent, 1 to 4.  Until it has heard a client twice, a server
     * may send three times what it has received (RFC 9000, 8.1); copies make that cover an ML-DSA
     * certificate, and the handshake then takes one round trip instead of two.  0: as many as the
     * server will need.  That is 2 for protocols of our own ("pqlink-...", certificates of 2.8 kB)
     * and 3 for others (7.4 kB), where the first flight is two datagrams because of ML-KEM; 1 where
     * it is one, and for a server whose address token is at hand; one more for a server that did
     * not get along with that. */
    unsigned first_flight_copies;
    /* Do not show the address token that an earlier link to this server brought, so that the server
     * cannot tell by it that the client is the same. */
    bool no_token;
} pql_connect_opts;

/* Starts to connect; the outcome comes to link_open or link_close.  Any thread.  The link that is
 * handed back in *out (may be NULL) carries a reference for the caller: pql_link_unref. */
PQL_API pql_status pql_connect(pql_context *ctx, const char *url, const pql_peer *peer,
                               const pql_connect_opts *opts, pql_link **out, pql_error *err);

/* References: a link's memory stays until its handlers are done and the last reference is gone.
 * Any thread. */
PQL_API void pql_link_ref(pql_link *link);
PQL_API void pql_link_unref(pql_link *link);

/* Runs fn(link, arg) on the link's worker, also when the link has closed meanwhile (ask
 * pql_link_is_open).  Holds a reference meanwhile.  Any thread.  PQL_E_LIMIT as pql_context_run. */
PQL_API pql_status pql_link_run(pql_link *link, void (*fn)(pql_link *link, void *arg), void *arg);

PQL_API bool pql_link_is_open(const pql_link *link);
PQL_API void pql_link_set_data(pql_link *link,
                               void *data); /* the service's own pointer; NULL at first */
PQL_API void *pql_link_data(const pql_link *link);
PQL_API unsigned pql_link_worker(const pql_link *link); /* index of its worker; any thread */
PQL_API uint64_t
pql_link_id(const pql_link *link); /* unique in the process; correlation id; any thread */
PQL_API const pql_posture *pql_link_posture(const pql_link *link);
PQL_API const char *pql_link_alpn(const pql_link *link);
/* The peer's address as text, "192.0.2.1:9833" or "[2001:db8::1]:9833"; follows migration. */
PQL_API const char *pql_link_peer_address(const pql_link *link);
/* Fingerprints of the peer's leaf, whose key it has proven; false when it showed none. */
PQL_API bool pql_link_peer_fingerprint(const pql_link *link, pql_fingerprint_form form,
                                       pql_fingerprint *out);

/* Ends the link with an application code and a text that the peer will see (cut at 255 bytes).
 * link_close follows from the event loop, not from within this call. */
PQL_API void pql_link_close(pql_link *link, uint64_t code, const char *reason);

/* link_timer is called once, at or after |when_ns| (CLOCK_MONOTONIC); UINT64_MAX clears it. */
PQL_API void pql_link_set_timer(pql_link *link, uint64_t when_ns);

/* Opens a bidirectional stream.  PQL_E_LIMIT while the peer gives no more. */
PQL_API pql_status pql_stream_open(pql_link *link, pql_stream **out, pql_error *err);

/* Bytes that wait in one stream's send queue at most: not sent, or sent and not acknowledged. */
#define PQL_STREAM_QUEUE_MAX ((size_t)1 << 20)

/* What pql_stream_write sends in one packet at most, on every path. */
#define PQL_STREAM_WHOLE_MAX 1100

/* Copies |len| bytes to the send queue, all or nothing: PQL_E_LIMIT when they do not fit now
 * (stream_writable follows), PQL_E_CLOSED after fin or reset.
 *
 * Up to PQL_STREAM_WHOLE_MAX bytes that are handed over in one call leave in one packet, whatever
 * else is to be sent.  Two exceptions: the peer's flow control ends within them, or the packet was
 * lost; what is sent again may be cut anywhere. */
PQL_API pql_status pql_stream_write(pql_stream *stream, const void *data, size_t len, bool fin);

/* Abandons both directions with an application error code. */
PQL_API void pql_stream_reset(pql_stream *stream, uint64_t code);

PQL_API pql_link *pql_stream_link(const pql_stream *stream);
PQL_API int64_t pql_stream_id(const pql_stream *stream);
PQL_API void pql_stream_set_data(pql_stream *stream, void *data);
PQL_API void *pql_stream_data(const pql_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
