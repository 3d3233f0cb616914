#include "base/file.h"

#include "base/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
#define MODE_BITS ((mode_t)07777)
/* How long a lock is waited for, in steps. */
#define LOCK_STEPS 500
#define LOCK_STEP_NS (20 * 1000 * 1000)

static ssize_t read_full(int fd, uint8_t *data, size_t len)
{
    size_t have = 0;
    while (have < len) {
        const ssize_t n = read(fd, data + have, len - have);
        if (n == 0) {
            break;
        }
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return -1;
        }
        have += (size_t)n;
    }
    return (ssize_t)have;
}

pql_status pqi_file_read(const char *path, size_t max, uint8_t **data, size_t *len, pql_error *err)
{
    *data = NULL;
    *len = 0;
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        const pql_status code = errno == ENOENT ? PQL_E_NOT_FOUND : PQL_E_IO;
        return pqi_fail_errno(err, code, errno, "Cannot open %s", path);
    }
    /* One byte more than the bound tells a file that is too long from one that just fits. */
    uint8_t *bytes = malloc(max + 2);
    if (bytes == NULL) {
        (void)close(fd);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %s.", path);
    }
    const ssize_t n = read_full(fd, bytes, max + 1);
    const int read_errno = errno;
    (void)close(fd);
    if (n < 0) {
        pqi_secret_free(bytes, max + 2);
        return pqi_fail_errno(err, PQL_E_IO, read_errno, "Cannot read %s", path);
    }
    if ((size_t)n > max) {
        pqi_secret_free(bytes, max + 2);
        return pqi_fail(err, PQL_E_LIMIT, "%s is longer than the %zu bytes allowed.", path, max);
    }
    uint8_t *exact = malloc((size_t)n + 1);
    if (exact == NULL) {
        pqi_secret_free(bytes, max + 2);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %s.", path);
    }
    memcpy(exact, bytes, (size_t)n);
    exact[n] = '\0';
    pqi_secret_free(bytes, max + 2);
    *data = exact;
    *len = (size_t)n;
    return PQL_OK;
}

pql_status pqi_file_check_writers(const char *path, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISREG(st.st_mode) || (st.st_mode & OTHERS_WRITE) == 0) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_IO,
                    "%.160s can be changed by others (mode %04o). Look whether somebody did, then "
                    "run: chmod go-w %.160s",
                    path, (unsigned)(st.st_mode & MODE_BITS), path);
}

static bool write_full(int fd, const uint8_t *data, size_t len)
{
    while (len > 0) {
        const ssize_t n = write(fd, data, len);
        if (n < 0) {
            if (errno == EINTR) {
                continue;
            }
            return false;
        }
        data += n;
        len -= (size_t)n;
    }
    return true;
}

/* The directory part of |path| ("." when there is none). */
static void directory_of(const char *path, char *out, size_t size)
{
    const char *slash = strrchr(path, '/');
    if (slash == NULL) {
        (void)snprintf(out, size, ".");
    } else if (slash == path) {
        (void)snprintf(out, size, "/");
    } else {
        (void)snprintf(out, size, "%.*s", (int)(slash - path), path);
    }
}

/* Makes a rename durable. */
static bool sync_directory(const char *directory)
{
    const int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0) {
        return false;
    }
    const bool ok = fsync(fd) == 0;
    (void)close(fd);
    return ok;
}

pql_status pqi_file_lock(const char *path, int *fd, pql_error *err)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
    char directory[PATH_MAX];
    directory_of(path, directory, sizeof(directory));
    *fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot open the directory %s", directory);
    }
    for (unsigned i = 0; i < LOCK_STEPS; i++) {
        if (flock(*fd, LOCK_EX | LOCK_NB) == 0) {
            return PQL_OK;
        }
        if (errno != EWOULDBLOCK && errno != EINTR) {
            break;
        }
        (void)nanosleep(&step, NULL);
    }
    const int saved = errno;
    (void)close(*fd);
    *fd = -1;
    return pqi_fail_errno(err, PQL_E_IO, saved, "Cannot lock the directory %s against others",
                          directory);
}

pql_status pqi_file_write_atomic(const char *path, const void *data, size_t len, mode_t mode,
                                 pql_error *err)
{
    char directory[PATH_MAX];
    char temporary[PATH_MAX];
    directory_of(path, directory, sizeof(directory));
    const int need = snprintf(temporary, sizeof(temporary), "%s.XXXXXX", path);
    if (need < 0 || (size_t)need >= sizeof(temporary)) {
        return pqi_fail(err, PQL_E_USAGE, "The path %.64s... is too long.", path);
    }
    const int fd = mkostemp(temporary, O_CLOEXEC);
    if (fd < 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make a temporary file beside %s", path);
    }
    const bool written = fchmod(fd, mode) == 0 && write_full(fd, data, len) && fsync(fd) == 0;
    int failed_errno = errno;
    const bool closed = close(fd) == 0;
    if (written && !closed) {
        failed_errno = errno;
    }
    if (!written || !closed || rename(temporary, path) != 0) {
        if (written && closed) {
            failed_errno = errno;
        }
        (void)unlink(temporary);
        return pqi_fail_errno(err, PQL_E_IO, failed_errno, "Cannot write %s", path);
    }
    if (!sync_directory(directory)) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot sync the directory %s", directory);
    }
    return PQL_OK;
}

pql_status pqi_dir_make(const char *path, mode_t mode, pql_error *err)
{
    char partial[PATH_MAX];
    const size_t len = strlen(path);
    if (len == 0 || len >= sizeof(partial)) {
        return pqi_fail(err, PQL_E_USAGE, "The directory name is empty or too long.");
    }
    for (size_t i = 1; i <= len; i++) {
        if (path[i] != '/' && path[i] != '\0') {
            continue;
        }
        memcpy(partial, path, i);
        partial[i] = '\0';
        if (mkdir(partial, mode) != 0 && errno != EEXIST) {
            return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make the directory %s", partial);
        }
    }
    struct stat st;
    if (stat(path, &st) != 0 || !S_ISDIR(st.st_mode)) {
        return pqi_fail(err, PQL_E_IO, "%s is not a directory.", path);
    }
    return PQL_OK;
}
