#include "caps/keys.h"

#include "base/buf.h"
#include "base/conf.h"
#include "base/file.h"
#include "base/hex.h"
#include "base/secret.h"
#include "crypto/random.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define REVOKED_TABLE "revoked"
#define FILE_MODE 0600
/* Nobody outside of the group reads it, nobody but the owner writes it. */
#define MODE_REFUSED ((mode_t)(S_IRWXO | S_IWGRP))
#define RANDOM_KID_BYTES 6
#define KID_PREFIX "cap-"

static const char state_current[] = "current";
static const char state_previous[] = "previous";

typedef struct algorithm_name {
    const char *name;
    pqi_cap_algorithm algorithm;
} algorithm_name;

static const algorithm_name algorithms[] = {{"ed25519+ml-dsa-65", PQI_CAP_ML_DSA_65},
                                            {"ed25519+slh-dsa-sha2-192s", PQI_CAP_SLH_DSA_192S}};
#define ALGORITHM_COUNT (sizeof(algorithms) / sizeof(algorithms[0]))

size_t pqi_cap_pq_public_size(pqi_cap_algorithm algorithm)
{
    return algorithm == PQI_CAP_ML_DSA_65 ? PQI_ML_DSA_65_PUBLIC_SIZE : PQI_SLH_DSA_PUBLIC_SIZE;
}

size_t pqi_cap_pq_private_size(pqi_cap_algorithm algorithm)
{
    return algorithm == PQI_CAP_ML_DSA_65 ? PQI_ML_DSA_65_SEED_SIZE : PQI_SLH_DSA_PRIVATE_SIZE;
}

/* A kid is a bare key of TOML: no point in it. */
static bool kid_ok(const char *kid)
{
    return pqi_cap_name_ok(kid, strlen(kid)) && strchr(kid, '.') == NULL &&
           strcmp(kid, REVOKED_TABLE) != 0;
}

/* ---- Making ---- */

static pql_status make_pq(pqi_cap_key *key, pql_error *err)
{
    if (key->algorithm == PQI_CAP_SLH_DSA_192S) {
        return pqi_slh_dsa_make(key->pq_public, key->pq_private, err);
    }
    pqi_random(key->pq_private, PQI_ML_DSA_65_SEED_SIZE);
    return pqi_ml_dsa_65_public(key->pq_public, key->pq_private)
               ? PQL_OK
               : pqi_fail(err, PQL_E_CRYPTO, "An ML-DSA-65 key could not be made.");
}

static void make_kid(char out[PQI_CAP_NAME_MAX + 1])
{
    uint8_t random[RANDOM_KID_BYTES];
    pqi_random(random, sizeof(random));
    memcpy(out, KID_PREFIX, sizeof(KID_PREFIX));
    pqi_hex_encode(out + sizeof(KID_PREFIX) - 1, random, sizeof(random));
}

static pql_status make_names(pqi_cap_key *key, const char *kid, const char *tenant, pql_error *err)
{
    if (!pqi_cap_name_ok(tenant, strlen(tenant))) {
        return pqi_fail(err, PQL_E_USAGE,
                        "A tenant has 1 to %d characters of a-z A-Z 0-9 . _ and -.",
                        PQI_CAP_NAME_MAX);
    }
    if (kid != NULL && !kid_ok(kid)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "A key id has 1 to %d characters of a-z A-Z 0-9 _ and -, and is not "
                        "'" REVOKED_TABLE "'.",
                        PQI_CAP_NAME_MAX);
    }
    memcpy(key->tenant, tenant, strlen(tenant) + 1);
    if (kid != NULL) {
        memcpy(key->kid, kid, strlen(kid) + 1);
    } else {
        make_kid(key->kid);
    }
    return PQL_OK;
}

pql_status pqi_cap_key_make(pqi_cap_key *out, const char *kid, const char *tenant,
                            pqi_cap_algorithm algorithm, pql_error *err)
{
    *out = (pqi_cap_key){.current = true, .algorithm = algorithm};
    pql_status status = make_names(out, kid, tenant, err);
    if (status == PQL_OK && algorithm != PQI_CAP_UNSIGNED) {
        out->has_private = true;
        pqi_random(out->ed25519_private, sizeof(out->ed25519_private));
        pqi_ed25519_public(out->ed25519_public, out->ed25519_private);
        status = make_pq(out, err);
    }
    pqi_random(out->root, sizeof(out->root));
    if (status != PQL_OK) {
        pqi_secret_wipe(out, sizeof(*out));
    }
    return status;
}

