/* The control socket DIR/control: how a program of the same user, such as 'pqlink drill', asks a
 * running one to change something for a time.
 *
 * A Unix stream socket, mode 0600; a peer of another user than ours and root is turned away
 * (SO_PEERCRED).  One JSON object a line in each direction, at most PQI_CONTROL_LINE_MAX bytes:
 *
 *   {"do":"status"}                                   what holds now
 *   {"do":"override","policy":"pq-only","seconds":60} another policy, for so long
 *   {"do":"end"}                                      the policy of the settings again
 *
 * Each gets one answer: {"ok":true,...} with what holds, or {"ok":false,"error":"sentence"}.
 * An override is as strict as the settings at least; one that would be weaker is refused.
 * It ends by itself when its time is over, and at once when the connection that asked for
 * it ends: whoever began a drill and died leaves nothing behind.
 *
 * A thread of its own reads and writes; requests are carried out one at a time by the main thread,
 * which is woken and calls pqi_control_take and pqi_control_answer.  At most
 * PQI_CONTROL_CONNECTIONS_MAX connections; one more is closed at once. */
#ifndef PQI_ADMIN_CONTROL_H
#define PQI_ADMIN_CONTROL_H

#include "base/error.h"

#include <pqlink/policy.h>

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define PQI_CONTROL_LINE_MAX 1024
#define PQI_CONTROL_CONNECTIONS_MAX 4
/* Longest override: an hour, the bound of emergency powers in micronode.md section 15.7. */
#define PQI_CONTROL_SECONDS_MAX 3600
#define PQI_CONTROL_NAME "control"

typedef enum pqi_control_kind {
    PQI_CONTROL_STATUS,
    PQI_CONTROL_OVERRIDE,
    PQI_CONTROL_END
} pqi_control_kind;

typedef struct pqi_control_request {
    pqi_control_kind kind;
    pql_policy policy; /* OVERRIDE */
    unsigned seconds;  /* OVERRIDE: 1 to PQI_CONTROL_SECONDS_MAX */
    bool hung_up;      /* END: nobody asked; the connection that began the override is gone */
    pid_t pid;         /* of the asking program, and its user */
    uid_t uid;
} pqi_control_request;

/* Reads one line without its end: PQL_E_USAGE with a sentence for anything but the three requests;
 * unknown and duplicate members are errors.  Fills kind, policy and seconds; pure. */
pql_status pqi_control_parse(pqi_control_request *out, const char *line, size_t len,
                             pql_error *err);

typedef struct pqi_control pqi_control;

/* Listens at |path|; a socket that a dead process left there is replaced.  |wake| is called on the
 * control thread when a request waits.  *out is owned by the caller.  PQL_E_IO (a path that is too
 * long for a socket, or cannot be bound), PQL_E_EXISTS (a running program answers there),
 * PQL_E_NOMEM, PQL_E_FAILED. */
pql_status pqi_control_open(pqi_control **out, const char *path, void (*wake)(void *user),
                            void *user, pql_error *err);
/* Ends thread and connections and removes the socket.  NULL is a no-op. */
void pqi_control_close(pqi_control *c);

/* Main thread: true when a request waits, which pqi_control_answer must then answer before the next
 * call.  NULL has none. */
bool pqi_control_take(pqi_control *c, pqi_control_request *out);
/* |facts| (taken over; NULL: none) are further members of the answer when |status| is PQL_OK, else
 * |err| has the sentence. */
void pqi_control_answer(pqi_control *c, pql_status status, const pql_error *err, json_t *facts);

#endif
