/* The end of certificates: how long they are still valid, as a metric, and who is told when.
 *
 * Watched are the leaves that this endpoint shows, and the roots of a CA file.  Those that pqlink
 * makes are valid without end; imported ones are not. */
#ifndef PQI_CMD_EXPIRY_H
#define PQI_CMD_EXPIRY_H

#include "observe/metrics.h"

#include <pqlink/identity.h>

#include <stdatomic.h>

/* The two leaves by pql_leaf, and the root of a CA file that ends first. */
#define PQI_EXPIRY_LEAVES 2
#define PQI_EXPIRY_ROOT PQI_EXPIRY_LEAVES
#define PQI_EXPIRY_WATCHED (PQI_EXPIRY_LEAVES + 1)

/* Members are for expiry.c alone. */
typedef struct pqi_expiry {
    const char *service; /* borrowed; of the log lines */
    const char *file;    /* with the roots; borrowed */
    struct {
        _Atomic uint64_t not_after;      /* seconds since 1970; PQI_VALID_FOR_EVER */
        char name[PQL_FINGERPRINT_SIZE]; /* of a leaf */
        unsigned said;                   /* thresholds that were said */
    } watched[PQI_EXPIRY_WATCHED];
} pqi_expiry;

/* Registers pqlink_certificate_expiry_seconds, at +Inf until something is watched that ends.  |e|
 * must outlive |registry| (NULL: no metric). */
void pqi_expiry_register(pqi_expiry *e, const char *service, pqi_metrics *registry);

/* Looks at the leaves of |id| (NULL: none is shown) at |now_unix| (seconds), and says in the log
 * when less than 30, 7 or 1 days are left, or nothing, once for each of these and each certificate.
 * By one thread, as often as it likes. */
void pqi_expiry_look(pqi_expiry *e, const pql_identity *id, uint64_t now_unix);

/* The same of the root in |file|, borrowed, that ends first; read here once.  NULL: there is none.
 * From then on pqi_expiry_look watches it too.  Errors as of pqi_authority_load. */
pql_status pqi_expiry_roots(pqi_expiry *e, const char *file, pql_error *err);

#endif
