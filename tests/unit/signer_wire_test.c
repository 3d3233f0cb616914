/* The packets between network process and key process, byte for byte; and what of all bytes is an
 * input that TLS 1.3 has signed. */
#include "test.h"

#include "signer/wire.h"

#include <stdio.h>
#include <string.h>

#define HASH_AT 98 /* 64 spaces, 33 characters, a zero */

/* The input of the peer |who| ("server"), with a hash of |hash_len| bytes; its length. */
static size_t input_of(uint8_t out[256], const char *who, size_t hash_len)
{
    memset(out, ' ', 64);
    (void)snprintf((char *)out + 64, 64, "TLS 1.3, %s CertificateVerify", who);
    memset(out + HASH_AT, 0xab, hash_len);
    return HASH_AT + hash_len;
}

static void what_tls_signs_is_known_with_its_role(void **state)
{
    (void)state;
    uint8_t in[256];
    const size_t hashes[] = {32, 48};
    for (size_t i = 0; i < 2; i++) {
        size_t len = input_of(in, "server", hashes[i]);
        assert_int_equal(pqi_signer_input_role(in, len), PQI_SIGNER_SERVER);
        len = input_of(in, "client", hashes[i]);
        assert_int_equal(pqi_signer_input_role(in, len), PQI_SIGNER_CLIENT);
    }
}

static void any_other_length_is_nobodys(void **state)
{
    (void)state;
    uint8_t in[256] = {0};
    (void)input_of(in, "server", 100);
    for (size_t len = 0; len < HASH_AT + 100; len++) {
        const bool right = len == HASH_AT + 32 || len == HASH_AT + 48;
        assert_int_equal(pqi_signer_input_role(in, len),
                         right ? PQI_SIGNER_SERVER : PQI_SIGNER_NOBODY);
    }
}

static void any_other_byte_before_the_hash_is_nobodys(void **state)
{
    (void)state;
    uint8_t in[256];
    const size_t len = input_of(in, "server", 48);
    for (size_t at = 0; at < len; at++) {
        in[at] ^= 0x01;
        assert_int_equal(pqi_signer_input_role(in, len),
                         at < HASH_AT ? PQI_SIGNER_NOBODY : PQI_SIGNER_SERVER);
        in[at] ^= 0x01;
    }
}

/* Of other protocols that sign with the same keys: TLS 1.3 exporters, delegated credentials (RFC
 * 9345), certificates, SSH, and the bare hash. */
static void inputs_of_other_purposes_are_nobodys(void **state)
{
    (void)state;
    uint8_t in[256];
    const char *const others[] = {"Server", "server ", "servers", "exporter"};
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        (void)input_of(in, others[i], 48);
        assert_int_equal(pqi_signer_input_role(in, HASH_AT + 48), PQI_SIGNER_NOBODY);
        assert_int_equal(pqi_signer_input_role(in, HASH_AT + 32), PQI_SIGNER_NOBODY);
    }
    memset(in, ' ', 64);
    (void)snprintf((char *)in + 64, 64, "TLS, server delegated credentials");
    assert_int_equal(pqi_signer_input_role(in, HASH_AT + 48), PQI_SIGNER_NOBODY);
    memset(in, 0xab, sizeof(in));
    assert_int_equal(pqi_signer_input_role(in, 32), PQI_SIGNER_NOBODY);
    assert_int_equal(pqi_signer_input_role(in, HASH_AT + 32), PQI_SIGNER_NOBODY);
}

/* ---- golden bytes ---- */

static pqi_signer_request example(const uint8_t *input, size_t len)
{
    pqi_signer_request r = {
        .id = UINT64_C(0x0102030405060708), .scheme = 0x0906, .input = input, .input_len = len};
    memset(r.cert, 0xcc, sizeof(r.cert));
    return r;
}

static size_t write_example(uint8_t *out, size_t size)
{
    const pqi_signer_request r = example((const uint8_t *)"abc", 3);
    return pqi_signer_request_write(out, size, &r);
}

