/* pqlink token keygen, mint, attenuate, inspect, verify: capability tokens.
 * docs/capability-tokens.md. */
#include "base/clock.h"
#include "base/file.h"
#include "base/secret.h"
#include "caps/mint.h"
#include "caps/verify.h"
#include "cmd/commands.h"
#include "cmd/token_input.h"
#include "cmd/token_view.h"
#include "crypto/random.h"
#include "miner/session.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define MS_PER_SEC 1000
#define DAY (UINT64_C(24) * 3600 * PQI_NS_PER_SEC)
#define EXPIRES_MAX (3650 * DAY)
#define AUDIENCE_MINER "miner"

typedef struct token_options {
    const char *keys_file;
    const char *verifier_file;
    const char *tenant;
    const char *kid;
    unsigned sign_algo; /* index into sign_algo_names */
    bool require_signature;
    bool sign;
    const char *token_file;
    pqi_token_rules rules;
    uint64_t skew; /* ns */
} token_options;

/* In the order of pqi_cap_algorithm. */
static const char *const sign_algo_names[] = {"ml-dsa", "slh-dsa", "none", NULL};

static uint64_t now_unix(void)
{
    return pqi_clock_unix_ms() / MS_PER_SEC;
}

/* ---- Option tables ---- */

/* NOLINTBEGIN(bugprone-macro-parentheses): initialisers, in which nothing can be misread */

#define KEYS_OPTION(text)                                                                          \
    {.name = "keys",                                                                               \
     .kind = PQI_OPTION_FILE,                                                                      \
     .at = PQI_AT(token_options, keys_file, const char *),                                         \
     .arg = "FILE",                                                                                \
     .required = true,                                                                             \
     .help = text}
#define TOKEN_FILE_OPTION                                                                          \
    {.name = "token-file",                                                                         \
     .kind = PQI_OPTION_FILE,                                                                      \
     .at = PQI_AT(token_options, token_file, const char *),                                        \
     .arg = "FILE",                                                                                \
     .help = "Read the token from a file, which not everybody may read; without this, or with -, " \
             "from standard input.  A token never stands on the command line, where others could " \
             "see it."}
#define TEXT_OPTION(option, member, shown, must, text)                                             \
    {.name = option,                                                                               \
     .kind = PQI_OPTION_TEXT,                                                                      \
     .at = PQI_AT(token_options, member, const char *),                                            \
     .arg = shown,                                                                                 \
     .required = must,                                                                             \
     .help = text}
/* Restrictions of mint and attenuate. */
#define RULE_OPTIONS(must)                                                                         \
    TEXT_OPTION("audience", rules.audience, "SERVICE", must,                                       \
                "Only for this service: miner (a node's miners), admin (its admin port), rpc, "    \
                "gateway, or a name of your own."),                                                \
        TEXT_OPTION("method", rules.methods, "LIST", false,                                        \
                    "Only for these methods, such as GET,HEAD."),                                  \
        TEXT_OPTION("path", rules.path, "PATH", false,                                             \
                    "Only for this path and those below it: /a is for /a and /a/b, not for /ab."), \
        TEXT_OPTION("max-bytes", rules.bytes, "N", false,                                          \
                    "Only for requests with a payload of at most N bytes."),                       \
        TEXT_OPTION("address", rules.address, "NETWORK", false,                                    \
                    "Only from this IP address or network, such as 192.0.2.0/24 or "               \
                    "2001:db8::/32."),                                                             \
        TEXT_OPTION("not-before", rules.not_before, "TIME", false,                                 \
                    "Only from this time in UTC on, 2026-12-01T12:00:00Z or 2026-12-01.")

/* NOLINTEND(bugprone-macro-parentheses) */

