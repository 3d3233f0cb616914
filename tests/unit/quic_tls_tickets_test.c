/* Session tickets: what opens them, and what may be resumed. */
#include "test.h"

#include "quic/tls_tickets.h"

#include <string.h>

#define NOW INT64_C(1790000000)
#define MLKEM 0x11ec /* X25519MLKEM768 */
#define X25519 0x001d
#define SESSION "the session"

static const uint8_t secret[PQI_TICKET_SECRET_LEN] = {1, 2, 3};
static const pqi_ticket_facts facts = {
    .policy = PQL_POLICY_HYBRID, .group = MLKEM, .leaf = {9, 8, 7}};

typedef struct sealed {
    uint8_t bytes[256];
    size_t len;
} sealed;

static sealed seal(int64_t now)
{
    sealed t = {.len = 0};
    assert_true(pqi_ticket_seal(secret, now, &facts, (const uint8_t *)SESSION, sizeof(SESSION),
                                t.bytes, sizeof(t.bytes), &t.len));
    return t;
}

static bool opens(const uint8_t *with, const sealed *t, int64_t now)
{
    uint8_t out[256];
    size_t len = 1;
    pqi_ticket_facts read;
    const bool ok = pqi_ticket_open(with, now, t->bytes, t->len, &read, out, sizeof(out), &len);
    assert_int_equal(len, ok ? sizeof(SESSION) : 0);
    if (ok) {
        assert_memory_equal(out, SESSION, sizeof(SESSION));
        assert_int_equal(read.policy, facts.policy);
        assert_int_equal(read.group, facts.group);
        assert_memory_equal(read.leaf, facts.leaf, sizeof(facts.leaf));
    }
    return ok;
}

static void a_ticket_opens_with_its_facts(void **state)
{
    (void)state;
    const sealed t = seal(NOW);
    assert_int_equal(t.len, sizeof(SESSION) + PQI_TICKET_OVERHEAD);
    assert_true(opens(secret, &t, NOW));
}

static void a_ticket_may_be_opened_in_place(void **state)
{
    (void)state;
    sealed t = seal(NOW);
    pqi_ticket_facts read;
    size_t len = 0;
    assert_true(
        pqi_ticket_open(secret, NOW, t.bytes, t.len, &read, t.bytes, sizeof(t.bytes), &len));
    assert_memory_equal(t.bytes, SESSION, sizeof(SESSION));
}

static void a_session_may_be_sealed_in_place(void **state)
{
    (void)state;
    sealed t = {.bytes = SESSION};
    assert_true(pqi_ticket_seal(secret, NOW, &facts, t.bytes, sizeof(SESSION), t.bytes,
                                sizeof(t.bytes), &t.len));
    assert_true(opens(secret, &t, NOW));
}

static void keys_change_and_the_last_one_still_opens(void **state)
{
    (void)state;
    const int64_t start = NOW - NOW % PQI_TICKET_PERIOD;
    const sealed t = seal(start + 5);
    const sealed next = seal(start + PQI_TICKET_PERIOD);
    assert_memory_not_equal(t.bytes, next.bytes, 5);
    assert_true(opens(secret, &t, start + PQI_TICKET_PERIOD));
    assert_true(opens(secret, &t, start + 2 * PQI_TICKET_PERIOD - 1));
    assert_false(opens(secret, &t, start + 2 * PQI_TICKET_PERIOD));
}

static void a_ticket_from_the_future_does_not_open(void **state)
{
    (void)state;
    const sealed t = seal(NOW + PQI_TICKET_PERIOD);
    assert_false(opens(secret, &t, NOW));
}

static void every_changed_bit_is_noticed(void **state)
{
    (void)state;
    for (size_t bit = 0; bit < 8 * seal(NOW).len; bit++) {
        sealed t = seal(NOW);
        t.bytes[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(opens(secret, &t, NOW));
    }
}

static void a_ticket_that_is_cut_short_does_not_open(void **state)
{
    (void)state;
    for (size_t len = 0; len < seal(NOW).len; len++) {
        sealed t = seal(NOW);
        t.len = len;
        assert_false(opens(secret, &t, NOW));
    }
}

static void another_secret_opens_nothing(void **state)
{
    (void)state;
    static const uint8_t other[PQI_TICKET_SECRET_LEN] = {1, 2, 4};
    const sealed t = seal(NOW);
    assert_false(opens(other, &t, NOW));
}

static void a_ticket_does_not_fit_into_less_than_it_needs(void **state)
{
    (void)state;
    uint8_t out[sizeof(SESSION) + PQI_TICKET_OVERHEAD - 1];
    size_t len = 1;
    assert_false(pqi_ticket_seal(secret, NOW, &facts, (const uint8_t *)SESSION, sizeof(SESSION),
                                 out, sizeof(out), &len));
    assert_int_equal(len, 0);
}

static void a_weaker_session_is_never_resumed_under_a_stricter_policy(void **state)
{
    (void)state;
    static const struct {
        pql_policy made, now;
        uint16_t group;
        bool strong;
    } table[] = {
        {PQL_POLICY_OFF, PQL_POLICY_OFF, X25519, true},
        {PQL_POLICY_OFF, PQL_POLICY_HYBRID, X25519, false},
        {PQL_POLICY_OFF, PQL_POLICY_PQ_ONLY, X25519, false},
        {PQL_POLICY_HYBRID, PQL_POLICY_OFF, MLKEM, true},
        {PQL_POLICY_HYBRID, PQL_POLICY_HYBRID, MLKEM, true},
        {PQL_POLICY_HYBRID, PQL_POLICY_HYBRID, X25519, false},
        {PQL_POLICY_HYBRID, PQL_POLICY_PQ_ONLY, MLKEM, false},
        {PQL_POLICY_HYBRID, PQL_POLICY_PQ_ONLY, X25519, false},
        {PQL_POLICY_PQ_ONLY, PQL_POLICY_HYBRID, MLKEM, true},
        {PQL_POLICY_PQ_ONLY, PQL_POLICY_PQ_ONLY, MLKEM, true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        const pqi_ticket_facts made = {.policy = table[i].made, .group = table[i].group};
        assert_int_equal(pqi_ticket_strong_enough(&made, table[i].now), table[i].strong);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_ticket_opens_with_its_facts),
        cmocka_unit_test(a_ticket_may_be_opened_in_place),
        cmocka_unit_test(a_session_may_be_sealed_in_place),
        cmocka_unit_test(keys_change_and_the_last_one_still_opens),
        cmocka_unit_test(a_ticket_from_the_future_does_not_open),
        cmocka_unit_test(every_changed_bit_is_noticed),
        cmocka_unit_test(a_ticket_that_is_cut_short_does_not_open),
        cmocka_unit_test(another_secret_opens_nothing),
        cmocka_unit_test(a_ticket_does_not_fit_into_less_than_it_needs),
        cmocka_unit_test(a_weaker_session_is_never_resumed_under_a_stricter_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
