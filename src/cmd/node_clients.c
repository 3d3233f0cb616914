#include "cmd/node_clients.h"

#include "base/error.h"
#include "base/file.h"
#include "base/secret.h"

#include <stdlib.h>
#include <string.h>

/* The longest text of a fingerprint with a colon between all bytes, and more than that. */
#define WORD_SIZE 256

static bool is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r';
}

/* One line without its end.  *has_pin: there is a fingerprint on it. */
static pql_status parse_line(const char *line, size_t len, pql_fingerprint *pin, bool *has_pin,
                             pql_error *err)
{
    char word[WORD_SIZE];
    size_t word_len = 0;
    while (len > 0 && is_blank(*line)) {
        line++;
        len--;
    }
    *has_pin = len > 0 && *line != '#';
    if (!*has_pin) {
        return PQL_OK;
    }
    while (word_len < len && !is_blank(line[word_len])) {
        word_len++;
    }
    if (word_len >= sizeof(word)) {
        word_len = sizeof(word) - 1; /* no fingerprint is as long, so the sentence shows a part */
    }
    memcpy(word, line, word_len);
    word[word_len] = '\0';
    return pql_fingerprint_parse(pin, word, err);
}

static size_t count_lines(const char *text, size_t len)
{
    size_t lines = 1;
    for (size_t i = 0; i < len; i++) {
        lines += text[i] == '\n' ? 1 : 0;
    }
    return lines;
}

static pql_status parse_lines(const char *path, const char *text, size_t len, pql_fingerprint *pins,
                              size_t *count, pql_error *err)
{
    const char *end = text + len;
    size_t number = 0;
    while (text < end) {
        const char *stop = memchr(text, '\n', (size_t)(end - text));
        const size_t line_len = (size_t)((stop != NULL ? stop : end) - text);
        pql_fingerprint pin;
        bool has_pin = false;
        number++;
        const pql_status status = parse_line(text, line_len, &pin, &has_pin, err);
        if (status != PQL_OK) {
            return pqi_fail_context(err, status, "Line %zu of %s", number, path);
        }
        if (has_pin && *count == PQL_CLIENT_PINS_MAX) {
            return pqi_fail(err, PQL_E_USAGE, "%s lists more than %zu clients.", path,
                            PQL_CLIENT_PINS_MAX);
        }
        if (has_pin) {
            pins[(*count)++] = pin;
        }
        text += line_len + (stop != NULL ? 1 : 0);
    }
    return *count > 0 ? PQL_OK
                      : pqi_fail(err, PQL_E_USAGE,
                                 "%s lists no client, so nobody could connect. Write a fingerprint "
                                 "on a line, or leave the file out.",
                                 path);
}

pql_status pqi_node_clients_parse(const char *path, const char *text, size_t len,
                                  pql_fingerprint **pins, size_t *count, pql_error *err)
{
    const size_t lines = count_lines(text, len);
    const size_t places = lines < PQL_CLIENT_PINS_MAX ? lines : PQL_CLIENT_PINS_MAX;
    *count = 0;
    *pins = calloc(places, sizeof(**pins));
    if (*pins == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %s.", path);
    }
    const pql_status status = parse_lines(path, text, len, *pins, count, err);
    if (status != PQL_OK) {
        free(*pins);
        *pins = NULL;
        *count = 0;
    }
    return status;
}

pql_status pqi_node_clients_open(pqi_node_clients *clients, const char *path, pql_error *err)
{
    uint8_t *text = NULL;
    size_t len = 0;
    *clients = (pqi_node_clients){.path = path};
    if (path == NULL) {
        return PQL_OK;
    }
    pql_status status = pqi_file_check_writers(path, err);
    if (status == PQL_OK) {
        status = pqi_file_read(path, PQI_CLIENTS_FILE_MAX, &text, &len, err);
    }
    if (status == PQL_OK) {
        status = pqi_node_clients_parse(path, (const char *)text, len, &clients->pins,
                                        &clients->peer.pin_count, err);
    }
    clients->peer.pins = clients->pins;
    pqi_secret_free(text, len);
    return status;
}

void pqi_node_clients_close(pqi_node_clients *clients)
{
    free(clients->pins);
    *clients = (pqi_node_clients){.path = NULL};
}

const pql_peer *pqi_node_clients_peer(const pqi_node_clients *clients)
{
    return clients->path != NULL ? &clients->peer : NULL;
}

void pqi_node_clients_take(pqi_node_clients *clients, pqi_node_clients *fresh, pqi_changes *changes)
{
    const size_t before = clients->peer.pin_count;
    const size_t after = fresh->peer.pin_count;
    if (before != after || memcmp(clients->pins, fresh->pins, after * sizeof(*fresh->pins)) != 0) {
        pqi_changes_add(changes, "clients: %zu -> %zu", before, after);
    }
    pqi_node_clients_close(clients);
    *clients = *fresh;
    *fresh = (pqi_node_clients){.path = NULL};
}
