#include "test.h"

#include "base/log.h"
#include "observe/link_observer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* The id of the link that the tests are about. */
#define LINK 4711

typedef struct world {
    pqi_metrics *registry;
    pqi_pq_metrics *m;
    pql_observer observer;
    pqi_buf text;
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(pqi_metrics_new(&w->registry, NULL), PQL_OK);
    assert_int_equal(pqi_pq_metrics_new(&w->m, w->registry, NULL, NULL), PQL_OK);
    w->observer = pqi_link_observer(w->m);
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

static const pql_posture hybrid = {
    .tls_version = 0x0304, .group = 0x11ec, .peer_signature = 0x0906, .pq_key_exchange = true};

static void finish(world *w, const pql_posture *posture, bool server, const pql_close *failure)
{
    const pql_link_info link = {
        .id = LINK, .server = server, .address = "192.0.2.1:1", .alpn = "", .posture = posture};
    w->observer.handshake(&link, failure, w->observer.user);
}

static void change(world *w, const pql_posture *posture, const pql_close *why)
{
    const pql_link_info link = {
        .id = LINK, .address = "192.0.2.1:1", .alpn = "", .posture = posture};
    w->observer.link_change(&link, why, w->observer.user);
}

static void a_finished_handshake_counts_group_and_signature(void **state)
{
    world *w = *state;

    finish(w, &hybrid, false, NULL);

    assert_exposed(w, "pq_handshake_total{algo=\"x25519mlkem768\",role=\"client\"} 1\n");
    assert_exposed(w, "pq_signature_total{algo=\"ml-dsa-87\"} 1\n");
}

static void a_resumed_handshake_counts_no_signature(void **state)
{
    world *w = *state;
    pql_posture resumed = hybrid;
    resumed.resumed = true;

    finish(w, &resumed, false, NULL);

    assert_exposed(w, "pq_handshake_total{algo=\"x25519mlkem768\",role=\"client\"} 1\n");
    assert_exposed(w, "pq_signature_total{algo=\"ml-dsa-87\"} 0\n");
}

static void a_classical_session_under_the_hybrid_policy_is_a_downgrade(void **state)
{
    world *w = *state;
    const pql_posture classical = {
        .group = 0x001d, .peer_signature = 0x0403, .downgrade = PQL_DOWNGRADE_PEER_CLASSICAL};

    finish(w, &classical, true, NULL);

    assert_exposed(w, "pq_downgrade_events_total{from=\"hybrid\",to=\"classical\","
                      "reason=\"peer_groups\"} 1\n");
}

static void a_wrong_peer_is_a_reject_for_trust(void **state)
{
    world *w = *state;
    const pql_close why = {.status = PQL_E_TRUST, .code = 0x12a};

    finish(w, &hybrid, false, &why);

    assert_exposed(w, "pqlink_rejects_total{reason=\"trust\"} 1\n");
    assert_exposed(w, "pq_handshake_total{algo=\"x25519mlkem768\",role=\"client\"} 0\n");
}

static void a_peer_without_a_common_protocol_is_a_reject_for_alpn(void **state)
{
    world *w = *state;
    const pql_close why = {.status = PQL_E_PROTOCOL, .code = 0x178};

    finish(w, &hybrid, true, &why);

    assert_exposed(w, "pqlink_rejects_total{reason=\"alpn\"} 1\n");
}

static void a_node_that_cannot_be_reached_is_no_reject(void **state)
{
    world *w = *state;
    const pql_close why = {.status = PQL_E_NETWORK};

    finish(w, &hybrid, false, &why);

    for (unsigned i = 0; i < PQI_REJECT_COUNT; i++) {
        char line[80];
        (void)snprintf(line, sizeof(line), "pqlink_rejects_total{reason=\"%s\"} 0\n",
                       pqi_reject_names[i]);
        assert_exposed(w, line);
    }
}

static void a_signature_that_does_not_verify_is_counted(void **state)
{
    world *w = *state;
    const pql_close why = {.status = PQL_E_PROTOCOL, .code = 0x133};

    finish(w, &hybrid, false, &why);

    assert_exposed(w, "pq_signature_failures_total{reason=\"bad_signature\"} 1\n");
}

static void the_line_of_a_failed_handshake_names_its_link(void **state)
{
    world *w = *state;
    const pql_close why = {.status = PQL_E_TRUST, .code = 0x12a, .reason = "not listed"};
    char line[PQI_LOG_LINE_SIZE] = "";
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    pqi_log_setup(ends[1], PQI_LOG_INFO, PQI_LOG_JSON);

    finish(w, &hybrid, true, &why);

    assert_true(read(ends[0], line, sizeof(line) - 1) > 0);
    assert_non_null(strstr(line, "\"event\":\"handshake_failed\""));
    assert_non_null(strstr(line, "\"corr_id\":4711}"));
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_JSON);
    (void)close(ends[0]);
    (void)close(ends[1]);
}

static void links_are_counted_while_they_live(void **state)
{
    world *w = *state;

    change(w, &hybrid, NULL);
    change(w, &hybrid, NULL);
    change(w, &hybrid, &(pql_close){0});

    assert_exposed(w, "pqlink_links{transport=\"quic\",posture=\"hybrid\"} 1\n");
}

static void a_link_without_authentication_is_counted_apart(void **state)
{
    world *w = *state;
    pql_posture insecure = hybrid;
    insecure.trust = PQL_TRUST_INSECURE;

    change(w, &insecure, NULL);
    change(w, &insecure, &(pql_close){0});

    assert_exposed(w, "pqlink_insecure_links_total{transport=\"quic\"} 1\n");
}

static void a_full_listener_rejects_for_capacity(void **state)
{
    world *w = *state;

    w->observer.reject("links", w->observer.user);
    w->observer.reject("handshakes", w->observer.user);
    w->observer.reject("draining", w->observer.user);

    assert_exposed(w, "pqlink_rejects_total{reason=\"capacity\"} 2\n");
    assert_exposed(w, "pqlink_rejects_total{reason=\"draining\"} 1\n");
}

static void traffic_adds_up_by_direction(void **state)
{
    world *w = *state;

    w->observer.traffic(1200, 2400, 1, 2, w->observer.user);
    w->observer.traffic(100, 0, 1, 0, w->observer.user);

    assert_exposed(w, "pqlink_bytes_total{transport=\"quic\",direction=\"in\"} 1300\n");
    assert_exposed(w, "pqlink_bytes_total{transport=\"quic\",direction=\"out\"} 2400\n");
    assert_exposed(w, "pqlink_datagrams_total{direction=\"in\"} 2\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_finished_handshake_counts_group_and_signature, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_resumed_handshake_counts_no_signature, setup, teardown),
        cmocka_unit_test_setup_teardown(a_classical_session_under_the_hybrid_policy_is_a_downgrade,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_wrong_peer_is_a_reject_for_trust, setup, teardown),
        cmocka_unit_test_setup_teardown(a_peer_without_a_common_protocol_is_a_reject_for_alpn,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(a_node_that_cannot_be_reached_is_no_reject, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_signature_that_does_not_verify_is_counted, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(the_line_of_a_failed_handshake_names_its_link, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(links_are_counted_while_they_live, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_without_authentication_is_counted_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_listener_rejects_for_capacity, setup, teardown),
        cmocka_unit_test_setup_teardown(traffic_adds_up_by_direction, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
