/* Pinned peers that had ML-KEM once and come without it, over real sockets, in both roles.
 * ctest labels: threads */
#include "test.h"

#include "echo.h"

#include "observe/link_observer.h"
#include "seen.h"
#include "store/hybrid_marks.h"

#include <pqlink/link.h>

#include <stdio.h>
#include <string.h>

#define ALPN "pqlink-test/1"

static pql_identity *server_identity;
static pql_identity *client_identity;
static pql_fingerprint server_pin;
static pql_fingerprint client_pin;

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned opened, closed;
    pql_close why;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

/* One side: its policy, and what it remembers and counts. */
typedef struct side {
    pqi_metrics *registry;
    pqi_pq_metrics *metrics;
    pqi_hybrid_marks *marks;
} side;

static void client_open(pql_link *link, void *user)
{
    (void)user;
    SEEN(&seen, seen.opened++);
    /* The answer comes when the server has let the client in. */
    echo_ask(link);
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    SEEN(&seen, seen.closed++; seen.why = *why);
}

static const pql_handlers server_handlers = {.stream_data = echo_data};
static const pql_handlers client_handlers = {
    .link_open = client_open, .link_close = client_close, .stream_data = echo_answered};

static int set_up(void **state)
{
    (void)state;
    if (pql_identity_ephemeral(&server_identity, NULL, NULL) != PQL_OK ||
        pql_identity_ephemeral(&client_identity, NULL, NULL) != PQL_OK) {
        return -1;
    }
    pql_identity_fingerprint(server_identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &server_pin);
    pql_identity_fingerprint(client_identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &client_pin);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pql_identity_free(server_identity);
    pql_identity_free(client_identity);
    return 0;
}

static void side_open(side *s)
{
    assert_int_equal(pqi_metrics_new(&s->registry, NULL), PQL_OK);
    assert_int_equal(pqi_pq_metrics_new(&s->metrics, s->registry, NULL, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_open(&s->marks, NULL, NULL, NULL), PQL_OK);
}

static void side_close(side *s)
{
    pqi_hybrid_marks_free(s->marks);
    pqi_pq_metrics_free(s->metrics);
    pqi_metrics_free(s->registry);
}

static bool counted_remembered(const side *s)
{
    pqi_buf text = {0};
    assert_int_equal(pqi_metrics_write(s->registry, PQI_METRICS_PROMETHEUS, &text, NULL), PQL_OK);
    assert_true(pqi_buf_append(&text, "", 1));
    const bool counted = strstr((const char *)text.data,
                                "pq_downgrade_events_total{from=\"hybrid\",to=\"classical\","
                                "reason=\"remembered\"} 1\n") != NULL;
    pqi_buf_free(&text);
    return counted;
}

/* A mutual link between ends of these policies; how it ended is in |seen|. */
static void link_once(const side *server, pql_policy server_policy, const side *client,
                      pql_policy client_policy)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    char url[64];
    const pql_hybrid_memory server_memory = pqi_hybrid_marks_memory(server->marks);
    const pql_hybrid_memory client_memory = pqi_hybrid_marks_memory(client->marks);
    const pql_peer clients = {.pins = &client_pin, .pin_count = 1};
    const pql_peer peer = {.pins = &server_pin, .pin_count = 1};
    const pql_context_opts server_opts = {.identity = server_identity,
                                          .workers = 2,
                                          .policy = server_policy,
                                          .memory = &server_memory,
                                          .observer = pqi_link_observer(server->metrics)};
    const pql_context_opts client_opts = {.workers = 1,
                                          .policy = client_policy,
                                          .memory = &client_memory,
                                          .observer = pqi_link_observer(client->metrics)};
    const pql_listen_opts listen = {
        .alpn = &alpn, .alpn_count = 1, .clients = &clients, .handlers = &server_handlers};
    const pql_connect_opts connect = {
        .alpn = ALPN, .identity = client_identity, .handlers = &client_handlers};
    pql_context *server_ctx = NULL;
    pql_context *client_ctx = NULL;
    pql_listener *listener = NULL;
    SEEN(&seen, seen.opened = 0; seen.closed = 0);
    assert_int_equal(pql_context_new(&server_ctx, &server_opts, NULL), PQL_OK);
    assert_int_equal(pql_context_new(&client_ctx, &client_opts, NULL), PQL_OK);
    assert_int_equal(pql_listen(server_ctx, "quic://127.0.0.1:0", &listen, &listener, NULL),
                     PQL_OK);
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)pql_listener_port(listener));
    assert_int_equal(pql_connect(client_ctx, url, &peer, &connect, NULL, NULL), PQL_OK);
    WAIT_UNTIL(&seen, seen.closed == 1);
    pql_context_free(client_ctx);
    pql_context_free(server_ctx);
}

static void a_client_refuses_a_pinned_server_that_lost_its_ml_kem(void **state)
{
    (void)state;
    side server = {0};
    side client = {0};
    side_open(&server);
    side_open(&client);
    link_once(&server, PQL_POLICY_HYBRID, &client, PQL_POLICY_HYBRID);
    assert_int_equal(seen.why.status, PQL_OK);

    link_once(&server, PQL_POLICY_OFF, &client, PQL_POLICY_HYBRID);
    assert_int_equal(seen.opened, 0);
    assert_int_equal(seen.why.status, PQL_E_POLICY);
    assert_int_equal(seen.why.code, 0x100 + 71); /* RFC 9001, 4.8: insufficient_security */
    assert_non_null(strstr(seen.why.reason, "forget"));
    assert_true(counted_remembered(&client));
    assert_false(counted_remembered(&server)); /* its own policy is off */

    assert_int_equal(pqi_hybrid_marks_forget(client.marks, server_pin.sha256, NULL), PQL_OK);
    link_once(&server, PQL_POLICY_OFF, &client, PQL_POLICY_HYBRID);
    assert_int_equal(seen.why.status, PQL_OK);
    side_close(&server);
    side_close(&client);
}

static void a_server_refuses_a_pinned_client_that_lost_its_ml_kem(void **state)
{
    (void)state;
    side server = {0};
    side client = {0};
    side_open(&server);
    side_open(&client);
    link_once(&server, PQL_POLICY_HYBRID, &client, PQL_POLICY_HYBRID);
    assert_int_equal(seen.why.status, PQL_OK);

    link_once(&server, PQL_POLICY_HYBRID, &client, PQL_POLICY_OFF);
    assert_true(seen.why.by_peer);
    assert_int_equal(seen.why.code, 0x100 + 71);
    assert_true(counted_remembered(&server));
    assert_false(counted_remembered(&client));
    side_close(&server);
    side_close(&client);
}

static void switching_the_own_policy_off_needs_nothing_to_be_forgotten(void **state)
{
    (void)state;
    side server = {0};
    side client = {0};
    side_open(&server);
    side_open(&client);
    link_once(&server, PQL_POLICY_HYBRID, &client, PQL_POLICY_HYBRID);
    link_once(&server, PQL_POLICY_OFF, &client, PQL_POLICY_OFF);
    assert_int_equal(seen.why.status, PQL_OK);
    assert_int_equal(seen.opened, 1);
    side_close(&server);
    side_close(&client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_refuses_a_pinned_server_that_lost_its_ml_kem),
        cmocka_unit_test(a_server_refuses_a_pinned_client_that_lost_its_ml_kem),
        cmocka_unit_test(switching_the_own_policy_off_needs_nothing_to_be_forgotten),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
