/* What a capability token restricts: one rule is one restriction, in the scope or as a caveat, and
 * all rules of a token must hold.  There is no rule that this file does not enforce.
 * docs/capability-tokens.md, section 4.  Pure, any thread. */
#ifndef PQI_CAPS_RULES_H
#define PQI_CAPS_RULES_H

#include "base/error.h"
#include "caps/cbor.h"

#include <netinet/in.h>

/* Longest name of a tenant, key or audience: 1 to so many of a-z A-Z 0-9 . _ - */
#define PQI_CAP_NAME_MAX 32
#define PQI_CAP_PATH_MAX 256
#define PQI_CAP_METHOD_MAX 16   /* letters A-Z of a method */
#define PQI_CAP_METHODS_MAX 16  /* of one rule */
#define PQI_CAP_SKEW_DEFAULT 60 /* seconds that two clocks may be apart */
#define PQI_CAP_SKEW_MAX 3600

/* The closed list of what a verification can come to. */
typedef enum pqi_cap_reason {
    PQI_CAP_ALLOWED,
    PQI_CAP_PARSE,       /* it is no token */
    PQI_CAP_SIZE,        /* too long, or too many caveats */
    PQI_CAP_UNKNOWN_KID, /* no such key */
    PQI_CAP_MAC,         /* made or changed by somebody who has not the key */
    PQI_CAP_REVOKED,     /* its number stands in the list */
    PQI_CAP_SIGNATURE,   /* missing though wanted, incomplete, wrong, or nobody can check it */
    PQI_CAP_TENANT,      /* of another tenant than the key or the request */
    PQI_CAP_EXPIRED,
    PQI_CAP_NOT_YET,
    PQI_CAP_AUDIENCE, /* for another service */
    PQI_CAP_METHOD,
    PQI_CAP_PATH,
    PQI_CAP_BYTES,
    PQI_CAP_ADDRESS,
    PQI_CAP_UNKNOWN_CAVEAT,
    PQI_CAP_REASON_COUNT
} pqi_cap_reason;

/* "allowed", "parse", "unknown_kid"... for metrics, logs and answers. */
extern const char *const pqi_cap_reason_names[PQI_CAP_REASON_COUNT];

/* Numbers on the wire; never given to anything else. */
typedef enum pqi_cap_rule_type {
    PQI_CAP_RULE_AUDIENCE = 0,
    PQI_CAP_RULE_METHODS = 1,
    PQI_CAP_RULE_PATH = 2,
    PQI_CAP_RULE_BYTES = 3,
    PQI_CAP_RULE_ADDRESS = 4,
    PQI_CAP_RULE_NOT_BEFORE = 5,
    PQI_CAP_RULE_EXPIRES = 6,
    PQI_CAP_RULE_COUNT
} pqi_cap_rule_type;

/* One rule.  Which members count depends on the type; spans are borrowed. */
typedef struct pqi_cap_rule {
    uint64_t type;                         /* PQI_CAP_RULE_COUNT or more: unknown */
    uint64_t number;                       /* bytes; Unix seconds; length of the prefix in bits */
    pqi_span text;                         /* audience, path */
    pqi_span methods[PQI_CAP_METHODS_MAX]; /* rising, none twice */
    size_t method_count;
    pqi_span address; /* 4 or 16 bytes */
} pqi_cap_rule;

/* The facts of a request.  What a rule restricts and the request does not say is denied. */
typedef struct pqi_cap_request {
    const char *audience; /* who asks us to verify: "miner", "admin", "rpc", "gateway" */
    const char *tenant;   /* that the request is for; NULL: whichever tenant the key belongs to */
    const char *method;   /* NULL: it has none */
    const char *path;     /* without a query; NULL: it has none */
    bool has_bytes;
    uint64_t bytes;                 /* of its payload */
    const struct in6_addr *address; /* of who asks, IPv4 as ::ffff:a.b.c.d; NULL: not known */
} pqi_cap_request;

bool pqi_cap_name_ok(const char *name, size_t len);
/* True for "/" and for segments behind a '/' each, without an empty one, "." and "..", '%', '?',
 * '#', a backslash, or a '/' at the end: the only form in which paths are compared. */
bool pqi_cap_path_ok(const char *path, size_t len);

/* Reads the value of a rule of |type| (below PQI_CAP_RULE_COUNT), or passes over an unknown one.
 * Fails the reader when it is not as pqi_cap_rule_check wants it. */
void pqi_cap_rule_read(pqi_reader *r, uint64_t type, pqi_cap_rule *rule);
/* True when every member is within its bounds and in its one form. */
bool pqi_cap_rule_check(const pqi_cap_rule *rule);
/* Writes type and value, the pair that stands in a caveat and in a scope. */
void pqi_cap_rule_write(pqi_writer *w, const pqi_cap_rule *rule);

/* PQI_CAP_ALLOWED when |request| at |now| (Unix seconds) keeps the rule, else why not. */
pqi_cap_reason pqi_cap_rule_judge(const pqi_cap_rule *rule, const pqi_cap_request *request,
                                  uint64_t now, uint64_t skew);

/* Reads "GET,HEAD" into |rule|, sorted, pointing into |text|.  False when it is no such list. */
bool pqi_cap_methods_parse(pqi_cap_rule *rule, const char *text);
/* Reads ADDRESS or ADDRESS/BITS into |rule|; |bytes| keeps the address.  False when it is none, or
 * when bits behind the prefix are set. */
bool pqi_cap_cidr_parse(pqi_cap_rule *rule, uint8_t bytes[16], const char *text);

#endif
