/* Making tokens: minting with a root key, and narrowing what one holds without any key.
 * docs/capability-tokens.md, section 5. */
#ifndef PQI_CAPS_MINT_H
#define PQI_CAPS_MINT_H

#include "caps/keys.h"

/* What a new token is for.  |rules|: those that a scope may have go there, each
 * once at most; the others become caveats.  One must be the audience. */
typedef struct pqi_cap_mint {
    const pqi_cap_rule *rules;
    size_t count;
    bool sign;                         /* with the envelope */
    uint8_t nonce[PQI_CAP_NONCE_SIZE]; /* random, new for each token: its number */
} pqi_cap_mint;

/* *text: the token, to be freed with pqi_secret_free(*text, strlen(*text)).  PQL_E_USAGE: rules
 * that are no rules; PQL_E_LIMIT; PQL_E_IDENTITY, PQL_E_UNSUPPORTED, PQL_E_CRYPTO of signing;
 * PQL_E_NOMEM. */
pql_status pqi_cap_mint_token(char **text, const pqi_cap_key *key, const pqi_cap_mint *mint,
                              pql_error *err);

/* A narrower token: |rules| become further caveats of |text|.  PQL_E_USAGE: it is no token, or a
 * rule is none; else as above.  Nothing shows whether the token is a good one: that takes a key. */
pql_status pqi_cap_attenuate(char **out, const char *text, const pqi_cap_rule *rules, size_t count,
                             pql_error *err);

/* The chain (section 5): |out| of |key| (PQI_CAP_MAC_SIZE bytes) over |token| and its caveats.
 * False without memory. */
bool pqi_cap_chain(uint8_t out[PQI_CAP_MAC_SIZE], const uint8_t key[PQI_CAP_ROOT_SIZE],
                   const pqi_cap_token *token);

#endif
