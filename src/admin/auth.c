#include "admin/auth.h"

#include <string.h>
#include <strings.h>

/* ::ffff:a.b.c.d (RFC 4291, section 2.5.5.2): the IPv4 address begins at 12. */
#define MAPPED_OFFSET 12
#define MAPPED_ONES 2

static bool is_free(const char *path)
{
    return strcmp(path, "/healthz") == 0 || strcmp(path, "/readyz") == 0;
}

/* What stands behind the scheme (RFC 9110, section 11.4); NULL when it is another one. */
static const char *token_of(const char *authorization)
{
    static const char *const schemes[] = {"Bearer", "Macro"};
    for (size_t i = 0; authorization != NULL && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const size_t len = strlen(schemes[i]);
        if (strncasecmp(authorization, schemes[i], len) == 0 && authorization[len] == ' ') {
            return authorization + len + strspn(authorization + len, " ");
        }
    }
    return NULL;
}

/* False when it is of no kind that we know. */
static bool address_of(struct in6_addr *out, const struct sockaddr *from)
{
    struct sockaddr_in four;
    struct sockaddr_in6 six;
    if (from != NULL && from->sa_family == AF_INET6) {
        memcpy(&six, from, sizeof(six));
        *out = six.sin6_addr;
        return true;
    }
    if (from == NULL || from->sa_family != AF_INET) {
        return false;
    }
    memcpy(&four, from, sizeof(four));
    memset(out, 0, sizeof(*out));
    memset(out->s6_addr + MAPPED_OFFSET - MAPPED_ONES, UINT8_MAX, MAPPED_ONES);
    memcpy(out->s6_addr + MAPPED_OFFSET, &four.sin_addr, sizeof(four.sin_addr));
    return true;
}

static pqi_admin_admission check(const pqi_admin_auth *auth, const pqi_admin_asked *asked,
                                 uint64_t now, pqi_cap_grant *grant, const char **reason)
{
    struct in6_addr address;
    pqi_cap_verdict verdict;
    *reason = NULL;
    *grant = (pqi_cap_grant){0};
    if (is_free(asked->path)) {
        return PQI_ADMIN_ADMITTED;
    }
    const char *token = asked->authorizations == 1 ? token_of(asked->authorization) : NULL;
    if (token == NULL) {
        return PQI_ADMIN_NO_TOKEN;
    }
    const pqi_cap_request request = {.audience = PQI_ADMIN_AUDIENCE,
                                     .method = asked->method,
                                     .path = asked->path,
                                     .has_bytes = true,
                                     .address =
                                         address_of(&address, asked->from) ? &address : NULL};
    const bool allowed =
        pqi_cap_keyring_verify(auth->keys, token, strlen(token), &request, now, &verdict);
    pqi_cap_metrics_verified(auth->metrics, verdict.reason);
    *reason = pqi_cap_reason_names[verdict.reason];
    *grant = verdict.grant;
    return allowed ? PQI_ADMIN_ADMITTED : PQI_ADMIN_DENIED;
}

pqi_admin_admission pqi_admin_auth_check(const pqi_admin_auth *auth, const pqi_admin_asked *asked,
                                         uint64_t now, const char **reason)
{
    pqi_cap_grant grant;
    return check(auth, asked, now, &grant, reason);
}

pqi_admin_admission pqi_admin_auth_grant(const pqi_admin_auth *auth, const pqi_admin_asked *asked,
                                         uint64_t now, pqi_cap_grant *grant, const char **reason)
{
    const pqi_admin_auth uncounted = {.keys = auth->keys};
    return check(&uncounted, asked, now, grant, reason);
}

bool pqi_admin_auth_still(const pqi_admin_auth *auth, const pqi_cap_grant *grant, uint64_t now)
{
    return pqi_cap_keyring_recheck(auth->keys, grant, now) == PQI_CAP_ALLOWED;
}
