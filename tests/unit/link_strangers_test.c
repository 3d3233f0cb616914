/* What a listener asks of strangers, over real sockets on loopback.
 * ctest labels: threads */
#include "test.h"

#include "echo.h"
#include "one_identity.h"

#include "seen.h"

#include "base/clock.h"
#include "crypto/random.h"
#include "link/internal.h"

#include <pqlink/link.h>

#include <netinet/in.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define ALPN "test/1"
#define DATAGRAM_MAX 1500
/* A ClientHello with ML-KEM. */
#define HELLO_DATAGRAMS 2
/* RFC 9000, 17.2: the type of a long header. */
#define LONG_TYPE 0x30
#define RETRY_TYPE 0x30

/* What handlers and observers count; waited for with a condition, never with a sleep. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned opened, closed, answered, server_opened, server_closed, address_rejects;
    uint64_t retries;
    pql_close last_close;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void seen_reset(void)
{
    SEEN(&seen,
         seen.opened = seen.closed = seen.answered = seen.server_opened = seen.server_closed = 0;
         seen.address_rejects = 0; seen.retries = 0);
}

static void server_open(pql_link *link, void *user)
{
    (void)link;
    (void)user;
    SEEN(&seen, seen.server_opened++);
}

static void server_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)why;
    (void)user;
    SEEN(&seen, seen.server_closed++);
}

/* One byte goes there and back, so that all that the server says first has come. */
static void client_open(pql_link *link, void *user)
{
    pql_stream *stream = NULL;
    (void)user;
    if (pql_stream_open(link, &stream, NULL) == PQL_OK) {
        (void)pql_stream_write(stream, "x", 1, false);
    }
    SEEN(&seen, seen.opened++);
}

static void client_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)stream;
    (void)data;
    (void)len;
    (void)fin;
    (void)user;
    SEEN(&seen, seen.answered++);
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    SEEN(&seen, seen.closed++; seen.last_close = *why);
}

static const pql_handlers server_handlers = {
    .link_open = server_open, .link_close = server_close, .stream_data = echo_data};
static const pql_handlers client_handlers = {
    .link_open = client_open, .link_close = client_close, .stream_data = client_data};

static void on_strangers(uint64_t retries, uint64_t resets, uint64_t negotiations, void *user)
{
    (void)resets;
    (void)negotiations;
    (void)user;
    SEEN(&seen, seen.retries += retries);
}

static void on_reject(const char *reason, void *user)
{
    (void)user;
    SEEN(&seen, seen.address_rejects += strcmp(reason, "address") == 0 ? 1 : 0);
}

static pql_context *new_server(uint16_t *port, unsigned retry_threshold, unsigned max_links)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_listen_opts listen = {.alpn = &alpn,
                                    .alpn_count = 1,
                                    .handlers = &server_handlers,
                                    .retry_threshold = retry_threshold,
                                    .max_links_per_address = max_links};
    const pql_context_opts opts = {.identity = identity,
                                   .workers = 1,
                                   .observer = {.strangers = on_strangers, .reject = on_reject}};
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    assert_int_equal(pql_listen(ctx, "quic://127.0.0.1:0", &listen, &listener, NULL), PQL_OK);
    *port = pql_listener_port(listener);
    return ctx;
}

static pql_context *new_client(void)
{
    const pql_context_opts opts = {.workers = 1};
    pql_context *ctx = NULL;
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    return ctx;
}

static pql_link *connect_with(pql_context *ctx, uint16_t port, bool no_token)
{
    char url[64];
    pql_link *link = NULL;
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts opts = {
        .alpn = ALPN, .handlers = &client_handlers, .no_token = no_token};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(pql_connect(ctx, url, &peer, &opts, &link, NULL), PQL_OK);
    return link;
}

static pql_link *connect_to(pql_context *ctx, uint16_t port)
{
    return connect_with(ctx, port, false);
}

/* The first flight of a client that will never say more. */
static struct {
    int fd;
} stranger;

static bool send_raw(void *user, const pqi_datagrams *run)
{
    (void)user;
    for (size_t at = 0; at < run->len; at += run->segment) {
        const size_t left = run->len - at;
        (void)send(stranger.fd, run->data + at, left < run->segment ? left : run->segment, 0);
    }
    return true;
}

static bool never(void *user)
{
    (void)user;
    return false;
}

static void random_bytes(void *user, uint8_t *out, size_t len)
{
    (void)user;
    pqi_random(out, len);
}

/* Leaves a half-open handshake at the server, unless it asks for a proof because it has one: there
 * is one on return, and what the server counted has been heard of. */
