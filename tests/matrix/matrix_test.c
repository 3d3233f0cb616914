/* Two ends of pqlink over real sockets, one link for each row of matrix.tsv: what both sides say of
 * it, and which counters move on each.
 * ctest labels: threads */
#include "test.h"

#include "echo.h"

#include "matrix/counters.h"
#include "matrix/middle.h"
#include "matrix/rows.h"
#include "observe/link_observer.h"
#include "seen.h"
#include "store/hybrid_marks.h"

#include <pqlink/link.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ALPN "pqlink-matrix/1"
/* A failed TLS handshake ends the connection with 0x100 + the alert (RFC 9001, 4.8). */
#define CRYPTO_ERROR UINT64_C(0x100)

/* One side of the links of a row: its registry lives as long as the row, its context as long as a
 * policy. */
typedef struct side {
    pthread_mutex_t lock;
    pthread_cond_t change;
    pql_context *ctx;
    pqi_metrics *registry;
    pqi_pq_metrics *metrics;
    counters before, after;
    /* Of the last link: */
    unsigned ended;
    bool opened;
    pql_posture posture;
    pql_close why;
} side;

static pql_identity *identity;
static pql_fingerprint pin;
static middle *between;
static const uint8_t secret[32] = {42};
static row rows[ROWS_MAX];
static side client, server;
static pqi_hybrid_marks *marks; /* the client's memory; NULL: it has none */

/* ---- what the sides hear ---- */

static void on_handshake(const pql_link_info *link, const pql_close *failure, void *user)
{
    side *s = user;
    const pql_observer counting = pqi_link_observer(s->metrics);
    counting.handshake(link, failure, counting.user);
    if (failure != NULL) {
        SEEN(s, s->why = *failure; s->ended++);
    } else {
        SEEN(s, s->opened = true; s->posture = *link->posture);
    }
}

static void on_link_change(const pql_link_info *link, const pql_close *why, void *user)
{
    side *s = user;
    const pql_observer counting = pqi_link_observer(s->metrics);
    counting.link_change(link, why, counting.user);
    if (why != NULL) {
        SEEN(s, s->why = *why; s->ended++);
    }
}

static void on_reject(const char *reason, void *user)
{
    const side *s = user;
    const pql_observer counting = pqi_link_observer(s->metrics);
    counting.reject(reason, counting.user);
}

static void on_strangers(uint64_t retries, uint64_t resets, uint64_t version_negotiations,
                         void *user)
{
    const side *s = user;
    const pql_observer counting = pqi_link_observer(s->metrics);
    counting.strangers(retries, resets, version_negotiations, counting.user);
}

static pql_observer observer_of(side *s)
{
    return (pql_observer){.handshake = on_handshake,
                          .link_change = on_link_change,
                          .reject = on_reject,
                          .strangers = on_strangers,
                          .user = s};
}

static void client_open(pql_link *link, void *user)
{
    (void)user;
    echo_ask(link);
}

/* The echo: what the server sends after the handshake, its tickets too, has come before it. */
/* ---- the sides ---- */

static void side_begin(side *s)
{
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    s->ctx = NULL;
    assert_int_equal(pqi_metrics_new(&s->registry, NULL), PQL_OK);
    assert_int_equal(pqi_pq_metrics_new(&s->metrics, s->registry, NULL, NULL), PQL_OK);
}

static void side_end(side *s)
{
    pql_context_free(s->ctx);
    pqi_pq_metrics_free(s->metrics);
    pqi_metrics_free(s->registry);
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
}

static void side_forget_link(side *s)
{
    s->ended = 0;
    s->opened = false;
    memset(&s->posture, 0, sizeof(s->posture));
    memset(&s->why, 0, sizeof(s->why));
}

static uint16_t start_server(pql_policy policy)
{
    static const pql_handlers handlers = {.stream_data = echo_data};
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_context_opts opts = {.identity = identity,
                                   .policy = policy,
                                   .workers = 1,
                                   .secret = secret,
                                   .observer = observer_of(&server)};
    const pql_listen_opts listen = {
        .alpn = &alpn, .alpn_count = 1, .handlers = &handlers, .tickets = true};
    pql_listener *listener = NULL;
    assert_int_equal(pql_context_new(&server.ctx, &opts, NULL), PQL_OK);
    assert_int_equal(pql_listen(server.ctx, "quic://127.0.0.1:0", &listen, &listener, NULL),
                     PQL_OK);
    return pql_listener_port(listener);
}

static void start_client(pql_policy policy)
{
    const pql_hybrid_memory memory = pqi_hybrid_marks_memory(marks);
    const pql_context_opts opts = {.policy = policy,
                                   .workers = 1,
                                   .memory = marks != NULL ? &memory : NULL,
                                   .observer = observer_of(&client)};
    assert_int_equal(pql_context_new(&client.ctx, &opts, NULL), PQL_OK);
}

/* One link, from its beginning to its end on both sides. */
static void link_once(void)
{
    static const pql_handlers handlers = {.link_open = client_open, .stream_data = echo_answered};
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &handlers, .resume = marks == NULL};
    char url[64];
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)middle_port(between));
    side_forget_link(&client);
    side_forget_link(&server);
    assert_int_equal(pql_connect(client.ctx, url, &peer, &opts, NULL, NULL), PQL_OK);
    WAIT_UNTIL(&client, client.ended > 0);
    WAIT_UNTIL(&server, server.ended > 0);
}

