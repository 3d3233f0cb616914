#include "cmd/rotation_process.h"

#include "base/clock.h"
#include "cmd/command.h"
#include "cmd/config.h"

#include <inttypes.h>
#include <stdio.h>

/* "--name=value", which also takes a value that begins with dashes. */
static pql_status path_word(char *out, size_t size, const char *name, const char *path,
                            pql_error *err)
{
    const int need = snprintf(out, size, "--%s=%s", name, path);
    return need > 0 && (size_t)need < size
               ? PQL_OK
               : pqi_fail(err, PQL_E_USAGE, "The path of --%s is too long.", name);
}

static void write_values(pqi_rotation_words *out, const pqi_rotation_opts *opts)
{
    pql_fingerprint current;
    pql_identity_fingerprint(opts->expected->current, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &current);
    pql_fingerprint_format(&current, out->current);
    pqi_time_format(out->switch_at, opts->plan.switch_at);
    (void)snprintf(out->keep, sizeof(out->keep), "%" PRIu64 "s", opts->plan.keep);
    (void)snprintf(out->by_age, sizeof(out->by_age), "%" PRIu64, opts->plan.by_age);
}

pql_status pqi_rotation_words_make(pqi_rotation_words *out, const char *dir,
                                   const pqi_identity_keys *keys, const pqi_rotation_opts *opts,
                                   pql_error *err)
{
    pql_status status = path_word(out->dir, sizeof(out->dir), "dir", dir, err);
    if (status == PQL_OK && keys->passphrase_file != NULL) {
        status = path_word(out->passphrase_file, sizeof(out->passphrase_file), "passphrase-file",
                           keys->passphrase_file, err);
    }
    if (status != PQL_OK) {
        return status;
    }
    write_values(out, opts);
    const char *const always[] = {PQI_PROGRAM,     "rotate",    "prepare",     "--config",
                                  PQI_CONFIG_NONE, out->dir,    "--switch-at", out->switch_at,
                                  "--keep",        out->keep,   "--by-age",    out->by_age,
                                  "--if-current",  out->current};
    size_t count = 0;
    for (; count < sizeof(always) / sizeof(always[0]); count++) {
        out->argv[count] = always[count];
    }
    if (keys->passphrase_file != NULL) {
        out->argv[count++] = out->passphrase_file;
    }
    if (opts->self_signed) {
        out->argv[count++] = "--self-signed";
    }
    out->argv[count] = NULL;
    return PQL_OK;
}

pql_status pqi_rotation_process_start(pqi_child *child, const char *program, const char *dir,
                                      const pqi_identity_keys *keys, const pqi_rotation_opts *opts,
                                      uint64_t now, pql_error *err)
{
    pqi_rotation_words words;
    const pql_status status = pqi_rotation_words_make(&words, dir, keys, opts, err);
    return status == PQL_OK
               ? pqi_child_start(child, program, words.argv, now, PQI_ROTATION_PROCESS_LIMIT, err)
               : status;
}
