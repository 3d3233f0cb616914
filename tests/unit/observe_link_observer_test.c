#include "test.h"

#include "base/log.h"
#include "observe/link_log.h"
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

    assert_exposed(w, "pq_handshake_total{algo=\"hybrid\",role=\"client\"} 1\n");
    assert_exposed(w, "pq_signature_total{algo=\"ml-dsa\"} 1\n");
}

static void a_resumed_handshake_counts_no_signature(void **state)
{
    world *w = *state;
    pql_posture resumed = hybrid;
    resumed.resumed = true;

    finish(w, &resumed, false, NULL);

    assert_exposed(w, "pq_handshake_total{algo=\"hybrid\",role=\"client\"} 1\n");
    assert_exposed(w, "pq_signature_total{algo=\"ml-dsa\"} 0\n");
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
    assert_exposed(w, "pq_handshake_total{algo=\"hybrid\",role=\"client\"} 0\n");
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

static void what_is_wrong_with_a_signature_is_counted_by_its_reason(void **state)
{
    world *w = *state;
    static const struct {
        pql_signature_failure failure;
        const char *reason;
    } all[] = {{PQL_SIGNATURE_WRONG, "bad_signature"},
               {PQL_SIGNATURE_NOT_ALLOWED, "not_allowed"},
               {PQL_SIGNATURE_MALFORMED, "malformed"},
               {PQL_SIGNATURE_NOT_MADE, "sign_failed"}};
    const pql_close why = {.status = PQL_E_PROTOCOL, .code = 0x133};

    finish(w, &hybrid, false, &why); /* nothing was wrong with one */
    for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
        pql_posture posture = hybrid;
        char line[96];
        posture.signature_failure = all[i].failure;
        (void)snprintf(line, sizeof(line), "pq_signature_failures_total{reason=\"%s\"} 0\n",
                       all[i].reason);
        assert_exposed(w, line);
        finish(w, &posture, false, &why);
        (void)snprintf(line, sizeof(line), "pq_signature_failures_total{reason=\"%s\"} 1\n",
                       all[i].reason);
        assert_exposed(w, line);
    }
}

/* The lines that |act| has written. */
static void lines_of(char lines[4 * PQI_LOG_LINE_SIZE], pqi_log_level least, void (*act)(world *w),
                     world *w)
{
    int ends[2];
    assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
    pqi_log_setup(ends[1], least, PQI_LOG_JSON);
    act(w);
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_JSON);
    const ssize_t len = read(ends[0], lines, (size_t)4 * PQI_LOG_LINE_SIZE - 1);
    lines[len > 0 ? len : 0] = '\0';
    (void)close(ends[0]);
    (void)close(ends[1]);
}

/* What every line about the link ends with. */
static const char *corr_id_end(void)
{
    static char end[PQI_CORR_SIZE + 16];
    char id[PQI_CORR_SIZE];
    pqi_log_corr(id, LINK);
    (void)snprintf(end, sizeof(end), "\"corr_id\":\"%s\"}\n", id);
    return end;
}

static void fail_as_server(world *w)
{
    finish(w, &hybrid, true,
           &(pql_close){.status = PQL_E_TRUST, .code = 0x12a, .reason = "not listed"});
}

static void fail_as_client(world *w)
{
    finish(w, &hybrid, false, &(pql_close){.status = PQL_E_TRUST, .reason = "another pin"});
}

static void the_line_of_a_failed_handshake_names_its_link(void **state)
{
    char lines[4 * PQI_LOG_LINE_SIZE];

    lines_of(lines, PQI_LOG_INFO, fail_as_server, *state);

    assert_non_null(strstr(lines, "\"event\":\"handshake_failed\",\"role\":\"server\""));
    assert_non_null(strstr(lines, "\"reason\":\"not listed\""));
    assert_non_null(strstr(lines, corr_id_end()));
}

static void a_client_tells_of_its_failed_handshake_too(void **state)
{
    char lines[4 * PQI_LOG_LINE_SIZE];

    lines_of(lines, PQI_LOG_INFO, fail_as_client, *state);

    assert_non_null(strstr(lines, "\"event\":\"handshake_failed\",\"role\":\"client\""));
}