/* ---- The set ---- */

const pqi_cap_key *pqi_cap_keys_find(const pqi_cap_keys *keys, const void *kid, size_t len)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (strlen(keys->keys[i].kid) == len && memcmp(keys->keys[i].kid, kid, len) == 0) {
            return &keys->keys[i];
        }
    }
    return NULL;
}

static int by_nonce(const void *a, const void *b)
{
    const pqi_cap_revoked *left = a;
    const pqi_cap_revoked *right = b;
    return memcmp(left->nonce, right->nonce, sizeof(left->nonce));
}

bool pqi_cap_keys_revoked(const pqi_cap_keys *keys, const uint8_t nonce[PQI_CAP_NONCE_SIZE])
{
    pqi_cap_revoked wanted = {0};
    memcpy(wanted.nonce, nonce, sizeof(wanted.nonce));
    return keys->revoked_count > 0 &&
           bsearch(&wanted, keys->revoked, keys->revoked_count, sizeof(wanted), by_nonce) != NULL;
}

/* Room for one key more; the old array is wiped. */
static pql_status grow(pqi_cap_keys *keys, pql_error *err)
{
    if (keys->count == PQI_CAP_KEYS_MAX) {
        return pqi_fail(err, PQL_E_LIMIT, "A file has at most %d keys.", PQI_CAP_KEYS_MAX);
    }
    pqi_cap_key *more = calloc(keys->count + 1, sizeof(*more));
    if (more == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory keeping keys.");
    }
    if (keys->count > 0) {
        memcpy(more, keys->keys, keys->count * sizeof(*more));
    }
    pqi_secret_free(keys->keys, keys->count * sizeof(*more));
    keys->keys = more;
    return PQL_OK;
}

static void drop(pqi_cap_keys *keys, size_t index)
{
    memmove(&keys->keys[index], &keys->keys[index + 1],
            (keys->count - index - 1) * sizeof(*keys->keys));
    keys->count--;
    pqi_secret_wipe(&keys->keys[keys->count], sizeof(*keys->keys));
}

pql_status pqi_cap_keys_add(pqi_cap_keys *keys, const pqi_cap_key *key, pql_error *err)
{
    if (pqi_cap_keys_find(keys, key->kid, strlen(key->kid)) != NULL) {
        return pqi_fail(err, PQL_E_EXISTS, "There is a key '%s' already; choose another --kid.",
                        key->kid);
    }
    const pql_status status = grow(keys, err);
    if (status != PQL_OK) {
        return status;
    }
    for (size_t i = keys->count; i-- > 0;) {
        pqi_cap_key *other = &keys->keys[i];
        if (strcmp(other->tenant, key->tenant) == 0 && !other->current) {
            drop(keys, i);
        } else if (strcmp(other->tenant, key->tenant) == 0) {
            other->current = false;
        }
    }
    keys->keys[keys->count++] = *key;
    return PQL_OK;
}

pql_status pqi_cap_keys_revoke_all(pqi_cap_keys *keys, const pqi_cap_keys *from, pql_error *err)
{
    size_t count = keys->revoked_count;
    pqi_cap_revoked *all = calloc(count + from->revoked_count + 1, sizeof(*all));
    if (all == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory keeping keys.");
    }
    if (count > 0) {
        memcpy(all, keys->revoked, count * sizeof(*all));
    }
    for (size_t i = 0; i < from->revoked_count; i++) {
        if (!pqi_cap_keys_revoked(keys, from->revoked[i].nonce)) {
            all[count++] = from->revoked[i];
        }
    }
    if (count > PQI_CAP_REVOKED_MAX) {
        free(all);
        return pqi_fail(err, PQL_E_LIMIT,
                        "More than %d tokens would be revoked: take out those that have expired.",
                        PQI_CAP_REVOKED_MAX);
    }
    qsort(all, count, sizeof(*all), by_nonce);
    free(keys->revoked);
    keys->revoked = all;
    keys->revoked_count = count;
    return PQL_OK;
}

void pqi_cap_keys_clear(pqi_cap_keys *keys)
{
    pqi_secret_free(keys->keys, keys->count * sizeof(*keys->keys));
    free(keys->revoked);
    *keys = (pqi_cap_keys){0};
}

/* ---- Reading ---- */

/* A value and where it stands. */
typedef struct setting {
    const char *file;
    const pqi_conf_entry *entry;
    pql_error *err;
} setting;

