#include "miner/tokens.h"

#include "base/file.h"
#include "base/secret.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

/* A line whose token ends so stands for many tokens. */
static const char wildcard[] = ".*";
#define WILDCARD_LEN (sizeof(wildcard) - 1)
/* Nobody outside of the group reads it, nobody but the owner writes it. */
#define MODE_REFUSED ((mode_t)(S_IRWXO | S_IWGRP))

typedef struct entry {
    char name[PQI_MINER_NAME_MAX + 1];
    bool prefix;
    size_t line;                     /* where it stands in the file */
    uint8_t digest[PQI_SHA256_SIZE]; /* of the token, with the ".*" of a prefix */
} entry;

struct pqi_token_list {
    size_t count;
    size_t room;
    entry *entries;
};

/* ---- Reading ---- */

/* A part of the file. */
typedef struct span {
    const char *at;
    size_t len;
} span;

static bool is_space(char c)
{
    return c == ' ' || (c >= '\t' && c <= '\r');
}

static span trimmed(span s)
{
    while (s.len > 0 && is_space(s.at[0])) {
        s.at++;
        s.len--;
    }
    while (s.len > 0 && is_space(s.at[s.len - 1])) {
        s.len--;
    }
    return s;
}

static bool has_control(span s)
{
    for (size_t i = 0; i < s.len; i++) {
        if ((unsigned char)s.at[i] < ' ' || s.at[i] == '\x7f') {
            return true;
        }
    }
    return false;
}

static bool ends_in_wildcard(span s)
{
    return s.len >= WILDCARD_LEN &&
           memcmp(s.at + s.len - WILDCARD_LEN, wildcard, WILDCARD_LEN) == 0;
}

/* Where a line stands, for error sentences. */
typedef struct place {
    const char *file;
    size_t line;
} place;

static pql_status read_name(entry *e, span name, place where, pql_error *err)
{
    if (name.len <= PQI_MINER_NAME_MAX) {
        memcpy(e->name, name.at, name.len);
        e->name[name.len] = '\0';
    }
    if (name.len > PQI_MINER_NAME_MAX || !pqi_miner_name_ok(e->name)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "Line %zu of %.200s: the name before the ':' must have 1 to %d characters "
                        "of a-z A-Z 0-9 . _ and -.",
                        where.line, where.file, PQI_MINER_NAME_MAX);
    }
    return PQL_OK;
}

static pql_status read_token(entry *e, span token, place where, pql_error *err)
{
    e->prefix = ends_in_wildcard(token);
    const size_t literal = e->prefix ? token.len - WILDCARD_LEN : token.len;
    if (literal == 0 || token.len > PQI_MINER_TOKEN_MAX || has_control(token)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "Line %zu of %.200s: the token behind the ':' must have 1 to %d bytes "
                        "without control characters.",
                        where.line, where.file, PQI_MINER_TOKEN_MAX);
    }
    if (memchr(token.at, '*', literal) != NULL) {
        return pqi_fail(err, PQL_E_USAGE,
                        "Line %zu of %.200s: a '*' may stand at the end of a token only, behind a "
                        "point: TEXT.*",
                        where.line, where.file);
    }
    pqi_sha256(e->digest, token.at, token.len);
    return PQL_OK;
}

/* True when |e| is a name that the holder of |pool|'s token can get by naming a worker. */
static bool is_worker_of(const entry *e, const entry *pool)
{
    const size_t len = strlen(pool->name);
    return pool->prefix && strncmp(e->name, pool->name, len) == 0 && e->name[len] == '.';
}

/* Names count in metrics and in the credit for work: a worker must not pass for somebody else. */
static pql_status refuse_worker(const entry *e, const entry *pool, place where, pql_error *err)
{
    return pqi_fail(err, PQL_E_USAGE,
                    "Lines %zu and %zu of %.200s: a worker of '%s' could take the name '%s'; "
                    "rename one of the two so that no name begins with '%s.'.",
                    e->line, pool->line, where.file, pool->name, e->name, pool->name);
}

