#include "identity/recrypt.h"

#include "base/secret.h"
#include "identity/directory.h"
#include "identity/rotation.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const directories[] = {PQI_IDENTITY_CURRENT, PQI_IDENTITY_NEXT,
                                          PQI_IDENTITY_PREVIOUS};
#define DIRECTORIES (sizeof(directories) / sizeof(directories[0]))
#define LEAVES 2

/* Both passphrases; NULL stands for none. */
typedef struct change {
    const char *dir;
    const pqi_passphrase *from;
    const pqi_passphrase *to;
    EVP_PKEY *keys[DIRECTORIES][LEAVES]; /* NULL: not there, or as it is to be already */
} change;

/* Reads one key, with the new passphrase when it has that already, else with the old one. */
static pql_status read_one(const change *c, const char *name, pql_leaf leaf, EVP_PKEY **key,
                           pql_error *err)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    char path[PATH_MAX];
    pql_status status = pqi_identity_key_read(c->dir, name, leaf, &pem, &len, err);
    if (status != PQL_OK) {
        return status;
    }
    (void)snprintf(path, sizeof(path), "%s/%s/%s", c->dir, name, pqi_identity_key_name(leaf));
    status = pqi_key_file_decode(key, pem, len, c->to, path, NULL);
    if (status == PQL_OK) {
        EVP_PKEY_free(*key);
        *key = NULL;
    } else if (c->from == NULL && pqi_key_file_is_encrypted(pem, len)) {
        status = pqi_fail(err, PQL_E_IDENTITY,
                          "The key in %s is encrypted already, with another passphrase. 'pqlink "
                          "key passphrase' changes it.",
                          path);
    } else {
        status = pqi_key_file_decode(key, pem, len, c->from, path, err);
    }
    pqi_secret_free(pem, len);
    return status;
}

static pql_status read_all(change *c, pql_error *err)
{
    for (size_t i = 0; i < DIRECTORIES; i++) {
        if (!pqi_identity_is_there(c->dir, directories[i])) {
            continue;
        }
        for (unsigned leaf = 0; leaf < LEAVES; leaf++) {
            const pql_status status =
                read_one(c, directories[i], (pql_leaf)leaf, &c->keys[i][leaf], err);
            if (status != PQL_OK) {
                return status;
            }
        }
    }
    return PQL_OK;
}

static pql_status write_one(const change *c, const char *name, pql_leaf leaf, const EVP_PKEY *key,
                            pql_error *err)
{
    uint8_t *pem = NULL;
    size_t len = 0;
    pql_status status = pqi_key_file_encode(key, c->to, &pem, &len, err);
    if (status == PQL_OK) {
        status = pqi_identity_key_write(c->dir, name, leaf, pem, len, err);
    }
    pqi_secret_free(pem, len);
    return status;
}

static pql_status write_all(const change *c, unsigned *changed, pql_error *err)
{
    pql_status status = PQL_OK;
    for (size_t i = 0; i < DIRECTORIES; i++) {
        for (unsigned leaf = 0; status == PQL_OK && leaf < LEAVES; leaf++) {
            if (c->keys[i][leaf] != NULL) {
                status = write_one(c, directories[i], (pql_leaf)leaf, c->keys[i][leaf], err);
                *changed += status == PQL_OK ? 1 : 0;
            }
        }
    }
    return status;
}

/* What a crash left half written may hold keys as they were before. */
static pql_status sweep(const char *dir, pql_error *err)
{
    pql_status status = PQL_OK;
    pqi_identity_sweep(dir);
    for (size_t i = 0; status == PQL_OK && i < DIRECTORIES; i++) {
        status = pqi_identity_sweep_keys(dir, directories[i], err);
    }
    return status;
}

/* With both passphrases read. */
static pql_status recrypt(change *c, unsigned *changed, pql_error *err)
{
    int fd = -1;
    pql_status status = pqi_rotation_enter(c->dir, true, &fd, err);
    if (status == PQL_E_NOT_FOUND ||
        (status == PQL_OK && !pqi_identity_is_there(c->dir, PQI_IDENTITY_CURRENT))) {
        status = pqi_fail(err, PQL_E_IDENTITY,
                          "There is no identity in %s. Make one with 'pqlink keygen'.", c->dir);
    }
    if (status == PQL_OK) {
        status = pqi_rotation_check_owner(c->dir, err);
    }
    if (status == PQL_OK) {
        status = sweep(c->dir, err);
    }
    if (status == PQL_OK) {
        status = read_all(c, err);
    }
    if (status == PQL_OK) {
        status = write_all(c, changed, err);
    }
    for (size_t i = 0; i < DIRECTORIES * LEAVES; i++) {
        EVP_PKEY_free(c->keys[i / LEAVES][i % LEAVES]);
    }
    if (fd >= 0) {
        (void)close(fd);
    }
    return status;
}

pql_status pqi_identity_recrypt(const char *dir, const char *old_file, const char *new_file,
                                unsigned *changed, pql_error *err)
{
    pqi_passphrase from = {.len = 0};
    pqi_passphrase to = {.len = 0};
    pql_status status = PQL_OK;
    *changed = 0;
    if (old_file != NULL) {
        status = pqi_passphrase_read(&from, old_file, err);
    }
    if (status == PQL_OK && new_file != NULL) {
        status = pqi_passphrase_read(&to, new_file, err);
    }
    if (status == PQL_OK) {
        change c = {.dir = dir,
                    .from = old_file != NULL ? &from : NULL,
                    .to = new_file != NULL ? &to : NULL};
        status = recrypt(&c, changed, err);
    }
    pqi_passphrase_wipe(&from);
    pqi_passphrase_wipe(&to);
    return status;
}
