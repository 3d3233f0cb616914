#include "miner/json.h"

#include "base/clock.h"

#include <stdio.h>
#include <string.h>

/* A double ends at 1.8e308; exponents are clamped far beyond. */
#define LARGEST_DECIMAL_DIGITS 309
#define EXPONENT_CLAMP 100000
#define SECONDS_DIGITS 9 /* of a nanosecond after the point */

void pqi_json_init(pqi_json *j, const void *data, size_t len, char *text, size_t text_size)
{
    pqi_reader_init(&j->in, data, len);
    pqi_writer_init(&j->text, text, text_size);
}

void pqi_json_fail(pqi_json *j)
{
    j->in.failed = true;
}

bool pqi_json_ok(const pqi_json *j)
{
    return pqi_reader_ok(&j->in) && pqi_writer_ok(&j->text);
}

/* The next byte without taking it; 0 (which no JSON holds) at the end or after a fault. */
static uint8_t next_byte(const pqi_json *j)
{
    pqi_reader ahead = j->in;
    return pqi_read_u8(&ahead);
}

static void skip_space(pqi_json *j)
{
    for (uint8_t c = next_byte(j); c == ' ' || c == '\t' || c == '\n' || c == '\r';
         c = next_byte(j)) {
        pqi_read_u8(&j->in);
    }
}

/* Takes |c| when it is the next byte. */
static bool take_if(pqi_json *j, uint8_t c)
{
    if (next_byte(j) != c) {
        return false;
    }
    pqi_read_u8(&j->in);
    return true;
}

static void take(pqi_json *j, uint8_t c)
{
    if (!take_if(j, c)) {
        pqi_json_fail(j);
    }
}

static bool is_digit(uint8_t c)
{
    return c >= '0' && c <= '9';
}

pqi_json_kind pqi_json_peek(pqi_json *j)
{
    skip_space(j);
    uint8_t c = next_byte(j);
    switch (c) {
    case '{':
        return PQI_JSON_OBJECT;
    case '[':
        return PQI_JSON_ARRAY;
    case '"':
        return PQI_JSON_STRING;
    case 't':
    case 'f':
        return PQI_JSON_BOOL;
    case 'n':
        return PQI_JSON_NULL;
    default:
        return c == '-' || is_digit(c) ? PQI_JSON_NUMBER : PQI_JSON_BAD;
    }
}

bool pqi_json_done(pqi_json *j)
{
    skip_space(j);
    return pqi_json_ok(j) && pqi_reader_done(&j->in);
}

void pqi_json_open(pqi_json *j, char bracket)
{
    skip_space(j);
    take(j, (uint8_t)bracket);
}

bool pqi_json_more(pqi_json *j, char bracket, bool *first)
{
    skip_space(j);
    bool begins = *first;
    *first = false;
    if (take_if(j, (uint8_t)bracket) || !pqi_json_ok(j)) {
        return false;
    }
    if (!begins) {
        take(j, ',');
    }
    return pqi_json_ok(j);
}

const char *pqi_json_key(pqi_json *j)
{
    const char *name = pqi_json_string(j);
    skip_space(j);
    take(j, ':');
    return pqi_json_ok(j) ? name : NULL;
}

/* Writes |point| as UTF-8 and returns its length.  |point| is no surrogate and at most U+10FFFF. */
static size_t utf8_encode(uint32_t point, uint8_t out[4])
{
    if (point < 0x80) {
        out[0] = (uint8_t)point;
        return 1;
    }
    size_t len = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    static const uint8_t lead[5] = {0, 0, 0xc0, 0xe0, 0xf0};
    for (size_t i = len - 1; i > 0; i--) {
        out[i] = (uint8_t)(0x80 | (point & 0x3f));
        point >>= 6;
    }
    out[0] = (uint8_t)(lead[len] | point);
    return len;
}

/* Copies one character from |in| to |out|; false when it is not well-formed UTF-8 (RFC 3629). */
static bool utf8_copy(pqi_reader *in, pqi_writer *out)
{
    uint8_t lead = pqi_read_u8(in);
    size_t more = lead < 0x80 ? 0 : lead < 0xe0 ? 1 : lead < 0xf0 ? 2 : 3;
    if ((lead >= 0x80 && lead < 0xc2) || lead > 0xf4) {
        return false;
    }
    static const uint32_t lead_bits[4] = {0x7f, 0x1f, 0x0f, 0x07};
    uint32_t point = lead & lead_bits[more];
    for (size_t i = 0; i < more; i++) {
        uint8_t c = pqi_read_u8(in);
        if ((c & 0xc0) != 0x80) {
            return false;
        }
        point = (point << 6) | (c & 0x3f);
    }
    static const uint32_t smallest[4] = {0, 0x80, 0x800, 0x10000};
    if (point < smallest[more] || point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) {
        return false;
    }
    uint8_t bytes[4];
    pqi_write_bytes(out, bytes, utf8_encode(point, bytes));
    return true;
}

