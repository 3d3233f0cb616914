/* Resumed sessions: when they are, when they are not, and what is checked all the same.  In virtual
 * time on a simulated network. */
#include "test.h"

#include "base/clock.h"
#include "sim/network.h"

#include <string.h>

#define MS PQI_NS_PER_MS
#define SEC PQI_NS_PER_SEC
#define NO_RETRY 1000
#define ALPN "pqlink-test/1"

static pql_identity *first, *second;
static pql_fingerprint pins[2];
static const uint8_t secret[PQI_TICKET_SECRET_LEN] = {7};
static const uint8_t other_secret[PQI_TICKET_SECRET_LEN] = {8};
static const pql_peer anybody = {.insecure = true};
static const pql_peer pinned = {.pins = &pins[0], .pin_count = 1};

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

static pqi_quic_tls *new_server(pql_policy policy, const uint8_t *ticket_secret,
                                const pql_peer *clients)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pqi_quic_tls_opts opts = {.server = true,
                                    .policy = policy,
                                    .identity = first,
                                    .alpn = &alpn,
                                    .alpn_count = 1,
                                    .peer = clients,
                                    .ticket_secret = ticket_secret};
    pqi_quic_tls *tls = NULL;
    assert_int_equal(pqi_quic_tls_new(&tls, &opts, NULL), PQL_OK);
    return tls;
}

static pqi_quic_tls *new_client(pql_policy policy, const pql_peer *peer, const pql_identity *shown,
                                pqi_tls_sessions *sessions)
{
    static const pql_alpn alpn = {ALPN, PQL_LEAF_PQ};
    const pqi_quic_tls_opts opts = {.policy = policy,
                                    .identity = shown,
                                    .alpn = &alpn,
                                    .alpn_count = 1,
                                    .peer = peer,
                                    .sessions = sessions};
    pqi_quic_tls *tls = NULL;
    assert_int_equal(pqi_quic_tls_new(&tls, &opts, NULL), PQL_OK);
    return tls;
}

/* One link.  The posture is the client's. */
typedef struct outcome {
    bool open, resumed, server_resumed;
    pql_posture posture;
    pql_status why;
    uint64_t bytes_in, bytes_out; /* of the client, UDP */
} outcome;

static outcome dial_with(const pqi_quic_tls *server, const pqi_quic_tls *client, uint64_t until)
{
    const sim_opts opts = {.seed = 1,
                           .rules = {.delay = 50 * MS},
                           .retry_threshold = NO_RETRY,
                           .client_tls = client,
                           .server_tls = server};
    sim *s = sim_new(&opts);
    sim_run(s, until);
    const pqi_quic_counters counters = pqi_quic_endpoint_counters(sim_client_endpoint(s));
    const outcome o = {.open = sim_client(s)->opened == 1 && sim_server(s)->opened == 1,
                       .resumed = sim_client(s)->posture.resumed,
                       .server_resumed = sim_server(s)->posture.resumed,
                       .posture = sim_client(s)->posture,
                       .why = sim_client(s)->close.status,
                       .bytes_in = counters.bytes_in,
                       .bytes_out = counters.bytes_out};
    assert_true(!o.open || o.resumed == o.server_resumed);
    sim_free(s);
    return o;
}

static outcome dial(const pqi_quic_tls *server, const pql_peer *peer, pqi_tls_sessions *sessions)
{
    pqi_quic_tls *client = new_client(PQL_POLICY_HYBRID, peer, NULL, sessions);
    const outcome o = dial_with(server, client, 1 * SEC);
    pqi_quic_tls_free(client);
    return o;
}

/* ---- resuming ---- */

