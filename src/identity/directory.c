#include "identity/directory.h"

#include "base/file.h"
#include "base/secret.h"
#include "identity/elsewhere.h"

#include <dirent.h>
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

#define TEMPORARY_PREFIX ".identity.new."
#define DIRECTORY_MODE 0700
#define KEY_MODE 0600
#define CERT_MODE 0644
#define OTHERS_ANY (S_IRWXG | S_IRWXO)
#define OTHERS_WRITE (S_IWGRP | S_IWOTH)
/* The largest file is an ML-DSA-87 self-signed certificate, 10 kB as PEM. */
#define FILE_MAX ((size_t)64 * 1024)
/* Times that a temporary directory may be swept away under us before we give up. */
#define STORE_TRIES 8
/* How long a lock is waited for, in steps.  Whoever holds it renames a few directories and syncs
 * them. */
#define LOCK_STEPS 500
#define LOCK_STEP_NS (20 * 1000 * 1000)

typedef struct leaf_files {
    const char *key;
    const char *cert;
} leaf_files;

/* Indexed by pql_leaf. */
static const leaf_files files[2] = {
    [PQL_LEAF_PQ] = {"pq-key.pem", "pq-cert.pem"},
    [PQL_LEAF_CLASSICAL] = {"classical-key.pem", "classical-cert.pem"},
};

static bool join(char out[PATH_MAX], const char *dir, const char *name)
{
    const int need = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return need > 0 && need < PATH_MAX;
}

static pql_status fail_too_long(pql_error *err, const char *dir)
{
    return pqi_fail(err, PQL_E_USAGE, "The directory name %.64s... is too long.", dir);
}

/* ---- reading ---- */

/* Neither "." nor "..". */
static bool is_entry(const struct dirent *entry)
{
    return strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
}

static bool directory_is_empty(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return false;
    }
    bool empty = true;
    const struct dirent *entry;
    while (empty && (entry = readdir(dir)) != NULL) {
        empty = !is_entry(entry);
    }
    (void)closedir(dir);
    return empty;
}

static pql_status check_directory(const char *path, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        const pql_status code = errno == ENOENT ? PQL_E_NOT_FOUND : PQL_E_IO;
        return pqi_fail_errno(err, code, errno, "Cannot open the identity %s", path);
    }
    if (!S_ISDIR(st.st_mode)) {
        return pqi_fail(err, PQL_E_IDENTITY, "%s is not a directory. Move it away.", path);
    }
    if (directory_is_empty(path)) {
        return pqi_fail(err, PQL_E_NOT_FOUND, "There is no identity in %s.", path);
    }
    if ((st.st_mode & OTHERS_WRITE) != 0) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "Others may write to %s and exchange its keys (mode %04o). Run: chmod 700 "
                        "%s",
                        path, (unsigned)(st.st_mode & 07777), path);
    }
    return PQL_OK;
}

/* Reads one of the four files; those in |forbidden| modes are refused before they are read. */
static pql_status read_member(const char *path, mode_t forbidden, const char *remedy,
                              uint8_t **data, size_t *len, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & forbidden) != 0) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s is open to others than its owner (mode %04o). Run: chmod %s %s", path,
                        (unsigned)(st.st_mode & 07777), remedy, path);
    }
    const pql_status status = pqi_file_read(path, FILE_MAX, data, len, err);
    if (status == PQL_E_NOT_FOUND) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s is missing, but other files of the identity are there. Restore it from "
                        "a backup, or move the whole directory away to make a new identity (peers "
                        "that pinned the old one must then be told).",
                        path);
    }
    return status == PQL_E_LIMIT ? pqi_fail(err, PQL_E_IDENTITY, "%s is too long.", path) : status;
}

/* With keys elsewhere the file of the key is not even opened. */
static pql_status load_public(const char *cert_path, pql_leaf which, pqi_leaf *leaf, pql_error *err)
{
    uint8_t *cert = NULL;
    size_t cert_len = 0;
    pql_status status = read_member(cert_path, OTHERS_WRITE, "644", &cert, &cert_len, err);
    if (status == PQL_OK) {
        status = pqi_leaf_read_public(leaf, which, cert, cert_len, cert_path, err);
    }
    pqi_secret_free(cert, cert_len);
    return status;
}

static pql_status load_leaf(const char *path, pql_leaf which, pqi_leaf *leaf, pql_error *err)
{
    char key_path[PATH_MAX];
    char cert_path[PATH_MAX];
    uint8_t *key = NULL;
    uint8_t *cert = NULL;
    size_t key_len = 0;
    size_t cert_len = 0;
    if (!join(key_path, path, files[which].key) || !join(cert_path, path, files[which].cert)) {
        return fail_too_long(err, path);
    }
    if (pqi_keys_holder() != NULL) {
        return load_public(cert_path, which, leaf, err);
    }
    pql_status status = read_member(key_path, OTHERS_ANY, "600", &key, &key_len, err);
    if (status == PQL_OK) {
        status = read_member(cert_path, OTHERS_WRITE, "644", &cert, &cert_len, err);
    }
    if (status == PQL_OK) {
        status = pqi_leaf_read(leaf, which, key, key_len, key_path, cert, cert_len, cert_path, err);
    }
    pqi_secret_free(key, key_len);
    pqi_secret_free(cert, cert_len);
    return status;
}

