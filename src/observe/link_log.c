#include "observe/link_log.h"

#include "base/clock.h"
#include "base/log.h"
#include "observe/pq_metrics.h"

#include <stdatomic.h>

#define SERVICE "link"

/* Lines of one kind in the present second.  Threads may be wrong by a line around its turn. */
typedef struct quota {
    atomic_uint_fast64_t second;
    atomic_uint said;
    atomic_uint left_out;
} quota;

/* A downgrade is never left out because of the lines of handshakes that are as they should be, and
 * one that was refused never because of other failures, which any stranger can cause. */
static quota starts, handshakes, downgrades, failures, refusals, closings;

static bool may_say(quota *q, unsigned per_second, uint64_t *left_out)
{
    const uint64_t now = pqi_clock_monotonic() / PQI_NS_PER_SEC;
    if (atomic_exchange(&q->second, now) != now) {
        atomic_store(&q->said, 0);
    }
    if (atomic_fetch_add(&q->said, 1) >= per_second) {
        atomic_fetch_add(&q->left_out, 1);
        return false;
    }
    *left_out = atomic_exchange(&q->left_out, 0);
    return true;
}

static const char *role_of(const pql_link_info *link)
{
    return link->server ? "server" : "client";
}

/* The words of the configuration, for what the session is. */
static const char *pq_of(const pql_posture *posture)
{
    switch (pqi_label_posture_of(pqi_label_group_of(posture->group))) {
    case PQI_POSTURE_HYBRID:
        return "hybrid";
    case PQI_POSTURE_PQ:
        return "pq-only";
    default:
        return "off";
    }
}

/* The words of the configuration, for what the peer has shown that it can. */
static const char *peer_mode_of(const pql_posture *posture)
{
    bool pq = false;
    bool classical = (posture->peer_groups & PQL_OFFER_OTHER) != 0;
    for (unsigned i = 0; i < PQL_GROUP_COUNT; i++) {
        if ((posture->peer_groups & PQL_OFFER_BIT(i)) != 0) {
            *(pql_group_is_pq(pql_group_at(i)) ? &pq : &classical) = true;
        }
    }
    if (pq || classical) {
        return pq && classical ? "hybrid" : pq ? "pq-only" : "off";
    }
    if (posture->pq_key_exchange) {
        return "hybrid";
    }
    return posture->downgrade == PQL_DOWNGRADE_PEER_CLASSICAL ||
                   posture->downgrade == PQL_DOWNGRADE_COMPAT
               ? "off"
               : "unknown";
}

/* What the peer proved its key with; where a server asks for no certificate, what it did itself. */
static uint16_t signature_of(const pql_posture *posture)
{
    return posture->peer_signature != 0 ? posture->peer_signature : posture->own_signature;
}

static double ms(uint64_t ns)
{
    return (double)ns / (double)PQI_NS_PER_MS;
}

void pqi_link_log_start(const pql_link_info *link)
{
    uint64_t left_out = 0;
    if (!pqi_log_enabled(PQI_LOG_DEBUG) || !may_say(&starts, PQI_LINK_LINES_PER_SEC, &left_out)) {
        return;
    }
    pqi_log(PQI_LOG_DEBUG, SERVICE, link->server ? "accepted" : "connecting",
            PQI_STR("role", role_of(link)), PQI_STR("address", link->address),
            PQI_U64("left_out", left_out), PQI_CORR(link->id));
}

void pqi_link_log_handshake(const pql_link_info *link)
{
    static const char *const transports[] = {
        [PQL_TRANSPORT_QUIC] = "quic", [PQL_TRANSPORT_TLS] = "tls", [PQL_TRANSPORT_LP] = "lp"};
    const pql_posture *p = link->posture;
    const bool weaker = p->downgrade != PQL_DOWNGRADE_NONE;
    const pqi_log_level level = weaker ? PQI_LOG_WARN : PQI_LOG_INFO;
    uint64_t left_out = 0;
    if (!pqi_log_enabled(level) ||
        !may_say(weaker ? &downgrades : &handshakes, PQI_LINK_LINES_PER_SEC, &left_out)) {
        return;
    }
    const pqi_label_group group = pqi_label_group_of(p->group);
    pqi_log(level, SERVICE, "handshake", PQI_STR("role", role_of(link)),
            PQI_STR("address", link->address), PQI_STR("transport", transports[p->transport]),
            PQI_STR("alpn", link->alpn), PQI_STR("pq", pq_of(p)),
            PQI_STR("algo", pqi_kex_class_names[pqi_label_kex_class_of(group)]),
            PQI_STR("group", pql_group_name(p->group)),
            PQI_STR("signature", pql_signature_name(signature_of(p))),
            PQI_STR("cipher", pql_cipher_name(p->cipher)),
            PQI_STR("trust", pql_trust_name(p->trust)),
            PQI_BOOL("pq_authentication", p->pq_authentication), PQI_BOOL("resumed", p->resumed),
            PQI_U64("round_trips", p->round_trips), PQI_STR("peer_mode", peer_mode_of(p)),
            PQI_STR("downgrade_reason", pql_downgrade_name(p->downgrade)),
            PQI_F64("latency_ms", ms(p->handshake_ns)), PQI_U64("left_out", left_out),
            PQI_CORR(link->id));
}

void pqi_link_log_failure(const pql_link_info *link, const pql_close *failure)
{
    uint64_t left_out = 0;
    /* A peer that had ML-KEM and now has not: somebody in between, or one that went back. */
    const pql_downgrade downgrade = link->posture->downgrade;
    const bool refused = downgrade == PQL_DOWNGRADE_REMEMBERED;
    if (!(refused ? may_say(&refusals, PQI_LINK_LINES_PER_SEC, &left_out)
                  : may_say(&failures, PQI_LINK_FAILURES_PER_SEC, &left_out))) {
        return;
    }
    pqi_log(
        refused ? PQI_LOG_ERROR : PQI_LOG_WARN, SERVICE,
        refused ? "downgrade_refused" : "handshake_failed", PQI_STR("role", role_of(link)),
        PQI_STR("address", link->address), PQI_STR("peer_mode", peer_mode_of(link->posture)),
        PQI_STR("status", pql_status_name(failure->status)), PQI_BOOL("by_peer", failure->by_peer),
        PQI_U64("code", failure->code), PQI_STR("reason", failure->reason),
        PQI_STR("downgrade_reason", pql_downgrade_name(downgrade)),
        PQI_F64("latency_ms", ms(link->age_ns)), PQI_U64("left_out", left_out), PQI_CORR(link->id));
}

void pqi_link_log_closed(const pql_link_info *link, const pql_close *why)
{
    uint64_t left_out = 0;
    if (!pqi_log_enabled(PQI_LOG_INFO) || !may_say(&closings, PQI_LINK_LINES_PER_SEC, &left_out)) {
        return;
    }
    pqi_log(PQI_LOG_INFO, SERVICE, "link_closed", PQI_STR("role", role_of(link)),
            PQI_STR("address", link->address), PQI_STR("status", pql_status_name(why->status)),
            PQI_BOOL("by_peer", why->by_peer), PQI_U64("code", why->code),
            PQI_STR("reason", why->reason), PQI_F64("duration_ms", ms(link->age_ns)),
            PQI_U64("bytes_in", link->bytes_in), PQI_U64("bytes_out", link->bytes_out),
            PQI_U64("left_out", left_out), PQI_CORR(link->id));
}
