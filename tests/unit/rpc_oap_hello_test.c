/* HELLO: who is there, and a posture that is compared with the link's and never believed. */
#include "test.h"

#include "rpc/oap.h"
#include "rpc/oap_hello.h"

#include <string.h>

#define X25519MLKEM768 0x11ec
#define X25519 0x001d
#define MLKEM1024 0x0202
#define ML_DSA_87 0x0906
#define ECDSA_P256 0x0403
#define ED25519 0x0807

static void expect_hello(const pqi_oap_hello *hello, const char *text)
{
    uint8_t bytes[PQI_OAP_HELLO_MAX];
    pqi_writer w;
    pqi_oap_hello back;
    pqi_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_hello_write(&w, hello, NULL), PQL_OK);
    assert_int_equal(w.len, strlen(text));
    assert_memory_equal(bytes, text, w.len);
    assert_int_equal(pqi_oap_hello_read(&back, bytes, w.len, NULL), PQL_OK);
    assert_int_equal(back.has_agent, hello->has_agent);
    assert_string_equal(back.agent, hello->agent);
    assert_int_equal(back.has_posture, hello->has_posture);
    assert_memory_equal(&back.posture, &hello->posture, sizeof(back.posture));
}

static void hellos_have_their_golden_text(void **state)
{
    (void)state;
    expect_hello(&(pqi_oap_hello){0}, "{\"ua\":null}");
    expect_hello(&(pqi_oap_hello){.has_agent = true, .agent = "pqlink/0.1"},
                 "{\"ua\":\"pqlink/0.1\"}");
    expect_hello(&(pqi_oap_hello){.has_posture = true, .posture = {1, 3, 2}},
                 "{\"ua\":null,\"pq\":{\"mode\":1,\"kex\":3,\"sig\":2}}");
}

static void the_answer_has_its_golden_text(void **state)
{
    (void)state;
    static const char text[] = "{\"max_frame\":1048576,\"max_inflight\":64,\"flags_supported\":191,"
                               "\"versions\":[1],\"transports\":[\"quic\",\"tcp+tls\"],"
                               "\"pq\":{\"mode\":2,\"kex\":3,\"sig\":2}}";
    const pqi_oap_welcome welcome = {.frame_max = PQI_OAP_FRAME_MAX,
                                     .inflight_max = PQI_OAP_INFLIGHT_MAX,
                                     .flags = PQI_OAP_FLAGS_KNOWN & ~PQI_OAP_COMP,
                                     .has_posture = true,
                                     .posture = {2, 3, 2}};
    uint8_t bytes[PQI_OAP_HELLO_MAX];
    pqi_writer w;
    pqi_oap_welcome back;
    pqi_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_welcome_write(&w, &welcome, NULL), PQL_OK);
    assert_int_equal(w.len, strlen(text));
    assert_memory_equal(bytes, text, w.len);
    assert_int_equal(pqi_oap_welcome_read(&back, bytes, w.len, NULL), PQL_OK);
    assert_int_equal(back.frame_max, welcome.frame_max);
    assert_int_equal(back.inflight_max, welcome.inflight_max);
    assert_int_equal(back.flags, welcome.flags);
    assert_true(back.has_posture);
}

static void the_answer_of_an_older_peer_is_understood(void **state)
{
    (void)state;
    static const char text[] = "{\"max_frame\":1048576,\"max_inflight\":64,\"flags_supported\":255,"
                               "\"versions\":[1],\"transports\":[\"tcp+tls\"]}";
    pqi_oap_welcome out;
    assert_int_equal(pqi_oap_welcome_read(&out, (const uint8_t *)text, strlen(text), NULL), PQL_OK);
    assert_false(out.has_posture);
}

static pql_status read_text(const char *text)
{
    pqi_oap_hello out;
    return pqi_oap_hello_read(&out, (const uint8_t *)text, strlen(text), NULL);
}

static void malformed_hellos_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "null",
        "[]",
        "{\"ua\":1}",
        "{\"ua\":\"a\",\"ua\":\"b\"}",
        "{\"ua\":\"quote\\\"d\"}",
        "{\"ua\":\"n\\u0000l\"}",
        "{\"ua\":\"\\u00e9\"}",
        "{\"ua\":null,\"pq\":null}",
        "{\"ua\":null,\"pq\":{}}",
        "{\"ua\":null,\"pq\":{\"mode\":1,\"kex\":3}}",
        "{\"ua\":null,\"pq\":{\"mode\":256,\"kex\":3,\"sig\":2}}",
        "{\"ua\":null,\"pq\":{\"mode\":-1,\"kex\":3,\"sig\":2}}",
        "{\"ua\":null,\"pq\":{\"mode\":1.0,\"kex\":3,\"sig\":2}}",
        "{\"ua\":null} x",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(read_text(bad[i]), PQL_E_PROTOCOL);
    }
    assert_int_equal(read_text("{}"), PQL_OK);
    assert_int_equal(read_text("{\"ua\":null,\"new\":{\"x\":[1]}}"), PQL_OK);
}

static void every_truncation_of_a_hello_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"ua\":\"pqlink\",\"pq\":{\"mode\":1,\"kex\":3,\"sig\":2}}";
    pqi_oap_hello out;
    for (size_t len = 0; len < strlen(text); len++) {
        assert_int_equal(pqi_oap_hello_read(&out, (const uint8_t *)text, len, NULL),
                         PQL_E_PROTOCOL);
    }
}