static const pqi_option keygen_table[] = {
    KEYS_OPTION("File of the keys; made, for its owner only, where there is none.  The tenant's "
                "current key in it becomes its previous one, which is still accepted, and the "
                "previous one goes."),
    TEXT_OPTION("tenant", tenant, "NAME", true,
                "Whom tokens of this key are for; it names the miner in a node's metrics."),
    TEXT_OPTION("kid", kid, "NAME", false, "Name of the key in tokens; a random one without this."),
    {.name = "sign-algo",
     .kind = PQI_OPTION_CHOICE,
     .at = PQI_AT(token_options, sign_algo, unsigned),
     .arg = "ALGORITHM",
     .choices = sign_algo_names,
     .env = "PQ_SIGN_ALGO",
     .help = "Post-quantum half of the hybrid signatures that 'token mint --sign' makes, beside "
             "Ed25519: ml-dsa is ML-DSA-65; slh-dsa is SLH-DSA-SHA2-192s, which rests on its hash "
             "alone, takes a second to sign, and needs OpenSSL 3.5 on this machine; none makes a "
             "key that cannot sign.",
     .fallback = "ml-dsa"},
    {.name = "require-signature",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(token_options, require_signature, bool),
     .help = "Have verifiers deny tokens of this key that are not signed.  Not for miners, whose "
             "login is too short for signatures."},
    {.name = "verifier-keys",
     .kind = PQI_OPTION_FILE,
     .at = PQI_AT(token_options, verifier_file, const char *),
     .arg = "FILE",
     .help =
         "Also write the file for services that only verify, without the private signing keys.  "
         "The key is added to one that is there: what is revoked there stays revoked."},
};

static const pqi_option mint_table[] = {
    KEYS_OPTION("File of the keys, of 'pqlink token keygen'."),
    TEXT_OPTION("tenant", tenant, "NAME", false,
                "Take the current key of this tenant; not needed when there is one tenant."),
    RULE_OPTIONS(true),
    {.name = "expires-in",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(token_options, rules.expires_in, uint64_t),
     .arg = "DURATION",
     .min = PQI_NS_PER_SEC,
     .max = EXPIRES_MAX,
     .help = "How long the token is good for.",
     .fallback = "1h"},
    {.name = "sign",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(token_options, sign, bool),
     .help = "Sign it with the two signatures of the key (some 4.6 kB more with ML-DSA, 22 kB with "
             "SLH-DSA)."},
};

static const pqi_option attenuate_table[] = {
    TOKEN_FILE_OPTION,
    RULE_OPTIONS(false),
    {.name = "expires-in",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(token_options, rules.expires_in, uint64_t),
     .arg = "DURATION",
     .min = PQI_NS_PER_SEC,
     .max = EXPIRES_MAX,
     .help = "Only for this long from now on."},
};

static const pqi_option inspect_table[] = {TOKEN_FILE_OPTION};

static const pqi_option verify_table[] = {
    KEYS_OPTION("File of the keys."),
    TOKEN_FILE_OPTION,
    TEXT_OPTION("audience", rules.audience, "SERVICE", true, "The service that is asked."),
    TEXT_OPTION("tenant", tenant, "NAME", false, "The tenant that the request is for."),
    TEXT_OPTION("method", rules.methods, "METHOD", false, "Method of the request."),
    TEXT_OPTION("path", rules.path, "PATH", false, "Path of the request."),
    TEXT_OPTION("bytes", rules.bytes, "N", false, "Bytes of its payload."),
    TEXT_OPTION("address", rules.address, "ADDRESS", false, "IP address of who asks."),
    {.name = "clock-skew",
     .kind = PQI_OPTION_DURATION,
     .at = PQI_AT(token_options, skew, uint64_t),
     .arg = "DURATION",
     .min = 0,
     .max = PQI_CAP_SKEW_MAX * PQI_NS_PER_SEC,
     .help = "How far the clocks of minter and verifier may be apart.",
     .fallback = "60s"},
    {.name = "require-signature",
     .kind = PQI_OPTION_FLAG,
     .at = PQI_AT(token_options, require_signature, bool),
     .help = "Deny a token without both signatures."},
};

