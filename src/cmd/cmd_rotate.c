/* pqlink rotate prepare, status, switch, cancel, finish: from one identity to the next, with a time
 * in which miners may have pinned either. */
#include "base/clock.h"
#include "base/error.h"
#include "base/lockdown.h"
#include "cmd/commands.h"
#include "cmd/fingerprint.h"
#include "cmd/passphrase_option.h"
#include "cmd/rotation_age.h"
#include "cmd/rotation_view.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define DAY (24 * 3600 * PQI_NS_PER_SEC)
#define SWITCH_IN_DEFAULT (7 * DAY)
#define MS_PER_SEC 1000

typedef struct rotate_options {
    pqi_dir dir;
    unsigned leaf; /* index into leaf_names */
    unsigned sign; /* index into sign_names */
    bool keep_key;
    bool self_signed;
    uint64_t switch_in; /* ns; 0: not given */
    bool at_given;
    uint64_t switch_at; /* Unix seconds; 0: never by itself */
    uint64_t keep;      /* ns */
    const char *passphrase_file;
    uint64_t days; /* 0: a node does nothing by itself */
    bool json;
    uint64_t by_age; /* days, of a node that does this by itself; 0: somebody typed it */
    bool if_current_given;
    pql_fingerprint if_current; /* else nothing is done */
} rotate_options;

static const char *const leaf_names[] = {"pq", "classical", "both", NULL};
/* After the first in the order of pql_sign. */
static const char *const sign_names[] = {"same", "ml-dsa-87", "ml-dsa-65", "ml-dsa-44", NULL};

static uint64_t now_unix(void)
{
    return pqi_clock_unix_ms() / MS_PER_SEC;
}

static pql_status switch_at_parse(void *options, const char *value, pql_error *err)
{
    rotate_options *o = options;
    o->at_given = true;
    if (strcmp(value, "never") == 0) {
        o->switch_at = 0;
        return PQL_OK;
    }
    if (!pqi_time_parse(&o->switch_at, value)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "It must be a time in UTC such as 2026-12-01T12:00:00Z or 2026-12-01, or "
                        "the word never.");
    }
    return PQL_OK;
}

static pql_status if_current_parse(void *options, const char *value, pql_error *err)
{
    rotate_options *o = options;
    o->if_current_given = true;
    return pql_fingerprint_parse(&o->if_current, value, err);
}

#define DIR_OPTION                                                                                 \
    {.name = "dir",                                                                                \
     .kind = PQI_OPTION_DIR,                                                                       \
     .at = PQI_AT(rotate_options, dir, pqi_dir),                                                   \
     .arg = "DIR",                                                                                 \
     .help = "Directory of this endpoint's state, as given to keygen and node.",                   \
     .env = "PQLINK_DIR"}
#define JSON_OPTION                                                                                \
    {.name = "json",                                                                               \
     .kind = PQI_OPTION_FLAG,                                                                      \
     .at = PQI_AT(rotate_options, json, bool),                                                     \
     .help = "Print one JSON object."}

static const pqi_option prepare_table[] = {
    DIR_OPTION,
    {.name = "leaf",
     .kind = PQI_OPTION_CHOICE,
     .at = PQI_AT(rotate_options, leaf, unsigned),
     .arg = "LEAF",
     .choices = leaf_names,
     .help = "Which certificate changes.  pq: that of pqlink-miner/1, whose miners can pin two at "
             "once.  classical: that of official miners, which can pin exactly one and are refused "
             "from the switch on until each has the new fingerprint.",
     .fallback = "pq"},
    {.name = "sign",
     .kind = PQI_OPTION_CHOICE,
     .at = PQI_AT(rotate_options, sign, unsigned),
     .arg = "ALGORITHM",
     .choices = sign_names,
     .help = "Signature algorithm of the next post-quantum key.",
     .fallback = "same"},
    {.name = "keep-key",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(rotate_options, keep_key, bool),
     .help = "Make a new certificate for the old key: pins of the certificate (sha256) change, "
             "pins of the key (spki-sha256) stay valid."},
    {.name = "self-signed",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(rotate_options, self_signed, bool),
     .help = "Make a self-signed post-quantum certificate instead of the compact one, as keygen "
             "does."},
    {.name = "switch-in",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(rotate_options, switch_in, uint64_t),
     .arg = "DURATION",
     .min = PQI_NS_PER_SEC,
     .max = PQI_ROTATION_KEEP_MAX * PQI_NS_PER_SEC,
     .help = "When the node takes the next identity, counted from now; 7d when neither this nor "
             "--switch-at is given."},
    {.name = "switch-at",
     .kind = PQI_OPTION_CUSTOM,
     .parse = switch_at_parse,
     .arg = "TIME",
     .help = "The same as a time in UTC, 2026-12-01T12:00:00Z or 2026-12-01; never: only 'pqlink "
             "rotate switch' takes it."},
    {.name = "keep",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(rotate_options, keep, uint64_t),
     .arg = "DURATION",
     .min = PQI_NS_PER_SEC,
     .max = PQI_ROTATION_KEEP_MAX * PQI_NS_PER_SEC,
     .help = "How long after the switch miners that pinned only the old certificate still get in.",
     .fallback = "30d"},
    PQI_OPTION_PASSPHRASE(rotate_options, passphrase_file),
    JSON_OPTION,
    /* What a node with a key process says beyond that (cmd/rotation_process.h). */
    {.name = "by-age",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(rotate_options, by_age, uint64_t),
     .arg = "N",
     .min = 0,
     .max = PQI_ROTATION_DAYS_MAX,
     .help = "The rotation is one by age, after N days.",
     .hidden = true},
    {.name = "if-current",
     .kind = PQI_OPTION_CUSTOM,
     .parse = if_current_parse,
     .arg = "FINGERPRINT",
     .help = "Do nothing unless this is the present post-quantum certificate, and no rotation is "
             "under way.",
     .hidden = true},
};

