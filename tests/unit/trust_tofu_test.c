/* Pins, trust on first use and the choice of one way of trust. */
#include "test.h"

#include "identity/identity.h"
#include "identity/leaf.h"
#include "trust/trust.h"

#include <string.h>

#define NAME "node.example:9833"
#define NOW INT64_C(1790000000)

/* A memory of one peer that can be told to fail. */
typedef struct memory {
    bool known;
    char name[64];
    pql_known_peer peer;
    unsigned puts;
    bool get_fails;
    bool put_fails;
} memory;

static pql_status memory_get(void *user, const char *name, pql_known_peer *out)
{
    const memory *m = user;
    if (m->get_fails) {
        return PQL_E_IO;
    }
    if (!m->known || strcmp(name, m->name) != 0) {
        return PQL_E_NOT_FOUND;
    }
    *out = m->peer;
    return PQL_OK;
}

static pql_status memory_put(void *user, const char *name, const pql_known_peer *peer)
{
    memory *m = user;
    m->puts++;
    if (m->put_fails) {
        return PQL_E_IO;
    }
    m->known = true;
    m->peer = *peer;
    (void)strncpy(m->name, name, sizeof(m->name) - 1);
    return PQL_OK;
}

static pqi_leaf leaf_one;
static pqi_leaf leaf_two;

static int make_leaves(void **state)
{
    (void)state;
    const pql_identity_opts opts = {0};
    return pqi_leaf_make(&leaf_one, PQL_LEAF_CLASSICAL, &opts, NULL) == PQL_OK &&
                   pqi_leaf_make(&leaf_two, PQL_LEAF_CLASSICAL, &opts, NULL) == PQL_OK
               ? 0
               : -1;
}

static int free_leaves(void **state)
{
    (void)state;
    pqi_leaf_clear(&leaf_one);
    pqi_leaf_clear(&leaf_two);
    return 0;
}

static pqi_chain chain_of(const pqi_leaf *leaf)
{
    return (pqi_chain){.der = {CRYPTO_BUFFER_data(leaf->cert)},
                       .len = {CRYPTO_BUFFER_len(leaf->cert)},
                       .count = 1};
}

static pqi_trust *trust_by(const pql_peer *peer)
{
    pqi_trust *trust = NULL;
    assert_int_equal(pqi_trust_new(&trust, peer, NULL), PQL_OK);
    return trust;
}

static pqi_trust *trust_by_memory(memory *m)
{
    const pql_tofu tofu = {memory_get, memory_put, m};
    return trust_by(&(pql_peer){.tofu = &tofu});
}

static pqi_key_exchange kex_of(bool hybrid)
{
    return hybrid ? PQI_KEX_HYBRID : PQI_KEX_CLASSICAL;
}

static pql_status check(const pqi_trust *trust, const pqi_leaf *leaf, bool hybrid, pql_error *err)
{
    const pqi_chain chain = chain_of(leaf);
    pql_trust how = PQL_TRUST_INSECURE;
    const pql_status status =
        pqi_trust_check(trust, &chain, "node.example", NAME, NOW, kex_of(hybrid), &how, err);
    assert_true((how == PQL_TRUST_NONE) == (status != PQL_OK));
    return status;
}

static pql_status settle(const pqi_trust *trust, const pqi_leaf *leaf, bool hybrid, pql_error *err)
{
    const pqi_chain chain = chain_of(leaf);
    return pqi_trust_settle(trust, &chain, NAME, kex_of(hybrid), err);
}

/* ---- the choice ---- */

static void exactly_one_way_of_trust_must_be_named(void **state)
{
    (void)state;
    memory m = {0};
    const pql_tofu tofu = {memory_get, memory_put, &m};
    const pql_tofu halved = {memory_get, NULL, &m};
    const pql_fingerprint pins[9] = {0};
    const pql_peer wrong[] = {
        {0},
        {.insecure = true, .tofu = &tofu},
        {.pins = pins, .pin_count = 1, .insecure = true},
        {.pins = pins, .pin_count = 1, .ca_file = "/dev/null"},
        {.pins = pins, .pin_count = 9},
        {.pins = NULL, .pin_count = 1},
        {.tofu = &halved},
    };
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pqi_trust *trust = (pqi_trust *)1;
        pql_error err;
        assert_int_equal(pqi_trust_new(&trust, &wrong[i], &err), PQL_E_USAGE);
        assert_null(trust);
    }
}

