#include "store/store.h"

#include "base/file.h"
#include "store/db.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define DATABASE_NAME "store.sqlite3"
#define DATABASE_LOG_NAME "store.sqlite3-wal"
#define UNFINISHED_NAME "store.sqlite3.new"
#define LOCK_NAME "store.lock"
#define DIRECTORY_MODE 0700
#define FILE_MODE 0600
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)

static pql_status join_path(char *out, size_t size, const pqi_store *store, const char *name,
                            pql_error *err)
{
    const int need = snprintf(out, size, "%s/%s", store->directory, name);
    if (need < 0 || (size_t)need >= size) {
        return pqi_fail(err, PQL_E_USAGE, "The directory name %.64s... is too long.",
                        store->directory);
    }
    return PQL_OK;
}

/* Says who has the store, as far as the lock file tells. */
static pql_status fail_in_use(const pqi_store *store, int fd, pql_error *err)
{
    char pid[24] = "";
    const ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);
    pid[n > 0 ? strcspn(pid, "\n") : 0] = '\0';
    return pqi_fail(err, PQL_E_IO,
                    "The store in %s is in use by process %s.  Stop that one first, or use another "
                    "directory.",
                    store->directory, pid[0] == '\0' ? "(unknown)" : pid);
}

static pql_status take_lock(pqi_store *store, pql_error *err)
{
    char path[PATH_MAX];
    const pql_status rc = join_path(path, sizeof(path), store, LOCK_NAME, err);
    if (rc != PQL_OK) {
        return rc;
    }
    const int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot open the lock file %s", path);
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
        const int lock_errno = errno;
        const pql_status code =
            lock_errno == EWOULDBLOCK
                ? fail_in_use(store, fd, err)
                : pqi_fail_errno(err, PQL_E_IO, lock_errno, "Cannot lock %s", path);
        (void)close(fd);
        return code;
    }
    /* The process id is a help for people alone: on a full disk it is simply not there. */
    if (ftruncate(fd, 0) == 0) {
        (void)dprintf(fd, "%ld\n", (long)getpid());
    }
    store->lock_fd = fd;
    return PQL_OK;
}

/* A store that exists: tightens its mode, as it holds secrets.  An empty file is never ours, since
 * new databases get their name when they are complete; SQLite would quietly make it anew. */
static pql_status check_existing(const pqi_store *store, const char *path, bool *exists,
                                 pql_error *err)
{
    struct stat st;
    *exists = stat(path, &st) == 0;
    if (!*exists) {
        return errno == ENOENT ? PQL_OK
                               : pqi_fail_errno(err, PQL_E_IO, errno, "Cannot look at %s", path);
    }
    if (st.st_size == 0) {
        return pqi_db_damaged(store, "the file is empty", err);
    }
    if ((st.st_mode & 07777) != FILE_MODE && chmod(path, FILE_MODE) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno,
                              "%s holds secrets and is open to others; its mode cannot be set to "
                              "0600",
                              path);
    }
    return PQL_OK;
}

/* No database: then there may be no log of one either.  It holds commits of a file that somebody
 * took away, and SQLite would pour them into the new one. */
static pql_status check_absent(const pqi_store *store, pql_error *err)
{
    char path[PATH_MAX];
    const pql_status rc = join_path(path, sizeof(path), store, DATABASE_LOG_NAME, err);
    if (rc != PQL_OK) {
        return rc;
    }
    return access(path, F_OK) == 0 ? pqi_db_damaged(store, "its log is there without it", err)
                                   : PQL_OK;
}

static pql_status create_empty(const char *path, pql_error *err)
{
    (void)unlink(path); /* what a crash may have left half made */
    const int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, FILE_MODE);
    if (fd < 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make %s", path);
    }
    (void)close(fd);
    return PQL_OK;
}

