/* The hybrid signatures over a token as it was minted: Ed25519 and a post-quantum one, both of
 * which must verify.  docs/capability-tokens.md, section 6. */
#ifndef PQI_CAPS_ENVELOPE_H
#define PQI_CAPS_ENVELOPE_H

#include "caps/keys.h"

/* Signs |token| with all its caveats; |signatures| (PQI_CAP_ENVELOPE_MAX bytes, the caller's) holds
 * what token->envelope then points to.  PQL_E_IDENTITY: |key| cannot sign; PQL_E_UNSUPPORTED,
 * PQL_E_CRYPTO. */
pql_status pqi_cap_envelope_sign(pqi_cap_token *token, const pqi_cap_key *key, uint8_t *signatures,
                                 pql_error *err);

/* True when both legs are there, of the algorithm of |key|, and verify. */
bool pqi_cap_envelope_verify(const pqi_cap_token *token, const pqi_cap_key *key);

#endif
