#include "observe/link_observer.h"

#include "base/clock.h"
#include "base/log.h"
#include "observe/link_table.h"

#include <stdatomic.h>
#include <string.h>

/* Lines about failed handshakes in a second. */
#define FAILURES_PER_SEC 10
/* A failed TLS handshake ends the connection with 0x100 + the alert (RFC 9001, 4.8). */
#define CRYPTO_ERROR UINT64_C(0x100)
#define ALERT_DECRYPT_ERROR 51            /* RFC 8446, 6.2: a signature that does not verify */
#define ALERT_NO_APPLICATION_PROTOCOL 120 /* RFC 7301, 3.2 */

static pqi_label_transport transport_of(const pql_posture *posture)
{
    switch (posture->transport) {
    case PQL_TRANSPORT_TLS:
        return PQI_TRANSPORT_TLS;
    case PQL_TRANSPORT_LP:
        return PQI_TRANSPORT_LP;
    case PQL_TRANSPORT_QUIC:
        break;
    }
    return PQI_TRANSPORT_QUIC;
}

static void count_signature(pqi_pq_metrics *m, uint16_t scheme)
{
    if (scheme != 0) {
        pqi_pq_metrics_signature(m, pqi_label_signature_of(scheme));
    }
}

static const pqi_label_downgrade downgrade_labels[] = {
    [PQL_DOWNGRADE_NONE] = PQI_DOWNGRADE_OTHER,
    [PQL_DOWNGRADE_PEER_CLASSICAL] = PQI_DOWNGRADE_PEER_GROUPS,
    [PQL_DOWNGRADE_COMPAT] = PQI_DOWNGRADE_COMPAT,
    [PQL_DOWNGRADE_RESUMED] = PQI_DOWNGRADE_RESUMED,
    [PQL_DOWNGRADE_REMEMBERED] = PQI_DOWNGRADE_REMEMBERED,
};

static void count_downgrade(pqi_pq_metrics *m, const pql_posture *posture)
{
    if (posture->downgrade != PQL_DOWNGRADE_NONE) {
        pqi_pq_metrics_downgrade(m, PQI_POSTURE_HYBRID, downgrade_labels[posture->downgrade]);
    }
}

static void count_done(pqi_pq_metrics *m, const pql_posture *posture, bool server)
{
    pqi_pq_metrics_handshake(
        m, &(pqi_handshake_done){.transport = transport_of(posture),
                                 .role = server ? PQI_ROLE_SERVER : PQI_ROLE_CLIENT,
                                 .group = pqi_label_group_of(posture->group),
                                 .resumed = posture->resumed,
                                 .duration_ns = posture->handshake_ns,
                                 .round_trips = posture->round_trips});
    if (!posture->resumed) { /* a resumed session names those of its first handshake */
        count_signature(m, posture->own_signature);
        count_signature(m, posture->peer_signature);
    }
    count_downgrade(m, posture);
}

static bool is_alert(const pql_close *why, unsigned alert)
{
    return !why->application && why->code == CRYPTO_ERROR + alert;
}

/* PQI_REJECT_COUNT: nobody was turned away; the link just did not come about. */
static pqi_label_reject reject_of(const pql_close *why, bool server)
{
    if (is_alert(why, ALERT_NO_APPLICATION_PROTOCOL)) {
        return PQI_REJECT_ALPN;
    }
    switch (why->status) {
    case PQL_E_TRUST:
        return PQI_REJECT_TRUST;
    case PQL_E_POLICY:
        return PQI_REJECT_POLICY;
    case PQL_E_PROTOCOL:
        return PQI_REJECT_PROTOCOL;
    case PQL_E_CRYPTO:
        return PQI_REJECT_HANDSHAKE;
    case PQL_E_LIMIT:
        return PQI_REJECT_ADDRESS;
    case PQL_E_TIMEOUT:
        return server ? PQI_REJECT_TIMEOUT : PQI_REJECT_COUNT;
    default:
        return server && why->code != 0 ? PQI_REJECT_HANDSHAKE : PQI_REJECT_COUNT;
    }
}

/* Strangers can make handshakes fail as fast as they like: at most FAILURES_PER_SEC lines a second
 * tell of it, and each says how many were left out before it. */