/* ---- keygen ---- */

static pql_status load_or_begin(pqi_cap_keys *keys, const char *path, pql_error *err)
{
    const pql_status status = pqi_cap_keys_load(keys, path, err);
    if (status == PQL_E_NOT_FOUND) {
        pqi_error_clear(err);
        return PQL_OK;
    }
    return status;
}

/* Services read the verifiers' file, so that is where tokens and keys are revoked: the new key is
 * added to one that is there, and what was taken out of it stays out.  *there is false, and
 * *verifier empty, without one. */
static pql_status verifier_add(pqi_cap_keys *verifier, bool *there, const pqi_cap_keys *keys,
                               const char *file, const pqi_cap_key *key, pql_error *err)
{
    pql_status status = pqi_cap_keys_load(verifier, file, err);
    *there = status != PQL_E_NOT_FOUND;
    if (!*there) {
        pqi_error_clear(err);
        return PQL_OK;
    }
    if (status == PQL_OK) {
        status = pqi_cap_keys_add(verifier, key, err);
    }
    return status == PQL_OK ? pqi_cap_keys_revoke_all(verifier, keys, err) : status;
}

/* With the new key in |keys|; what can fail by itself comes before the first file is written. */
static pql_status keygen_save(const pqi_cap_keys *keys, const token_options *o,
                              const pqi_cap_key *key, pql_error *err)
{
    pqi_cap_keys verifier = {0};
    bool there = false;
    pql_status status = PQL_OK;
    if (o->verifier_file != NULL) {
        status = verifier_add(&verifier, &there, keys, o->verifier_file, key, err);
    }
    if (status == PQL_OK) {
        status = pqi_cap_keys_save(keys, o->keys_file, true, err);
    }
    if (status == PQL_OK && o->verifier_file != NULL) {
        status = pqi_cap_keys_save(there ? &verifier : keys, o->verifier_file, false, err);
    }
    pqi_cap_keys_clear(&verifier);
    return status;
}

static pql_status keygen_add(pqi_cap_keys *keys, const token_options *o, pqi_cap_key *key,
                             pql_error *err)
{
    pql_status status =
        pqi_cap_key_make(key, o->kid, o->tenant, (pqi_cap_algorithm)o->sign_algo, err);
    if (status == PQL_OK) {
        key->require_signature = o->require_signature;
        status = pqi_cap_keys_add(keys, key, err);
    }
    return status == PQL_OK ? keygen_save(keys, o, key, err) : status;
}

static pql_status keygen_check(const void *options, pql_error *err)
{
    const token_options *o = options;
    return o->require_signature && o->sign_algo == PQI_CAP_UNSIGNED
               ? pqi_fail(err, PQL_E_USAGE,
                          "--require-signature and --sign-algo none contradict each other: nobody "
                          "could make a token.")
               : PQL_OK;
}

static pql_status keygen_run(const void *options, pql_error *err)
{
    const token_options *o = options;
    pqi_cap_keys keys = {0};
    pqi_cap_key key = {0};
    int lock = -1;
    /* Two at once would each write the file without the other's key. */
    pql_status status = pqi_file_lock(o->keys_file, &lock, err);
    if (status == PQL_OK) {
        status = load_or_begin(&keys, o->keys_file, err);
    }
    if (status == PQL_OK) {
        status = keygen_add(&keys, o, &key, err);
    }
    if (status == PQL_OK) {
        printf("%s is the current key of %s in %s.\nA service that uses the file reads it again "
               "after SIGHUP.\n",
               key.kid, key.tenant, o->keys_file);
    }
    if (lock >= 0) {
        (void)close(lock);
    }
    pqi_secret_wipe(&key, sizeof(key));
    pqi_cap_keys_clear(&keys);
    return status;
}

/* ---- mint and attenuate ---- */

