#include "store/hybrid_marks.h"

#include "base/file.h"
#include "base/hex.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define DIRECTORY_MODE 0700
#define MARK_MODE 0600
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
#define MARK_NAME_SIZE (2 * PQL_SHA256_SIZE + 1)

struct pqi_hybrid_marks {
    char directory[PATH_MAX]; /* "": none */
    void (*failed)(const char *sentence);
    pthread_mutex_t lock;
    bool failing;                                                       /* |failed| was told */
    uint8_t unwritten[PQI_HYBRID_MARKS_UNWRITTEN_MAX][PQL_SHA256_SIZE]; /* in memory only */
    size_t unwritten_count;
};

pql_status pqi_hybrid_marks_open(pqi_hybrid_marks **out, const char *directory,
                                 void (*failed)(const char *sentence), pql_error *err)
{
    *out = NULL;
    if (directory != NULL && strlen(directory) + 1 + MARK_NAME_SIZE > PATH_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "The name of the directory is too long.");
    }
    pqi_hybrid_marks *marks = calloc(1, sizeof(*marks));
    if (marks == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory remembering peers.");
    }
    if (directory != NULL) {
        (void)snprintf(marks->directory, sizeof(marks->directory), "%s", directory);
    }
    marks->failed = failed;
    (void)pthread_mutex_init(&marks->lock, NULL);
    *out = marks;
    return PQL_OK;
}

void pqi_hybrid_marks_free(pqi_hybrid_marks *marks)
{
    if (marks != NULL) {
        (void)pthread_mutex_destroy(&marks->lock);
        free(marks);
    }
}

/* A descriptor of the directory; -1 with errno. */
static int open_directory(const pqi_hybrid_marks *marks)
{
    struct stat st;
    if (marks->directory[0] == '\0') {
        errno = ENOENT;
        return -1;
    }
    const int fd = open(marks->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd >= 0 && (fstat(fd, &st) != 0 || (st.st_mode & OTHERS_WRITE) != 0)) {
        (void)close(fd);
        errno = EPERM; /* whoever may write there decides who is refused */
        return -1;
    }
    return fd;
}

static void name_of(char out[MARK_NAME_SIZE], const uint8_t sha256[PQL_SHA256_SIZE])
{
    pqi_hex_encode(out, sha256, PQL_SHA256_SIZE);
}

static size_t find_unwritten(const pqi_hybrid_marks *marks, const uint8_t *sha256)
{
    size_t i = 0;
    while (i < marks->unwritten_count &&
           memcmp(marks->unwritten[i], sha256, PQL_SHA256_SIZE) != 0) {
        i++;
    }
    return i;
}

static pql_status find_written(const pqi_hybrid_marks *marks, const uint8_t *sha256, pql_error *err)
{
    char name[MARK_NAME_SIZE];
    name_of(name, sha256);
    const int dir = open_directory(marks);
    const int found = dir < 0 ? -1 : faccessat(dir, name, F_OK, 0);
    const int why = errno;
    if (dir >= 0) {
        (void)close(dir);
    }
    if (found == 0) {
        return PQL_OK;
    }
    return why == ENOENT ? pqi_fail(err, PQL_E_NOT_FOUND, "The peer is not remembered.")
                         : pqi_fail_errno(err, PQL_E_IO, why, "Cannot read %s", marks->directory);
}

pql_status pqi_hybrid_marks_has(pqi_hybrid_marks *marks, const uint8_t sha256[PQL_SHA256_SIZE],
                                pql_error *err)
{
    (void)pthread_mutex_lock(&marks->lock);
    const pql_status status = find_unwritten(marks, sha256) < marks->unwritten_count
                                  ? PQL_OK
                                  : find_written(marks, sha256, err);
    (void)pthread_mutex_unlock(&marks->lock);
    return status;
}

/* False: it was not there. */
static bool drop_unwritten(pqi_hybrid_marks *marks, const uint8_t *sha256)
{
    const size_t at = find_unwritten(marks, sha256);
    if (at == marks->unwritten_count) {
        return false;
    }
    memmove(marks->unwritten[at], marks->unwritten[--marks->unwritten_count], PQL_SHA256_SIZE);
    return true;
}