static void clients_cannot_be_trusted_on_first_use(void **state)
{
    (void)state;
    memory m = {0};
    const pql_tofu tofu = {memory_get, memory_put, &m};
    pqi_trust *trust = (pqi_trust *)1;
    assert_int_equal(pqi_trust_new_clients(&trust, &(pql_peer){.tofu = &tofu}, NULL), PQL_E_USAGE);
    assert_null(trust);
}

/* ---- pins ---- */

static void any_one_of_several_pins_suffices(void **state)
{
    (void)state;
    const pql_fingerprint pins[] = {leaf_two.of_cert, leaf_one.of_spki};
    pqi_trust *trust = trust_by(&(pql_peer){.pins = pins, .pin_count = 2});
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(check(trust, &leaf_two, true, NULL), PQL_OK);
    pqi_trust_free(trust);
}

static void a_refused_pin_shows_both_fingerprints(void **state)
{
    (void)state;
    char came[PQL_FINGERPRINT_SIZE];
    char expected[PQL_FINGERPRINT_SIZE];
    pql_error err;
    pqi_trust *trust = trust_by(&(pql_peer){.pins = &leaf_one.of_cert, .pin_count = 1});
    assert_int_equal(check(trust, &leaf_two, true, &err), PQL_E_TRUST);
    pql_fingerprint_format(&leaf_two.of_cert, came);
    pql_fingerprint_format(&leaf_one.of_cert, expected);
    assert_non_null(strstr(err.message, came));
    assert_non_null(strstr(err.message, expected));
    assert_non_null(strstr(err.message, NAME));
    pqi_trust_free(trust);
}

static void an_ipv6_address_is_shown_in_brackets(void **state)
{
    (void)state;
    pql_error err = {0};
    pql_trust how;
    const pqi_chain chain = chain_of(&leaf_two);
    pqi_trust *trust = trust_by(&(pql_peer){.pins = &leaf_one.of_cert, .pin_count = 1});
    assert_int_equal(pqi_trust_check(trust, &chain, "2001:db8::1", "2001:db8::1:9833", NOW,
                                     PQI_KEX_HYBRID, &how, &err),
                     PQL_E_TRUST);
    assert_non_null(strstr(err.message, "[2001:db8::1]:9833 is not the peer"));
    pqi_trust_free(trust);
}

static void the_digest_of_one_form_does_not_match_the_other(void **state)
{
    (void)state;
    pql_fingerprint confused = leaf_one.of_cert;
    confused.form = PQL_FINGERPRINT_SPKI;
    pqi_trust *trust = trust_by(&(pql_peer){.pins = &confused, .pin_count = 1});
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_E_TRUST);
    pqi_trust_free(trust);
}

static void an_empty_chain_and_garbage_are_refused_in_every_mode(void **state)
{
    (void)state;
    memory m = {0};
    static const uint8_t garbage[] = "no certificate";
    const pqi_chain chains[] = {{.count = 0},
                                {.der = {garbage}, .len = {sizeof(garbage)}, .count = 1},
                                {.der = {garbage}, .len = {0}, .count = 1}};
    pqi_trust *ways[] = {trust_by(&(pql_peer){.pins = &leaf_one.of_cert, .pin_count = 1}),
                         trust_by(&(pql_peer){.insecure = true}), trust_by_memory(&m)};
    for (size_t i = 0; i < 9; i++) {
        pql_trust how;
        assert_int_equal(pqi_trust_check(ways[i / 3], &chains[i % 3], "h", NAME, NOW,
                                         PQI_KEX_HYBRID, &how, NULL),
                         PQL_E_TRUST);
    }
    assert_int_equal(pqi_trust_settle(ways[2], &chains[0], NAME, PQI_KEX_HYBRID, NULL),
                     PQL_E_TRUST);
    assert_int_equal(m.puts, 0);
    for (size_t i = 0; i < 3; i++) {
        pqi_trust_free(ways[i]);
    }
}

