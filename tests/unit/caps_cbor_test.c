/* base64url and the deterministic part of CBOR: one form for each value, and no other is read. */
#include "test.h"

#include "base/hex.h"
#include "caps/base64url.h"
#include "caps/cbor.h"

#include <stdlib.h>
#include <string.h>

#define BYTES_MAX 64

static pqi_reader reader_of(uint8_t bytes[BYTES_MAX], const char *hex)
{
    pqi_reader r;
    const size_t len = strlen(hex) / 2;
    assert_true(pqi_hex_decode(bytes, len, hex, strlen(hex)));
    pqi_reader_init(&r, bytes, len);
    return r;
}

/* RFC 8949, appendix A. */
static void numbers_have_the_forms_of_the_rfc(void **state)
{
    static const struct {
        uint64_t value;
        const char *hex;
    } vectors[] = {
        {0, "00"},
        {10, "0a"},
        {23, "17"},
        {24, "1818"},
        {100, "1864"},
        {1000, "1903e8"},
        {1000000, "1a000f4240"},
        {1000000000000, "1b000000e8d4a51000"},
        {UINT64_MAX, "1bffffffffffffffff"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        uint8_t bytes[BYTES_MAX];
        uint8_t written[BYTES_MAX];
        pqi_writer w;
        pqi_reader r = reader_of(bytes, vectors[i].hex);
        assert_int_equal(pqi_cbor_uint(&r), vectors[i].value);
        assert_true(pqi_reader_done(&r));
        pqi_writer_init(&w, written, sizeof(written));
        pqi_cbor_write_uint(&w, vectors[i].value);
        assert_int_equal(w.len, r.len);
        assert_memory_equal(written, bytes, w.len);
    }
}

static void longer_heads_than_needed_are_refused(void **state)
{
    static const char *const longer[] = {
        "1817", "190018", "1900ff", "1a0000ffff", "1b00000000ffffffff", "1800"};
    (void)state;
    for (size_t i = 0; i < sizeof(longer) / sizeof(longer[0]); i++) {
        uint8_t bytes[BYTES_MAX];
        pqi_reader r = reader_of(bytes, longer[i]);
        (void)pqi_cbor_uint(&r);
        assert_false(pqi_reader_ok(&r));
    }
}

static void what_tokens_have_no_use_for_is_refused(void **state)
{
    static const char *const others[] = {
        "20",
        "3863", /* negative numbers */
        "f4",
        "f6", /* simple values */
        "f93c00",
        "fb3ff199999999999a", /* floats */
        "c074",               /* a tag */
        "5fff",
        "7fff",
        "9fff",
        "bfff",
        "ff", /* indefinite lengths, a break */
        "1c",
        "1d",
        "1e",
        "1f",         /* reserved */
        "a10001",     /* a map, which no caveat has */
        "8181818100", /* too deep */
        "617f",
        "6100",
        "62c3bc", /* control characters; more than ASCII */
        "42ff",
        "82ff",
        "9b00000000ffffffff", /* less than the head says */
    };
    (void)state;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        uint8_t bytes[BYTES_MAX];
        pqi_reader r = reader_of(bytes, others[i]);
        pqi_cbor_skip(&r);
        if (pqi_reader_ok(&r)) {
            fail_msg("%s was taken", others[i]);
        }
    }
}

static void an_unknown_value_is_passed_over_whole(void **state)
{
    uint8_t bytes[BYTES_MAX];
    (void)state;
    pqi_reader r = reader_of(bytes, "838101426162816363646505"); /* [[1], 'ab', ["cde"]], 5 */
    pqi_cbor_skip(&r);
    assert_true(pqi_reader_ok(&r));
    assert_int_equal(pqi_cbor_uint(&r), 5);
    assert_true(pqi_reader_done(&r));
}

static void a_count_that_cannot_be_there_is_refused_at_once(void **state)
{
    uint8_t bytes[BYTES_MAX];
    (void)state;
    pqi_reader r = reader_of(bytes, "9affffffff00");
    assert_int_equal(pqi_cbor_array(&r), 0);
    assert_false(pqi_reader_ok(&r));
    r = reader_of(bytes, "a2000000");
    assert_int_equal(pqi_cbor_map(&r), 0);
    assert_false(pqi_reader_ok(&r));
}

/* RFC 4648, section 10, without the padding. */
static void base64url_has_the_forms_of_the_rfc(void **state)
{
    static const char *const vectors[][2] = {
        {"", ""},           {"f", "Zg"},          {"fo", "Zm8"},          {"foo", "Zm9v"},
        {"foob", "Zm9vYg"}, {"fooba", "Zm9vYmE"}, {"foobar", "Zm9vYmFy"}, {"\xfb\xff", "-_8"}};
    (void)state;
    for (size_t i = 0; i < sizeof(vectors) / sizeof(vectors[0]); i++) {
        char text[BYTES_MAX];
        uint8_t bytes[BYTES_MAX];
        const size_t len = strlen(vectors[i][0]);
        pqi_base64url_encode(text, (const uint8_t *)vectors[i][0], len);
        assert_string_equal(text, vectors[i][1]);
        assert_int_equal(strlen(text), PQI_BASE64URL_LEN(len));
        assert_int_equal(pqi_base64url_bytes(strlen(text)), len);
        assert_true(pqi_base64url_decode(bytes, text, strlen(text)));
        assert_memory_equal(bytes, vectors[i][0], len);
    }
}

static void base64url_has_one_text_for_each_run_of_bytes(void **state)
{
    static const char *const wrong[] = {"Zh",  "Zm9",  "Zg==",  "Zm8=", "Z",
                                        "+/8", "Zm 9", "Zm9\n", "Zm9vY"};
    (void)state;
    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        uint8_t bytes[BYTES_MAX];
        if (pqi_base64url_decode(bytes, wrong[i], strlen(wrong[i]))) {
            fail_msg("%s was taken", wrong[i]);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_the_forms_of_the_rfc),
        cmocka_unit_test(longer_heads_than_needed_are_refused),
        cmocka_unit_test(what_tokens_have_no_use_for_is_refused),
        cmocka_unit_test(an_unknown_value_is_passed_over_whole),
        cmocka_unit_test(a_count_that_cannot_be_there_is_refused_at_once),
        cmocka_unit_test(base64url_has_the_forms_of_the_rfc),
        cmocka_unit_test(base64url_has_one_text_for_each_run_of_bytes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
