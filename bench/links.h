/* Many short links to one server: what the programs that measure handshakes share. */
#ifndef PQI_BENCH_LINKS_H
#define PQI_BENCH_LINKS_H

#include <pqlink/link.h>

#include <stdint.h>
#include <sys/types.h>

/* Of our own kind, so that the client asks as it asks servers of ours. */
#define BENCH_ALPN "pqlink-bench/1"
#define BENCH_ROUND_TRIPS_MAX 8

/* A child that ends with its parent; as fork(). */
pid_t bench_fork(void);

typedef struct bench_server {
    pid_t pid;
    uint16_t port;
    pql_fingerprint pin;
    pid_t keys; /* its key process; 0: none */
    char dir[32];
} bench_server;

/* A pqlink server with one worker and a new compact ML-DSA-87 leaf, in a process of its own.
 * |client|: the only one that is let in; NULL: nobody is asked. */
/* |key_process|: its private keys are in a process of their own (signer/signer.h). */
bench_server bench_server_start(const pql_identity *client, bool key_process);
void bench_server_stop(const bench_server *server);

typedef struct bench_links_opts {
    unsigned port; /* of 127.0.0.1 */
    const char *alpn;
    const pql_fingerprint *pin;   /* NULL: nobody is checked */
    const pql_identity *identity; /* shown to the server; NULL: none */
    unsigned count;
    unsigned every_ms; /* 0: none; else the pause after each start */
    unsigned at_once;  /* links that are not closed yet, at most */
} bench_links_opts;

typedef struct bench_links {
    size_t opened;
    unsigned failed;
    double *ms; /* from the call to the open link, for each that opened; owned */
    unsigned round_trips[BENCH_ROUND_TRIPS_MAX + 1]; /* how many took so many; the last: or more */
    char why[PQL_ERROR_MESSAGE_SIZE];                /* the last failure */
} bench_links;

/* Opens and closes |count| links one after the other, and waits until all have ended.  Each has a
 * context of its own, so that none remembers a server, its tokens, or how it likes to be asked: all
 * are first contacts. */
void bench_links_run(const bench_links_opts *opts, bench_links *out);

#endif
