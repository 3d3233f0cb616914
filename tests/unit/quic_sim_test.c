/* QUIC links in virtual time on a simulated network. */
#include "test.h"

#include "one_identity.h"

#include "base/clock.h"
#include "sim/network.h"

#include <stdlib.h>
#include <string.h>

#define MS PQI_NS_PER_MS
#define SEC PQI_NS_PER_SEC
#define NO_RETRY 1000

static pql_peer pinned = {.pins = &pin, .pin_count = 1};

static sim_opts defaults(void)
{
    return (sim_opts){.seed = 1,
                      .rules = {.delay = 50 * MS},
                      .identity = identity,
                      .peer = &pinned,
                      .retry_threshold = NO_RETRY};
}

static void first_contact_takes_one_round_trip_with_ml_dsa_87(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    sim *s = sim_new(&opts);
    sim_run(s, 5 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_server(s)->opened, 1);
    const pql_posture *posture = &sim_client(s)->posture;
    assert_int_equal(posture->group, 0x11ec);
    assert_int_equal(posture->peer_signature, 0x0906);
    assert_true(posture->pq_key_exchange);
    assert_true(posture->pq_authentication);
    assert_int_equal(posture->trust, PQL_TRUST_PIN);
    assert_int_equal(posture->round_trips, 1);
    assert_true(sim_client(s)->opened_at < 101 * MS);
    sim_free(s);
}

static void the_server_sends_at_most_three_times_what_it_received(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    for (opts.seed = 1; opts.seed <= 50; opts.seed++) {
        opts.rules.loss = 100;
        sim *s = sim_new(&opts);
        sim_run(s, 20 * SEC);
        assert_true(sim_amplification(s) <= 3.0);
        sim_free(s);
    }
}