static pql_status refuse_second(const pqi_token_list *list, const entry *e, place where,
                                pql_error *err)
{
    for (size_t i = 0; i < list->count; i++) {
        if (strcmp(list->entries[i].name, e->name) == 0) {
            return pqi_fail(err, PQL_E_USAGE,
                            "Line %zu of %.200s: the name '%s' stands there twice.", where.line,
                            where.file, e->name);
        }
        if (memcmp(list->entries[i].digest, e->digest, sizeof(e->digest)) == 0) {
            return pqi_fail(err, PQL_E_USAGE,
                            "Line %zu of %.200s: the token of '%s' is also that of '%s'.",
                            where.line, where.file, e->name, list->entries[i].name);
        }
        if (is_worker_of(e, &list->entries[i])) {
            return refuse_worker(e, &list->entries[i], where, err);
        }
        if (is_worker_of(&list->entries[i], e)) {
            return refuse_worker(&list->entries[i], e, where, err);
        }
    }
    return PQL_OK;
}

static pql_status append(pqi_token_list *list, const entry *e, place where, pql_error *err)
{
    if (list->count == PQI_TOKENS_MAX) {
        return pqi_fail(err, PQL_E_USAGE, "Line %zu of %.200s: there are more than %zu tokens.",
                        where.line, where.file, PQI_TOKENS_MAX);
    }
    if (list->count == list->room) {
        const size_t room = list->room == 0 ? 16 : 2 * list->room;
        entry *more = realloc(list->entries, room * sizeof(*more));
        if (more == NULL) {
            return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %.200s.", where.file);
        }
        list->entries = more;
        list->room = room;
    }
    list->entries[list->count++] = *e;
    return PQL_OK;
}

static pql_status read_line(pqi_token_list *list, span line, place where, pql_error *err)
{
    entry e = {.line = where.line};
    line = trimmed(line);
    if (line.len == 0 || line.at[0] == '#') {
        return PQL_OK;
    }
    const char *colon = memchr(line.at, ':', line.len);
    if (colon == NULL) {
        return pqi_fail(err, PQL_E_USAGE, "Line %zu of %.200s has no ':'; write it as NAME:TOKEN.",
                        where.line, where.file);
    }
    const size_t name_len = (size_t)(colon - line.at);
    pql_status status = read_name(&e, trimmed((span){line.at, name_len}), where, err);
    if (status == PQL_OK) {
        status = read_token(&e, trimmed((span){colon + 1, line.len - name_len - 1}), where, err);
    }
    if (status == PQL_OK) {
        status = refuse_second(list, &e, where, err);
    }
    return status == PQL_OK ? append(list, &e, where, err) : status;
}

static pql_status read_lines(pqi_token_list *list, span text, const char *file, pql_error *err)
{
    place where = {.file = file};
    while (text.len > 0) {
        const char *end = memchr(text.at, '\n', text.len);
        const size_t len = end == NULL ? text.len : (size_t)(end - text.at);
        where.line++;
        const pql_status status = read_line(list, (span){text.at, len}, where, err);
        if (status != PQL_OK) {
            return status;
        }
        const size_t used = end == NULL ? len : len + 1;
        text.at += used;
        text.len -= used;
    }
    return list->count > 0 ? PQL_OK
                           : pqi_fail(err, PQL_E_USAGE,
                                      "%.200s has no token.  Write one NAME:TOKEN a line.", file);
}

pql_status pqi_token_list_parse(pqi_token_list **out, const char *text, size_t len,
                                const char *file, pql_error *err)
{
    *out = NULL;
    pqi_token_list *list = calloc(1, sizeof(*list));
    if (list == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %.200s.", file);
    }
    const pql_status status = read_lines(list, (span){text, len}, file, err);
    if (status != PQL_OK) {
        pqi_token_list_free(list);
        return status;
    }
    *out = list;
    return PQL_OK;
}

void pqi_token_list_free(pqi_token_list *list)
{
    if (list != NULL) {
        pqi_secret_free(list->entries, list->room * sizeof(*list->entries));
        free(list);
    }
}

size_t pqi_token_list_count(const pqi_token_list *list)
{
    return list->count;
}

/* ---- Looking up ---- */

/* As pqi_secret_equal, in whole words: a stranger's token is compared with every entry, for some
 * workers' names up to PQI_TOKEN_WORKER_MAX times. */
