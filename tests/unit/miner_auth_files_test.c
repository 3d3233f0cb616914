/* The files that an official miner is started with. */
#include "test.h"

#include "base/file.h"
#include "miner/auth_files.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct shelf {
    char dir[64];
    char token[96];
    char fingerprint[96];
} shelf;

static int setup(void **state)
{
    shelf *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/pqlink-auth-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->token, sizeof(s->token), "%s/miner-auth-token", s->dir);
    (void)snprintf(s->fingerprint, sizeof(s->fingerprint), "%s/miner-tls-cert-sha256", s->dir);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    shelf *s = *state;
    (void)unlink(s->token);
    (void)unlink(s->fingerprint);
    (void)rmdir(s->dir);
    free(s);
    return 0;
}

static void put(const char *path, const char *text, size_t len, mode_t mode)
{
    assert_int_equal(pqi_file_write_atomic(path, text, len, mode, NULL), PQL_OK);
}

static struct stat look(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st;
}

static void the_first_start_makes_a_token_and_the_next_one_keeps_it(void **state)
{
    const shelf *s = *state;
    pqi_auth_token first;
    pqi_auth_token second;

    assert_int_equal(pqi_auth_token_open(&first, s->dir, NULL), PQL_OK);
    assert_int_equal(pqi_auth_token_open(&second, s->dir, NULL), PQL_OK);

    assert_true(first.created);
    assert_false(second.created);
    assert_int_equal(strlen(first.text), 64);
    assert_int_equal(strspn(first.text, "0123456789abcdef"), 64);
    assert_string_equal(first.text, second.text);
    const struct stat st = look(s->token);
    assert_int_equal(st.st_size, 65); /* with the line feed */
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void a_token_from_elsewhere_is_trimmed_and_not_touched(void **state)
{
    static const char text[] = " \tqzAddress.rig \r\n\n";
    const shelf *s = *state;
    pqi_auth_token token;
    put(s->token, text, strlen(text), 0600);

    assert_int_equal(pqi_auth_token_open(&token, s->dir, NULL), PQL_OK);

    assert_string_equal(token.text, "qzAddress.rig");
    assert_int_equal(look(s->token).st_size, strlen(text));
    assert_false(token.created || token.repaired);
}

static void a_mode_that_is_too_open_is_repaired(void **state)
{
    const shelf *s = *state;
    pqi_auth_token token;
    put(s->token, "one\n", 4, 0644);

    assert_int_equal(pqi_auth_token_open(&token, s->dir, NULL), PQL_OK);

    assert_true(token.repaired);
    assert_int_equal(look(s->token).st_mode & 07777, 0600);
}

static void assert_refused(const shelf *s, const char *text, size_t len)
{
    pqi_auth_token token;
    put(s->token, text, len, 0600);
    assert_int_equal(pqi_auth_token_open(&token, s->dir, NULL), PQL_E_IDENTITY);
    assert_int_equal(token.text[0], '\0');
}

static void a_token_that_cannot_be_one_is_an_error_and_is_not_replaced(void **state)
{
    const shelf *s = *state;
    char quotes[PQI_MINER_TOKEN_MAX];
    memset(quotes, '"', sizeof(quotes)); /* doubled in JSON: over a frame */
    char large[2 * PQI_MINER_TOKEN_MAX + 1];
    memset(large, 'x', sizeof(large));
    assert_refused(s, large, sizeof(large));
    assert_refused(s, "", 0);
    assert_refused(s, " \n", 2);
    assert_refused(s, "a\001b\n", 4);
    assert_refused(s, quotes, sizeof(quotes));
    assert_int_equal(look(s->token).st_size, sizeof(quotes));
}

static void the_fingerprint_is_written_where_it_is_missing_or_another(void **state)
{
    const shelf *s = *state;
    const uint8_t one[PQI_SHA256_SIZE] = {0xab, 1};
    const uint8_t two[PQI_SHA256_SIZE] = {0xcd, 2};
    uint8_t *text = NULL;
    size_t len = 0;

    assert_int_equal(pqi_auth_fingerprint_write(s->dir, one, NULL), PQL_OK);
    const struct stat first = look(s->fingerprint);
    assert_int_equal(pqi_auth_fingerprint_write(s->dir, one, NULL), PQL_OK);
    assert_true(look(s->fingerprint).st_ino == first.st_ino);
    assert_int_equal(pqi_auth_fingerprint_write(s->dir, two, NULL), PQL_OK);

    assert_int_equal(pqi_file_read(s->fingerprint, 100, &text, &len, NULL), PQL_OK);
    assert_int_equal(len, 65);
    assert_memory_equal(text, "cd02000000", 10);
    assert_int_equal(text[64], '\n');
    assert_int_equal(first.st_mode & 07777, 0644);
    free(text);
}

#define SHELF(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static void the_token_of_an_official_node_is_taken_over(void **state)
{
    const shelf *s = *state;
    char from[96];
    char original[128];
    bool imported = true;
    pqi_auth_token token;
    (void)snprintf(from, sizeof(from), "%s/chain", s->dir);
    (void)snprintf(original, sizeof(original), "%s/miner-auth-token", from);
    assert_int_equal(mkdir(from, 0700), 0);
    assert_int_equal(pqi_auth_token_import(s->dir, from, &imported, NULL), PQL_OK);
    assert_false(imported);

    put(original, "  secret\n", 9, 0644);
    assert_int_equal(pqi_auth_token_import(s->dir, from, &imported, NULL), PQL_OK);
    assert_true(imported);
    assert_int_equal(look(s->token).st_mode & 07777, 0600);
    assert_int_equal(pqi_auth_token_open(&token, s->dir, NULL), PQL_OK);
    assert_string_equal(token.text, "secret");
    assert_int_equal(pqi_auth_token_import(s->dir, from, &imported, NULL), PQL_OK);

    put(original, "another\n", 8, 0600);
    assert_int_equal(pqi_auth_token_import(s->dir, from, &imported, NULL), PQL_E_EXISTS);
    assert_int_equal(pqi_auth_token_open(&token, s->dir, NULL), PQL_OK);
    assert_string_equal(token.text, "secret");

    put(original, " \n", 2, 0600);
    assert_int_equal(pqi_auth_token_import(s->dir, from, &imported, NULL), PQL_E_IDENTITY);
    assert_int_equal(unlink(original), 0);
    assert_int_equal(rmdir(from), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SHELF(the_first_start_makes_a_token_and_the_next_one_keeps_it),
        SHELF(a_token_from_elsewhere_is_trimmed_and_not_touched),
        SHELF(a_mode_that_is_too_open_is_repaired),
        SHELF(a_token_that_cannot_be_one_is_an_error_and_is_not_replaced),
        SHELF(the_token_of_an_official_node_is_taken_over),
        SHELF(the_fingerprint_is_written_where_it_is_missing_or_another),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
