#include "test.h"

#include "base/clock.h"
#include "observe/pq_metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct world {
    pqi_metrics *registry;
    pqi_pq_metrics *m;
    pqi_buf text;
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(pqi_metrics_new(&w->registry, NULL), PQL_OK);
    assert_int_equal(pqi_pq_metrics_new(&w->m, w->registry, "AWS-LC 5.1.0", NULL), PQL_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pqi_pq_metrics_free(w->m);
    pqi_metrics_free(w->registry);
    pqi_buf_free(&w->text);
    free(w);
    return 0;
}

static const char *exposed(world *w)
{
    w->text.len = 0;
    assert_int_equal(pqi_metrics_write(w->registry, PQI_METRICS_PROMETHEUS, &w->text, NULL),
                     PQL_OK);
    assert_true(pqi_buf_append(&w->text, "", 1));
    return (const char *)w->text.data;
}

#define assert_exposed(w, line) assert_non_null(strstr(exposed(w), line))

static void the_contract_is_complete_and_at_zero_from_the_start(void **state)
{
    world *w = *state;
    char line[160];

    const char *text = exposed(w);

    for (unsigned r = 0; r < PQI_ROLE_COUNT; r++) {
        for (unsigned k = 0; k < PQI_KEX_COUNT; k++) {
            (void)snprintf(line, sizeof(line), "\npq_handshake_total{algo=\"%s\",role=\"%s\"} 0\n",
                           pqi_kex_class_names[k], pqi_role_names[r]);
            assert_non_null(strstr(text, line));
        }
    }
    for (unsigned g = 0; g < PQI_GROUP_COUNT; g++) {
        (void)snprintf(line, sizeof(line),
                       "\npqlink_handshake_group_total{group=\"%s\",role=\"client\","
                       "transport=\"quic\"} 0\n",
                       pqi_group_names[g]);
        assert_non_null(strstr(text, line));
        (void)snprintf(line, sizeof(line),
                       "\ncrypto_latency_seconds_count{op=\"kex\",algo=\"%s\"} 0\n",
                       pqi_group_names[g]);
        assert_non_null(strstr(text, line));
        (void)snprintf(line, sizeof(line), "\npqlink_offered_total{kind=\"group\",algo=\"%s\"} 0\n",
                       pqi_group_names[g]);
        assert_non_null(strstr(text, line));
    }
    for (unsigned c = 0; c < PQI_SIGCLASS_COUNT; c++) {
        (void)snprintf(line, sizeof(line), "\npq_signature_total{algo=\"%s\"} 0\n",
                       pqi_signature_class_names[c]);
        assert_non_null(strstr(text, line));
    }
    for (unsigned s = 0; s < PQI_SIGNATURE_COUNT; s++) {
        (void)snprintf(line, sizeof(line),
                       "\npqlink_handshake_signature_total{signature=\"%s\",op=\"verify\"} 0\n",
                       pqi_signature_names[s]);
        assert_non_null(strstr(text, line));
        (void)snprintf(line, sizeof(line),
                       "\ncrypto_latency_seconds_count{op=\"sign\",algo=\"%s\"} 0\n",
                       pqi_signature_names[s]);
        assert_non_null(strstr(text, line));
    }
    for (unsigned f = 0; f < PQI_SIGFAIL_COUNT; f++) {
        (void)snprintf(line, sizeof(line), "\npq_signature_failures_total{reason=\"%s\"} 0\n",
                       pqi_signature_failure_names[f]);
        assert_non_null(strstr(text, line));
    }
    for (unsigned d = 0; d < PQI_DOWNGRADE_COUNT; d++) {
        (void)snprintf(line, sizeof(line),
                       "\npq_downgrade_events_total{from=\"hybrid\",to=\"classical\","
                       "reason=\"%s\"} 0\n",
                       pqi_downgrade_names[d]);
        assert_non_null(strstr(text, line));
    }
    for (unsigned r = 0; r < PQI_REJECT_COUNT; r++) {
        (void)snprintf(line, sizeof(line), "\npqlink_rejects_total{reason=\"%s\"} 0\n",
                       pqi_reject_names[r]);
        assert_non_null(strstr(text, line));
    }
    assert_non_null(strstr(text, "\npqlink_build_info{version=\"" PQLINK_VERSION
                                 "\",crypto=\"AWS-LC 5.1.0\"} "
                                 "1\n"));
}

