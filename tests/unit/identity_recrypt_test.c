/* The passphrase of an identity changes in place, whole or not at all for whoever reads it, and
 * what was cut short is completed by the same call. */
#include "test.h"

#include "base/file.h"
#include "base/secret.h"
#include "identity/directory.h"
#include "identity/recrypt.h"
#include "identity/rotation.h"
#include "identity_directory.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW 1800000000

typedef struct place {
    char *dir;
    char one[PATH_MAX]; /* files with passphrases */
    char two[PATH_MAX];
    char id[PATH_MAX];
} place;

static void write_passphrase(const char *path, const char *text)
{
    assert_int_equal(pqi_file_write_atomic(path, text, strlen(text), 0600, NULL), PQL_OK);
}

static int make_place(void **state)
{
    place *p = calloc(1, sizeof(*p));
    *state = p;
    if (make_dir((void **)&p->dir) != 0) {
        return -1;
    }
    (void)snprintf(p->one, sizeof(p->one), "%s/one", p->dir);
    (void)snprintf(p->two, sizeof(p->two), "%s/two", p->dir);
    (void)snprintf(p->id, sizeof(p->id), "%s/id", p->dir);
    write_passphrase(p->one, "the first\n");
    write_passphrase(p->two, "the second\n");
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    (void)remove_dir((void **)&p->dir);
    free(p);
    return 0;
}

static void make_identity(const place *p, const char *passphrase_file)
{
    pql_identity *id = NULL;
    const pql_identity_opts opts = {.must_create = true, .passphrase_file = passphrase_file};
    assert_int_equal(pql_identity_open(&id, p->id, &opts, NULL), PQL_OK);
    pql_identity_free(id);
}