static pql_status rules_check(const void *options, pql_error *err)
{
    const token_options *o = options;
    pqi_token_rule_list list;
    return pqi_token_rules_parse(&list, &o->rules, now_unix(), err);
}

/* What a miner's login cannot carry must not be handed to a miner. */
static pql_status check_miner_length(const char *text, pql_error *err)
{
    pqi_cap_token token;
    if (strlen(text) <= PQI_MINER_TOKEN_MAX ||
        pqi_cap_token_read(&token, text, strlen(text)) != PQI_CAP_ALLOWED) {
        return PQL_OK;
    }
    const bool miner = pqi_token_is_for(&token, AUDIENCE_MINER);
    pqi_cap_token_free(&token);
    return miner ? pqi_fail(err, PQL_E_LIMIT,
                            "The token would have %zu characters, and a miner's login carries %d: "
                            "leave out restrictions, and --sign.",
                            strlen(text), PQI_MINER_TOKEN_MAX)
                 : PQL_OK;
}

static pql_status print_token(char *text, pql_error *err)
{
    const pql_status status = check_miner_length(text, err);
    if (status == PQL_OK) {
        printf("%s\n", text);
    }
    pqi_secret_free(text, strlen(text));
    return status;
}

/* The current key to mint with. */
static pql_status pick_key(const pqi_cap_key **out, const pqi_cap_keys *keys,
                           const token_options *o, pql_error *err)
{
    *out = NULL;
    for (size_t i = 0; i < keys->count; i++) {
        const pqi_cap_key *key = &keys->keys[i];
        if (!key->current || (o->tenant != NULL && strcmp(key->tenant, o->tenant) != 0)) {
            continue;
        }
        if (*out != NULL) {
            return pqi_fail(err, PQL_E_USAGE,
                            "%.200s has keys of several tenants: name one with --tenant.",
                            o->keys_file);
        }
        *out = key;
    }
    return *out != NULL ? PQL_OK
                        : pqi_fail(err, PQL_E_IDENTITY,
                                   "%.200s has no current key%s%.32s: make one with 'pqlink token "
                                   "keygen'.",
                                   o->keys_file, o->tenant != NULL ? " of " : "",
                                   o->tenant != NULL ? o->tenant : "");
}

static pql_status mint_with(const pqi_cap_key *key, const token_options *o, pql_error *err)
{
    pqi_token_rule_list list;
    char *text = NULL;
    pql_status status = pqi_token_rules_parse(&list, &o->rules, now_unix(), err);
    if (status == PQL_OK && key->require_signature && !o->sign) {
        status = pqi_fail(err, PQL_E_USAGE, "Tokens of the key '%s' have to be signed: add --sign.",
                          key->kid);
    }
    if (status == PQL_OK) {
        pqi_cap_mint mint = {.rules = list.items, .count = list.count, .sign = o->sign};
        pqi_random(mint.nonce, sizeof(mint.nonce));
        status = pqi_cap_mint_token(&text, key, &mint, err);
    }
    return status == PQL_OK ? print_token(text, err) : status;
}

static pql_status mint_run(const void *options, pql_error *err)
{
    const token_options *o = options;
    pqi_cap_keys keys = {0};
    const pqi_cap_key *key = NULL;
    pql_status status = pqi_cap_keys_load(&keys, o->keys_file, err);
    if (status == PQL_OK) {
        status = pick_key(&key, &keys, o, err);
    }
    if (status == PQL_OK) {
        status = mint_with(key, o, err);
    }
    pqi_cap_keys_clear(&keys);
    return status;
}

static pql_status attenuate_check(const void *options, pql_error *err)
{
    const token_options *o = options;
    pqi_token_rule_list list;
    const pql_status status = pqi_token_rules_parse(&list, &o->rules, now_unix(), err);
    if (status == PQL_OK && list.count == 0) {
        return pqi_fail(err, PQL_E_USAGE,
                        "There is nothing to narrow the token by: give at least one of --audience, "
                        "--method, --path, --max-bytes, --address, --not-before, --expires-in.");
    }
    return status;
}

