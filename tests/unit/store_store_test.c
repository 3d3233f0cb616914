/* Opening: private files, one process at a time, migration, and damage that is never papered over.
 */
#include "test.h"

#include "store/blocks.h"
#include "store/db.h"
#include "store/peers.h"
#include "store/schema.h"

#include "store_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

static const uint8_t fingerprint[PQI_STORE_FINGERPRINT_SIZE] = {1, 2, 3};

static void remember_a_peer(const char *directory)
{
    pqi_store *store = open_store(directory);
    assert_int_equal(pqi_store_peer_put(store, "node:9833", fingerprint, true, 1, NULL), PQL_OK);
    pqi_store_close(store);
}

static bool knows_the_peer(const char *directory)
{
    pqi_store_peer peer;
    pqi_store *store = open_store(directory);
    const bool known = pqi_store_peer_get(store, "node:9833", &peer, NULL) == PQL_OK;
    pqi_store_close(store);
    return known;
}

static mode_t mode_of(const char *path)
{
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    return st.st_mode & 07777;
}

static void write_file(const char *path, const void *data, size_t len)
{
    const int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, data, len), len);
    assert_int_equal(close(fd), 0);
}

static void run_sql(const char *directory, const char *sql)
{
    char path[TEST_PATH_SIZE];
    sqlite3 *db = NULL;
    directory_file(path, directory, "store.sqlite3");
    assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
    assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void assert_refused(const char *directory, pql_status code, const char *words)
{
    pqi_store *store = NULL;
    pql_error err = {0};
    assert_int_equal(pqi_store_open(&store, directory, &err), code);
    assert_null(store);
    assert_non_null(strstr(err.message, words));
    assert_non_null(strstr(err.message, directory));
}

static void a_new_store_is_for_its_owner_alone(void **state)
{
    const char *directory = *state;
    char path[TEST_PATH_SIZE];
    pqi_store *store = open_store(directory);
    assert_int_equal(pqi_store_peer_put(store, "a:1", fingerprint, true, 1, NULL), PQL_OK);
    assert_int_equal(mode_of(directory), 0700);
    directory_file(path, directory, "store.sqlite3");
    assert_int_equal(mode_of(path), 0600);
    directory_file(path, directory, "store.sqlite3-wal");
    assert_int_equal(mode_of(path), 0600);
    pqi_store_close(store);
}

static void a_mode_that_lets_others_read_is_tightened(void **state)
{
    char path[TEST_PATH_SIZE];
    remember_a_peer(*state);
    directory_file(path, *state, "store.sqlite3");
    assert_int_equal(chmod(path, 0644), 0);
    assert_true(knows_the_peer(*state));
    assert_int_equal(mode_of(path), 0600);
}

static void a_directory_that_others_may_write_to_is_refused(void **state)
{
    static const mode_t open_modes[] = {0777, 0770, 0702, 01777};
    char remedy[TEST_PATH_SIZE];
    (void)snprintf(remedy, sizeof(remedy), "chmod go-w %s", (const char *)*state);
    remember_a_peer(*state);
    for (size_t i = 0; i < sizeof(open_modes) / sizeof(open_modes[0]); i++) {
        assert_int_equal(chmod(*state, open_modes[i]), 0);
        assert_refused(*state, PQL_E_IO, remedy);
    }
}

static void a_directory_that_others_may_only_read_is_fine(void **state)
{
    remember_a_peer(*state);
    assert_int_equal(chmod(*state, 0755), 0);
    assert_true(knows_the_peer(*state));
}

static void what_was_stored_is_there_after_reopening(void **state)
{
    remember_a_peer(*state);
    assert_true(knows_the_peer(*state));
}

static void commits_are_synced_to_a_write_ahead_log(void **state)
{
    pqi_store *store = open_store(*state);
    sqlite3_stmt *query = NULL;
    assert_int_equal(sqlite3_prepare_v2(store->db,
                                        "SELECT * FROM pragma_synchronous,"
                                        " pragma_journal_mode",
                                        -1, &query, NULL),
                     SQLITE_OK);
    assert_int_equal(sqlite3_step(query), SQLITE_ROW);
    assert_int_equal(sqlite3_column_int(query, 0), 2); /* FULL */
    assert_string_equal((const char *)sqlite3_column_text(query, 1), "wal");
    assert_int_equal(sqlite3_finalize(query), SQLITE_OK);
    pqi_store_close(store);
}

static void a_second_opener_is_told_who_has_the_store(void **state)
{
    char pid[32];
    (void)snprintf(pid, sizeof(pid), "in use by process %ld", (long)getpid());
    pqi_store *store = open_store(*state);
    assert_refused(*state, PQL_E_IO, pid);
    pqi_store_close(store);
    pqi_store_close(open_store(*state));
}

/* Opens the store in a child process, which then waits to be killed. */
static pid_t hold_in_child(const char *directory)
{
    int ends[2];
    char byte;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        pqi_store *store = NULL;
        const bool ok = pqi_store_open(&store, directory, NULL) == PQL_OK;
        const bool told = write(ends[1], ok ? "+" : "-", 1) == 1;
        while (told) {
            (void)pause();
        }
        _exit(1);
    }
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, '+');
    (void)close(ends[0]);
    (void)close(ends[1]);
    return child;
}

