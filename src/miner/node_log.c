/* What the node says of single links. */
#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"
#include "miner/node_inside.h"

static bool may_log(pqi_node_service *s, uint64_t *left_out)
{
    const uint64_t second = pqi_clock_monotonic() / PQI_NS_PER_SEC;
    if (atomic_exchange(&s->lines_second, second) != second) {
        atomic_store(&s->lines, 0);
    }
    if (atomic_fetch_add(&s->lines, 1) >= PQI_NODE_LINES_PER_SEC) {
        atomic_fetch_add(&s->lines_left_out, 1);
        return false;
    }
    *left_out = atomic_exchange(&s->lines_left_out, 0);
    return true;
}

void pqi_node_log_open(const pqi_node_link *miner)
{
    pql_fingerprint shown;
    char certificate[PQL_FINGERPRINT_SIZE] = "";
    uint64_t left_out = 0;
    if (!may_log(miner->service, &left_out)) {
        return;
    }
    if (pql_link_peer_fingerprint(miner->link, PQL_FINGERPRINT_CERT, &shown)) {
        pql_fingerprint_format(&shown, certificate);
    }
    pqi_log(PQI_LOG_INFO, PQI_NODE_SERVICE, "link_open", PQI_STR("miner", miner->name),
            PQI_STR("token", miner->grant.token), PQI_STR("agent", miner->agent),
            PQI_STR("certificate", certificate), PQI_STR("address", miner->address),
            PQI_STR("alpn", pql_link_alpn(miner->link)), PQI_U64("left_out", left_out),
            PQI_CORR(pql_link_id(miner->link)));
}

void pqi_node_log_closed(const pqi_node_link *miner, const pql_close *why)
{
    uint64_t left_out = 0;
    if (miner->listed ? !may_log(miner->service, &left_out) : !pqi_log_enabled(PQI_LOG_DEBUG)) {
        return;
    }
    pqi_log(miner->listed ? PQI_LOG_INFO : PQI_LOG_DEBUG, PQI_NODE_SERVICE, "miner_gone",
            PQI_STR("miner", miner->name), PQI_STR("address", miner->address),
            PQI_STR("alpn", pqi_miner_alpn(miner->dialect)),
            PQI_STR("status", pql_status_name(why->status)), PQI_BOOL("by_peer", why->by_peer),
            PQI_U64("code", why->code), PQI_STR("reason", why->reason),
            PQI_U64("left_out", left_out), PQI_CORR(pql_link_id(miner->link)));
}

void pqi_node_log_refused(pqi_node_service *s, const pql_link *link, const char *reason)
{
    uint64_t left_out = 0;
    if (may_log(s, &left_out)) {
        pqi_log(PQI_LOG_WARN, PQI_NODE_SERVICE, "link_refused",
                PQI_STR("address", pql_link_peer_address(link)),
                PQI_STR("alpn", pql_link_alpn(link)), PQI_STR("reason", reason),
                PQI_U64("left_out", left_out), PQI_CORR(pql_link_id(link)));
    }
}

void pqi_node_log_block(const pqi_node_link *miner, const pqi_source_block *block)
{
    char hash[2 * PQI_JOB_HASH_SIZE + 1];
    pqi_hex_encode(hash, block->hash, sizeof(block->hash));
    pqi_log(PQI_LOG_INFO, PQI_NODE_SERVICE, "block_accepted", PQI_U64("height", block->height),
            PQI_STR("hash", hash), PQI_STR("miner", miner->name),
            PQI_CORR(pql_link_id(miner->link)));
}
