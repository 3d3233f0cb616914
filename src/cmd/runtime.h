/* What node and mine set up alike around their service: logs, signals, metrics, the admin port. */
#ifndef PQI_CMD_RUNTIME_H
#define PQI_CMD_RUNTIME_H

#include "admin/admin.h"
#include "cmd/log_options.h"
#include "observe/link_table.h"
#include "observe/pq_metrics.h"
#include "observe/process_metrics.h"

#include <pqlink/link.h>

#include <jansson.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

/* Sends log lines to standard error in the form that |options| asks for.  True when that is text on
 * a terminal. */
bool pqi_runtime_log(const pqi_log_options *options);

/* Blocks SIGINT, SIGTERM and SIGHUP in this thread and all that it starts, and ignores SIGPIPE.
 * Call before any thread is started. */
void pqi_runtime_block_signals(void);

/* Waits for one of them until |deadline| (monotonic ns); 0 when none came, also when
 * pqi_runtime_wake was called. */
int pqi_runtime_wait_signal(uint64_t deadline);

/* Writes |len| bytes of |text| to standard error, or throws them away when it takes none now (a
 * terminal that Ctrl-S stopped, a full pipe): for what must never hold up a link. */
void pqi_runtime_show(const char *text, size_t len);

/* Says loudly what must never stay on by accident: as a warning in the log, and once more in plain
 * words where standard error is a terminal that takes them. */
void pqi_runtime_shout(const char *service, const char *event, const char *sentence);

/* Shouts when key logs or traces were asked for. */
void pqi_runtime_shout_debug(const char *service, const char *keylog_file, const char *qlog_dir);

/* What a service tells of itself on the admin port.  The functions may be called on two threads at
 * once. */
typedef struct pqi_runtime_views {
    const char *service;   /* "node", "mine" */
    pqi_admin_json status; /* one JSON object with a member, for /status */
    /* The same for the status page: bounded, however many peers there are. */
    pqi_admin_json overview;
    /* The fingerprints of the identity that peers are shown, as pqi_fingerprint_json; JSON null
     * when there is none.  NULL: there never is. */
    json_t *(*keys)(void *user);
    bool pq_authentication; /* peers are asked for ML-DSA alone */
    void *user;             /* for all of them */
} pqi_runtime_views;

/* Metrics, health and the admin port of one process. */
typedef struct pqi_runtime {
    pqi_metrics *metrics;
    pqi_pq_metrics *links;
    pqi_process_metrics *process;
    pqi_link_table *table; /* kept by the observer of |links| */
    pqi_health *health;
    pqi_admin *admin;
    const pqi_admin_auth *auth; /* who may use the admin port; NULL: everybody.  Borrowed; to be
                                   set before pqi_runtime_admin */
    atomic_uint policy;         /* the pql_policy of now, which /version shows; any thread */
    bool amnesia;               /* as /version says */
    pqi_runtime_views views;
    uint64_t opened; /* monotonic ns */
    pthread_t main;  /* the thread that opened it */
} pqi_runtime;

/* Runs the self-test of the cryptography (crypto/self_test.h), then makes all but the admin port.
 * PQL_E_CRYPTO when the self-test fails.  pqi_runtime_close undoes it, also after a failure. */
pql_status pqi_runtime_open(pqi_runtime *rt, pql_policy policy, pql_error *err);
/* Says in /version and in the gauge pqlink_amnesia whether anything is written.  Once, after
 * pqi_runtime_open and before pqi_runtime_admin. */
pql_status pqi_runtime_amnesia(pqi_runtime *rt, bool on, pql_error *err);
/* Makes pqi_runtime_wait_signal return soon, at once or when it is called next; several calls
 * before that count as one.  Any thread. */
void pqi_runtime_wake(const pqi_runtime *rt);
/* Starts the admin port unless |at| is off: metrics, readiness, version, and what |views| tells. */
pql_status pqi_runtime_admin(pqi_runtime *rt, const pqi_endpoint *at,
                             const pqi_runtime_views *views, pql_error *err);
void pqi_runtime_close(pqi_runtime *rt);

#endif