static void the_server_waits_when_half_the_first_flight_is_lost(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.drop_first_client = 2; /* the copies still come through */
    sim *s = sim_new(&opts);
    sim_run(s, 20 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_true(sim_amplification(s) <= 3.0);
    assert_int_equal(sim_client(s)->posture.round_trips, 2);
    sim_free(s);
}

static void a_megabyte_is_echoed_through_loss_reordering_and_duplicates(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 100000;
    opts.rules = (sim_rules){.delay = 20 * MS, .jitter = 10 * MS, .loss = 30, .duplicate = 20};
    for (opts.seed = 1; opts.seed <= 300; opts.seed++) {
        sim *s = sim_new(&opts);
        sim_run(s, 55 * SEC);
        assert_int_equal(sim_client(s)->opened, 1);
        assert_int_equal(sim_server(s)->received, opts.send);
        assert_int_equal(sim_client(s)->received, opts.send);
        assert_true(sim_client(s)->fin);
        assert_int_equal(sim_client(s)->streams_closed, 1);
        sim_free(s);
    }
}

static void a_link_survives_a_change_of_the_clients_address(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 3000000;
    opts.rules.rebind_at = 400 * MS;
    sim *s = sim_new(&opts);
    sim_run(s, 55 * SEC);
    assert_int_equal(sim_server(s)->opened, 1);
    assert_int_equal(sim_client(s)->received, opts.send);
    sim_free(s);
}

static void a_link_survives_a_blackhole_shorter_than_its_idle_timeout(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 500000;
    opts.rules.blackhole_at = 250 * MS;
    opts.rules.blackhole_for = 5 * SEC;
    sim *s = sim_new(&opts);
    sim_run(s, 58 * SEC);
    assert_int_equal(sim_client(s)->received, opts.send);
    sim_free(s);
}

static void a_silent_peer_times_out_on_both_sides(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.blackhole_at = 1 * SEC;
    opts.rules.blackhole_for = 1000 * SEC;
    sim *s = sim_new(&opts);
    sim_run(s, 200 * SEC);
    assert_int_equal(sim_client(s)->closed, 1);
    assert_int_equal(sim_client(s)->close.status, PQL_E_TIMEOUT);
    assert_int_equal(sim_server(s)->close.status, PQL_E_TIMEOUT);
    sim_free(s);
}

static void keep_alive_holds_an_idle_link(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.keep_alive = 5 * SEC;
    sim *s = sim_new(&opts);
    sim_run(s, 600 * SEC);
    assert_int_equal(sim_client(s)->closed, 0);
    assert_int_equal(sim_server(s)->closed, 0);
    sim_free(s);
}

static void a_path_of_1200_bytes_works(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.mtu = 1200;
    opts.send = 200000;
    sim *s = sim_new(&opts);
    sim_run(s, 55 * SEC);
    assert_int_equal(sim_client(s)->received, opts.send);
    pqi_quic_stats stats;
    pqi_quic_conn_stats(sim_client_conn(s), &stats);
    assert_int_equal(stats.path_mtu, 1200);
    sim_free(s);
}

static void path_mtu_discovery_finds_a_larger_path(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.mtu = 1452;
    opts.send = 200000;
    sim *s = sim_new(&opts);
    sim_run(s, 55 * SEC);
    pqi_quic_stats stats;
    pqi_quic_conn_stats(sim_client_conn(s), &stats);
    assert_true(stats.path_mtu > 1200 && stats.path_mtu <= 1452);
    sim_free(s);
}

static void a_path_that_carries_less_from_one_moment_on_does_not_end_the_link(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.mtu = 1452;
    opts.send = 3000000;
    sim *s = sim_new(&opts);
    pqi_quic_stats stats;
    do {
        sim_run(s, sim_now(s) - SIM_START + 10 * MS);
        pqi_quic_conn_stats(sim_client_conn(s), &stats);
    } while (stats.path_mtu <= 1200);
    assert_true(sim_client(s)->received < opts.send);
    sim_change(s)->mtu = 1200;
    sim_run(s, 55 * SEC);
    assert_int_equal(sim_client(s)->closed, 0);
    assert_int_equal(sim_client(s)->received, opts.send);
    sim_free(s);
}

static void retry_validates_the_address_first(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.retry_threshold = 0;
    sim *s = sim_new(&opts);
    sim_run(s, 5 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_client(s)->posture.round_trips, 2);
    assert_true(pqi_quic_endpoint_counters(sim_server_endpoint(s)).retries >= 1);
    sim_free(s);
}

static void a_restarted_server_resets_old_links(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.keep_alive = 5 * SEC;
    sim *s = sim_new(&opts);
    sim_run(s, 2 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    sim_restart_server(s);
    sim_run(s, 20 * SEC);
    assert_int_equal(sim_client(s)->closed, 1);
    assert_int_equal(sim_client(s)->close.status, PQL_E_CLOSED);
    assert_non_null(strstr(sim_client(s)->close.reason, "restarted"));
    sim_free(s);
}

static void keys_can_be_updated_in_flight(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 2000000;
    sim *s = sim_new(&opts);
    sim_run(s, 1 * SEC);
    assert_int_equal(pqi_quic_conn_update_keys(sim_client_conn(s), sim_now(s)), PQL_OK);
    sim_run(s, 55 * SEC);
    assert_int_equal(sim_client(s)->received, opts.send);
    sim_free(s);
}

static void a_wrong_pin_is_refused_before_the_link_opens(void **state)
{
    (void)state;
    pql_fingerprint wrong = pin;
    wrong.sha256[0] ^= 1;
    const pql_peer peer = {.pins = &wrong, .pin_count = 1};
    sim_opts opts = defaults();
    opts.peer = &peer;
    sim *s = sim_new(&opts);
    sim_run(s, 20 * SEC);
    assert_int_equal(sim_client(s)->opened, 0);
    assert_int_equal(sim_client(s)->close.status, PQL_E_TRUST);
    assert_int_equal(sim_server(s)->opened, 0);
    assert_int_equal(sim_server(s)->close.status, PQL_E_TRUST);
    assert_true(sim_server(s)->close.by_peer);
    sim_free(s);
}

static void an_unknown_protocol_is_refused_with_its_own_alert(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.client_alpn = "something-else";
    sim *s = sim_new(&opts);
    sim_run(s, 20 * SEC);
    assert_int_equal(sim_client(s)->opened, 0);
    assert_int_equal(sim_client(s)->close.code, 0x178);
    assert_non_null(strstr(sim_client(s)->close.reason, "protocol (ALPN)"));
    sim_free(s);
}

static void the_protocol_name_decides_the_certificate(void **state)
{
    (void)state;
    pql_fingerprint classical;
    pql_identity_fingerprint(identity, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT, &classical);
    const pql_peer peer = {.pins = &classical, .pin_count = 1};
    sim_opts opts = defaults();
    opts.peer = &peer;
    opts.client_alpn = "sim-old";
    sim *s = sim_new(&opts);
    sim_run(s, 5 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_client(s)->posture.peer_signature, 0x0403);
    assert_false(sim_client(s)->posture.pq_authentication);
    sim_free(s);
}

static void policies_meet_as_the_table_says(void **state)
{
    (void)state;
    static const struct {
        pql_policy client, server;
        bool opens, hybrid, downgraded;
    } table[] = {
        {PQL_POLICY_OFF, PQL_POLICY_OFF, true, false, false},
        {PQL_POLICY_OFF, PQL_POLICY_HYBRID, true, false, false},
        {PQL_POLICY_OFF, PQL_POLICY_PQ_ONLY, false, false, false},
        {PQL_POLICY_HYBRID, PQL_POLICY_OFF, true, false, true},
        {PQL_POLICY_HYBRID, PQL_POLICY_HYBRID, true, true, false},
        {PQL_POLICY_HYBRID, PQL_POLICY_PQ_ONLY, true, true, false},
        {PQL_POLICY_PQ_ONLY, PQL_POLICY_OFF, false, false, false},
        {PQL_POLICY_PQ_ONLY, PQL_POLICY_HYBRID, true, true, false},
        {PQL_POLICY_PQ_ONLY, PQL_POLICY_PQ_ONLY, true, true, false},
        {PQL_POLICY_HYBRID, PQL_POLICY_CNSA_2_0, false, false, false},
        {PQL_POLICY_PQ_ONLY, PQL_POLICY_CNSA_2_0, true, true, false},
        {PQL_POLICY_CNSA_2_0, PQL_POLICY_CNSA_2_0, true, true, false},
        {PQL_POLICY_CNSA_2_0, PQL_POLICY_PQ_ONLY, true, true, false},
        {PQL_POLICY_CNSA_2_0, PQL_POLICY_HYBRID, false, false, false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        sim_opts opts = defaults();
        opts.client_policy = table[i].client;
        opts.server_policy = table[i].server;
        sim *s = sim_new(&opts);
        sim_run(s, 20 * SEC);
        assert_int_equal(sim_client(s)->opened, table[i].opens ? 1 : 0);
        if (table[i].opens) {
            assert_int_equal(sim_client(s)->posture.pq_key_exchange, table[i].hybrid);
            assert_int_equal(sim_client(s)->posture.downgrade != PQL_DOWNGRADE_NONE,
                             table[i].downgraded);
        } else {
            assert_int_equal(sim_client(s)->close.status, PQL_E_POLICY);
        }
        sim_free(s);
    }
}

/* ML-KEM-1024 has key shares of 1.6 kB: two of them would not fit a first flight of two datagrams,
 * so one is sent, and another group costs a round trip. */
static void cnsa_takes_one_round_trip_where_both_like_the_same_group(void **state)
{
    (void)state;
    static const struct {
        pql_policy client, server;
        uint16_t group;
        unsigned round_trips;
    } table[] = {{PQL_POLICY_CNSA_2_0, PQL_POLICY_CNSA_2_0, 0x0202, 1},
                 {PQL_POLICY_CNSA_2_0, PQL_POLICY_PQ_ONLY, 0x11ed, 2},
                 {PQL_POLICY_PQ_ONLY, PQL_POLICY_CNSA_2_0, 0x11ed, 2}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        sim_opts opts = defaults();
        opts.client_policy = table[i].client;
        opts.server_policy = table[i].server;
        sim *s = sim_new(&opts);
        sim_run(s, 20 * SEC);
        assert_int_equal(sim_client(s)->opened, 1);
        assert_int_equal(sim_client(s)->posture.group, table[i].group);
        assert_int_equal(sim_server(s)->posture.group, table[i].group);
        assert_int_equal(sim_client(s)->posture.cipher, 0x1302);
        assert_int_equal(sim_client(s)->posture.peer_signature, 0x0906);
        assert_int_equal(sim_client(s)->posture.round_trips, table[i].round_trips);
        sim_free(s);
    }
}

static void strangers_get_less_than_they_send(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    sim *s = sim_new(&opts);
    size_t sent = 0;
    uint8_t junk[1300];
    srand(1);
    for (unsigned i = 0; i < 5000; i++) {
        const size_t len = 1 + (size_t)rand() % sizeof(junk);
        for (size_t k = 0; k < len; k++) {
            junk[k] = (uint8_t)rand();
        }
        sim_inject(s, junk, len);
        sent += len;
    }
    sim_run(s, 5 * SEC);
    assert_true(sim_stranger_bytes(s) < sent);
    assert_int_equal(sim_client(s)->opened, 1);
    sim_free(s);
}

static void handshakes_end_well_for_a_thousand_seeds_of_a_bad_network(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    unsigned opened = 0;
    for (opts.seed = 1; opts.seed <= 1000; opts.seed++) {
        opts.rules = (sim_rules){.delay = (opts.seed % 97) * MS,
                                 .jitter = (opts.seed % 13) * MS,
                                 .loss = (unsigned)(opts.seed % 251),
                                 .duplicate = (unsigned)(opts.seed % 83)};
        sim *s = sim_new(&opts);
        sim_run(s, 100 * SEC);
        /* Either it opened, or the client was told why not: never neither. */
        assert_true(sim_client(s)->opened + sim_client(s)->closed >= 1);
        assert_true(sim_client(s)->closed <= 1 && sim_server(s)->closed <= 60);
        opened += sim_client(s)->opened;
        sim_free(s);
    }
    assert_true(opened >= 990);
}

static void a_client_moves_to_another_address(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 2000000;
    sim *s = sim_new(&opts);
    sim_run(s, 400 * MS);
    assert_int_equal(sim_migrate(s), PQL_OK);
    sim_run(s, 55 * SEC);
    assert_int_equal(sim_server(s)->opened, 1);
    assert_int_equal(sim_client(s)->received, opts.send);
    assert_int_equal(pqi_address_port(pqi_quic_conn_remote(sim_server_conn(s))), 40002);
    sim_free(s);
}

static void a_handshake_through_a_blackhole_goes_on_after_it(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.blackhole_at = 40 * MS;
    opts.rules.blackhole_for = 3 * SEC;
    sim *s = sim_new(&opts);
    sim_run(s, 15 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_server(s)->opened, 1);
    sim_free(s);
}

static void flipped_bits_are_lost_datagrams_and_nothing_worse(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 100000;
    opts.rules.delay = 10 * MS;
    opts.rules.corrupt = 50;
    for (opts.seed = 1; opts.seed <= 100; opts.seed++) {
        sim *s = sim_new(&opts);
        sim_run(s, 55 * SEC);
        /* The simulator ends the program when a byte of a stream is not the right one. */
        if (sim_client(s)->opened == 1 && sim_client(s)->closed == 0) {
            assert_int_equal(sim_client(s)->received, opts.send);
        } else {
            assert_int_equal(sim_client(s)->closed, 1);
        }
        sim_free(s);
    }
}

static void congestion_marks_survive(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 500000;
    opts.rules.mark_ce = 20;
    sim *s = sim_new(&opts);
    sim_run(s, 55 * SEC);
    assert_int_equal(sim_client(s)->received, opts.send);
    assert_true(sim_marks_sent(s) > 500);
    assert_true(sim_marks_received(s) <= sim_marks_sent(s));
    assert_true(sim_marks_received(s) > 500);
    sim_free(s);
}

static void a_peer_may_open_as_many_streams_as_it_was_given(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.max_streams = 100;
    opts.keep_alive = 5 * SEC;
    pqi_quic_stream *streams[100];
    pqi_quic_stream *too_many = NULL;
    sim *s = sim_new(&opts);
    sim_run(s, 1 * SEC);
    for (size_t i = 0; i < 100; i++) {
        assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &streams[i], NULL), PQL_OK);
        /* One at a time: the simulator checks the order of bytes over all of them. */
        assert_int_equal(pqi_quic_stream_write(streams[i], NULL, 0, i < 50), PQL_OK);
    }
    assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &too_many, NULL), PQL_E_LIMIT);
    assert_null(too_many);
    sim_run(s, 3 * SEC);
    assert_int_equal(sim_server(s)->streams_opened, 50); /* nothing was said on the others */
    for (size_t i = 50; i < 100; i++) {
        pqi_quic_stream_reset(streams[i], i);
    }
    sim_run(s, 6 * SEC);
    assert_int_equal(sim_client(s)->streams_closed, 100);
    /* What has closed makes room for as many again. */
    for (size_t i = 0; i < 50; i++) {
        assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &streams[i], NULL), PQL_OK);
    }
    sim_free(s);
}