static void another_process_is_refused_until_the_first_dies(void **state)
{
    const pid_t child = hold_in_child(*state);
    assert_refused(*state, PQL_E_IO, "in use by process");
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    pqi_store_close(open_store(*state));
}

static void a_newer_schema_is_refused_and_left_alone(void **state)
{
    remember_a_peer(*state);
    run_sql(*state, "PRAGMA user_version = 99");
    assert_refused(*state, PQL_E_UNSUPPORTED, "newer pqlink (schema 99");
    run_sql(*state, "PRAGMA user_version = 1");
    assert_true(knows_the_peer(*state));
}

static void a_database_of_another_program_is_refused(void **state)
{
    assert_int_equal(mkdir(*state, 0700), 0);
    run_sql(*state, "CREATE TABLE cookies (value TEXT)");
    assert_refused(*state, PQL_E_UNSUPPORTED, "another program");
}

static void an_empty_file_is_damage_not_a_new_store(void **state)
{
    char path[TEST_PATH_SIZE];
    remember_a_peer(*state);
    directory_file(path, *state, "store.sqlite3");
    assert_int_equal(truncate(path, 0), 0);
    assert_refused(*state, PQL_E_IO, "damaged");
    assert_refused(*state, PQL_E_IO, "damaged");
}

static void a_log_without_its_database_is_damage_too(void **state)
{
    char path[TEST_PATH_SIZE];
    char elsewhere[TEST_PATH_SIZE];
    const pid_t child = hold_in_child(*state);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    directory_file(path, *state, "store.sqlite3");
    directory_file(elsewhere, *state, "elsewhere");
    assert_int_equal(rename(path, elsewhere), 0);
    assert_refused(*state, PQL_E_IO, "damaged");
    assert_int_equal(rename(elsewhere, path), 0);
    pqi_store_close(open_store(*state));
}

static void a_file_of_garbage_is_damage_not_a_new_store(void **state)
{
    char path[TEST_PATH_SIZE];
    char garbage[8192];
    memset(garbage, 'x', sizeof(garbage));
    assert_int_equal(mkdir(*state, 0700), 0);
    directory_file(path, *state, "store.sqlite3");
    write_file(path, garbage, sizeof(garbage));
    assert_refused(*state, PQL_E_IO, "damaged");
    struct stat st;
    assert_int_equal(stat(path, &st), 0);
    assert_int_equal(st.st_size, sizeof(garbage));
}

static void a_damaged_page_is_found_at_start(void **state)
{
    char path[TEST_PATH_SIZE];
    char garbage[2048];
    struct stat st;
    memset(garbage, 'x', sizeof(garbage));
    remember_a_peer(*state);
    directory_file(path, *state, "store.sqlite3");
    assert_int_equal(stat(path, &st), 0);
    const int fd = open(path, O_WRONLY);
    assert_int_equal(pwrite(fd, garbage, sizeof(garbage), st.st_size - 4096), sizeof(garbage));
    assert_int_equal(close(fd), 0);
    assert_refused(*state, PQL_E_IO, "damaged");
}

static void what_a_crash_left_half_made_is_made_again(void **state)
{
    char path[TEST_PATH_SIZE];
    assert_int_equal(mkdir(*state, 0700), 0);
    directory_file(path, *state, "store.sqlite3.new");
    write_file(path, "half", 4);
    directory_file(path, *state, "store.sqlite3.new-wal");
    write_file(path, "half", 4);
    remember_a_peer(*state);
    assert_true(knows_the_peer(*state));
    assert_int_equal(access(path, F_OK), -1);
}

static void a_directory_that_is_a_file_is_an_error(void **state)
{
    write_file(*state, "x", 1);
    assert_refused(*state, PQL_E_IO, "not a directory");
    assert_int_equal(unlink(*state), 0);
}

/* Opens the database in |directory| under |schema|, as a later version of the program would. */
static pql_status open_under(const char *directory, const pqi_schema *schema, int *version)
{
    char path[TEST_PATH_SIZE];
    pqi_store store = {.lock_fd = -1, .directory = (char *)(uintptr_t)directory};
    sqlite3_stmt *query = NULL;
    directory_file(path, directory, "store.sqlite3");
    const pql_status rc = pqi_db_open(&store, path, schema, NULL);
    if (rc != PQL_OK) {
        return rc;
    }
    assert_int_equal(sqlite3_prepare_v2(store.db, "PRAGMA user_version", -1, &query, NULL), 0);
    assert_int_equal(sqlite3_step(query), SQLITE_ROW);
    *version = sqlite3_column_int(query, 0);
    assert_int_equal(sqlite3_finalize(query), 0);
    pqi_db_close(&store);
    return PQL_OK;
}

