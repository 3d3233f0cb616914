/* Known peers are remembered until somebody forgets them.
 * ctest labels: threads */
#include "test.h"

#include "store/peers.h"

#include "store_directory.h"

#include <pthread.h>

static const uint8_t first[PQI_STORE_FINGERPRINT_SIZE] = {1};
static const uint8_t other[PQI_STORE_FINGERPRINT_SIZE] = {2};

static void a_stranger_is_not_found(void **state)
{
    (void)state;
    pqi_store_peer peer;
    const pqi_store_peer nobody = {0};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_peer_get(store, "node:9833", &peer, NULL), PQL_E_NOT_FOUND);
    assert_memory_equal(&peer, &nobody, sizeof(peer));
    assert_int_equal(pqi_store_peer_forget(store, "node:9833", NULL), PQL_E_NOT_FOUND);
    pqi_store_close(store);
}

static void a_peer_keeps_its_first_sight_and_gains_a_last_one(void **state)
{
    (void)state;
    pqi_store_peer peer;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", first, false, 100, NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", first, false, 200, NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_get(store, "node:9833", &peer, NULL), PQL_OK);
    assert_memory_equal(peer.fingerprint, first, sizeof(first));
    assert_true(peer.first_seen_ms == 100);
    assert_true(peer.last_seen_ms == 200);
    assert_false(peer.was_hybrid);
    pqi_store_close(store);
}

static void a_peer_that_was_hybrid_once_stays_so(void **state)
{
    (void)state;
    pqi_store_peer peer;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", first, true, 100, NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", first, false, 200, NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_get(store, "node:9833", &peer, NULL), PQL_OK);
    assert_true(peer.was_hybrid);
    pqi_store_close(store);
}

static void another_fingerprint_is_refused_until_the_peer_is_forgotten(void **state)
{
    (void)state;
    pqi_store_peer peer;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", first, true, 100, NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", other, true, 200, NULL), PQL_E_EXISTS);
    assert_int_equal(pqi_store_peer_get(store, "node:9833", &peer, NULL), PQL_OK);
    assert_memory_equal(peer.fingerprint, first, sizeof(first));
    assert_true(peer.last_seen_ms == 100);

    assert_int_equal(pqi_store_peer_forget(store, "node:9833", NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", other, false, 300, NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_get(store, "node:9833", &peer, NULL), PQL_OK);
    assert_memory_equal(peer.fingerprint, other, sizeof(other));
    assert_false(peer.was_hybrid);
    pqi_store_close(store);
}

static void names_have_1_to_255_characters(void **state)
{
    (void)state;
    char name[PQI_STORE_PEER_NAME_MAX + 2] = "";
    pqi_store_peer peer;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_peer_put(store, "", first, true, 1, NULL), PQL_E_USAGE);
    memset(name, 'n', sizeof(name) - 1);
    assert_int_equal(pqi_store_peer_put(store, name, first, true, 1, NULL), PQL_E_USAGE);
    assert_int_equal(pqi_store_peer_get(store, name, &peer, NULL), PQL_E_USAGE);
    name[PQI_STORE_PEER_NAME_MAX] = '\0';
    assert_int_equal(pqi_store_peer_put(store, name, first, true, 1, NULL), PQL_OK);
    assert_int_equal(pqi_store_peer_get(store, name, &peer, NULL), PQL_OK);
    pqi_store_close(store);
}

typedef struct worker {
    pthread_t thread;
    pqi_store *store;
    int number;
    int failures;
} worker;

enum { WORKERS = 4, PEERS_EACH = 50 };

static void peer_name(char out[32], int number, int i)
{
    (void)snprintf(out, 32, "host%d:%d", number, i);
}

static void *put_and_get(void *arg)
{
    worker *w = arg;
    for (int i = 0; i < PEERS_EACH; i++) {
        char name[32];
        pqi_store_peer peer;
        peer_name(name, w->number, i);
        w->failures += pqi_store_peer_put(w->store, name, first, true, 1, NULL) != PQL_OK;
        w->failures += pqi_store_peer_get(w->store, name, &peer, NULL) != PQL_OK;
    }
    return NULL;
}

static void any_thread_may_call(void **state)
{
    (void)state;
    worker workers[WORKERS];
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    for (int i = 0; i < WORKERS; i++) {
        workers[i] = (worker){.store = store, .number = i};
        assert_int_equal(pthread_create(&workers[i].thread, NULL, put_and_get, &workers[i]), 0);
    }
    for (int i = 0; i < WORKERS; i++) {
        assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
        assert_int_equal(workers[i].failures, 0);
    }
    pqi_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_stranger_is_not_found),
        cmocka_unit_test(a_peer_keeps_its_first_sight_and_gains_a_last_one),
        cmocka_unit_test(a_peer_that_was_hybrid_once_stays_so),
        cmocka_unit_test(another_fingerprint_is_refused_until_the_peer_is_forgotten),
        cmocka_unit_test(names_have_1_to_255_characters),
        cmocka_unit_test(any_thread_may_call),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