static void insecure_accepts_anybody_and_says_so(void **state)
{
    (void)state;
    pqi_trust *trust = trust_by(&(pql_peer){.insecure = true});
    const pqi_chain chain = chain_of(&leaf_one);
    pql_trust how;
    assert_int_equal(pqi_trust_check(trust, &chain, "h", NAME, NOW, PQI_KEX_CLASSICAL, &how, NULL),
                     PQL_OK);
    assert_int_equal(how, PQL_TRUST_INSECURE);
    assert_int_equal(pqi_trust_settle(trust, &chain, NAME, PQI_KEX_CLASSICAL, NULL), PQL_OK);
    pqi_trust_free(trust);
}

/* ---- trust on first use ---- */

static void the_first_contact_is_remembered_once_its_key_is_proven(void **state)
{
    (void)state;
    memory m = {0};
    pqi_trust *trust = trust_by_memory(&m);
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(m.puts, 0); /* nothing is stored before CertificateVerify was checked */
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(m.puts, 1);
    assert_string_equal(m.name, NAME);
    assert_memory_equal(m.peer.cert_sha256, leaf_one.of_cert.sha256, PQL_SHA256_SIZE);
    assert_true(m.peer.was_hybrid);
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(m.puts, 1); /* nothing new, nothing written */
    pqi_trust_free(trust);
}

static void another_certificate_later_is_refused_loudly(void **state)
{
    (void)state;
    memory m = {0};
    pql_error err;
    pqi_trust *trust = trust_by_memory(&m);
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(check(trust, &leaf_two, true, &err), PQL_E_TRUST);
    assert_non_null(strstr(err.message, "HAS CHANGED"));
    assert_int_equal(settle(trust, &leaf_two, true, NULL), PQL_E_TRUST);
    assert_memory_equal(m.peer.cert_sha256, leaf_one.of_cert.sha256, PQL_SHA256_SIZE);
    pqi_trust_free(trust);
}

static void two_first_contacts_at_once_cannot_both_win(void **state)
{
    (void)state;
    memory m = {0};
    pqi_trust *trust = trust_by_memory(&m);
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(check(trust, &leaf_two, true, NULL), PQL_OK);
    assert_int_equal(settle(trust, &leaf_two, true, NULL), PQL_OK);
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_E_TRUST);
    pqi_trust_free(trust);
}

static void a_peer_that_was_hybrid_may_not_be_classical_later(void **state)
{
    (void)state;
    memory m = {0};
    pql_error err;
    pqi_trust *trust = trust_by_memory(&m);
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(check(trust, &leaf_one, false, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "forget"));
    assert_int_equal(settle(trust, &leaf_one, false, NULL), PQL_E_POLICY);
    assert_true(m.peer.was_hybrid);
    pqi_trust_free(trust);
}

static void a_classical_peer_that_becomes_hybrid_is_remembered_as_such(void **state)
{
    (void)state;
    memory m = {0};
    pqi_trust *trust = trust_by_memory(&m);
    assert_int_equal(settle(trust, &leaf_one, false, NULL), PQL_OK);
    assert_false(m.peer.was_hybrid);
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    assert_false(m.peer.was_hybrid);
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_true(m.peer.was_hybrid);
    pqi_trust_free(trust);
}

static void a_memory_that_fails_accepts_nobody(void **state)
{
    (void)state;
    memory m = {.put_fails = true};
    pqi_trust *trust = trust_by_memory(&m);
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_E_TRUST);
    m.get_fails = true;
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_E_TRUST);
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_E_TRUST);
    pqi_trust_free(trust);
}

/* ---- pinned peers that were hybrid ---- */

/* A memory of one certificate that can be told to fail. */
typedef struct marks {
    bool marked;
    uint8_t cert[PQL_SHA256_SIZE];
    bool fails;
} marks;

static pql_status marks_has(void *user, const uint8_t cert_sha256[PQL_SHA256_SIZE])
{
    const marks *m = user;
    if (m->fails) {
        return PQL_E_IO;
    }
    return m->marked && memcmp(m->cert, cert_sha256, sizeof(m->cert)) == 0 ? PQL_OK
                                                                           : PQL_E_NOT_FOUND;
}

static void marks_add(void *user, const uint8_t cert_sha256[PQL_SHA256_SIZE])
{
    marks *m = user;
    m->marked = true;
    memcpy(m->cert, cert_sha256, sizeof(m->cert));
}

