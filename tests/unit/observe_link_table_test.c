/* The table of links: the newest are kept, all are counted, and nothing grows. */
#include "test.h"

#include "observe/link_table.h"

#include <openssl/ssl.h>

#include <math.h>
#include <pthread.h>
#include <string.h>

/* ctest labels: threads */
#define MS UINT64_C(1000000)

static int setup(void **state)
{
    pqi_link_table *table = NULL;
    assert_int_equal(pqi_link_table_new(&table, NULL), PQL_OK);
    *state = table;
    return 0;
}

static int teardown(void **state)
{
    pqi_link_table_free(*state);
    return 0;
}

static const pql_posture hybrid = {.group = SSL_GROUP_X25519_MLKEM768,
                                   .own_signature = SSL_SIGN_MLDSA87,
                                   .cipher = 0x1302,
                                   .pq_key_exchange = true,
                                   .pq_authentication = true,
                                   .handshake_ns = 3 * MS};
static const pql_posture classical = {.group = SSL_GROUP_X25519,
                                      .own_signature = SSL_SIGN_ECDSA_SECP256R1_SHA256,
                                      .cipher = 0x1303,
                                      .downgrade = PQL_DOWNGRADE_PEER_CLASSICAL,
                                      .handshake_ns = 2 * MS};
static const pql_posture pure = {
    .group = SSL_GROUP_MLKEM1024, .pq_key_exchange = true, .handshake_ns = MS};

static pql_link_info link_of(uint64_t id, const pql_posture *posture)
{
    return (pql_link_info){.id = id,
                           .server = true,
                           .address = "192.0.2.1:9833",
                           .alpn = "pqlink-miner/1",
                           .posture = posture};
}

static void open_link(pqi_link_table *table, uint64_t id, const pql_posture *posture)
{
    const pql_link_info link = link_of(id, posture);
    pqi_link_table_handshake(table, &link, NULL, id);
    pqi_link_table_change(table, &link, NULL, id);
}

static void close_link(pqi_link_table *table, uint64_t id, const pql_posture *posture)
{
    const pql_link_info link = link_of(id, posture);
    const pql_close why = {.status = PQL_OK};
    pqi_link_table_change(table, &link, &why, id);
}

static json_int_t number(json_t *object, const char *name)
{
    json_t *value = json_object_get(object, name);
    assert_true(json_is_integer(value));
    return json_integer_value(value);
}

static json_t *links_of(pqi_link_table *table)
{
    json_t *links = pqi_link_table_links_json(table);
    assert_non_null(links);
    return links;
}

static void an_open_link_is_listed_with_its_posture(void **state)
{
    open_link(*state, 7, &hybrid);

    json_t *links = links_of(*state);
    char *text = json_dumps(json_array_get(json_object_get(links, "list"), 0), JSON_COMPACT);
    assert_string_equal(
        text, "{\"id\":7,\"role\":\"server\",\"address\":\"192.0.2.1:9833\","
              "\"protocol\":\"pqlink-miner/1\",\"opened_ms\":7,\"group\":\"X25519MLKEM768\","
              "\"own_signature\":\"ML-DSA-87\",\"peer_signature\":null,"
              "\"cipher\":\"TLS_AES_256_GCM_SHA384\",\"trust\":\"none\",\"pq_key_exchange\":true,"
              "\"pq_authentication\":true,\"resumed\":false,\"early_data\":false,"
              "\"downgrade\":\"none\",\"handshake_ms\":3.0,\"round_trips\":null}");
    free(text);
    json_decref(links);
}

static void open_links_are_counted_by_posture(void **state)
{
    open_link(*state, 1, &hybrid);
    open_link(*state, 2, &classical);
    open_link(*state, 3, &pure);
    open_link(*state, 4, &hybrid);
    close_link(*state, 1, &hybrid);

    json_t *links = links_of(*state);
    assert_int_equal(number(links, "open"), 3);
    assert_int_equal(number(links, "opened"), 4);
    assert_int_equal(number(links, "hybrid"), 1);
    assert_int_equal(number(links, "pq"), 1);
    assert_int_equal(number(links, "classical"), 1);
    json_decref(links);
}

static void a_closed_link_leaves_the_list(void **state)
{
    open_link(*state, 1, &hybrid);
    open_link(*state, 2, &hybrid);
    close_link(*state, 1, &hybrid);

    json_t *links = links_of(*state);
    json_t *list = json_object_get(links, "list");
    assert_int_equal(json_array_size(list), 1);
    assert_int_equal(number(json_array_get(list, 0), "id"), 2);
    json_decref(links);
}

static void of_too_many_links_the_newest_are_listed_and_all_are_counted(void **state)
{
    for (uint64_t id = 0; id < 3 * PQI_LINK_TABLE_MAX; id++) {
        open_link(*state, id, &hybrid);
    }

    json_t *links = links_of(*state);
    json_t *list = json_object_get(links, "list");
    assert_int_equal(json_array_size(list), PQI_LINK_TABLE_MAX);
    for (size_t i = 0; i < PQI_LINK_TABLE_MAX; i++) {
        assert_int_equal(number(json_array_get(list, i), "id"),
                         3 * PQI_LINK_TABLE_MAX - 1 - (json_int_t)i);
    }
    assert_int_equal(number(links, "open"), 3 * PQI_LINK_TABLE_MAX);
    json_decref(links);

    /* The end of one that is not listed any more still counts. */
    close_link(*state, 0, &hybrid);
    links = links_of(*state);
    assert_int_equal(number(links, "open"), 3 * PQI_LINK_TABLE_MAX - 1);
    assert_int_equal(json_array_size(json_object_get(links, "list")), PQI_LINK_TABLE_MAX);
    json_decref(links);
}

