/* Address-validation tokens (RFC 9000, 8.1) between a client and a server in virtual time. */
#include "test.h"

#include "base/clock.h"
#include "sim/network.h"

#include <string.h>

#define MS PQI_NS_PER_MS
#define SEC PQI_NS_PER_SEC
#define HOUR (3600 * SEC)
#define NO_RETRY 1000

static pql_identity *identity;
static pqi_quic_tls *client_tls, *server_tls;
static uint8_t token[PQI_QUIC_TOKEN_MAX];
static size_t token_len;

/* One copy of the first flight: without a token the 3x limit costs a round trip. */
static sim_opts defaults(void)
{
    return (sim_opts){.seed = 1,
                      .rules = {.delay = 50 * MS},
                      .identity = identity,
                      .retry_threshold = NO_RETRY,
                      .client_tls = client_tls,
                      .server_tls = server_tls,
                      .copies_long = 1};
}

static int set_up(void **state)
{
    static const pql_peer anybody = {.insecure = true};
    (void)state;
    if (pql_identity_ephemeral(&identity, NULL, NULL) != PQL_OK) {
        return -1;
    }
    const sim_opts opts = {.identity = identity, .peer = &anybody};
    return sim_tls(&opts, &client_tls, &server_tls) ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pqi_quic_tls_free(client_tls);
    pqi_quic_tls_free(server_tls);
    pql_identity_free(identity);
    return 0;
}

static void keep_token(const sim *s)
{
    token_len = sim_client(s)->token_len;
    memcpy(token, sim_client(s)->token, token_len);
    assert_true(token_len > 0);
}

/* A first contact; the simulation goes on. */
static sim *meet(const sim_opts *opts)
{
    sim *s = sim_new(opts);
    sim_run(s, 2 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_client(s)->posture.round_trips, 2);
    keep_token(s);
    return s;
}

static uint32_t round_trips_with_token(sim_opts opts)
{
    opts.token = token;
    opts.token_len = token_len;
    sim *s = sim_new(&opts);
    sim_run(s, 2 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    const uint32_t trips = sim_client(s)->posture.round_trips;
    assert_true((sim_client(s)->opened_at < 101 * MS) == (trips == 1));
    sim_free(s);
    return trips;
}

static void a_returning_peer_is_validated_at_once_and_needs_one_copy(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    sim *s = meet(&opts);
    const uint64_t before = sim_now(s) - SIM_START;
    sim_reconnect(s, token, token_len);
    sim_run(s, before + 2 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_client(s)->posture.round_trips, 1);
    assert_true(sim_client(s)->opened_at - before < 101 * MS);
    sim_free(s);
}

static void every_link_brings_another_token(void **state)
{
    (void)state;
    uint8_t first[PQI_QUIC_TOKEN_MAX];
    const sim_opts opts = defaults();
    sim *s = meet(&opts);
    memcpy(first, token, token_len);
    sim_reconnect(s, token, token_len);
    sim_run(s, 4 * SEC);
    keep_token(s);
    assert_memory_not_equal(token, first, token_len);
    sim_free(s);
}

static void a_token_that_comes_again_proves_nothing(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    sim *s = meet(&opts);
    for (unsigned use = 1; use <= 3; use++) {
        sim_reconnect(s, token, token_len);
        sim_run(s, sim_now(s) - SIM_START + 2 * SEC);
        assert_int_equal(sim_client(s)->opened, 1);
        assert_int_equal(sim_client(s)->posture.round_trips, use == 1 ? 1 : 2);
    }
    sim_free(s);
}

static void a_token_outlives_a_restart_with_the_same_secret(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    sim *s = meet(&opts);
    sim_restart_server(s);
    sim_reconnect(s, token, token_len);
    sim_run(s, 4 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_client(s)->posture.round_trips, 1);
    sim_free(s);
}

static void a_token_is_good_for_a_day(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    sim_free(meet(&opts));
    opts.wall_later = 23 * HOUR;
    assert_int_equal(round_trips_with_token(opts), 1);
    opts.wall_later = 25 * HOUR;
    assert_int_equal(round_trips_with_token(opts), 2);
}

static void a_clock_that_is_put_right_counts_for_tokens_at_once(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    sim *s = meet(&opts);
    const uint64_t offset = UINT64_C(1700000000) * SEC;
    pqi_quic_endpoint_set_wall_offset(sim_server_endpoint(s), offset + 25 * HOUR);
    sim_reconnect(s, token, token_len);
    sim_run(s, sim_now(s) - SIM_START + 2 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_client(s)->posture.round_trips, 2);
    keep_token(s); /* of today */
    sim_reconnect(s, token, token_len);
    sim_run(s, sim_now(s) - SIM_START + 2 * SEC);
    assert_int_equal(sim_client(s)->posture.round_trips, 1);
    sim_free(s);
}

static void a_token_of_another_address_is_ignored(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    sim_free(meet(&opts));
    opts.client_host = "10.0.0.2";
    assert_int_equal(round_trips_with_token(opts), 2);
}

static void a_token_of_another_server_is_ignored(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    sim_free(meet(&opts));
    opts.secret = 9;
    assert_int_equal(round_trips_with_token(opts), 2);
}

static void a_token_that_means_nothing_is_ignored(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    for (unsigned first = 0; first < 256; first += 51) {
        token_len = 41;
        memset(token, (int)first, token_len);
        assert_int_equal(round_trips_with_token(opts), 2);
    }
}

static void a_token_spares_the_retry(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    sim_free(meet(&opts));
    opts.retry_threshold = 0;
    assert_int_equal(round_trips_with_token(opts), 1);
    /* Without it, or with one that proves nothing, there is one. */
    opts.secret = 9;
    assert_int_equal(round_trips_with_token(opts), 2);
}

static void a_client_that_has_moved_gets_a_token_for_its_new_address(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.copies_long = 2;
    sim *s = sim_new(&opts);
    sim_run(s, 1 * SEC);
    keep_token(s);
    uint8_t first[PQI_QUIC_TOKEN_MAX];
    memcpy(first, token, token_len);
    sim_rehost(s, "10.0.0.3");
    assert_int_equal(sim_migrate(s), PQL_OK);
    sim_run(s, 3 * SEC);
    keep_token(s);
    assert_memory_not_equal(token, first, token_len);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_returning_peer_is_validated_at_once_and_needs_one_copy),
        cmocka_unit_test(every_link_brings_another_token),
        cmocka_unit_test(a_token_that_comes_again_proves_nothing),
        cmocka_unit_test(a_token_outlives_a_restart_with_the_same_secret),
        cmocka_unit_test(a_token_is_good_for_a_day),
        cmocka_unit_test(a_clock_that_is_put_right_counts_for_tokens_at_once),
        cmocka_unit_test(a_token_of_another_address_is_ignored),
        cmocka_unit_test(a_token_of_another_server_is_ignored),
        cmocka_unit_test(a_token_that_means_nothing_is_ignored),
        cmocka_unit_test(a_token_spares_the_retry),
        cmocka_unit_test(a_client_that_has_moved_gets_a_token_for_its_new_address),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