static const pqi_option status_table[] = {
    DIR_OPTION,
    {.name = "key-rotation-days",
     .kind = PQI_OPTION_NUMBER,
     .at = PQI_AT(rotate_options, days, uint64_t),
     .arg = "N",
     .min = 0,
     .max = PQI_ROTATION_DAYS_MAX,
     .help = "What the node was given: shows when it will do what by itself.",
     .fallback = "0"},
    JSON_OPTION};
static const pqi_option switch_table[] = {DIR_OPTION,
                                          PQI_OPTION_PASSPHRASE(rotate_options, passphrase_file)};
static const pqi_option dir_table[] = {DIR_OPTION};

/* What is only looked at needs no key. */
static const pqi_identity_keys no_keys = {.left_out = true};

/* ---- prepare ---- */

static bool changes_pq(const rotate_options *o)
{
    return strcmp(leaf_names[o->leaf], "classical") != 0;
}

static bool changes_classical(const rotate_options *o)
{
    return strcmp(leaf_names[o->leaf], "pq") != 0;
}

static pql_status prepare_check(const void *options, pql_error *err)
{
    const rotate_options *o = options;
    if (o->switch_in != 0 && o->at_given) {
        return pqi_fail(err, PQL_E_USAGE, "Only one of --switch-in and --switch-at can be given.");
    }
    if (o->sign != 0 && (o->keep_key || !changes_pq(o))) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--sign chooses a new post-quantum key, and %s makes none.",
                        o->keep_key ? "--keep-key" : "--leaf classical");
    }
    if (o->self_signed && !changes_pq(o)) {
        return pqi_fail(err, PQL_E_USAGE,
                        "--self-signed is about the post-quantum certificate, and --leaf classical "
                        "makes none.");
    }
    return PQL_OK;
}

static uint64_t switch_time(const rotate_options *o, uint64_t now)
{
    if (o->at_given) {
        return o->switch_at;
    }
    return now + (o->switch_in != 0 ? o->switch_in : SWITCH_IN_DEFAULT) / PQI_NS_PER_SEC;
}

static void pin_of(char out[PQL_FINGERPRINT_SIZE], const pql_identity *id, pql_leaf leaf)
{
    pql_fingerprint fp;
    pql_identity_fingerprint(id, leaf, PQL_FINGERPRINT_CERT, &fp);
    pql_fingerprint_format(&fp, out);
}

/* What the operator has to tell, in the words that miners have to type. */
static void print_advice(const pqi_rotation *all, const rotate_options *o)
{
    char current[PQL_FINGERPRINT_SIZE];
    char next[PQL_FINGERPRINT_SIZE];
    if (changes_pq(o)) {
        pin_of(current, all->current, PQL_LEAF_PQ);
        pin_of(next, all->next, PQL_LEAF_PQ);
        printf("Tell your miners, before the previous certificate ends, to use both pins:\n"
               "  pqlink mine --node URL --pin %s --pin %s\n",
               current, next);
    }
    if (o->keep_key) {
        printf("The key stays: miners that pinned spki-sha256 have nothing to change.\n");
    }
    if (changes_classical(o)) {
        pin_of(next, all->next, PQL_LEAF_CLASSICAL);
        printf("Official miners (quantus-miner) can pin one certificate only.  From the switch on "
               "they are refused until each is started with the new fingerprint:\n  %s\n",
               next + strlen("sha256:"));
    }
    printf("A running node announces this within 10 seconds, or at once after SIGHUP.\n");
}