static void a_signing_time_has_no_series_for_a_key_exchange(void **state)
{
    world *w = *state;

    assert_null(strstr(exposed(w), "op=\"sign\",algo=\"x25519\""));
    assert_null(strstr(exposed(w), "op=\"kex\",algo=\"rsa\""));
}

static void a_handshake_is_counted_by_group_role_time_and_round_trips(void **state)
{
    world *w = *state;

    pqi_pq_metrics_handshake(w->m, &(pqi_handshake_done){.transport = PQI_TRANSPORT_QUIC,
                                                         .role = PQI_ROLE_CLIENT,
                                                         .group = PQI_GROUP_X25519MLKEM768,
                                                         .duration_ns = 15 * PQI_NS_PER_MS,
                                                         .round_trips = 1});

    assert_exposed(w, "pq_handshake_total{algo=\"hybrid\",role=\"client\"} 1\n");
    assert_exposed(w, "pq_handshake_total{algo=\"hybrid\",role=\"server\"} 0\n");
    assert_exposed(w, "pqlink_handshake_group_total{group=\"x25519mlkem768\",role=\"client\","
                      "transport=\"quic\"} 1\n");
    const char *const labels = "pqlink_handshake_seconds_bucket{transport=\"quic\","
                               "algo=\"x25519mlkem768\",resumed=\"false\",le=";
    char line[200];
    (void)snprintf(line, sizeof(line), "%s\"0.01\"} 0\n%s\"0.02\"} 1\n", labels, labels);
    assert_exposed(w, line);
    assert_exposed(w, "pqlink_handshake_round_trips_bucket{transport=\"quic\",le=\"0\"} 0\n"
                      "pqlink_handshake_round_trips_bucket{transport=\"quic\",le=\"1\"} 1\n");
}

static void the_round_trips_of_a_server_are_not_counted_as_none(void **state)
{
    world *w = *state;

    pqi_pq_metrics_handshake(w->m, &(pqi_handshake_done){.transport = PQI_TRANSPORT_QUIC,
                                                         .role = PQI_ROLE_SERVER,
                                                         .group = PQI_GROUP_X25519MLKEM768,
                                                         .duration_ns = 15 * PQI_NS_PER_MS});

    assert_exposed(w, "pq_handshake_total{algo=\"hybrid\",role=\"server\"} 1\n");
    assert_exposed(w, "pqlink_handshake_round_trips_count{transport=\"quic\"} 0\n");
}

static void the_classes_of_the_contract_hold_every_algorithm(void **state)
{
    (void)state;
    static const pqi_label_kex_class classes[PQI_GROUP_COUNT] = {
        [PQI_GROUP_X25519MLKEM768] = PQI_KEX_HYBRID,
        [PQI_GROUP_SECP256R1MLKEM768] = PQI_KEX_HYBRID,
        [PQI_GROUP_SECP384R1MLKEM1024] = PQI_KEX_HYBRID,
        [PQI_GROUP_MLKEM1024] = PQI_KEX_ML_KEM,
        [PQI_GROUP_X25519] = PQI_KEX_X25519,
        [PQI_GROUP_P256] = PQI_KEX_OTHER,
        [PQI_GROUP_P384] = PQI_KEX_OTHER,
        [PQI_GROUP_OTHER] = PQI_KEX_OTHER};
    for (unsigned g = 0; g < PQI_GROUP_COUNT; g++) {
        assert_int_equal(pqi_label_kex_class_of((pqi_label_group)g), classes[g]);
    }
    static const pqi_label_signature_class signatures[PQI_SIGNATURE_COUNT] = {
        [PQI_SIGNATURE_ML_DSA_44] = PQI_SIGCLASS_ML_DSA,
        [PQI_SIGNATURE_ML_DSA_65] = PQI_SIGCLASS_ML_DSA,
        [PQI_SIGNATURE_ML_DSA_87] = PQI_SIGCLASS_ML_DSA,
        [PQI_SIGNATURE_ECDSA_P256] = PQI_SIGCLASS_ECDSA,
        [PQI_SIGNATURE_ED25519] = PQI_SIGCLASS_ED25519,
        [PQI_SIGNATURE_RSA] = PQI_SIGCLASS_RSA,
        [PQI_SIGNATURE_OTHER] = PQI_SIGCLASS_OTHER};
    for (unsigned s = 0; s < PQI_SIGNATURE_COUNT; s++) {
        assert_int_equal(pqi_label_signature_class_of((pqi_label_signature)s), signatures[s]);
    }
}

