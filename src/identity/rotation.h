/* The change from one identity to the next, with a time in which peers may have pinned either.
 *
 *   DIR/identity           in use; since when its post-quantum key is, says DIR/identity/since
 *   DIR/identity-next      prepared, with its plan; there from `prepare` to `switch`
 *   DIR/identity-previous  in use before; there from `switch` to `finish`
 *
 * A switch is three steps, each durable before the next:
 *
 *   1. identity-next/rotation gets the time at which the old identity goes: now it is decided
 *   2. identity       is renamed to identity-previous
 *   3. identity-next  is renamed to identity (with its plan, which from now on is that of the end)
 *
 * A crash before the end of step 1 changes nothing; after it, whoever opens DIR next does the rest
 * (pqi_rotation_enter).  Readers and writers hold the lock of DIR, so nobody sees the middle.
 * At most one of identity-next and identity-previous is there but in the middle of a switch. */
#ifndef PQI_IDENTITY_ROTATION_H
#define PQI_IDENTITY_ROTATION_H

#include "identity/passphrase.h"

#include <pqlink/identity.h>

/* Times in seconds since 1970 UTC. */
typedef struct pqi_rotation_plan {
    uint64_t switch_at; /* when the next identity is to be taken; 0: when somebody says so */
    uint64_t keep;      /* seconds that the old one is kept after that */
    uint64_t drop_at;   /* when the old one goes; 0: the switch is still to come */
    uint64_t by_age;    /* days after which a node made this by itself; 0: somebody typed it */
} pqi_rotation_plan;

/* The longest that an old identity is kept: ten years. */
#define PQI_ROTATION_KEEP_MAX (UINT64_C(3650) * 24 * 3600)
/* The oldest that an identity may be made to grow. */
#define PQI_ROTATION_DAYS_MAX 3650

/* All that is in DIR. */
typedef struct pqi_rotation {
    pql_identity *current;
    pql_identity *next;     /* NULL: none is prepared */
    pql_identity *previous; /* NULL: none is kept */
    /* Meant when next or previous is there.  A plan of a previous identity that cannot be read has
     * drop_at 0: it then stays until somebody ends it. */
    pqi_rotation_plan plan;
    /* When the post-quantum key of |current| came into use; 0: nobody wrote it down. */
    uint64_t since;
    uint64_t mark; /* pqi_rotation_mark at that moment */
} pqi_rotation;

/* A number that is another one after anything was prepared, switched, dropped or exchanged in DIR:
 * for looking often and reading seldom.  Takes no lock and opens no file. */
uint64_t pqi_rotation_mark(const char *dir);

/* Reads all that is in DIR at one moment; |keys| as in pqi_identity_load, here and below.  On
 * success the identities are owned by the caller (pqi_rotation_clear, or taken out one by one); on
 * failure *out is empty.  Errors are those of pql_identity_open with must_exist, for any of the
 * three. */
pql_status pqi_rotation_load(pqi_rotation *out, const char *dir, const pqi_identity_keys *keys,
                             pql_error *err);
void pqi_rotation_clear(pqi_rotation *rotation);

/* How the next identity differs from the current one. */
typedef struct pqi_rotation_opts {
    bool pq;          /* the post-quantum leaf is a new one; the old one is carried over if not */
    bool classical;   /* the same of the classical leaf */
    bool keep_key;    /* new certificates for the old keys: pins of keys (SPKI) stay valid */
    bool self_signed; /* as in pql_identity_opts */
    const pql_sign *sign;   /* parameter set of a new post-quantum key; NULL: that of the old one */
    pqi_rotation_plan plan; /* drop_at is ignored */
    const pqi_rotation *expected; /* as in pqi_rotation_switch */
} pqi_rotation_opts;