static pql_status sync_directory(const pqi_store *store, pql_error *err)
{
    const int fd = open(store->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    const int sync_errno = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok ? PQL_OK
              : pqi_fail_errno(err, PQL_E_IO, sync_errno, "Cannot sync the directory %s",
                               store->directory);
}

/* Makes a complete database under another name, then gives it its own: a crash on the way leaves no
 * half-made store. */
static pql_status make_database(pqi_store *store, const char *path, pql_error *err)
{
    char unfinished[PATH_MAX];
    pql_status rc = join_path(unfinished, sizeof(unfinished), store, UNFINISHED_NAME, err);
    if (rc == PQL_OK) {
        rc = create_empty(unfinished, err);
    }
    if (rc == PQL_OK) {
        rc = pqi_db_open(store, unfinished, &pqi_schema_current, err);
    }
    if (rc == PQL_OK) {
        rc = pqi_db_checkpoint(store, err); /* the log does not come along in the rename */
    }
    pqi_db_close(store);
    if (rc != PQL_OK) {
        return rc;
    }
    if (rename(unfinished, path) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot rename %s", unfinished);
    }
    return sync_directory(store, err);
}

pql_status pqi_store_check_directory(const char *directory, pql_error *err)
{
    struct stat st;
    if (stat(directory, &st) != 0) {
        return errno == ENOENT
                   ? PQL_OK
                   : pqi_fail_errno(err, PQL_E_IO, errno, "Cannot look at %s", directory);
    }
    if ((st.st_mode & OTHERS_WRITE) != 0) {
        return pqi_fail(
            err, PQL_E_IO,
            "Others may write to %s and exchange what is in it (mode %04o).  Run: chmod "
            "go-w %s, or use another directory if it is shared on purpose.",
            directory, (unsigned)(st.st_mode & 07777), directory);
    }
    return PQL_OK;
}

static pql_status open_directory(pqi_store *store, pql_error *err)
{
    char path[PATH_MAX];
    bool exists = false;
    pql_status rc = pqi_dir_make(store->directory, DIRECTORY_MODE, err);
    if (rc == PQL_OK) {
        rc = pqi_store_check_directory(store->directory, err);
    }
    if (rc == PQL_OK) {
        rc = join_path(path, sizeof(path), store, DATABASE_NAME, err);
    }
    if (rc == PQL_OK) {
        rc = take_lock(store, err);
    }
    if (rc == PQL_OK) {
        rc = check_existing(store, path, &exists, err);
    }
    if (rc == PQL_OK && !exists) {
        rc = check_absent(store, err);
    }
    if (rc == PQL_OK && !exists) {
        rc = make_database(store, path, err);
    }
    return rc == PQL_OK ? pqi_db_open(store, path, &pqi_schema_current, err) : rc;
}

bool pqi_store_exists(const char *directory)
{
    char path[PATH_MAX];
    const int len = snprintf(path, sizeof(path), "%s/%s", directory, DATABASE_NAME);
    return len > 0 && (size_t)len < sizeof(path) && access(path, F_OK) == 0;
}

pql_status pqi_store_open(pqi_store **out, const char *directory, pql_error *err)
{
    *out = NULL;
    pqi_store *store = calloc(1, sizeof(*store));
    char *copy = strdup(directory);
    if (store == NULL || copy == NULL) {
        free(store);
        free(copy);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory opening the store.");
    }
    store->directory = copy;
    store->lock_fd = -1;
    (void)pthread_mutex_init(&store->lock, NULL); /* cannot fail with default attributes */
    const pql_status rc = strcmp(directory, PQI_STORE_MEMORY) == 0
                              ? pqi_db_open(store, PQI_STORE_MEMORY, &pqi_schema_current, err)
                              : open_directory(store, err);
    if (rc != PQL_OK) {
        pqi_store_close(store);
        return rc;
    }
    *out = store;
    return PQL_OK;
}

void pqi_store_watch(pqi_store *store, void (*changed)(void *user, bool ok, const char *reason),
                     void *user)
{
    (void)pthread_mutex_lock(&store->lock);
    store->changed = changed;
    store->changed_user = user;
    (void)pthread_mutex_unlock(&store->lock);
}

bool pqi_store_is_failing(pqi_store *store)
{
    (void)pthread_mutex_lock(&store->lock);
    const bool failing = store->failing;
    (void)pthread_mutex_unlock(&store->lock);
    return failing;
}

pql_status pqi_store_probe(pqi_store *store, pql_error *err)
{
    char sql[64];
    pql_error own = {0};
    pql_error *why = err != NULL ? err : &own;
    /* The number that is there already: the header page is written all the same. */
    (void)snprintf(sql, sizeof(sql), "PRAGMA user_version=%d", pqi_schema_current.version);
    (void)pthread_mutex_lock(&store->lock);
    const pql_status rc = pqi_db_exec(store, sql, why);
    pqi_db_note(store, rc, why);
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

/* The lock file is the one that we hold, and the database is there. */
static bool in_place(const pqi_store *store)
{
    char path[PATH_MAX];
    struct stat held;
    struct stat found;
    return store->lock_fd < 0 || (join_path(path, sizeof(path), store, LOCK_NAME, NULL) == PQL_OK &&
                                  fstat(store->lock_fd, &held) == 0 && stat(path, &found) == 0 &&
                                  held.st_dev == found.st_dev && held.st_ino == found.st_ino &&
                                  pqi_store_exists(store->directory));
}

pql_status pqi_store_in_place(pqi_store *store, pql_error *err)
{
    store->gone = !in_place(store);
    return store->gone
               ? pqi_fail(err, PQL_E_IO,
                          "The files of the store in %s are gone or were replaced while it is "
                          "open; what is written there is lost at the next start.  Put the "
                          "directory back, or restart.",
                          store->directory)
               : PQL_OK;
}

pql_status pqi_store_look(pqi_store *store, pql_error *err)
{
    pql_error own = {0};
    pql_error *why = err != NULL ? err : &own;
    (void)pthread_mutex_lock(&store->lock);
    const pql_status rc = pqi_store_in_place(store, why);
    if (rc != PQL_OK) {
        pqi_db_note(store, rc, why);
    }
    (void)pthread_mutex_unlock(&store->lock);
    return rc;
}

void pqi_store_close(pqi_store *store)
{
    if (store == NULL) {
        return;
    }
    pqi_db_close(store);
    if (store->lock_fd >= 0) {
        (void)close(store->lock_fd); /* after the database: the next process may come in now */
    }
    (void)pthread_mutex_destroy(&store->lock);
    free(store->directory);
    free(store);
}