static void what_a_client_offers_is_counted_beside_what_is_taken(void **state)
{
    world *w = *state;

    pqi_pq_metrics_offered_group(w->m, PQI_GROUP_X25519);
    pqi_pq_metrics_offered_signature(w->m, PQI_SIGNATURE_ML_DSA_65);

    assert_exposed(w, "pqlink_offered_total{kind=\"group\",algo=\"x25519\"} 1\n");
    assert_exposed(w, "pqlink_offered_total{kind=\"signature\",algo=\"ml-dsa-65\"} 1\n");
    assert_null(strstr(exposed(w), "kind=\"group\",algo=\"rsa\""));
}

static void the_buckets_of_the_contract_are_there(void **state)
{
    world *w = *state;
    static const char *const wanted[] = {"0.001", "0.002", "0.005", "0.01", "0.02",
                                         "0.05",  "0.12",  "0.15",  "0.2",  "0.4"};
    const char *text = exposed(w);

    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        char line[200];
        (void)snprintf(line, sizeof(line),
                       "pqlink_handshake_seconds_bucket{transport=\"tls\",algo=\"x25519\","
                       "resumed=\"true\",le=\"%s\"} 0\n",
                       wanted[i]);
        assert_non_null(strstr(text, line));
    }
}

static void open_links_are_shown_by_posture_and_go_when_closed(void **state)
{
    world *w = *state;
    pqi_pq_metrics_link_opened(w->m, PQI_TRANSPORT_QUIC, PQI_POSTURE_HYBRID);
    pqi_pq_metrics_link_opened(w->m, PQI_TRANSPORT_QUIC, PQI_POSTURE_HYBRID);
    pqi_pq_metrics_link_opened(w->m, PQI_TRANSPORT_QUIC, PQI_POSTURE_CLASSICAL);

    pqi_pq_metrics_link_closed(w->m, PQI_TRANSPORT_QUIC, PQI_POSTURE_HYBRID);

    assert_exposed(w, "pqlink_links{transport=\"quic\",posture=\"hybrid\"} 1\n");
    assert_exposed(w, "pqlink_links{transport=\"quic\",posture=\"pq\"} 0\n");
    assert_exposed(w, "pqlink_links{transport=\"quic\",posture=\"classical\"} 1\n");
}

static void each_event_moves_its_own_series(void **state)
{
    world *w = *state;

    pqi_pq_metrics_signature(w->m, PQI_CRYPTO_VERIFY, PQI_SIGNATURE_ML_DSA_87);
    pqi_pq_metrics_signature_failed(w->m, PQI_SIGFAIL_BAD_SIGNATURE);
    pqi_pq_metrics_signature_time(w->m, PQI_CRYPTO_VERIFY, PQI_SIGNATURE_ML_DSA_87, 80000);
    pqi_pq_metrics_kex_time(w->m, PQI_GROUP_X25519MLKEM768, 60000);
    pqi_pq_metrics_downgrade(w->m, PQI_POSTURE_HYBRID, PQI_DOWNGRADE_PEER_GROUPS);
    pqi_pq_metrics_link_insecure(w->m, PQI_TRANSPORT_QUIC);
    pqi_pq_metrics_bytes(w->m, PQI_TRANSPORT_LP, PQI_DIRECTION_OUT, 1200);
    pqi_pq_metrics_datagrams(w->m, PQI_DIRECTION_IN, 3);
    pqi_pq_metrics_reject(w->m, PQI_REJECT_TOKEN);

    pqi_pq_metrics_streams(w->m, PQI_TRANSPORT_QUIC, PQI_DIRECTION_OUT, 5, 4);

    assert_exposed(w, "pqlink_streams_opened_total{transport=\"quic\",direction=\"out\"} 5\n");
    assert_exposed(w, "pqlink_streams_closed_total{transport=\"quic\",direction=\"out\"} 4\n");
    assert_exposed(w, "pq_signature_total{algo=\"ml-dsa\"} 1\n");
    assert_exposed(w, "pqlink_handshake_signature_total{signature=\"ml-dsa-87\",op=\"verify\"} "
                      "1\n");
    assert_exposed(w, "pq_signature_failures_total{reason=\"bad_signature\"} 1\n");
    assert_exposed(w, "crypto_latency_seconds_count{op=\"verify\",algo=\"ml-dsa-87\"} 1\n");
    assert_exposed(w, "crypto_latency_seconds_sum{op=\"kex\",algo=\"x25519mlkem768\"} 6e-05\n");
    assert_exposed(w, "pq_downgrade_events_total{from=\"hybrid\",to=\"classical\","
                      "reason=\"peer_groups\"} 1\n");
    assert_exposed(w, "pqlink_insecure_links_total{transport=\"quic\"} 1\n");
    assert_exposed(w, "pqlink_bytes_total{transport=\"lp\",direction=\"out\"} 1200\n");
    assert_exposed(w, "pqlink_datagrams_total{direction=\"in\"} 3\n");
    assert_exposed(w, "pqlink_rejects_total{reason=\"token\"} 1\n");
}