pql_status pqi_identity_load(const char *dir, const char *name, pqi_leaf leaves[2], pql_error *err)
{
    char path[PATH_MAX];
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    pql_status status = check_directory(path, err);
    if (status == PQL_OK) {
        status = load_leaf(path, PQL_LEAF_PQ, &leaves[PQL_LEAF_PQ], err);
    }
    if (status == PQL_OK) {
        status = load_leaf(path, PQL_LEAF_CLASSICAL, &leaves[PQL_LEAF_CLASSICAL], err);
    }
    if (status != PQL_OK) {
        pqi_leaf_clear(&leaves[PQL_LEAF_PQ]);
        pqi_leaf_clear(&leaves[PQL_LEAF_CLASSICAL]);
    }
    return status;
}

/* ---- writing ---- */

static pql_status write_member(const char *directory, const char *name, const uint8_t *data,
                               size_t len, mode_t mode, pql_error *err)
{
    char path[PATH_MAX];
    if (!join(path, directory, name)) {
        return fail_too_long(err, directory);
    }
    return pqi_file_write_atomic(path, data, len, mode, err);
}

static pql_status write_leaf(const char *directory, pql_leaf which, const pqi_leaf *leaf,
                             pql_error *err)
{
    uint8_t *key = NULL;
    uint8_t *cert = NULL;
    size_t key_len = 0;
    size_t cert_len = 0;
    pql_status status = pqi_key_to_pem(leaf->key, &key, &key_len, err);
    if (status == PQL_OK) {
        status = pqi_leaf_cert_to_pem(leaf, &cert, &cert_len, err);
    }
    if (status == PQL_OK) {
        status = write_member(directory, files[which].key, key, key_len, KEY_MODE, err);
    }
    if (status == PQL_OK) {
        status = write_member(directory, files[which].cert, cert, cert_len, CERT_MODE, err);
    }
    pqi_secret_free(key, key_len);
    pqi_secret_free(cert, cert_len);
    return status;
}

/* Removes every file in |path| and then |path|. */
static void remove_directory(const char *path)
{
    DIR *dir = opendir(path);
    if (dir == NULL) {
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(dir)) != NULL) {
        char file[PATH_MAX];
        if (is_entry(entry) && join(file, path, entry->d_name)) {
            (void)unlink(file);
        }
    }
    (void)closedir(dir);
    (void)rmdir(path);
}

/* Opens |path| and takes the lock that says "somebody is at work here"; -1 when that is another
 * process, or when |path| no longer names the directory that was locked. */
static int lock_directory(const char *path)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    struct stat locked;
    struct stat named;
    if (fd < 0) {
        return -1;
    }
    if (flock(fd, LOCK_EX | LOCK_NB) != 0 || fstat(fd, &locked) != 0 || lstat(path, &named) != 0 ||
        locked.st_ino != named.st_ino || locked.st_dev != named.st_dev) {
        (void)close(fd);
        return -1;
    }
    return fd;
}

static pql_status sync_directory(const char *path, pql_error *err)
{
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const bool ok = fd >= 0 && fsync(fd) == 0;
    const int saved = errno;
    if (fd >= 0) {
        (void)close(fd);
    }
    return ok ? PQL_OK : pqi_fail_errno(err, PQL_E_IO, saved, "Cannot sync the directory %s", path);
}

