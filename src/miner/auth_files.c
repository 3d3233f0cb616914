#include "miner/auth_files.h"

#include "base/file.h"
#include "base/hex.h"
#include "base/secret.h"
#include "crypto/random.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define TOKEN_BYTES 32
#define TOKEN_MODE 0600
#define FINGERPRINT_MODE 0644
/* What we read at most: a longest token with as much white space again. */
#define FILE_MAX ((size_t)2 * PQI_MINER_TOKEN_MAX)
/* Bytes of a Ready around its token: {"Ready":{"token":""}}. */
#define READY_OVERHEAD 22

static pql_status path_of(char out[PATH_MAX], const char *dir, const char *name, pql_error *err)
{
    const int len = snprintf(out, PATH_MAX, "%s/%s", dir, name);
    return len > 0 && len < PATH_MAX
               ? PQL_OK
               : pqi_fail(err, PQL_E_USAGE, "The directory name %.64s... is too long.", dir);
}

/* |hex| gets the digits and the line feed of a file. */
static void file_text(char hex[2 * TOKEN_BYTES + 2], const uint8_t bytes[TOKEN_BYTES])
{
    pqi_hex_encode(hex, bytes, TOKEN_BYTES);
    hex[2 * TOKEN_BYTES] = '\n';
    hex[2 * TOKEN_BYTES + 1] = '\0';
}

static pql_status create_token(pqi_auth_token *out, const char *path, pql_error *err)
{
    uint8_t random[TOKEN_BYTES];
    char text[2 * TOKEN_BYTES + 2];
    pqi_random(random, sizeof(random));
    file_text(text, random);
    const pql_status status = pqi_file_write_atomic(path, text, strlen(text), TOKEN_MODE, err);
    if (status == PQL_OK) {
        memcpy(out->text, text, 2 * TOKEN_BYTES);
        out->text[2 * TOKEN_BYTES] = '\0';
        out->created = true;
    }
    pqi_secret_wipe(random, sizeof(random));
    pqi_secret_wipe(text, sizeof(text));
    return status;
}

/* Bytes that |text| takes in a JSON string; SIZE_MAX when it has control characters. */
static size_t json_length(const char *text, size_t len)
{
    size_t sum = 0;
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ' || text[i] == '\x7f') {
            return SIZE_MAX;
        }
        sum += text[i] == '"' || text[i] == '\\' ? 2 : 1;
    }
    return sum;
}

static pql_status take_token(pqi_auth_token *out, const char *path, const char *text,
                             pql_error *err)
{
    static const char space[] = " \t\n\v\f\r";
    const char *start = text + strspn(text, space);
    size_t len = strlen(start);
    while (len > 0 && strchr(space, start[len - 1]) != NULL) {
        len--;
    }
    if (len == 0) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The token file %s is empty.  Put the token back, or remove the file: a "
                        "new token is then made, which every official miner needs.",
                        path);
    }
    const size_t in_json = json_length(start, len);
    if (len > PQI_MINER_TOKEN_MAX || in_json > PQI_FRAME_BODY_MAX - READY_OVERHEAD) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "The token in %s is over %d bytes long or has control characters.", path,
                        PQI_MINER_TOKEN_MAX);
    }
    memcpy(out->text, start, len);
    return PQL_OK;
}

static pql_status repair_mode(pqi_auth_token *out, const char *path, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot look at %s", path);
    }
    if ((st.st_mode & (mode_t)(S_IRWXG | S_IRWXO)) == 0) {
        return PQL_OK;
    }
    if (chmod(path, TOKEN_MODE) != 0) {
        return pqi_fail_errno(err, PQL_E_IO, errno,
                              "Others may read %s, and its mode cannot be set", path);
    }
    out->repaired = true;
    return PQL_OK;
}

static pql_status read_token_file(const char *path, uint8_t **text, size_t *len, pql_error *err)
{
    const pql_status status = pqi_file_read(path, FILE_MAX, text, len, err);
    return status != PQL_E_LIMIT
               ? status
               : pqi_fail(err, PQL_E_IDENTITY,
                          "%s is larger than %zu bytes, which no token is: put the right file in "
                          "its place.",
                          path, FILE_MAX);
}

