/* The file of --clients: whose miners may connect.
 *
 * One fingerprint a line, as 'pqlink fingerprint' prints it on the miner; what follows it after
 * white space, and lines that start with '#', are for people.  At most PQL_CLIENT_PINS_MAX of them,
 * in at most PQI_CLIENTS_FILE_MAX bytes. */
#ifndef PQI_CMD_NODE_CLIENTS_H
#define PQI_CMD_NODE_CLIENTS_H

#include "cmd/changes.h"

#include <pqlink/link.h>

#define PQI_CLIENTS_FILE_MAX ((size_t)16 << 20)

/* All zero: there is no such file, and no certificate is asked for. */
typedef struct pqi_node_clients {
    const char *path;      /* borrowed */
    pql_fingerprint *pins; /* owned */
    pql_peer peer;
} pqi_node_clients;

/* Reads the fingerprints of |text| (|len| bytes, not changed; NUL-terminated) into *pins (owned by
 * the caller, free) and *count.  |path| is for the sentence.  PQL_E_USAGE, with the number of the
 * line: something else than a fingerprint, too many of them, or none. */
pql_status pqi_node_clients_parse(const char *path, const char *text, size_t len,
                                  pql_fingerprint **pins, size_t *count, pql_error *err);

/* |path| may be NULL.  PQL_E_USAGE, PQL_E_IO, PQL_E_NOT_FOUND, PQL_E_NOMEM. */
pql_status pqi_node_clients_open(pqi_node_clients *clients, const char *path, pql_error *err);
void pqi_node_clients_close(pqi_node_clients *clients);

/* For pql_listen_opts.clients. */
const pql_peer *pqi_node_clients_peer(const pqi_node_clients *clients);

/* |fresh|, opened from the same path, takes the place of |clients| and is zero then; |changes| gets
 * what is different.  The listeners must have been given |fresh| before. */
void pqi_node_clients_take(pqi_node_clients *clients, pqi_node_clients *fresh,
                           pqi_changes *changes);

#endif