/* Fills the temporary directory and puts it in place. */
static pql_status fill_and_rename(const char *dir, const char *temporary, const char *path,
                                  const pqi_leaf leaves[2], pql_error *err)
{
    pql_status status = write_leaf(temporary, PQL_LEAF_PQ, &leaves[PQL_LEAF_PQ], err);
    if (status == PQL_OK) {
        status = write_leaf(temporary, PQL_LEAF_CLASSICAL, &leaves[PQL_LEAF_CLASSICAL], err);
    }
    if (status == PQL_OK) {
        status = sync_directory(temporary, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    if (rename(temporary, path) != 0) {
        const bool lost = errno == ENOTEMPTY || errno == EEXIST;
        return pqi_fail_errno(err, lost ? PQL_E_EXISTS : PQL_E_IO, errno, "Cannot make %s", path);
    }
    return sync_directory(dir, err);
}

/* Makes a new temporary directory in |dir| and locks it against pqi_identity_sweep; *fd is the
 * lock. */
static pql_status make_temporary(const char *dir, char temporary[PATH_MAX], int *fd, pql_error *err)
{
    for (unsigned i = 0; i < STORE_TRIES; i++) {
        if (!join(temporary, dir, TEMPORARY_PREFIX "XXXXXX")) {
            return fail_too_long(err, dir);
        }
        if (mkdtemp(temporary) == NULL) {
            return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot make a new identity in %s", dir);
        }
        *fd = lock_directory(temporary);
        if (*fd >= 0) {
            return PQL_OK;
        }
        (void)rmdir(temporary);
    }
    return pqi_fail(err, PQL_E_IO,
                    "Cannot lock a new directory in %s. A local file system is needed there.", dir);
}

pql_status pqi_identity_store(const char *dir, const char *name, const pqi_leaf leaves[2],
                              const pqi_identity_note *note, pql_error *err)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    int fd = -1;
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    pql_status status = pqi_dir_make(dir, DIRECTORY_MODE, err);
    if (status == PQL_OK) {
        status = make_temporary(dir, temporary, &fd, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    status = note == NULL ? PQL_OK
                          : write_member(temporary, note->file, (const uint8_t *)note->text,
                                         strlen(note->text), CERT_MODE, err);
    if (status == PQL_OK) {
        status = fill_and_rename(dir, temporary, path, leaves, err);
    }
    if (status != PQL_OK) {
        remove_directory(temporary); /* gone already when only the last sync failed */
    }
    (void)close(fd);
    return status;
}

void pqi_identity_sweep(const char *dir)
{
    DIR *stream = opendir(dir);
    if (stream == NULL) {
        return;
    }
    const struct dirent *entry;
    while ((entry = readdir(stream)) != NULL) {
        char path[PATH_MAX];
        if (strncmp(entry->d_name, TEMPORARY_PREFIX, strlen(TEMPORARY_PREFIX)) != 0 ||
            !join(path, dir, entry->d_name)) {
            continue;
        }
        const int fd = lock_directory(path);
        if (fd >= 0) {
            remove_directory(path);
            (void)close(fd);
        }
    }
    (void)closedir(stream);
}

/* ---- what a rotation does with whole directories ---- */

pql_status pqi_identity_lock(const char *dir, bool alone, int *fd, pql_error *err)
{
    const struct timespec step = {.tv_nsec = LOCK_STEP_NS};
    *fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (*fd < 0) {
        const pql_status code = errno == ENOENT ? PQL_E_NOT_FOUND : PQL_E_IO;
        return pqi_fail_errno(err, code, errno, "Cannot open the directory %s", dir);
    }
    for (unsigned i = 0; i < LOCK_STEPS; i++) {
        if (flock(*fd, (alone ? LOCK_EX : LOCK_SH) | LOCK_NB) == 0) {
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
    return saved == EWOULDBLOCK
               ? pqi_fail(err, PQL_E_IO,
                          "Another process works on the identity in %s and does not finish.", dir)
               : pqi_fail_errno(err, PQL_E_IO, saved, "Cannot lock the directory %s", dir);
}

bool pqi_identity_is_there(const char *dir, const char *name)
{
    char path[PATH_MAX];
    struct stat st;
    return join(path, dir, name) && lstat(path, &st) == 0 && !directory_is_empty(path);
}

pql_status pqi_identity_move(const char *dir, const char *from, const char *to, pql_error *err)
{
    char old_path[PATH_MAX];
    char new_path[PATH_MAX];
    if (!join(old_path, dir, from) || !join(new_path, dir, to)) {
        return fail_too_long(err, dir);
    }
    if (rename(old_path, new_path) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot move %s to %s", old_path, new_path);
    }
    return sync_directory(dir, err);
}

pql_status pqi_identity_remove(const char *dir, const char *name, pql_error *err)
{
    char path[PATH_MAX];
    char temporary[PATH_MAX];
    int fd = -1;
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    pql_status status = make_temporary(dir, temporary, &fd, err);
    if (status != PQL_OK) {
        return status;
    }
    if (rename(path, temporary) != 0) { /* over the empty directory: it goes in one step */
        status = pqi_fail_errno(err, PQL_E_IO, errno, "Cannot remove %s", path);
    } else {
        status = sync_directory(dir, err);
    }
    remove_directory(temporary);
    (void)close(fd);
    return status;
}

pql_status pqi_identity_note_read(const char *dir, const char *name, const char *file,
                                  char text[PQI_IDENTITY_NOTE_MAX], pql_error *err)
{
    char path[PATH_MAX];
    uint8_t *data = NULL;
    size_t len = 0;
    const int need = snprintf(path, sizeof(path), "%s/%s/%s", dir, name, file);
    if (need < 0 || (size_t)need >= sizeof(path)) {
        return fail_too_long(err, dir);
    }
    const pql_status status = pqi_file_read(path, PQI_IDENTITY_NOTE_MAX - 1, &data, &len, err);
    if (status != PQL_OK) {
        return status == PQL_E_LIMIT ? pqi_fail(err, PQL_E_IDENTITY, "%s is too long.", path)
                                     : status;
    }
    memcpy(text, data, len + 1);
    pqi_secret_free(data, len);
    return PQL_OK;
}

pql_status pqi_identity_note_write(const char *dir, const char *name, const pqi_identity_note *note,
                                   pql_error *err)
{
    char path[PATH_MAX];
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    return write_member(path, note->file, (const uint8_t *)note->text, strlen(note->text),
                        CERT_MODE, err);
}
