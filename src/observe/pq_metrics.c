#include "observe/pq_metrics.h"

#include "base/clock.h"

#include <stdlib.h>

#define LABEL(label_name, names, n) {.name = (label_name), .values = (names), .count = (n)}

/* crypto_latency_seconds: the algo label holds the groups, then the signature algorithms. */
#define CRYPTO_ALGO_COUNT ((unsigned)PQI_GROUP_COUNT + (unsigned)PQI_SIGNATURE_COUNT)
/* Postures that a policy can ask for. */
#define EXPECTED_COUNT (PQI_POSTURE_PQ + 1)
#define YES_NO_COUNT 2
/* Of pqi_label_crypto_op: all from PQI_CRYPTO_SIGN on. */
#define SIGNATURE_OPS ((unsigned)PQI_CRYPTO_OP_COUNT - (unsigned)PQI_CRYPTO_SIGN)

#define US(n) ((n) * PQI_NS_PER_US)
#define MS(n) ((n) * PQI_NS_PER_MS)

/* 1 to 400 ms are the contract; above them handshakes over lossy or distant paths. */
static const uint64_t handshake_bounds[] = {MS(1),    MS(2),    MS(5),   MS(10),  MS(20),
                                            MS(50),   MS(120),  MS(150), MS(200), MS(400),
                                            MS(1000), MS(2500), MS(5000)};
/* ML-KEM and ML-DSA take tens to hundreds of microseconds, 5 ms on small machines; 2, 120, 150, 200
 * and 400 ms are the bounds of the contract. */
static const uint64_t crypto_bounds[] = {US(20),  US(50),  US(100), US(200), US(500),
                                         MS(1),   MS(2),   MS(5),   MS(20),  MS(50),
                                         MS(120), MS(150), MS(200), MS(400)};
static const uint64_t round_trip_bounds[] = {0, 1, 2, 3};

static const char *const no_yes[YES_NO_COUNT] = {"false", "true"};
enum { OFFERED_GROUP, OFFERED_SIGNATURE, OFFERED_COUNT };
static const char *const offered_names[OFFERED_COUNT] = {"group", "signature"};
static const char *const to_names[] = {"classical"};

struct pqi_pq_metrics {
    pqi_family *handshakes;
    pqi_family *groups;
    pqi_family *signatures;
    pqi_family *exact_signatures;
    pqi_family *offered;
    pqi_family *signature_failures;
    pqi_family *crypto_latency;
    pqi_family *downgrades;
    pqi_family *links;
    pqi_family *insecure_links;
    pqi_family *handshake_seconds;
    pqi_family *handshake_round_trips;
    pqi_family *bytes;
    pqi_family *datagrams;
    pqi_family *streams_opened;
    pqi_family *streams_closed;
    pqi_family *rejects;
    pqi_family *answers;
    struct pqi_link_table *table; /* borrowed; NULL: none */
};

/* The groups, then the signature algorithms: |algos| has CRYPTO_ALGO_COUNT places. */
static void all_algos(const char **algos)
{
    for (unsigned i = 0; i < CRYPTO_ALGO_COUNT; i++) {
        algos[i] =
            i < PQI_GROUP_COUNT ? pqi_group_names[i] : pqi_signature_names[i - PQI_GROUP_COUNT];
    }
}

/* A key exchange has a group, a signature has a signature algorithm; the rest is no series. */
static bool crypto_series_exists(const unsigned *index)
{
    return (index[0] == PQI_CRYPTO_KEX) == (index[1] < PQI_GROUP_COUNT);
}