/* ---- what has to come of it ---- */

static void compare(const row *r, row_column column, const char *what, const char *seen)
{
    if (strcmp(r->column[column], seen) != 0) {
        fail_msg("%s: the table says '%s', and it is '%s'", what, r->column[column], seen);
    }
}

static const char *result_of(const side *s)
{
    if (!s->opened) {
        return "refused";
    }
    return s->posture.resumed ? "resumed" : "full";
}

/* Who sent the alert, and which. */
static void compare_alert(const row *r)
{
    char alert[16] = "-";
    const side *sender = client.why.by_peer ? &server : &client;
    const bool alerted = !client.opened && !client.why.application;
    assert_int_equal(client.why.code, server.why.code);
    assert_false(sender->why.by_peer);
    if (alerted) {
        (void)snprintf(alert, sizeof(alert), "%u", (unsigned)(sender->why.code - CRYPTO_ERROR));
    }
    compare(r, ROW_ALERT, "alert", alert);
    compare(r, ROW_BY, "refused by", !alerted ? "-" : sender == &server ? "server" : "client");
}

static void compare_open(const row *r, const side *s, row_column downgrade)
{
    const bool refused = !s->opened;
    compare(r, ROW_RESULT, "result", result_of(s));
    compare(r, ROW_GROUP, "group", refused ? "-" : pql_group_name(s->posture.group));
    compare(r, downgrade, "downgrade", refused ? "-" : pql_downgrade_name(s->posture.downgrade));
    assert_false(s->posture.early_data);
}

static void compare_counters(const row *r, side *s, row_column column, const char *what)
{
    char moved[ROW_TEXT_MAX];
    pql_context_free(s->ctx); /* nothing moves any more */
    s->ctx = NULL;
    counters_take(&s->after, s->registry);
    counters_moved(&s->before, &s->after, moved, sizeof(moved));
    compare(r, column, what, moved);
}

/* What the server counts of the client's offers follows from the client's policy alone. */
static void compare_offers(const row *r)
{
    char wanted[ROW_TEXT_MAX];
    char offered[ROW_TEXT_MAX];
    assert_int_equal(rows_offers(MATRIX_OFFERS, r->column[ROW_CLIENT], wanted, sizeof(wanted)),
                     PQL_OK);
    counters_offered(&server.before, &server.after, offered, sizeof(offered));
    assert_string_equal(offered, wanted);
}

static int begin_row(void **state)
{
    const row *r = *state;
    if (r->memory) {
        assert_int_equal(pqi_hybrid_marks_open(&marks, NULL, NULL, NULL), PQL_OK);
    }
    side_begin(&client);
    side_begin(&server);
    return 0;
}

static int end_row(void **state)
{
    (void)state;
    side_end(&client);
    side_end(&server);
    pqi_hybrid_marks_free(marks);
    marks = NULL;
    return 0;
}

/* The link before; then both sides go over to the policies of the link that is looked at. */
static void make_link_before(const row *r)
{
    link_once();
    assert_int_equal(pql_context_set_policy(client.ctx, r->client, NULL), PQL_OK);
    assert_int_equal(pql_context_set_policy(server.ctx, r->server, NULL), PQL_OK);
}

static void both_sides_see_what_the_table_says(void **state)
{
    const row *r = *state;
    const unsigned put_in = middle_put_in(between);
    start_client(r->with_before ? r->client_before : r->client);
    const uint16_t port = start_server(r->with_before ? r->server_before : r->server);
    middle_set(between, port, false);
    if (r->with_before) {
        make_link_before(r);
    }
    middle_set(between, port, r->early_data);
    counters_take(&client.before, client.registry);
    counters_take(&server.before, server.registry);
    link_once();
    assert_int_equal(middle_put_in(between) - put_in, r->early_data ? EARLY_PACKETS : 0);
    compare_open(r, &client, ROW_CLIENT_DOWNGRADE);
    compare_open(r, &server, ROW_SERVER_DOWNGRADE);
    compare(r, ROW_CLIENT_STATUS, "the client's status", pql_status_name(client.why.status));
    compare(r, ROW_SERVER_STATUS, "the server's status", pql_status_name(server.why.status));
    compare_alert(r);
    compare_counters(r, &client, ROW_CLIENT_COUNTERS, "the client's counters");
    compare_counters(r, &server, ROW_SERVER_COUNTERS, "the server's counters");
    compare_offers(r);
}

static int set_up(void **state)
{
    (void)state;
    between = middle_new();
    if (between == NULL || pql_identity_ephemeral(&identity, NULL, NULL) != PQL_OK) {
        return -1;
    }
    pql_identity_fingerprint(identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pql_identity_free(identity);
    middle_free(between);
    return 0;
}

int main(void)
{
    static struct CMUnitTest tests[ROWS_MAX];
    pql_error err = {0};
    size_t count = 0;
    if (rows_read(MATRIX_TABLE, rows, &count, &err) != PQL_OK) {
        (void)fprintf(stderr, "%s\n", err.message);
        return 1;
    }
    for (size_t i = 0; i < count; i++) {
        tests[i] = (struct CMUnitTest){.name = rows[i].name,
                                       .test_func = both_sides_see_what_the_table_says,
                                       .setup_func = begin_row,
                                       .teardown_func = end_row,
                                       .initial_state = &rows[i]};
    }
    return _cmocka_run_group_tests("matrix", tests, count, set_up, tear_down);
}