static pql_status attenuate_run(const void *options, pql_error *err)
{
    const token_options *o = options;
    pqi_token_rule_list list;
    char *wide = NULL;
    char *narrow = NULL;
    pql_status status = pqi_token_rules_parse(&list, &o->rules, now_unix(), err);
    if (status == PQL_OK) {
        status = pqi_token_input(&wide, o->token_file, err);
    }
    if (status == PQL_OK) {
        status = pqi_cap_attenuate(&narrow, wide, list.items, list.count, err);
        pqi_secret_free(wide, strlen(wide));
    }
    return status == PQL_OK ? print_token(narrow, err) : status;
}

/* ---- inspect and verify ---- */

static pql_status inspect_run(const void *options, pql_error *err)
{
    const token_options *o = options;
    pqi_cap_token token;
    char *text = NULL;
    const pql_status status = pqi_token_input(&text, o->token_file, err);
    if (status != PQL_OK) {
        return status;
    }
    const pqi_cap_reason reason = pqi_cap_token_read(&token, text, strlen(text));
    pqi_secret_free(text, strlen(text));
    if (reason != PQI_CAP_ALLOWED) {
        return pqi_fail(err, PQL_E_USAGE,
                        "That is no capability token of version 1 (%s): a part of it may be "
                        "missing.",
                        pqi_cap_reason_names[reason]);
    }
    pqi_token_print(&token);
    pqi_cap_token_free(&token);
    return PQL_OK;
}

/* The facts of the request; |list| and |address| keep what it points to. */
static pql_status request_of(pqi_cap_request *out, const token_options *o, struct in6_addr *address,
                             pql_error *err)
{
    pqi_token_rule_list list;
    const pqi_token_rules numbers = {.bytes = o->rules.bytes, .address = o->rules.address};
    const pql_status status = pqi_token_rules_parse(&list, &numbers, 0, err);
    if (status != PQL_OK) {
        return status;
    }
    *out = (pqi_cap_request){.audience = o->rules.audience,
                             .tenant = o->tenant,
                             .method = o->rules.methods,
                             .path = o->rules.path};
    for (size_t i = 0; i < list.count; i++) {
        const pqi_cap_rule *rule = &list.items[i];
        if (rule->type == PQI_CAP_RULE_BYTES) {
            out->has_bytes = true;
            out->bytes = rule->number;
            continue;
        }
        const bool v4 = rule->address.len == sizeof(struct in_addr);
        *address = (struct in6_addr){.s6_addr = {[10] = 0xff, [11] = 0xff}};
        memcpy(address->s6_addr + (v4 ? 12 : 0), rule->address.at, rule->address.len);
        out->address = address;
    }
    return PQL_OK;
}

static void print_verdict(const pqi_cap_verdict *verdict)
{
    if (verdict->reason != PQI_CAP_ALLOWED) {
        printf("denied: %s\n", pqi_cap_reason_names[verdict->reason]);
        return;
    }
    printf("allowed: tenant %s, key %s, %s\n", verdict->grant.tenant, verdict->grant.kid,
           verdict->grant.is_signed ? "signed" : "not signed");
}

static pql_status verify_check(const void *options, pql_error *err)
{
    pqi_cap_request request;
    struct in6_addr address;
    return request_of(&request, options, &address, err);
}