static pql_status fail_value(const setting *s, const char *what)
{
    return pqi_fail(s->err, PQL_E_USAGE, "%.200s:%u:%u: the value of %s must be %s.", s->file,
                    s->entry->line, s->entry->column, s->entry->key, what);
}

static pql_status read_hex(const setting *s, uint8_t *out, size_t len)
{
    return s->entry->kind == PQI_CONF_STRING && !s->entry->in_array &&
                   pqi_hex_decode(out, len, s->entry->text, strlen(s->entry->text))
               ? PQL_OK
               : fail_value(s, "hexadecimal digits of the right number");
}

static pql_status read_tenant(const setting *s, pqi_cap_key *key)
{
    const size_t len = strlen(s->entry->text);
    if (s->entry->kind != PQI_CONF_STRING || s->entry->in_array ||
        !pqi_cap_name_ok(s->entry->text, len)) {
        return fail_value(s, "a name of 1 to 32 characters of a-z A-Z 0-9 . _ and -");
    }
    memcpy(key->tenant, s->entry->text, len + 1);
    return PQL_OK;
}

static pql_status read_state(const setting *s, pqi_cap_key *key)
{
    key->current = strcmp(s->entry->text, state_current) == 0;
    return key->current || strcmp(s->entry->text, state_previous) == 0
               ? PQL_OK
               : fail_value(s, "\"current\" or \"previous\"");
}

static pql_status read_algorithm(const setting *s, pqi_cap_key *key)
{
    for (size_t i = 0; i < ALGORITHM_COUNT; i++) {
        if (strcmp(s->entry->text, algorithms[i].name) == 0) {
            key->algorithm = algorithms[i].algorithm;
            return PQL_OK;
        }
    }
    return fail_value(s, "\"ed25519+ml-dsa-65\" or \"ed25519+slh-dsa-sha2-192s\"");
}

static pql_status read_require(const setting *s, pqi_cap_key *key)
{
    if (s->entry->kind != PQI_CONF_BOOLEAN || s->entry->in_array) {
        return fail_value(s, "true or false");
    }
    key->require_signature = strcmp(s->entry->text, "true") == 0;
    return PQL_OK;
}

/* What a key has, as bits of what was seen. */
enum {
    HAS_TENANT = 1,
    HAS_STATE = 2,
    HAS_ROOT = 4,
    HAS_ALGORITHM = 8,
    HAS_ED_PUBLIC = 16,
    HAS_PQ_PUBLIC = 32,
    HAS_ED_PRIVATE = 64,
    HAS_PQ_PRIVATE = 128
};
#define HAS_ALWAYS (HAS_TENANT | HAS_STATE | HAS_ROOT)
#define HAS_PUBLIC (HAS_ALGORITHM | HAS_ED_PUBLIC | HAS_PQ_PUBLIC)
#define HAS_PRIVATE (HAS_ED_PRIVATE | HAS_PQ_PRIVATE)

/* Puts one value in.  The algorithm stands before the keys that it is about. */
static pql_status read_member(const setting *s, pqi_cap_key *key, unsigned *seen)
{
    const char *name = s->entry->key;
    if (strcmp(name, "tenant") == 0) {
        *seen |= HAS_TENANT;
        return read_tenant(s, key);
    }
    if (strcmp(name, "state") == 0) {
        *seen |= HAS_STATE;
        return read_state(s, key);
    }
    if (strcmp(name, "root") == 0) {
        *seen |= HAS_ROOT;
        return read_hex(s, key->root, sizeof(key->root));
    }
    if (strcmp(name, "require_signature") == 0) {
        return read_require(s, key);
    }
    if (strcmp(name, "sign") == 0) {
        *seen |= HAS_ALGORITHM;
        return read_algorithm(s, key);
    }
    if (strcmp(name, "ed25519_public") == 0) {
        *seen |= HAS_ED_PUBLIC;
        return read_hex(s, key->ed25519_public, sizeof(key->ed25519_public));
    }
    if (strcmp(name, "pq_public") == 0) {
        *seen |= HAS_PQ_PUBLIC;
        return read_hex(s, key->pq_public, pqi_cap_pq_public_size(key->algorithm));
    }
    if (strcmp(name, "ed25519_private") == 0) {
        *seen |= HAS_ED_PRIVATE;
        return read_hex(s, key->ed25519_private, sizeof(key->ed25519_private));
    }
    if (strcmp(name, "pq_private") == 0) {
        *seen |= HAS_PQ_PRIVATE;
        return read_hex(s, key->pq_private, pqi_cap_pq_private_size(key->algorithm));
    }
    return pqi_fail(s->err, PQL_E_USAGE, "%.200s:%u:%u: a key has no setting '%.64s'.", s->file,
                    s->entry->line, s->entry->key_column, name);
}

