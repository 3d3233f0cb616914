/* Changing the identity of a context while clients connect, over real sockets.
 * ctest labels: threads */
#include "test.h"

#include <pqlink/link.h>

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#define ALPN "pqlink-test/1"
#define LINKS 60
#define CHANGES 40

static pql_identity *first, *second;
static pql_fingerprint pins[2];

/* What the handlers of the client count; waited for with a condition, never with a sleep. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t change;
    unsigned opened, closed;
    pql_fingerprint shown;
    pql_close last_close;
} seen = {.lock = PTHREAD_MUTEX_INITIALIZER, .change = PTHREAD_COND_INITIALIZER};

static void wait_closed(unsigned count)
{
    pthread_mutex_lock(&seen.lock);
    while (seen.closed < count) {
        pthread_cond_wait(&seen.change, &seen.lock);
    }
    pthread_mutex_unlock(&seen.lock);
}

static void client_open(pql_link *link, void *user)
{
    const bool stays = user != NULL;
    pql_fingerprint shown;
    assert_true(pql_link_peer_fingerprint(link, PQL_FINGERPRINT_CERT, &shown));
    pthread_mutex_lock(&seen.lock);
    seen.opened++;
    seen.shown = shown;
    pthread_cond_broadcast(&seen.change);
    pthread_mutex_unlock(&seen.lock);
    if (!stays) {
        pql_link_close(link, 0, "done");
    }
}

static void client_close(pql_link *link, const pql_close *why, void *user)
{
    (void)link;
    (void)user;
    pthread_mutex_lock(&seen.lock);
    seen.closed++;
    seen.last_close = *why;
    pthread_cond_broadcast(&seen.change);
    pthread_mutex_unlock(&seen.lock);
}

static const pql_handlers server_handlers = {.link_open = NULL};
static const pql_handlers client_handlers = {.link_open = client_open, .link_close = client_close};

static int set_up(void **state)
{
    (void)state;
    if (pql_identity_ephemeral(&first, NULL, NULL) != PQL_OK ||
        pql_identity_ephemeral(&second, NULL, NULL) != PQL_OK) {
        return -1;
    }
    pql_identity_fingerprint(first, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pins[0]);
    pql_identity_fingerprint(second, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pins[1]);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    pql_identity_free(first);
    pql_identity_free(second);
    return 0;
}

static pql_listener *listen_on(pql_context *ctx)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pql_listen_opts opts = {.alpn = &alpn, .alpn_count = 1, .handlers = &server_handlers};
    pql_listener *listener = NULL;
    assert_int_equal(pql_listen(ctx, "quic://127.0.0.1:0", &opts, &listener, NULL), PQL_OK);
    return listener;
}

static pql_context *new_context(pql_identity *identity, unsigned workers)
{
    const pql_context_opts opts = {.identity = identity, .workers = workers};
    pql_context *ctx = NULL;
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    seen.opened = seen.closed = 0;
    return ctx;
}

static void connect_to(pql_context *ctx, uint16_t port, const pql_fingerprint *expected,
                       size_t count, void *user)
{
    char url[64];
    const pql_peer peer = {.pins = expected, .pin_count = count};
    const pql_connect_opts opts = {.alpn = ALPN, .handlers = &client_handlers, .user = user};
    (void)snprintf(url, sizeof(url), "quic://127.0.0.1:%u", (unsigned)port);
    assert_int_equal(pql_connect(ctx, url, &peer, &opts, NULL, NULL), PQL_OK);
}

static void *change_identities(void *arg)
{
    for (unsigned i = 0; i < CHANGES; i++) {
        const bool even = i % 2 == 0;
        assert_int_equal(
            pql_context_set_identity(arg, even ? second : first, even ? first : second, NULL),
            PQL_OK);
    }
    return NULL;
}

static void nobody_is_locked_out_while_identities_change(void **state)
{
    (void)state;
    pthread_t changers[2];
    pql_context *server = new_context(first, 2);
    pql_context *client = new_context(NULL, 2);
    const uint16_t port = pql_listener_port(listen_on(server));
    assert_int_equal(pql_context_set_identity(server, first, second, NULL), PQL_OK);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_create(&changers[i], NULL, change_identities, server), 0);
    }
    for (unsigned i = 0; i < LINKS; i++) {
        connect_to(client, port, &pins[i % 2], 1, NULL);
    }
    wait_closed(LINKS);
    assert_int_equal(seen.opened, LINKS);
    for (size_t i = 0; i < 2; i++) {
        assert_int_equal(pthread_join(changers[i], NULL), 0);
    }
    pql_context_free(client);
    pql_context_free(server);
}

static void a_change_reaches_every_listener_and_those_to_come(void **state)
{
    (void)state;
    pql_context *server = new_context(first, 1);
    pql_context *client = new_context(NULL, 1);
    pql_listener *listeners[3];
    listeners[0] = listen_on(server);
    listeners[1] = listen_on(server);
    assert_int_equal(pql_context_set_identity(server, second, NULL, NULL), PQL_OK);
    listeners[2] = listen_on(server);
    for (unsigned i = 0; i < 3; i++) {
        connect_to(client, pql_listener_port(listeners[i]), pins, 2, NULL);
        wait_closed(i + 1);
        assert_int_equal(seen.opened, i + 1);
        assert_memory_equal(seen.shown.sha256, pins[1].sha256, PQL_SHA256_SIZE);
    }
    pql_context_free(client);
    pql_context_free(server);
}

static void the_identity_before_may_be_freed_while_its_link_lives(void **state)
{
    (void)state;
    int stays = 1;
    pql_identity *gone = NULL;
    pql_fingerprint pin;
    assert_int_equal(pql_identity_ephemeral(&gone, NULL, NULL), PQL_OK);
    pql_identity_fingerprint(gone, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &pin);
    pql_context *server = new_context(gone, 1);
    pql_context *client = new_context(NULL, 1);
    const uint16_t port = pql_listener_port(listen_on(server));
    connect_to(client, port, &pin, 1, &stays);
    pthread_mutex_lock(&seen.lock);
    while (seen.opened == 0 && seen.closed == 0) {
        pthread_cond_wait(&seen.change, &seen.lock);
    }
    pthread_mutex_unlock(&seen.lock);
    assert_int_equal(seen.opened, 1);
    assert_int_equal(pql_context_set_identity(server, second, NULL, NULL), PQL_OK);
    pql_identity_free(gone);
    connect_to(client, port, &pins[1], 1, NULL);
    wait_closed(1);
    assert_int_equal(seen.opened, 2);
    assert_int_equal(seen.closed, 1); /* the first link is still there */
    pql_context_free(client);
    pql_context_free(server);
}

