#include "identity/rotation.h"

#include "base/values.h"
#include "identity/directory.h"
#include "identity/elsewhere.h"
#include "identity/identity.h"
#include "identity/leaf.h"

#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* ---- the plan as text ---- */

typedef struct plan_line {
    const char *name;
    size_t offset;
    uint64_t max;
} plan_line;

/* Times beyond this year 36812 mean nothing and would make sums overflow. */
#define TIME_MAX (UINT64_C(1) << 40)

static const plan_line plan_lines[] = {
    {"switch_at", offsetof(pqi_rotation_plan, switch_at), TIME_MAX},
    {"keep", offsetof(pqi_rotation_plan, keep), PQI_ROTATION_KEEP_MAX},
    {"drop_at", offsetof(pqi_rotation_plan, drop_at), TIME_MAX + PQI_ROTATION_KEEP_MAX},
};
/* Only in a plan that a node made by itself. */
static const plan_line by_age_line = {"by_age", offsetof(pqi_rotation_plan, by_age),
                                      PQI_ROTATION_DAYS_MAX};
static const plan_line since_line = {"since", 0, TIME_MAX};
#define PLAN_LINES (sizeof(plan_lines) / sizeof(plan_lines[0]))

void pqi_rotation_plan_format(const pqi_rotation_plan *plan, char *out, size_t size)
{
    const int used = snprintf(out, size,
                              "switch_at %" PRIu64 "\n"
                              "keep %" PRIu64 "\n"
                              "drop_at %" PRIu64 "\n",
                              plan->switch_at, plan->keep, plan->drop_at);
    if (plan->by_age != 0 && used > 0 && (size_t)used < size) {
        (void)snprintf(out + used, size - (size_t)used, "by_age %" PRIu64 "\n", plan->by_age);
    }
}

/* Reads "name number" and its end of line; moves *text behind it. */
static bool parse_line(const char **text, const plan_line *line, uint64_t *out)
{
    char digits[24];
    const size_t name_len = strlen(line->name);
    if (strncmp(*text, line->name, name_len) != 0 || (*text)[name_len] != ' ') {
        return false;
    }
    const char *number = *text + name_len + 1;
    const size_t len = strcspn(number, "\n");
    if (number[len] != '\n' || len >= sizeof(digits)) {
        return false;
    }
    memcpy(digits, number, len);
    digits[len] = '\0';
    *text = number + len + 1;
    return pqi_number_parse(out, digits, 0, line->max, NULL) == PQL_OK;
}

pql_status pqi_rotation_plan_parse(pqi_rotation_plan *out, const char *text, pql_error *err)
{
    pqi_rotation_plan plan = {0};
    bool ok = true;
    for (size_t i = 0; ok && i < PLAN_LINES; i++) {
        ok = parse_line(&text, &plan_lines[i], (uint64_t *)((char *)&plan + plan_lines[i].offset));
    }
    if (ok && *text != '\0') {
        ok = parse_line(&text, &by_age_line, &plan.by_age) && plan.by_age != 0;
    }
    *out = ok && *text == '\0' ? plan : (pqi_rotation_plan){0};
    return ok && *text == '\0'
               ? PQL_OK
               : pqi_fail(err, PQL_E_IDENTITY, "The plan of the rotation is not what '%s' writes.",
                          "pqlink rotate prepare");
}

void pqi_rotation_since_format(uint64_t since, char *out, size_t size)
{
    (void)snprintf(out, size, "since %" PRIu64 "\n", since < TIME_MAX ? since : TIME_MAX);
}

pql_status pqi_rotation_since_parse(uint64_t *out, const char *text, pql_error *err)
{
    const bool ok = parse_line(&text, &since_line, out) && *text == '\0';
    if (!ok) {
        *out = 0;
        return pqi_fail(err, PQL_E_IDENTITY, "It is not one line 'since NUMBER'.");
    }
    return PQL_OK;
}

/* What cannot be read is as good as what is not there: the age is then not known, and nothing else
 * hangs on it. */
static uint64_t read_since(const char *dir, const char *name)
{
    char text[PQI_IDENTITY_NOTE_MAX];
    uint64_t since = 0;
    if (pqi_identity_note_read(dir, name, PQI_IDENTITY_SINCE, text, NULL) == PQL_OK) {
        (void)pqi_rotation_since_parse(&since, text, NULL);
    }
    return since;
}

