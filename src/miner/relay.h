/* A job source that hands on the jobs of another node: which of them is current, under which id,
 * which result is passed up, and what becomes of both when the link is lost.  The link itself is
 * upstream.h.
 *
 *  - Jobs get ids of our own, 1, 2, ..., because those of a node begin anew with each connection
 *    and two nodes use the same ones.  The same job again keeps its id and restarts the search.
 *  - Every result is verified here.  The first valid one of a job is passed up; then the job is
 *    closed, later results are stale (the same one again a duplicate), until
 *     - another job, or the same one again, comes;
 *     - the node answers that it did not take the result;
 *     - |patience| has passed without either: the node did not take it, whatever the reason.
 *    In the last two cases the job is announced again, since miners of quantus-miner/2 stop
 *    searching after a result.
 *  - When the link is lost the job goes on for |grace|, in which another link may take over, and
 *    the first valid result is kept: it is passed up if the same job comes again.  Then there is no
 *    job, and miners are told to stop.
 *
 * Threads: as source.h for the functions of the source; the functions below from any thread.  They
 * wake the node service, whose next tick does the rest, and hold no lock while they do.
 *
 * Bounds: of what came since the last tick the newest is kept; PQI_RELAY_REMEMBERED results are
 * remembered to find duplicates, the oldest goes. */
#ifndef PQI_MINER_RELAY_H
#define PQI_MINER_RELAY_H

#include "miner/hasher.h"
#include "miner/session.h"
#include "miner/source.h"

#define PQI_RELAY_REMEMBERED 64

typedef struct pqi_relay_opts {
    uint64_t grace_ns;    /* 0: 5 s */
    uint64_t patience_ns; /* 0: 3 s */
    /* Passes a result up; called from within submit and tick.  PQL_E_STATE: solution->serial is not
     * the newest job's, or there is no link. */
    pql_status (*pass)(void *user, const pqi_solution *solution);
    /* Makes the node service call pqi_source_tick soon.  Any thread. */
    void (*wake)(void *user);
    /* A passed result found no answer and no new job within |patience|.  May be NULL. */
    void (*unanswered)(void *user);
    void *user;
} pqi_relay_opts;

/* Makes the source.  PQL_E_NOMEM; *out is then NULL.  The caller frees it with pqi_source_destroy.
 */
pql_status pqi_relay_new(pqi_source **out, const pqi_relay_opts *opts, pql_error *err);

/* The node gave |job| (copied), which |serial| names from now on. */
void pqi_relay_job(pqi_source *source, const pqi_miner_job *job, uint64_t serial);
/* The node says that it has no work. */
void pqi_relay_idle(pqi_source *source);
/* The link is lost. */
void pqi_relay_lost(pqi_source *source);
/* The node did not take the result that was passed up last. */
void pqi_relay_refused(pqi_source *source);

#endif
