/* Who may use the admin port: holders of a capability token with the audience "admin".
 * docs/capability-tokens.md, section 9. */
#ifndef PQI_ADMIN_AUTH_H
#define PQI_ADMIN_AUTH_H

#include "caps/keyring.h"
#include "observe/cap_metrics.h"

#include <sys/socket.h>

#define PQI_ADMIN_AUDIENCE "admin"
/* For the header WWW-Authenticate. */
#define PQI_ADMIN_CHALLENGE "Bearer realm=\"pqlink\", Macro realm=\"pqlink\""

/* Both borrowed; they outlive the server. */
typedef struct pqi_admin_auth {
    pqi_cap_keyring *keys;
    pqi_cap_metrics *metrics; /* NULL: none */
} pqi_admin_auth;

/* A request as far as it matters here. */
typedef struct pqi_admin_asked {
    const char *authorization; /* the header's value; NULL: there is none */
    unsigned authorizations;   /* how many such headers there were */
    const char *method;
    const char *path;
    const struct sockaddr *from; /* NULL: not known */
} pqi_admin_asked;

typedef enum pqi_admin_admission {
    PQI_ADMIN_ADMITTED,
    PQI_ADMIN_NO_TOKEN, /* no header, several, or one of another scheme: 401 */
    PQI_ADMIN_DENIED,   /* a token that does not allow this: 403 */
} pqi_admin_admission;

/* Decides at |now| (Unix seconds); *reason is a word of pqi_cap_reason_names after DENIED.  Paths
 * that probes of load balancers ask for (/healthz, /readyz) are free.  The scheme is Bearer or
 * Macro, in any case.  A request has no payload: 0 bytes. */
pqi_admin_admission pqi_admin_auth_check(const pqi_admin_auth *auth, const pqi_admin_asked *asked,
                                         uint64_t now, const char **reason);

/* As pqi_admin_auth_check, for an answer that goes on: *grant is what the token gives, for
 * pqi_admin_auth_still, and zero where nobody was admitted by one.  Not counted once more. */
pqi_admin_admission pqi_admin_auth_grant(const pqi_admin_auth *auth, const pqi_admin_asked *asked,
                                         uint64_t now, pqi_cap_grant *grant, const char **reason);
/* False when the token has expired by |now|, or was revoked. */
bool pqi_admin_auth_still(const pqi_admin_auth *auth, const pqi_cap_grant *grant, uint64_t now);

#endif