static void a_reset_ends_both_directions_at_both_ends(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.keep_alive = 5 * SEC;
    pqi_quic_stream *stream = NULL;
    sim *s = sim_new(&opts);
    sim_run(s, 1 * SEC);
    assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &stream, NULL), PQL_OK);
    assert_int_equal(pqi_quic_stream_write(stream, "", 1, false), PQL_OK);
    sim_run(s, 2 * SEC);
    assert_int_equal(sim_server(s)->streams_opened, 1);
    pqi_quic_stream_reset(stream, 77);
    assert_int_equal(pqi_quic_stream_write(stream, "", 1, false), PQL_E_CLOSED);
    sim_run(s, 5 * SEC);
    assert_int_equal(sim_client(s)->streams_closed, 1);
    assert_int_equal(sim_server(s)->streams_closed, 1);
    assert_int_equal(sim_server(s)->stream_code, 77);
    assert_int_equal(sim_client(s)->closed, 0);
    sim_free(s);
}

static void a_close_with_a_reason_reaches_the_peer(void **state)
{
    (void)state;
    const sim_opts opts = defaults();
    sim *s = sim_new(&opts);
    sim_run(s, 1 * SEC);
    pqi_quic_conn_close(sim_client_conn(s), 9, "enough \x01 for today");
    sim_run(s, 2 * SEC);
    assert_int_equal(sim_client(s)->closed, 1);
    assert_int_equal(sim_client(s)->close.status, PQL_OK);
    assert_int_equal(sim_server(s)->close.status, PQL_E_CLOSED);
    assert_true(sim_server(s)->close.by_peer && sim_server(s)->close.application);
    assert_int_equal(sim_server(s)->close.code, 9);
    assert_string_equal(sim_server(s)->close.reason, "enough ? for today");
    sim_run(s, 30 * SEC);
    assert_true(pqi_quic_endpoint_empty(sim_server_endpoint(s)));
    assert_true(pqi_quic_endpoint_empty(sim_client_endpoint(s)));
    sim_free(s);
}