static void print_prepared(const pqi_rotation *all, const rotate_options *o)
{
    printf("current:\n");
    for (int leaf = PQL_LEAF_PQ; leaf <= PQL_LEAF_CLASSICAL; leaf++) {
        if (!pqi_rotation_same_leaf(all->current, all->next, (pql_leaf)leaf)) {
            pqi_fingerprint_print_leaf("current  ", all->current, (pql_leaf)leaf);
        }
    }
    pqi_rotation_print(all);
    print_advice(all, o);
}

static pqi_rotation_opts prepare_opts(const rotate_options *o, uint64_t now, const pql_sign *sign)
{
    return (pqi_rotation_opts){
        .pq = changes_pq(o),
        .classical = changes_classical(o),
        .keep_key = o->keep_key,
        .self_signed = o->self_signed,
        .sign = o->sign == 0 ? NULL : sign,
        .plan = {.switch_at = switch_time(o, now),
                 .keep = o->keep / PQI_NS_PER_SEC,
                 .by_age = o->by_age},
    };
}

/* For a node that decided by what it had read: what is there now, if that is the same. */
static pql_status load_expected(const rotate_options *o, pqi_rotation *all, pql_error *err)
{
    pql_fingerprint current;
    const pql_status status = pqi_rotation_load(all, o->dir.text, &no_keys, err);
    if (status != PQL_OK) {
        return status;
    }
    pql_identity_fingerprint(all->current, PQL_LEAF_PQ, o->if_current.form, &current);
    if (memcmp(current.sha256, o->if_current.sha256, sizeof(current.sha256)) != 0) {
        return pqi_fail(err, PQL_E_STATE, "The present identity is another one meanwhile.");
    }
    return PQL_OK;
}

/* Makes it, and shuts everybody else out of this process' memory where a node asked for it. */
static pql_status prepare(const rotate_options *o, uint64_t now, pql_error *err)
{
    const pqi_identity_keys keys = {.passphrase_file = o->passphrase_file};
    const pql_sign sign = o->sign == 0 ? PQL_ML_DSA_87 : (pql_sign)(o->sign - 1);
    pqi_rotation_opts opts = prepare_opts(o, now, &sign);
    pqi_rotation expected = {0};
    pql_status status = o->by_age == 0 ? PQL_OK : pqi_lockdown_dumps(err);
    if (status == PQL_OK && o->if_current_given) {
        status = load_expected(o, &expected, err);
        opts.expected = &expected;
    }
    if (status == PQL_OK) {
        status = pqi_rotation_prepare(o->dir.text, &keys, &opts, err);
    }
    pqi_rotation_clear(&expected);
    return status;
}

