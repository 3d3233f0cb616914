#include "caps/envelope.h"

#include "base/secret.h"

/* What no other signature of these keys begins with; the final NUL is part of it. */
static const char domain[] = "pqlink-cap-v1/sign";
/* The message: the domain, [algorithm, leg, tenant, kid, scope, nonce, [caveats]]. */
#define MESSAGE_ITEMS 7
#define MESSAGE_MAX (sizeof(domain) + 64 + PQI_CAP_BODY_MAX)

typedef enum leg { LEG_ED25519, LEG_PQ } leg;

typedef struct message {
    uint8_t bytes[MESSAGE_MAX];
    size_t len; /* 0: it did not fit */
} message;

static void write_message(message *m, const pqi_cap_token *token, leg which)
{
    const pqi_cap_envelope *e = &token->envelope;
    pqi_writer w;
    pqi_writer_init(&w, m->bytes, sizeof(m->bytes));
    pqi_write_bytes(&w, domain, sizeof(domain));
    pqi_cbor_write_array(&w, MESSAGE_ITEMS);
    pqi_cbor_write_uint(&w, e->algorithm);
    pqi_cbor_write_uint(&w, which);
    pqi_cap_write_head(&w, token);
    pqi_cbor_write_array(&w, e->minted);
    for (size_t i = 0; i < e->minted; i++) {
        pqi_write_bytes(&w, token->caveats[i].at, token->caveats[i].len);
    }
    m->len = pqi_writer_ok(&w) ? w.len : 0;
}

static size_t signature_size(pqi_cap_algorithm algorithm)
{
    return algorithm == PQI_CAP_ML_DSA_65 ? PQI_ML_DSA_65_SIGNATURE_SIZE
                                          : PQI_SLH_DSA_SIGNATURE_SIZE;
}

static pql_status sign_pq(uint8_t *out, const pqi_cap_key *key, const message *m, pql_error *err)
{
    if (key->algorithm == PQI_CAP_SLH_DSA_192S) {
        return pqi_slh_dsa_sign(out, key->pq_private, m->bytes, m->len, err);
    }
    return pqi_ml_dsa_65_sign(out, key->pq_private, m->bytes, m->len)
               ? PQL_OK
               : pqi_fail(err, PQL_E_CRYPTO, "The token could not be signed with ML-DSA-65.");
}

pql_status pqi_cap_envelope_sign(pqi_cap_token *token, const pqi_cap_key *key, uint8_t *signatures,
                                 pql_error *err)
{
    message m;
    if (key->algorithm == PQI_CAP_UNSIGNED || !key->has_private) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The key '%s' cannot sign: this file has no private signing keys for it.",
                        key->kid);
    }
    token->has_envelope = true;
    token->envelope = (pqi_cap_envelope){
        .minted = token->caveat_count,
        .algorithm = key->algorithm,
        .ed25519 = {signatures, PQI_ED25519_SIGNATURE_SIZE},
        .pq = {signatures + PQI_ED25519_SIGNATURE_SIZE, signature_size(key->algorithm)},
    };
    write_message(&m, token, LEG_ED25519);
    if (m.len == 0) {
        return pqi_fail(err, PQL_E_LIMIT, "The token is too long to be signed.");
    }
    if (!pqi_ed25519_sign(signatures, key->ed25519_private, m.bytes, m.len)) {
        return pqi_fail(err, PQL_E_CRYPTO, "The token could not be signed with Ed25519.");
    }
    write_message(&m, token, LEG_PQ);
    return sign_pq(signatures + PQI_ED25519_SIGNATURE_SIZE, key, &m, err);
}

static bool verify_pq(const pqi_cap_envelope *e, const pqi_cap_key *key, const message *m)
{
    return key->algorithm == PQI_CAP_SLH_DSA_192S
               ? pqi_slh_dsa_verify(e->pq.at, key->pq_public, m->bytes, m->len)
               : pqi_ml_dsa_65_verify(e->pq.at, key->pq_public, m->bytes, m->len);
}

bool pqi_cap_envelope_verify(const pqi_cap_token *token, const pqi_cap_key *key)
{
    const pqi_cap_envelope *e = &token->envelope;
    message m;
    if (!token->has_envelope || key->algorithm == PQI_CAP_UNSIGNED ||
        e->algorithm != (uint64_t)key->algorithm || e->ed25519.len != PQI_ED25519_SIGNATURE_SIZE ||
        e->pq.len != signature_size(key->algorithm)) {
        return false;
    }
    write_message(&m, token, LEG_ED25519);
    if (m.len == 0 || !pqi_ed25519_verify(e->ed25519.at, key->ed25519_public, m.bytes, m.len)) {
        return false;
    }
    write_message(&m, token, LEG_PQ);
    return verify_pq(e, key, &m);
}
