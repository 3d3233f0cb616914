/* The first flights of a handshake: how much each side sends before it has heard the other. */
#include "test.h"

#include "base/clock.h"
#include "sim/network.h"

#define MS PQI_NS_PER_MS
#define SEC PQI_NS_PER_SEC
#define NO_RETRY 1000

static pql_identity *compact, *self_signed;
static pql_peer anybody = {.insecure = true};

static int set_up(void **state)
{
    static const pql_identity_opts by_itself = {.self_signed = true};
    (void)state;
    return pql_identity_ephemeral(&compact, NULL, NULL) == PQL_OK &&
                   pql_identity_ephemeral(&self_signed, &by_itself, NULL) == PQL_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pql_identity_free(compact);
    pql_identity_free(self_signed);
    return 0;
}

static sim_opts defaults(const pql_identity *identity)
{
    return (sim_opts){.seed = 1,
                      .rules = {.delay = 50 * MS},
                      .identity = identity,
                      .peer = &anybody,
                      .retry_threshold = NO_RETRY};
}

/* The client's log of a handshake. */
static sim_peer_log shake_hands(const sim_opts *opts)
{
    sim *s = sim_new(opts);
    sim_run(s, 5 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_true(sim_amplification(s) <= 3.0);
    const sim_peer_log log = *sim_client(s);
    sim_free(s);
    return log;
}

static void two_copies_suffice_for_a_compact_leaf(void **state)
{
    (void)state;
    sim_opts opts = defaults(compact);
    for (opts.copies_long = 2; opts.copies_long <= 4; opts.copies_long++) {
        const sim_peer_log log = shake_hands(&opts);
        assert_int_equal(log.posture.round_trips, 1);
        assert_true(log.opened_at < 101 * MS);
        assert_int_equal(log.held_up, 0);
    }
}

static void one_copy_is_noticed_not_to_suffice(void **state)
{
    (void)state;
    sim_opts opts = defaults(compact);
    opts.copies_long = 1;
    const sim_peer_log log = shake_hands(&opts);
    assert_int_equal(log.posture.round_trips, 2);
    assert_int_equal(log.held_up, 1);
}

static void a_slow_handshake_that_lost_datagrams_teaches_nothing(void **state)
{
    (void)state;
    sim_opts opts = defaults(compact);
    for (opts.rules.drop_first_client = 1; opts.rules.drop_first_client <= 4;
         opts.rules.drop_first_client++) {
        assert_int_equal(shake_hands(&opts).held_up, 0);
    }
}

static void a_classical_client_needs_one_copy(void **state)
{
    (void)state;
    sim_opts opts = defaults(compact);
    opts.client_policy = PQL_POLICY_OFF;
    opts.client_alpn = "sim-old"; /* an ECDSA certificate */
    opts.copies_long = 4;         /* its ClientHello fits one datagram */
    const sim_peer_log log = shake_hands(&opts);
    assert_int_equal(log.posture.round_trips, 1);
    assert_int_equal(log.held_up, 0);
}

static void three_copies_suffice_for_a_self_signed_leaf(void **state)
{
    (void)state;
    sim_opts opts = defaults(self_signed);
    opts.wide_window = true;
    opts.copies_long = 3;
    const sim_peer_log log = shake_hands(&opts);
    assert_int_equal(log.posture.round_trips, 1);
    assert_true(log.opened_at < 101 * MS);
}

static void the_first_flight_of_a_server_leaves_in_one_burst(void **state)
{
    (void)state;
    sim_opts opts = defaults(compact);
    sim *s = sim_new(&opts);
    sim_run(s, 50 * MS); /* the client's flight has arrived just now */
    assert_int_equal(sim_server_runs(s), 1);
    sim_free(s);
    opts = defaults(self_signed);
    opts.wide_window = true;
    opts.copies_long = 3;
    s = sim_new(&opts);
    sim_run(s, 50 * MS);
    assert_int_equal(sim_server_runs(s), 2); /* ngtcp2 marks ten datagrams only to try ECN */
    sim_free(s);
}

/* The second datagram overtakes the first one, of a client that sends each once. */
static sim_fate first_is_slow(void *user, bool to_server, size_t len)
{
    unsigned *seen = user;
    (void)len;
    return (sim_fate){.extra_delay = to_server && (*seen)++ == 0 ? 5 * MS : 0};
}

static void a_client_hello_whose_second_half_comes_first_is_waited_for(void **state)
{
    (void)state;
    unsigned seen = 0;
    sim_opts opts = defaults(compact);
    opts.copies_long = 1;
    opts.fate = first_is_slow;
    opts.fate_user = &seen;
    sim *s = sim_new(&opts);
    sim_run(s, 52 * MS);
    assert_int_equal(pqi_quic_endpoint_live(sim_server_endpoint(s)), 0); /* no state for it */
    sim_run(s, 5 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_server(s)->closed, 0); /* nobody heard of a failure */
    /* Two round trips for want of copies, and the 5 ms: no probe time-out. */
    assert_true(sim_client(s)->opened_at < 206 * MS);
    assert_true(sim_amplification(s) <= 3.0);
    sim_free(s);
}

/* All that the client sends takes up to 10 ms more. */
static sim_fate shuffled(void *user, bool to_server, size_t len)
{
    uint64_t *random = user;
    (void)len;
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (sim_fate){.extra_delay = to_server ? (*random >> 33) % 10 * MS : 0};
}

static void shuffled_first_flights_never_wait_for_a_probe(void **state)
{
    (void)state;
    uint64_t random = 1;
    sim_opts opts = defaults(compact);
    opts.fate = shuffled;
    opts.fate_user = &random;
    for (opts.seed = 1; opts.seed <= 200; opts.seed++) {
        opts.copies_long = 1 + (unsigned)opts.seed % 3;
        assert_true(shake_hands(&opts).opened_at < 225 * MS);
    }
}

/* Before the path is known to carry more, no datagram is larger than 1200 bytes. */
static sim_fate largest_of(void *user, bool to_server, size_t len)
{
    size_t *largest = user;
    (void)to_server;
    *largest = len > *largest ? len : *largest;
    return (sim_fate){0};
}

static void no_datagram_of_a_handshake_has_more_than_1200_bytes(void **state)
{
    (void)state;
    size_t largest = 0;
    sim_opts opts = defaults(compact);
    opts.fate = largest_of;
    opts.fate_user = &largest;
    for (opts.seed = 1; opts.seed <= 20; opts.seed++) {
        sim *s = sim_new(&opts);
        while (sim_client(s)->opened == 0) {
            sim_run(s, sim_now(s) - SIM_START + MS);
        }
        assert_int_equal(largest, 1200);
        sim_free(s);
    }
}

/* The client looks for a larger path, the server does not. */
static sim_fate largest_of_server(void *user, bool to_server, size_t len)
{
    return to_server ? (sim_fate){0} : largest_of(user, to_server, len);
}

static void a_wide_window_keeps_datagrams_small_for_good(void **state)
{
    (void)state;
    size_t largest = 0;
    sim_opts opts = defaults(self_signed);
    opts.wide_window = true;
    opts.send = 300000;
    opts.rules.loss = 10;
    opts.fate = largest_of_server;
    opts.fate_user = &largest;
    sim *s = sim_new(&opts);
    sim_run(s, 55 * SEC);
    assert_int_equal(sim_client(s)->received, opts.send);
    assert_true(sim_server_runs(s) < 3000); /* several datagrams each */
    assert_int_equal(largest, 1200);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_copies_suffice_for_a_compact_leaf),
        cmocka_unit_test(one_copy_is_noticed_not_to_suffice),
        cmocka_unit_test(a_slow_handshake_that_lost_datagrams_teaches_nothing),
        cmocka_unit_test(a_classical_client_needs_one_copy),
        cmocka_unit_test(three_copies_suffice_for_a_self_signed_leaf),
        cmocka_unit_test(the_first_flight_of_a_server_leaves_in_one_burst),
        cmocka_unit_test(a_client_hello_whose_second_half_comes_first_is_waited_for),
        cmocka_unit_test(shuffled_first_flights_never_wait_for_a_probe),
        cmocka_unit_test(a_wide_window_keeps_datagrams_small_for_good),
        cmocka_unit_test(no_datagram_of_a_handshake_has_more_than_1200_bytes),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
