/* Links over real sockets on loopback: several workers, both directions, and the orderly end.
 * ctest labels: threads */
#include "test.h"

#include "echo.h"
#include "one_identity.h"

#include "seen.h"

#include "link/internal.h"

#include <pqlink/link.h>

#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#define ALPN "test/1"
#define LINKS 40
#define ECHO_BYTES 200000

/* What the handlers of both sides count; waited for with a condition, never with a sleep. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned opened, closed, server_opened, server_closed, echoed;
    unsigned workers_seen;
    bool order_ok;
    pql_close last_close;
    pql_posture posture;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void seen_reset(void)
{
    seen.opened = seen.closed = seen.server_opened = seen.server_closed = seen.echoed = 0;
    seen.workers_seen = 0;
    seen.order_ok = true;
}

static void server_open(pql_link *link, void *user)
{
    (void)user;
    SEEN(&seen, seen.server_opened++; seen.workers_seen |= 1u << pql_link_worker(link));
}

static void server_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)why;
    (void)user;
    SEEN(&seen, seen.server_closed++);
}

static const pql_handlers server_handlers = {
    .link_open = server_open, .link_close = server_close, .stream_data = echo_data};

static uint8_t byte_at(size_t place)
{
    return (uint8_t)(place * 7 + (place >> 9));
}

static void client_open(pql_link *link, void *user)
{
    static _Thread_local uint8_t bytes[ECHO_BYTES]; /* one for each worker */
    const bool echo = user != NULL;
    pql_stream *stream = NULL;
    for (size_t i = 0; i < sizeof(bytes); i++) {
        bytes[i] = byte_at(i);
    }
    if (echo && pql_stream_open(link, &stream, NULL) == PQL_OK) {
        (void)pql_stream_write(stream, bytes, sizeof(bytes), true);
    }
    SEEN(&seen, seen.opened++; seen.posture = *pql_link_posture(link));
}

static void client_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)user;
    size_t place = (size_t)(uintptr_t)pql_stream_data(stream);
    bool ok = true;
    for (size_t i = 0; i < len; i++) {
        ok = ok && data[i] == byte_at(place + i);
    }
    place += len;
    pql_stream_set_data(stream, (void *)(uintptr_t)place);
    SEEN(&seen, seen.order_ok = seen.order_ok && ok);
    if (fin) {
        SEEN(&seen, seen.echoed += place == ECHO_BYTES ? 1 : 0);
        pql_link_close(pql_stream_link(stream), 0, "done");
    }
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    SEEN(&seen, seen.closed++; seen.last_close = *why);
}

static const pql_handlers client_handlers = {
    .link_open = client_open, .link_close = client_close, .stream_data = client_data};

static pql_context *new_server(const char *url, uint16_t *port, unsigned workers)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_listen_opts listen = {.alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers};
    const pql_context_opts opts = {.identity = identity, .workers = workers};
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    pql_error err;
    assert_int_equal(pql_context_new(&ctx, &opts, &err), PQL_OK);
    assert_int_equal(pql_listen(ctx, url, &listen, &listener, &err), PQL_OK);
    *port = pql_listener_port(listener);
    return ctx;
}

static pql_context *new_client(void)
{
    const pql_context_opts opts = {.workers = 2};
    pql_context *ctx = NULL;
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    return ctx;
}

static void connect_to(pql_context *ctx, const char *host, uint16_t port,
                       const pql_fingerprint *expected, void *user)
{
    char url[64];
    const pql_peer peer = {.pins = expected, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &client_handlers, .user = user};
    pql_error err;
    (void)snprintf(url, sizeof(url), "quic://%s:%u", host, (unsigned)port);
    assert_int_equal(pql_connect(ctx, url, &peer, &opts, NULL, &err), PQL_OK);
}