static pql_status write_since(const char *dir, const char *name, uint64_t since, pql_error *err)
{
    char text[PQI_IDENTITY_NOTE_MAX];
    pqi_rotation_since_format(since, text, sizeof(text));
    const pqi_identity_note note = {.file = PQI_IDENTITY_SINCE, .text = text};
    return pqi_identity_note_write(dir, name, &note, err);
}

static pql_status write_plan(const char *dir, const char *name, const pqi_rotation_plan *plan,
                             pql_error *err)
{
    char text[PQI_IDENTITY_NOTE_MAX];
    pqi_rotation_plan_format(plan, text, sizeof(text));
    const pqi_identity_note note = {.file = PQI_IDENTITY_PLAN, .text = text};
    return pqi_identity_note_write(dir, name, &note, err);
}

static pql_status read_plan(pqi_rotation_plan *out, const char *dir, const char *name,
                            pql_error *err)
{
    char text[PQI_IDENTITY_NOTE_MAX];
    pql_status status = pqi_identity_note_read(dir, name, PQI_IDENTITY_PLAN, text, err);
    if (status == PQL_OK) {
        status = pqi_rotation_plan_parse(out, text, err);
    }
    return status == PQL_OK
               ? PQL_OK
               : pqi_fail_context(err, status == PQL_E_NOT_FOUND ? PQL_E_IDENTITY : status,
                                  "%s/%s/" PQI_IDENTITY_PLAN, dir, name);
}

/* ---- a switch, and the rest of one ---- */

/* True when a switch was decided and its renames are not all done. */
static bool is_unfinished(const char *dir)
{
    pqi_rotation_plan plan = {0};
    return pqi_identity_is_there(dir, PQI_IDENTITY_NEXT) &&
           read_plan(&plan, dir, PQI_IDENTITY_NEXT, NULL) == PQL_OK && plan.drop_at != 0;
}

/* Steps 2 and 3, those of them that are still to do.  Under the lock. */
static pql_status do_renames(const char *dir, pql_error *err)
{
    pql_status status = PQL_OK;
    if (pqi_identity_is_there(dir, PQI_IDENTITY_CURRENT)) {
        status = pqi_identity_move(dir, PQI_IDENTITY_CURRENT, PQI_IDENTITY_PREVIOUS, err);
    }
    if (status == PQL_OK) {
        status = pqi_identity_move(dir, PQI_IDENTITY_NEXT, PQI_IDENTITY_CURRENT, err);
    }
    return status;
}

/* An identity that is gone is not made anew while parts of a rotation tell that there was one. */
static pql_status check_current(const char *dir, pql_error *err)
{
    const bool next = pqi_identity_is_there(dir, PQI_IDENTITY_NEXT);
    const bool previous = pqi_identity_is_there(dir, PQI_IDENTITY_PREVIOUS);
    if (pqi_identity_is_there(dir, PQI_IDENTITY_CURRENT) || (!next && !previous)) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_IDENTITY,
                    "%s/" PQI_IDENTITY_CURRENT " is missing, but %s/%s is there. Restore the "
                    "identity from a backup, or move both away to make a new one (peers that "
                    "pinned the old one must then be told).",
                    dir, dir, next ? PQI_IDENTITY_NEXT : PQI_IDENTITY_PREVIOUS);
}

