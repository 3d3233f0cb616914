/* DIR/identity: the same for ever, all or nothing, and never made anew behind the operator's back.
 */
#include "test.h"

#include "base/file.h"
#include "identity/directory.h"
#include "identity/identity.h"
#include "identity_directory.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static const char *const file_names[] = {"pq-key.pem", "pq-cert.pem", "classical-key.pem",
                                         "classical-cert.pem"};
#define FILE_COUNT (sizeof(file_names) / sizeof(file_names[0]))
#define NOTE_COUNT 1 /* the note since when it is in use, which may be missing */

typedef struct place {
    char dir[64];
} place;

static int make_place(void **state)
{
    place *p = calloc(1, sizeof(*p));
    (void)snprintf(p->dir, sizeof(p->dir), "/tmp/pqlink-identity-XXXXXX");
    if (mkdtemp(p->dir) == NULL) {
        return -1;
    }
    *state = p;
    return 0;
}

static int remove_place(void **state)
{
    place *p = *state;
    remove_tree(p->dir);
    free(p);
    return 0;
}

static const char *path_of(const place *p, const char *name)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/identity/%s", p->dir, name);
    return path;
}

static pql_fingerprint open_and_close(const place *p, const pql_identity_opts *opts, bool *created)
{
    pql_identity *id = NULL;
    pql_fingerprint fp;
    pql_error err;
    assert_int_equal(pql_identity_open(&id, p->dir, opts, &err), PQL_OK);
    pql_identity_fingerprint(id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    *created = pql_identity_created(id);
    pql_identity_free(id);
    return fp;
}

static void create(const place *p)
{
    bool created = false;
    (void)open_and_close(p, NULL, &created);
    assert_true(created);
}

static void assert_refused(const place *p, const char *words)
{
    pql_identity *id = (pql_identity *)1;
    pql_error err;
    assert_int_equal(pql_identity_open(&id, p->dir, NULL, &err), PQL_E_IDENTITY);
    assert_null(id);
    assert_non_null(strstr(err.message, words));
}

static void overwrite(const place *p, const char *name, const void *data, size_t len, mode_t mode)
{
    assert_int_equal(pqi_file_write_atomic(path_of(p, name), data, len, mode, NULL), PQL_OK);
}

static unsigned count_entries(const char *path)
{
    unsigned count = 0;
    DIR *dir = opendir(path);
    assert_non_null(dir);
    while (readdir(dir) != NULL) {
        count++;
    }
    (void)closedir(dir);
    return count - 2; /* "." and ".." */
}

static void the_fingerprint_is_the_same_after_reopening(void **state)
{
    bool created = false;
    const pql_fingerprint first = open_and_close(*state, NULL, &created);
    assert_true(created);
    const pql_fingerprint second = open_and_close(*state, NULL, &created);
    assert_false(created);
    assert_memory_equal(first.sha256, second.sha256, PQL_SHA256_SIZE);
}

static void an_existing_identity_keeps_its_own_parameter_set(void **state)
{
    const place *p = *state;
    bool created = false;
    (void)open_and_close(p, &(pql_identity_opts){.sign = PQL_ML_DSA_44}, &created);
    pql_identity *id = NULL;
    assert_int_equal(
        pql_identity_open(&id, p->dir, &(pql_identity_opts){.sign = PQL_ML_DSA_87}, NULL), PQL_OK);
    assert_string_equal(pql_identity_algorithm(id, PQL_LEAF_PQ), "ML-DSA-44");
    assert_int_equal(pqi_identity_scheme(id, PQL_LEAF_PQ), 0x0904);
    pql_identity_free(id);
}

static void keys_are_closed_to_others_and_nothing_else_is_left(void **state)
{
    const place *p = *state;
    create(p);
    struct stat st;
    for (size_t i = 0; i < FILE_COUNT; i++) {
        assert_int_equal(stat(path_of(p, file_names[i]), &st), 0);
        const bool key = strstr(file_names[i], "key") != NULL;
        assert_int_equal(st.st_mode & 07777, key ? 0600 : 0644);
    }
    assert_int_equal(stat(path_of(p, ""), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(count_entries(path_of(p, "")), FILE_COUNT + NOTE_COUNT);
    assert_int_equal(count_entries(p->dir), 1);
}

static void every_missing_file_is_an_error(void **state)
{
    const place *p = *state;
    create(p);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        uint8_t *data = NULL;
        size_t len = 0;
        assert_int_equal(pqi_file_read(path_of(p, file_names[i]), 65536, &data, &len, NULL),
                         PQL_OK);
        assert_int_equal(unlink(path_of(p, file_names[i])), 0);
        assert_refused(p, "is missing");
        assert_refused(p, file_names[i]);
        overwrite(p, file_names[i], data, len, 0600);
        free(data);
    }
    bool created = true;
    (void)open_and_close(p, NULL, &created);
    assert_false(created);
}

static void a_key_of_another_identity_is_an_error(void **state)
{
    const place *p = *state;
    create(p);
    for (unsigned which = 0; which < 2; which++) {
        const char *name = which == PQL_LEAF_PQ ? "pq-key.pem" : "classical-key.pem";
        EVP_PKEY *other =
            which == PQL_LEAF_PQ ? pqi_key_make_ml_dsa(PQL_ML_DSA_87) : pqi_key_make_p256();
        uint8_t *before = NULL;
        uint8_t *pem = NULL;
        size_t before_len = 0;
        size_t len = 0;
        assert_int_equal(pqi_file_read(path_of(p, name), 65536, &before, &before_len, NULL),
                         PQL_OK);
        assert_int_equal(pqi_key_to_pem(other, &pem, &len, NULL), PQL_OK);
        overwrite(p, name, pem, len, 0600);
        assert_refused(p, "does not fit");
        overwrite(p, name, before, before_len, 0600);
        EVP_PKEY_free(other);
        free(before);
        free(pem);
    }
}

static void swapped_leaves_are_an_error(void **state)
{
    const place *p = *state;
    create(p);
    char from[PATH_MAX];
    (void)snprintf(from, sizeof(from), "%s", path_of(p, "classical-key.pem"));
    assert_int_equal(rename(from, path_of(p, "pq-key.pem")), 0);
    assert_refused(p, "another kind of key");
}

static void a_key_that_others_can_read_is_an_error_that_says_chmod(void **state)
{
    const place *p = *state;
    create(p);
    const mode_t open_modes[] = {0640, 0604, 0620, 0602, 0610};
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        assert_int_equal(chmod(path_of(p, "classical-key.pem"), open_modes[i]), 0);
        assert_refused(p, "chmod 600");
    }
    assert_int_equal(chmod(path_of(p, "classical-key.pem"), 0400), 0);
    bool created = true;
    (void)open_and_close(p, NULL, &created);
    assert_false(created);
}

static void a_directory_that_others_can_write_is_an_error(void **state)
{
    const place *p = *state;
    create(p);
    assert_int_equal(chmod(path_of(p, ""), 0770), 0);
    assert_refused(p, "chmod 700");
}

static void garbage_in_any_file_is_an_error(void **state)
{
    const place *p = *state;
    create(p);
    static const char garbage[] = "-----BEGIN NOTHING-----\nAAAA\n-----END NOTHING-----\n";
    for (size_t i = 0; i < FILE_COUNT; i++) {
        uint8_t *data = NULL;
        size_t len = 0;
        const char *path = path_of(p, file_names[i]);
        assert_int_equal(pqi_file_read(path, 65536, &data, &len, NULL), PQL_OK);
        overwrite(p, file_names[i], garbage, sizeof(garbage) - 1, 0600);
        assert_refused(p, file_names[i]);
        overwrite(p, file_names[i], "", 0, 0600);
        assert_refused(p, file_names[i]);
        overwrite(p, file_names[i], data, len / 2, 0600);
        assert_refused(p, file_names[i]);
        overwrite(p, file_names[i], data, len, 0600);
        free(data);
    }
}

static void data_after_the_pem_block_is_an_error(void **state)
{
    const place *p = *state;
    create(p);
    for (size_t i = 0; i < FILE_COUNT; i++) {
        uint8_t *data = NULL;
        size_t len = 0;
        assert_int_equal(pqi_file_read(path_of(p, file_names[i]), 65536, &data, &len, NULL),
                         PQL_OK);
        uint8_t *twice = malloc(2 * len);
        memcpy(twice, data, len);
        memcpy(twice + len, data, len);
        overwrite(p, file_names[i], twice, 2 * len, 0600);
        assert_refused(p, file_names[i]);
        overwrite(p, file_names[i], data, len, 0600);
        free(twice);
        free(data);
    }
}

static void must_exist_never_creates(void **state)
{
    const place *p = *state;
    pql_identity *id = NULL;
    pql_error err;
    assert_int_equal(pql_identity_open(&id, p->dir, &(pql_identity_opts){.must_exist = true}, &err),
                     PQL_E_IDENTITY);
    assert_int_equal(count_entries(p->dir), 0);
}

static void must_create_never_opens_an_old_one(void **state)
{
    const place *p = *state;
    create(p);
    pql_identity *id = NULL;
    pql_error err;
    assert_int_equal(
        pql_identity_open(&id, p->dir, &(pql_identity_opts){.must_create = true}, &err),
        PQL_E_EXISTS);
    assert_null(id);
}

static void missing_parents_are_made(void **state)
{
    place deep = {{0}};
    (void)snprintf(deep.dir, sizeof(deep.dir), "%s/a/b", ((const place *)*state)->dir);
    create(&deep);
    struct stat st;
    assert_int_equal(stat(deep.dir, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
}

static void what_a_crash_left_is_swept_and_not_mistaken_for_an_identity(void **state)
{
    const place *p = *state;
    char stale[PATH_MAX];
    (void)snprintf(stale, sizeof(stale), "%s/.identity.new.Ab12Cd", p->dir);
    assert_int_equal(mkdir(stale, 0700), 0);
    char file[PATH_MAX];
    (void)snprintf(file, sizeof(file), "%s/.identity.new.Ab12Cd/pq-key.pem", p->dir);
    assert_int_equal(pqi_file_write_atomic(file, "half", 4, 0600, NULL), PQL_OK);
    create(p);
    assert_int_equal(access(stale, F_OK), -1);
    assert_int_equal(count_entries(p->dir), 1);
}

static void a_temporary_directory_in_use_is_not_swept(void **state)
{
    const place *p = *state;
    char busy[PATH_MAX];
    (void)snprintf(busy, sizeof(busy), "%s/.identity.new.Ab12Cd", p->dir);
    assert_int_equal(mkdir(busy, 0700), 0);
    const int fd = open(busy, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
    create(p);
    assert_int_equal(access(busy, F_OK), 0);
    (void)close(fd);
}

static void an_empty_identity_directory_is_filled(void **state)
{
    const place *p = *state;
    assert_int_equal(mkdir(path_of(p, ""), 0700), 0);
    create(p);
    assert_int_equal(count_entries(path_of(p, "")), FILE_COUNT + NOTE_COUNT);
}

static void the_loser_of_a_race_changes_nothing(void **state)
{
    const place *p = *state;
    bool created = false;
    const pql_fingerprint winner = open_and_close(p, NULL, &created);
    pqi_leaf leaves[2] = {0};
    const pql_identity_opts opts = {0};
    pql_error err;
    assert_int_equal(pqi_leaf_make(&leaves[PQL_LEAF_PQ], PQL_LEAF_PQ, &opts, &err), PQL_OK);
    assert_int_equal(pqi_leaf_make(&leaves[PQL_LEAF_CLASSICAL], PQL_LEAF_CLASSICAL, &opts, &err),
                     PQL_OK);
    assert_int_equal(pqi_identity_store(p->dir, PQI_IDENTITY_CURRENT, NULL, leaves, NULL, &err),
                     PQL_E_EXISTS);
    pqi_leaf_clear(&leaves[PQL_LEAF_PQ]);
    pqi_leaf_clear(&leaves[PQL_LEAF_CLASSICAL]);
    const pql_fingerprint after = open_and_close(p, NULL, &created);
    assert_memory_equal(winner.sha256, after.sha256, PQL_SHA256_SIZE);
    assert_int_equal(count_entries(p->dir), 1);
}

#define RACERS 6

/* Child: waits for the starting shot, opens, and writes its fingerprint to |out|. */
static void race(const place *p, int start, int out)
{
    char shot;
    pql_identity *id = NULL;
    pql_fingerprint fp;
    if (read(start, &shot, 1) != 0 || pql_identity_open(&id, p->dir, NULL, NULL) != PQL_OK) {
        _exit(1);
    }
    pql_identity_fingerprint(id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    _exit(write(out, fp.sha256, PQL_SHA256_SIZE) == PQL_SHA256_SIZE ? 0 : 1);
}

static void processes_that_create_at_once_end_with_one_identity(void **state)
{
    const place *p = *state;
    int start[2];
    int results[2];
    assert_int_equal(pipe(start), 0);
    assert_int_equal(pipe(results), 0);
    pid_t children[RACERS];
    for (unsigned i = 0; i < RACERS; i++) {
        children[i] = fork();
        if (children[i] == 0) {
            (void)close(start[1]);
            race(p, start[0], results[1]);
        }
    }
    (void)close(start[1]); /* end of file is the shot */
    for (unsigned i = 0; i < RACERS; i++) {
        int status = -1;
        assert_int_equal(waitpid(children[i], &status, 0), children[i]);
        assert_int_equal(status, 0);
    }
    bool created = true;
    const pql_fingerprint winner = open_and_close(p, NULL, &created);
    assert_false(created);
    for (unsigned i = 0; i < RACERS; i++) {
        uint8_t got[PQL_SHA256_SIZE];
        assert_int_equal(read(results[0], got, sizeof(got)), sizeof(got));
        assert_memory_equal(got, winner.sha256, sizeof(got));
    }
    assert_int_equal(count_entries(p->dir), 1);
    (void)close(start[0]);
    (void)close(results[0]);
    (void)close(results[1]);
}

/* Child: opens where no file may grow beyond |limit| bytes, as on a full disk. */
static void open_on_full_disk(const place *p, rlim_t limit)
{
    pql_identity *id = NULL;
    pql_error err;
    const struct rlimit full = {.rlim_cur = limit, .rlim_max = limit};
    (void)signal(SIGXFSZ, SIG_IGN);
    if (setrlimit(RLIMIT_FSIZE, &full) != 0) {
        _exit(1);
    }
    _exit(pql_identity_open(&id, p->dir, NULL, &err) == PQL_E_IO && id == NULL ? 0 : 1);
}

static void a_full_disk_leaves_nothing_half_made(void **state)
{
    const place *p = *state;
    static const rlim_t limits[] = {0, 10, 200, 1000, 3500};
    for (size_t i = 0; i < sizeof(limits) / sizeof(limits[0]); i++) {
        int status = -1;
        const pid_t child = fork();
        if (child == 0) {
            open_on_full_disk(p, limits[i]);
        }
        assert_int_equal(waitpid(child, &status, 0), child);
        assert_int_equal(status, 0);
        assert_int_equal(count_entries(p->dir), 0);
    }
    create(p);
}

static void a_directory_that_cannot_be_written_says_so(void **state)
{
    (void)state;
    pql_identity *id = NULL;
    pql_error err;
    assert_int_equal(pql_identity_open(&id, "/proc/pqlink", NULL, &err), PQL_E_IO);
    assert_true(strlen(err.message) > 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_place, remove_place)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_fingerprint_is_the_same_after_reopening),
        TEST(an_existing_identity_keeps_its_own_parameter_set),
        TEST(keys_are_closed_to_others_and_nothing_else_is_left),
        TEST(every_missing_file_is_an_error),
        TEST(a_key_of_another_identity_is_an_error),
        TEST(swapped_leaves_are_an_error),
        TEST(a_key_that_others_can_read_is_an_error_that_says_chmod),
        TEST(a_directory_that_others_can_write_is_an_error),
        TEST(garbage_in_any_file_is_an_error),
        TEST(data_after_the_pem_block_is_an_error),
        TEST(must_exist_never_creates),
        TEST(must_create_never_opens_an_old_one),
        TEST(missing_parents_are_made),
        TEST(what_a_crash_left_is_swept_and_not_mistaken_for_an_identity),
        TEST(a_temporary_directory_in_use_is_not_swept),
        TEST(an_empty_identity_directory_is_filled),
        TEST(the_loser_of_a_race_changes_nothing),
        TEST(processes_that_create_at_once_end_with_one_identity),
        TEST(a_full_disk_leaves_nothing_half_made),
        TEST(a_directory_that_cannot_be_written_says_so),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