static void many_links_are_echoed_by_all_workers(void **state)
{
    (void)state;
    uint16_t port = 0;
    int echo = 1;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 4);
    pql_context *client = new_client();
    for (unsigned i = 0; i < LINKS; i++) {
        connect_to(client, "127.0.0.1", port, &pin, &echo);
    }
    WAIT_UNTIL(&seen, seen.closed == LINKS && seen.server_closed == LINKS);
    assert_int_equal(seen.opened, LINKS);
    assert_int_equal(seen.echoed, LINKS);
    assert_true(seen.order_ok);
    /* Forty random connection IDs that all fall on one of four workers: one in 4^39. */
    assert_true((seen.workers_seen & (seen.workers_seen - 1)) != 0);
    assert_int_equal(seen.posture.group, 0x11ec);
    assert_int_equal(seen.posture.peer_signature, 0x0906);
    assert_true(seen.posture.handshake_ns > 0);
    assert_true(seen.posture.kex_ns > 0 && seen.posture.verify_ns > 0);
    assert_true(seen.posture.kex_ns + seen.posture.verify_ns < seen.posture.handshake_ns);
    pql_context_free(client);
    pql_context_free(server);
}

static void names_and_ipv6_are_connected_to(void **state)
{
    (void)state;
    uint16_t port = 0;
    int echo = 1;
    seen_reset();
    pql_context *client = new_client();
    pql_context *v4 = new_server("quic://127.0.0.1:0", &port, 1);
    connect_to(client, "localhost", port, &pin, &echo);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.echoed, 1);
    pql_context_free(v4);
    pql_context *v6 = new_server("quic://[::1]:0", &port, 1);
    connect_to(client, "[::1]", port, &pin, &echo);
    WAIT_UNTIL(&seen, seen.closed == 2);
    assert_int_equal(seen.echoed, 2);
    pql_context_free(v6);
    pql_context_free(client);
}

static void the_second_address_of_a_name_is_tried_when_the_first_is_refused(void **state)
{
    (void)state;
    uint16_t port = 0;
    int echo = 1;
    seen_reset();
    pql_context *client = new_client();
    pql_context *v6 = new_server("quic://[::1]:0", &port, 1);
    connect_to(client, "localhost", port, &pin, &echo); /* 127.0.0.1 first */
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.echoed, 1);
    pql_context_free(client);
    pql_context_free(v6);
}

static void a_name_all_of_whose_addresses_are_refused_is_a_network_error(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context_free(new_server("quic://127.0.0.1:0", &port, 1));
    pql_context *client = new_client();
    connect_to(client, "localhost", port, &pin, NULL);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.last_close.status, PQL_E_NETWORK);
    pql_context_free(client);
}

static void a_wrong_pin_closes_with_a_trust_error(void **state)
{
    (void)state;
    uint16_t port = 0;
    pql_fingerprint wrong = pin;
    wrong.sha256[31] ^= 1;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 1);
    pql_context *client = new_client();
    connect_to(client, "127.0.0.1", port, &wrong, NULL);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.opened, 0);
    assert_int_equal(seen.last_close.status, PQL_E_TRUST);
    pql_context_free(client);
    pql_context_free(server);
}

static void nobody_listening_is_a_network_error(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context_free(new_server("quic://127.0.0.1:0", &port, 1));
    pql_context *client = new_client();
    connect_to(client, "127.0.0.1", port, &pin, NULL);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.last_close.status, PQL_E_NETWORK);
    pql_context_free(client);
}

static void a_name_that_does_not_exist_is_a_network_error(void **state)
{
    (void)state;
    seen_reset();
    pql_context *client = new_client();
    connect_to(client, "no-such-host.invalid", 9833, &pin, NULL);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.last_close.status, PQL_E_NETWORK);
    pql_context_free(client);
}

static void freeing_a_context_closes_its_links_once_each(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 2);
    pql_context *client = new_client();
    for (unsigned i = 0; i < LINKS; i++) {
        connect_to(client, "127.0.0.1", port, &pin, NULL);
    }
    WAIT_UNTIL(&seen, seen.opened == LINKS && seen.server_opened == LINKS);
    pql_context_free(server);
    assert_int_equal(seen.server_closed, LINKS);
    WAIT_UNTIL(&seen, seen.closed == LINKS);
    assert_int_equal(seen.last_close.status, PQL_OK);
    assert_true(seen.last_close.by_peer);
    pql_context_free(client);
    assert_int_equal(seen.closed, LINKS);
}

static void a_port_in_use_is_refused(void **state)
{
    (void)state;
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_listen_opts listen = {.alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers};
    const pql_context_opts opts = {.identity = identity, .workers = 1};
    uint16_t port = 0;
    char url[64];
    pql_context *second = NULL;
    pql_error err;
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 1);
    assert_int_equal(pql_context_new(&second, &opts, NULL), PQL_OK);
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(pql_listen(second, url, &listen, NULL, &err), PQL_E_NETWORK);
    assert_non_null(strstr(err.message, "another program"));
    pql_context_free(second);
    pql_context_free(server);
}

