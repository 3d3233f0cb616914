#include "miner/login.h"

#include "base/file.h"
#include "base/secret.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#define DIR_TOKEN "miner-auth-token"
#define DIR_PIN "miner-tls-cert-sha256"
/* Room for white space and for a fingerprint's colons. */
#define TOKEN_FILE_MAX ((size_t)1024)
#define PIN_FILE_MAX ((size_t)4096)
#define PIN_TEXT_MAX ((size_t)256)
#define OPEN_TO_ALL (S_IRWXO)

void pqi_login_init(pqi_login *login, const pqi_login_opts *opts)
{
    *login = (pqi_login){.opts = *opts};
}

void pqi_login_wipe(pqi_login *login)
{
    pqi_secret_wipe(login->token, sizeof(login->token));
}

bool pqi_login_has_files(const pqi_login *login)
{
    return login->opts.dir != NULL || login->opts.token_file != NULL ||
           login->opts.pin_file != NULL;
}

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* Cuts white space off both ends of |len| bytes at |text|. */
static const char *trim(const char *text, size_t *len)
{
    while (*len > 0 && is_space(text[*len - 1])) {
        --*len;
    }
    while (*len > 0 && is_space(text[0])) {
        ++text;
        --*len;
    }
    return text;
}

static pql_status add_pin(pql_fingerprint pins[PQI_LOGIN_PINS_MAX], size_t *count, const char *text,
                          size_t len, pql_error *err)
{
    char one[PIN_TEXT_MAX];
    if (*count == PQI_LOGIN_PINS_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "There may be at most %zu pins.", PQI_LOGIN_PINS_MAX);
    }
    (void)snprintf(one, sizeof(one), "%.*s", (int)(len < sizeof(one) ? len : sizeof(one)), text);
    const pql_status status = pql_fingerprint_parse(&pins[*count], one, err);
    *count += status == PQL_OK;
    return status;
}

pql_status pqi_login_pins_parse(pql_fingerprint pins[PQI_LOGIN_PINS_MAX], size_t *count,
                                const char *text, pql_error *err)
{
    const size_t before = *count;
    while (*text != '\0') {
        size_t len = strcspn(text, ",\n");
        const char *next = text + len + (text[len] != '\0');
        text = trim(text, &len);
        const pql_status status = len == 0 ? PQL_OK : add_pin(pins, count, text, len, err);
        if (status != PQL_OK) {
            return status;
        }
        text = next;
    }
    return *count > before ? PQL_OK
                           : pqi_fail(err, PQL_E_USAGE, "A fingerprint is missing: %s",
                                      "sha256: and 64 hexadecimal digits.");
}

/* The path of one file: the one that was given, or |name| in the directory.  False: there is none,
 * or (|*too_long|) its name cannot be. */
static bool path_of(char out[PATH_MAX], const char *file, const char *dir, const char *name,
                    bool *too_long)
{
    *too_long = false;
    if (dir == NULL && file == NULL) {
        return false;
    }
    const int len = dir != NULL ? snprintf(out, PATH_MAX, "%s/%s", dir, name)
                                : snprintf(out, PATH_MAX, "%s", file);
    *too_long = len < 0 || len >= PATH_MAX;
    return !*too_long;
}

static pql_status fail_long(pql_error *err)
{
    return pqi_fail(err, PQL_E_IO, "The name of a file for the login is too long.");
}

static pql_status check_mode(const char *path, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && (st.st_mode & OPEN_TO_ALL) != 0) {
        return pqi_fail(err, PQL_E_IO,
                        "The token in %s is open to everybody on this machine (mode %04o). Run: "
                        "chmod o-rwx %s",
                        path, (unsigned)(st.st_mode & 07777), path);
    }
    return PQL_OK;
}

/* A token is one line of printable text, because that is what goes into JSON and files. */
static pql_status take_token(char out[PQI_MINER_TOKEN_MAX + 1], const char *path, const char *text,
                             size_t len, pql_error *err)
{
    text = trim(text, &len);
    if (len == 0) {
        return pqi_fail(err, PQL_E_IO, "%s holds no token.", path);
    }
    if (len > PQI_MINER_TOKEN_MAX) {
        return pqi_fail(err, PQL_E_IO,
                        "The token in %s has %zu bytes, and a token has %d at most: name the right "
                        "file.",
                        path, len, PQI_MINER_TOKEN_MAX);
    }
    for (size_t i = 0; i < len; i++) {
        if ((unsigned char)text[i] < ' ') {
            return pqi_fail(err, PQL_E_IO, "%s holds more than one line; a token file has one.",
                            path);
        }
    }
    memcpy(out, text, len);
    return PQL_OK;
}