/* 0, or an errno. */
static int write_mark(const pqi_hybrid_marks *marks, const char *name)
{
    const int dir = open_directory(marks);
    if (dir < 0) {
        return errno;
    }
    const int fd = openat(dir, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC, MARK_MODE);
    const bool made = fd >= 0 && fsync(dir) == 0;
    const int why = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    (void)close(dir);
    return made ? 0 : why;
}

static pql_status keep_unwritten(pqi_hybrid_marks *marks, const uint8_t *sha256, int why,
                                 pql_error *err)
{
    if (find_unwritten(marks, sha256) == marks->unwritten_count &&
        marks->unwritten_count < PQI_HYBRID_MARKS_UNWRITTEN_MAX) {
        memcpy(marks->unwritten[marks->unwritten_count++], sha256, PQL_SHA256_SIZE);
    }
    if (marks->directory[0] == '\0') {
        return PQL_OK; /* more was not asked for */
    }
    const pql_status status = pqi_fail_errno(
        err, PQL_E_IO, why,
        "That a peer had a post-quantum key exchange is remembered until this program ends only: "
        "cannot write to %s",
        marks->directory);
    if (!marks->failing && marks->failed != NULL) {
        marks->failed(err->message);
    }
    marks->failing = true;
    return status;
}

/* One that is in memory only is tried again: the disk may take it now. */
static pql_status add_locked(pqi_hybrid_marks *marks, const uint8_t *sha256, pql_error *err)
{
    char name[MARK_NAME_SIZE];
    if (find_written(marks, sha256, err) == PQL_OK) {
        return PQL_OK;
    }
    name_of(name, sha256);
    int why = ENOENT;
    if (marks->directory[0] != '\0') {
        why = pqi_dir_make(marks->directory, DIRECTORY_MODE, NULL) == PQL_OK
                  ? write_mark(marks, name)
                  : errno;
    }
    if (why != 0) {
        return keep_unwritten(marks, sha256, why, err);
    }
    (void)drop_unwritten(marks, sha256);
    marks->failing = false;
    return PQL_OK;
}

pql_status pqi_hybrid_marks_add(pqi_hybrid_marks *marks, const uint8_t sha256[PQL_SHA256_SIZE],
                                pql_error *err)
{
    pql_error here;
    (void)pthread_mutex_lock(&marks->lock);
    const pql_status status = add_locked(marks, sha256, err != NULL ? err : &here);
    (void)pthread_mutex_unlock(&marks->lock);
    return status;
}

static pql_status forget_locked(pqi_hybrid_marks *marks, const uint8_t *sha256, pql_error *err)
{
    char name[MARK_NAME_SIZE];
    const bool unwritten = drop_unwritten(marks, sha256);
    name_of(name, sha256);
    const int dir = open_directory(marks);
    const bool removed = dir >= 0 && unlinkat(dir, name, 0) == 0 && fsync(dir) == 0;
    const int why = errno;
    if (dir >= 0) {
        (void)close(dir);
    }
    if (removed || (unwritten && why == ENOENT)) {
        return PQL_OK;
    }
    return why == ENOENT ? pqi_fail(err, PQL_E_NOT_FOUND, "The peer is not remembered.")
                         : pqi_fail_errno(err, PQL_E_IO, why, "Cannot change %s", marks->directory);
}

pql_status pqi_hybrid_marks_forget(pqi_hybrid_marks *marks, const uint8_t sha256[PQL_SHA256_SIZE],
                                   pql_error *err)
{
    (void)pthread_mutex_lock(&marks->lock);
    const pql_status status = forget_locked(marks, sha256, err);
    (void)pthread_mutex_unlock(&marks->lock);
    return status;
}

static pql_status memory_has(void *user, const uint8_t sha256[PQL_SHA256_SIZE])
{
    return pqi_hybrid_marks_has(user, sha256, NULL);
}

static void memory_add(void *user, const uint8_t sha256[PQL_SHA256_SIZE])
{
    (void)pqi_hybrid_marks_add(user, sha256, NULL);
}

pql_hybrid_memory pqi_hybrid_marks_memory(pqi_hybrid_marks *marks)
{
    return (pql_hybrid_memory){.has = memory_has, .add = memory_add, .user = marks};
}
