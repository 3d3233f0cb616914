/* What a node speaks, and what it says to those that it does not serve. */
#include "miner/node_inside.h"

size_t pqi_node_protocols(const pqi_node_service_opts *opts, pql_alpn alpn[PQI_MINER_DIALECTS],
                          uint32_t *uncertified)
{
    size_t count = 0;
    *uncertified = 0;
    alpn[count++] = (pql_alpn){.name = pqi_miner_alpn(PQI_MINER_PQ1), .leaf = PQL_LEAF_PQ};
    if (pqi_node_serves(opts, PQI_MINER_V2)) {
        /* Its miners have no certificate, and log in with a token, always. */
        *uncertified |= UINT32_C(1) << count;
        alpn[count++] =
            (pql_alpn){.name = pqi_miner_alpn(PQI_MINER_V2), .leaf = PQL_LEAF_CLASSICAL};
    }
    if (pqi_node_serves(opts, PQI_MINER_V1)) {
        alpn[count++] =
            (pql_alpn){.name = pqi_miner_alpn(PQI_MINER_V1), .leaf = PQL_LEAF_CLASSICAL};
    }
    return count;
}

bool pqi_node_serves(const pqi_node_service_opts *opts, pqi_miner_dialect dialect)
{
    /* Official programs have neither ML-KEM nor a certificate of their own. */
    const bool classical = !pql_policy_needs_pq(opts->policy) && !opts->pq_authentication;
    switch (dialect) {
    case PQI_MINER_V2:
        return classical && (opts->tokens != NULL || opts->capabilities != NULL) &&
               (opts->clients == NULL || opts->token_required);
    case PQI_MINER_V1:
        return classical && opts->allow_v1 && opts->clients == NULL;
    default:
        return dialect == PQI_MINER_PQ1;
    }
}

static const char no_v1[] = "A miner before v4 (quantus-miner) was refused, because it sends no "
                            "token: start the node with --allow-v1, or update the miner.";
static const char no_ml_kem[] = "An official miner was refused: it has no ML-KEM, "
                                "and the policy of the node (pq-only or cnsa-2.0) requires it.";

static const char no_certificate[] =
    "An official miner was refused: the node lets in listed client "
    "certificates only (--clients), and official miners have "
    "none.";

static const char no_ml_dsa[] =
    "An official miner was refused: the node takes ML-DSA only as proof "
    "of a key (--authentication), and official miners can prove none.";

size_t pqi_node_refusals(pqi_node_service *s)
{
    const char *nobody = pql_policy_needs_pq(s->opts.policy) ? no_ml_kem
                         : s->opts.pq_authentication         ? no_ml_dsa
                         : s->opts.clients != NULL           ? no_certificate
                                                             : NULL;
    size_t count = 0;
    if (!pqi_node_serves(&s->opts, PQI_MINER_V2) && nobody != NULL) {
        s->refusals[count++] = (pql_alpn_refusal){pqi_miner_alpn(PQI_MINER_V2), nobody};
    }
    if (!pqi_node_serves(&s->opts, PQI_MINER_V1)) {
        s->refusals[count++] =
            (pql_alpn_refusal){pqi_miner_alpn(PQI_MINER_V1), nobody != NULL ? nobody : no_v1};
    }
    return count;
}
