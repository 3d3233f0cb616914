#include "base/conf.h"

#include "base/secret.h"
#include "base/text.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Longest part of a file's name, and of a word in it, that a message repeats. */
#define FILE_SHOWN 200
#define WORD_SHOWN 64
#define DIGITS_MAX 20 /* of 2^64 - 1 */
#define ENTRIES_AT_FIRST 32
#define NAME_LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

/* One reading under way.  Nothing goes over the end of a line, so the lines are read one by one,
 * each a text that ends with a NUL. */
typedef struct reader {
    pqi_conf *conf;
    pql_error *err;
    size_t room;       /* entries that conf->entries has place for */
    size_t used;       /* of conf->texts */
    const char *table; /* the present one */
    const char *begin; /* of the line */
    const char *at;    /* what is read next */
    unsigned line;
} reader;

static unsigned column_of(const reader *r, const char *where)
{
    unsigned column = 1;
    for (const char *c = r->begin; c < where; c++) {
        column += ((unsigned char)*c & 0xc0) != 0x80; /* bytes that continue a character */
    }
    return column;
}

static __attribute__((format(printf, 3, 4))) pql_status fail_at(const reader *r, const char *where,
                                                                const char *fmt, ...)
{
    char sentence[PQL_ERROR_MESSAGE_SIZE];
    va_list args;
    va_start(args, fmt);
    (void)vsnprintf(sentence, sizeof(sentence), fmt, args);
    va_end(args);
    return pqi_fail(r->err, PQL_E_USAGE, "%.*s:%u:%u: %s", FILE_SHOWN, r->conf->file, r->line,
                    column_of(r, where), sentence);
}

static void skip_blanks(reader *r)
{
    r->at += strspn(r->at, " \t");
}

static bool at_end(const reader *r)
{
    return *r->at == '\0' || *r->at == '#';
}

/* Keeps |len| bytes as a text.  There is always room: what a text was read from is at least one
 * byte longer (a quote, an equals sign, the end of the line). */
static const char *keep(reader *r, const char *text, size_t len)
{
    char *kept = r->conf->texts + r->used;
    memcpy(kept, text, len);
    kept[len] = '\0';
    r->used += len + 1;
    return kept;
}

static pql_status add_entry(reader *r, const char *where, const pqi_conf_entry *entry)
{
    pqi_conf *conf = r->conf;
    if (conf->count == PQI_CONF_ENTRIES_MAX) {
        return fail_at(r, where, "A file may have %zu settings at most.", PQI_CONF_ENTRIES_MAX);
    }
    if (conf->count == r->room) {
        const size_t room = r->room == 0 ? ENTRIES_AT_FIRST : 2 * r->room;
        pqi_conf_entry *entries = realloc(conf->entries, room * sizeof(*entries));
        if (entries == NULL) {
            return pqi_fail(r->err, PQL_E_NOMEM, "Out of memory reading the configuration.");
        }
        conf->entries = entries;
        r->room = room;
    }
    conf->entries[conf->count] = *entry;
    conf->entries[conf->count].line = r->line;
    conf->entries[conf->count].column = column_of(r, where);
    conf->count++;
    return PQL_OK;
}

/* ---- Names ---- */

/* Reads a bare name; |what| is "key" or "table". */
static pql_status read_name(reader *r, const char *what, const char **name)
{
    const size_t len = strspn(r->at, NAME_LETTERS);
    if (*r->at == '"' || *r->at == '\'') {
        return fail_at(r, r->at, "Quoted names are not supported; write the %s without quotes.",
                       what);
    }
    if (len == 0) {
        return fail_at(r, r->at, "A %s is expected here: letters, digits, dashes and underscores.",
                       what);
    }
    if (len > PQI_CONF_NAME_MAX) {
        return fail_at(r, r->at, "This %s is longer than %zu letters.", what, PQI_CONF_NAME_MAX);
    }
    *name = keep(r, r->at, len);
    r->at += len;
    skip_blanks(r);
    if (*r->at == '.') {
        return fail_at(r, r->at,
                       "Dotted names are not supported; put the key under a [table] of its own.");
    }
    return PQL_OK;
}

/* The earlier entry of the same table and key; a table's own has the key "". */
static const pqi_conf_entry *find_earlier(const reader *r, const char *table, const char *key)
{
    for (size_t i = 0; i < r->conf->count; i++) {
        const pqi_conf_entry *e = &r->conf->entries[i];
        if (strcmp(e->table, table) == 0 && strcmp(e->key, key) == 0) {
            return e;
        }
    }
    return NULL;
}