static void live(world *w)
{
    const pql_link_info link = {.id = LINK,
                                .server = true,
                                .address = "192.0.2.1:1",
                                .alpn = "x/1",
                                .posture = &hybrid,
                                .age_ns = 2500000000,
                                .bytes_in = 10,
                                .bytes_out = 20};
    w->observer.link_start(&link, w->observer.user);
    w->observer.handshake(&link, NULL, w->observer.user);
    w->observer.link_change(&link, NULL, w->observer.user);
    w->observer.link_change(&link, &(pql_close){.reason = "bye"}, w->observer.user);
}

static unsigned count_of(const char *text, const char *piece)
{
    unsigned n = 0;
    for (const char *at = text; (at = strstr(at, piece)) != NULL; at++) {
        n++;
    }
    return n;
}

static void a_link_is_told_of_from_its_beginning_to_its_end_under_one_name(void **state)
{
    char lines[4 * PQI_LOG_LINE_SIZE];

    lines_of(lines, PQI_LOG_DEBUG, live, *state);

    assert_int_equal(count_of(lines, "\n"), 3);
    assert_int_equal(count_of(lines, corr_id_end()), 3);
    assert_non_null(
        strstr(lines, "\"level\":\"debug\",\"service\":\"link\",\"event\":\"accepted\""));
    assert_non_null(
        strstr(lines, "\"level\":\"info\",\"service\":\"link\",\"event\":\"handshake\""));
    assert_non_null(strstr(lines, "\"pq\":\"hybrid\",\"algo\":\"hybrid\","
                                  "\"group\":\"X25519MLKEM768\",\"signature\":\"ML-DSA-87\""));
    assert_non_null(strstr(lines, "\"peer_mode\":\"hybrid\""));
    assert_non_null(strstr(lines, "\"event\":\"link_closed\""));
    assert_non_null(strstr(lines, "\"reason\":\"bye\",\"duration_ms\":2500,\"bytes_in\":10,"
                                  "\"bytes_out\":20"));
}

static void downgrade(world *w)
{
    const pql_posture classical = {
        .group = 0x001d, .peer_signature = 0x0403, .downgrade = PQL_DOWNGRADE_PEER_CLASSICAL};
    finish(w, &classical, true, NULL);
}

static void a_downgrade_is_one_warning_with_its_reason(void **state)
{
    char lines[4 * PQI_LOG_LINE_SIZE];

    lines_of(lines, PQI_LOG_WARN, downgrade, *state);

    assert_int_equal(count_of(lines, "\n"), 1);
    assert_non_null(
        strstr(lines, "\"level\":\"warn\",\"service\":\"link\",\"event\":\"handshake\""));
    assert_non_null(strstr(lines, "\"pq\":\"off\",\"algo\":\"x25519\""));
    assert_non_null(strstr(lines, "\"peer_mode\":\"off\""));
    assert_null(strstr(lines, "\"downgrade_reason\":\"none\""));
}

static void fail_often(world *w)
{
    for (unsigned i = 0; i < 3 * PQI_LINK_FAILURES_PER_SEC; i++) {
        fail_as_server(w);
    }
}

static void strangers_cannot_fill_the_log_with_failures(void **state)
{
    static char lines[4 * PQI_LOG_LINE_SIZE];

    lines_of(lines, PQI_LOG_WARN, fail_often, *state);

    /* The turn of a second may fall into the loop. */
    assert_in_range(count_of(lines, "\n"), 0, 2 * PQI_LINK_FAILURES_PER_SEC);
}

static void fail_often_and_refuse_a_downgrade(world *w)
{
    const pql_posture downgraded = {.group = 0x001d, .downgrade = PQL_DOWNGRADE_REMEMBERED};
    fail_often(w);
    finish(w, &downgraded, true, &(pql_close){.status = PQL_E_POLICY});
}

static void strangers_cannot_hide_a_refused_downgrade(void **state)
{
    static char lines[4 * PQI_LOG_LINE_SIZE];

    lines_of(lines, PQI_LOG_ERROR, fail_often_and_refuse_a_downgrade, *state);

    assert_int_equal(count_of(lines, "\n"), 1);
    assert_non_null(strstr(lines, "\"event\":\"downgrade_refused\""));
}