static void a_second_link_resumes_the_session_of_the_first(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    const outcome full = dial(server, &pinned, sessions);
    const outcome again = dial(server, &pinned, sessions);
    assert_true(full.open);
    assert_false(full.resumed);
    assert_true(again.open);
    assert_true(again.resumed);
    /* A fresh key exchange with ML-KEM, and the proof of the first time. */
    assert_int_equal(again.posture.group, 0x11ec);
    assert_int_equal(again.posture.peer_signature, 0x0906);
    assert_int_equal(again.posture.trust, PQL_TRUST_PIN);
    assert_int_equal(again.posture.downgrade, PQL_DOWNGRADE_NONE);
    assert_int_equal(again.posture.round_trips, 1);
    assert_false(again.posture.early_data);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void a_resumed_link_gives_tickets_for_the_next(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    assert_false(dial(server, &pinned, sessions).resumed);
    for (unsigned i = 0; i < 10; i++) {
        assert_true(dial(server, &pinned, sessions).resumed);
    }
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void a_ticket_is_offered_once(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    pqi_quic_tls *dark = new_server(PQL_POLICY_HYBRID, NULL, NULL); /* gives no new tickets */
    assert_true(dial(server, &pinned, sessions).open);
    for (unsigned i = 0; i < PQI_SESSIONS_PER_KEY; i++) {
        assert_false(dial(dark, &pinned, sessions).resumed); /* uses one up */
    }
    assert_false(dial(server, &pinned, sessions).resumed);
    pqi_quic_tls_free(dark);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void tickets_survive_a_restart_with_the_same_secret(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *before = new_server(PQL_POLICY_HYBRID, secret, NULL);
    assert_true(dial(before, &pinned, sessions).open);
    pqi_quic_tls_free(before);
    pqi_quic_tls *after = new_server(PQL_POLICY_HYBRID, secret, NULL);
    assert_true(dial(after, &pinned, sessions).resumed);
    pqi_quic_tls_free(after);
    pqi_tls_sessions_free(sessions);
}

static void a_ticket_that_does_not_open_costs_a_full_handshake(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    pqi_quic_tls *stranger = new_server(PQL_POLICY_HYBRID, other_secret, NULL);
    assert_true(dial(server, &pinned, sessions).open);
    const outcome o = dial(stranger, &pinned, sessions);
    assert_true(o.open);
    assert_false(o.resumed);
    assert_int_equal(o.posture.round_trips, 1);
    pqi_quic_tls_free(stranger);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void nothing_is_resumed_unless_both_sides_want_it(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *giving = new_server(PQL_POLICY_HYBRID, secret, NULL);
    pqi_quic_tls *silent = new_server(PQL_POLICY_HYBRID, NULL, NULL);
    assert_false(dial(giving, &pinned, NULL).resumed);
    assert_false(dial(giving, &pinned, NULL).resumed);
    assert_false(dial(silent, &pinned, sessions).resumed);
    assert_false(dial(silent, &pinned, sessions).resumed);
    pqi_quic_tls_free(silent);
    pqi_quic_tls_free(giving);
    pqi_tls_sessions_free(sessions);
}

static void a_resumed_handshake_takes_few_bytes(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    pqi_quic_tls *client = new_client(PQL_POLICY_HYBRID, &pinned, NULL, sessions);
    const outcome full = dial_with(server, client, 160 * MS);
    assert_true(dial_with(server, client, 1 * SEC).open); /* until its tickets have come */
    const outcome again = dial_with(server, client, 160 * MS);
    assert_true(again.resumed);
    print_message("UDP bytes until 160 ms: full %llu + %llu, resumed %llu + %llu\n",
                  (unsigned long long)full.bytes_out, (unsigned long long)full.bytes_in,
                  (unsigned long long)again.bytes_out, (unsigned long long)again.bytes_in);
    assert_true(again.bytes_in + 6000 < full.bytes_in); /* leaf and signature are 7.4 kB */
    pqi_quic_tls_free(client);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

/* ---- what is checked all the same ---- */

static void sessions_of_another_trust_or_policy_are_not_offered(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    const pql_peer both = {.pins = pins, .pin_count = 2};
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    assert_true(dial(server, &anybody, sessions).open);
    assert_false(dial(server, &pinned, sessions).resumed);
    assert_false(dial(server, &both, sessions).resumed);
    pqi_quic_tls *strict = new_client(PQL_POLICY_PQ_ONLY, &pinned, NULL, sessions);
    assert_false(dial_with(server, strict, 1 * SEC).resumed);
    assert_true(dial_with(server, strict, 1 * SEC).resumed);
    pqi_quic_tls_free(strict);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void a_stricter_server_resumes_no_session_of_a_weaker_one(void **state)
{
    (void)state;
    static const struct {
        pql_policy before, after;
        bool resumed;
    } table[] = {{PQL_POLICY_HYBRID, PQL_POLICY_PQ_ONLY, false},
                 {PQL_POLICY_PQ_ONLY, PQL_POLICY_HYBRID, true},
                 {PQL_POLICY_PQ_ONLY, PQL_POLICY_PQ_ONLY, true}};
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        pqi_tls_sessions *sessions = pqi_tls_sessions_new();
        pqi_quic_tls *before = new_server(table[i].before, secret, NULL);
        pqi_quic_tls *after = new_server(table[i].after, secret, NULL);
        assert_true(dial(before, &pinned, sessions).open);
        const outcome o = dial(after, &pinned, sessions);
        assert_true(o.open);
        assert_int_equal(o.resumed, table[i].resumed);
        assert_true(o.posture.pq_key_exchange);
        pqi_quic_tls_free(before);
        pqi_quic_tls_free(after);
        pqi_tls_sessions_free(sessions);
    }
}

/* The client would have been hybrid, and the first server was not: nothing of that is kept. */
static void a_classical_session_is_not_kept_by_a_hybrid_client(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *off = new_server(PQL_POLICY_OFF, secret, NULL);
    const outcome full = dial(off, &pinned, sessions);
    const outcome again = dial(off, &pinned, sessions);
    assert_true(full.open);
    assert_true(again.open);
    assert_false(again.resumed);
    pqi_quic_tls_free(off);
    pqi_tls_sessions_free(sessions);
}

static void classical_sides_may_resume_among_themselves(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_OFF, secret, NULL);
    pqi_quic_tls *hybrid = new_server(PQL_POLICY_HYBRID, secret, NULL);
    pqi_quic_tls *client = new_client(PQL_POLICY_OFF, &pinned, NULL, sessions);
    assert_true(dial_with(server, client, 1 * SEC).open);
    assert_true(dial_with(server, client, 1 * SEC).resumed);
    assert_false(dial_with(hybrid, client, 1 * SEC).resumed);
    pqi_quic_tls_free(client);
    pqi_quic_tls_free(hybrid);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void an_identity_that_was_given_up_is_not_resumed(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_tls_generation *next = NULL;
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    assert_true(dial(server, &anybody, sessions).open);
    pqi_tls_change change = {.current = second, .other = first};
    assert_int_equal(pqi_quic_tls_prepare(server, &change, &next, NULL), PQL_OK);
    pqi_quic_tls_publish(server, next);
    assert_true(dial(server, &anybody, sessions).resumed); /* in the overlap it still counts */
    change.other = NULL;
    assert_int_equal(pqi_quic_tls_prepare(server, &change, &next, NULL), PQL_OK);
    pqi_quic_tls_publish(server, next);
    const outcome o = dial(server, &anybody, sessions);
    assert_true(o.open);
    assert_false(o.resumed);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void a_listener_with_clients_resumes_nothing(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, &anybody);
    pqi_quic_tls *client = new_client(PQL_POLICY_HYBRID, &pinned, second, sessions);
    assert_true(dial_with(server, client, 1 * SEC).open);
    const outcome o = dial_with(server, client, 1 * SEC);
    assert_true(o.open);
    assert_false(o.resumed);
    pqi_quic_tls_free(client);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

/* A ticket of a listener that asked for nothing is no way around one that asks. */
static void a_ticket_does_not_replace_a_clients_certificate(void **state)
{
    (void)state;
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *open = new_server(PQL_POLICY_HYBRID, secret, NULL);
    pqi_quic_tls *closed = new_server(PQL_POLICY_HYBRID, secret, &anybody);
    assert_true(dial(open, &pinned, sessions).open);
    const outcome o = dial(closed, &pinned, sessions);
    assert_false(o.open);
    assert_int_equal(o.why, PQL_E_TRUST);
    pqi_quic_tls_free(closed);
    pqi_quic_tls_free(open);
    pqi_tls_sessions_free(sessions);
}

/* ---- trust on first use ---- */

typedef struct memory {
    bool known, unwritable;
    pql_known_peer peer;
    unsigned puts;
} memory;

static pql_status memory_get(void *user, const char *name, pql_known_peer *out)
{
    const memory *m = user;
    (void)name;
    *out = m->peer;
    return m->known ? PQL_OK : PQL_E_NOT_FOUND;
}

static pql_status memory_put(void *user, const char *name, const pql_known_peer *peer)
{
    memory *m = user;
    (void)name;
    if (m->unwritable) {
        return PQL_E_IO;
    }
    m->known = true;
    m->peer = *peer;
    m->puts++;
    return PQL_OK;
}

static void the_memory_of_first_contact_is_asked_on_resumption_too(void **state)
{
    (void)state;
    memory m = {0};
    const pql_tofu tofu = {memory_get, memory_put, &m};
    const pql_peer peer = {.tofu = &tofu};
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    assert_true(dial(server, &peer, sessions).open);
    const outcome again = dial(server, &peer, sessions);
    assert_true(again.resumed);
    assert_int_equal(again.posture.trust, PQL_TRUST_TOFU);
    assert_int_equal(m.puts, 1);
    m.peer.cert_sha256[0] ^= 1; /* another certificate is known by now */
    const outcome changed = dial(server, &peer, sessions);
    assert_false(changed.open);
    assert_int_equal(changed.why, PQL_E_TRUST);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

static void a_link_that_may_not_open_leaves_no_session(void **state)
{
    (void)state;
    memory m = {.unwritable = true};
    const pql_tofu tofu = {memory_get, memory_put, &m};
    const pql_peer peer = {.tofu = &tofu};
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    pqi_quic_tls *server = new_server(PQL_POLICY_HYBRID, secret, NULL);
    assert_false(dial(server, &peer, sessions).open);
    m.unwritable = false;
    const outcome o = dial(server, &peer, sessions);
    assert_true(o.open);
    assert_false(o.resumed);
    pqi_quic_tls_free(server);
    pqi_tls_sessions_free(sessions);
}

/* ---- the memory of sessions ---- */

static SSL_SESSION *new_session(SSL_CTX *ctx)
{
    SSL_SESSION *session = SSL_SESSION_new(ctx);
    assert_non_null(session);
    return session;
}

static void the_memory_of_sessions_is_bounded(void **state)
{
    (void)state;
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    uint8_t key[PQI_SESSION_KEY_LEN] = {0};
    for (unsigned i = 0; i < PQI_SESSIONS_MAX + 10; i++) {
        key[0] = (uint8_t)i;
        key[1] = (uint8_t)(i >> 8);
        pqi_tls_sessions_put(sessions, key, new_session(ctx));
    }
    unsigned kept = 0;
    for (unsigned i = 0; i < PQI_SESSIONS_MAX + 10; i++) {
        key[0] = (uint8_t)i;
        key[1] = (uint8_t)(i >> 8);
        SSL_SESSION *session = pqi_tls_sessions_take(sessions, key);
        assert_true((session != NULL) == (i >= 10)); /* the oldest went */
        kept += session != NULL ? 1 : 0;
        SSL_SESSION_free(session);
    }
    assert_int_equal(kept, PQI_SESSIONS_MAX);
    pqi_tls_sessions_free(sessions);
    SSL_CTX_free(ctx);
}

static void one_peer_fills_only_its_own_share(void **state)
{
    (void)state;
    static const uint8_t key[PQI_SESSION_KEY_LEN] = {1};
    static const uint8_t other[PQI_SESSION_KEY_LEN] = {2};
    SSL_CTX *ctx = SSL_CTX_new(TLS_method());
    pqi_tls_sessions *sessions = pqi_tls_sessions_new();
    SSL_SESSION *newest = NULL;
    pqi_tls_sessions_put(sessions, other, new_session(ctx));
    for (unsigned i = 0; i < 2 * PQI_SESSIONS_MAX; i++) {
        newest = new_session(ctx);
        pqi_tls_sessions_put(sessions, key, newest);
    }
    SSL_SESSION *taken = pqi_tls_sessions_take(sessions, other);
    assert_non_null(taken);
    SSL_SESSION_free(taken);
    taken = pqi_tls_sessions_take(sessions, key);
    assert_ptr_equal(taken, newest);
    SSL_SESSION_free(taken);
    SSL_SESSION_free(pqi_tls_sessions_take(sessions, key));
    assert_null(pqi_tls_sessions_take(sessions, key));
    pqi_tls_sessions_free(sessions);
    SSL_CTX_free(ctx);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_second_link_resumes_the_session_of_the_first),
        cmocka_unit_test(a_resumed_link_gives_tickets_for_the_next),
        cmocka_unit_test(a_ticket_is_offered_once),
        cmocka_unit_test(tickets_survive_a_restart_with_the_same_secret),
        cmocka_unit_test(a_ticket_that_does_not_open_costs_a_full_handshake),
        cmocka_unit_test(nothing_is_resumed_unless_both_sides_want_it),
        cmocka_unit_test(a_resumed_handshake_takes_few_bytes),
        cmocka_unit_test(sessions_of_another_trust_or_policy_are_not_offered),
        cmocka_unit_test(a_stricter_server_resumes_no_session_of_a_weaker_one),
        cmocka_unit_test(a_classical_session_is_not_kept_by_a_hybrid_client),
        cmocka_unit_test(classical_sides_may_resume_among_themselves),
        cmocka_unit_test(an_identity_that_was_given_up_is_not_resumed),
        cmocka_unit_test(a_listener_with_clients_resumes_nothing),
        cmocka_unit_test(a_ticket_does_not_replace_a_clients_certificate),
        cmocka_unit_test(the_memory_of_first_contact_is_asked_on_resumption_too),
        cmocka_unit_test(a_link_that_may_not_open_leaves_no_session),
        cmocka_unit_test(the_memory_of_sessions_is_bounded),
        cmocka_unit_test(one_peer_fills_only_its_own_share),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
