/* What keygen and fingerprint print, and the remote half of fingerprint. */
#ifndef PQI_CMD_FINGERPRINT_H
#define PQI_CMD_FINGERPRINT_H

#include "net/url.h"

#include <pqlink/identity.h>

/* Prints both forms of the fingerprints of both leaves to standard output, one per line as
 * "ALGORITHM FINGERPRINT", the post-quantum leaf first; or as one JSON object.
 * PQL_E_NOMEM when the JSON cannot be made. */
pql_status pqi_fingerprint_print_identity(const pql_identity *id, bool json, pql_error *err);

#endif
