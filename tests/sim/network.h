/* A simulated network between one QUIC client endpoint and one server endpoint, in virtual time.
 *
 * Datagrams are delayed, lost, duplicated, reordered and cut off by a seeded generator; nothing
 * sleeps, so a minute on the network takes a millisecond here. */
#ifndef PQI_TESTS_SIM_NETWORK_H
#define PQI_TESTS_SIM_NETWORK_H

#include "quic/endpoint.h"

typedef struct sim_rules {
    uint64_t delay;        /* ns, one way */
    uint64_t jitter;       /* ns, uniform on top */
    unsigned loss;         /* per mille, each way */
    unsigned duplicate;    /* per mille */
    unsigned corrupt;      /* per mille: one bit is flipped */
    unsigned mark_ce;      /* per mille of those with an ECN mark: congestion was experienced */
    size_t mtu;            /* larger UDP payloads vanish; 0: none do */
    uint64_t blackhole_at; /* nothing passes from here on ... */
    uint64_t blackhole_for;
    uint64_t rebind_at; /* the client's address as the server sees it changes once; 0: never */
    unsigned drop_first_client; /* this many of the client's first datagrams vanish */
    bool server_dark;           /* nothing that the server sends arrives */
} sim_rules;

/* What happens to one datagram, decided by somebody else than the rules (a fuzzer). */
typedef struct sim_fate {
    bool drop, duplicate;
    uint64_t extra_delay; /* ns */
    size_t flip_bit;      /* this bit (modulo the length), when flip is set */
    bool flip;
    size_t keep; /* cut to this many bytes; 0: whole */
} sim_fate;

typedef struct sim sim;

/* What sim_now says at first; the times of sim_run and of the rules count from there. */
#define SIM_START (UINT64_C(1000) * UINT64_C(1000000000))

typedef struct sim_peer_log {
    unsigned opened, closed, streams_opened, streams_closed;
    uint64_t stream_code; /* of the stream that closed last */
    pql_close close;
    pql_posture posture;
    size_t received; /* stream bytes */
    bool fin;
    uint64_t opened_at;
    uint8_t token[PQI_QUIC_TOKEN_MAX]; /* the newest that a client was given */
    size_t token_len;
    unsigned held_up; /* copies of the first flight that were not enough; 0: never said */
} sim_peer_log;

typedef struct sim_opts {
    uint64_t seed;
    sim_rules rules;
    pql_policy client_policy, server_policy;
    const pql_identity *identity; /* the server's */
    const pql_peer *peer;         /* whom the client trusts */
    const char *client_alpn;      /* NULL: "sim/1" */
    size_t send;                  /* bytes that the client sends and the server echoes */
    size_t retry_threshold;       /* 0: Retry at once for everybody is SIZE_MAX off */
    uint64_t keep_alive;
    unsigned max_streams; /* 0: 16 */
    /* Shared by many simulations to save time; NULL: made from the policies above. */
    const pqi_quic_tls *client_tls, *server_tls;
    /* NULL: the rules decide alone. */
    sim_fate (*fate)(void *user, bool to_server, size_t len);
    void *fate_user;
    /* Takes the bytes of streams instead of the simulator, which else checks and echoes them. */
    void (*stream_data)(void *user, pqi_quic_stream *stream, const uint8_t *data, size_t len,
                        bool fin);
    void *stream_user;
    /* Gets the qlog of both sides, a record at a time.  NULL: none is written. */
    void (*qlog)(void *user, bool server, const char *record, size_t len);
    void *qlog_user;
    unsigned copies_short, copies_long; /* of the client's first flight; 0: 1 and 2 */
    const uint8_t *token;               /* the client shows it */
    size_t token_len;
    bool wide_window;        /* of the server */
    const char *client_host; /* NULL: 10.0.0.1, as the server */
    uint8_t secret;          /* each byte of the server's secret; 0: 7 */
    uint64_t wall_later;     /* ns that the world's clock is ahead of other simulations' */
    uint64_t max_receive;    /* flow control of both sides; 0: grows to 16 MiB */
} sim_opts;

/* The configurations that sim_new would make; pqi_quic_tls_free. */
bool sim_tls(const sim_opts *opts, pqi_quic_tls **client, pqi_quic_tls **server);

sim *sim_new(const sim_opts *opts);
void sim_free(sim *s);
/* Runs until |until| (ns since the start) or until nothing more happens. */
void sim_run(sim *s, uint64_t until);
uint64_t sim_now(const sim *s);
const sim_peer_log *sim_client(const sim *s);
const sim_peer_log *sim_server(const sim *s);
pqi_quic_conn *sim_client_conn(const sim *s); /* NULL after it closed */
pqi_quic_conn *sim_server_conn(const sim *s);
pqi_quic_endpoint *sim_server_endpoint(const sim *s);
pqi_quic_endpoint *sim_client_endpoint(const sim *s);
/* The rules from now on. */
sim_rules *sim_change(sim *s);
/* The client's host moves to another address of its own. */
pql_status sim_migrate(sim *s);
/* The client's host has another address from now on. */
void sim_rehost(sim *s, const char *host);
/* Datagrams that left with an ECN mark, and that arrived with one. */
unsigned sim_marks_sent(const sim *s);
unsigned sim_marks_received(const sim *s);
/* The largest ratio of bytes sent to bytes received by the server before the client was heard after
 * the first answer. */
double sim_amplification(const sim *s);
/* Replaces the server endpoint by a new one with the same secret, as a restart does. */
void sim_restart_server(sim *s);
/* Replaces the client by a new one, with |token|; the log of the client starts anew. */
void sim_reconnect(sim *s, const uint8_t *token, size_t token_len);
/* Runs of datagrams that the server has handed to its socket. */
unsigned sim_server_runs(const sim *s);
/* Puts a datagram on the server's wire as from a stranger. */
void sim_inject(sim *s, const void *data, size_t len);
/* Bytes that the server sent to strangers' addresses. */
size_t sim_stranger_bytes(const sim *s);

#endif