static void log_failure(const pql_link_info *link, const pql_close *failure)
{
    static atomic_uint_fast64_t second;
    static atomic_uint logged;
    static atomic_uint left_out;
    const uint64_t now = pqi_clock_monotonic() / PQI_NS_PER_SEC;
    if (atomic_exchange(&second, now) != now) {
        atomic_store(&logged, 0);
    }
    if (atomic_fetch_add(&logged, 1) >= FAILURES_PER_SEC) {
        atomic_fetch_add(&left_out, 1);
        return;
    }
    const pql_downgrade downgrade = link->posture->downgrade;
    const bool refused = downgrade == PQL_DOWNGRADE_REMEMBERED;
    pqi_log(refused ? PQI_LOG_ERROR : PQI_LOG_WARN, "link",
            refused ? "downgrade_refused" : "handshake_failed",
            PQI_STR("role", link->server ? "server" : "client"), PQI_STR("address", link->address),
            PQI_STR("status", pql_status_name(failure->status)),
            PQI_BOOL("by_peer", failure->by_peer), PQI_U64("code", failure->code),
            PQI_STR("reason", failure->reason),
            PQI_STR("downgrade_reason", pql_downgrade_name(downgrade)),
            PQI_U64("left_out", atomic_exchange(&left_out, 0)), PQI_U64("corr_id", link->id));
}

static void on_handshake(const pql_link_info *link, const pql_close *failure, void *user)
{
    pqi_link_table_handshake(pqi_pq_metrics_link_table(user), link, failure, pqi_clock_unix_ms());
    /* Clients say themselves why they have no link; that a known node turned classical is worth a
     * line of its own. */
    if (failure != NULL && (link->server || link->posture->downgrade == PQL_DOWNGRADE_REMEMBERED)) {
        log_failure(link, failure);
    }
    if (failure == NULL) {
        count_done(user, link->posture, link->server);
        return;
    }
    if (link->posture->downgrade == PQL_DOWNGRADE_REMEMBERED) {
        count_downgrade(user, link->posture);
    }
    if (is_alert(failure, ALERT_DECRYPT_ERROR) && !failure->by_peer) {
        pqi_pq_metrics_signature_failed(user, PQI_SIGFAIL_BAD_SIGNATURE);
    }
    const pqi_label_reject reason = reject_of(failure, link->server);
    if (reason != PQI_REJECT_COUNT) {
        pqi_pq_metrics_reject(user, reason);
    }
}

static void on_link_change(const pql_link_info *link, const pql_close *why, void *user)
{
    pqi_link_table_change(pqi_pq_metrics_link_table(user), link, why, pqi_clock_unix_ms());
    const pql_posture *posture = link->posture;
    const pqi_label_transport transport = transport_of(posture);
    const pqi_label_posture label = pqi_label_posture_of(pqi_label_group_of(posture->group));
    if (why != NULL) {
        pqi_pq_metrics_link_closed(user, transport, label);
        return;
    }
    pqi_pq_metrics_link_opened(user, transport, label);
    if (posture->trust == PQL_TRUST_INSECURE) {
        pqi_pq_metrics_link_insecure(user, transport);
    }
}

static void on_reject(const char *reason, void *user)
{
    static const struct {
        const char *name; /* as quic/ says it */
        pqi_label_reject label;
    } reasons[] = {
        {"draining", PQI_REJECT_DRAINING},   {"links", PQI_REJECT_CAPACITY},
        {"handshakes", PQI_REJECT_CAPACITY}, {"token", PQI_REJECT_TOKEN},
        {"initial", PQI_REJECT_PROTOCOL},    {"address", PQI_REJECT_ADDRESS},
    };
    pqi_label_reject label = PQI_REJECT_OTHER;
    for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
        if (strcmp(reason, reasons[i].name) == 0) {
            label = reasons[i].label;
        }
    }
    pqi_pq_metrics_reject(user, label);
}

static void on_strangers(uint64_t retries, uint64_t resets, uint64_t version_negotiations,
                         void *user)
{
    pqi_pq_metrics_answers(user, PQI_ANSWER_RETRY, retries);
    pqi_pq_metrics_answers(user, PQI_ANSWER_RESET, resets);
    pqi_pq_metrics_answers(user, PQI_ANSWER_VERSION, version_negotiations);
}

static void on_traffic(uint64_t bytes_in, uint64_t bytes_out, uint64_t datagrams_in,
                       uint64_t datagrams_out, void *user)
{
    pqi_pq_metrics_bytes(user, PQI_TRANSPORT_QUIC, PQI_DIRECTION_IN, bytes_in);
    pqi_pq_metrics_bytes(user, PQI_TRANSPORT_QUIC, PQI_DIRECTION_OUT, bytes_out);
    pqi_pq_metrics_datagrams(user, PQI_DIRECTION_IN, datagrams_in);
    pqi_pq_metrics_datagrams(user, PQI_DIRECTION_OUT, datagrams_out);
}

pql_observer pqi_link_observer(pqi_pq_metrics *metrics)
{
    return (pql_observer){.handshake = on_handshake,
                          .link_change = on_link_change,
                          .reject = on_reject,
                          .strangers = on_strangers,
                          .traffic = on_traffic,
                          .user = metrics};
}