static void register_contract(pqi_pq_metrics *m, pqi_metrics *r)
{
    const char *crypto_algos[CRYPTO_ALGO_COUNT];
    all_algos(crypto_algos);
    m->handshakes = pqi_metrics_register(
        r,
        &(pqi_metric_desc){.type = PQI_COUNTER,
                           .name = "pq_handshake_total",
                           .help = "Handshakes completed, by class of key exchange and our role.",
                           .labels = {LABEL("algo", pqi_kex_class_names, PQI_KEX_COUNT),
                                      LABEL("role", pqi_role_names, PQI_ROLE_COUNT)}});
    m->signatures = pqi_metrics_register(
        r, &(pqi_metric_desc){
               .type = PQI_COUNTER,
               .name = "pq_signature_total",
               .help = "Signatures made or verified with success, by class of algorithm.",
               .labels = {LABEL("algo", pqi_signature_class_names, PQI_SIGCLASS_COUNT)}});
    m->signature_failures = pqi_metrics_register(
        r, &(pqi_metric_desc){
               .type = PQI_COUNTER,
               .name = "pq_signature_failures_total",
               .help = "Signatures that could not be made or did not verify.",
               .labels = {LABEL("reason", pqi_signature_failure_names, PQI_SIGFAIL_COUNT)}});
    m->crypto_latency = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_HISTOGRAM,
                              .name = "crypto_latency_seconds",
                              .help = "Time of one key exchange, signing or verification.",
                              .labels = {LABEL("op", pqi_crypto_op_names, PQI_CRYPTO_OP_COUNT),
                                         LABEL("algo", crypto_algos, CRYPTO_ALGO_COUNT)},
                              .exists = crypto_series_exists,
                              .bounds = crypto_bounds,
                              .bound_count = sizeof(crypto_bounds) / sizeof(crypto_bounds[0]),
                              .scale = PQI_NS_PER_SEC});
    m->downgrades = pqi_metrics_register(
        r,
        &(pqi_metric_desc){
            .type = PQI_COUNTER,
            .name = "pq_downgrade_events_total",
            .help = "Sessions that could have been post-quantum by our policy and were not.",
            .labels = {LABEL("from", pqi_posture_names, EXPECTED_COUNT), LABEL("to", to_names, 1),
                       LABEL("reason", pqi_downgrade_names, PQI_DOWNGRADE_COUNT)}});
}

/* Makes a series for groups and one for signatures, and none across. */
static bool offered_series_exists(const unsigned *index)
{
    return (index[0] == OFFERED_GROUP) == (index[1] < PQI_GROUP_COUNT);
}

/* The same as the contract counts, by exact algorithm. */
static void register_exact(pqi_pq_metrics *m, pqi_metrics *r)
{
    const char *algos[CRYPTO_ALGO_COUNT];
    all_algos(algos);
    m->groups = pqi_metrics_register(
        r, &(pqi_metric_desc){
               .type = PQI_COUNTER,
               .name = "pqlink_handshake_group_total",
               .help = "Handshakes completed, by exact key exchange group.",
               .labels = {LABEL("group", pqi_group_names, PQI_GROUP_COUNT),
                          LABEL("role", pqi_role_names, PQI_ROLE_COUNT),
                          LABEL("transport", pqi_transport_names, PQI_TRANSPORT_COUNT)}});
    m->exact_signatures = pqi_metrics_register(
        r,
        &(pqi_metric_desc){
            .type = PQI_COUNTER,
            .name = "pqlink_handshake_signature_total",
            .help = "Signatures of handshakes made or verified with success, by exact algorithm.",
            .labels = {LABEL("signature", pqi_signature_names, PQI_SIGNATURE_COUNT),
                       LABEL("op", &pqi_crypto_op_names[PQI_CRYPTO_SIGN], SIGNATURE_OPS)}});
    m->offered = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_offered_total",
                              .help = "Handshakes in which a client offered the algorithm.",
                              .labels = {LABEL("kind", offered_names, OFFERED_COUNT),
                                         LABEL("algo", algos, CRYPTO_ALGO_COUNT)},
                              .exists = offered_series_exists});
}