static bool digest_equal(const uint8_t a[PQI_SHA256_SIZE], const uint8_t b[PQI_SHA256_SIZE])
{
    uint64_t x[PQI_SHA256_SIZE / sizeof(uint64_t)];
    uint64_t y[PQI_SHA256_SIZE / sizeof(uint64_t)];
    uint64_t difference = 0;
    memcpy(x, a, sizeof(x));
    memcpy(y, b, sizeof(y));
    for (size_t i = 0; i < sizeof(x) / sizeof(x[0]); i++) {
        difference |= x[i] ^ y[i];
    }
    return difference == 0;
}

/* The entry of that digest, or NULL.  Looks at all entries, whichever fits. */
static const entry *find(const pqi_token_list *list, bool prefix,
                         const uint8_t digest[PQI_SHA256_SIZE])
{
    const entry *found = NULL;
    for (size_t i = 0; i < list->count; i++) {
        const entry *e = &list->entries[i];
        if (e->prefix == prefix && digest_equal(e->digest, digest)) {
            found = e;
        }
    }
    return found;
}

static void fill(pqi_token_grant *grant, const entry *e, const char *worker)
{
    const size_t name_len = strlen(e->name);
    grant->prefix = e->prefix;
    memcpy(grant->digest, e->digest, sizeof(grant->digest));
    memcpy(grant->token, e->name, name_len + 1);
    memcpy(grant->miner, e->name, name_len + 1);
    if (worker != NULL) {
        grant->miner[name_len] = '.';
        memcpy(grant->miner + name_len + 1, worker, strlen(worker) + 1);
    }
}

/* The digest of a line TEXT.* for the first |len| bytes of |token|. */
static void digest_of_prefix(uint8_t digest[PQI_SHA256_SIZE], const char *token, size_t len)
{
    char text[PQI_MINER_TOKEN_MAX + WILDCARD_LEN];
    memcpy(text, token, len);
    memcpy(text + len, wildcard, WILDCARD_LEN);
    pqi_sha256(digest, text, len + WILDCARD_LEN);
    pqi_secret_wipe(text, sizeof(text));
}

static bool match_prefix(const pqi_token_list *list, const char *token, size_t len,
                         pqi_token_grant *grant)
{
    _Static_assert(PQI_TOKEN_WORKER_MAX == PQI_MINER_NAME_MAX, "one rule for both names");
    for (size_t at = len; at > 1; at--) {
        const char *worker = token + at;
        if (token[at - 1] != '.' || !pqi_miner_name_ok(worker)) {
            continue;
        }
        uint8_t digest[PQI_SHA256_SIZE];
        digest_of_prefix(digest, token, at - 1);
        const entry *e = find(list, true, digest);
        pqi_secret_wipe(digest, sizeof(digest));
        if (e != NULL) {
            fill(grant, e, worker);
            return true;
        }
    }
    return false;
}

bool pqi_token_list_match(const pqi_token_list *list, const char *token, pqi_token_grant *grant)
{
    uint8_t digest[PQI_SHA256_SIZE];
    const size_t len = strlen(token);
    *grant = (pqi_token_grant){0};
    if (len > PQI_MINER_TOKEN_MAX) {
        return false;
    }
    pqi_sha256(digest, token, len);
    const entry *e = find(list, false, digest);
    pqi_secret_wipe(digest, sizeof(digest));
    if (e != NULL) {
        fill(grant, e, NULL);
        return true;
    }
    return match_prefix(list, token, len, grant);
}

bool pqi_token_list_has(const pqi_token_list *list, const pqi_token_grant *grant)
{
    return find(list, grant->prefix, grant->digest) != NULL;
}

/* ---- The list in use ---- */

/* What tells one state of a file from another. */
typedef struct file_state {
    dev_t device;
    ino_t inode;
    off_t size;
    struct timespec modified, changed;
} file_state;

struct pqi_tokens {
    char *path;            /* NULL: there is no file */
    file_state read;       /* of what was read last, taken or refused */
    file_state seen;       /* at the last look */
    pthread_rwlock_t lock; /* guards |list|, which is replaced and never changed */
    pqi_token_list *list;
};

