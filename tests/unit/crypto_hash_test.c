/* Known answers of the published test vectors, through our own interface. */
#include "test.h"

#include "base/hex.h"
#include "crypto/hash.h"
#include "crypto/random.h"

#include <string.h>

static void assert_hex(const uint8_t *data, size_t len, const char *expected)
{
    char text[256];
    pqi_hex_encode(text, data, len);
    assert_string_equal(text, expected);
}

/* FIPS 180-4 example "abc", and the empty message. */
static void sha256_agrees_with_fips_180(void **state)
{
    (void)state;
    uint8_t out[PQI_SHA256_SIZE];
    pqi_sha256(out, "abc", 3);
    assert_hex(out, sizeof(out),
               "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    pqi_sha256(out, NULL, 0);
    assert_hex(out, sizeof(out),
               "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}

/* RFC 4231, test case 2. */
static void hmac_agrees_with_rfc_4231(void **state)
{
    (void)state;
    uint8_t out[PQI_SHA256_SIZE];
    const char *text = "what do ya want for nothing?";
    assert_true(pqi_hmac_sha256(out, "Jefe", 4, text, strlen(text)));
    assert_hex(out, sizeof(out),
               "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
}

/* RFC 5869, appendix A.1. */
static void hkdf_agrees_with_rfc_5869(void **state)
{
    (void)state;
    uint8_t secret[22];
    uint8_t salt[13];
    uint8_t info[10];
    uint8_t out[42];
    memset(secret, 0x0b, sizeof(secret));
    for (size_t i = 0; i < sizeof(salt); i++) {
        salt[i] = (uint8_t)i;
    }
    for (size_t i = 0; i < sizeof(info); i++) {
        info[i] = (uint8_t)(0xf0 + i);
    }
    assert_true(
        pqi_hkdf(out, sizeof(out), secret, sizeof(secret), salt, sizeof(salt), info, sizeof(info)));
    assert_hex(
        out, sizeof(out),
        "3cb25f25faacd57a90434f64d0362f2a2d2d0a90cf1a5a4c5db02d56ecc4c5bf34007208d5b887185865");
}

static void hkdf_refuses_more_than_it_can_give(void **state)
{
    (void)state;
    static uint8_t out[PQI_HKDF_MAX + 1];
    static const uint8_t zeros[PQI_HKDF_MAX + 1];
    memset(out, 0x55, sizeof(out));
    assert_true(pqi_hkdf(out, PQI_HKDF_MAX, "secret", 6, NULL, 0, NULL, 0));
    assert_false(pqi_hkdf(out, PQI_HKDF_MAX + 1, "secret", 6, NULL, 0, NULL, 0));
    assert_memory_equal(out, zeros, sizeof(out));
}

static void random_bytes_fill_the_whole_buffer(void **state)
{
    (void)state;
    uint8_t seen[64] = {0};
    for (unsigned round = 0; round < 16; round++) {
        uint8_t bytes[64] = {0};
        pqi_random(bytes, sizeof(bytes));
        for (size_t i = 0; i < sizeof(seen); i++) {
            seen[i] |= bytes[i];
        }
    }
    /* A byte that stayed zero in 16 rounds: one chance in 2^128. */
    for (size_t i = 0; i < sizeof(seen); i++) {
        assert_int_not_equal(seen[i], 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(sha256_agrees_with_fips_180),
        cmocka_unit_test(hmac_agrees_with_rfc_4231),
        cmocka_unit_test(hkdf_agrees_with_rfc_5869),
        cmocka_unit_test(hkdf_refuses_more_than_it_can_give),
        cmocka_unit_test(random_bytes_fill_the_whole_buffer),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
