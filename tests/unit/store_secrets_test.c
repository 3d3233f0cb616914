/* Secrets are made once, stay the same, and rotate when they are old. */
#include "test.h"

#include "store/db.h"
#include "store/secrets.h"

#include "store_directory.h"

/* Random source for tests: all bytes the same, one more at each call. */
static pql_status fill_counting(void *user, uint8_t *out, size_t len)
{
    uint8_t *calls = user;
    memset(out, ++*calls, len);
    return PQL_OK;
}

static pql_status fill_failing(void *user, uint8_t *out, size_t len)
{
    (void)user;
    memset(out, 0x55, len);
    return PQL_E_CRYPTO;
}

static void assert_all(const uint8_t *data, uint8_t value, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        assert_int_equal(data[i], value);
    }
}

static void a_secret_is_made_once_and_survives_reopening(void **state)
{
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random random = {fill_counting, &calls};
    for (int i = 0; i < 3; i++) {
        pqi_store *store = open_store(*state);
        assert_int_equal(pqi_store_secret(store, "tickets", &random, 1, secret, 32, NULL), PQL_OK);
        assert_all(secret, 1, sizeof(secret));
        pqi_store_close(store);
    }
    assert_int_equal(calls, 1);
}

static void each_name_has_a_secret_of_its_own(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_secret(store, "quic-retry", &random, 1, secret, 32, NULL), PQL_OK);
    assert_int_equal(pqi_store_secret(store, "quic-reset", &random, 1, secret, 32, NULL), PQL_OK);
    assert_all(secret, 2, sizeof(secret));
    pqi_store_close(store);
}

static void rotation_keeps_the_previous_secret_only(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_secret(store, "t", &random, 1000, secret, 32, NULL), PQL_OK);
    assert_int_equal(pqi_store_secret_previous(store, "t", secret, 32, NULL), PQL_E_NOT_FOUND);
    for (uint8_t i = 2; i < 5; i++) {
        assert_int_equal(pqi_store_secret_rotate(store, "t", &random, 1000, 0, secret, 32, NULL),
                         PQL_OK);
        assert_all(secret, i, sizeof(secret));
        assert_int_equal(pqi_store_secret_previous(store, "t", secret, 32, NULL), PQL_OK);
        assert_all(secret, (uint8_t)(i - 1), sizeof(secret));
    }
    pqi_store_close(store);
}

static void a_secret_rotates_only_when_it_is_old_enough(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_secret(store, "t", &random, 1000, secret, 32, NULL), PQL_OK);
    const uint64_t too_early[] = {0, 999, 1000, 1059}; /* also when the clock jumps back */
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(
            pqi_store_secret_rotate(store, "t", &random, too_early[i], 60, secret, 32, NULL),
            PQL_OK);
        assert_all(secret, 1, sizeof(secret));
    }
    assert_int_equal(pqi_store_secret_rotate(store, "t", &random, 1060, 60, secret, 32, NULL),
                     PQL_OK);
    assert_all(secret, 2, sizeof(secret));
    pqi_store_close(store);
}

static void what_does_not_exist_cannot_rotate(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_secret_rotate(store, "t", &random, 9, 0, secret, 32, NULL),
                     PQL_E_NOT_FOUND);
    assert_int_equal(calls, 0);
    pqi_store_close(store);
}

static void another_length_is_refused_with_zeros(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_secret(store, "t", &random, 1, secret, 32, NULL), PQL_OK);
    assert_int_equal(pqi_store_secret(store, "t", &random, 1, secret, 16, NULL), PQL_E_STATE);
    assert_all(secret, 0, 16);
    pqi_store_close(store);
}

static void without_random_bytes_nothing_is_made_or_given_out(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random broken = {fill_failing, NULL};
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_secret(store, "t", &broken, 1, secret, 32, NULL), PQL_E_CRYPTO);
    assert_all(secret, 0, sizeof(secret));
    assert_int_equal(pqi_store_secret(store, "t", &random, 1, secret, 32, NULL), PQL_OK);
    assert_all(secret, 1, sizeof(secret));
    pqi_store_close(store);
}

static void a_secret_that_cannot_be_stored_is_not_given_out(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[32];
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_db_exec(store, "PRAGMA query_only=ON", NULL), PQL_OK);
    assert_int_equal(pqi_store_secret(store, "t", &random, 1, secret, 32, NULL), PQL_E_IO);
    assert_all(secret, 0, sizeof(secret));
    pqi_store_close(store);
}

static void names_and_lengths_have_bounds(void **state)
{
    (void)state;
    uint8_t calls = 0;
    uint8_t secret[PQI_STORE_SECRET_MAX + 1];
    char name[PQI_STORE_SECRET_NAME_MAX + 2] = "";
    const pqi_store_random random = {fill_counting, &calls};
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_secret(store, "", &random, 1, secret, 32, NULL), PQL_E_USAGE);
    memset(name, 'n', sizeof(name) - 1);
    assert_int_equal(pqi_store_secret(store, name, &random, 1, secret, 32, NULL), PQL_E_USAGE);
    name[PQI_STORE_SECRET_NAME_MAX] = '\0';
    assert_int_equal(pqi_store_secret(store, name, &random, 1, secret, 0, NULL), PQL_E_USAGE);
    assert_int_equal(pqi_store_secret(store, name, &random, 1, secret, sizeof(secret), NULL),
                     PQL_E_USAGE);
    assert_int_equal(pqi_store_secret(store, name, &random, 1, secret, PQI_STORE_SECRET_MAX, NULL),
                     PQL_OK);
    pqi_store_close(store);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        directory_test(a_secret_is_made_once_and_survives_reopening),
        cmocka_unit_test(each_name_has_a_secret_of_its_own),
        cmocka_unit_test(rotation_keeps_the_previous_secret_only),
        cmocka_unit_test(a_secret_rotates_only_when_it_is_old_enough),
        cmocka_unit_test(what_does_not_exist_cannot_rotate),
        cmocka_unit_test(another_length_is_refused_with_zeros),
        cmocka_unit_test(without_random_bytes_nothing_is_made_or_given_out),
        cmocka_unit_test(a_secret_that_cannot_be_stored_is_not_given_out),
        cmocka_unit_test(names_and_lengths_have_bounds),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