static pql_status open_token(pqi_auth_token *out, const char *path, pql_error *err)
{
    uint8_t *text = NULL;
    size_t len = 0;
    pql_status status = read_token_file(path, &text, &len, err);
    if (status == PQL_E_NOT_FOUND) {
        pqi_error_clear(err);
        return create_token(out, path, err);
    }
    if (status == PQL_OK) {
        status = take_token(out, path, (const char *)text, err);
    }
    pqi_secret_free(text, len);
    return status == PQL_OK ? repair_mode(out, path, err) : status;
}

pql_status pqi_auth_token_open(pqi_auth_token *out, const char *dir, pql_error *err)
{
    char path[PATH_MAX];
    memset(out, 0, sizeof(*out));
    pql_status status = path_of(path, dir, PQI_AUTH_TOKEN_FILE, err);
    if (status == PQL_OK) {
        status = open_token(out, path, err);
    }
    if (status != PQL_OK) {
        pqi_secret_wipe(out, sizeof(*out));
    }
    return status;
}

/* The token in |path|; *there is false when there is no such file. */
static pql_status read_token(pqi_auth_token *out, const char *path, bool *there, pql_error *err)
{
    uint8_t *text = NULL;
    size_t len = 0;
    pql_status status = read_token_file(path, &text, &len, err);
    *there = status != PQL_E_NOT_FOUND;
    if (!*there) {
        pqi_error_clear(err);
        return PQL_OK;
    }
    if (status == PQL_OK) {
        status = take_token(out, path, (const char *)text, err);
    }
    pqi_secret_free(text, len);
    return status;
}

static pql_status copy_token(const char *to, const char *from, bool *imported, pql_error *err)
{
    pqi_auth_token old = {.created = false};
    pqi_auth_token own = {.created = false};
    bool have = false;
    pql_status status = read_token(&old, from, imported, err);
    if (status == PQL_OK && *imported) {
        status = read_token(&own, to, &have, err);
    }
    if (status == PQL_OK && *imported && have &&
        !pqi_secret_equal((const uint8_t *)old.text, (const uint8_t *)own.text, sizeof(old.text))) {
        status = pqi_fail(err, PQL_E_EXISTS,
                          "%s holds another token than %s. Move the one away that is not to be "
                          "used.",
                          to, from);
    } else if (status == PQL_OK && *imported && !have) {
        const size_t len = strlen(old.text);
        old.text[len] = '\n'; /* its place is that of the NUL, which is not written */
        status = pqi_file_write_atomic(to, old.text, len + 1, TOKEN_MODE, err);
    }
    pqi_secret_wipe(&old, sizeof(old));
    pqi_secret_wipe(&own, sizeof(own));
    return status;
}

pql_status pqi_auth_token_import(const char *dir, const char *from, bool *imported, pql_error *err)
{
    char own[PATH_MAX];
    char original[PATH_MAX];
    *imported = false;
    pql_status status = path_of(own, dir, PQI_AUTH_TOKEN_FILE, err);
    if (status == PQL_OK) {
        status = path_of(original, from, PQI_AUTH_TOKEN_FILE, err);
    }
    return status == PQL_OK ? copy_token(own, original, imported, err) : status;
}

pql_status pqi_auth_fingerprint_write(const char *dir, const uint8_t sha256[PQI_SHA256_SIZE],
                                      pql_error *err)
{
    _Static_assert(PQI_SHA256_SIZE == TOKEN_BYTES, "both files have 64 digits");
    char path[PATH_MAX];
    char wanted[2 * PQI_SHA256_SIZE + 2];
    uint8_t *present = NULL;
    size_t len = 0;
    const pql_status status = path_of(path, dir, PQI_AUTH_FINGERPRINT_FILE, err);
    if (status != PQL_OK) {
        return status;
    }
    file_text(wanted, sha256);
    const bool same = pqi_file_read(path, sizeof(wanted), &present, &len, NULL) == PQL_OK &&
                      len == strlen(wanted) && memcmp(present, wanted, len) == 0;
    pqi_secret_free(present, len);
    return same ? PQL_OK
                : pqi_file_write_atomic(path, wanted, strlen(wanted), FINGERPRINT_MODE, err);
}