static pql_status check_members(const char *file, const pqi_cap_key *key, unsigned seen,
                                pql_error *err)
{
    const unsigned keys = seen & (HAS_PUBLIC | HAS_PRIVATE);
    if ((seen & HAS_ALWAYS) != HAS_ALWAYS) {
        return pqi_fail(err, PQL_E_USAGE, "%.200s: the key '%s' needs tenant, state and root.",
                        file, key->kid);
    }
    if (keys != 0 && keys != HAS_PUBLIC && keys != (HAS_PUBLIC | HAS_PRIVATE)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "%.200s: the key '%s' needs sign, ed25519_public and pq_public together, "
                        "and ed25519_private and pq_private together.",
                        file, key->kid);
    }
    if (keys == 0 && key->require_signature) {
        return pqi_fail(err, PQL_E_USAGE,
                        "%.200s: the key '%s' has require_signature but nothing to verify "
                        "signatures with.",
                        file, key->kid);
    }
    return PQL_OK;
}

/* Reads the entries of one table, from |at| (the table's own) on; *next is the first behind. */
static pql_status read_key(pqi_cap_keys *out, const pqi_conf *conf, size_t at, size_t *next,
                           pql_error *err)
{
    pqi_cap_key key = {.algorithm = PQI_CAP_UNSIGNED};
    unsigned seen = 0;
    const char *kid = conf->entries[at].table;
    pql_status status = PQL_OK;
    if (!kid_ok(kid)) {
        return pqi_fail(err, PQL_E_USAGE, "%.200s:%u: '%.64s' is no key id.", conf->file,
                        conf->entries[at].line, kid);
    }
    memcpy(key.kid, kid, strlen(kid) + 1);
    for (at++; status == PQL_OK && at < conf->count && conf->entries[at].kind != PQI_CONF_TABLE;
         at++) {
        const setting s = {conf->file, &conf->entries[at], err};
        if ((strcmp(s.entry->key, "pq_public") == 0 || strcmp(s.entry->key, "pq_private") == 0) &&
            key.algorithm == PQI_CAP_UNSIGNED) {
            status = fail_value(&s, "behind that of sign");
        } else {
            status = read_member(&s, &key, &seen);
        }
    }
    *next = at;
    if (status == PQL_OK) {
        key.has_private = (seen & HAS_PRIVATE) == HAS_PRIVATE;
        status = check_members(conf->file, &key, seen, err);
    }
    if (status == PQL_OK) {
        status = grow(out, err);
    }
    if (status == PQL_OK) {
        out->keys[out->count++] = key;
    }
    pqi_secret_wipe(&key, sizeof(key));
    return status;
}

static bool note_ok(const char *note)
{
    for (const char *c = note; *c != '\0'; c++) {
        if (*c < ' ' || *c > '~') {
            return false;
        }
    }
    return strlen(note) < PQI_CAP_NOTE_SIZE;
}

static pql_status read_revoked(pqi_cap_keys *out, const pqi_conf *conf, size_t at, size_t *next,
                               pql_error *err)
{
    out->revoked = calloc(PQI_CAP_REVOKED_MAX, sizeof(*out->revoked));
    if (out->revoked == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory reading %.200s.", conf->file);
    }
    for (at++; at < conf->count && conf->entries[at].kind != PQI_CONF_TABLE; at++) {
        const pqi_conf_entry *e = &conf->entries[at];
        const setting s = {conf->file, e, err};
        if (out->revoked_count == PQI_CAP_REVOKED_MAX) {
            return pqi_fail(err, PQL_E_LIMIT,
                            "%.200s: more than %d tokens are revoked: take out those that have "
                            "expired, or change the key.",
                            conf->file, PQI_CAP_REVOKED_MAX);
        }
        pqi_cap_revoked *r = &out->revoked[out->revoked_count];
        if (!pqi_hex_decode(r->nonce, sizeof(r->nonce), e->key, strlen(e->key))) {
            return pqi_fail(err, PQL_E_USAGE,
                            "%.200s:%u:%u: a revoked token is named by its number: 32 hexadecimal "
                            "digits, as 'pqlink token inspect' shows it.",
                            conf->file, e->line, e->key_column);
        }
        if (e->kind != PQI_CONF_STRING || e->in_array || !note_ok(e->text)) {
            return fail_value(&s, "a note of at most 64 printable ASCII characters");
        }
        memcpy(r->note, e->text, strlen(e->text) + 1);
        out->revoked_count++;
    }
    *next = at;
    qsort(out->revoked, out->revoked_count, sizeof(*out->revoked), by_nonce);
    return PQL_OK;
}