static void a_request_has_these_bytes(void **state)
{
    (void)state;
    uint8_t out[PQI_SIGNER_REQUEST_MAX];
    uint8_t golden[2 + 8 + 32 + 2 + 2 + 3] = {1, 1, 1, 2, 3, 4, 5, 6, 7, 8};
    memset(golden + 10, 0xcc, 32);
    memcpy(golden + 42,
           "\x09\x06\x00\x03"
           "abc",
           7);
    assert_int_equal(write_example(out, sizeof(out)), sizeof(golden));
    assert_memory_equal(out, golden, sizeof(golden));
}

static void a_request_comes_back_as_it_was(void **state)
{
    (void)state;
    uint8_t out[PQI_SIGNER_REQUEST_MAX];
    pqi_signer_request r;
    const size_t len = write_example(out, sizeof(out));
    assert_true(pqi_signer_request_read(&r, out, len));
    assert_int_equal(r.id, UINT64_C(0x0102030405060708));
    assert_int_equal(r.scheme, 0x0906);
    assert_int_equal(r.cert[31], 0xcc);
    assert_int_equal(r.input_len, 3);
    assert_memory_equal(r.input, "abc", 3);
}

static void a_request_that_is_cut_or_longer_is_none(void **state)
{
    (void)state;
    uint8_t out[PQI_SIGNER_REQUEST_MAX + 1] = {0};
    pqi_signer_request r;
    const size_t len = write_example(out, sizeof(out));
    for (size_t cut = 0; cut <= sizeof(out); cut++) {
        assert_int_equal(pqi_signer_request_read(&r, out, cut), cut == len);
        assert_true(cut == len || (r.id == 0 && r.input == NULL));
    }
}

static void a_request_of_another_version_or_kind_is_none(void **state)
{
    (void)state;
    uint8_t out[PQI_SIGNER_REQUEST_MAX];
    pqi_signer_request r;
    const size_t len = write_example(out, sizeof(out));
    for (unsigned v = 0; v < 256; v++) {
        out[0] = (uint8_t)v;
        assert_int_equal(pqi_signer_request_read(&r, out, len), v == 1);
        out[0] = 1;
        out[1] = (uint8_t)v;
        assert_int_equal(pqi_signer_request_read(&r, out, len), v == 1);
        out[1] = 1;
    }
}

static void an_input_beyond_the_bound_is_neither_written_nor_read(void **state)
{
    (void)state;
    static uint8_t input[PQI_SIGNER_INPUT_MAX + 1];
    uint8_t out[PQI_SIGNER_REQUEST_MAX + 1];
    pqi_signer_request r = example(input, sizeof(input));
    assert_int_equal(pqi_signer_request_write(out, sizeof(out), &r), 0);
    r = example(input, PQI_SIGNER_INPUT_MAX);
    assert_int_equal(pqi_signer_request_write(out, sizeof(out), &r), PQI_SIGNER_REQUEST_MAX);
    out[45] = PQI_SIGNER_INPUT_MAX + 1;
    assert_false(pqi_signer_request_read(&r, out, sizeof(out)));
}

static void an_answer_has_these_bytes(void **state)
{
    (void)state;
    static const uint8_t golden[] = {1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 2, 0xaa, 0xbb};
    static const uint8_t refused[] = {1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 0};
    uint8_t out[PQI_SIGNER_ANSWER_MAX];
    pqi_signer_answer a = {.id = 9, .signature = golden + 13, .signature_len = 2};
    assert_int_equal(pqi_signer_answer_write(out, sizeof(out), &a), sizeof(golden));
    assert_memory_equal(out, golden, sizeof(golden));
    a = (pqi_signer_answer){.id = 9, .verdict = PQI_SIGNER_NOT_TLS};
    assert_int_equal(pqi_signer_answer_write(out, sizeof(out), &a), sizeof(refused));
    assert_memory_equal(out, refused, sizeof(refused));
}

