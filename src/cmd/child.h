/* A short-lived process that does one thing for us: started, looked after without waiting, ended
 * when it takes too long.
 *
 * It gets no environment, no signal handling of ours, and no descriptors but /dev/null for input
 * and output and a pipe for what it says on standard error.  Members are for child.c alone.  One
 * thread at a time. */
#ifndef PQI_CMD_CHILD_H
#define PQI_CMD_CHILD_H

#include "base/error.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* This program, also when another one lies where it was started from. */
#define PQI_CHILD_OURSELVES "/proc/self/exe"
/* What is kept of what it says, bytes. */
#define PQI_CHILD_SAID_MAX 320

/* All zero: none was started. */
typedef struct pqi_child {
    pid_t pid; /* 0: none runs */
    int said_fd;
    uint64_t deadline; /* monotonic ns */
    bool overdue;      /* it was killed for that */
    size_t said_len;
    char said[PQI_CHILD_SAID_MAX + 1];
} pqi_child;

typedef enum pqi_child_state {
    PQI_CHILD_NONE, /* none runs, and the end of the last one was told */
    PQI_CHILD_RUNS,
    PQI_CHILD_DONE, /* it ended with status 0; told once */
    PQI_CHILD_FAILED
} pqi_child_state;

/* Starts |program| with |argv|, which ends with NULL; at |now| + |limit| (monotonic ns) it has to
 * have ended.  PQL_E_STATE: one runs already; PQL_E_IO, PQL_E_NOMEM: it could not be started. */
pql_status pqi_child_start(pqi_child *child, const char *program, const char *const *argv,
                           uint64_t now, uint64_t limit, pql_error *err);

/* What became of it by |now|; never waits.  Kills it when its time is over, and goes on to say that
 * it runs until it is gone.  PQI_CHILD_FAILED: |err| says how it ended, and what it said. */
pqi_child_state pqi_child_look(pqi_child *child, uint64_t now, pql_error *err);

/* True from the start until its end was told. */
bool pqi_child_runs(const pqi_child *child);

/* Kills it if it runs, and waits for its end. */
void pqi_child_stop(pqi_child *child);

#endif