static void the_operations_of_a_handshake_are_timed_by_algorithm(void **state)
{
    world *w = *state;
    pql_posture timed = hybrid;
    timed.kex_ns = 90000;
    timed.verify_ns = 150000;

    finish(w, &timed, false, NULL);

    assert_exposed(w, "crypto_latency_seconds_sum{op=\"kex\",algo=\"x25519mlkem768\"} 9e-05\n");
    assert_exposed(w, "crypto_latency_seconds_count{op=\"verify\",algo=\"ml-dsa-87\"} 1\n");
    assert_exposed(w, "crypto_latency_seconds_count{op=\"sign\",algo=\"ml-dsa-87\"} 0\n");
}

static void what_a_client_offered_is_counted_once_for_each_label(void **state)
{
    world *w = *state;
    pql_posture offering = hybrid;
    for (unsigned i = 0; i < PQL_GROUP_COUNT; i++) {
        if (pql_group_at(i) == 0x11ec || pql_group_at(i) == 0x001d) {
            offering.peer_groups |= PQL_OFFER_BIT(i);
        }
    }
    offering.peer_groups |= PQL_OFFER_OTHER;
    for (unsigned i = 0; i < PQL_SIGNATURE_COUNT; i++) {
        offering.peer_signatures |= PQL_OFFER_BIT(i); /* several are RSA */
    }

    finish(w, &offering, true, NULL);
    finish(w, &offering, true, &(pql_close){.status = PQL_E_TRUST});

    assert_exposed(w, "pqlink_offered_total{kind=\"group\",algo=\"x25519mlkem768\"} 2\n");
    assert_exposed(w, "pqlink_offered_total{kind=\"group\",algo=\"x25519\"} 2\n");
    assert_exposed(w, "pqlink_offered_total{kind=\"group\",algo=\"other\"} 2\n");
    assert_exposed(w, "pqlink_offered_total{kind=\"group\",algo=\"p256\"} 0\n");
    assert_exposed(w, "pqlink_offered_total{kind=\"signature\",algo=\"rsa\"} 2\n");
    assert_exposed(w, "pqlink_offered_total{kind=\"signature\",algo=\"ml-dsa-87\"} 2\n");
}

static void streams_add_up_by_who_opened_them(void **state)
{
    world *w = *state;

    w->observer.streams(&(pql_stream_counts){.opened_in = 3, .closed_in = 2, .opened_out = 1},
                        w->observer.user);

    assert_exposed(w, "pqlink_streams_opened_total{transport=\"quic\",direction=\"in\"} 3\n");
    assert_exposed(w, "pqlink_streams_closed_total{transport=\"quic\",direction=\"in\"} 2\n");
    assert_exposed(w, "pqlink_streams_opened_total{transport=\"quic\",direction=\"out\"} 1\n");
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
        cmocka_unit_test_setup_teardown(what_is_wrong_with_a_signature_is_counted_by_its_reason,
                                        setup, teardown),
        cmocka_unit_test_setup_teardown(the_line_of_a_failed_handshake_names_its_link, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_client_tells_of_its_failed_handshake_too, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(
            a_link_is_told_of_from_its_beginning_to_its_end_under_one_name, setup, teardown),
        cmocka_unit_test_setup_teardown(a_downgrade_is_one_warning_with_its_reason, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(strangers_cannot_fill_the_log_with_failures, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(strangers_cannot_hide_a_refused_downgrade, setup, teardown),
        cmocka_unit_test_setup_teardown(the_operations_of_a_handshake_are_timed_by_algorithm, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(what_a_client_offered_is_counted_once_for_each_label, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(streams_add_up_by_who_opened_them, setup, teardown),
        cmocka_unit_test_setup_teardown(links_are_counted_while_they_live, setup, teardown),
        cmocka_unit_test_setup_teardown(a_link_without_authentication_is_counted_apart, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_full_listener_rejects_for_capacity, setup, teardown),
        cmocka_unit_test_setup_teardown(traffic_adds_up_by_direction, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