static void bad_addresses_are_refused_with_a_sentence(void **state)
{
    (void)state;
    static const char *const bad[] = {"",
                                      "quic://",
                                      "quic://x",
                                      "quic://:1",
                                      "http://x:1",
                                      "quic://h:99999",
                                      "quic://[::1",
                                      "quic://[::1]",
                                      "quic://a b:1"};
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &client_handlers};
    pql_context *client = new_client();
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pql_error err;
        assert_int_equal(pql_connect(client, bad[i], &peer, &opts, NULL, &err), PQL_E_USAGE);
        assert_true(strlen(err.message) > 20);
    }
    pql_context_free(client);
}

static void a_drained_context_takes_no_new_links(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 1);
    pql_context *client = new_client();
    pql_context_drain(server, 0);
    connect_to(client, "127.0.0.1", port, &pin, NULL);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.last_close.status, PQL_E_REFUSED);
    pql_context_free(client);
    pql_context_free(server);
}

static void a_drain_closes_what_is_left_after_its_grace(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 2);
    pql_context *client = new_client();
    for (unsigned i = 0; i < 4; i++) {
        connect_to(client, "127.0.0.1", port, &pin, NULL);
    }
    WAIT_UNTIL(&seen, seen.opened == 4 && seen.server_opened == 4);
    pql_context_drain(server, 0);
    WAIT_UNTIL(&seen, seen.closed == 4 && seen.server_closed == 4);
    assert_int_equal(seen.last_close.status, PQL_OK);
    pql_context_free(client);
    pql_context_free(server);
}

static void close_in_open(pql_link *link, void *user)
{
    (void)user;
    pql_link_close(link, 3, NULL);
    pql_link_close(link, 4, "the first word counts");
    pql_stream *stream = NULL;
    SEEN(&seen, seen.opened++;
         seen.order_ok = pql_stream_open(link, &stream, NULL) == PQL_E_CLOSED);
}

static void a_link_may_be_closed_in_the_handler_that_opens_it(void **state)
{
    (void)state;
    static const pql_handlers handlers = {.link_open = close_in_open, .link_close = client_close};
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &handlers};
    uint16_t port = 0;
    char url[64];
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 1);
    pql_context *client = new_client();
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(pql_connect(client, url, &peer, &opts, NULL, NULL), PQL_OK);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.opened, 1);
    assert_true(seen.order_ok);
    assert_int_equal(seen.last_close.code, 3);
    pql_context_free(client);
    pql_context_free(server);
}

static void reset_in_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin, void *user)
{
    (void)data;
    (void)len;
    (void)fin;
    (void)user;
    pql_stream_reset(stream, 42);
    pql_stream_reset(stream, 43);
}

static void reset_in_close(pql_stream *stream, uint64_t code, void *user)
{
    (void)user;
    (void)pql_stream_write(stream, "x", 1, true);
    pql_stream_reset(stream, 44);
    SEEN(&seen, seen.echoed = (unsigned)code);
    pql_link_close(pql_stream_link(stream), 0, "done");
}

static void a_stream_may_be_reset_in_its_own_handlers(void **state)
{
    (void)state;
    static const pql_handlers handlers = {.link_open = client_open,
                                          .link_close = client_close,
                                          .stream_data = reset_in_data,
                                          .stream_close = reset_in_close};
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    int echo = 1;
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &handlers, .user = &echo};
    uint16_t port = 0;
    char url[64];
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 1);
    pql_context *client = new_client();
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(pql_connect(client, url, &peer, &opts, NULL, NULL), PQL_OK);
    WAIT_UNTIL(&seen, seen.closed == 1 && seen.server_closed == 1);
    assert_int_equal(seen.echoed, 42);
    pql_context_free(client);
    pql_context_free(server);
}

static void close_now(pql_link *link, void *arg)
{
    (void)arg;
    pql_link_close(link, 5, "changed my mind");
}

static void a_link_may_be_closed_while_its_name_is_looked_up(void **state)
{
    (void)state;
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &client_handlers};
    pql_link *link = NULL;
    seen_reset();
    pql_context *client = new_client();
    assert_int_equal(
        pql_connect(client, "quic://no-such-host.invalid:1", &peer, &opts, &link, NULL), PQL_OK);
    assert_int_equal(pql_link_run(link, close_now, NULL), PQL_OK);
    WAIT_UNTIL(&seen, seen.closed == 1);
    assert_int_equal(seen.opened, 0);
    pql_link_unref(link);
    pql_context_free(client);
    assert_int_equal(seen.closed, 1);
}