pql_status pqi_rotation_enter(const char *dir, bool alone, int *fd, pql_error *err)
{
    pql_status status = pqi_identity_lock(dir, alone, fd, err);
    if (status == PQL_OK && is_unfinished(dir) && !alone) {
        (void)close(*fd);
        status = pqi_identity_lock(dir, true, fd, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    if (is_unfinished(dir)) { /* still: another process may have been first */
        status = do_renames(dir, err);
    }
    if (status == PQL_OK) {
        status = check_current(dir, err);
    }
    if (status != PQL_OK) {
        (void)close(*fd);
        *fd = -1;
    }
    return status;
}

/* ---- reading ---- */

/* One step of FNV-1a over the bytes of |value|. */
static uint64_t mix(uint64_t digest, uint64_t value)
{
    for (unsigned i = 0; i < sizeof(value); i++) {
        digest = (digest ^ (uint8_t)(value >> (8 * i))) * UINT64_C(0x100000001b3);
    }
    return digest;
}

uint64_t pqi_rotation_mark(const char *dir)
{
    static const char *const names[] = {PQI_IDENTITY_CURRENT, PQI_IDENTITY_NEXT,
                                        PQI_IDENTITY_PREVIOUS};
    uint64_t digest = UINT64_C(0xcbf29ce484222325);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        char path[PATH_MAX];
        struct stat st = {0};
        const int need = snprintf(path, sizeof(path), "%s/%s", dir, names[i]);
        if (need < 0 || (size_t)need >= sizeof(path) || stat(path, &st) != 0) {
            st = (struct stat){0};
        }
        digest = mix(digest, st.st_ino);
        digest = mix(digest, (uint64_t)st.st_ctim.tv_sec);
        digest = mix(digest, (uint64_t)st.st_ctim.tv_nsec);
    }
    return digest;
}

static pql_status load_one(pql_identity **out, const char *dir, const char *name,
                           const pqi_identity_keys *keys, pql_error *err)
{
    pqi_leaf leaves[2] = {{0}, {0}};
    const pql_status status = pqi_identity_load(dir, name, keys, leaves, err);
    return status == PQL_OK ? pqi_identity_of_leaves(out, leaves, err) : status;
}

/* The two that are not in use.  Nobody is to be kept from starting by them without being told how
 * to get rid of them. */
static pql_status load_next(pqi_rotation *out, const char *dir, const pqi_identity_keys *keys,
                            pql_error *err)
{
    pql_status status = load_one(&out->next, dir, PQI_IDENTITY_NEXT, keys, err);
    if (status == PQL_OK) {
        status = read_plan(&out->plan, dir, PQI_IDENTITY_NEXT, err);
    }
    return status == PQL_OK ? PQL_OK
                            : pqi_fail_context(err, status,
                                               "The next identity cannot be used ('pqlink rotate "
                                               "cancel' drops it)");
}

static pql_status load_previous(pqi_rotation *out, const char *dir, const pqi_identity_keys *keys,
                                pql_error *err)
{
    const pql_status status = load_one(&out->previous, dir, PQI_IDENTITY_PREVIOUS, keys, err);
    if (status != PQL_OK) {
        return pqi_fail_context(err, status,
                                "The previous identity cannot be used ('pqlink rotate finish' "
                                "drops it)");
    }
    if (out->next == NULL) {
        (void)read_plan(&out->plan, dir, PQI_IDENTITY_CURRENT, NULL);
    }
    return PQL_OK;
}

/* Under the lock. */
static pql_status load_all(pqi_rotation *out, const char *dir, const pqi_identity_keys *keys,
                           pql_error *err)
{
    pql_status status = load_one(&out->current, dir, PQI_IDENTITY_CURRENT, keys, err);
    if (status == PQL_E_NOT_FOUND) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "There is no identity in %s. Make one with 'pqlink keygen', or "
                        "restore %s/" PQI_IDENTITY_CURRENT " from a backup.",
                        dir, dir);
    }
    out->since = read_since(dir, PQI_IDENTITY_CURRENT);
    if (status == PQL_OK && pqi_identity_is_there(dir, PQI_IDENTITY_NEXT)) {
        status = load_next(out, dir, keys, err);
    }
    if (status == PQL_OK && pqi_identity_is_there(dir, PQI_IDENTITY_PREVIOUS)) {
        status = load_previous(out, dir, keys, err);
    }
    return status;
}

pql_status pqi_rotation_load(pqi_rotation *out, const char *dir, const pqi_identity_keys *keys,
                             pql_error *err)
{
    int fd = -1;
    *out = (pqi_rotation){0};
    pqi_identity_sweep(dir);
    pql_status status = pqi_rotation_enter(dir, false, &fd, err);
    if (status == PQL_E_NOT_FOUND) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "There is no directory %s. Make an identity with 'pqlink keygen'.", dir);
    }
    if (status != PQL_OK) {
        return status;
    }
    status = load_all(out, dir, keys, err);
    out->mark = pqi_rotation_mark(dir);
    (void)close(fd);
    if (status != PQL_OK) {
        pqi_rotation_clear(out);
    }
    return status;
}

