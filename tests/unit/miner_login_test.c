/* Tokens and pins from files, and what is noticed when the files change. */
#include "test.h"

#include "miner/login.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIN_A "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"
#define PIN_B "ff0102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f"

typedef struct scene {
    char dir[64];
    char token_file[128], pin_file[128];
    pqi_login login;
    pqi_login_change change;
    pql_error err;
} scene;

static int setup(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/pqlink-login-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->token_file, sizeof(s->token_file), "%s/miner-auth-token", s->dir);
    (void)snprintf(s->pin_file, sizeof(s->pin_file), "%s/miner-tls-cert-sha256", s->dir);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scene *s = *state;
    (void)unlink(s->token_file);
    (void)unlink(s->pin_file);
    (void)rmdir(s->dir);
    free(s);
    return 0;
}

static void put(const char *path, const char *text, mode_t mode)
{
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, mode), 0);
}

static void use_dir(scene *s)
{
    pqi_login_init(&s->login, &(pqi_login_opts){.url = "quic://a:1", .dir = s->dir});
}

static pql_status again(scene *s)
{
    return pqi_login_read(&s->login, &s->change, &s->err);
}

static void an_official_directory_gives_token_and_pin(void **state)
{
    scene *s = *state;
    put(s->token_file, "secret\n", 0600);
    put(s->pin_file, PIN_A "\n", 0644);
    use_dir(s);

    assert_int_equal(again(s), PQL_OK);

    assert_string_equal(pqi_login_token(&s->login), "secret");
    const pql_peer peer = pqi_login_peer(&s->login);
    assert_int_equal(peer.pin_count, 1);
    assert_int_equal(peer.pins[0].form, PQL_FINGERPRINT_CERT);
    assert_int_equal(peer.pins[0].sha256[31], 0x1f);
    assert_false(s->change.any);
    assert_true(pqi_login_has_files(&s->login));
}

static void a_changed_pin_is_noticed_with_old_and_new(void **state)
{
    scene *s = *state;
    put(s->token_file, "secret", 0600);
    put(s->pin_file, PIN_A, 0644);
    use_dir(s);
    assert_int_equal(again(s), PQL_OK);

    put(s->pin_file, PIN_B, 0644);
    assert_int_equal(again(s), PQL_OK);

    assert_true(s->change.any && s->change.pins);
    assert_string_equal(s->change.before, "sha256:" PIN_A);
    assert_string_equal(s->change.after, "sha256:" PIN_B);
    assert_int_equal(again(s), PQL_OK);
    assert_false(s->change.any);
}

static void a_changed_token_is_noticed_without_being_told(void **state)
{
    scene *s = *state;
    put(s->token_file, "secret", 0600);
    put(s->pin_file, PIN_A, 0644);
    use_dir(s);
    assert_int_equal(again(s), PQL_OK);

    put(s->token_file, "another", 0600);
    assert_int_equal(again(s), PQL_OK);

    assert_true(s->change.any);
    assert_false(s->change.pins);
    assert_string_equal(s->change.before, "");
}

static void a_missing_file_leaves_what_was_read_before(void **state)
{
    scene *s = *state;
    put(s->token_file, "secret", 0600);
    put(s->pin_file, PIN_A, 0644);
    use_dir(s);
    assert_int_equal(again(s), PQL_OK);

    assert_int_equal(unlink(s->token_file), 0);

    assert_int_equal(again(s), PQL_E_NOT_FOUND);
    assert_non_null(strstr(s->err.message, s->token_file));
    assert_string_equal(pqi_login_token(&s->login), "secret");
}

static void a_token_that_everybody_can_read_is_refused_with_the_remedy(void **state)
{
    scene *s = *state;
    put(s->token_file, "secret", 0604);
    put(s->pin_file, PIN_A, 0644);
    use_dir(s);

    assert_int_equal(again(s), PQL_E_IO);
    assert_non_null(strstr(s->err.message, "chmod o-rwx"));
    assert_null(strstr(s->err.message, "secret"));

    put(s->token_file, "secret", 0640); /* a group is somebody's choice */
    assert_int_equal(again(s), PQL_OK);
}

static void a_file_that_is_too_large_for_a_token_is_refused_with_the_remedy(void **state)
{
    scene *s = *state;
    char large[1024 + 2];
    memset(large, 'x', sizeof(large));
    large[sizeof(large) - 1] = '\0';
    pqi_login_init(&s->login, &(pqi_login_opts){.token_file = s->token_file});
    put(s->token_file, large, 0600);
    assert_int_equal(again(s), PQL_E_IO);
    assert_non_null(strstr(s->err.message, s->token_file));
    assert_non_null(strstr(s->err.message, "name the right file"));
}

