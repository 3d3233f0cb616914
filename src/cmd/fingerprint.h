/* What keygen and fingerprint print, and the remote half of fingerprint. */
#ifndef PQI_CMD_FINGERPRINT_H
#define PQI_CMD_FINGERPRINT_H

#include "cmd/remote.h"

#include <pqlink/identity.h>

#include <jansson.h>

/* Prints both forms of the fingerprints of both leaves to standard output, one per line as
 * "ALGORITHM FINGERPRINT", the post-quantum leaf first; or as one JSON object.
 * PQL_E_NOMEM when the JSON cannot be made. */
pql_status pqi_fingerprint_print_identity(const pql_identity *id, bool json, pql_error *err);

/* The fingerprints of both leaves as one JSON object, {"pq":{"algorithm":..., "certificate":...,
 * "key":...},"classical":{...}}; NULL without memory.  Owned by the caller. */
json_t *pqi_fingerprint_json(const pql_identity *id);

/* Prints the two lines of one leaf, each after |prefix|. */
void pqi_fingerprint_print_leaf(const char *prefix, const pql_identity *id, pql_leaf leaf);

/* Prints |root|, which it frees, as one line.  PQL_E_NOMEM when it is NULL. */
pql_status pqi_fingerprint_print_json(json_t *root, pql_error *err);

/* Prints what pqi_remote_look found at |url|, in the same form; the JSON object also has "remote"
 * and "authenticated":false. */
pql_status pqi_fingerprint_print_remote(const pqi_remote *remote, const pqi_url *url, bool json,
                                        pql_error *err);

#endif
