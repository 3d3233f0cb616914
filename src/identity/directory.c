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

/* The passphrase of |keys| into |text|; *out then points there, and is NULL when there is none. */
static pql_status read_passphrase(pqi_passphrase *text, const pqi_identity_keys *keys,
                                  const pqi_passphrase **out, pql_error *err)
{
    *text = (pqi_passphrase){.len = 0};
    *out = NULL;
    if (keys == NULL || keys->passphrase_file == NULL) {
        return PQL_OK;
    }
    const pql_status status = pqi_passphrase_read(text, keys->passphrase_file, err);
    if (status == PQL_OK) {
        *out = text;
    }
    return status;
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

/* A file that was read, and the place of its path. */
typedef struct member {
    char path[PATH_MAX];
    uint8_t *data;
    size_t len;
} member;

static pqi_leaf_file file_of(const member *m)
{
    return (pqi_leaf_file){.data = m->data, .len = m->len, .name = m->path};
}

static void clear_member(member *m)
{
    pqi_secret_free(m->data, m->len);
    m->data = NULL;
}

static pql_status read_key(member *m, const char *path, pql_leaf which, pql_error *err)
{
    if (!join(m->path, path, files[which].key)) {
        return fail_too_long(err, path);
    }
    return read_member(m->path, OTHERS_ANY, "600", &m->data, &m->len, err);
}

static pql_status read_cert(member *m, const char *path, pql_leaf which, pql_error *err)
{
    if (!join(m->path, path, files[which].cert)) {
        return fail_too_long(err, path);
    }
    return read_member(m->path, OTHERS_WRITE, "644", &m->data, &m->len, err);
}

static pql_status load_leaf(const char *path, pql_leaf which, const pqi_passphrase *passphrase,
                            pqi_leaf *leaf, pql_error *err)
{
    member key = {.data = NULL};
    member cert = {.data = NULL};
    pql_status status = read_key(&key, path, which, err);
    if (status == PQL_OK) {
        status = read_cert(&cert, path, which, err);
    }
    if (status == PQL_OK) {
        const pqi_leaf_file key_file = file_of(&key);
        const pqi_leaf_file cert_file = file_of(&cert);
        status = pqi_leaf_read(leaf, which, &key_file, passphrase, &cert_file, err);
    }
    clear_member(&key);
    clear_member(&cert);
    return status;
}

static pql_status load_cert(const char *path, pql_leaf which, pqi_leaf *leaf, pql_error *err)
{
    member cert = {.data = NULL};
    pql_status status = read_cert(&cert, path, which, err);
    if (status == PQL_OK) {
        const pqi_leaf_file file = file_of(&cert);
        status = pqi_leaf_read_cert(leaf, which, &file, err);
    }
    clear_member(&cert);
    return status;
}

static pql_status load_certs(const char *path, pqi_leaf leaves[2], pql_error *err)
{
    const pql_status status = load_cert(path, PQL_LEAF_PQ, &leaves[PQL_LEAF_PQ], err);
    return status == PQL_OK ? load_cert(path, PQL_LEAF_CLASSICAL, &leaves[PQL_LEAF_CLASSICAL], err)
                            : status;
}

static pql_status load_leaves(const char *path, const pqi_identity_keys *keys, pqi_leaf leaves[2],
                              pql_error *err)
{
    pqi_passphrase text;
    const pqi_passphrase *passphrase = NULL;
    pql_status status = read_passphrase(&text, keys, &passphrase, err);
    if (status == PQL_OK) {
        status = load_leaf(path, PQL_LEAF_PQ, passphrase, &leaves[PQL_LEAF_PQ], err);
    }
    if (status == PQL_OK) {
        status = load_leaf(path, PQL_LEAF_CLASSICAL, passphrase, &leaves[PQL_LEAF_CLASSICAL], err);
    }
    pqi_passphrase_wipe(&text);
    return status;
}

pql_status pqi_identity_load(const char *dir, const char *name, const pqi_identity_keys *keys,
                             pqi_leaf leaves[2], pql_error *err)
{
    char path[PATH_MAX];
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    pql_status status = check_directory(path, err);
    if (status == PQL_OK) {
        const bool elsewhere = pqi_keys_holder() != NULL; /* the keys' files are not even opened */
        status = elsewhere || (keys != NULL && keys->left_out)
                     ? load_certs(path, leaves, err)
                     : load_leaves(path, keys, leaves, err);
    }
    if (status != PQL_OK) {
        pqi_leaf_clear(&leaves[PQL_LEAF_PQ]);
        pqi_leaf_clear(&leaves[PQL_LEAF_CLASSICAL]);
    }
    return status;
}

const char *pqi_identity_key_name(pql_leaf leaf)
{
    return files[leaf].key;
}

pql_status pqi_identity_key_read(const char *dir, const char *name, pql_leaf leaf, uint8_t **pem,
                                 size_t *len, pql_error *err)
{
    member key = {.data = NULL};
    char path[PATH_MAX];
    *pem = NULL;
    *len = 0;
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    pql_status status = check_directory(path, err);
    if (status == PQL_OK) {
        status = read_key(&key, path, leaf, err);
    }
    *pem = key.data;
    *len = key.len;
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
                             const pqi_passphrase *passphrase, pql_error *err)
{
    uint8_t *key = NULL;
    uint8_t *cert = NULL;
    size_t key_len = 0;
    size_t cert_len = 0;
    pql_status status = pqi_key_file_encode(leaf->key, passphrase, &key, &key_len, err);
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

static pql_status write_leaves(const char *temporary, const pqi_identity_keys *keys,
                               const pqi_leaf leaves[2], pql_error *err)
{
    pqi_passphrase text;
    const pqi_passphrase *passphrase = NULL;
    pql_status status = read_passphrase(&text, keys, &passphrase, err);
    if (status == PQL_OK) {
        status = write_leaf(temporary, PQL_LEAF_PQ, &leaves[PQL_LEAF_PQ], passphrase, err);
    }
    if (status == PQL_OK) {
        status =
            write_leaf(temporary, PQL_LEAF_CLASSICAL, &leaves[PQL_LEAF_CLASSICAL], passphrase, err);
    }
    pqi_passphrase_wipe(&text);
    return status;
}

/* Fills the temporary directory and puts it in place. */
static pql_status fill_and_rename(const char *dir, const char *temporary, const char *path,
                                  const pqi_identity_keys *keys, const pqi_leaf leaves[2],
                                  pql_error *err)
{
    pql_status status = write_leaves(temporary, keys, leaves, err);
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

pql_status pqi_identity_store(const char *dir, const char *name, const pqi_identity_keys *keys,
                              const pqi_leaf leaves[2], const pqi_identity_note *note,
                              pql_error *err)
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
        status = fill_and_rename(dir, temporary, path, keys, leaves, err);
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

/* True for the temporary file (pqi_file_write_atomic) of a private key. */
static bool is_unfinished_key(const char *file)
{
    for (unsigned leaf = 0; leaf < sizeof(files) / sizeof(files[0]); leaf++) {
        const size_t len = strlen(files[leaf].key);
        if (strncmp(file, files[leaf].key, len) == 0 && file[len] == '.') {
            return true;
        }
    }
    return false;
}

static pql_status remove_unfinished_keys(const char *path, DIR *stream, pql_error *err)
{
    const struct dirent *entry;
    bool removed = false;
    while ((entry = readdir(stream)) != NULL) {
        char file[PATH_MAX];
        if (!is_unfinished_key(entry->d_name) || !join(file, path, entry->d_name)) {
            continue;
        }
        if (unlink(file) != 0) {
            return pqi_fail_errno(err, PQL_E_IO, errno,
                                  "Cannot remove %s, which may hold a private key", file);
        }
        removed = true;
    }
    return removed ? sync_directory(path, err) : PQL_OK;
}

pql_status pqi_identity_sweep_keys(const char *dir, const char *name, pql_error *err)
{
    char path[PATH_MAX];
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    DIR *stream = opendir(path);
    if (stream == NULL) {
        return errno == ENOENT ? PQL_OK
                               : pqi_fail_errno(err, PQL_E_IO, errno, "Cannot open %s", path);
    }
    const pql_status status = remove_unfinished_keys(path, stream, err);
    (void)closedir(stream);
    return status;
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

pql_status pqi_identity_key_write(const char *dir, const char *name, pql_leaf leaf,
                                  const uint8_t *pem, size_t len, pql_error *err)
{
    char path[PATH_MAX];
    if (!join(path, dir, name)) {
        return fail_too_long(err, dir);
    }
    return write_member(path, files[leaf].key, pem, len, KEY_MODE, err);
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