static void a_context_cannot_change_to_no_identity(void **state)
{
    (void)state;
    pql_error err;
    pql_context *server = new_context(first, 1);
    assert_int_equal(pql_context_set_identity(server, NULL, second, &err), PQL_E_USAGE);
    pql_context_free(server);
}

/* ---- listening meanwhile ---- */

static atomic_bool listening;

/* The identity of the call before may be freed after the return. */
static void *replace_and_free(void *arg)
{
    pql_identity *before = NULL;
    while (atomic_load(&listening)) {
        pql_identity *next = NULL;
        assert_int_equal(pql_identity_ephemeral(&next, NULL, NULL), PQL_OK);
        assert_int_equal(pql_context_set_identity(arg, next, NULL, NULL), PQL_OK);
        pql_identity_free(before);
        before = next;
    }
    return before;
}

static void an_identity_may_go_while_listeners_are_made(void **state)
{
    (void)state;
    pql_context *ctx = NULL;
    pthread_t thread;
    void *last = NULL;
    const pql_context_opts opts = {.identity = first, .workers = 1};
    assert_int_equal(pql_context_new(&ctx, &opts, NULL), PQL_OK);
    atomic_store(&listening, true);
    assert_int_equal(pthread_create(&thread, NULL, replace_and_free, ctx), 0);
    for (unsigned i = 0; i < LINKS; i++) {
        (void)listen_on(ctx);
    }
    atomic_store(&listening, false);
    assert_int_equal(pthread_join(thread, &last), 0);
    pql_context_free(ctx);
    pql_identity_free(last);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_locked_out_while_identities_change),
        cmocka_unit_test(a_change_reaches_every_listener_and_those_to_come),
        cmocka_unit_test(the_identity_before_may_be_freed_while_its_link_lives),
        cmocka_unit_test(a_context_cannot_change_to_no_identity),
        cmocka_unit_test(an_identity_may_go_while_listeners_are_made),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
