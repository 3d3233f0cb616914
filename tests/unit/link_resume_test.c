/* Resumption over real sockets, through the public interface.
 * ctest labels: threads */
#include "test.h"

#include "echo.h"
#include "one_identity.h"

#include <pqlink/link.h>

#include <pthread.h>
#include <stdio.h>
#include <string.h>

#define ALPN "pqlink-test/1"
/* A ticket comes before the echo, unless the network drops it: then the next link brings one. */
#define TRIES 20

static const uint8_t secret[32] = {42};

static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned closed;
    pql_posture posture;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void client_open(pql_link *link, void *user)
{
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.posture = *pql_link_posture(link);
    pthread_mutex_unlock(&seen.lock);
    echo_ask(link);
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)why;
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.closed++;
    pthread_cond_broadcast(&seen.change);
    pthread_mutex_unlock(&seen.lock);
}

static const pql_handlers server_handlers = {.stream_data = echo_data};
static const pql_handlers client_handlers = {
    .link_open = client_open, .link_close = client_close, .stream_data = echo_answered};

/* A node with four workers: its tickets open on each. */
static pql_context *new_server(bool tickets, uint16_t *port)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_context_opts opts = {.identity = identity, .workers = 4, .secret = secret};
    const pql_listen_opts listen = {
        .alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers, .tickets = tickets};
    pql_context *ctx = NULL;
    pql_listener *listener = NULL;
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    assert_int_equal(pql_listen(ctx, "quic://127.0.0.1:0", &listen, &listener, NULL), PQL_OK);
    *port = pql_listener_port(listener);
    return ctx;
}

/* One link from its open to its close; true when it was resumed. */
static bool link_once(pql_context *ctx, uint16_t port, bool resume)
{
    char url[64];
    const pql_peer peer = {.pins = &pin, .pin_count = 1};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &client_handlers, .resume = resume};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    pthread_mutex_lock(&seen.lock);
    seen.closed = 0;
    memset(&seen.posture, 0, sizeof(seen.posture));
    pthread_mutex_unlock(&seen.lock);
    assert_int_equal(pql_connect(ctx, url, &peer, &opts, NULL, NULL), PQL_OK);
    pthread_mutex_lock(&seen.lock);
    while (seen.closed == 0) {
        pthread_cond_wait(&seen.change, &seen.lock);
    }
    const bool resumed = seen.posture.resumed;
    pthread_mutex_unlock(&seen.lock);
    assert_true(seen.posture.pq_key_exchange);
    assert_int_equal(seen.posture.trust, PQL_TRUST_PIN);
    return resumed;
}

static bool any_resumed(pql_context *ctx, uint16_t port, bool resume)
{
    bool resumed = false;
    for (unsigned i = 0; i < TRIES && !resumed; i++) {
        resumed = link_once(ctx, port, resume);
    }
    return resumed;
}

static pql_context *new_client(void)
{
    const pql_context_opts opts = {.workers = 2};
    pql_context *ctx = NULL;
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    return ctx;
}

static void a_client_that_asks_for_it_resumes_on_any_worker(void **state)
{
    (void)state;
    uint16_t port = 0;
    pql_context *server = new_server(true, &port);
    pql_context *client = new_client();
    assert_false(link_once(client, port, true)); /* there is nothing to resume yet */
    assert_true(any_resumed(client, port, true));
    pql_context_free(client);
    pql_context_free(server);
}

static void nothing_is_resumed_by_default(void **state)
{
    (void)state;
    uint16_t port = 0;
    pql_context *giving = new_server(true, &port);
    pql_context *client = new_client();
    assert_false(any_resumed(client, port, false));
    pql_context_free(giving);
    pql_context *silent = new_server(false, &port);
    assert_false(any_resumed(client, port, true));
    pql_context_free(client);
    pql_context_free(silent);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_asks_for_it_resumes_on_any_worker),
        cmocka_unit_test(nothing_is_resumed_by_default),
    };
    return cmocka_run_group_tests(tests, identity_set_up, identity_tear_down);
}