static pql_status prepare_run(const void *options, pql_error *err)
{
    const rotate_options *o = options;
    const uint64_t now = now_unix();
    if (o->at_given && o->switch_at != 0 && o->switch_at <= now) {
        return pqi_fail(err, PQL_E_USAGE,
                        "The time of --switch-at is over. To switch right after preparing, use "
                        "'--switch-at never' and then 'pqlink rotate switch'.");
    }
    pqi_rotation all = {0};
    pql_status status = prepare(o, now, err);
    if (status == PQL_OK) {
        status = pqi_rotation_load(&all, o->dir.text, &no_keys, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    if (o->json) {
        status = pqi_fingerprint_print_json(pqi_rotation_json(&all), err);
    } else {
        print_prepared(&all, o);
    }
    pqi_rotation_clear(&all);
    return status;
}

/* ---- the others ---- */

static void print_age(const pqi_rotation *all, uint64_t now)
{
    char since[PQI_TIME_TEXT_SIZE];
    if (all->since != 0) {
        pqi_time_format(since, all->since);
        printf("current   post-quantum key in use since %s, %" PRIu64 " days\n", since,
               now > all->since ? (now - all->since) / PQI_SECONDS_PER_DAY : 0);
    }
    if (all->plan.by_age != 0 && (all->next != NULL || all->previous != NULL)) {
        printf("The node makes this rotation by itself, after %" PRIu64
               " days (--key-rotation-days).\n",
               all->plan.by_age);
    }
}

static pql_status status_run(const void *options, pql_error *err)
{
    const rotate_options *o = options;
    pqi_rotation all;
    pql_status status = pqi_rotation_load(&all, o->dir.text, &no_keys, err);
    if (status != PQL_OK) {
        return status;
    }
    const uint64_t now = now_unix();
    /* A clock that never jumped: when a node sees that it did, it waits. */
    const pqi_age_clock clock = {.last_unix = now};
    const pqi_age_step step = pqi_age_next(&all, o->days, &clock);
    const uint64_t days = all.plan.by_age != 0 ? all.plan.by_age : o->days;
    if (o->json) {
        json_t *root = pqi_rotation_json(&all);
        if (root != NULL) {
            (void)json_object_set_new(root, "automatic", pqi_rotation_automatic_json(&step, days));
        }
        status = pqi_fingerprint_print_json(root, err);
    } else {
        printf("%s\n", all.next != NULL       ? "A rotation is prepared."
                       : all.previous != NULL ? "A rotation has switched; its overlap lasts."
                                              : "No rotation is under way.");
        pqi_fingerprint_print_leaf("current  ", all.current, PQL_LEAF_PQ);
        pqi_fingerprint_print_leaf("current  ", all.current, PQL_LEAF_CLASSICAL);
        print_age(&all, now);
        pqi_rotation_print_automatic(&step, days, now);
        pqi_rotation_print(&all);
    }
    pqi_rotation_clear(&all);
    return status;
}

static void print_notice(void)
{
    printf("A running node notices within 10 seconds, or at once after SIGHUP.\n");
}

static pql_status switch_run(const void *options, pql_error *err)
{
    const rotate_options *o = options;
    pqi_rotation all;
    const pqi_identity_keys keys = {.passphrase_file = o->passphrase_file};
    pql_status status = pqi_rotation_switch(o->dir.text, &keys, now_unix(), NULL, err);
    if (status == PQL_OK) {
        status = pqi_rotation_load(&all, o->dir.text, &no_keys, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    pqi_fingerprint_print_leaf("current  ", all.current, PQL_LEAF_PQ);
    pqi_fingerprint_print_leaf("current  ", all.current, PQL_LEAF_CLASSICAL);
    pqi_rotation_print(&all);
    print_notice();
    pqi_rotation_clear(&all);
    return PQL_OK;
}

static pql_status cancel_run(const void *options, pql_error *err)
{
    const rotate_options *o = options;
    const pql_status status = pqi_rotation_cancel(o->dir.text, err);
    if (status == PQL_OK) {
        printf("The next identity is dropped; whoever pinned it alone is refused from now on.\n");
        print_notice();
    }
    return status;
}

static pql_status finish_run(const void *options, pql_error *err)
{
    const rotate_options *o = options;
    const pql_status status = pqi_rotation_finish(o->dir.text, NULL, err);
    if (status == PQL_OK) {
        printf("The previous identity is dropped; whoever pinned it alone is refused from now "
               "on.\n");
        print_notice();
    }
    return status;
}

const pqi_command pqi_command_rotate_prepare = {
    .name = "rotate prepare",
    .summary = "Make the next identity and announce it",
    .description =
        "Makes the identity that is to follow the present one, and says when the node takes it.  "
        "From now on the node lets in miners that pinned the present one, the next one, or both, "
        "and tells its connected miners of the next.  Nothing that is in use changes before the "
        "switch; links stay up through it.\n"
        "By default only the post-quantum certificate changes, because official miners can pin "
        "exactly one certificate and would be refused after the switch.",
    PQI_OPTIONS(prepare_table),
    .options_size = sizeof(rotate_options),
    .example =
        (const char *const[]){"pqlink rotate prepare --dir /var/lib/pqlink",
                              "pqlink rotate prepare --switch-at 2026-12-01 --keep 60d", NULL},
    .check = prepare_check,
    .run = prepare_run,
};

const pqi_command pqi_command_rotate_status = {
    .name = "rotate status",
    .summary = "Show the present, next and previous identity",
    .description = "Prints the fingerprints of the present identity, and those of the next or the "
                   "previous one with the time at which it comes or goes.",
    PQI_OPTIONS(status_table),
    .options_size = sizeof(rotate_options),
    .example = (const char *const[]){"pqlink rotate status --json", NULL},
    .run = status_run,
};

const pqi_command pqi_command_rotate_switch = {
    .name = "rotate switch",
    .summary = "Take the next identity now",
    .description =
        "Makes the prepared identity the present one, whatever time was planned, and keeps the old "
        "one as the previous: miners that pinned only that still get in until the planned time has "
        "passed or 'pqlink rotate finish'.",
    PQI_OPTIONS(switch_table),
    .options_size = sizeof(rotate_options),
    .example = (const char *const[]){"pqlink rotate switch", NULL},
    .run = switch_run,
};

const pqi_command pqi_command_rotate_cancel = {
    .name = "rotate cancel",
    .summary = "Drop the next identity before the switch",
    .description = "Drops what 'pqlink rotate prepare' made.  The present identity stays as it is.",
    PQI_OPTIONS(dir_table),
    .options_size = sizeof(rotate_options),
    .example = (const char *const[]){"pqlink rotate cancel", NULL},
    .run = cancel_run,
};

const pqi_command pqi_command_rotate_finish = {
    .name = "rotate finish",
    .summary = "Drop the previous identity now",
    .description = "Ends the overlap after a switch before its time: miners that pinned only the "
                   "previous certificate are refused from now on.",
    PQI_OPTIONS(dir_table),
    .options_size = sizeof(rotate_options),
    .example = (const char *const[]){"pqlink rotate finish", NULL},
    .run = finish_run,
};