static pql_status read_token(const pqi_login_opts *o, char out[PQI_MINER_TOKEN_MAX + 1],
                             pql_error *err)
{
    char path[PATH_MAX];
    uint8_t *data = NULL;
    size_t len = 0;
    bool too_long = false;
    if (!path_of(path, o->token_file, o->dir, DIR_TOKEN, &too_long)) {
        (void)snprintf(out, PQI_MINER_TOKEN_MAX + 1, "%s", o->token != NULL ? o->token : "");
        return too_long ? fail_long(err) : PQL_OK;
    }
    pql_status status = check_mode(path, err);
    if (status == PQL_OK) {
        status = pqi_file_read(path, TOKEN_FILE_MAX, &data, &len, err);
        if (status == PQL_E_LIMIT) {
            status =
                pqi_fail(err, PQL_E_IO,
                         "%s is larger than %zu bytes, which no token is: name the right file.",
                         path, TOKEN_FILE_MAX);
        }
    }
    if (status == PQL_OK) {
        status = take_token(out, path, (const char *)data, len, err);
    }
    pqi_secret_free(data, len);
    return status;
}

static pql_status read_pins(const pqi_login_opts *o, pql_fingerprint pins[PQI_LOGIN_PINS_MAX],
                            size_t *count, pql_error *err)
{
    char path[PATH_MAX];
    uint8_t *data = NULL;
    size_t len = 0;
    bool too_long = false;
    *count = 0;
    if (!path_of(path, o->pin_file, o->dir, DIR_PIN, &too_long)) {
        *count = o->peer.pin_count <= PQI_LOGIN_PINS_MAX ? o->peer.pin_count : 0;
        for (size_t i = 0; i < *count; i++) {
            pins[i] = o->peer.pins[i];
        }
        return too_long ? fail_long(err) : PQL_OK;
    }
    pql_status status = pqi_file_read(path, PIN_FILE_MAX, &data, &len, err);
    if (status == PQL_OK) {
        status = pqi_login_pins_parse(pins, count, (const char *)data, err);
        status = status == PQL_OK ? status : pqi_fail_context(err, PQL_E_IO, "%s", path);
    }
    pqi_secret_free(data, len);
    return status;
}

static void pins_text(char out[PQI_LOGIN_PINS_TEXT], const pql_fingerprint *pins, size_t count)
{
    size_t len = 0;
    out[0] = '\0';
    for (size_t i = 0; i < count; i++) {
        char one[PQL_FINGERPRINT_SIZE];
        pql_fingerprint_format(&pins[i], one);
        len +=
            (size_t)snprintf(out + len, PQI_LOGIN_PINS_TEXT - len, "%s%s", i == 0 ? "" : ", ", one);
    }
}

static bool same_pins(const pqi_login *login, const pql_fingerprint *pins, size_t count)
{
    bool same = login->pin_count == count;
    for (size_t i = 0; i < count && same; i++) {
        same = login->pins[i].form == pins[i].form &&
               memcmp(login->pins[i].sha256, pins[i].sha256, sizeof(pins[i].sha256)) == 0;
    }
    return same;
}

static void compare(const pqi_login *login, const pqi_login *fresh, pqi_login_change *change)
{
    if (!login->was_read) {
        return;
    }
    change->pins = !same_pins(login, fresh->pins, fresh->pin_count);
    change->any =
        change->pins || !pqi_secret_equal(login->token, fresh->token, sizeof(fresh->token));
    if (change->pins) {
        pins_text(change->before, login->pins, login->pin_count);
        pins_text(change->after, fresh->pins, fresh->pin_count);
    }
}

pql_status pqi_login_read(pqi_login *login, pqi_login_change *change, pql_error *err)
{
    pqi_login fresh = {.opts = login->opts, .was_read = true};
    *change = (pqi_login_change){0};
    pql_status status = read_token(&fresh.opts, fresh.token, err);
    if (status == PQL_OK) {
        status = read_pins(&fresh.opts, fresh.pins, &fresh.pin_count, err);
    }
    if (status == PQL_OK) {
        compare(login, &fresh, change);
        *login = fresh;
    }
    pqi_login_wipe(&fresh);
    return status;
}

pql_peer pqi_login_peer(const pqi_login *login)
{
    pql_peer peer = login->opts.peer;
    peer.pins = login->pin_count > 0 ? login->pins : NULL;
    peer.pin_count = login->pin_count;
    return peer;
}

const char *pqi_login_token(const pqi_login *login)
{
    return login->token[0] != '\0' ? login->token : NULL;
}