static void a_lost_close_is_said_again_when_the_peer_still_talks(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    sim *s = sim_new(&opts);
    sim_run(s, 1 * SEC);
    pqi_quic_stream *stream = NULL;
    assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &stream, NULL), PQL_OK);
    sim_change(s)->server_dark = true;
    pqi_quic_conn_close(sim_server_conn(s), 5, "over");
    sim_run(s, 1 * SEC + 100 * MS);
    assert_int_equal(sim_server(s)->closed, 1);
    assert_int_equal(sim_client(s)->closed, 0);
    sim_change(s)->server_dark = false;
    assert_int_equal(pqi_quic_stream_write(stream, "", 1, false), PQL_OK);
    sim_run(s, 3 * SEC);
    assert_int_equal(sim_client(s)->closed, 1);
    assert_int_equal(sim_client(s)->close.code, 5);
    sim_free(s);
}

static void a_handshake_that_stops_halfway_leaves_nothing_on_the_server(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.server_dark = true;
    sim *s = sim_new(&opts);
    sim_run(s, 5 * SEC);
    assert_int_equal(pqi_quic_endpoint_live(sim_server_endpoint(s)), 1);
    sim_run(s, 40 * SEC);
    assert_int_equal(sim_client(s)->closed, 1);
    assert_int_equal(sim_client(s)->close.status, PQL_E_TIMEOUT);
    assert_true(sim_server(s)->closed >= 1);
    assert_int_equal(sim_server(s)->opened, 0);
    assert_true(pqi_quic_endpoint_empty(sim_server_endpoint(s)));
    sim_free(s);
}