void pqi_rotation_clear(pqi_rotation *rotation)
{
    pql_identity_free(rotation->current);
    pql_identity_free(rotation->next);
    pql_identity_free(rotation->previous);
    *rotation = (pqi_rotation){0};
}

/* ---- changing ---- */

/* One leaf of the next identity. */
static pql_status make_leaf(pqi_leaf *leaf, const pqi_leaf *old, pql_leaf which, bool change,
                            const pqi_rotation_opts *opts, pql_error *err)
{
    if (!change) {
        pqi_leaf_copy(leaf, old);
        return PQL_OK;
    }
    if (opts->keep_key) {
        (void)EVP_PKEY_up_ref(old->key);
        return pqi_leaf_certify(leaf, which, old->key, opts->self_signed, err);
    }
    const pql_identity_opts how = {.sign =
                                       opts->sign != NULL ? *opts->sign : pqi_key_sign_of(old->key),
                                   .self_signed = opts->self_signed};
    return pqi_leaf_make(leaf, which, &how, err);
}

/* Makes the next identity from |old| and stores it.  Under the lock. */
static pql_status make_next(const char *dir, const pqi_identity_keys *keys, const pqi_leaf old[2],
                            const pqi_rotation_opts *opts, pql_error *err)
{
    pqi_leaf leaves[2] = {{0}, {0}};
    pqi_rotation_plan plan = opts->plan;
    plan.drop_at = 0;
    char text[PQI_IDENTITY_NOTE_MAX];
    pqi_rotation_plan_format(&plan, text, sizeof(text));
    const pqi_identity_note note = {.file = PQI_IDENTITY_PLAN, .text = text};
    pql_status status =
        make_leaf(&leaves[PQL_LEAF_PQ], &old[PQL_LEAF_PQ], PQL_LEAF_PQ, opts->pq, opts, err);
    if (status == PQL_OK) {
        status = make_leaf(&leaves[PQL_LEAF_CLASSICAL], &old[PQL_LEAF_CLASSICAL],
                           PQL_LEAF_CLASSICAL, opts->classical, opts, err);
    }
    if (status == PQL_OK) {
        status = pqi_identity_store(dir, PQI_IDENTITY_NEXT, keys, leaves, &note, err);
    }
    pqi_leaf_clear(&leaves[PQL_LEAF_PQ]);
    pqi_leaf_clear(&leaves[PQL_LEAF_CLASSICAL]);
    return status;
}

static pql_status check_plan(const pqi_rotation_plan *plan, pql_error *err)
{
    if (plan->keep == 0 || plan->keep > PQI_ROTATION_KEEP_MAX || plan->switch_at > TIME_MAX ||
        plan->drop_at > TIME_MAX || plan->by_age > PQI_ROTATION_DAYS_MAX) {
        return pqi_fail(err, PQL_E_USAGE,
                        "The old identity is kept for one second to ten years after the switch.");
    }
    return PQL_OK;
}

static pql_status check_opts(const pqi_rotation_opts *opts, pql_error *err)
{
    if (!opts->pq && !opts->classical) {
        return pqi_fail(err, PQL_E_USAGE, "A rotation that changes no leaf is none.");
    }
    return check_plan(&opts->plan, err);
}

static pql_status check_free(const char *dir, pql_error *err)
{
    if (pqi_identity_is_there(dir, PQI_IDENTITY_NEXT)) {
        return pqi_fail(err, PQL_E_EXISTS,
                        "A next identity is prepared in %s already. 'pqlink rotate status' shows "
                        "it, 'pqlink rotate cancel' drops it.",
                        dir);
    }
    if (pqi_identity_is_there(dir, PQI_IDENTITY_PREVIOUS)) {
        return pqi_fail(err, PQL_E_EXISTS,
                        "The overlap of the last rotation lasts in %s: the previous identity is "
                        "still accepted. 'pqlink rotate finish' ends it.",
                        dir);
    }
    return PQL_OK;
}

pql_status pqi_rotation_check_owner(const char *dir, pql_error *err)
{
    struct stat st;
    char path[PATH_MAX];
    const int need = snprintf(path, sizeof(path), "%s/" PQI_IDENTITY_CURRENT, dir);
    if (need > 0 && (size_t)need < sizeof(path) && stat(path, &st) == 0 && st.st_uid != geteuid()) {
        return pqi_fail(err, PQL_E_IDENTITY,
                        "%s belongs to the user with the number %u. Run this as that user, for "
                        "example with 'sudo -u'; else the node could not read the new keys.",
                        path, (unsigned)st.st_uid);
    }
    return PQL_OK;
}