/* Makes DIR/identity-next.  PQL_E_EXISTS: one is prepared already, or a previous one is still
 * kept; PQL_E_USAGE: no leaf would change, or the plan is out of bounds; PQL_E_IDENTITY: there is
 * none, it is not fit for use, or it belongs to another user; PQL_E_STATE: not as expected;
 * PQL_E_IO, PQL_E_CRYPTO.  After a failure nothing has changed. */
pql_status pqi_rotation_prepare(const char *dir, const pqi_identity_keys *keys,
                                const pqi_rotation_opts *opts, pql_error *err);

/* Takes the next identity at |now| (seconds since 1970).  |expected|: what the caller decided by;
 * if identities or plan are others meanwhile, PQL_E_STATE, and nothing has changed.  NULL: whatever
 * is there.  PQL_E_NOT_FOUND: none is prepared; PQL_E_IDENTITY: it is not fit for use, nothing has
 * changed; PQL_E_IO: either nothing has changed or the next that opens DIR completes it. */
pql_status pqi_rotation_switch(const char *dir, const pqi_identity_keys *keys, uint64_t now,
                               const pqi_rotation *expected, pql_error *err);

/* Gives another plan to the next identity, or else to the previous one, as |expected| has them,
 * which must not be NULL here.  PQL_E_STATE: as of a switch; PQL_E_USAGE: the plan is out of
 * bounds; PQL_E_IDENTITY, PQL_E_IO.  After a failure nothing has changed. */
pql_status pqi_rotation_plan_set(const char *dir, const pqi_rotation_plan *plan,
                                 const pqi_rotation *expected, pql_error *err);

/* Writes down that the key of the current identity is in use since |since|.  Errors as above. */
pql_status pqi_rotation_since_set(const char *dir, uint64_t since, const pqi_rotation *expected,
                                  pql_error *err);

/* Drops what was prepared.  PQL_E_NOT_FOUND: nothing is; PQL_E_IO. */
pql_status pqi_rotation_cancel(const char *dir, pql_error *err);

/* Drops the previous identity.  |expected| as above; with NULL also one that cannot be used.
 * PQL_E_NOT_FOUND: there is none; PQL_E_STATE, PQL_E_IO; with |expected| also the errors of
 * pqi_rotation_load. */
pql_status pqi_rotation_finish(const char *dir, const pqi_rotation *expected, pql_error *err);

/* Takes the lock of DIR (pqi_identity_lock) and completes a switch that was cut short, so that the
 * holder finds one of the states above.  PQL_E_NOT_FOUND: there is no DIR; PQL_E_IDENTITY: there is
 * a next or a previous identity but no current one; PQL_E_IO; *fd is then -1. */
pql_status pqi_rotation_enter(const char *dir, bool alone, int *fd, pql_error *err);

/* Keys that another user writes, such as root, could not be read by the node that is to use them:
 * PQL_E_IDENTITY when the current identity belongs to another user than ours. */
pql_status pqi_rotation_check_owner(const char *dir, pql_error *err);

/* The plan as the text of its file, and back: lines "name number"; by_age only when it is not 0.
 * Reading refuses what is not exactly that (PQL_E_IDENTITY, *out zeroed).  Pure. */
void pqi_rotation_plan_format(const pqi_rotation_plan *plan, char *out, size_t size);
pql_status pqi_rotation_plan_parse(pqi_rotation_plan *out, const char *text, pql_error *err);

/* The same of the file with |since|: one line "since number". */
void pqi_rotation_since_format(uint64_t since, char *out, size_t size);
pql_status pqi_rotation_since_parse(uint64_t *out, const char *text, pql_error *err);

/* True when both show the same certificate as |leaf|. */
bool pqi_rotation_same_leaf(const pql_identity *a, const pql_identity *b, pql_leaf leaf);
/* True when both show the same certificates. */
bool pqi_rotation_same(const pql_identity *a, const pql_identity *b);
/* The same, and NULL is the same as NULL alone. */
bool pqi_rotation_same_or_none(const pql_identity *a, const pql_identity *b);

#endif