/* A next identity too, in which only the post-quantum key is another. */
static void prepare(const place *p, const char *passphrase_file)
{
    const pqi_identity_keys keys = {.passphrase_file = passphrase_file};
    const pqi_rotation_opts opts = {.pq = true, .plan = {.keep = 1000}};
    pql_error err = {0};
    if (pqi_rotation_prepare(p->id, &keys, &opts, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
}

static pql_status open_all(const place *p, const char *passphrase_file, pql_error *err)
{
    const pqi_identity_keys keys = {.passphrase_file = passphrase_file};
    pqi_rotation all;
    const pql_status status = pqi_rotation_load(&all, p->id, &keys, err);
    pqi_rotation_clear(&all);
    return status;
}

static pql_fingerprint pin_of(const place *p)
{
    pqi_rotation all;
    pql_fingerprint fp;
    assert_int_equal(pqi_rotation_load(&all, p->id, &(pqi_identity_keys){.left_out = true}, NULL),
                     PQL_OK);
    pql_identity_fingerprint(all.current, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    pqi_rotation_clear(&all);
    return fp;
}

static unsigned recrypt(const place *p, const char *from, const char *to)
{
    unsigned changed = 0;
    pql_error err = {0};
    if (pqi_identity_recrypt(p->id, from, to, &changed, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    return changed;
}

static void assert_recrypt_refused(const place *p, const char *from, const char *to,
                                   const char *words)
{
    unsigned changed = 0;
    pql_error err = {0};
    assert_int_equal(pqi_identity_recrypt(p->id, from, to, &changed, &err), PQL_E_IDENTITY);
    assert_int_equal(changed, 0);
    if (strstr(err.message, words) == NULL) {
        fail_msg("\"%s\" does not say \"%s\"", err.message, words);
    }
}

static void an_identity_is_encrypted_changed_and_decrypted_in_place(void **state)
{
    const place *p = *state;
    make_identity(p, NULL);
    const pql_fingerprint before = pin_of(p);
    assert_int_equal(recrypt(p, NULL, p->one), 2);
    assert_int_equal(open_all(p, NULL, NULL), PQL_E_IDENTITY);
    assert_int_equal(open_all(p, p->one, NULL), PQL_OK);
    assert_int_equal(recrypt(p, p->one, p->two), 2);
    assert_int_equal(open_all(p, p->one, NULL), PQL_E_IDENTITY);
    assert_int_equal(open_all(p, p->two, NULL), PQL_OK);
    assert_int_equal(recrypt(p, p->two, NULL), 2);
    assert_int_equal(open_all(p, NULL, NULL), PQL_OK);
    const pql_fingerprint after = pin_of(p);
    assert_memory_equal(before.sha256, after.sha256, sizeof(before.sha256));
}

/* A decrypt that was killed between writing and renaming, and a keygen before its rename. */
static void what_a_crash_left_of_plain_keys_is_removed(void **state)
{
    static const char *const left[] = {PQI_IDENTITY_CURRENT "/pq-key.pem.a1B2c3",
                                       PQI_IDENTITY_NEXT "/classical-key.pem.a1B2c3"};
    const place *p = *state;
    make_identity(p, NULL);
    prepare(p, NULL);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        write_passphrase(in_dir(p->id, left[i]), "a plain key");
    }
    assert_int_equal(mkdir(in_dir(p->id, ".identity.new.a1B2c3"), 0700), 0);
    write_passphrase(in_dir(p->id, ".identity.new.a1B2c3/pq-key.pem"), "a plain key");
    (void)recrypt(p, NULL, p->one);
    for (size_t i = 0; i < sizeof(left) / sizeof(left[0]); i++) {
        assert_int_not_equal(access(in_dir(p->id, left[i]), F_OK), 0);
    }
    assert_int_not_equal(access(in_dir(p->id, ".identity.new.a1B2c3"), F_OK), 0);
    assert_int_equal(open_all(p, p->one, NULL), PQL_OK);
}

static void encrypted_keys_stay_closed_to_others(void **state)
{
    const place *p = *state;
    struct stat st;
    make_identity(p, NULL);
    (void)recrypt(p, NULL, p->one);
    assert_int_equal(stat(in_dir(p->id, PQI_IDENTITY_CURRENT "/pq-key.pem"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void no_key_lies_in_plain_text_in_a_new_identity(void **state)
{
    const place *p = *state;
    make_identity(p, p->one);
    for (unsigned leaf = PQL_LEAF_PQ; leaf <= PQL_LEAF_CLASSICAL; leaf++) {
        uint8_t *pem = NULL;
        size_t len = 0;
        assert_int_equal(
            pqi_identity_key_read(p->id, PQI_IDENTITY_CURRENT, (pql_leaf)leaf, &pem, &len, NULL),
            PQL_OK);
        assert_true(pqi_key_file_is_encrypted(pem, len));
        pqi_secret_free(pem, len);
    }
    assert_int_equal(open_all(p, p->one, NULL), PQL_OK);
}

static void what_a_rotation_makes_has_the_same_passphrase(void **state)
{
    const place *p = *state;
    make_identity(p, p->one);
    prepare(p, p->one);
    assert_int_equal(open_all(p, p->one, NULL), PQL_OK);
    assert_int_equal(recrypt(p, p->one, p->two), 4);
    assert_int_equal(open_all(p, p->two, NULL), PQL_OK);
    const pqi_identity_keys keys = {.passphrase_file = p->two};
    assert_int_equal(pqi_rotation_switch(p->id, &keys, NOW, NULL, NULL), PQL_OK);
    assert_int_equal(recrypt(p, p->two, p->one), 4);
    assert_int_equal(open_all(p, p->one, NULL), PQL_OK);
}

static void a_rotation_without_the_passphrase_changes_nothing(void **state)
{
    const place *p = *state;
    make_identity(p, p->one);
    const pqi_rotation_opts opts = {.pq = true, .plan = {.keep = 1000}};
    const pqi_identity_keys wrong = {.passphrase_file = p->two};
    assert_int_equal(pqi_rotation_prepare(p->id, NULL, &opts, NULL), PQL_E_IDENTITY);
    assert_int_equal(pqi_rotation_prepare(p->id, &wrong, &opts, NULL), PQL_E_IDENTITY);
    assert_false(pqi_identity_is_there(p->id, PQI_IDENTITY_NEXT));
    prepare(p, p->one);
    assert_int_equal(pqi_rotation_switch(p->id, &wrong, NOW, NULL, NULL), PQL_E_IDENTITY);
    assert_true(pqi_identity_is_there(p->id, PQI_IDENTITY_NEXT));
}

static void a_wrong_passphrase_changes_nothing(void **state)
{
    const place *p = *state;
    make_identity(p, p->one);
    char none[PATH_MAX];
    (void)snprintf(none, sizeof(none), "%s/three", p->dir);
    write_passphrase(none, "the third\n");
    assert_recrypt_refused(p, p->two, none, "does not fit");
    assert_recrypt_refused(p, p->two, NULL, "does not fit");
    assert_recrypt_refused(p, NULL, p->two, "encrypted already");
    assert_int_equal(open_all(p, p->one, NULL), PQL_OK);
}

static void what_is_as_it_should_be_stays_as_it_is(void **state)
{
    const place *p = *state;
    make_identity(p, p->one);
    assert_int_equal(recrypt(p, NULL, p->one), 0);
    assert_int_equal(recrypt(p, p->two, p->one), 0);
}

/* The state after a crash that left |leaf| behind as it was. */
static void put_back(const place *p, pql_leaf leaf, const char *from, const char *to)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    assert_int_equal(pqi_identity_key_read(p->id, PQI_IDENTITY_CURRENT, leaf, &pem, &len, NULL),
                     PQL_OK);
    (void)recrypt(p, from, to);
    assert_int_equal(pqi_identity_key_write(p->id, PQI_IDENTITY_CURRENT, leaf, pem, len, NULL),
                     PQL_OK);
    pqi_secret_free(pem, len);
}

static void a_change_that_was_cut_short_is_completed_by_the_same_call(void **state)
{
    const place *p = *state;
    pql_error err = {0};
    make_identity(p, NULL);
    put_back(p, PQL_LEAF_CLASSICAL, NULL, p->one);
    assert_int_equal(open_all(p, p->one, &err), PQL_E_IDENTITY);
    assert_non_null(strstr(err.message, "pqlink key encrypt"));
    assert_int_equal(recrypt(p, NULL, p->one), 1);
    put_back(p, PQL_LEAF_PQ, p->one, p->two);
    assert_int_equal(recrypt(p, p->one, p->two), 1);
    put_back(p, PQL_LEAF_CLASSICAL, p->two, NULL);
    assert_int_equal(recrypt(p, p->two, NULL), 1);
    assert_int_equal(open_all(p, NULL, NULL), PQL_OK);
}

static void certificates_are_read_without_any_passphrase(void **state)
{
    const place *p = *state;
    make_identity(p, p->one);
    prepare(p, p->one);
    pqi_rotation all;
    assert_int_equal(pqi_rotation_load(&all, p->id, &(pqi_identity_keys){.left_out = true}, NULL),
                     PQL_OK);
    assert_string_equal(pql_identity_algorithm(all.current, PQL_LEAF_PQ), "ML-DSA-87");
    assert_string_equal(pql_identity_algorithm(all.next, PQL_LEAF_CLASSICAL), "ECDSA-P256");
    pqi_rotation_clear(&all);
}

static void there_is_nothing_to_encrypt_without_an_identity(void **state)
{
    const place *p = *state;
    assert_recrypt_refused(p, NULL, p->one, "pqlink keygen");
}

#define PLACE_TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        PLACE_TEST(an_identity_is_encrypted_changed_and_decrypted_in_place),
        PLACE_TEST(what_a_crash_left_of_plain_keys_is_removed),
        PLACE_TEST(encrypted_keys_stay_closed_to_others),
        PLACE_TEST(no_key_lies_in_plain_text_in_a_new_identity),
        PLACE_TEST(what_a_rotation_makes_has_the_same_passphrase),
        PLACE_TEST(a_rotation_without_the_passphrase_changes_nothing),
        PLACE_TEST(a_wrong_passphrase_changes_nothing),
        PLACE_TEST(what_is_as_it_should_be_stays_as_it_is),
        PLACE_TEST(a_change_that_was_cut_short_is_completed_by_the_same_call),
        PLACE_TEST(certificates_are_read_without_any_passphrase),
        PLACE_TEST(there_is_nothing_to_encrypt_without_an_identity),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