static pql_status read_table(reader *r)
{
    const char *name = NULL;
    r->at++;
    if (*r->at == '[') {
        return fail_at(r, r->at, "Arrays of tables are not supported.");
    }
    skip_blanks(r);
    const char *where = r->at;
    pql_status status = read_name(r, "table", &name);
    if (status != PQL_OK || name == NULL) {
        return status;
    }
    if (*r->at != ']') {
        return fail_at(r, r->at, "The bracket of the table [%.*s is not closed.", WORD_SHOWN, name);
    }
    const pqi_conf_entry *earlier = find_earlier(r, name, "");
    if (earlier != NULL) {
        return fail_at(r, where, "The table [%.*s] stands in line %u already.", WORD_SHOWN, name,
                       earlier->line);
    }
    r->at++;
    r->table = name;
    const pqi_conf_entry entry = {.table = name,
                                  .key = "",
                                  .text = "",
                                  .kind = PQI_CONF_TABLE,
                                  .key_column = column_of(r, where)};
    return add_entry(r, where, &entry);
}

/* ---- Strings ---- */

/* Writes |point| as UTF-8 (RFC 3629) and returns how many bytes that took. */
static size_t write_utf8(char out[4], uint32_t point)
{
    const size_t len = point < 0x80 ? 1 : point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t heads[] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len; i-- > 1;) {
        out[i] = (char)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (char)(heads[len] | point);
    return len;
}

/* Reads the |digits| hexadecimal digits of \u or \U, at r->at, into |out|. */
static pql_status read_point(reader *r, size_t digits, char out[4], size_t *len)
{
    const char *escape = r->at - 2;
    char hex[9] = "";
    if (strspn(r->at, "0123456789abcdefABCDEF") < digits) {
        return fail_at(r, escape, "\\%c needs %zu hexadecimal digits.", escape[1], digits);
    }
    memcpy(hex, r->at, digits);
    const uint32_t point = (uint32_t)strtoul(hex, NULL, 16);
    if (point == 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
        return fail_at(r, escape, "There is no character \\%c%s.", escape[1], hex);
    }
    r->at += digits;
    *len = write_utf8(out, point);
    return PQL_OK;
}

/* Reads an escape, of which r->at is at the backslash; *len bytes of it are then in |out|. */
static pql_status read_escape(reader *r, char out[4], size_t *len)
{
    static const char letters[] = "btnfr\"\\";
    static const char meant[] = "\b\t\n\f\r\"\\";
    const char letter = r->at[1];
    const char *found = letter == '\0' ? NULL : strchr(letters, letter);
    if (letter == 'u' || letter == 'U') {
        r->at += 2;
        return read_point(r, letter == 'u' ? 4 : 8, out, len);
    }
    if (found == NULL) {
        return fail_at(r, r->at,
                       "There is no such escape; write \\\\ for a backslash, or put the text into "
                       "'single quotes', where backslashes are letters.");
    }
    out[0] = meant[found - letters];
    *len = 1;
    r->at += 2;
    return PQL_OK;
}

static pql_status fail_unclosed(const reader *r, const char *where)
{
    return fail_at(r, where, "The quotes are not closed on this line.");
}

/* A string in double quotes.  It is decoded right into the kept texts. */
static pql_status read_basic(reader *r, const char **text)
{
    const char *where = r->at++;
    char *out = r->conf->texts + r->used;
    size_t len = 0;
    while (*r->at != '"') {
        if (*r->at == '\0') {
            return fail_unclosed(r, where);
        }
        if (*r->at != '\\') {
            out[len++] = *r->at++;
            continue;
        }
        char decoded[4];
        size_t count = 0;
        const pql_status status = read_escape(r, decoded, &count);
        if (status != PQL_OK) {
            return status;
        }
        memcpy(out + len, decoded, count);
        len += count;
    }
    r->at++;
    out[len] = '\0';
    r->used += len + 1;
    *text = out;
    return PQL_OK;
}

/* A string in single quotes: as it stands. */
static pql_status read_literal(reader *r, const char **text)
{
    const char *where = r->at++;
    const size_t len = strcspn(r->at, "'");
    if (r->at[len] == '\0') {
        return fail_unclosed(r, where);
    }
    *text = keep(r, r->at, len);
    r->at += len + 1;
    return PQL_OK;
}

static pql_status read_string(reader *r, const char **text)
{
    if (strncmp(r->at, "\"\"\"", 3) == 0 || strncmp(r->at, "'''", 3) == 0) {
        return fail_at(r, r->at, "Strings over several lines are not supported.");
    }
    return *r->at == '"' ? read_basic(r, text) : read_literal(r, text);
}