static pql_status look_at(const char *path, file_state *state, mode_t *mode, pql_error *err)
{
    struct stat st;
    memset(state, 0, sizeof(*state)); /* the padding too, for memcmp */
    if (stat(path, &st) != 0) {
        const pql_status code = errno == ENOENT ? PQL_E_NOT_FOUND : PQL_E_IO;
        return pqi_fail_errno(err, code, errno, "Cannot look at %s", path);
    }
    state->device = st.st_dev;
    state->inode = st.st_ino;
    state->size = st.st_size;
    state->modified = st.st_mtim;
    state->changed = st.st_ctim;
    *mode = st.st_mode;
    return PQL_OK;
}

static pql_status check_mode(const char *path, mode_t mode, pql_error *err)
{
    if ((mode & MODE_REFUSED) == 0) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_IDENTITY,
                    "Others may read or change the tokens in %s: run 'chmod 600 %s' (640 where a "
                    "group has to read it), and think about who had access.",
                    path, path);
}

/* Reads the file as it is now.  |state| is what it was before the reading: a change meanwhile is
 * seen at the next look. */
static pql_status read_file(const char *path, file_state *state, pqi_token_list **list,
                            pql_error *err)
{
    mode_t mode = 0;
    uint8_t *text = NULL;
    size_t len = 0;
    *list = NULL;
    pql_status status = look_at(path, state, &mode, err);
    if (status == PQL_OK) {
        status = check_mode(path, mode, err);
    }
    if (status == PQL_OK) {
        status = pqi_file_read(path, PQI_TOKENS_FILE_MAX, &text, &len, err);
    }
    if (status == PQL_OK) {
        status = pqi_token_list_parse(list, (const char *)text, len, path, err);
    }
    pqi_secret_free(text, len);
    return status;
}

static pqi_tokens *new_tokens(pqi_token_list *list)
{
    pqi_tokens *tokens = calloc(1, sizeof(*tokens));
    if (tokens != NULL) {
        tokens->list = list;
        (void)pthread_rwlock_init(&tokens->lock, NULL);
    }
    return tokens;
}

pql_status pqi_tokens_open(pqi_tokens **out, const char *path, pql_error *err)
{
    pqi_token_list *list = NULL;
    file_state state;
    *out = NULL;
    const pql_status status = read_file(path, &state, &list, err);
    if (status != PQL_OK) {
        return status;
    }
    pqi_tokens *tokens = new_tokens(list);
    char *copy = strdup(path);
    if (tokens == NULL || copy == NULL) {
        free(copy);
        pqi_token_list_free(list);
        if (tokens != NULL) {
            tokens->list = NULL;
        }
        pqi_tokens_free(tokens);
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %s.", path);
    }
    tokens->path = copy;
    tokens->read = state;
    tokens->seen = state;
    *out = tokens;
    return PQL_OK;
}

pql_status pqi_tokens_single(pqi_tokens **out, const char *name, const char *token, pql_error *err)
{
    char line[PQI_MINER_NAME_MAX + 1 + PQI_MINER_TOKEN_MAX + 1];
    pqi_token_list *list = NULL;
    *out = NULL;
    const int len = snprintf(line, sizeof(line), "%s:%s", name, token);
    if (len < 0 || (size_t)len >= sizeof(line)) {
        pqi_secret_wipe(line, sizeof(line));
        return pqi_fail(err, PQL_E_USAGE, "The token '%.32s' or its name is too long.", name);
    }
    pql_status status = pqi_token_list_parse(&list, line, (size_t)len, name, err);
    pqi_secret_wipe(line, sizeof(line));
    if (status == PQL_OK) {
        *out = new_tokens(list);
    }
    if (status == PQL_OK && *out == NULL) {
        pqi_token_list_free(list);
        status = pqi_fail(err, PQL_E_NOMEM, "Out of memory keeping a token.");
    }
    return status;
}

void pqi_tokens_free(pqi_tokens *tokens)
{
    if (tokens != NULL) {
        (void)pthread_rwlock_destroy(&tokens->lock);
        pqi_token_list_free(tokens->list);
        free(tokens->path);
        free(tokens);
    }
}

bool pqi_tokens_match(pqi_tokens *tokens, const char *token, pqi_token_grant *grant)
{
    (void)pthread_rwlock_rdlock(&tokens->lock);
    const bool matched = pqi_token_list_match(tokens->list, token, grant);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return matched;
}