static pqi_trust *trust_by_pins(marks *m)
{
    const pql_fingerprint pins[] = {leaf_one.of_cert, leaf_two.of_spki};
    const pql_hybrid_memory of_pinned = {marks_has, marks_add, m};
    pqi_trust *trust = trust_by(&(pql_peer){.pins = pins, .pin_count = 2});
    pqi_trust_use_memory(trust, &of_pinned);
    return trust;
}

static void a_pinned_peer_that_was_hybrid_may_not_come_back_classical(void **state)
{
    (void)state;
    marks m = {0};
    pql_error err;
    pqi_trust *trust = trust_by_pins(&m);
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    assert_false(m.marked); /* its key is not proven yet */
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_memory_equal(m.cert, leaf_one.of_cert.sha256, PQL_SHA256_SIZE);
    assert_int_equal(check(trust, &leaf_one, false, &err), PQL_E_POLICY);
    assert_non_null(strstr(err.message, "pqlink forget"));
    assert_non_null(strstr(err.message, "sha256:"));
    assert_int_equal(check(trust, &leaf_two, false, NULL), PQL_OK); /* that is another one */
    pqi_trust_free(trust);
}

static void a_pinned_peer_that_was_always_classical_stays_welcome(void **state)
{
    (void)state;
    marks m = {0};
    pqi_trust *trust = trust_by_pins(&m);
    assert_int_equal(settle(trust, &leaf_two, false, NULL), PQL_OK);
    assert_false(m.marked);
    assert_int_equal(check(trust, &leaf_two, false, NULL), PQL_OK);
    pqi_trust_free(trust);
}

static void nobody_is_downgraded_by_our_own_policy_off(void **state)
{
    (void)state;
    marks m = {0};
    pqi_trust *trust = trust_by_pins(&m);
    const pqi_chain chain = chain_of(&leaf_one);
    pql_trust how;
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(pqi_trust_check(trust, &chain, "h", NAME, NOW, PQI_KEX_UNWANTED, &how, NULL),
                     PQL_OK);
    assert_int_equal(pqi_trust_settle(trust, &chain, NAME, PQI_KEX_UNWANTED, NULL), PQL_OK);
    assert_int_equal(check(trust, &leaf_one, false, NULL), PQL_E_POLICY); /* and not forgotten */
    pqi_trust_free(trust);
}

static void a_known_peer_survives_our_own_policy_off(void **state)
{
    (void)state;
    memory m = {0};
    pqi_trust *trust = trust_by_memory(&m);
    const pqi_chain chain = chain_of(&leaf_one);
    pql_trust how;
    assert_int_equal(settle(trust, &leaf_one, true, NULL), PQL_OK);
    assert_int_equal(pqi_trust_check(trust, &chain, "h", NAME, NOW, PQI_KEX_UNWANTED, &how, NULL),
                     PQL_OK);
    assert_int_equal(pqi_trust_settle(trust, &chain, NAME, PQI_KEX_UNWANTED, NULL), PQL_OK);
    assert_true(m.peer.was_hybrid);
    pqi_trust_free(trust);
}

static void a_memory_of_pinned_peers_that_cannot_be_read_refuses_classical_ones_only(void **state)
{
    (void)state;
    marks m = {.fails = true};
    pqi_trust *trust = trust_by_pins(&m);
    assert_int_equal(check(trust, &leaf_one, false, NULL), PQL_E_TRUST);
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    pqi_trust_free(trust);
}

static void each_refusal_has_its_alert(void **state)
{
    (void)state;
    assert_int_equal(pqi_trust_alert(PQL_E_TRUST), 48);
    assert_int_equal(pqi_trust_alert(PQL_E_POLICY), 71);
    assert_int_equal(pqi_trust_alert(PQL_E_NOMEM), 42);
}