static void a_day_of_messages_and_silence_is_survived(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.keep_alive = 20 * SEC;
    opts.rules.loss = 10;
    pqi_quic_stream *stream = NULL;
    sim *s = sim_new(&opts);
    sim_run(s, 1 * SEC);
    assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &stream, NULL), PQL_OK);
    /* The simulator's bytes: place * 31 + (place >> 8). */
    for (size_t minute = 1; minute <= 24 * 60; minute++) {
        const size_t place = minute - 1;
        const uint8_t byte = (uint8_t)(place * 31 + (place >> 8));
        assert_int_equal(pqi_quic_stream_write(stream, &byte, 1, false), PQL_OK);
        sim_run(s, minute * 60 * SEC);
    }
    assert_int_equal(sim_client(s)->received, 24 * 60);
    assert_int_equal(sim_client(s)->closed, 0);
    assert_int_equal(sim_server(s)->opened, 1);
    sim_free(s);
}

static void a_long_stream_does_not_hold_up_a_short_one(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.send = 1000000; /* the whole of it waits in the first stream's queue */
    pqi_quic_stream *stream = NULL;
    sim *s = sim_new(&opts);
    sim_run(s, 120 * MS); /* open, and one flight of the long stream is under way */
    assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &stream, NULL), PQL_OK);
    assert_int_equal(pqi_quic_stream_write(stream, NULL, 0, true), PQL_OK);
    for (unsigned ms = 120; !sim_server(s)->fin && ms < 20000; ms++) {
        sim_run(s, ms * MS);
    }
    assert_true(sim_server(s)->fin);
    assert_true(sim_server(s)->received < 200000);
    sim_free(s);
}

