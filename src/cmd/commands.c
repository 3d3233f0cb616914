#include "cmd/commands.h"

#include "base/values.h"
#include "cmd/mine.h"
#include "cmd/node.h"

#include <string.h>

static const pqi_command *const commands[] = {
    &pqi_command_node,           &pqi_command_node_status,
    &pqi_command_mine,           &pqi_command_keygen,
    &pqi_command_fingerprint,    &pqi_command_rotate_prepare,
    &pqi_command_rotate_status,  &pqi_command_rotate_switch,
    &pqi_command_rotate_cancel,  &pqi_command_rotate_finish,
    &pqi_command_forget,         &pqi_command_token_keygen,
    &pqi_command_token_mint,     &pqi_command_token_attenuate,
    &pqi_command_token_inspect,  &pqi_command_token_verify,
    &pqi_command_config_check,   &pqi_command_config_show,
    &pqi_command_pow_hash,       &pqi_command_pow_check,
    &pqi_command_key_encrypt,    &pqi_command_key_decrypt,
    &pqi_command_key_passphrase, &pqi_command_drill_classical_break,
    &pqi_command_version,        &pqi_command_help,
};
#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

const pqi_command *const *pqi_commands(size_t *count)
{
    *count = COMMAND_COUNT;
    return commands;
}

bool pqi_command_in_family(const pqi_command *command, const char *word)
{
    const size_t len = strlen(word);
    return strncmp(command->name, word, len) == 0 && command->name[len] == ' ';
}

bool pqi_command_is_family(const char *word)
{
    bool family = false;
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (strcmp(commands[i]->name, word) == 0) {
            return false; /* a command of its own, such as node beside "node status" */
        }
        family = family || pqi_command_in_family(commands[i], word);
    }
    return family;
}

/* Words of |name| that argv begins with: all of them (1 or 2), or 0. */
static int words_matched(const char *name, int argc, const char *const argv[])
{
    const char *space = strchr(name, ' ');
    if (space == NULL) {
        return argc >= 1 && strcmp(argv[0], name) == 0 ? 1 : 0;
    }
    const size_t first = (size_t)(space - name);
    const bool both = argc >= 2 && strlen(argv[0]) == first && memcmp(argv[0], name, first) == 0 &&
                      strcmp(argv[1], space + 1) == 0;
    return both ? 2 : 0;
}

static pql_status fail_family(const char *family, const char *member, pql_error *err)
{
    const char *words[COMMAND_COUNT] = {NULL};
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        if (pqi_command_in_family(commands[i], family)) {
            words[i] = commands[i]->name + strlen(family) + 1;
        }
    }
    if (member == NULL || member[0] == '-') {
        return pqi_fail(err, PQL_E_USAGE, "The command %s needs a second word.", family);
    }
    const char *meant = pqi_suggest(member, words, COMMAND_COUNT);
    return meant == NULL
               ? pqi_fail(err, PQL_E_USAGE, "There is no command '%s %.64s'.", family, member)
               : pqi_fail(err, PQL_E_USAGE, "There is no command '%s %.64s'; did you mean '%s %s'?",
                          family, member, family, meant);
}

static pql_status fail_unknown(const char *word, pql_error *err)
{
    const char *words[COMMAND_COUNT];
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        words[i] = commands[i]->name;
    }
    const char *meant = pqi_suggest(word, words, COMMAND_COUNT);
    return meant == NULL ? pqi_fail(err, PQL_E_USAGE, "There is no command '%.64s'.", word)
                         : pqi_fail(err, PQL_E_USAGE,
                                    "There is no command '%.64s'; did you mean '%s'?", word, meant);
}

pql_status pqi_command_find(const pqi_command **out, int argc, const char *const argv[], int *used,
                            pql_error *err)
{
    *out = NULL;
    *used = 0;
    if (argc == 0) {
        return pqi_fail(err, PQL_E_USAGE, "A command is missing.");
    }
    for (size_t i = 0; i < COMMAND_COUNT; i++) {
        const int matched = words_matched(commands[i]->name, argc, argv);
        if (matched > *used) { /* "node status" rather than node */
            *out = commands[i];
            *used = matched;
        }
    }
    if (*used > 0) {
        return PQL_OK;
    }
    return pqi_command_is_family(argv[0]) ? fail_family(argv[0], argc >= 2 ? argv[1] : NULL, err)
                                          : fail_unknown(argv[0], err);
}
