/* Which of several nodes to be linked to, and when to try which: an ordered list with failover and
 * failback.  docs/guide-miner.md, section 8.
 *
 *   main    the link whose jobs count; the only one in most hours
 *   second  a link on trial beside it, which becomes the main one with its first job
 *
 * Without a main link the first node in the list whose pause is over becomes it.  Beside a main
 * link the nodes before it in the list are tried every |probe|; all others too, when it has given
 * no job for |patience|.  A link on trial that brings no job within |trial| has failed.  The main
 * link is left only for one that has delivered a job: the work never pauses for it.
 *
 * After a failure a node rests: |first|, doubled up to |most|, each a quarter more or less by
 * chance; |first| again after a link that brought a job.  When a link that gave jobs is lost,
 * every other node may be tried at once.
 *
 * Pure: no clock, no socket, no memory but its own.  All times are monotonic nanoseconds.  One
 * thread at a time. */
#ifndef PQI_MINER_FAILOVER_H
#define PQI_MINER_FAILOVER_H

#include <stdbool.h>
#include <stdint.h>

#define PQI_FAILOVER_NODES_MAX 8
/* No node. */
#define PQI_FAILOVER_NONE (-1)

/* Nanoseconds; see above. */
typedef struct pqi_failover_timing {
    uint64_t first, most, probe, patience, trial;
} pqi_failover_timing;

typedef struct pqi_failover_node {
    bool out;       /* not to be tried any more */
    uint64_t delay; /* the next pause, before chance */
    uint64_t next;  /* it rests until then */
} pqi_failover_node;

/* Members are for failover.c alone. */
typedef struct pqi_failover {
    pqi_failover_timing timing;
    unsigned count;
    pqi_failover_node nodes[PQI_FAILOVER_NODES_MAX];
    int main, second;
    bool main_gives;        /* the main link has a job */
    uint64_t jobless_since; /* meant while main_gives is false */
    bool main_gave;         /* it had one at some time */
    uint64_t second_until;  /* end of the trial */
} pqi_failover;

/* |count| nodes, 1 to PQI_FAILOVER_NODES_MAX, 0 being the preferred one. */
void pqi_failover_init(pqi_failover *f, unsigned count, const pqi_failover_timing *timing);

/* The node to connect to now, which then is the main one or the one on trial; PQI_FAILOVER_NONE for
 * none.  Ask again until it is none. */
int pqi_failover_next(pqi_failover *f, uint64_t now);
/* The node whose trial is over without a job: its link is to be closed, and then reported with
 * pqi_failover_down.  PQI_FAILOVER_NONE: there is none. */
int pqi_failover_late(const pqi_failover *f, uint64_t now);
/* When to ask the two functions above again at the latest; PQI_TIME_NEVER when only an event can
 * change anything. */
uint64_t pqi_failover_deadline(const pqi_failover *f);

/* The node whose jobs count, PQI_FAILOVER_NONE without one. */
int pqi_failover_main(const pqi_failover *f);

/* The link to |node| delivered a job.  Returns the node that was the main one until now and whose
 * link is to be closed, without reporting its end; PQI_FAILOVER_NONE mostly. */
int pqi_failover_job(pqi_failover *f, int node, uint64_t now);
/* The main link has no job any more. */
void pqi_failover_idle(pqi_failover *f, uint64_t now);
/* The link to |node| ended, or could not be made.  |chance| is a random number.  Returns the pause
 * before the node is tried again; what was on trial becomes the main link when that was lost. */
uint64_t pqi_failover_down(pqi_failover *f, int node, uint64_t now, uint64_t chance);
/* As pqi_failover_down, and |node| is not tried again. */
void pqi_failover_out(pqi_failover *f, int node, uint64_t now);
/* |node| is tried again: what kept it out may have been mended. */
void pqi_failover_back(pqi_failover *f, int node, uint64_t now);
bool pqi_failover_is_out(const pqi_failover *f, int node);
/* No node is left. */
bool pqi_failover_all_out(const pqi_failover *f);

#endif