static void many_small_writes_arrive_whole_and_in_order(void **state)
{
    (void)state;
    sim_opts opts = defaults();
    opts.rules.loss = 30;
    pqi_quic_stream *stream = NULL;
    sim *s = sim_new(&opts);
    sim_run(s, 2 * SEC);
    assert_int_equal(pqi_quic_stream_open(sim_client_conn(s), &stream, NULL), PQL_OK);
    size_t place = 0;
    for (unsigned round = 1; round <= 40; round++) {
        for (unsigned i = 0; i < round * 10; i++, place++) {
            const uint8_t byte = (uint8_t)(place * 31 + (place >> 8));
            assert_int_equal(pqi_quic_stream_write(stream, &byte, 1, false), PQL_OK);
        }
        sim_run(s, 2 * SEC + round * 30 * MS); /* some are acknowledged, some under way */
    }
    sim_run(s, 30 * SEC);
    assert_int_equal(sim_client(s)->received, place);
    sim_free(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(first_contact_takes_one_round_trip_with_ml_dsa_87),
        cmocka_unit_test(the_server_sends_at_most_three_times_what_it_received),
        cmocka_unit_test(the_server_waits_when_half_the_first_flight_is_lost),
        cmocka_unit_test(a_megabyte_is_echoed_through_loss_reordering_and_duplicates),
        cmocka_unit_test(a_link_survives_a_change_of_the_clients_address),
        cmocka_unit_test(a_link_survives_a_blackhole_shorter_than_its_idle_timeout),
        cmocka_unit_test(a_silent_peer_times_out_on_both_sides),
        cmocka_unit_test(keep_alive_holds_an_idle_link),
        cmocka_unit_test(a_path_of_1200_bytes_works),
        cmocka_unit_test(path_mtu_discovery_finds_a_larger_path),
        cmocka_unit_test(a_path_that_carries_less_from_one_moment_on_does_not_end_the_link),
        cmocka_unit_test(retry_validates_the_address_first),
        cmocka_unit_test(a_restarted_server_resets_old_links),
        cmocka_unit_test(keys_can_be_updated_in_flight),
        cmocka_unit_test(a_wrong_pin_is_refused_before_the_link_opens),
        cmocka_unit_test(an_unknown_protocol_is_refused_with_its_own_alert),
        cmocka_unit_test(the_protocol_name_decides_the_certificate),
        cmocka_unit_test(policies_meet_as_the_table_says),
        cmocka_unit_test(cnsa_takes_one_round_trip_where_both_like_the_same_group),
        cmocka_unit_test(strangers_get_less_than_they_send),
        cmocka_unit_test(a_client_moves_to_another_address),
        cmocka_unit_test(a_handshake_through_a_blackhole_goes_on_after_it),
        cmocka_unit_test(flipped_bits_are_lost_datagrams_and_nothing_worse),
        cmocka_unit_test(congestion_marks_survive),
        cmocka_unit_test(a_peer_may_open_as_many_streams_as_it_was_given),
        cmocka_unit_test(a_reset_ends_both_directions_at_both_ends),
        cmocka_unit_test(a_close_with_a_reason_reaches_the_peer),
        cmocka_unit_test(a_lost_close_is_said_again_when_the_peer_still_talks),
        cmocka_unit_test(a_handshake_that_stops_halfway_leaves_nothing_on_the_server),
        cmocka_unit_test(a_day_of_messages_and_silence_is_survived),
        cmocka_unit_test(a_long_stream_does_not_hold_up_a_short_one),
        cmocka_unit_test(many_small_writes_arrive_whole_and_in_order),
        cmocka_unit_test(handshakes_end_well_for_a_thousand_seeds_of_a_bad_network),
    };
    return cmocka_run_group_tests(tests, identity_set_up, identity_tear_down);
}