static void an_answer_comes_back_whole_or_not_at_all(void **state)
{
    (void)state;
    static const uint8_t signature[PQI_SIGNER_SIGNATURE_MAX] = {7};
    uint8_t out[PQI_SIGNER_ANSWER_MAX + 1];
    const pqi_signer_answer a = {
        .id = 9, .signature = signature, .signature_len = sizeof(signature)};
    pqi_signer_answer back;
    const size_t len = pqi_signer_answer_write(out, sizeof(out), &a);
    assert_int_equal(len, PQI_SIGNER_ANSWER_MAX);
    for (size_t cut = 0; cut <= len + 1; cut++) {
        assert_int_equal(pqi_signer_answer_read(&back, out, cut), cut == len);
    }
    assert_true(pqi_signer_answer_read(&back, out, len));
    assert_int_equal(back.signature_len, sizeof(signature));
}

static void a_refusal_with_a_signature_and_success_without_one_are_none(void **state)
{
    (void)state;
    static const uint8_t refusal[] = {1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 1, 0, 1, 0xaa};
    static const uint8_t success[] = {1, 2, 0, 0, 0, 0, 0, 0, 0, 9, 0, 0, 0};
    static const uint8_t unknown[] = {1, 2, 0, 0, 0, 0, 0, 0, 0, 9, PQI_SIGNER_VERDICTS, 0, 0};
    pqi_signer_answer a;
    assert_false(pqi_signer_answer_read(&a, refusal, sizeof(refusal)));
    assert_false(pqi_signer_answer_read(&a, success, sizeof(success)));
    assert_false(pqi_signer_answer_read(&a, unknown, sizeof(unknown)));
}

static void a_hello_has_these_bytes_and_brings_its_sentence(void **state)
{
    (void)state;
    static const uint8_t golden[] = {1, 3, 0, 11, 0, 3, 'N', 'o', '.'};
    uint8_t out[PQI_SIGNER_HELLO_MAX];
    pql_error err = {0};
    assert_int_equal(pqi_signer_hello_write(out, sizeof(out), PQL_E_IDENTITY, "No."),
                     sizeof(golden));
    assert_memory_equal(out, golden, sizeof(golden));
    assert_int_equal(pqi_signer_hello_read(golden, sizeof(golden), &err), PQL_E_IDENTITY);
    assert_string_equal(err.message, "No.");
    for (size_t cut = 0; cut < sizeof(golden); cut++) {
        assert_int_equal(pqi_signer_hello_read(golden, cut, &err), PQL_E_PROTOCOL);
    }
    const size_t len = pqi_signer_hello_write(out, sizeof(out), PQL_OK, "");
    assert_int_equal(pqi_signer_hello_read(out, len, &err), PQL_OK);
}

static void verdicts_have_names(void **state)
{
    (void)state;
    for (unsigned v = 0; v < PQI_SIGNER_VERDICTS; v++) {
        assert_string_not_equal(pqi_signer_verdict_name((pqi_signer_verdict)v), "unknown");
    }
    assert_string_equal(pqi_signer_verdict_name(PQI_SIGNER_VERDICTS), "unknown");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_tls_signs_is_known_with_its_role),
        cmocka_unit_test(any_other_length_is_nobodys),
        cmocka_unit_test(any_other_byte_before_the_hash_is_nobodys),
        cmocka_unit_test(inputs_of_other_purposes_are_nobodys),
        cmocka_unit_test(a_request_has_these_bytes),
        cmocka_unit_test(a_request_comes_back_as_it_was),
        cmocka_unit_test(a_request_that_is_cut_or_longer_is_none),
        cmocka_unit_test(a_request_of_another_version_or_kind_is_none),
        cmocka_unit_test(an_input_beyond_the_bound_is_neither_written_nor_read),
        cmocka_unit_test(an_answer_has_these_bytes),
        cmocka_unit_test(an_answer_comes_back_whole_or_not_at_all),
        cmocka_unit_test(a_refusal_with_a_signature_and_success_without_one_are_none),
        cmocka_unit_test(a_hello_has_these_bytes_and_brings_its_sentence),
        cmocka_unit_test(verdicts_have_names),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
