/* What a context remembers of the servers that its links went to: the newest address token of
 * each (RFC 9000, 8.1.3), and whether it needs more copies of the first flight than others.
 *
 * Servers are told apart by the name and port that were dialled.  PQI_SERVERS_MAX of them; one more
 * makes the one that was asked for longest ago go.  A token is handed out once: two connections
 * that showed the same token would be seen to come from one client by whoever watches.  Nothing is
 * written to disk.  All functions from any thread. */
#ifndef PQI_LINK_SERVERS_H
#define PQI_LINK_SERVERS_H

#include "quic/endpoint.h"

#define PQI_SERVERS_MAX 1024

typedef struct pqi_servers pqi_servers;

/* NULL when memory could not be had; every function below then does nothing. */
pqi_servers *pqi_servers_new(void);
/* Wipes and frees.  NULL is a no-op. */
void pqi_servers_free(pqi_servers *servers);

/* Remembers a token of 1 to PQI_QUIC_TOKEN_MAX bytes, in place of an older one. */
void pqi_servers_keep_token(pqi_servers *servers, const char *host_port, const uint8_t *token,
                            size_t len);
/* Takes the token out; 0 when there is none. */
size_t pqi_servers_take_token(pqi_servers *servers, const char *host_port,
                              uint8_t out[PQI_QUIC_TOKEN_MAX]);
/* |copies| of the first flight were not enough. */
void pqi_servers_held_up(pqi_servers *servers, const char *host_port, unsigned copies);
/* Copies that the server is known to need at least; 0: nothing is known. */
unsigned pqi_servers_copies(pqi_servers *servers, const char *host_port);

#endif
