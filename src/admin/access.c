#include "admin/access.h"

#include <arpa/inet.h>
#include <string.h>
#include <strings.h>

/* Longest name of the DNS as text (RFC 1035 section 2.3.4), with a NUL. */
#define HOST_NAME_SIZE 256
#define OPENMETRICS_TYPE "application/openmetrics-text"
/* ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2): the IPv4 address begins here. */
#define MAPPED_OFFSET 12
#define IPV4_LOOPBACK_NET 127

bool pqi_address_loopback(const struct in6_addr *address)
{
    if (IN6_IS_ADDR_V4MAPPED(address)) {
        return address->s6_addr[MAPPED_OFFSET] == IPV4_LOOPBACK_NET;
    }
    return IN6_IS_ADDR_LOOPBACK(address);
}

bool pqi_address_any(const struct in6_addr *address)
{
    struct in6_addr any4;
    return IN6_IS_ADDR_UNSPECIFIED(address) ||
           (pqi_address_parse(&any4, "0.0.0.0") && IN6_ARE_ADDR_EQUAL(address, &any4));
}

bool pqi_address_parse(struct in6_addr *out, const char *text)
{
    struct in_addr four;
    if (inet_pton(AF_INET, text, &four) == 1) {
        memset(out, 0, sizeof(*out));
        memset(&out->s6_addr[MAPPED_OFFSET - 2], 0xff, 2);
        memcpy(&out->s6_addr[MAPPED_OFFSET], &four, sizeof(four));
        return true;
    }
    return inet_pton(AF_INET6, text, out) == 1;
}

/* "" or ":" and digits. */
static bool port_valid(const char *text)
{
    return text[0] == '\0' ||
           (text[0] == ':' && strspn(text + 1, "0123456789") == strlen(text + 1));
}

/* The host of |text| without brackets, port and final dot. */
static bool host_split(char name[HOST_NAME_SIZE], const char *text)
{
    const bool bracketed = text[0] == '[';
    const char *start = bracketed ? text + 1 : text;
    const size_t len = strcspn(start, bracketed ? "]" : ":");
    const char *rest = start + len;
    if (len == 0 || len >= HOST_NAME_SIZE || (bracketed && *rest != ']')) {
        return false;
    }
    if (!port_valid(bracketed ? rest + 1 : rest)) {
        return false;
    }
    memcpy(name, start, len);
    name[len] = '\0';
    if (name[len - 1] == '.') {
        name[len - 1] = '\0';
    }
    return true;
}

static bool address_allowed(const pqi_access *access, const struct in6_addr *address)
{
    return pqi_address_loopback(address) || pqi_address_any(&access->bound) ||
           IN6_ARE_ADDR_EQUAL(address, &access->bound);
}

bool pqi_access_host(const pqi_access *access, const char *host)
{
    char name[HOST_NAME_SIZE];
    struct in6_addr address;
    if (!host_split(name, host)) {
        return false;
    }
    if (pqi_address_parse(&address, name)) {
        return address_allowed(access, &address);
    }
    if (strcasecmp(name, "localhost") == 0) {
        return true;
    }
    for (size_t i = 0; i < access->name_count; i++) {
        if (strcasecmp(name, access->names[i]) == 0) {
            return true;
        }
    }
    return false;
}

bool pqi_access_origin(const char *origin, const char *host)
{
    static const char *const schemes[] = {"http://", "https://"};
    if (origin == NULL) {
        return true;
    }
    for (size_t i = 0; host != NULL && i < sizeof(schemes) / sizeof(schemes[0]); i++) {
        const size_t len = strlen(schemes[i]);
        if (strncasecmp(origin, schemes[i], len) == 0 && strcasecmp(origin + len, host) == 0) {
            return true;
        }
    }
    return false;
}

bool pqi_access_fetch(const char *site, const char *mode)
{
    if (site == NULL || strcmp(site, "same-origin") == 0 || strcmp(site, "none") == 0) {
        return true;
    }
    return mode != NULL && strcmp(mode, "navigate") == 0;
}

/* |params| begins with the weight of a media range, "q=0" or "q=0.000" (RFC 9110 section 12.4.2).
 */
static bool weight_is_zero(const char *params)
{
    if (strncasecmp(params, "q=0", strlen("q=0")) != 0) {
        return false;
    }
    const char *digits = params + strlen("q=");
    const char after = digits[strspn(digits, "0.")];
    return after < '1' || after > '9';
}

static bool range_refused(const char *range, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        if (range[i] == ';' && weight_is_zero(range + i + 1 + strspn(range + i + 1, " \t"))) {
            return true;
        }
    }
    return false;
}

/* The media range |type| is in the list |accept|, and not with the weight 0. */
static bool accepts(const char *accept, const char *type)
{
    const size_t type_len = strlen(type);
    for (const char *item = accept; item != NULL && *item != '\0';) {
        item += strspn(item, " \t,");
        const size_t len = strcspn(item, ",");
        if (len >= type_len && strncasecmp(item, type, type_len) == 0 &&
            strchr("; \t,", item[type_len]) != NULL) {
            return !range_refused(item, len);
        }
        item += len;
    }
    return false;
}

bool pqi_accepts_openmetrics(const char *accept)
{
    return accepts(accept, OPENMETRICS_TYPE);
}

bool pqi_accepts_html(const char *accept)
{
    return accepts(accept, "text/html");
}