static void a_token_is_one_line_of_at_most_512_bytes(void **state)
{
    scene *s = *state;
    char longest[PQI_MINER_TOKEN_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[PQI_MINER_TOKEN_MAX + 1] = '\0';
    pqi_login_init(&s->login, &(pqi_login_opts){.token_file = s->token_file});

    put(s->token_file, " \n\t", 0600);
    assert_int_equal(again(s), PQL_E_IO);
    put(s->token_file, "a\nb", 0600);
    assert_int_equal(again(s), PQL_E_IO);
    put(s->token_file, longest, 0600);
    assert_int_equal(again(s), PQL_E_IO);
    longest[PQI_MINER_TOKEN_MAX] = '\0';
    put(s->token_file, longest, 0600);
    assert_int_equal(again(s), PQL_OK);
    assert_string_equal(pqi_login_token(&s->login), longest);
    put(s->token_file, "\r\n  address.worker \r\n", 0600);
    assert_int_equal(again(s), PQL_OK);
    assert_string_equal(pqi_login_token(&s->login), "address.worker");
}

static void a_pin_file_may_hold_several_in_every_form(void **state)
{
    scene *s = *state;
    pqi_login_init(&s->login, &(pqi_login_opts){.pin_file = s->pin_file});
    put(s->pin_file,
        "sha256:" PIN_A "\n\n spki-sha256:" PIN_B " \r\n"
        "00:01:02:03:04:05:06:07:08:09:0A:0B:0C:0D:0E:0F:"
        "10:11:12:13:14:15:16:17:18:19:1A:1B:1C:1D:1E:1F\n",
        0644);

    assert_int_equal(again(s), PQL_OK);

    const pql_peer peer = pqi_login_peer(&s->login);
    assert_int_equal(peer.pin_count, 3);
    assert_int_equal(peer.pins[1].form, PQL_FINGERPRINT_SPKI);
    assert_memory_equal(peer.pins[0].sha256, peer.pins[2].sha256, PQL_SHA256_SIZE);
    assert_null(pqi_login_token(&s->login));
}

static void a_pin_file_without_a_pin_is_refused_by_name(void **state)
{
    scene *s = *state;
    const char *const texts[] = {"", "\n", "sha256:12\n", PIN_A " " PIN_B};
    pqi_login_init(&s->login, &(pqi_login_opts){.pin_file = s->pin_file});
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
        put(s->pin_file, texts[i], 0644);
        assert_int_equal(again(s), PQL_E_IO);
        assert_non_null(strstr(s->err.message, s->pin_file));
    }
}

static void more_pins_than_eight_are_refused(void **state)
{
    (void)state;
    pql_fingerprint pins[PQI_LOGIN_PINS_MAX];
    size_t count = 0;
    char text[1024] = "";
    for (size_t i = 0; i < PQI_LOGIN_PINS_MAX; i++) {
        strcat(text, PIN_A ",");
    }
    assert_int_equal(pqi_login_pins_parse(pins, &count, text, NULL), PQL_OK);
    assert_int_equal(count, PQI_LOGIN_PINS_MAX);
    assert_int_equal(pqi_login_pins_parse(pins, &count, PIN_A, NULL), PQL_E_USAGE);
}

static void what_is_given_directly_needs_no_file(void **state)
{
    scene *s = *state;
    pql_fingerprint pin;
    assert_int_equal(pql_fingerprint_parse(&pin, PIN_A, NULL), PQL_OK);
    pqi_login_init(&s->login,
                   &(pqi_login_opts){.token = "t", .peer = {.pins = &pin, .pin_count = 1}});

    assert_int_equal(again(s), PQL_OK);

    assert_false(pqi_login_has_files(&s->login));
    assert_string_equal(pqi_login_token(&s->login), "t");
    assert_int_equal(pqi_login_peer(&s->login).pin_count, 1);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_official_directory_gives_token_and_pin),
        SCENE(a_changed_pin_is_noticed_with_old_and_new),
        SCENE(a_changed_token_is_noticed_without_being_told),
        SCENE(a_missing_file_leaves_what_was_read_before),
        SCENE(a_token_that_everybody_can_read_is_refused_with_the_remedy),
        SCENE(a_file_that_is_too_large_for_a_token_is_refused_with_the_remedy),
        SCENE(a_token_is_one_line_of_at_most_512_bytes),
        SCENE(a_pin_file_may_hold_several_in_every_form),
        SCENE(a_pin_file_without_a_pin_is_refused_by_name),
        SCENE(more_pins_than_eight_are_refused),
        SCENE(what_is_given_directly_needs_no_file),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