static void downgrades_are_kept_newest_first_and_bounded(void **state)
{
    for (uint64_t id = 1; id <= 2 * PQI_DOWNGRADES_KEPT + 3; id++) {
        open_link(*state, id, &classical);
    }

    json_t *downgrades = pqi_link_table_downgrades_json(*state);
    json_t *last = json_object_get(downgrades, "last");
    assert_int_equal(number(downgrades, "count"), 2 * PQI_DOWNGRADES_KEPT + 3);
    assert_int_equal(json_array_size(last), PQI_DOWNGRADES_KEPT);
    assert_int_equal(number(json_array_get(last, 0), "time_ms"), 2 * PQI_DOWNGRADES_KEPT + 3);
    assert_string_equal(json_string_value(json_object_get(json_array_get(last, 0), "reason")),
                        "peer-classical");
    assert_true(json_is_false(json_object_get(json_array_get(last, 0), "refused")));
    json_decref(downgrades);
}

static void a_refused_downgrade_is_one_and_another_failure_is_none(void **state)
{
    pql_posture posture = {.downgrade = PQL_DOWNGRADE_REMEMBERED};
    const pql_link_info link = link_of(1, &posture);
    const pql_close failure = {.status = PQL_E_POLICY};
    pqi_link_table_handshake(*state, &link, &failure, 5);
    posture.downgrade = PQL_DOWNGRADE_NONE;
    pqi_link_table_handshake(*state, &link, &failure, 6);

    json_t *downgrades = pqi_link_table_downgrades_json(*state);
    json_t *only = json_array_get(json_object_get(downgrades, "last"), 0);
    assert_int_equal(number(downgrades, "count"), 1);
    assert_true(json_is_true(json_object_get(only, "refused")));
    assert_true(json_is_null(json_object_get(only, "group")));
    json_decref(downgrades);
    json_t *handshakes = pqi_link_table_handshakes_json(*state);
    assert_int_equal(number(handshakes, "failed"), 2);
    assert_int_equal(number(handshakes, "completed"), 0);
    json_decref(handshakes);
}

static void assert_quantile(pqi_link_table *table, const char *name, double ms)
{
    json_t *handshakes = pqi_link_table_handshakes_json(table);
    const double shown = json_real_value(json_object_get(handshakes, name));
    json_decref(handshakes);
    if (shown < ms || shown > ms * PQI_LATENCY_STEP * 1.000001) {
        fail_msg("%s is %f instead of about %f", name, shown, ms);
    }
}

static void quantiles_are_right_to_one_step(void **state)
{
    json_t *none = pqi_link_table_handshakes_json(*state);
    assert_true(json_is_null(json_object_get(none, "p50_ms")));
    json_decref(none);
    for (uint64_t ms = 1; ms <= 1000; ms++) {
        pql_posture posture = hybrid;
        posture.handshake_ns = ms * MS;
        open_link(*state, ms, &posture);
    }

    assert_quantile(*state, "p50_ms", 500);
    assert_quantile(*state, "p95_ms", 950);
    assert_quantile(*state, "p99_ms", 990);
}

static void the_shortest_and_the_longest_handshake_have_a_bucket(void **state)
{
    pql_posture posture = hybrid;
    posture.handshake_ns = 0;
    open_link(*state, 1, &posture);
    posture.handshake_ns = UINT64_MAX;
    open_link(*state, 2, &posture);

    json_t *handshakes = pqi_link_table_handshakes_json(*state);
    assert_int_equal(number(handshakes, "completed"), 2);
    assert_true(isfinite(json_real_value(json_object_get(handshakes, "p99_ms"))));
    json_decref(handshakes);
}

static void a_peers_text_is_never_broken_json(void **state)
{
    pql_link_info link = link_of(1, &hybrid);
    link.alpn = "\xff\xfe<img onerror=alert(1)>";
    pqi_link_table_change(*state, &link, NULL, 1);
    link.id = 2;
    link.alpn = "a-protocol-name-of-more-characters-than-any-row-has-room-for";
    pqi_link_table_change(*state, &link, NULL, 1);

    json_t *links = links_of(*state);
    assert_int_equal(json_array_size(json_object_get(links, "list")), 2);
    json_decref(links);
}

#define PER_THREAD 20000

static void *churn(void *arg)
{
    pqi_link_table *table = arg;
    static _Atomic uint64_t next;
    for (int i = 0; i < PER_THREAD; i++) {
        const uint64_t id = next++;
        open_link(table, id, &hybrid);
        close_link(table, id, &hybrid);
    }
    return NULL;
}

static void workers_and_readers_do_not_get_in_each_others_way(void **state)
{
    pthread_t threads[4];
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, churn, *state), 0);
    }
    for (int i = 0; i < 50; i++) {
        json_t *links = links_of(*state);
        assert_in_range(number(links, "open"), 0, 4 * PER_THREAD);
        json_decref(links);
    }
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    }
    json_t *links = links_of(*state);
    assert_int_equal(number(links, "open"), 0);
    assert_int_equal(number(links, "opened"), 4 * PER_THREAD);
    assert_int_equal(json_array_size(json_object_get(links, "list")), 0);
    json_decref(links);
}

#define table_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        table_test(an_open_link_is_listed_with_its_posture),
        table_test(open_links_are_counted_by_posture),
        table_test(a_closed_link_leaves_the_list),
        table_test(of_too_many_links_the_newest_are_listed_and_all_are_counted),
        table_test(downgrades_are_kept_newest_first_and_bounded),
        table_test(a_refused_downgrade_is_one_and_another_failure_is_none),
        table_test(quantiles_are_right_to_one_step),
        table_test(the_shortest_and_the_longest_handshake_have_a_bucket),
        table_test(a_peers_text_is_never_broken_json),
        table_test(workers_and_readers_do_not_get_in_each_others_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