static void an_older_schema_is_migrated_forward(void **state)
{
    remember_a_peer(*state);
    int version = 0;
    const char *const steps[] = {
        pqi_schema_current.steps[0],
        "ALTER TABLE peer ADD COLUMN note TEXT",
        "UPDATE peer SET note = 'moved'",
    };
    const pqi_schema later = {.steps = steps, .version = 3};
    assert_int_equal(open_under(*state, &later, &version), PQL_OK);
    assert_int_equal(version, 3);
    assert_refused(*state, PQL_E_UNSUPPORTED, "schema 3");
}

static void a_migration_that_fails_leaves_the_old_schema(void **state)
{
    remember_a_peer(*state);
    int version = 0;
    const char *const steps[] = {
        pqi_schema_current.steps[0],
        "DELETE FROM peer",
        "ALTER TABLE nowhere ADD COLUMN note TEXT",
    };
    const pqi_schema broken = {.steps = steps, .version = 3};
    assert_int_equal(open_under(*state, &broken, &version), PQL_E_IO);
    assert_true(knows_the_peer(*state));
}

static void a_store_in_memory_is_gone_when_closed(void **state)
{
    (void)state;
    remember_a_peer(PQI_STORE_MEMORY);
    assert_false(knows_the_peer(PQI_STORE_MEMORY));
}

typedef struct watched {
    int calls;
    bool ok;
} watched;

static void note_change(void *user, bool ok, const char *reason)
{
    watched *w = user;
    w->calls++;
    w->ok = ok;
    assert_int_equal(strstr(reason, "gone") != NULL, !ok);
}

static void remove_store(const char *directory)
{
    char path[TEST_PATH_SIZE];
    directory_file(path, directory, "store.sqlite3");
    assert_int_equal(unlink(path), 0);
    directory_file(path, directory, "store.lock");
    assert_int_equal(unlink(path), 0);
    assert_int_equal(rmdir(directory), 0);
}

static void a_store_whose_files_are_taken_away_fails_until_they_are_back(void **state)
{
    const char *directory = *state;
    char aside[TEST_PATH_SIZE];
    watched w = {0};
    pqi_store *store = open_store(directory);
    pqi_store_watch(store, note_change, &w);
    assert_int_equal(pqi_store_look(store, NULL), PQL_OK);
    (void)snprintf(aside, sizeof(aside), "%.500s-aside", directory);
    assert_int_equal(rename(directory, aside), 0);

    assert_int_equal(pqi_store_look(store, NULL), PQL_E_IO);
    assert_int_equal(w.calls, 1);
    assert_false(w.ok);
    assert_true(pqi_store_is_failing(store));
    /* The open files still take what is written, which must not count. */
    assert_int_equal(pqi_store_probe(store, NULL), PQL_OK);
    assert_true(pqi_store_is_failing(store));

    /* Another store in its place is not the one that is open. */
    pqi_store_close(open_store(directory));
    assert_int_equal(pqi_store_look(store, NULL), PQL_E_IO);
    remove_store(directory);

    assert_int_equal(rename(aside, directory), 0);
    assert_int_equal(pqi_store_look(store, NULL), PQL_OK);
    assert_int_equal(pqi_store_probe(store, NULL), PQL_OK);
    assert_int_equal(w.calls, 2);
    assert_true(w.ok);
    pqi_store_close(store);
}

static void a_store_in_memory_is_never_gone(void **state)
{
    (void)state;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_look(store, NULL), PQL_OK);
    pqi_store_close(store);
}

static void closing_nothing_is_allowed(void **state)
{
    (void)state;
    pqi_store_close(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        directory_test(a_new_store_is_for_its_owner_alone),
        directory_test(a_mode_that_lets_others_read_is_tightened),
        directory_test(a_directory_that_others_may_write_to_is_refused),
        directory_test(a_directory_that_others_may_only_read_is_fine),
        directory_test(what_was_stored_is_there_after_reopening),
        directory_test(commits_are_synced_to_a_write_ahead_log),
        directory_test(a_second_opener_is_told_who_has_the_store),
        directory_test(another_process_is_refused_until_the_first_dies),
        directory_test(a_newer_schema_is_refused_and_left_alone),
        directory_test(a_database_of_another_program_is_refused),
        directory_test(an_empty_file_is_damage_not_a_new_store),
        directory_test(a_log_without_its_database_is_damage_too),
        directory_test(a_file_of_garbage_is_damage_not_a_new_store),
        directory_test(a_damaged_page_is_found_at_start),
        directory_test(what_a_crash_left_half_made_is_made_again),
        directory_test(a_directory_that_is_a_file_is_an_error),
        directory_test(an_older_schema_is_migrated_forward),
        directory_test(a_migration_that_fails_leaves_the_old_schema),
        cmocka_unit_test(a_store_in_memory_is_gone_when_closed),
        directory_test(a_store_whose_files_are_taken_away_fails_until_they_are_back),
        cmocka_unit_test(a_store_in_memory_is_never_gone),
        cmocka_unit_test(closing_nothing_is_allowed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
