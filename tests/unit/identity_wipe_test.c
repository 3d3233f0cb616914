/* What is freed holds no secret any more.  The linker puts our own free() before that of the C
 * library, also for the cryptographic library (tests/unit/CMakeLists.txt). */
#include "test.h"

#include "base/secret.h"
#include "identity/identity.h"

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#define PART 32 /* bytes of a secret that are looked for */
#define RAW_MAX 8192

void __real_free(void *data);
void __wrap_free(void *data);

static uint8_t wanted[2][PART];
static unsigned wanted_count;
static unsigned found; /* freed blocks with one of them */

void __wrap_free(void *data)
{
    const size_t len = data == NULL ? 0 : malloc_usable_size(data);
    for (unsigned i = 0; i < wanted_count; i++) {
        if (len >= PART && memmem(data, len, wanted[i], PART) != NULL) {
            found++;
        }
    }
    __real_free(data);
}

static void look_for(const uint8_t *secret)
{
    memcpy(wanted[wanted_count++], secret, PART);
}

static int look_for_nothing(void **state)
{
    (void)state;
    wanted_count = 0;
    found = 0;
    return 0;
}

static void a_secret_that_is_freed_as_it_is_would_be_found(void **state)
{
    (void)state;
    uint8_t *copy = malloc(RAW_MAX);
    memset(copy, 0x5a, RAW_MAX);
    look_for(copy);
    free(copy);
    assert_int_equal(found, 1);
}

static void a_secret_is_wiped_before_it_is_freed(void **state)
{
    (void)state;
    uint8_t *copy = malloc(RAW_MAX);
    memset(copy, 0x5a, RAW_MAX);
    look_for(copy);
    pqi_secret_free(copy, RAW_MAX);
    assert_int_equal(found, 0);
}

/* The expanded private key begins with rho (public), K and tr (FIPS 204, table 2): K is a secret
 * that is there in every form of the key. */
static void look_for_key(EVP_PKEY *key)
{
    static uint8_t raw[RAW_MAX];
    size_t len = sizeof(raw);
    assert_int_equal(EVP_PKEY_get_raw_private_key(key, raw, &len), 1);
    look_for(raw + PART);
    len = sizeof(raw);
    assert_int_equal(EVP_PKEY_get_private_seed(key, raw, &len), 1);
    assert_int_equal(len, PART);
    look_for(raw);
}

static void an_identity_that_is_freed_leaves_no_key_behind(void **state)
{
    (void)state;
    pql_identity *id = NULL;
    pql_error err = {0};
    assert_int_equal(pql_identity_ephemeral(&id, NULL, &err), PQL_OK);
    look_for_key(pqi_identity_leaves(id)[PQL_LEAF_PQ].key);
    pql_identity_free(id);
    assert_int_equal(found, 0);
}

static void a_key_that_is_written_as_text_leaves_nothing_behind(void **state)
{
    (void)state;
    uint8_t *pem = NULL;
    size_t len = 0;
    pql_error err = {0};
    EVP_PKEY *key = pqi_key_make_ml_dsa(PQL_ML_DSA_87);
    look_for_key(key);
    assert_int_equal(pqi_key_to_pem(key, &pem, &len, &err), PQL_OK);
    EVP_PKEY *again = pqi_key_from_pem(pem, len);
    assert_non_null(again);
    pqi_secret_free(pem, len);
    EVP_PKEY_free(again);
    EVP_PKEY_free(key);
    assert_int_equal(found, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_secret_that_is_freed_as_it_is_would_be_found, look_for_nothing),
        cmocka_unit_test_setup(a_secret_is_wiped_before_it_is_freed, look_for_nothing),
        cmocka_unit_test_setup(an_identity_that_is_freed_leaves_no_key_behind, look_for_nothing),
        cmocka_unit_test_setup(a_key_that_is_written_as_text_leaves_nothing_behind,
                               look_for_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