/* ---- Other values ---- */

/* Digits, with underscores between them, from 0 to what 20 digits hold. */
static pql_status read_integer(reader *r, const char **text)
{
    const char *where = r->at;
    char digits[DIGITS_MAX] = {0};
    size_t len = 0;
    for (; (*r->at >= '0' && *r->at <= '9') || *r->at == '_'; r->at++) {
        if (*r->at == '_' && (r->at[1] < '0' || r->at[1] > '9')) {
            return fail_at(r, r->at, "An underscore in a number stands between two digits.");
        }
        if (*r->at == '_') {
            continue;
        }
        if (len == DIGITS_MAX) {
            return fail_at(r, where, "This number is too large.");
        }
        digits[len++] = *r->at;
    }
    if (len > 1 && digits[0] == '0') {
        return fail_at(r, where, "A number has no leading zeros.");
    }
    *text = keep(r, digits, len);
    return PQL_OK;
}

static pql_status fail_no_value(const reader *r)
{
    if (at_end(r)) {
        return fail_at(r, r->at, "A value is missing here.");
    }
    if (*r->at == '{') {
        return fail_at(r, r->at, "Inline tables are not supported; write a [table] of its own.");
    }
    if (*r->at == '[') {
        return fail_at(r, r->at, "Arrays in arrays are not supported.");
    }
    if (strchr("+-.", *r->at) != NULL) {
        return fail_at(r, r->at, "Numbers are whole and have no sign.");
    }
    return fail_at(r, r->at,
                   "This is no value: text stands in quotes, numbers and true or false without.");
}

/* True when what stands at |at| may follow a number or a word. */
static bool ends_value(const char *at)
{
    return *at == '\0' || strchr(" \t,]#", *at) != NULL;
}

static pql_status read_bare(reader *r, pqi_conf_entry *entry)
{
    const char *where = r->at;
    const size_t len = strspn(r->at, NAME_LETTERS);
    const bool word =
        (len == 4 && memcmp(r->at, "true", 4) == 0) || (len == 5 && memcmp(r->at, "false", 5) == 0);
    if (word && ends_value(r->at + len)) {
        entry->kind = PQI_CONF_BOOLEAN;
        entry->text = keep(r, r->at, len);
        r->at += len;
        return PQL_OK;
    }
    if (*r->at < '0' || *r->at > '9') {
        return fail_no_value(r);
    }
    entry->kind = PQI_CONF_INTEGER;
    const pql_status status = read_integer(r, &entry->text);
    if (status == PQL_OK && !ends_value(r->at)) {
        return fail_at(r, where,
                       "Only whole decimal numbers are supported; anything else that begins with a "
                       "digit, such as 12s, stands in quotes.");
    }
    return status;
}

static pql_status read_scalar(reader *r, pqi_conf_entry *entry)
{
    const char *where = r->at;
    pql_status status;
    if (*r->at == '"' || *r->at == '\'') {
        entry->kind = PQI_CONF_STRING;
        status = read_string(r, &entry->text);
    } else {
        status = read_bare(r, entry);
    }
    return status == PQL_OK ? add_entry(r, where, entry) : status;
}

static pql_status read_array(reader *r, pqi_conf_entry *entry)
{
    const char *open = r->at++;
    const size_t before = r->conf->count;
    pql_status status = PQL_OK;
    entry->in_array = true;
    skip_blanks(r);
    while (status == PQL_OK && *r->at != ']') {
        if (at_end(r)) {
            return fail_at(r, open,
                           "The bracket is not closed on this line; an array over several "
                           "lines is not supported.");
        }
        status = read_scalar(r, entry);
        skip_blanks(r);
        if (status == PQL_OK && *r->at == ',') {
            r->at++;
            skip_blanks(r);
        } else if (status == PQL_OK && *r->at != ']' && !at_end(r)) {
            return fail_at(r, r->at, "A comma or the closing bracket is expected here.");
        }
    }
    if (status != PQL_OK) {
        return status;
    }
    r->at++;
    entry->kind = PQI_CONF_EMPTY;
    entry->text = "";
    return r->conf->count > before ? PQL_OK : add_entry(r, open, entry);
}