static pql_status verify_run(const void *options, pql_error *err)
{
    const token_options *o = options;
    const pqi_cap_policy policy = {.skew = o->skew / PQI_NS_PER_SEC,
                                   .require_signature = o->require_signature};
    pqi_cap_keys keys = {0};
    pqi_cap_request request;
    struct in6_addr address;
    pqi_cap_verdict verdict = {.reason = PQI_CAP_PARSE};
    char *text = NULL;
    pql_status status = request_of(&request, o, &address, err);
    if (status == PQL_OK) {
        status = pqi_cap_keys_load(&keys, o->keys_file, err);
    }
    if (status == PQL_OK) {
        status = pqi_token_input(&text, o->token_file, err);
    }
    if (status == PQL_OK) {
        (void)pqi_cap_verify(text, strlen(text), &keys, &policy, &request, now_unix(), &verdict);
        pqi_secret_free(text, strlen(text));
        print_verdict(&verdict);
        status = verdict.reason == PQI_CAP_ALLOWED ? PQL_OK : PQL_E_FAILED;
    }
    pqi_cap_keys_clear(&keys);
    return status;
}

/* ---- The commands ---- */

const pqi_command pqi_command_token_keygen = {
    .name = "token keygen",
    .summary = "Make a key of capability tokens, or change to a new one",
    .description =
        "Makes a key for a tenant and puts it into a file of keys, with which tokens are minted "
        "and verified.  Run again, it changes to a new key: tokens of the one before stay good.\n"
        "The file is secret.  Tokens are revoked in it: a line NUMBER = \"note\" under [revoked] "
        "for one token, or taking out the key for all of it.",
    PQI_OPTIONS(keygen_table),
    .options_size = sizeof(token_options),
    .no_config = true,
    .example = (const char *const[]){"pqlink token keygen --keys /etc/pqlink/capability-keys "
                                     "--tenant acme",
                                     NULL},
    .check = keygen_check,
    .run = keygen_run,
};

const pqi_command pqi_command_token_mint = {
    .name = "token mint",
    .summary = "Make a capability token",
    .description = "Prints a new token for a service, with the tenant's current key.  Whoever has "
                   "the token may do what it says, and can narrow it further without any key.",
    PQI_OPTIONS(mint_table),
    .options_size = sizeof(token_options),
    .no_config = true,
    .example =
        (const char *const[]){
            "pqlink token mint --keys KEYS --audience miner --expires-in 30d >token",
            "pqlink token mint --keys KEYS --audience admin --method GET --path /metrics", NULL},
    .check = rules_check,
    .run = mint_run,
};

const pqi_command pqi_command_token_attenuate = {
    .name = "token attenuate",
    .summary = "Narrow a capability token",
    .description = "Reads a token and prints one that may do less.  That takes no key and no "
                   "network, and cannot be undone by whoever gets the new token.",
    PQI_OPTIONS(attenuate_table),
    .options_size = sizeof(token_options),
    .no_config = true,
    .example = (const char *const[]){"pqlink token attenuate --address 192.0.2.7 --expires-in 10m "
                                     "<token",
                                     NULL},
    .check = attenuate_check,
    .run = attenuate_run,
};

const pqi_command pqi_command_token_inspect = {
    .name = "token inspect",
    .summary = "Show what stands in a capability token",
    .description = "Reads a token and prints all that stands in it.  Nothing is verified, because "
                   "that takes the key.",
    PQI_OPTIONS(inspect_table),
    .options_size = sizeof(token_options),
    .no_config = true,
    .example = (const char *const[]){"pqlink token inspect --token-file token", NULL},
    .run = inspect_run,
};

const pqi_command pqi_command_token_verify = {
    .name = "token verify",
    .summary = "Verify a capability token for a request",
    .description =
        "Reads a token and says whether it allows a request, as a service would decide.  "
        "What the token restricts and the request does not say is denied.  Ends with "
        "status 1 when the answer is no; the word behind 'denied:' is the reason.",
    PQI_OPTIONS(verify_table),
    .options_size = sizeof(token_options),
    .no_config = true,
    .example = (const char *const[]){"pqlink token verify --keys KEYS --audience admin --method "
                                     "GET --path /metrics <token",
                                     NULL},
    .check = verify_check,
    .run = verify_run,
};