static bool is_plain(uint8_t c)
{
    return c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
}

/* Copies the characters at the front that stand for themselves in a string, in one go: nearly all
 * that is ever sent. */
static void copy_plain(pqi_reader *in, pqi_writer *out)
{
    const size_t left = pqi_reader_left(in);
    size_t count = 0;
    while (count < left && is_plain(in->data[in->pos + count])) {
        count++;
    }
    if (count > 0) {
        pqi_write_bytes(out, pqi_read_bytes(in, count), count);
    }
}

static uint32_t read_hex4(pqi_json *j)
{
    uint32_t value = 0;
    for (int i = 0; i < 4; i++) {
        uint8_t c = pqi_read_u8(&j->in);
        uint8_t lower = c | 0x20;
        if (is_digit(c)) {
            value = value << 4 | (uint32_t)(c - '0');
        } else if (lower >= 'a' && lower <= 'f') {
            value = value << 4 | (uint32_t)(lower - 'a' + 10);
        } else {
            pqi_json_fail(j);
        }
    }
    return value;
}

/* What follows "\u": one unit, or two that make a surrogate pair. */
static void read_unicode_escape(pqi_json *j)
{
    uint32_t point = read_hex4(j);
    if (point >= 0xd800 && point < 0xdc00) {
        take(j, '\\');
        take(j, 'u');
        uint32_t low = read_hex4(j);
        if (low < 0xdc00 || low > 0xdfff) {
            pqi_json_fail(j);
            return;
        }
        point = 0x10000 + ((point - 0xd800) << 10) + (low - 0xdc00);
    } else if (point == 0 || (point >= 0xdc00 && point < 0xe000)) {
        pqi_json_fail(j);
        return;
    }
    uint8_t bytes[4];
    pqi_write_bytes(&j->text, bytes, utf8_encode(point, bytes));
}

static void read_escape(pqi_json *j)
{
    static const char names[] = "\"\\/bfnrt";
    static const char values[] = "\"\\/\b\f\n\r\t";
    uint8_t c = pqi_read_u8(&j->in);
    if (c == 'u') {
        read_unicode_escape(j);
        return;
    }
    const char *at = c != 0 ? strchr(names, c) : NULL;
    if (at == NULL) {
        pqi_json_fail(j);
        return;
    }
    pqi_write_u8(&j->text, (uint8_t)values[at - names]);
}

const char *pqi_json_string(pqi_json *j)
{
    skip_space(j);
    take(j, '"');
    size_t start = j->text.len;
    copy_plain(&j->in, &j->text);
    while (pqi_json_ok(j) && !take_if(j, '"')) {
        if (take_if(j, '\\')) {
            read_escape(j);
        } else if (next_byte(j) < 0x20 || !utf8_copy(&j->in, &j->text)) {
            pqi_json_fail(j);
        }
        copy_plain(&j->in, &j->text);
    }
    pqi_write_u8(&j->text, 0);
    return pqi_json_ok(j) ? (const char *)j->text.data + start : NULL;
}

/* A number taken apart: digits * 10^exponent. */
typedef struct number {
    uint64_t digits;
    int exponent;
    bool negative;
    bool whole; /* written without fraction and exponent */
    bool cut;   /* more digits than fit were left out */
} number;

static void add_digit(number *n, uint8_t digit, bool after_point)
{
    if (n->cut || n->digits > (UINT64_MAX - digit) / 10) {
        n->cut = true;
        n->exponent += after_point ? 0 : 1;
        return;
    }
    n->digits = n->digits * 10 + digit;
    n->exponent -= after_point ? 1 : 0;
}

/* One digit or more. */
static void read_digits(pqi_json *j, number *n, bool after_point)
{
    if (!is_digit(next_byte(j))) {
        pqi_json_fail(j);
    }
    while (is_digit(next_byte(j))) {
        add_digit(n, (uint8_t)(pqi_read_u8(&j->in) - '0'), after_point);
    }
}

static void read_exponent(pqi_json *j, number *n)
{
    bool negative = take_if(j, '-');
    if (!negative) {
        take_if(j, '+');
    }
    number e = {0};
    read_digits(j, &e, false);
    int value = e.cut || e.digits > EXPONENT_CLAMP ? EXPONENT_CLAMP : (int)e.digits;
    n->exponent += negative ? -value : value;
}

static number read_number(pqi_json *j)
{
    number n = {.whole = true};
    skip_space(j);
    n.negative = take_if(j, '-');
    if (!take_if(j, '0')) {
        read_digits(j, &n, false);
    } else if (is_digit(next_byte(j))) {
        pqi_json_fail(j); /* RFC 8259 section 6: "Leading zeros are not allowed." */
    }
    if (take_if(j, '.')) {
        n.whole = false;
        read_digits(j, &n, true);
    }
    if (take_if(j, 'e') || take_if(j, 'E')) {
        n.whole = false;
        read_exponent(j, &n);
    }
    return n;
}