bool pqi_tokens_has(pqi_tokens *tokens, const pqi_token_grant *grant)
{
    (void)pthread_rwlock_rdlock(&tokens->lock);
    const bool has = pqi_token_list_has(tokens->list, grant);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return has;
}

size_t pqi_tokens_count(pqi_tokens *tokens)
{
    (void)pthread_rwlock_rdlock(&tokens->lock);
    const size_t count = pqi_token_list_count(tokens->list);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return count;
}

bool pqi_tokens_has_file(const pqi_tokens *tokens)
{
    return tokens != NULL && tokens->path != NULL;
}

static bool same_state(const file_state *a, const file_state *b)
{
    return a->device == b->device && a->inode == b->inode && a->size == b->size &&
           a->modified.tv_sec == b->modified.tv_sec && a->modified.tv_nsec == b->modified.tv_nsec &&
           a->changed.tv_sec == b->changed.tv_sec && a->changed.tv_nsec == b->changed.tv_nsec;
}

static void use(pqi_tokens *tokens, pqi_token_list *list)
{
    (void)pthread_rwlock_wrlock(&tokens->lock);
    pqi_token_list *old = tokens->list;
    tokens->list = list;
    (void)pthread_rwlock_unlock(&tokens->lock);
    pqi_token_list_free(old);
}

/* Whether the file is another one than was read, and has come to rest.  One that is gone has a
 * state too: all zero. */
static bool is_due(pqi_tokens *tokens)
{
    file_state present;
    mode_t mode = 0;
    (void)look_at(tokens->path, &present, &mode, NULL);
    const bool rests = same_state(&present, &tokens->seen);
    tokens->seen = present;
    return rests && !same_state(&present, &tokens->read);
}

pqi_tokens_news pqi_tokens_look(pqi_tokens *tokens, pql_error *err)
{
    pqi_token_list *list = NULL;
    if (!pqi_tokens_has_file(tokens) || !is_due(tokens)) {
        return PQI_TOKENS_SAME;
    }
    if (read_file(tokens->path, &tokens->read, &list, err) != PQL_OK) {
        return PQI_TOKENS_REFUSED;
    }
    use(tokens, list);
    return PQI_TOKENS_TAKEN;
}

struct pqi_tokens_fresh {
    file_state state;
    pqi_token_list *list;
};

pql_status pqi_tokens_read(const pqi_tokens *tokens, pqi_tokens_fresh **out, pql_error *err)
{
    *out = NULL;
    if (!pqi_tokens_has_file(tokens)) {
        return PQL_OK;
    }
    pqi_tokens_fresh *fresh = calloc(1, sizeof(*fresh));
    if (fresh == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %s.", tokens->path);
    }
    const pql_status status = read_file(tokens->path, &fresh->state, &fresh->list, err);
    if (status != PQL_OK) {
        free(fresh);
        return status;
    }
    *out = fresh;
    return PQL_OK;
}

static bool same_entries(const pqi_token_list *a, const pqi_token_list *b)
{
    bool same = a->count == b->count;
    for (size_t i = 0; same && i < a->count; i++) {
        same = a->entries[i].prefix == b->entries[i].prefix &&
               strcmp(a->entries[i].name, b->entries[i].name) == 0 &&
               digest_equal(a->entries[i].digest, b->entries[i].digest);
    }
    return same;
}

bool pqi_tokens_differ(pqi_tokens *tokens, const pqi_tokens_fresh *fresh)
{
    (void)pthread_rwlock_rdlock(&tokens->lock);
    const bool same = same_entries(tokens->list, fresh->list);
    (void)pthread_rwlock_unlock(&tokens->lock);
    return !same;
}

void pqi_tokens_take(pqi_tokens *tokens, pqi_tokens_fresh *fresh)
{
    if (fresh != NULL) {
        tokens->read = fresh->state;
        use(tokens, fresh->list);
        free(fresh);
    }
}

void pqi_tokens_discard(pqi_tokens_fresh *fresh)
{
    if (fresh != NULL) {
        pqi_token_list_free(fresh->list);
        free(fresh);
    }
}