static pql_status read_setting(reader *r)
{
    const char *where = r->at;
    pqi_conf_entry entry = {.table = r->table, .key_column = column_of(r, where)};
    pql_status status = read_name(r, "key", &entry.key);
    if (status != PQL_OK || entry.key == NULL) {
        return status;
    }
    if (*r->at != '=') {
        return fail_at(r, r->at, "An equals sign is expected after the key '%.*s'.", WORD_SHOWN,
                       entry.key);
    }
    const pqi_conf_entry *earlier = find_earlier(r, r->table, entry.key);
    if (earlier != NULL) {
        return fail_at(r, where, "The key '%.*s' stands in line %u already.", WORD_SHOWN, entry.key,
                       earlier->line);
    }
    r->at++;
    skip_blanks(r);
    return *r->at == '[' ? read_array(r, &entry) : read_scalar(r, &entry);
}

/* ---- Lines ---- */

/* Every character is UTF-8 and can be seen, but for tabs. */
static pql_status check_letters(const reader *r, size_t len)
{
    if (len > PQI_CONF_LINE_MAX) {
        return fail_at(r, r->begin, "This line is longer than %zu bytes.", PQI_CONF_LINE_MAX);
    }
    if (r->line == 1 && strncmp(r->begin, "\xef\xbb\xbf", 3) == 0) {
        return fail_at(r, r->begin,
                       "The file begins with a byte order mark; save it as plain UTF-8.");
    }
    const char *c = r->begin;
    while (c < r->begin + len) {
        uint32_t point = 0;
        const size_t step = pqi_utf8_read(c, &point);
        if (step == 0) {
            return fail_at(r, c, "This is no UTF-8.");
        }
        if (pqi_char_is_control(point) && point != '\t') {
            return fail_at(r, c, "The control character U+%04X is not allowed.", (unsigned)point);
        }
        c += step;
    }
    return PQL_OK;
}

/* Reads the line at r->begin, |len| bytes that end with a NUL. */
static pql_status read_line(reader *r, size_t len)
{
    pql_status status = check_letters(r, len);
    if (status != PQL_OK) {
        return status;
    }
    r->at = r->begin;
    skip_blanks(r);
    if (at_end(r)) {
        return PQL_OK;
    }
    status = *r->at == '[' ? read_table(r) : read_setting(r);
    if (status != PQL_OK) {
        return status;
    }
    skip_blanks(r);
    return at_end(r) ? PQL_OK : fail_at(r, r->at, "Nothing but a comment may follow on this line.");
}

/* |text| has |len| bytes, a NUL after them, and is cut into lines. */
static pql_status read_lines(reader *r, char *text, size_t len)
{
    char *const end = text + len;
    while (text < end) {
        char *feed = memchr(text, '\n', (size_t)(end - text));
        char *stop = feed != NULL ? feed : end;
        char *next = feed != NULL ? feed + 1 : end;
        if (feed != NULL && stop > text && stop[-1] == '\r') {
            stop--;
        }
        *stop = '\0';
        r->begin = text;
        r->line++;
        const pql_status status = read_line(r, (size_t)(stop - text));
        if (status != PQL_OK) {
            return status;
        }
        text = next;
    }
    return PQL_OK;
}

static pqi_conf *conf_new(const char *file, size_t len)
{
    pqi_conf *conf = calloc(1, sizeof(*conf));
    if (conf != NULL) {
        conf->file = strdup(file);
        conf->texts_size = len + 1;
        conf->texts = calloc(1, conf->texts_size);
    }
    if (conf != NULL && (conf->file == NULL || conf->texts == NULL)) {
        pqi_conf_free(conf);
        conf = NULL;
    }
    return conf;
}

pql_status pqi_conf_parse(pqi_conf **out, const char *file, const void *data, size_t len,
                          pql_error *err)
{
    *out = NULL;
    if (len > PQI_CONF_FILE_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "%.*s:1:1: The file is larger than %zu bytes.",
                        FILE_SHOWN, file, PQI_CONF_FILE_MAX);
    }
    pqi_conf *conf = conf_new(file, len);
    char *text = malloc(len + 1);
    reader r = {.conf = conf, .err = err, .table = ""};
    pql_status status = PQL_E_NOMEM;
    if (conf == NULL || text == NULL) {
        (void)pqi_fail(err, status, "Out of memory reading the configuration.");
    } else {
        if (len > 0) {
            memcpy(text, data, len);
        }
        text[len] = '\0';
        status = read_lines(&r, text, len);
    }
    pqi_secret_free(text, len + 1);
    if (status != PQL_OK) {
        pqi_conf_free(conf);
        return status;
    }
    *out = conf;
    return PQL_OK;
}

void pqi_conf_free(pqi_conf *conf)
{
    if (conf == NULL) {
        return;
    }
    pqi_secret_free(conf->texts, conf->texts_size);
    free(conf->entries);
    free(conf->file);
    free(conf);
}
