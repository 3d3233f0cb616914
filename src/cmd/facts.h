/* What this program is: its build, the libraries in it, and what a policy allows, as JSON.  The
 * same for pqlink version --json, /version and the status page. */
#ifndef PQI_CMD_FACTS_H
#define PQI_CMD_FACTS_H

#include <pqlink/policy.h>

#include <jansson.h>

/* The commit that the program was built from, as `git describe` names it ("-dirty": and changes
 * that nobody committed); "unknown" outside of a repository.  Set by main() before anything else.
 */
extern const char *pqi_build_commit;

/* AWS-LC's version, which is linked in, and ngtcp2's. */
const char *pqi_crypto_version(void);
const char *pqi_quic_version(void);

/* The JSON values below are owned by the caller; NULL without memory. */

/* {"commit":..,"compiler":..,"type":..,"flags":..,"sanitizers":..}: nothing of the time, place or
 * machine of the build. */
json_t *pqi_build_json(void);

/* Version of each library by its name; of shared ones that of the library that runs. */
json_t *pqi_dependencies_json(void);

/* What |policy| allows on QUIC, from the table that TLS is configured from:
 * {"policy":..,"dated":.., "authentication":"any" or
 * "ml-dsa","key_exchange_required":b,"groups":[..],"signatures":[..], "ciphers":[..]}, each list in
 * order of preference; |pq_authentication| leaves ML-DSA alone among the signatures. */
json_t *pqi_posture_json(pql_policy policy, bool pq_authentication);

#endif