static void register_handshakes(pqi_pq_metrics *m, pqi_metrics *r)
{
    m->handshake_seconds = pqi_metrics_register(
        r,
        &(pqi_metric_desc){.type = PQI_HISTOGRAM,
                           .name = "pqlink_handshake_seconds",
                           .help = "Time of one completed handshake, network included.",
                           .labels = {LABEL("transport", pqi_transport_names, PQI_TRANSPORT_COUNT),
                                      LABEL("algo", pqi_group_names, PQI_GROUP_COUNT),
                                      LABEL("resumed", no_yes, YES_NO_COUNT)},
                           .bounds = handshake_bounds,
                           .bound_count = sizeof(handshake_bounds) / sizeof(handshake_bounds[0]),
                           .scale = PQI_NS_PER_SEC});
    m->handshake_round_trips = pqi_metrics_register(
        r, &(pqi_metric_desc){
               .type = PQI_HISTOGRAM,
               .name = "pqlink_handshake_round_trips",
               .help = "Client flights of a handshake that waited for the server.",
               .labels = {LABEL("transport", pqi_transport_names, PQI_TRANSPORT_COUNT)},
               .bounds = round_trip_bounds,
               .bound_count = sizeof(round_trip_bounds) / sizeof(round_trip_bounds[0])});
}

static void register_strangers(pqi_pq_metrics *m, pqi_metrics *r)
{
    m->rejects = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_rejects_total",
                              .help = "Peers and requests turned away.",
                              .labels = {LABEL("reason", pqi_reject_names, PQI_REJECT_COUNT)}});
    m->answers = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_stranger_answers_total",
                              .help = "QUIC packets that answered a stranger without a handshake.",
                              .labels = {LABEL("answer", pqi_answer_names, PQI_ANSWER_COUNT)}});
}

static void register_links(pqi_pq_metrics *m, pqi_metrics *r)
{
    const pqi_label transport = LABEL("transport", pqi_transport_names, PQI_TRANSPORT_COUNT);
    const pqi_label direction = LABEL("direction", pqi_direction_names, PQI_DIRECTION_COUNT);
    m->links = pqi_metrics_register(
        r, &(pqi_metric_desc){
               .type = PQI_GAUGE,
               .name = "pqlink_links",
               .help = "Links that are up.",
               .labels = {transport, LABEL("posture", pqi_posture_names, PQI_POSTURE_COUNT)}});
    m->insecure_links = pqi_metrics_register(
        r, &(pqi_metric_desc){
               .type = PQI_COUNTER,
               .name = "pqlink_insecure_links_total",
               .help = "Links opened without authenticating the peer, because of --insecure.",
               .labels = {transport}});
    m->bytes = pqi_metrics_register(
        r, &(pqi_metric_desc){
               .type = PQI_COUNTER,
               .name = "pqlink_bytes_total",
               .help = "Bytes of all links on the wire, without UDP, TCP and IP headers.",
               .labels = {transport, direction}});
    m->datagrams = pqi_metrics_register(r, &(pqi_metric_desc){.type = PQI_COUNTER,
                                                              .name = "pqlink_datagrams_total",
                                                              .help = "UDP datagrams.",
                                                              .labels = {direction}});
    m->streams_opened = pqi_metrics_register(
        r, &(pqi_metric_desc){.type = PQI_COUNTER,
                              .name = "pqlink_streams_opened_total",
                              .help = "Streams opened; direction in: by the peer.",
                              .labels = {transport, direction}});
    m->streams_closed = pqi_metrics_register(
        r,
        &(pqi_metric_desc){.type = PQI_COUNTER,
                           .name = "pqlink_streams_closed_total",
                           .help = "Streams that have ended; direction in: the peer opened them.",
                           .labels = {transport, direction}});
}

static void register_build_info(pqi_metrics *r, const char *crypto_version)
{
    const char *const version[] = {PQLINK_VERSION};
    const char *const crypto[] = {crypto_version == NULL ? "unknown" : crypto_version};
    pqi_family *f = pqi_metrics_register(
        r,
        &(pqi_metric_desc){.type = PQI_GAUGE,
                           .name = "pqlink_build_info",
                           .help = "Always 1; the labels say what this program is.",
                           .labels = {LABEL("version", version, 1), LABEL("crypto", crypto, 1)}});
    pqi_gauge_set(pqi_gauge_at(f, 0), 1);
}

