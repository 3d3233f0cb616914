/* What the files of link/ share.  Private to src/link. */
#ifndef PQI_LINK_INTERNAL_H
#define PQI_LINK_INTERNAL_H

#include "link/servers.h"
#include "net/url.h"
#include "net/watch.h"
#include "net/worker.h"
#include "observe/metrics.h"
#include "quic/endpoint.h"

#include <pqlink/link.h>

#include <pthread.h>
#include <stdatomic.h>

/* Addresses of one host name that are tried. */
#define PQI_CONNECT_ADDRESSES 8
/* Workers of a context at most. */
#define PQI_CONTEXT_WORKERS_MAX 64

/* A UDP socket with its QUIC endpoint on a worker: one per worker and listener, one per client
 * link. */
typedef struct pqi_socket pqi_socket;
typedef struct pqi_port {
    pqi_task task; /* first member */
    struct pqi_port *next, *prev;
    pql_context *ctx;
    unsigned worker;
    pqi_socket *socket; /* replaced when the link moves to another path */
    pqi_quic_endpoint *endpoint;
    bool path_lost;         /* client: the address that it sends from is not ours any more */
    pql_listener *listener; /* NULL on a client */
    pql_link *link;         /* the client's link; NULL on a listener */
    pqi_quic_counters reported;
    pql_stream_counts streams; /* not reported yet */
    uint64_t wall_look_at;     /* when the wall clock is looked at again */
} pqi_port;

struct pql_listener {
    pql_listener *next;
    pql_context *ctx;
    pqi_quic_tls *tls;
    pqi_tls_generation *pending; /* between prepare and publish, under the context's lock */
    const pql_handlers *handlers;
    void *user;
    pqi_url url;
    uint16_t port;
    pqi_sources *sources; /* links by address; NULL without a limit */
    bool long_leaf;       /* the first flight does not fit an ordinary initial window */
    pqi_quic_endpoint_opts endpoint_opts;
};

typedef struct pqi_context_worker {
    pqi_worker *worker;
    pqi_port *ports;
    uint8_t *send_buffer;      /* of all endpoints; made with the first; owned */
    pql_link *resolving;       /* client links that have no port yet */
    atomic_size_t handed_over; /* bytes of datagrams from other workers that wait */
    pqi_watch *watch;          /* made with the first client port */
} pqi_context_worker;

struct pql_context {
    pql_context_opts opts;
    atomic_uint policy; /* pql_policy; the newest; opts.policy is the first */
    unsigned worker_count;
    pqi_context_worker *workers;
    pthread_mutex_t lock; /* identities and the list of listeners; never held while waiting */
    pql_identity *other_identity;
    pql_listener *listeners;
    uint8_t secret[PQI_QUIC_SECRET_LEN];
    uint8_t ticket_secret[PQI_TICKET_SECRET_LEN]; /* follows from |secret| */
    pqi_tls_sessions *sessions;                   /* of clients that may resume */
    int keylog_fd;                                /* -1: none */
    char *qlog_dir;                               /* NULL: none; owned */
    pql_hybrid_memory memory;                     /* its functions are NULL when there is none */
    pqi_servers *servers; /* what is remembered of those that links went to */
    atomic_uint_fast64_t next_qlog;
    atomic_uint next_worker;
    atomic_size_t live;               /* links between open (or connect) and close */
    atomic_uint_fast64_t handed_over; /* datagrams that the kernel gave to the wrong worker */
    atomic_bool draining, closing;
    pqi_metrics *registry; /* that asks for figures of the workers; NULL: none */
};

struct pql_stream {
    pql_link *link;
    pqi_quic_stream *quic;
    void *data;
};

/* What a connect needs until the link is open. */
typedef struct pqi_connect {
    pqi_url url;
    pqi_quic_tls *tls;
    uint64_t deadline; /* ns */
    uint64_t idle_timeout, keep_alive;
    unsigned max_streams;
    unsigned copies; /* of the first flight, as the caller wants it; 0: automatic */
    bool own_profile, no_token;
    char host_port[sizeof(((pqi_quic_tls_peer *)0)->host_port)]; /* what was dialled */
    pqi_address addresses[PQI_CONNECT_ADDRESSES];
    size_t address_count, address_at;
    pql_close first_failure;
} pqi_connect;

struct pql_link {
    atomic_uint refs;
    pql_context *ctx;
    unsigned worker;
    uint64_t id;
    bool server;
    atomic_bool open;
    bool closed, announced;
    const pql_handlers *handlers;
    void *user;
    void *data;
    pqi_port *port;
    pqi_quic_conn *conn;
    uint64_t started;
    uint64_t bytes_in, bytes_out; /* once the connection is gone */
    pql_posture posture;
    char alpn[256];
    char address[PQI_ADDRESS_TEXT_SIZE];
    pqi_connect *connect; /* client only; owned */
    pql_link *next_resolving, *prev_resolving;
    uv_getaddrinfo_t *resolver; /* owned by libuv's callback while under way */
    pqi_task resolve_end;       /* runs when the look-up takes too long or is not wanted any more */
    pql_close *close_early;     /* pql_link_close during the look-up; owned */
};

/* port.c */
pql_status pqi_port_listen(pql_listener *listener, unsigned worker, pqi_udp *udp, pql_error *err);
pql_status pqi_port_connect(pql_link *link, const pqi_address *remote, uint64_t handshake_timeout,
                            pql_error *err);
void pqi_port_kick(pqi_port *port);
/* Client: moves to another local address when the kernel would now send from another one. */
void pqi_port_check_path(pqi_port *port);
/* Frees the socket and the endpoint, without events. */
void pqi_port_free(pqi_port *port);

/* link.c */
extern const pqi_quic_events pqi_link_events;
const pqi_quic_events *pqi_link_accept(void *user, pqi_quic_conn *conn, void **owner);
pql_link *pqi_link_new(pql_context *ctx, unsigned worker, const pql_handlers *handlers, void *user);
/* Tells the observer that a handshake begins. */
void pqi_link_started(const pql_link *link);
/* Tells the owner that the link is over, once. */
void pqi_link_finish(pql_link *link, const pql_close *why);

/* listen.c */
void pqi_listeners_free(pql_context *ctx);

/* context.c: closes the listener's sockets on all workers and waits until nothing there refers to
 * it any more.  Any thread but a worker. */
void pqi_context_close_listener(pql_listener *listener);

/* debug.c: what opts.keylog_file and opts.qlog_dir ask for. */
pql_status pqi_debug_open(pql_context *ctx, pql_error *err);
void pqi_debug_close(pql_context *ctx);
void pqi_debug_keylog(void *ctx, const char *line);
void pqi_debug_qlog(void *port, void **slot, const void *data, size_t len, bool last);

/* connect.c: the next address after a failure; false when there is none. */
bool pqi_connect_again(pql_link *link, const pql_close *why);
/* Ends a link that is still looking up its name, from the event loop. */
void pqi_connect_abandon(pql_link *link, uint64_t code, const char *reason);
void pqi_connect_cancel_all(pql_context *ctx, unsigned worker);
void pqi_connect_free(pqi_connect *connect);

#endif