static void values_out_of_range_and_a_missing_object_count_nothing(void **state)
{
    world *w = *state;
    char *before = strdup(exposed(w));

    pqi_pq_metrics_bytes(w->m, PQI_TRANSPORT_QUIC, PQI_DIRECTION_COUNT, 1);
    pqi_pq_metrics_signature(w->m, PQI_CRYPTO_VERIFY, PQI_SIGNATURE_COUNT);
    pqi_pq_metrics_signature_time(w->m, PQI_CRYPTO_KEX, PQI_SIGNATURE_RSA, 1);
    pqi_pq_metrics_kex_time(w->m, PQI_GROUP_COUNT, 1);
    pqi_pq_metrics_downgrade(w->m, PQI_POSTURE_CLASSICAL, PQI_DOWNGRADE_OTHER);
    pqi_pq_metrics_link_opened(w->m, PQI_TRANSPORT_COUNT, PQI_POSTURE_PQ);
    pqi_pq_metrics_handshake(w->m, &(pqi_handshake_done){.group = PQI_GROUP_COUNT});
    pqi_pq_metrics_reject(NULL, PQI_REJECT_TOKEN);

    assert_string_equal(exposed(w), before);
    free(before);
}

static void tls_code_points_find_their_labels(void **state)
{
    (void)state;
    assert_int_equal(pqi_label_group_of(0x11ec), PQI_GROUP_X25519MLKEM768);
    assert_int_equal(pqi_label_group_of(0x11ed), PQI_GROUP_SECP384R1MLKEM1024);
    assert_int_equal(pqi_label_group_of(0x001d), PQI_GROUP_X25519);
    assert_int_equal(pqi_label_group_of(0x0019), PQI_GROUP_OTHER);
    assert_int_equal(pqi_label_signature_of(0x0906), PQI_SIGNATURE_ML_DSA_87);
    assert_int_equal(pqi_label_signature_of(0x0403), PQI_SIGNATURE_ECDSA_P256);
    assert_int_equal(pqi_label_signature_of(0x0503), PQI_SIGNATURE_OTHER);
}

static void only_groups_with_ml_kem_are_more_than_classical(void **state)
{
    (void)state;
    assert_int_equal(pqi_label_posture_of(PQI_GROUP_X25519MLKEM768), PQI_POSTURE_HYBRID);
    assert_int_equal(pqi_label_posture_of(PQI_GROUP_MLKEM1024), PQI_POSTURE_PQ);
    assert_int_equal(pqi_label_posture_of(PQI_GROUP_X25519), PQI_POSTURE_CLASSICAL);
    assert_int_equal(pqi_label_posture_of(PQI_GROUP_OTHER), PQI_POSTURE_CLASSICAL);
}

static void a_registry_takes_the_series_once(void **state)
{
    world *w = *state;
    pqi_pq_metrics *second;

    assert_int_equal(pqi_pq_metrics_new(&second, w->registry, NULL, NULL), PQL_E_EXISTS);

    assert_null(second);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_contract_is_complete_and_at_zero_from_the_start),
        TEST(a_signing_time_has_no_series_for_a_key_exchange),
        TEST(a_handshake_is_counted_by_group_role_time_and_round_trips),
        TEST(the_round_trips_of_a_server_are_not_counted_as_none),
        TEST(the_classes_of_the_contract_hold_every_algorithm),
        TEST(what_a_client_offers_is_counted_beside_what_is_taken),
        TEST(the_buckets_of_the_contract_are_there),
        TEST(open_links_are_shown_by_posture_and_go_when_closed),
        TEST(each_event_moves_its_own_series),
        TEST(values_out_of_range_and_a_missing_object_count_nothing),
        TEST(tls_code_points_find_their_labels),
        TEST(only_groups_with_ml_kem_are_more_than_classical),
        TEST(a_registry_takes_the_series_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