static pql_status check_current(const pqi_cap_keys *keys, const char *file, pql_error *err)
{
    for (size_t i = 0; i < keys->count; i++) {
        for (size_t k = 0; k < i; k++) {
            if (keys->keys[i].current && keys->keys[k].current &&
                strcmp(keys->keys[i].tenant, keys->keys[k].tenant) == 0) {
                return pqi_fail(err, PQL_E_USAGE,
                                "%.200s: '%s' and '%s' are both the current key of '%s'.", file,
                                keys->keys[k].kid, keys->keys[i].kid, keys->keys[i].tenant);
            }
        }
    }
    return PQL_OK;
}

static pql_status read_tables(pqi_cap_keys *out, const pqi_conf *conf, pql_error *err)
{
    pql_status status = PQL_OK;
    for (size_t at = 0; status == PQL_OK && at < conf->count;) {
        const pqi_conf_entry *e = &conf->entries[at];
        if (e->kind != PQI_CONF_TABLE) {
            return pqi_fail(err, PQL_E_USAGE,
                            "%.200s:%u: '%.64s' stands before the first key; a key begins with "
                            "[KID].",
                            conf->file, e->line, e->key);
        }
        status = strcmp(e->table, REVOKED_TABLE) == 0 ? read_revoked(out, conf, at, &at, err)
                                                      : read_key(out, conf, at, &at, err);
    }
    return status == PQL_OK ? check_current(out, conf->file, err) : status;
}

pql_status pqi_cap_keys_parse(pqi_cap_keys *out, const char *file, const void *text, size_t len,
                              pql_error *err)
{
    pqi_conf *conf = NULL;
    *out = (pqi_cap_keys){0};
    pql_status status = pqi_conf_parse(&conf, file, text, len, err);
    if (status == PQL_OK) {
        status = read_tables(out, conf, err);
    }
    if (status != PQL_OK) {
        pqi_cap_keys_clear(out);
    }
    pqi_conf_free(conf);
    return status;
}

static pql_status check_mode(const char *path, pql_error *err)
{
    struct stat st;
    if (stat(path, &st) != 0) {
        return pqi_fail_errno(err, errno == ENOENT ? PQL_E_NOT_FOUND : PQL_E_IO, errno,
                              "Cannot look at the keys in %.200s", path);
    }
    if ((st.st_mode & MODE_REFUSED) == 0) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_IDENTITY,
                    "Others may read or change the keys in %.150s: run 'chmod 600 %.150s' (640 "
                    "where a group has to read it), and think about who had access.",
                    path, path);
}

static pql_status check_algorithms(const pqi_cap_keys *keys, const char *path, pql_error *err)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].algorithm == PQI_CAP_SLH_DSA_192S) {
            const pql_status status = pqi_slh_dsa_check(err);
            return status == PQL_OK ? PQL_OK
                                    : pqi_fail_context(err, status, "The key '%s' in %.150s",
                                                       keys->keys[i].kid, path);
        }
    }
    return PQL_OK;
}

pql_status pqi_cap_keys_load(pqi_cap_keys *out, const char *path, pql_error *err)
{
    uint8_t *text = NULL;
    size_t len = 0;
    *out = (pqi_cap_keys){0};
    pql_status status = check_mode(path, err);
    if (status == PQL_OK) {
        status = pqi_file_read(path, PQI_CONF_FILE_MAX, &text, &len, err);
    }
    if (status == PQL_OK) {
        status = pqi_cap_keys_parse(out, path, text, len, err);
    }
    pqi_secret_free(text, len);
    if (status == PQL_OK) {
        status = check_algorithms(out, path, err);
    }
    if (status != PQL_OK) {
        pqi_cap_keys_clear(out);
    }
    return status;
}

/* ---- Writing ---- */

static bool put_hex(pqi_buf *b, const char *name, const uint8_t *data, size_t len)
{
    char hex[2 * PQI_ML_DSA_65_PUBLIC_SIZE + 1];
    pqi_hex_encode(hex, data, len);
    const bool ok = pqi_buf_printf(b, "%s = \"%s\"\n", name, hex);
    pqi_secret_wipe(hex, sizeof(hex));
    return ok;
}

