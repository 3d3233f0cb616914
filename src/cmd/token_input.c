#include "cmd/token_input.h"

#include "base/clock.h"
#include "base/file.h"
#include "base/secret.h"
#include "base/values.h"
#include "cmd/rotation_view.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* A longest token with some white space. */
#define INPUT_MAX (PQI_CAP_TEXT_MAX + 256)
#define STDIN_NAME "standard input"

static pql_status read_stdin(uint8_t **data, size_t *len, pql_error *err)
{
    *len = 0;
    *data = malloc(INPUT_MAX + 1);
    if (*data == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading a token.");
    }
    while (*len <= INPUT_MAX) {
        const ssize_t n = read(STDIN_FILENO, *data + *len, INPUT_MAX + 1 - *len);
        if (n == 0) {
            return PQL_OK;
        }
        if (n < 0 && errno != EINTR) {
            return pqi_fail_errno(err, PQL_E_IO, errno, "Cannot read a token from " STDIN_NAME);
        }
        *len += n > 0 ? (size_t)n : 0;
    }
    return pqi_fail(err, PQL_E_IO, "What came from " STDIN_NAME " is too long for a token.");
}

static pql_status read_path(const char *path, uint8_t **data, size_t *len, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && (st.st_mode & S_IRWXO) != 0) {
        return pqi_fail(err, PQL_E_IO,
                        "The token in %.200s is open to everybody on this machine.  Run: chmod "
                        "o-rwx %.200s",
                        path, path);
    }
    return pqi_file_read(path, INPUT_MAX, data, len, err);
}

static bool is_space(uint8_t c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

/* A copy of what stands between the white space. */
static pql_status trim(char **text, const char *name, const uint8_t *data, size_t len,
                       pql_error *err)
{
    while (len > 0 && is_space(data[len - 1])) {
        len--;
    }
    while (len > 0 && is_space(data[0])) {
        data++;
        len--;
    }
    *text = strndup(len > 0 ? (const char *)data : "", len);
    if (*text == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading a token.");
    }
    if (strlen(*text) == len && pqi_cap_is_token(*text)) {
        return PQL_OK;
    }
    pqi_secret_free(*text, strlen(*text));
    *text = NULL;
    return pqi_fail(err, PQL_E_USAGE, "%.200s holds no capability token (" PQI_CAP_PREFIX "...).",
                    name);
}

pql_status pqi_token_input(char **text, const char *path, pql_error *err)
{
    const bool from_stdin = path == NULL || strcmp(path, "-") == 0;
    uint8_t *data = NULL;
    size_t len = 0;
    *text = NULL;
    pql_status status =
        from_stdin ? read_stdin(&data, &len, err) : read_path(path, &data, &len, err);
    if (status == PQL_OK) {
        status = trim(text, from_stdin ? STDIN_NAME : path, data, len, err);
    }
    pqi_secret_free(data, len);
    return status;
}

/* ---- Restrictions ---- */

static pqi_cap_rule *add(pqi_token_rule_list *out, pqi_cap_rule_type type)
{
    pqi_cap_rule *rule = &out->items[out->count++];
    *rule = (pqi_cap_rule){.type = type};
    return rule;
}

static pql_status add_text(pqi_token_rule_list *out, pqi_cap_rule_type type, const char *text,
                           const char *what, pql_error *err)
{
    if (text == NULL) {
        return PQL_OK;
    }
    pqi_cap_rule *rule = add(out, type);
    rule->text = (pqi_span){(const uint8_t *)text, strlen(text)};
    return pqi_cap_rule_check(rule) ? PQL_OK : pqi_fail(err, PQL_E_USAGE, "%s", what);
}

static pql_status add_methods(pqi_token_rule_list *out, const char *text, pql_error *err)
{
    if (text == NULL || pqi_cap_methods_parse(add(out, PQI_CAP_RULE_METHODS), text)) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_USAGE,
                    "--method must be 1 to %d different methods in capitals with commas between "
                    "them, such as GET,HEAD.",
                    PQI_CAP_METHODS_MAX);
}

static pql_status add_bytes(pqi_token_rule_list *out, const char *text, pql_error *err)
{
    if (text == NULL || pqi_number_parse(&add(out, PQI_CAP_RULE_BYTES)->number, text, 0, UINT64_MAX,
                                         err) == PQL_OK) {
        return PQL_OK;
    }
    return pqi_fail_context(err, PQL_E_USAGE, "--max-bytes");
}

static pql_status add_address(pqi_token_rule_list *out, const char *text, pql_error *err)
{
    if (text == NULL || pqi_cap_cidr_parse(add(out, PQI_CAP_RULE_ADDRESS), out->address, text)) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_USAGE,
                    "--address must be an IP address or a network such as 10.0.0.0/8 or "
                    "2001:db8::/32, without bits behind the prefix.");
}

static pql_status add_times(pqi_token_rule_list *out, const pqi_token_rules *typed, uint64_t now,
                            pql_error *err)
{
    if (typed->not_before != NULL &&
        !pqi_time_parse(&add(out, PQI_CAP_RULE_NOT_BEFORE)->number, typed->not_before)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--not-before must be a time in UTC such as 2026-12-01T12:00:00Z or "
                        "2026-12-01.");
    }
    if (typed->expires_in != 0) {
        add(out, PQI_CAP_RULE_EXPIRES)->number = now + typed->expires_in / PQI_NS_PER_SEC;
    }
    return PQL_OK;
}

pql_status pqi_token_rules_parse(pqi_token_rule_list *out, const pqi_token_rules *typed,
                                 uint64_t now, pql_error *err)
{
    out->count = 0;
    pql_status status =
        add_text(out, PQI_CAP_RULE_AUDIENCE, typed->audience,
                 "--audience must be a name of 1 to 32 characters of a-z A-Z 0-9 . _ and -.", err);
    if (status == PQL_OK) {
        status = add_methods(out, typed->methods, err);
    }
    if (status == PQL_OK) {
        status = add_text(out, PQI_CAP_RULE_PATH, typed->path,
                          "--path must be / or segments behind a / each, without //, /./, /../, "
                          "percent signs or a / at the end.",
                          err);
    }
    if (status == PQL_OK) {
        status = add_bytes(out, typed->bytes, err);
    }
    if (status == PQL_OK) {
        status = add_address(out, typed->address, err);
    }
    return status == PQL_OK ? add_times(out, typed, now, err) : status;
}