pql_status pqi_pq_metrics_new(pqi_pq_metrics **out, pqi_metrics *registry,
                              const char *crypto_version, pql_error *err)
{
    *out = NULL;
    pqi_pq_metrics *m = calloc(1, sizeof(*m));
    if (m == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the metrics of links.");
    }
    register_contract(m, registry);
    register_exact(m, registry);
    register_handshakes(m, registry);
    register_links(m, registry);
    register_strangers(m, registry);
    register_build_info(registry, crypto_version);
    const pql_status status = pqi_metrics_check(registry, err);
    if (status != PQL_OK) {
        free(m);
        return status;
    }
    *out = m;
    return PQL_OK;
}

/* The flat index of a pair of label values, see pqi_counter_at. */
static unsigned pair(unsigned first, unsigned second, unsigned second_count)
{
    return first * second_count + second;
}

void pqi_pq_metrics_free(pqi_pq_metrics *m)
{
    free(m);
}

void pqi_pq_metrics_handshake(pqi_pq_metrics *m, const pqi_handshake_done *done)
{
    if (m == NULL || done->group >= PQI_GROUP_COUNT || done->role >= PQI_ROLE_COUNT ||
        done->transport >= PQI_TRANSPORT_COUNT) {
        return;
    }
    const unsigned class_role =
        pair(pqi_label_kex_class_of(done->group), done->role, PQI_ROLE_COUNT);
    pqi_counter_add(pqi_counter_at(m->handshakes, class_role), 1);
    const unsigned group_role = pair(done->group, done->role, PQI_ROLE_COUNT);
    pqi_counter_add(
        pqi_counter_at(m->groups, pair(group_role, done->transport, PQI_TRANSPORT_COUNT)), 1);
    const unsigned kind = pair(done->transport, done->group, PQI_GROUP_COUNT);
    pqi_histogram_observe(
        pqi_histogram_at(m->handshake_seconds, pair(kind, done->resumed, YES_NO_COUNT)),
        done->duration_ns);
    if (done->role == PQI_ROLE_CLIENT) {
        pqi_histogram_observe(pqi_histogram_at(m->handshake_round_trips, done->transport),
                              done->round_trips);
    }
}

static bool is_signature_op(pqi_label_crypto_op op)
{
    return op == PQI_CRYPTO_SIGN || op == PQI_CRYPTO_VERIFY;
}

void pqi_pq_metrics_signature(pqi_pq_metrics *m, pqi_label_crypto_op op, pqi_label_signature algo)
{
    if (m != NULL && is_signature_op(op) && algo < PQI_SIGNATURE_COUNT) {
        pqi_counter_add(pqi_counter_at(m->signatures, pqi_label_signature_class_of(algo)), 1);
        const unsigned series = pair(algo, (unsigned)op - (unsigned)PQI_CRYPTO_SIGN, SIGNATURE_OPS);
        pqi_counter_add(pqi_counter_at(m->exact_signatures, series), 1);
    }
}

void pqi_pq_metrics_offered_group(pqi_pq_metrics *m, pqi_label_group group)
{
    if (m != NULL && group < PQI_GROUP_COUNT) {
        pqi_counter_add(pqi_counter_at(m->offered, pair(OFFERED_GROUP, group, CRYPTO_ALGO_COUNT)),
                        1);
    }
}

void pqi_pq_metrics_offered_signature(pqi_pq_metrics *m, pqi_label_signature algo)
{
    if (m != NULL && algo < PQI_SIGNATURE_COUNT) {
        const unsigned series =
            pair(OFFERED_SIGNATURE, (unsigned)PQI_GROUP_COUNT + algo, CRYPTO_ALGO_COUNT);
        pqi_counter_add(pqi_counter_at(m->offered, series), 1);
    }
}

void pqi_pq_metrics_signature_failed(pqi_pq_metrics *m, pqi_label_signature_failure reason)
{
    if (m != NULL) {
        pqi_counter_add(pqi_counter_at(m->signature_failures, reason), 1);
    }
}

void pqi_pq_metrics_kex_time(pqi_pq_metrics *m, pqi_label_group group, uint64_t duration_ns)
{
    if (m != NULL && group < PQI_GROUP_COUNT) {
        pqi_histogram_observe(
            pqi_histogram_at(m->crypto_latency, pair(PQI_CRYPTO_KEX, group, CRYPTO_ALGO_COUNT)),
            duration_ns);
    }
}

