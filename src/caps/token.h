/* The bytes of a capability token: docs/capability-tokens.md, sections 2 and 3.
 *
 * Reading is strict: one token has one text, and nothing else is a token.  It checks form and
 * bounds only; who may do what is for caps/verify.h.  Pure but for memory. */
#ifndef PQI_CAPS_TOKEN_H
#define PQI_CAPS_TOKEN_H

#include "caps/base64url.h"
#include "caps/rules.h"
#include "crypto/hash.h"

#define PQI_CAP_PREFIX "pqcap1."
#define PQI_CAP_PREFIX_LEN (sizeof(PQI_CAP_PREFIX) - 1)
#define PQI_CAP_NONCE_SIZE 16
#define PQI_CAP_MAC_SIZE PQI_SHA256_SIZE
#define PQI_CAP_CAVEATS_MAX 64
/* Bytes of a token without its envelope, of the envelope, and of both. */
#define PQI_CAP_BODY_MAX 4096
#define PQI_CAP_ENVELOPE_MAX 16384
#define PQI_CAP_DECODED_MAX (PQI_CAP_BODY_MAX + PQI_CAP_ENVELOPE_MAX)
#define PQI_CAP_TEXT_MAX (PQI_CAP_PREFIX_LEN + PQI_BASE64URL_LEN(PQI_CAP_DECODED_MAX))

/* Numbers on the wire. */
typedef enum pqi_cap_algorithm {
    PQI_CAP_ML_DSA_65 = 0,    /* Ed25519 and ML-DSA-65 */
    PQI_CAP_SLH_DSA_192S = 1, /* Ed25519 and SLH-DSA-SHA2-192s */
    PQI_CAP_UNSIGNED          /* never on the wire */
} pqi_cap_algorithm;

/* The signatures over a token as it was minted. */
typedef struct pqi_cap_envelope {
    size_t minted;      /* caveats that they are over: the first so many */
    uint64_t algorithm; /* pqi_cap_algorithm, or one that we do not know */
    pqi_span ed25519;   /* len 0: the leg is missing */
    pqi_span pq;        /* the same */
} pqi_cap_envelope;

/* A token in parts; all spans point into |data|. */
typedef struct pqi_cap_token {
    uint8_t *data; /* owned */
    size_t len;
    pqi_span tenant; /* texts */
    pqi_span kid;
    pqi_span scope;                        /* encoded map */
    pqi_span nonce;                        /* PQI_CAP_NONCE_SIZE bytes */
    pqi_span caveats[PQI_CAP_CAVEATS_MAX]; /* each encoded */
    size_t caveat_count;
    pqi_span mac; /* PQI_CAP_MAC_SIZE bytes */
    bool has_envelope;
    pqi_cap_envelope envelope;
} pqi_cap_token;

/* True when |text| claims to be one. */
bool pqi_cap_is_token(const char *text);

/* Reads |len| characters.  PQI_CAP_ALLOWED: *out is to be freed; PQI_CAP_PARSE or PQI_CAP_SIZE:
 * *out is empty.  Allocates what the text decodes to, once the length is known to be allowed. */
pqi_cap_reason pqi_cap_token_read(pqi_cap_token *out, const char *text, size_t len);
/* Wipes and frees.  An empty one is a no-op. */
void pqi_cap_token_free(pqi_cap_token *token);

/* A loop over rules: those of the scope, then the caveats.  Start with all zero; false at the end.
 * |token| was read, so that there is nothing that could fail. */
typedef struct pqi_cap_rules {
    size_t scope_at;
    size_t scope_left;
    size_t next; /* caveat; beyond the first call */
    bool begun;
} pqi_cap_rules;
bool pqi_cap_rules_next(const pqi_cap_token *token, pqi_cap_rules *at, pqi_cap_rule *rule);

/* The pieces that MAC and signatures are over, in bytes:
 * [tenant, kid, scope, nonce], the first with items in front of it and after it. */
void pqi_cap_write_head(pqi_writer *w, const pqi_cap_token *token);

/* Writes the whole text of |token|, whose spans may point anywhere, and a NUL: *text is to be freed
 * with pqi_secret_free(*text, strlen(*text)).  PQL_E_LIMIT when it is over a bound; PQL_E_NOMEM. */
pql_status pqi_cap_token_write(char **text, const pqi_cap_token *token, pql_error *err);

#endif
