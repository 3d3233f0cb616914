/* Addresses as users type them: quic://HOST:PORT, and ADDRESS:PORT for the admin port. */
#ifndef PQI_NET_URL_H
#define PQI_NET_URL_H

#include "base/error.h"

#include <pqlink/policy.h>

#include <stdbool.h>
#include <stdint.h>

/* A DNS name has at most 253 characters (RFC 1035, 2.3.4, without the root dot); + NUL. */
#define PQI_HOST_SIZE 254
/* "quic://" + brackets + host + ":65535" + NUL, with room to spare. */
#define PQI_URL_SIZE (PQI_HOST_SIZE + 18)

typedef enum pqi_host_kind { PQI_HOST_NAME, PQI_HOST_IPV4, PQI_HOST_IPV6 } pqi_host_kind;

typedef struct pqi_url {
    pql_transport transport;
    pqi_host_kind host_kind;
    char host[PQI_HOST_SIZE]; /* lower case, an IPv6 address without its brackets */
    uint16_t port;            /* 0 is allowed here: a listener then picks one */
    char text[PQI_URL_SIZE];  /* the whole again, normal form, for pql_listen and pql_connect */
} pqi_url;

/* Reads "quic://HOST:PORT".  HOST is a name, an IPv4 address, or an IPv6 address in brackets
 * (RFC 3986, 3.2.2).  There is no default port, and user names, paths, queries and IPv6 zones are
 * refused.  Pure: no name is looked up.  Any bytes up to the NUL are fine as |text|.
 * PQL_E_USAGE with a sentence otherwise, and *out is zeroed. */
pql_status pqi_url_parse(pqi_url *out, const char *text, pql_error *err);

/* The protocol that a node of the miner job speaks, as the scheme of its URL says it. */
typedef enum pqi_node_scheme {
    PQI_SCHEME_QUIC,      /* quic://        our own */
    PQI_SCHEME_QUANTUS,   /* quantus://     official nodes of today, "quantus-miner/2" */
    PQI_SCHEME_QUANTUS_V1 /* quantus-v1://  official nodes before v0.10: nobody is authenticated */
} pqi_node_scheme;

/* "quantus-v1://" + brackets + host + ":65535" + NUL, with room to spare. */
#define PQI_NODE_URL_SIZE (PQI_HOST_SIZE + 24)

typedef struct pqi_node_url {
    pqi_node_scheme scheme;
    pqi_url url;                  /* where to connect, always as quic:// */
    char text[PQI_NODE_URL_SIZE]; /* normal form with its scheme and without the fragment */
    const char *fragment;         /* what stands behind '#', borrowed from the text; NULL: no '#' */
} pqi_node_url;

/* Reads "SCHEME://HOST:PORT" or "SCHEME://HOST:PORT#FRAGMENT" with one of the three schemes; the
 * fragment may be any text.  Port 0 is refused: nobody can connect to it.  Else as pqi_url_parse.
 */
pql_status pqi_node_url_parse(pqi_node_url *out, const char *text, pql_error *err);

/* "ADDRESS:PORT" without a scheme, or "off". */
typedef struct pqi_endpoint {
    bool off;
    pqi_host_kind host_kind; /* never PQI_HOST_NAME */
    char host[PQI_HOST_SIZE];
    uint16_t port;
} pqi_endpoint;

/* Reads "192.0.2.1:9834", "[::1]:9834" or "off".  Names are refused: what they stand for may
 * change, and with it who can reach the port.  Errors as pqi_url_parse. */
pql_status pqi_endpoint_parse(pqi_endpoint *out, const char *text, pql_error *err);

#endif