void pqi_pq_metrics_signature_time(pqi_pq_metrics *m, pqi_label_crypto_op op,
                                   pqi_label_signature algo, uint64_t duration_ns)
{
    if (m != NULL && is_signature_op(op) && algo < PQI_SIGNATURE_COUNT) {
        const unsigned series = pair(op, (unsigned)PQI_GROUP_COUNT + algo, CRYPTO_ALGO_COUNT);
        pqi_histogram_observe(pqi_histogram_at(m->crypto_latency, series), duration_ns);
    }
}

void pqi_pq_metrics_downgrade(pqi_pq_metrics *m, pqi_label_posture expected,
                              pqi_label_downgrade reason)
{
    if (m != NULL && expected < EXPECTED_COUNT && reason < PQI_DOWNGRADE_COUNT) {
        pqi_counter_add(pqi_counter_at(m->downgrades, pair(expected, reason, PQI_DOWNGRADE_COUNT)),
                        1);
    }
}

static pqi_gauge *links_gauge(pqi_pq_metrics *m, pqi_label_transport transport,
                              pqi_label_posture posture)
{
    if (m == NULL || transport >= PQI_TRANSPORT_COUNT || posture >= PQI_POSTURE_COUNT) {
        return NULL;
    }
    return pqi_gauge_at(m->links, pair(transport, posture, PQI_POSTURE_COUNT));
}

void pqi_pq_metrics_link_opened(pqi_pq_metrics *m, pqi_label_transport transport,
                                pqi_label_posture posture)
{
    pqi_gauge_add(links_gauge(m, transport, posture), 1);
}

void pqi_pq_metrics_link_closed(pqi_pq_metrics *m, pqi_label_transport transport,
                                pqi_label_posture posture)
{
    pqi_gauge_add(links_gauge(m, transport, posture), -1);
}

void pqi_pq_metrics_link_insecure(pqi_pq_metrics *m, pqi_label_transport transport)
{
    if (m != NULL) {
        pqi_counter_add(pqi_counter_at(m->insecure_links, transport), 1);
    }
}

void pqi_pq_metrics_bytes(pqi_pq_metrics *m, pqi_label_transport transport,
                          pqi_label_direction direction, uint64_t bytes)
{
    if (m != NULL && transport < PQI_TRANSPORT_COUNT && direction < PQI_DIRECTION_COUNT) {
        const unsigned series = pair(transport, direction, PQI_DIRECTION_COUNT);
        pqi_counter_add(pqi_counter_at(m->bytes, series), bytes);
    }
}

void pqi_pq_metrics_datagrams(pqi_pq_metrics *m, pqi_label_direction direction, uint64_t count)
{
    if (m != NULL) {
        pqi_counter_add(pqi_counter_at(m->datagrams, direction), count);
    }
}

void pqi_pq_metrics_streams(pqi_pq_metrics *m, pqi_label_transport transport,
                            pqi_label_direction direction, uint64_t opened, uint64_t closed)
{
    if (m != NULL && transport < PQI_TRANSPORT_COUNT && direction < PQI_DIRECTION_COUNT) {
        const unsigned series = pair(transport, direction, PQI_DIRECTION_COUNT);
        pqi_counter_add(pqi_counter_at(m->streams_opened, series), opened);
        pqi_counter_add(pqi_counter_at(m->streams_closed, series), closed);
    }
}

void pqi_pq_metrics_answers(pqi_pq_metrics *m, pqi_label_answer answer, uint64_t count)
{
    if (m != NULL) {
        pqi_counter_add(pqi_counter_at(m->answers, answer), count);
    }
}

void pqi_pq_metrics_reject(pqi_pq_metrics *m, pqi_label_reject reason)
{
    if (m != NULL) {
        pqi_counter_add(pqi_counter_at(m->rejects, reason), 1);
    }
}

void pqi_pq_metrics_keep_links(pqi_pq_metrics *m, struct pqi_link_table *table)
{
    m->table = table;
}

struct pqi_link_table *pqi_pq_metrics_link_table(const pqi_pq_metrics *m)
{
    return m == NULL ? NULL : m->table;
}
