/* pqlink pow hash, pqlink pow check: the proof of work, one hash at a time. */
#include "base/hex.h"
#include "cmd/commands.h"
#include "miner/pow.h"

#include <stdio.h>
#include <string.h>

#define NONCE_DIGITS_MAX ((size_t)2 * PQI_POW_NONCE_SIZE)

typedef struct pow_options {
    uint8_t mining_hash[PQI_POW_MINING_HASH_SIZE];
    uint8_t nonce[PQI_POW_NONCE_SIZE];
    pqi_u512 difficulty; /* pow check only */
} pow_options;

static bool has_0x(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

static pql_status mining_hash_parse(void *options, const char *value, pql_error *err)
{
    pow_options *o = options;
    if (has_0x(value)) {
        return pqi_fail(err, PQL_E_USAGE, "Leave out the 0x: the digits alone are wanted.");
    }
    if (!pqi_hex_decode(o->mining_hash, sizeof(o->mining_hash), value, strlen(value))) {
        return pqi_fail(err, PQL_E_USAGE, "It must be exactly 64 hexadecimal digits (32 bytes).");
    }
    return PQL_OK;
}

static pql_status nonce_parse(void *options, const char *value, pql_error *err)
{
    pow_options *o = options;
    char digits[NONCE_DIGITS_MAX + 1];
    const size_t len = strlen(value);
    if (has_0x(value)) {
        return pqi_fail(err, PQL_E_USAGE, "Leave out the 0x: the digits alone are wanted.");
    }
    const bool fits = len >= 1 && len <= NONCE_DIGITS_MAX;
    if (fits) {
        memset(digits, '0', NONCE_DIGITS_MAX - len);
        memcpy(digits + NONCE_DIGITS_MAX - len, value, len + 1);
    }
    if (!fits || !pqi_hex_decode(o->nonce, sizeof(o->nonce), digits, NONCE_DIGITS_MAX)) {
        return pqi_fail(err, PQL_E_USAGE, "It must be from 1 to %zu hexadecimal digits.",
                        NONCE_DIGITS_MAX);
    }
    return PQL_OK;
}

static pql_status difficulty_parse(void *options, const char *value, pql_error *err)
{
    pow_options *o = options;
    pql_error ignored;
    if (pqi_u512_from_decimal(&o->difficulty, value, strlen(value), &ignored) != PQL_OK ||
        pqi_u512_is_zero(&o->difficulty)) {
        return pqi_fail(err, PQL_E_USAGE, "It must be a whole number from 1 to 2^512 - 1.");
    }
    return PQL_OK;
}

#define MINING_HASH_OPTION                                                                         \
    {.name = "mining-hash",                                                                        \
     .kind = PQI_OPTION_CUSTOM,                                                                    \
     .parse = mining_hash_parse,                                                                   \
     .arg = "HEX",                                                                                 \
     .help = "Hash of the block to be mined: 64 hexadecimal digits.",                              \
     .required = true}
#define NONCE_OPTION                                                                               \
    {.name = "nonce",                                                                              \
     .kind = PQI_OPTION_CUSTOM,                                                                    \
     .parse = nonce_parse,                                                                         \
     .arg = "HEX",                                                                                 \
     .help = "The nonce as a hexadecimal number of 1 to 128 digits; shorter ones are filled with " \
             "zeros on the left.",                                                                 \
     .required = true}

static const pqi_option hash_table[] = {MINING_HASH_OPTION, NONCE_OPTION};

static const pqi_option check_table[] = {
    MINING_HASH_OPTION,
    NONCE_OPTION,
    {.name = "difficulty",
     .kind = PQI_OPTION_CUSTOM,
     .parse = difficulty_parse,
     .arg = "N",
     .help = "Difficulty that the hash must achieve, in decimal.",
     .required = true},
};

/* Hashes the nonce into |hash| and writes the difficulty that it achieves as text. */
static void compute(const pow_options *o, uint8_t hash[PQI_POW_HASH_SIZE],
                    char achieved[PQI_U512_TEXT_SIZE])
{
    pqi_pow_hash(hash, o->mining_hash, o->nonce);
    const pqi_u512 difficulty = pqi_pow_achieved(hash);
    (void)pqi_u512_to_decimal(achieved, &difficulty);
}

static pql_status hash_run(const void *options, pql_error *err)
{
    uint8_t hash[PQI_POW_HASH_SIZE];
    char hex[2 * PQI_POW_HASH_SIZE + 1];
    char achieved[PQI_U512_TEXT_SIZE];
    (void)err;
    compute(options, hash, achieved);
    pqi_hex_encode(hex, hash, sizeof(hash));
    printf("hash       %s\ndifficulty %s\n", hex, achieved);
    return PQL_OK;
}

static pql_status check_run(const void *options, pql_error *err)
{
    static const uint8_t zero_nonce[PQI_POW_NONCE_SIZE];
    const pow_options *o = options;
    uint8_t hash[PQI_POW_HASH_SIZE];
    char achieved[PQI_U512_TEXT_SIZE];
    char asked[PQI_U512_TEXT_SIZE];
    pqi_u512 target;
    (void)err;
    compute(o, hash, achieved);
    (void)pqi_u512_to_decimal(asked, &o->difficulty);
    (void)pqi_pow_target(&target, &o->difficulty);
    if (pqi_pow_verify(o->mining_hash, o->nonce, &target)) {
        printf("valid: the hash achieves difficulty %s, asked was %s\n", achieved, asked);
        return PQL_OK;
    }
    if (memcmp(o->nonce, zero_nonce, sizeof(zero_nonce)) == 0) {
        puts("not valid: the chain refuses the nonce 0, whatever its hash");
    } else {
        printf("not valid: the hash is not below the target; it achieves difficulty %s, asked was "
               "%s\n",
               achieved, asked);
    }
    return PQL_E_FAILED;
}

#define EXAMPLE_WORK                                                                               \
    "--mining-hash 0101010101010101010101010101010101010101010101010101010101010101 --nonce 5a08"

const pqi_command pqi_command_pow_hash = {
    .name = "pow hash",
    .summary = "Compute one proof-of-work hash",
    .description = "Prints the 64-byte Poseidon2 hash of a mining hash and a nonce in hexadecimal, "
                   "and the difficulty that it achieves.",
    PQI_OPTIONS(hash_table),
    .options_size = sizeof(pow_options),
    .no_config = true,
    .example = (const char *const[]){"pqlink pow hash " EXAMPLE_WORK, NULL},
    .run = hash_run,
};

const pqi_command pqi_command_pow_check = {
    .name = "pow check",
    .summary = "Check one proof of work",
    .description = "Prints one line that says whether the nonce is a valid proof of work, and why "
                   "not if it is not.  The exit status is 0 when it is valid and 1 when it is not.",
    PQI_OPTIONS(check_table),
    .options_size = sizeof(pow_options),
    .no_config = true,
    .example = (const char *const[]){"pqlink pow check " EXAMPLE_WORK " --difficulty 131072", NULL},
    .run = check_run,
};