uint64_t pqi_json_u64(pqi_json *j)
{
    number n = read_number(j);
    if (n.negative || !n.whole || n.cut) {
        pqi_json_fail(j);
    }
    return pqi_json_ok(j) ? n.digits : 0;
}

static int decimal_digits(uint64_t v)
{
    int count = 0;
    for (; v > 0; v /= 10) {
        count++;
    }
    return count;
}

uint64_t pqi_json_seconds(pqi_json *j)
{
    number n = read_number(j);
    if (n.digits > 0 && decimal_digits(n.digits) + n.exponent > LARGEST_DECIMAL_DIGITS) {
        pqi_json_fail(j);
    }
    if (!pqi_json_ok(j) || n.negative) {
        return 0;
    }
    uint64_t ns = n.digits;
    int shift = n.exponent + SECONDS_DIGITS;
    for (; shift < 0 && ns > 0; shift++) {
        ns /= 10;
    }
    for (; shift > 0 && ns > 0; shift--) {
        if (ns > UINT64_MAX / 10) {
            return UINT64_MAX;
        }
        ns *= 10;
    }
    return ns;
}

static void take_word(pqi_json *j, const char *word)
{
    for (; *word != '\0'; word++) {
        take(j, (uint8_t)*word);
    }
}

void pqi_json_null(pqi_json *j)
{
    skip_space(j);
    take_word(j, "null");
}

static void skip_value(pqi_json *j, unsigned depth);

static void skip_inside(pqi_json *j, bool object, unsigned depth)
{
    if (depth == 0) {
        pqi_json_fail(j);
        return;
    }
    pqi_json_open(j, object ? '{' : '[');
    for (bool first = true; pqi_json_more(j, object ? '}' : ']', &first);) {
        if (object) {
            pqi_json_key(j);
        }
        skip_value(j, depth - 1);
    }
}

static void skip_value(pqi_json *j, unsigned depth)
{
    switch (pqi_json_peek(j)) {
    case PQI_JSON_OBJECT:
        skip_inside(j, true, depth);
        break;
    case PQI_JSON_ARRAY:
        skip_inside(j, false, depth);
        break;
    case PQI_JSON_STRING:
        pqi_json_string(j);
        break;
    case PQI_JSON_NUMBER:
        read_number(j);
        break;
    case PQI_JSON_BOOL:
        take_word(j, next_byte(j) == 't' ? "true" : "false");
        break;
    case PQI_JSON_NULL:
        take_word(j, "null");
        break;
    case PQI_JSON_BAD:
        pqi_json_fail(j);
        break;
    }
}

void pqi_json_skip(pqi_json *j)
{
    skip_value(j, PQI_JSON_DEPTH);
}

void pqi_json_write_raw(pqi_writer *w, const char *text)
{
    pqi_write_bytes(w, text, strlen(text));
}

static void write_escaped(pqi_writer *w, uint8_t c)
{
    static const char named[] = "\"\\\b\t\n\f\r";
    static const char names[] = "\"\\btnfr";
    const char *at = strchr(named, c);
    char escape[8];
    if (at != NULL) {
        snprintf(escape, sizeof(escape), "\\%c", names[at - named]);
    } else {
        snprintf(escape, sizeof(escape), "\\u%04x", c);
    }
    pqi_json_write_raw(w, escape);
}

void pqi_json_write_string(pqi_writer *w, const char *text)
{
    pqi_reader in;
    pqi_reader_init(&in, text, strlen(text));
    pqi_write_u8(w, '"');
    copy_plain(&in, w);
    while (pqi_writer_ok(w) && pqi_reader_left(&in) > 0) {
        pqi_reader ahead = in;
        uint8_t c = pqi_read_u8(&ahead);
        if (c < 0x20 || c == '"' || c == '\\') {
            write_escaped(w, c);
            in = ahead;
        } else if (!utf8_copy(&in, w)) {
            w->failed = true;
        }
        copy_plain(&in, w);
    }
    pqi_write_u8(w, '"');
}

void pqi_json_write_u64(pqi_writer *w, uint64_t value)
{
    char text[24];
    snprintf(text, sizeof(text), "%llu", (unsigned long long)value);
    pqi_json_write_raw(w, text);
}

void pqi_json_write_seconds(pqi_writer *w, uint64_t ns)
{
    char text[40];
    int len = snprintf(text, sizeof(text), "%llu.%09llu", (unsigned long long)(ns / PQI_NS_PER_SEC),
                       (unsigned long long)(ns % PQI_NS_PER_SEC));
    while (text[len - 1] == '0' && text[len - 2] != '.') {
        text[--len] = '\0';
    }
    pqi_json_write_raw(w, text);
}
