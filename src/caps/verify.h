/* Verifying a capability token: one call that checks everything there is to check.
 * docs/capability-tokens.md, section 8. */
#ifndef PQI_CAPS_VERIFY_H
#define PQI_CAPS_VERIFY_H

#include "caps/keys.h"

/* What a verifier is set to. */
typedef struct pqi_cap_policy {
    uint64_t skew;          /* seconds that its clock and the minter's may be apart */
    bool require_signature; /* of every token; a key can ask for it too */
} pqi_cap_policy;

/* A token that was let in, to ask later whether it still would be.  Nothing in it is secret. */
typedef struct pqi_cap_grant {
    char tenant[PQI_CAP_NAME_MAX + 1];
    char kid[PQI_CAP_NAME_MAX + 1];
    uint8_t nonce[PQI_CAP_NONCE_SIZE];
    uint8_t key_digest[PQI_SHA256_SIZE]; /* of the root key: another key may get the same kid */
    uint64_t ends;                       /* Unix seconds from which it is expired, with skew;
                                            UINT64_MAX: never */
    bool is_signed;                      /* the envelope was there, and verified */
} pqi_cap_grant;

typedef struct pqi_cap_verdict {
    pqi_cap_reason reason;
    pqi_cap_grant grant; /* zero unless the reason is PQI_CAP_ALLOWED */
} pqi_cap_verdict;

/* Verifies |len| characters of |text| for |request| at |now| (Unix seconds).  True exactly when
 * verdict->reason is PQI_CAP_ALLOWED.  The checks, in this order: length, form and number of
 * caveats; key; MAC (in constant time); tenant; revocation; signatures; scope and caveats in their
 * order.  The first that fails is the reason.  Any thread while nobody changes |keys|. */
bool pqi_cap_verify(const char *text, size_t len, const pqi_cap_keys *keys,
                    const pqi_cap_policy *policy, const pqi_cap_request *request, uint64_t now,
                    pqi_cap_verdict *verdict);

/* PQI_CAP_ALLOWED while key and token are what they were, else why not any more. */
pqi_cap_reason pqi_cap_recheck(const pqi_cap_grant *grant, const pqi_cap_keys *keys, uint64_t now);

#endif
