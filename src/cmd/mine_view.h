/* What pqlink mine shows: a line per event, and on a terminal a live status line below them. */
#ifndef PQI_CMD_MINE_VIEW_H
#define PQI_CMD_MINE_VIEW_H

#include "base/log.h"
#include "cmd/mine.h"
#include "miner/mine_service.h"

#include <pthread.h>

/* Longest status line, with the NUL. */
#define PQI_MINE_LINE_SIZE 256

/* Members are for mine_view.c alone. */
typedef struct pqi_mine_view {
    const pqi_mine_options *options; /* borrowed */
    bool live;                       /* there is a status line */
    uint64_t status_due;             /* of the next status event, where there is no status line */
    pthread_mutex_t lock;            /* for the screen and the line */
    uint64_t corr_id;                /* pql_link_id of the link that events are about */
    pqi_log_quota quota;             /* of lines for the node's messages; with the lock */
    char line[PQI_MINE_LINE_SIZE];   /* as it is on the screen; "": there is none */
    pqi_miner_rotation announced[PQI_FAILOVER_NODES_MAX]; /* what each node said last */
} pqi_mine_view;

/* Sets the log up and prints what is to be known at the start: the node, and loud warnings for
 * --insecure, --keylog and --qlog.  All goes to standard error. */
void pqi_mine_view_start(pqi_mine_view *view, const pqi_mine_options *options);

/* The URL of the node that the miner works for, or the preferred one before the first link. */
const char *pqi_mine_node_shown(const pqi_mine_status *status, const pqi_mine_options *options);

/* Lines a second for jobs, cancels, finds and results; a node that sends more fills no disk.  What
 * is left out is counted, and a line says how much it was. */
#define PQI_MINE_LINES_PER_SEC 200

/* The callbacks that print; their user is a pqi_mine_view. */
extern const pqi_mine_events pqi_mine_view_events;

/* Draws the status line anew, to be called once a second; without a terminal, logs a status event
 * when one is due.  |now| is CLOCK_MONOTONIC. */
void pqi_mine_view_tick(pqi_mine_view *view, const pqi_mine_status *status, uint64_t now);

/* Takes the status line away and prints the summary. */
void pqi_mine_view_end(pqi_mine_view *view, const pqi_mine_status *status, uint64_t now);

#endif