static void an_overlong_hello_is_refused(void **state)
{
    (void)state;
    char text[PQI_OAP_HELLO_MAX + 2];
    memset(text, ' ', sizeof(text));
    text[0] = '{';
    text[PQI_OAP_HELLO_MAX - 1] = '}';
    text[PQI_OAP_HELLO_MAX] = '\0';
    assert_int_equal(read_text(text), PQL_OK);
    text[PQI_OAP_HELLO_MAX] = ' ';
    text[PQI_OAP_HELLO_MAX + 1] = '\0';
    assert_int_equal(read_text(text), PQL_E_PROTOCOL);
}

static void an_answer_without_our_version_is_refused(void **state)
{
    (void)state;
    static const char text[] = "{\"max_frame\":1048576,\"max_inflight\":64,\"flags_supported\":255,"
                               "\"versions\":[2]}";
    pqi_oap_welcome out;
    assert_int_equal(pqi_oap_welcome_read(&out, (const uint8_t *)text, strlen(text), NULL),
                     PQL_E_PROTOCOL);
}

static void the_posture_of_a_link_is_said_in_small_numbers(void **state)
{
    (void)state;
    const pql_posture hybrid = {.group = X25519MLKEM768, .own_signature = ML_DSA_87};
    const pqi_oap_posture a = pqi_oap_posture_of(PQL_POLICY_HYBRID, &hybrid, true);
    assert_int_equal(a.mode, PQI_OAP_MODE_HYBRID);
    assert_int_equal(a.kex, PQI_OAP_KEX_HYBRID);
    assert_int_equal(a.sig, PQI_OAP_SIG_ML_DSA);
    const pql_posture classical = {.group = X25519, .peer_signature = ECDSA_P256};
    const pqi_oap_posture b = pqi_oap_posture_of(PQL_POLICY_OFF, &classical, false);
    assert_int_equal(b.mode, PQI_OAP_MODE_OFF);
    assert_int_equal(b.kex, PQI_OAP_KEX_X25519);
    assert_int_equal(b.sig, PQI_OAP_SIG_UNKNOWN);
    const pql_posture pure = {.group = MLKEM1024, .peer_signature = ED25519};
    const pqi_oap_posture c = pqi_oap_posture_of(PQL_POLICY_PQ_ONLY, &pure, false);
    assert_int_equal(c.mode, PQI_OAP_MODE_PQ_ONLY);
    assert_int_equal(c.kex, PQI_OAP_KEX_ML_KEM);
    assert_int_equal(c.sig, PQI_OAP_SIG_ED25519);
    const pqi_oap_posture none = pqi_oap_posture_of(PQL_POLICY_OFF, &(pql_posture){0}, false);
    assert_int_equal(none.kex, PQI_OAP_KEX_NONE);
    assert_int_equal(none.sig, PQI_OAP_SIG_NONE);
}

static void a_claim_is_compared_and_never_believed(void **state)
{
    (void)state;
    const pqi_oap_posture link = {PQI_OAP_MODE_HYBRID, PQI_OAP_KEX_X25519, PQI_OAP_SIG_UNKNOWN};
    const pqi_oap_posture boast = {PQI_OAP_MODE_HYBRID, PQI_OAP_KEX_HYBRID, PQI_OAP_SIG_ML_DSA};
    const pqi_oap_posture stricter = {PQI_OAP_MODE_PQ_ONLY, PQI_OAP_KEX_HYBRID, PQI_OAP_SIG_ML_DSA};
    const pqi_oap_posture later = {PQI_OAP_MODE_HYBRID, 9, PQI_OAP_SIG_ML_DSA};
    assert_int_equal(pqi_oap_claim_judge(NULL, &link), PQI_OAP_CLAIM_ABSENT);
    assert_int_equal(pqi_oap_claim_judge(&boast, &link), PQI_OAP_CLAIM_DISAGREES);
    assert_int_equal(pqi_oap_claim_judge(&stricter, &boast), PQI_OAP_CLAIM_AGREES);
    assert_int_equal(pqi_oap_claim_judge(&later, &boast), PQI_OAP_CLAIM_UNKNOWN);
    assert_string_equal(pqi_oap_claim_name(PQI_OAP_CLAIM_DISAGREES), "disagrees");
}

static void names_of_agents_are_bounded(void **state)
{
    (void)state;
    uint8_t bytes[PQI_OAP_HELLO_MAX];
    pqi_writer w;
    pqi_oap_hello hello = {.has_agent = true};
    memset(hello.agent, 'a', PQI_OAP_AGENT_MAX);
    pqi_writer_init(&w, bytes, sizeof(bytes));
    assert_int_equal(pqi_oap_hello_write(&w, &hello, NULL), PQL_OK);
    hello.agent[0] = '"';
    assert_int_equal(pqi_oap_hello_write(&w, &hello, NULL), PQL_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(hellos_have_their_golden_text),
        cmocka_unit_test(the_answer_has_its_golden_text),
        cmocka_unit_test(the_answer_of_an_older_peer_is_understood),
        cmocka_unit_test(malformed_hellos_are_refused),
        cmocka_unit_test(every_truncation_of_a_hello_is_refused),
        cmocka_unit_test(an_overlong_hello_is_refused),
        cmocka_unit_test(an_answer_without_our_version_is_refused),
        cmocka_unit_test(the_posture_of_a_link_is_said_in_small_numbers),
        cmocka_unit_test(a_claim_is_compared_and_never_believed),
        cmocka_unit_test(names_of_agents_are_bounded),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
