/* Certificates of a listener: chosen by protocol and hint, and replaced while handshakes run.  In
 * virtual time on a simulated network. */
#include "test.h"

#include "base/clock.h"
#include "quic/tls_internal.h"
#include "sim/network.h"

#include <string.h>

#define MS PQI_NS_PER_MS
#define SEC PQI_NS_PER_SEC
#define NO_RETRY 1000
#define OWN "pqlink-test/1"
#define FOREIGN "test/1"

static pql_identity *first, *second;
static const pql_peer anybody = {.insecure = true};

static int set_up(void **state)
{
    (void)state;
    return pql_identity_ephemeral(&first, NULL, NULL) == PQL_OK &&
                   pql_identity_ephemeral(&second, NULL, NULL) == PQL_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    (void)state;
    pql_identity_free(first);
    pql_identity_free(second);
    return 0;
}

static pql_fingerprint fingerprint(const pql_identity *id, pql_leaf leaf, pql_fingerprint_form form)
{
    pql_fingerprint fp;
    pql_identity_fingerprint(id, leaf, form, &fp);
    return fp;
}

static pqi_quic_tls *new_server(const pql_identity *current, const pql_identity *other)
{
    static const pql_alpn alpn[] = {
        {OWN, PQL_LEAF_PQ}, {FOREIGN, PQL_LEAF_PQ}, {"pqlink-old/1", PQL_LEAF_CLASSICAL}};
    const pqi_quic_tls_opts opts = {.server = true,
                                    .identity = current,
                                    .other_identity = other,
                                    .alpn = alpn,
                                    .alpn_count = 3};
    pqi_quic_tls *tls = NULL;
    assert_int_equal(pqi_quic_tls_new(&tls, &opts, NULL), PQL_OK);
    return tls;
}

static pqi_quic_tls *new_client(const char *name, const pql_peer *peer)
{
    const pql_alpn alpn = {name, PQL_LEAF_PQ};
    const pqi_quic_tls_opts opts = {.alpn = &alpn, .alpn_count = 1, .peer = peer};
    pqi_quic_tls *tls = NULL;
    assert_int_equal(pqi_quic_tls_new(&tls, &opts, NULL), PQL_OK);
    return tls;
}

static sim *new_sim(const pqi_quic_tls *client, const pqi_quic_tls *server)
{
    const sim_opts opts = {.seed = 1,
                           .rules = {.delay = 50 * MS},
                           .retry_threshold = NO_RETRY,
                           .client_tls = client,
                           .server_tls = server};
    return sim_new(&opts);
}

/* What happened when |peer| was dialled over |protocol|. */
typedef struct outcome {
    bool open;
    pql_status why;
    pql_fingerprint shown; /* certificate form; only when open */
    unsigned round_trips;
} outcome;

static outcome dial(const pqi_quic_tls *server, const char *protocol, const pql_peer *peer)
{
    outcome o = {0};
    pqi_quic_tls *client = new_client(protocol, peer);
    sim *s = new_sim(client, server);
    sim_run(s, 2 * SEC);
    o.open = sim_client(s)->opened == 1 && sim_server(s)->opened == 1;
    o.why = sim_client(s)->close.status;
    o.round_trips = sim_client(s)->posture.round_trips;
    if (o.open) {
        assert_true(
            pqi_quic_conn_peer_fingerprint(sim_client_conn(s), PQL_FINGERPRINT_CERT, &o.shown));
    }
    sim_free(s);
    pqi_quic_tls_free(client);
    return o;
}

static outcome dial_pinned(const pqi_quic_tls *server, const char *protocol,
                           const pql_identity *expected, pql_leaf leaf, pql_fingerprint_form form)
{
    const pql_fingerprint pin = fingerprint(expected, leaf, form);
    return dial(server, protocol, &(pql_peer){.pins = &pin, .pin_count = 1});
}

static void assert_shows(const outcome *o, const pql_identity *id, pql_leaf leaf)
{
    const pql_fingerprint expected = fingerprint(id, leaf, PQL_FINGERPRINT_CERT);
    assert_true(o->open);
    assert_memory_equal(o->shown.sha256, expected.sha256, PQL_SHA256_SIZE);
}

static void replace(pqi_quic_tls *server, const pql_identity *current, const pql_identity *other)
{
    pqi_tls_generation *next = NULL;
    assert_int_equal(
        pqi_quic_tls_prepare(server, &(pqi_tls_change){current, other, NULL, PQL_POLICY_HYBRID},
                             &next, NULL),
        PQL_OK);
    pqi_quic_tls_publish(server, next);
}

/* ---- two identities at once ---- */

