#include "observe/link_observer.h"

#include "base/clock.h"
#include "observe/link_log.h"
#include "observe/link_table.h"

#include <string.h>

/* A failed TLS handshake ends the connection with 0x100 + the alert (RFC 9001, 4.8). */
#define CRYPTO_ERROR UINT64_C(0x100)
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

/* A resumed session has no signatures; its posture shows those of the first one. */
static void count_signature(pqi_pq_metrics *m, pqi_label_crypto_op op, uint16_t scheme,
                            uint64_t duration_ns)
{
    if (scheme != 0) {
        const pqi_label_signature algo = pqi_label_signature_of(scheme);
        pqi_pq_metrics_signature(m, op, algo);
        if (duration_ns != 0) {
            pqi_pq_metrics_signature_time(m, op, algo, duration_ns);
        }
    }
}

static pqi_label_downgrade downgrade_of(pql_downgrade reason)
{
    switch (reason) {
    case PQL_DOWNGRADE_PEER_CLASSICAL:
        return PQI_DOWNGRADE_PEER_GROUPS;
    case PQL_DOWNGRADE_COMPAT:
        return PQI_DOWNGRADE_COMPAT;
    case PQL_DOWNGRADE_RESUMED:
        return PQI_DOWNGRADE_RESUMED;
    case PQL_DOWNGRADE_REMEMBERED:
        return PQI_DOWNGRADE_REMEMBERED;
    default:
        return PQI_DOWNGRADE_OTHER;
    }
}

static void count_downgrade(pqi_pq_metrics *m, const pql_posture *posture)
{
    if (posture->downgrade != PQL_DOWNGRADE_NONE) {
        pqi_pq_metrics_downgrade(m, PQI_POSTURE_HYBRID, downgrade_of(posture->downgrade));
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
    if (posture->kex_ns != 0) {
        pqi_pq_metrics_kex_time(m, pqi_label_group_of(posture->group), posture->kex_ns);
    }
    if (!posture->resumed) {
        count_signature(m, PQI_CRYPTO_SIGN, posture->own_signature, posture->sign_ns);
        count_signature(m, PQI_CRYPTO_VERIFY, posture->peer_signature, posture->verify_ns);
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

static void on_link_start(const pql_link_info *link, void *user)
{
    (void)user;
    pqi_link_log_start(link);
}

/* Several code points may have one label; it counts once for a handshake. */
static void count_offers(pqi_pq_metrics *m, const pql_posture *posture)
{
    uint32_t groups = posture->peer_groups & PQL_OFFER_OTHER ? 1U << PQI_GROUP_OTHER : 0;
    uint32_t signatures =
        posture->peer_signatures & PQL_OFFER_OTHER ? 1U << PQI_SIGNATURE_OTHER : 0;
    for (unsigned i = 0; i < PQL_GROUP_COUNT; i++) {
        if ((posture->peer_groups & PQL_OFFER_BIT(i)) != 0) {
            groups |= 1U << pqi_label_group_of(pql_group_at(i));
        }
    }
    for (unsigned i = 0; i < PQL_SIGNATURE_COUNT; i++) {
        if ((posture->peer_signatures & PQL_OFFER_BIT(i)) != 0) {
            signatures |= 1U << pqi_label_signature_of(pql_signature_at(i));
        }
    }
    for (unsigned label = 0; label < PQI_GROUP_COUNT; label++) {
        if ((groups >> label & 1U) != 0) {
            pqi_pq_metrics_offered_group(m, (pqi_label_group)label);
        }
    }
    for (unsigned label = 0; label < PQI_SIGNATURE_COUNT; label++) {
        if ((signatures >> label & 1U) != 0) {
            pqi_pq_metrics_offered_signature(m, (pqi_label_signature)label);
        }
    }
}

static void count_signature_failure(pqi_pq_metrics *m, pql_signature_failure failure)
{
    static const pqi_label_signature_failure labels[] = {
        [PQL_SIGNATURE_WRONG] = PQI_SIGFAIL_BAD_SIGNATURE,
        [PQL_SIGNATURE_NOT_ALLOWED] = PQI_SIGFAIL_NOT_ALLOWED,
        [PQL_SIGNATURE_MALFORMED] = PQI_SIGFAIL_MALFORMED,
        [PQL_SIGNATURE_NOT_MADE] = PQI_SIGFAIL_SIGN_FAILED,
    };
    if (failure != PQL_SIGNATURE_FINE) {
        pqi_pq_metrics_signature_failed(m, (size_t)failure < sizeof(labels) / sizeof(labels[0])
                                               ? labels[failure]
                                               : PQI_SIGFAIL_OTHER);
    }
}

static void on_handshake(const pql_link_info *link, const pql_close *failure, void *user)
{
    pqi_link_table_handshake(pqi_pq_metrics_link_table(user), link, failure, pqi_clock_unix_ms());
    count_offers(user, link->posture);
    if (failure == NULL) {
        pqi_link_log_handshake(link);
        count_done(user, link->posture, link->server);
        return;
    }
    pqi_link_log_failure(link, failure);
    if (link->posture->downgrade == PQL_DOWNGRADE_REMEMBERED) {
        count_downgrade(user, link->posture);
    }
    count_signature_failure(user, link->posture->signature_failure);
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
        pqi_link_log_closed(link, why);
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

static void on_streams(const pql_stream_counts *counts, void *user)
{
    pqi_pq_metrics_streams(user, PQI_TRANSPORT_QUIC, PQI_DIRECTION_IN, counts->opened_in,
                           counts->closed_in);
    pqi_pq_metrics_streams(user, PQI_TRANSPORT_QUIC, PQI_DIRECTION_OUT, counts->opened_out,
                           counts->closed_out);
}

pql_observer pqi_link_observer(pqi_pq_metrics *metrics)
{
    return (pql_observer){.link_start = on_link_start,
                          .handshake = on_handshake,
                          .link_change = on_link_change,
                          .reject = on_reject,
                          .strangers = on_strangers,
                          .traffic = on_traffic,
                          .streams = on_streams,
                          .user = metrics};
}