static void come_as_a_stranger(uint16_t port)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    static const pql_peer anybody = {.insecure = true};
    const pqi_quic_tls_opts tls_opts = {.alpn = &alpn, .alpn_count = 1, .peer = &anybody};
    pqi_quic_endpoint_opts opts = {
        .io = {.send = send_raw, .blocked = never, .random = random_bytes},
        .workers = 1,
        .max_streams = 1,
        .idle_timeout = PQI_NS_PER_SEC,
        .handshake_timeout = PQI_NS_PER_SEC};
    pqi_quic_tls *tls = NULL;
    pqi_quic_conn *conn = NULL;
    pqi_address remote;
    uint8_t answer[DATAGRAM_MAX];
    const uint64_t before = seen.retries;
    assert_true(pqi_address_from_literal(&remote, "127.0.0.1", port));
    stranger.fd = socket(AF_INET, SOCK_DGRAM, 0);
    assert_int_equal(connect(stranger.fd, &remote.sa.any, remote.len), 0);
    assert_int_equal(pqi_quic_tls_new(&tls, &tls_opts, NULL), PQL_OK);
    opts.tls = tls;
    pqi_quic_endpoint *client = pqi_quic_endpoint_new(&opts);
    const uint64_t now = pqi_clock_monotonic();
    assert_int_equal(pqi_quic_endpoint_connect(client, &remote, &remote, "h.example", "h.example:1",
                                               &pqi_link_events, NULL, now, &conn, NULL),
                     PQL_OK);
    pqi_quic_endpoint_flush(client, now);
    assert_true(recv(stranger.fd, answer, sizeof(answer), 0) > 0);
    pqi_quic_endpoint_free(client);
    pqi_quic_tls_free(tls);
    (void)close(stranger.fd);
    if ((answer[0] & LONG_TYPE) == RETRY_TYPE) {
        WAIT_UNTIL(&seen, seen.retries >= before + HELLO_DATAGRAMS); /* one for each */
    }
}

static void from_the_threshold_on_an_address_has_to_be_proven_unless_a_token_does(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server(&port, 1, 0);
    pql_context *known = new_client();
    pql_context *unknown = new_client();
    come_as_a_stranger(port);
    pql_link_unref(connect_to(known, port));
    WAIT_UNTIL(&seen, seen.answered == 1 && seen.retries >= 1);
    uint64_t before = seen.retries;
    pql_link_unref(connect_to(known, port)); /* with the token that the first link brought */
    WAIT_UNTIL(&seen, seen.answered == 2);
    assert_int_equal(seen.retries, before);
    come_as_a_stranger(port);
    before = seen.retries;
    pql_link_unref(connect_with(known, port, true));
    WAIT_UNTIL(&seen, seen.answered == 3 && seen.retries > before);
    come_as_a_stranger(port);
    before = seen.retries;
    pql_link_unref(connect_to(unknown, port));
    WAIT_UNTIL(&seen, seen.answered == 4 && seen.retries > before);
    assert_int_equal(seen.closed, 0);
    pql_context_free(unknown);
    pql_context_free(known);
    pql_context_free(server);
}

static void close_it(pql_link *link, void *arg)
{
    (void)arg;
    pql_link_close(link, 0, "done");
}

static void an_address_has_no_more_links_than_the_listener_allows(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server(&port, 0, 2);
    pql_context *client = new_client();
    pql_link *first = connect_to(client, port);
    pql_link_unref(connect_to(client, port));
    WAIT_UNTIL(&seen, seen.server_opened == 2 && seen.opened == 2);
    pql_link_unref(connect_to(client, port));
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.last_close.status, PQL_E_REFUSED);
    WAIT_UNTIL(&seen, seen.address_rejects >= 1);
    /* One that goes makes room for another. */
    assert_int_equal(pql_link_run(first, close_it, NULL), PQL_OK);
    pql_link_unref(first);
    WAIT_UNTIL(&seen, seen.closed == 2 && seen.server_closed == 1);
    pql_link_unref(connect_to(client, port));
    WAIT_UNTIL(&seen, seen.opened == 3 && seen.server_opened == 3);
    pql_context_free(client);
    pql_context_free(server);
}

static void links_that_open_together_do_not_pass_the_limit(void **state)
{
    (void)state;
    enum { TRIES = 20, LIMIT = 3 };
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server(&port, 0, LIMIT);
    pql_context *client = new_client();
    for (unsigned i = 0; i < TRIES; i++) {
        pql_link_unref(connect_to(client, port));
    }
    WAIT_UNTIL(&seen, seen.closed == TRIES - LIMIT);
    assert_int_equal(seen.server_opened, LIMIT);
    pql_context_free(client);
    pql_context_free(server);
}

static void a_first_flight_is_sent_four_times_at_most(void **state)
{
    (void)state;
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    pql_connect_opts opts = {.alpn = ALPN, .handlers = &client_handlers, .first_flight_copies = 5};
    pql_context *client = new_client();
    assert_int_equal(pql_connect(client, "quic://127.0.0.1:1", &peer, &opts, NULL, NULL),
                     PQL_E_USAGE);
    pql_context_free(client);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(from_the_threshold_on_an_address_has_to_be_proven_unless_a_token_does),
        cmocka_unit_test(an_address_has_no_more_links_than_the_listener_allows),
        cmocka_unit_test(links_that_open_together_do_not_pass_the_limit),
        cmocka_unit_test(a_first_flight_is_sent_four_times_at_most),
    };
    return cmocka_run_group_tests(tests, identity_set_up, identity_tear_down);
}