static void a_client_that_knows_only_the_other_leaf_gets_it(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    for (int form = PQL_FINGERPRINT_CERT; form <= PQL_FINGERPRINT_SPKI; form++) {
        const outcome old =
            dial_pinned(server, OWN, first, PQL_LEAF_PQ, (pql_fingerprint_form)form);
        const outcome next =
            dial_pinned(server, OWN, second, PQL_LEAF_PQ, (pql_fingerprint_form)form);
        assert_shows(&old, first, PQL_LEAF_PQ);
        assert_shows(&next, second, PQL_LEAF_PQ);
        assert_int_equal(next.round_trips, 1);
    }
    pqi_quic_tls_free(server);
}

static void the_hint_works_for_the_classical_leaf_too(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    const outcome o =
        dial_pinned(server, "pqlink-old/1", second, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT);
    assert_shows(&o, second, PQL_LEAF_CLASSICAL);
    pqi_quic_tls_free(server);
}

static void a_client_that_knows_both_leaves_gets_the_current_one(void **state)
{
    (void)state;
    const pql_fingerprint pins[] = {fingerprint(second, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT),
                                    fingerprint(first, PQL_LEAF_PQ, PQL_FINGERPRINT_SPKI)};
    pqi_quic_tls *server = new_server(first, second);
    const outcome o = dial(server, OWN, &(pql_peer){.pins = pins, .pin_count = 2});
    assert_shows(&o, first, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

static void a_client_without_pins_gets_the_current_leaf(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    const outcome o = dial(server, OWN, &anybody);
    assert_shows(&o, first, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

static void a_foreign_protocol_carries_no_hint(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    const outcome o = dial_pinned(server, FOREIGN, second, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
    assert_false(o.open);
    assert_int_equal(o.why, PQL_E_TRUST);
    pqi_quic_tls_free(server);
}

static void without_a_rotation_a_hint_changes_nothing(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, NULL);
    const outcome stranger = dial_pinned(server, OWN, second, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
    const outcome known = dial_pinned(server, OWN, first, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
    assert_false(stranger.open);
    assert_int_equal(stranger.why, PQL_E_TRUST);
    assert_shows(&known, first, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

/* Counts what the client sends. */
static sim_fate count_datagrams(void *user, bool to_server, size_t len)
{
    (void)len;
    *(unsigned *)user += to_server ? 1 : 0;
    return (sim_fate){.extra_delay = 0};
}

static void a_hello_with_eight_pins_fits_into_two_datagrams(void **state)
{
    (void)state;
    unsigned sent = 0;
    pql_fingerprint pins[8];
    for (size_t i = 0; i < 8; i++) {
        pins[i] = (pql_fingerprint){.form = PQL_FINGERPRINT_SPKI, .sha256 = {(uint8_t)i}};
    }
    pqi_quic_tls *server = new_server(first, NULL);
    pqi_quic_tls *client = new_client(OWN, &(pql_peer){.pins = pins, .pin_count = 8});
    const sim_opts opts = {.seed = 1,
                           .rules = {.delay = 50 * MS},
                           .retry_threshold = NO_RETRY,
                           .client_tls = client,
                           .server_tls = server,
                           .fate = count_datagrams,
                           .fate_user = &sent};
    sim *s = sim_new(&opts);
    sim_run(s, 10 * MS);
    assert_int_equal(sent, 2 * 2); /* the first flight goes out twice */
    sim_free(s);
    pqi_quic_tls_free(client);
    pqi_quic_tls_free(server);
}

static void eight_pins_leave_the_handshake_at_one_round_trip(void **state)
{
    (void)state;
    pql_fingerprint pins[8] = {0};
    for (size_t i = 0; i < 7; i++) {
        pins[i] = (pql_fingerprint){.form = PQL_FINGERPRINT_SPKI, .sha256 = {(uint8_t)i}};
    }
    pins[7] = fingerprint(second, PQL_LEAF_PQ, PQL_FINGERPRINT_SPKI);
    pqi_quic_tls *server = new_server(first, second);
    const outcome o = dial(server, OWN, &(pql_peer){.pins = pins, .pin_count = 8});
    assert_shows(&o, second, PQL_LEAF_PQ);
    assert_int_equal(o.round_trips, 1);
    pqi_quic_tls_free(server);
}

/* ---- clients that cannot say what they expect ---- */

static outcome dial_official(const pqi_quic_tls *server, const pql_identity *expected)
{
    return dial_pinned(server, FOREIGN, expected, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
}

static void a_client_without_a_hint_gets_the_other_leaf_after_it_refused_one(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    assert_false(dial_official(server, second).open);
    const outcome again = dial_official(server, second);
    assert_shows(&again, second, PQL_LEAF_PQ);
    const outcome later = dial_official(server, second); /* what it took is shown again */
    assert_shows(&later, second, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

static void a_client_whose_pin_changes_gets_in_at_the_second_try(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    for (unsigned i = 0; i < 4; i++) {
        const pql_identity *expected = i % 2 == 0 ? second : first;
        assert_false(dial_official(server, expected).open);
        const outcome o = dial_official(server, expected);
        assert_shows(&o, expected, PQL_LEAF_PQ);
    }
    pqi_quic_tls_free(server);
}

static void a_hint_counts_more_than_what_is_remembered(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    assert_false(dial_official(server, second).open);
    const outcome o = dial_pinned(server, OWN, first, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
    assert_shows(&o, first, PQL_LEAF_PQ);
    const outcome official = dial_official(server, second); /* and does not change it */
    assert_shows(&official, second, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

static void after_the_rotation_only_the_current_leaf_is_shown(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    assert_false(dial_official(server, second).open);
    replace(server, first, NULL);
    assert_false(dial_official(server, second).open);
    assert_false(dial_official(server, second).open);
    const outcome o = dial_official(server, first);
    assert_shows(&o, first, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

static void a_change_of_clients_forgets_nothing(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    assert_false(dial_official(server, second).open);
    replace(server, first, second);
    const outcome again = dial_official(server, second);
    assert_shows(&again, second, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

static void other_leaves_begin_with_an_empty_memory(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    assert_false(dial_official(server, second).open);
    replace(server, second, first);
    const outcome o = dial_official(server, second);
    assert_shows(&o, second, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

/* A flight and its end in somebody's name, by one who never sees the answers. */
static void forge_refusal(const pqi_quic_tls *server)
{
    pqi_quic_tls *client = new_client(FOREIGN, &anybody);
    sim *s = new_sim(client, server);
    sim_change(s)->server_dark = true;
    sim_run(s, 200 * MS);
    assert_non_null(sim_server_conn(s));
    pqi_quic_conn_close(sim_client_conn(s), 0, "");
    pqi_quic_endpoint_flush(sim_client_endpoint(s), sim_now(s));
    sim_run(s, 1 * SEC);
    assert_int_equal(sim_server(s)->opened, 0);
    assert_int_equal(sim_server(s)->closed, 1);
    assert_true(sim_server(s)->close.by_peer);
    sim_free(s);
    pqi_quic_tls_free(client);
}

static void who_forges_an_address_changes_nothing_for_it(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, second);
    forge_refusal(server);
    const outcome o = dial_official(server, first);
    assert_shows(&o, first, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

/* ---- replacement ---- */

static void the_next_handshake_shows_the_new_leaf(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, NULL);
    const outcome before = dial(server, OWN, &anybody);
    replace(server, second, NULL);
    const outcome after = dial(server, OWN, &anybody);
    assert_shows(&before, first, PQL_LEAF_PQ);
    assert_shows(&after, second, PQL_LEAF_PQ);
    pqi_quic_tls_free(server);
}

/* The second half of the client's hello, and its copy, come 100 ms late. */
static sim_fate split_hello(void *user, bool to_server, size_t len)
{
    unsigned *sent = user;
    (void)len;
    const bool late = to_server && (*sent)++ < 4 && *sent % 2 == 0;
    return (sim_fate){.extra_delay = late ? 100 * MS : 0};
}

static void a_handshake_that_has_begun_ends_with_the_leaf_that_it_began_with(void **state)
{
    (void)state;
    const pql_fingerprint pin = fingerprint(first, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT);
    pqi_quic_tls *server = new_server(first, NULL);
    pqi_quic_tls *client = new_client(OWN, &(pql_peer){.pins = &pin, .pin_count = 1});
    unsigned sent = 0;
    const sim_opts opts = {.seed = 1,
                           .rules = {.delay = 50 * MS},
                           .retry_threshold = NO_RETRY,
                           .client_tls = client,
                           .server_tls = server,
                           .fate = split_hello,
                           .fate_user = &sent};
    sim *s = sim_new(&opts);
    sim_run(s, 100 * MS); /* the server has half the hello, and so has chosen no leaf yet */
    assert_non_null(sim_server_conn(s));
    assert_int_equal(sim_server(s)->opened, 0);
    replace(server, second, NULL);
    sim_run(s, 5 * SEC);
    assert_int_equal(sim_client(s)->opened, 1);
    assert_int_equal(sim_server(s)->opened, 1);
    assert_true(sim_client(s)->opened_at > 150 * MS);
    sim_free(s);
    pqi_quic_tls_free(client);
    pqi_quic_tls_free(server);
}

static void a_live_link_outlives_the_identity_that_it_began_with(void **state)
{
    (void)state;
    pqi_quic_tls *server = new_server(first, NULL);
    pqi_quic_tls *client = new_client(OWN, &anybody);
    sim *s = new_sim(client, server);
    sim_run(s, 1 * SEC);
    assert_int_equal(sim_server(s)->opened, 1);
    replace(server, second, NULL);
    replace(server, first, second);
    assert_int_equal(pqi_quic_conn_update_keys(sim_client_conn(s), sim_now(s)), PQL_OK);
    sim_run(s, 20 * SEC);
    assert_int_equal(sim_client(s)->closed, 0);
    assert_int_equal(sim_server(s)->closed, 0);
    sim_free(s);
    pqi_quic_tls_free(client);
    pqi_quic_tls_free(server);
}

static void what_was_prepared_and_not_published_has_no_effect(void **state)
{
    (void)state;
    pqi_tls_generation *next = NULL;
    pqi_quic_tls *server = new_server(first, NULL);
    assert_int_equal(
        pqi_quic_tls_prepare(server, &(pqi_tls_change){.current = second}, &next, NULL), PQL_OK);
    const outcome o = dial(server, OWN, &anybody);
    assert_shows(&o, first, PQL_LEAF_PQ);
    pqi_quic_tls_discard(next);
    pqi_quic_tls_free(server);
}

/* ---- long chains ---- */

/* Dials a server whose classical leaf has |more| certificates behind it. */
static outcome dial_chain(size_t more)
{
    pqi_quic_tls *server = new_server(first, NULL);
    SSL_CTX *ctx = atomic_load(&server->slot->present)->ctx[TLS_CURRENT][PQL_LEAF_CLASSICAL];
    for (size_t i = 0; i < more; i++) {
        assert_int_equal(SSL_CTX_add1_chain_cert(ctx, SSL_CTX_get0_certificate(ctx)), 1);
    }
    const outcome o =
        dial_pinned(server, "pqlink-old/1", first, PQL_LEAF_CLASSICAL, PQL_FINGERPRINT_CERT);
    pqi_quic_tls_free(server);
    return o;
}

static void a_chain_of_more_than_eight_certificates_is_refused(void **state)
{
    (void)state;
    assert_true(dial_chain(7).open);
    const outcome o = dial_chain(8);
    assert_false(o.open);
    assert_int_equal(o.why, PQL_E_TRUST);
}

/* ---- no protocol in common ---- */

static void a_client_without_ml_dsa_learns_too_that_no_protocol_is_in_common(void **state)
{
    (void)state;
    static const uint16_t ecdsa_only[] = {SSL_SIGN_ECDSA_SECP256R1_SHA256};
    pqi_quic_tls *server = new_server(first, NULL);
    pqi_quic_tls *client = new_client("test/2", &anybody);
    assert_int_equal(SSL_CTX_set_verify_algorithm_prefs(client->client, ecdsa_only, 1), 1);
    sim *s = new_sim(client, server);
    sim_run(s, 2 * SEC);
    assert_int_equal(sim_client(s)->opened, 0);
    assert_int_equal(sim_client(s)->close.code, 0x178);
    assert_non_null(strstr(sim_server(s)->close.reason, "no protocol (ALPN) in common"));
    sim_free(s);
    pqi_quic_tls_free(client);
    pqi_quic_tls_free(server);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_client_that_knows_only_the_other_leaf_gets_it),
        cmocka_unit_test(the_hint_works_for_the_classical_leaf_too),
        cmocka_unit_test(a_client_that_knows_both_leaves_gets_the_current_one),
        cmocka_unit_test(a_client_without_pins_gets_the_current_leaf),
        cmocka_unit_test(a_foreign_protocol_carries_no_hint),
        cmocka_unit_test(without_a_rotation_a_hint_changes_nothing),
        cmocka_unit_test(a_hello_with_eight_pins_fits_into_two_datagrams),
        cmocka_unit_test(eight_pins_leave_the_handshake_at_one_round_trip),
        cmocka_unit_test(a_client_without_a_hint_gets_the_other_leaf_after_it_refused_one),
        cmocka_unit_test(a_client_whose_pin_changes_gets_in_at_the_second_try),
        cmocka_unit_test(a_hint_counts_more_than_what_is_remembered),
        cmocka_unit_test(after_the_rotation_only_the_current_leaf_is_shown),
        cmocka_unit_test(a_change_of_clients_forgets_nothing),
        cmocka_unit_test(other_leaves_begin_with_an_empty_memory),
        cmocka_unit_test(who_forges_an_address_changes_nothing_for_it),
        cmocka_unit_test(the_next_handshake_shows_the_new_leaf),
        cmocka_unit_test(a_handshake_that_has_begun_ends_with_the_leaf_that_it_began_with),
        cmocka_unit_test(a_live_link_outlives_the_identity_that_it_began_with),
        cmocka_unit_test(what_was_prepared_and_not_published_has_no_effect),
        cmocka_unit_test(a_chain_of_more_than_eight_certificates_is_refused),
        cmocka_unit_test(a_client_without_ml_dsa_learns_too_that_no_protocol_is_in_common),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