static const char *algorithm_text(pqi_cap_algorithm algorithm)
{
    return algorithm == PQI_CAP_ML_DSA_65 ? algorithms[0].name : algorithms[1].name;
}

static bool put_key(pqi_buf *b, const pqi_cap_key *key, bool with_private)
{
    bool ok = pqi_buf_printf(b, "\n[%s]\ntenant = \"%s\"\nstate = \"%s\"\n", key->kid, key->tenant,
                             key->current ? state_current : state_previous) &&
              put_hex(b, "root", key->root, sizeof(key->root));
    if (ok && key->algorithm != PQI_CAP_UNSIGNED) {
        ok = pqi_buf_printf(b, "require_signature = %s\nsign = \"%s\"\n",
                            key->require_signature ? "true" : "false",
                            algorithm_text(key->algorithm)) &&
             put_hex(b, "ed25519_public", key->ed25519_public, sizeof(key->ed25519_public)) &&
             put_hex(b, "pq_public", key->pq_public, pqi_cap_pq_public_size(key->algorithm));
    }
    if (ok && key->algorithm != PQI_CAP_UNSIGNED && key->has_private && with_private) {
        ok = put_hex(b, "ed25519_private", key->ed25519_private, sizeof(key->ed25519_private)) &&
             put_hex(b, "pq_private", key->pq_private, pqi_cap_pq_private_size(key->algorithm));
    }
    return ok;
}

/* A note in a basic string of TOML. */
static bool put_note(pqi_buf *b, const char *note)
{
    bool ok = pqi_buf_append(b, "\"", 1);
    for (const char *c = note; ok && *c != '\0'; c++) {
        ok = ((*c != '"' && *c != '\\') || pqi_buf_append(b, "\\", 1)) && pqi_buf_append(b, c, 1);
    }
    return ok && pqi_buf_append(b, "\"\n", 2);
}

static bool put_revoked(pqi_buf *b, const pqi_cap_keys *keys)
{
    bool ok = pqi_buf_printf(b, "\n# Tokens that are no longer good: NUMBER = \"note\"\n"
                                "[" REVOKED_TABLE "]\n");
    for (size_t i = 0; ok && i < keys->revoked_count; i++) {
        char hex[2 * PQI_CAP_NONCE_SIZE + 1];
        pqi_hex_encode(hex, keys->revoked[i].nonce, PQI_CAP_NONCE_SIZE);
        ok = pqi_buf_printf(b, "%s = ", hex) && put_note(b, keys->revoked[i].note);
    }
    return ok;
}

/* What is written must be what the next start can read: the bounds of the file are its reader's. */
static pql_status check_readable(const pqi_buf *b, const char *path, pql_error *err)
{
    pqi_cap_keys back;
    const pql_status status = pqi_cap_keys_parse(&back, path, b->data, b->len, err);
    pqi_cap_keys_clear(&back);
    return status == PQL_OK ? PQL_OK
                            : pqi_fail_context(err, PQL_E_LIMIT, "There are too many keys");
}

pql_status pqi_cap_keys_save(const pqi_cap_keys *keys, const char *path, bool with_private,
                             pql_error *err)
{
    pqi_buf b = {.max = PQI_CONF_FILE_MAX};
    /* All at once: a buffer that grows leaves copies behind. */
    b.data = malloc(PQI_CONF_FILE_MAX + 1);
    b.size = b.data == NULL ? 0 : PQI_CONF_FILE_MAX + 1;
    bool ok = b.data != NULL &&
              pqi_buf_printf(&b, "# Keys of capability tokens: secret.  Who has them can make any "
                                 "token.\n");
    for (size_t i = 0; ok && i < keys->count; i++) {
        ok = put_key(&b, &keys->keys[i], with_private);
    }
    ok = ok && put_revoked(&b, keys);
    pql_status status = ok ? check_readable(&b, path, err)
                           : pqi_fail(err, PQL_E_LIMIT, "The keys do not fit a file of %zu bytes.",
                                      PQI_CONF_FILE_MAX);
    if (status == PQL_OK) {
        status = pqi_file_write_atomic(path, b.data, b.len, FILE_MODE, err);
    }
    pqi_secret_wipe(b.data, b.size);
    pqi_buf_free(&b);
    return status;
}
