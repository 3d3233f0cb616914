/* Every form of a fingerprint that people paste is understood, and nothing else is. */
#include "test.h"

#include <pqlink/identity.h>

#include <string.h>

#define DIGITS "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff"

static void every_documented_form_is_read(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        pql_fingerprint_form form;
    } good[] = {
        {"sha256:" DIGITS, PQL_FINGERPRINT_CERT},
        {"spki-sha256:" DIGITS, PQL_FINGERPRINT_SPKI},
        {DIGITS, PQL_FINGERPRINT_CERT},
        {DIGITS "\n", PQL_FINGERPRINT_CERT},
        {"00112233445566778899AABBCCDDEEFF00112233445566778899AABBCCDDEEFF", PQL_FINGERPRINT_CERT},
        {"SHA256:" DIGITS, PQL_FINGERPRINT_CERT},
        {"SPKI-Sha256:" DIGITS, PQL_FINGERPRINT_SPKI},
        {"sha256:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
         "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
         PQL_FINGERPRINT_CERT},
        {"00112233 44556677 8899aabb ccddeeff 00112233 44556677 8899aabb ccddeeff",
         PQL_FINGERPRINT_CERT},
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        pql_fingerprint fp;
        assert_int_equal(pql_fingerprint_parse(&fp, good[i].text, NULL), PQL_OK);
        assert_int_equal(fp.form, good[i].form);
        assert_memory_equal(fp.sha256, "\x00\x11\x22\x33\x44\x55\x66\x77", 8);
        assert_int_equal(fp.sha256[31], 0xff);
    }
}

static void anything_else_is_a_usage_error(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "sha256:",
        "sha512:" DIGITS,
        "SHA512:" DIGITS,
        DIGITS "0",
        "x" DIGITS,
        "0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "sha256:g0112233445566778899aabbccddeeff00112233445566778899aabbccddeeff",
        "sha256:sha256:" DIGITS,
        DIGITS "\x01",
    };
    const uint8_t zeros[PQL_SHA256_SIZE] = {0};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pql_fingerprint fp;
        pql_error err;
        memset(&fp, 0x55, sizeof(fp));
        assert_int_equal(pql_fingerprint_parse(&fp, bad[i], &err), PQL_E_USAGE);
        assert_memory_equal(fp.sha256, zeros, sizeof(zeros));
    }
}

static void what_is_formatted_is_read_again(void **state)
{
    (void)state;
    for (unsigned form = PQL_FINGERPRINT_CERT; form <= PQL_FINGERPRINT_SPKI; form++) {
        pql_fingerprint fp = {.form = (pql_fingerprint_form)form};
        pql_fingerprint again;
        char text[PQL_FINGERPRINT_SIZE];
        memset(fp.sha256, 0xa7, sizeof(fp.sha256));
        pql_fingerprint_format(&fp, text);
        assert_int_equal(pql_fingerprint_parse(&again, text, NULL), PQL_OK);
        assert_int_equal(again.form, fp.form);
        assert_memory_equal(again.sha256, fp.sha256, PQL_SHA256_SIZE);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_documented_form_is_read),
        cmocka_unit_test(anything_else_is_a_usage_error),
        cmocka_unit_test(what_is_formatted_is_read_again),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
