/* Who may ask the admin port: the defence against web pages that reach it through a browser.
 *
 * A page of a foreign site can make a browser on this machine send requests to a loopback port.
 * With DNS rebinding (its own name resolving to 127.0.0.1) it could even read the answers.  Such a
 * request carries the page's name in Host or Origin, so both must be ours.  An address literal in
 * Host cannot be rebound. */
#ifndef PQI_ADMIN_ACCESS_H
#define PQI_ADMIN_ACCESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct pqi_access {
    struct in6_addr bound;    /* the address that we listen on; IPv4 as ::ffff:a.b.c.d */
    const char *const *names; /* host names allowed besides localhost; borrowed */
    size_t name_count;
} pqi_access;

/* True for 127.0.0.0/8 and ::1. */
bool pqi_address_loopback(const struct in6_addr *address);
/* True for 0.0.0.0 and ::, which stand for every address of the machine. */
bool pqi_address_any(const struct in6_addr *address);
/* Reads an IPv4 or IPv6 literal without brackets; IPv4 becomes ::ffff:a.b.c.d. */
bool pqi_address_parse(struct in6_addr *out, const char *text);

/* |host| is a Host header, `name`, `a.b.c.d` or `[v6]`, with or without `:port`.  Allowed are
 * localhost, loopback literals, the bound address (any literal when bound to all of them), and the
 * names of the list.  The port may differ (a forwarded port has another number). */
bool pqi_access_host(const pqi_access *access, const char *host);

/* |origin| is the Origin header or NULL; allowed when absent or the same origin as |host|. */
bool pqi_access_origin(const char *origin, const char *host);

/* |site| and |mode| are Sec-Fetch-Site and Sec-Fetch-Mode or NULL.  False for what a page of
 * another origin fetches; following a link to us is allowed. */
bool pqi_access_fetch(const char *site, const char *mode);

/* True when the Accept header |accept| (may be NULL) names OpenMetrics and does not refuse it with
 * q=0. */
bool pqi_accepts_openmetrics(const char *accept);

/* True when the header Accept asks for HTML by name, as browsers do; NULL: it does not. */
bool pqi_accepts_html(const char *accept);

#endif