static void a_context_may_be_freed_while_names_are_looked_up_and_handshakes_run(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 2);
    pql_context *client = new_client();
    for (unsigned i = 0; i < 10; i++) {
        connect_to(client, "localhost", port, &pin, NULL);
        connect_to(client, "127.0.0.1", port, &pin, NULL);
        connect_to(client, "no-such-host.invalid", port, &pin, NULL);
    }
    pql_context_free(client);
    assert_int_equal(seen.closed, 30);
    pql_context_free(server);
}

/* Takes the steering program off the sockets of the listener on |port|, as on a kernel that has
 * none.
 */
static void stop_steering(uint16_t port)
{
    const int max_fd = 1024;
    for (int fd = 0; fd < max_fd; fd++) {
        struct sockaddr_in address;
        socklen_t len = sizeof(address);
        if (getsockname(fd, (struct sockaddr *)&address, &len) == 0 &&
            address.sin_family == AF_INET && ntohs(address.sin_port) == port) {
            int unused = 0;
            assert_int_equal(
                setsockopt(fd, SOL_SOCKET, SO_DETACH_REUSEPORT_BPF, &unused, sizeof(unused)), 0);
            return; /* it belongs to the whole group */
        }
    }
    fail();
}

static void echo_many(uint16_t port)
{
    int echo = 1;
    pql_context *client = new_client();
    for (unsigned i = 0; i < LINKS; i++) {
        connect_to(client, "127.0.0.1", port, &pin, &echo);
    }
    WAIT_UNTIL(&seen, seen.closed == LINKS && seen.server_closed == LINKS);
    assert_int_equal(seen.echoed, LINKS);
    assert_true(seen.order_ok);
    pql_context_free(client);
}

static void the_kernel_gives_every_datagram_to_its_worker(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 4);
    echo_many(port);
    assert_int_equal(atomic_load(&server->handed_over), 0);
    pql_context_free(server);
}

static void without_steering_datagrams_are_handed_over(void **state)
{
    (void)state;
    uint16_t port = 0;
    seen_reset();
    pql_context *server = new_server("quic://127.0.0.1:0", &port, 4);
    stop_steering(port);
    echo_many(port);
    assert_true(atomic_load(&server->handed_over) > 0);
    for (unsigned i = 0; i < 4; i++) {
        while (atomic_load(&server->workers[i].handed_over) != 0) {
            (void)
                sched_yield(); /* the last ones wait in a worker's queue; none may stay for good */
        }
    }
    pql_context_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(many_links_are_echoed_by_all_workers),
        cmocka_unit_test(names_and_ipv6_are_connected_to),
        cmocka_unit_test(the_second_address_of_a_name_is_tried_when_the_first_is_refused),
        cmocka_unit_test(a_name_all_of_whose_addresses_are_refused_is_a_network_error),
        cmocka_unit_test(a_wrong_pin_closes_with_a_trust_error),
        cmocka_unit_test(nobody_listening_is_a_network_error),
        cmocka_unit_test(a_name_that_does_not_exist_is_a_network_error),
        cmocka_unit_test(freeing_a_context_closes_its_links_once_each),
        cmocka_unit_test(a_port_in_use_is_refused),
        cmocka_unit_test(bad_addresses_are_refused_with_a_sentence),
        cmocka_unit_test(a_drained_context_takes_no_new_links),
        cmocka_unit_test(the_kernel_gives_every_datagram_to_its_worker),
        cmocka_unit_test(without_steering_datagrams_are_handed_over),
        cmocka_unit_test(a_drain_closes_what_is_left_after_its_grace),
        cmocka_unit_test(a_link_may_be_closed_in_the_handler_that_opens_it),
        cmocka_unit_test(a_stream_may_be_reset_in_its_own_handlers),
        cmocka_unit_test(a_link_may_be_closed_while_its_name_is_looked_up),
        cmocka_unit_test(a_context_may_be_freed_while_names_are_looked_up_and_handshakes_run),
    };
    return cmocka_run_group_tests(tests, identity_set_up, identity_tear_down);
}