static void what_is_remembered_can_be_asked_for(void **state)
{
    (void)state;
    memory m = {0};
    pql_fingerprint fp;
    pqi_trust *trust = trust_by_memory(&m);
    assert_false(pqi_trust_remembers(trust, NAME, &fp));
    assert_int_equal(check(trust, &leaf_one, true, NULL), PQL_OK);
    const pqi_chain chain = chain_of(&leaf_one);
    assert_int_equal(pqi_trust_settle(trust, &chain, NAME, PQI_KEX_HYBRID, NULL), PQL_OK);
    assert_true(pqi_trust_remembers(trust, NAME, &fp));
    assert_int_equal(fp.form, PQL_FINGERPRINT_CERT);
    assert_memory_equal(fp.sha256, leaf_one.of_cert.sha256, sizeof(fp.sha256));
    assert_false(pqi_trust_remembers(trust, "other.example:9833", &fp));
    m.get_fails = true;
    assert_false(pqi_trust_remembers(trust, NAME, &fp));
    pqi_trust_free(trust);
}

static void pins_remember_nothing(void **state)
{
    (void)state;
    pql_fingerprint fp;
    pqi_trust *trust = trust_by(&(pql_peer){.pins = &leaf_one.of_cert, .pin_count = 1});
    assert_false(pqi_trust_remembers(trust, NAME, &fp));
    pqi_trust_free(trust);
}

/* ---- the memory of pinned keys ---- */

typedef struct key_marks {
    uint8_t sha256[4][PQL_SHA256_SIZE];
    size_t count;
} key_marks;

static pql_status key_marks_has(void *user, const uint8_t sha256[PQL_SHA256_SIZE])
{
    const key_marks *m = user;
    for (size_t i = 0; i < m->count; i++) {
        if (memcmp(m->sha256[i], sha256, PQL_SHA256_SIZE) == 0) {
            return PQL_OK;
        }
    }
    return PQL_E_NOT_FOUND;
}

static void key_marks_add(void *user, const uint8_t sha256[PQL_SHA256_SIZE])
{
    key_marks *m = user;
    if (key_marks_has(user, sha256) == PQL_E_NOT_FOUND) {
        assert_true(m->count < sizeof(m->sha256) / sizeof(m->sha256[0]));
        memcpy(m->sha256[m->count++], sha256, PQL_SHA256_SIZE);
    }
}

static pqi_trust *trust_with_marks(const pql_fingerprint *pin, key_marks *m)
{
    const pql_hybrid_memory of_pinned = {key_marks_has, key_marks_add, m};
    pqi_trust *trust = trust_by(&(pql_peer){.pins = pin, .pin_count = 1});
    pqi_trust_use_memory(trust, &of_pinned);
    return trust;
}

/* The |number|th certificate of one key. */
static pqi_chain renewed(uint8_t number)
{
    pqi_chain chain = {.count = 1,
                       .known = true,
                       .of_cert = {.form = PQL_FINGERPRINT_CERT},
                       .of_spki = leaf_one.of_spki};
    chain.of_cert.sha256[0] = number;
    return chain;
}

static pql_status check_chain(const pqi_trust *trust, const pqi_chain *chain, pql_error *err)
{
    pql_trust how;
    return pqi_trust_check(trust, chain, "node.example", NAME, NOW, PQI_KEX_CLASSICAL, &how, err);
}

static void a_renewed_certificate_of_a_pinned_key_may_not_fall_back_either(void **state)
{
    (void)state;
    key_marks m = {0};
    pql_error err;
    char shown[PQL_FINGERPRINT_SIZE];
    pqi_trust *trust = trust_with_marks(&leaf_one.of_spki, &m);
    for (uint8_t i = 1; i <= 9; i++) {
        const pqi_chain chain = renewed(i);
        assert_int_equal(pqi_trust_settle(trust, &chain, NAME, PQI_KEX_HYBRID, NULL), PQL_OK);
    }
    assert_int_equal(m.count, 1); /* whoever holds the key cannot fill a disk */
    const pqi_chain another = renewed(10);
    assert_int_equal(check_chain(trust, &another, &err), PQL_E_POLICY);
    pql_fingerprint_format(&leaf_one.of_spki, shown);
    assert_non_null(strstr(err.message, shown)); /* what there is to forget */
    pqi_trust_free(trust);
}

