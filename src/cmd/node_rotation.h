/* The identity of a running node, and its change without a restart.
 *
 * The directory is read at start, at SIGHUP, and whenever a look every PQI_NODE_ROTATION_LOOK finds
 * that 'pqlink rotate' was at work there.  When the time of the plan has come the node itself
 * switches, and later drops the previous identity.  With an age given it also begins rotations by
 * itself (cmd/rotation_age.h).  An identity that came in any other way is never
 * taken: it is refused loudly, and the old one stays in use until the restart. */
#ifndef PQI_CMD_NODE_ROTATION_H
#define PQI_CMD_NODE_ROTATION_H

#include "base/buf.h"
#include "base/clock.h"
#include "cmd/child.h"
#include "cmd/rotation_age.h"
#include "identity/rotation.h"
#include "miner/node_service.h"

#include <pqlink/link.h>

#include <jansson.h>
#include <pthread.h>

#define PQI_NODE_ROTATION_LOOK (10 * PQI_NS_PER_SEC)

/* Members are for node_rotation.c alone, but |in_use| may be read by the thread that calls its
 * functions. */
typedef struct pqi_node_rotation {
    const char *dir;           /* borrowed; NULL: the identity is in memory */
    pql_context *ctx;          /* borrowed; NULL before the start */
    pqi_node_service *service; /* borrowed */
    pqi_node_metrics *metrics; /* borrowed */
    pqi_identity_keys keys;    /* how they are read; its text is borrowed */
    pqi_rotation in_use;
    pthread_mutex_t lock; /* around changes of |in_use|, for the status */
    bool opened;
    bool warned;      /* the last warning before the switch was given */
    uint64_t refused; /* mark of a directory that was refused; 0: none */
    uint64_t again;   /* monotonic ns before which nothing is tried after a failure */
    uint64_t days;    /* --key-rotation-days; 0: off */
    pqi_age_clock clock;
    pqi_age_step expected; /* what comes next by age; changed under |lock| too */
    const char *program;   /* borrowed; what makes the next identity; NULL: this process */
    pqi_child child;       /* that at work */
    uint64_t child_mark;   /* the directory when it was started */
} pqi_node_rotation;

/* Reads the identities in |dir|, which stays borrowed as the text in |keys| does, and does what was
 * due while no node ran; what of that cannot be done is logged and tried again later, as in a
 * running node.  |now_unix|: seconds; |now|: monotonic ns.  pqi_node_rotation_close undoes it, also
 * after a failure. */
pql_status pqi_node_rotation_open(pqi_node_rotation *r, const char *dir,
                                  const pqi_identity_keys *keys, uint64_t now_unix, uint64_t now,
                                  pql_error *err);
/* Replaces the post-quantum key when it is |days| in use; 0: not.  Any time after open, by the
 * thread of the ticks, the next of which acts on it. */
void pqi_node_rotation_by_age(pqi_node_rotation *r, uint64_t days);

/* From now on this process makes no key: |program| (PQI_CHILD_OURSELVES), which stays borrowed, is
 * run as 'rotate prepare' when a rotation by age begins (cmd/rotation_process.h), and looked after
 * by the ticks.  One at a time; what it does not bring about is logged and tried again later. */
void pqi_node_rotation_use_process(pqi_node_rotation *r, const char *program);

/* The same of an identity in memory, which is taken over: nothing is ever read, nothing is ever
 * due, and a reload changes nothing. */
void pqi_node_rotation_open_memory(pqi_node_rotation *r, pql_identity *identity);

/* After the context that borrows the identities. */
void pqi_node_rotation_close(pqi_node_rotation *r);

/* Gives the identities to |ctx|, whose opts.identity was in_use.current, and the announcement to
 * |service|.  |metrics| may be NULL.  All are borrowed until pqi_node_rotation_close. */
pql_status pqi_node_rotation_start(pqi_node_rotation *r, pql_context *ctx,
                                   pqi_node_service *service, pqi_node_metrics *metrics,
                                   pql_error *err);

/* Reads the directory again and takes what is there (SIGHUP).  Says so in the log, and why not. */
void pqi_node_rotation_reload(pqi_node_rotation *r);

/* Does what is due at |now_unix| (seconds) and |now| (monotonic ns), and answers when it wants to
 * be called again (monotonic ns). */
uint64_t pqi_node_rotation_tick(pqi_node_rotation *r, uint64_t now_unix, uint64_t now);

/* As the status function of a service, with a "rotation" member beside what |service_status|
 * writes.  Any thread. */
pql_status pqi_node_rotation_status(pqi_node_rotation *r, pqi_buf *out, pql_error *err);
/* Adds that member alone to the JSON object that |out| ends with.  Any thread. */
pql_status pqi_node_rotation_add(pqi_node_rotation *r, pqi_buf *out, pql_error *err);

/* The fingerprints of the identity in use, as pqi_fingerprint_json.  Any thread. */
json_t *pqi_node_rotation_keys(pqi_node_rotation *r);

#endif
