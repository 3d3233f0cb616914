#include "identity/import.h"

#include "base/file.h"
#include "base/secret.h"

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

/* A chain of certificates or a key of RSA-16384 would still fit. */
#define FILE_MAX ((size_t)64 * 1024)

typedef struct original {
    char path[PATH_MAX];
    uint8_t *data; /* NULL: it is not there */
    size_t len;
} original;

static pql_status read_file(original *file, const char *dir, const char *name, pql_error *err)
{
    const int need = snprintf(file->path, sizeof(file->path), "%s/%s", dir, name);
    if (need < 0 || (size_t)need >= sizeof(file->path)) {
        return pqi_fail(err, PQL_E_USAGE, "The directory name %.64s... is too long.", dir);
    }
    const pql_status status = pqi_file_read(file->path, FILE_MAX, &file->data, &file->len, err);
    if (status == PQL_E_NOT_FOUND) {
        pqi_error_clear(err);
        return PQL_OK;
    }
    return status == PQL_E_LIMIT ? pqi_fail(err, PQL_E_IDENTITY, "%s is too long.", file->path)
                                 : status;
}

/* An official node repairs such a mode silently; but a key that others could read is theirs too. */
static pql_status check_mode(const char *path, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & (S_IRWXG | S_IRWXO)) != 0) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s is open to others than its owner (mode %04o). If nobody else can have "
                        "read it, run: chmod 600 %s",
                        path, (unsigned)(st.st_mode & 07777), path);
    }
    return PQL_OK;
}

static pql_status check_both(const original *key, const original *cert, const char *dir,
                             pql_error *err)
{
    if (key->data == NULL && cert->data == NULL) {
        return pqi_fail(err, PQL_E_NOT_FOUND,
                        "Neither " PQI_ORIGINAL_CERT " nor " PQI_ORIGINAL_KEY " is in %s. Give the "
                        "chain directory of the quantus-node, such as BASE/chains/CHAIN.",
                        dir);
    }
    if (key->data == NULL || cert->data == NULL) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s is missing, but %s is there. Both are needed: restore it from a "
                        "backup of the node.",
                        key->data == NULL ? key->path : cert->path,
                        key->data == NULL ? cert->path : key->path);
    }
    return check_mode(key->path, err);
}

pql_status pqi_leaf_import(pqi_leaf *leaf, const char *dir, pql_error *err)
{
    original key = {.data = NULL};
    original cert = {.data = NULL};
    pql_status status = read_file(&key, dir, PQI_ORIGINAL_KEY, err);
    if (status == PQL_OK) {
        status = read_file(&cert, dir, PQI_ORIGINAL_CERT, err);
    }
    if (status == PQL_OK) {
        status = check_both(&key, &cert, dir, err);
    }
    if (status == PQL_OK) {
        status = pqi_leaf_read_der(leaf, PQL_LEAF_CLASSICAL, key.data, key.len, key.path, cert.data,
                                   cert.len, cert.path, err);
    }
    pqi_secret_free(key.data, key.len);
    pqi_secret_free(cert.data, cert.len);
    return status;
}