static bool same_plan(const pqi_rotation_plan *a, const pqi_rotation_plan *b)
{
    return a->switch_at == b->switch_at && a->keep == b->keep && a->drop_at == b->drop_at &&
           a->by_age == b->by_age;
}

/* Whoever decided by what was read before must not act on what came since: a time that was moved,
 * or another identity under the same name.  Under the lock. */
static pql_status check_expected(const pqi_rotation *all, const pqi_rotation *expected,
                                 pql_error *err)
{
    if (expected == NULL || (pqi_rotation_same(all->current, expected->current) &&
                             pqi_rotation_same_or_none(all->next, expected->next) &&
                             pqi_rotation_same_or_none(all->previous, expected->previous) &&
                             same_plan(&all->plan, &expected->plan))) {
        return PQL_OK;
    }
    return pqi_fail(err, PQL_E_STATE,
                    "The rotation was changed meanwhile. Look at it again with 'pqlink rotate "
                    "status'.");
}

pql_status pqi_rotation_prepare(const char *dir, const pqi_identity_keys *keys,
                                const pqi_rotation_opts *opts, pql_error *err)
{
    if (pqi_keys_holder() != NULL) {
        return pqi_fail(err, PQL_E_STATE,
                        "Private keys are in a process of their own (--key-process), so the next "
                        "identity is made with 'pqlink rotate prepare'.");
    }
    pqi_rotation now = {0};
    int fd = -1;
    pql_status status = check_opts(opts, err);
    if (status == PQL_OK) {
        status = pqi_rotation_enter(dir, true, &fd, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    status = pqi_rotation_check_owner(dir, err);
    if (status == PQL_OK) {
        status = check_free(dir, err);
    }
    if (status == PQL_OK) {
        status = load_all(&now, dir, keys, err);
    }
    if (status == PQL_OK) {
        status = check_expected(&now, opts->expected, err);
    }
    if (status == PQL_OK) {
        status = make_next(dir, keys, pqi_identity_leaves(now.current), opts, err);
    }
    pqi_rotation_clear(&now);
    (void)close(fd);
    return status;
}

static bool same_key(const pql_identity *a, const pql_identity *b)
{
    pql_fingerprint of_a;
    pql_fingerprint of_b;
    pql_identity_fingerprint(a, PQL_LEAF_PQ, PQL_FINGERPRINT_SPKI, &of_a);
    pql_identity_fingerprint(b, PQL_LEAF_PQ, PQL_FINGERPRINT_SPKI, &of_b);
    return memcmp(of_a.sha256, of_b.sha256, sizeof(of_a.sha256)) == 0;
}

/* Step 1, and before it the note of the age, which means nothing while nothing is decided.  A key
 * that goes on being used does not become younger.  Under the lock. */
static pql_status decide(const char *dir, const pqi_rotation *all, uint64_t now, pql_error *err)
{
    pqi_rotation_plan plan = all->plan;
    const uint64_t since = same_key(all->current, all->next) ? all->since : now;
    plan.drop_at = (now < TIME_MAX ? now : TIME_MAX) + plan.keep;
    const pql_status status = since == 0 ? PQL_OK : write_since(dir, PQI_IDENTITY_NEXT, since, err);
    return status == PQL_OK ? write_plan(dir, PQI_IDENTITY_NEXT, &plan, err) : status;
}

pql_status pqi_rotation_switch(const char *dir, const pqi_identity_keys *keys, uint64_t now,
                               const pqi_rotation *expected, pql_error *err)
{
    pqi_rotation all = {0};
    int fd = -1;
    pql_status status = pqi_rotation_enter(dir, true, &fd, err);
    if (status != PQL_OK) {
        return status;
    }
    status = load_all(&all, dir, keys, err); /* what cannot be used must not be taken */
    if (status == PQL_OK && all.next == NULL) {
        status = pqi_fail(err, PQL_E_NOT_FOUND,
                          "No next identity is prepared in %s: run 'pqlink rotate prepare'.", dir);
    }
    if (status == PQL_OK && all.previous != NULL) {
        status = pqi_fail(err, PQL_E_IDENTITY,
                          "Both %s/" PQI_IDENTITY_NEXT " and %s/" PQI_IDENTITY_PREVIOUS
                          " are there. Run 'pqlink rotate finish' or 'pqlink rotate cancel' first.",
                          dir, dir);
    }
    if (status == PQL_OK) {
        status = check_expected(&all, expected, err);
    }
    if (status == PQL_OK) {
        status = decide(dir, &all, now, err);
    }
    if (status == PQL_OK) {
        status = do_renames(dir, err);
    }
    pqi_rotation_clear(&all);
    (void)close(fd);
    return status;
}

/* Under the lock. */
static pql_status check_still(const char *dir, const pqi_rotation *expected, pql_error *err)
{
    pqi_rotation all = {0};
    pql_status status = load_all(&all, dir, &(pqi_identity_keys){.left_out = true}, err);
    if (status == PQL_OK) {
        status = check_expected(&all, expected, err);
    }
    pqi_rotation_clear(&all);
    return status;
}

pql_status pqi_rotation_plan_set(const char *dir, const pqi_rotation_plan *plan,
                                 const pqi_rotation *expected, pql_error *err)
{
    int fd = -1;
    pql_status status = check_plan(plan, err);
    if (status == PQL_OK) {
        status = pqi_rotation_enter(dir, true, &fd, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    status = check_still(dir, expected, err);
    if (status == PQL_OK) {
        status = write_plan(dir, expected->next != NULL ? PQI_IDENTITY_NEXT : PQI_IDENTITY_CURRENT,
                            plan, err);
    }
    (void)close(fd);
    return status;
}

pql_status pqi_rotation_since_set(const char *dir, uint64_t since, const pqi_rotation *expected,
                                  pql_error *err)
{
    int fd = -1;
    pql_status status = pqi_rotation_enter(dir, true, &fd, err);
    if (status != PQL_OK) {
        return status;
    }
    status = check_still(dir, expected, err);
    if (status == PQL_OK) {
        status = write_since(dir, PQI_IDENTITY_CURRENT, since, err);
    }
    (void)close(fd);
    return status;
}

/* Removes one of the two that may go.  Without |expected| nothing is read: what cannot be used is
 * dropped like this. */
static pql_status drop(const char *dir, const char *name, const char *missing,
                       const pqi_rotation *expected, pql_error *err)
{
    int fd = -1;
    pql_status status = pqi_rotation_enter(dir, true, &fd, err);
    if (status != PQL_OK) {
        return status;
    }
    if (!pqi_identity_is_there(dir, name)) {
        status = pqi_fail(err, PQL_E_NOT_FOUND, "%s in %s.", missing, dir);
    }
    if (status == PQL_OK && expected != NULL) {
        status = check_still(dir, expected, err);
    }
    if (status == PQL_OK) {
        status = pqi_identity_remove(dir, name, err);
    }
    (void)close(fd);
    return status;
}

pql_status pqi_rotation_cancel(const char *dir, pql_error *err)
{
    return drop(dir, PQI_IDENTITY_NEXT, "No next identity is prepared", NULL, err);
}

pql_status pqi_rotation_finish(const char *dir, const pqi_rotation *expected, pql_error *err)
{
    return drop(dir, PQI_IDENTITY_PREVIOUS, "No previous identity is kept", expected, err);
}

/* ---- comparing ---- */

bool pqi_rotation_same_leaf(const pql_identity *a, const pql_identity *b, pql_leaf leaf)
{
    pql_fingerprint of_a;
    pql_fingerprint of_b;
    pql_identity_fingerprint(a, leaf, PQL_FINGERPRINT_CERT, &of_a);
    pql_identity_fingerprint(b, leaf, PQL_FINGERPRINT_CERT, &of_b);
    return memcmp(of_a.sha256, of_b.sha256, sizeof(of_a.sha256)) == 0;
}

bool pqi_rotation_same(const pql_identity *a, const pql_identity *b)
{
    return pqi_rotation_same_leaf(a, b, PQL_LEAF_PQ) &&
           pqi_rotation_same_leaf(a, b, PQL_LEAF_CLASSICAL);
}

bool pqi_rotation_same_or_none(const pql_identity *a, const pql_identity *b)
{
    return a == NULL || b == NULL ? a == b : pqi_rotation_same(a, b);
}