static void a_pin_of_another_form_loses_no_memory(void **state)
{
    (void)state;
    const pqi_chain chain = renewed(1);
    const pql_fingerprint *const pins[] = {&chain.of_cert, &chain.of_spki};
    for (size_t i = 0; i < 2; i++) {
        key_marks m = {0};
        pqi_trust *before = trust_with_marks(pins[i], &m);
        pqi_trust *after = trust_with_marks(pins[1 - i], &m);
        assert_int_equal(check_chain(after, &chain, NULL), PQL_OK);
        assert_int_equal(pqi_trust_settle(before, &chain, NAME, PQI_KEX_HYBRID, NULL), PQL_OK);
        assert_int_equal(m.count, 1);
        assert_memory_equal(m.sha256[0], pins[i]->sha256, PQL_SHA256_SIZE);
        assert_int_equal(check_chain(after, &chain, NULL), PQL_E_POLICY);
        pqi_trust_free(before);
        pqi_trust_free(after);
    }
}

static void nobody_raises_the_alarm_in_the_name_of_a_client_whose_key_he_lacks(void **state)
{
    (void)state;
    key_marks m = {0};
    pqi_trust *trust = NULL;
    const pqi_chain chain = renewed(1);
    const pql_hybrid_memory of_pinned = {key_marks_has, key_marks_add, &m};
    assert_int_equal(
        pqi_trust_new_clients(&trust, &(pql_peer){.pins = &chain.of_cert, .pin_count = 1}, NULL),
        PQL_OK);
    pqi_trust_use_memory(trust, &of_pinned);
    assert_int_equal(pqi_trust_settle(trust, &chain, "", PQI_KEX_CLASSICAL, NULL), PQL_OK);
    assert_int_equal(pqi_trust_settle(trust, &chain, "", PQI_KEX_HYBRID, NULL), PQL_OK);

    /* The certificate is here, and the proof of its key is still to come. */
    assert_int_equal(check_chain(trust, &chain, NULL), PQL_OK);
    assert_int_equal(pqi_trust_settle(trust, &chain, "", PQI_KEX_CLASSICAL, NULL), PQL_E_POLICY);
    assert_int_equal(pqi_trust_settle(trust, &chain, "", PQI_KEX_UNWANTED, NULL), PQL_OK);
    pqi_trust_free(trust);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(exactly_one_way_of_trust_must_be_named),
        cmocka_unit_test(clients_cannot_be_trusted_on_first_use),
        cmocka_unit_test(any_one_of_several_pins_suffices),
        cmocka_unit_test(a_refused_pin_shows_both_fingerprints),
        cmocka_unit_test(an_ipv6_address_is_shown_in_brackets),
        cmocka_unit_test(the_digest_of_one_form_does_not_match_the_other),
        cmocka_unit_test(an_empty_chain_and_garbage_are_refused_in_every_mode),
        cmocka_unit_test(insecure_accepts_anybody_and_says_so),
        cmocka_unit_test(the_first_contact_is_remembered_once_its_key_is_proven),
        cmocka_unit_test(another_certificate_later_is_refused_loudly),
        cmocka_unit_test(two_first_contacts_at_once_cannot_both_win),
        cmocka_unit_test(a_peer_that_was_hybrid_may_not_be_classical_later),
        cmocka_unit_test(a_classical_peer_that_becomes_hybrid_is_remembered_as_such),
        cmocka_unit_test(a_memory_that_fails_accepts_nobody),
        cmocka_unit_test(a_pinned_peer_that_was_hybrid_may_not_come_back_classical),
        cmocka_unit_test(a_pinned_peer_that_was_always_classical_stays_welcome),
        cmocka_unit_test(nobody_is_downgraded_by_our_own_policy_off),
        cmocka_unit_test(a_known_peer_survives_our_own_policy_off),
        cmocka_unit_test(a_memory_of_pinned_peers_that_cannot_be_read_refuses_classical_ones_only),
        cmocka_unit_test(each_refusal_has_its_alert),
        cmocka_unit_test(what_is_remembered_can_be_asked_for),
        cmocka_unit_test(pins_remember_nothing),
        cmocka_unit_test(a_renewed_certificate_of_a_pinned_key_may_not_fall_back_either),
        cmocka_unit_test(a_pin_of_another_form_loses_no_memory),
        cmocka_unit_test(nobody_raises_the_alarm_in_the_name_of_a_client_whose_key_he_lacks),
    };
    return cmocka_run_group_tests(tests, make_leaves, free_leaves);
}
