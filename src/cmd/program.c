#include "cmd/program.h"

#include "base/text.h"
#include "cmd/commands.h"
#include "cmd/config.h"
#include "cmd/config_reload.h"
#include "cmd/exit_codes.h"
#include "cmd/help.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Prints the sentence of |err|, if it has one, with no control characters: it may repeat what was
 * typed, or what a peer sent.  Returns the exit status that goes with |status|.
 * |name|: the subcommand whose help a usage error points to; NULL: the program's. */
static int report(pql_status status, pql_error *err, const char *name)
{
    if (status != PQL_OK && err->code != PQL_OK) {
        pqi_text_clean(err->message);
        fprintf(stderr, "%s: %s\n", PQI_PROGRAM, err->message);
    }
    if (status == PQL_E_USAGE) {
        fprintf(stderr, "%s: try '%s%s%s --help'\n", PQI_PROGRAM, PQI_PROGRAM,
                name != NULL ? " " : "", name != NULL ? name : "");
    }
    return (int)pqi_exit_from_status(status);
}

/* Output that did not arrive (a full disk, a closed descriptor) is a failure, not a success. */
static int finish(int status)
{
    if (fflush(stdout) == 0 && ferror(stdout) == 0) {
        return status;
    }
    fprintf(stderr, "%s: Cannot write to standard output: %s\n", PQI_PROGRAM, strerror(errno));
    return status != PQI_EXIT_OK ? status : PQI_EXIT_IO;
}

static pql_status parse_and_run(const pqi_command *command, const pqi_sources *from, void *options,
                                pqi_settings *settings, pql_error *err)
{
    bool help = false;
    const pql_status status = pqi_options_parse(command, from, options, settings, &help, err);
    if (help) {
        pqi_help_command(stdout, command);
        return PQL_OK;
    }
    pqi_config_warn_env(command);
    if (status != PQL_OK) {
        return status;
    }
    pqi_config_started(command, from, settings);
    return command->run(options, err);
}

static int run_command(const pqi_command *command, int argc, char *const argv[], pqi_env env)
{
    pql_error err = {0};
    const pqi_sources from = {
        .argc = argc, .argv = (const char *const *)argv, .env = env, .load = pqi_config_load};
    pqi_settings *settings = calloc(1, sizeof(*settings));
    void *options = calloc(1, command->options_size);
    pql_status status = PQL_E_NOMEM;
    if (options == NULL || settings == NULL) {
        (void)pqi_fail(&err, status, "Out of memory.");
    } else {
        status = parse_and_run(command, &from, options, settings, &err);
        pqi_settings_free(settings);
    }
    free(options);
    free(settings);
    return report(status, &err, command->name);
}

static bool is_one_of(const char *word, const char *a, const char *b)
{
    return word != NULL && (strcmp(word, a) == 0 || strcmp(word, b) == 0);
}

/* The program's own options, and the help of a family of subcommands; false when |argv| asks for
 * none of these. */
static bool run_builtin(int argc, char *const argv[])
{
    const char *first = argc >= 1 ? argv[0] : NULL;
    const char *second = argc >= 2 ? argv[1] : NULL;
    if (is_one_of(first, "--help", "-h")) {
        pqi_help_program(stdout);
        return true;
    }
    if (first != NULL && pqi_command_is_family(first) && is_one_of(second, "--help", "-h")) {
        pqi_help_family(stdout, first);
        return true;
    }
    return false;
}

int pqi_program_run(int argc, char *const argv[], pqi_env env)
{
    const pqi_command *command = NULL;
    pql_error err = {0};
    int used = 0;
    if (run_builtin(argc, argv)) {
        return finish(PQI_EXIT_OK);
    }
    if (argc >= 1 && is_one_of(argv[0], "--version", "-V")) {
        return finish(run_command(&pqi_command_version, argc - 1, argv + 1, env));
    }
    const pql_status status =
        pqi_command_find(&command, argc, (const char *const *)argv, &used, &err);
    if (status != PQL_OK) {
        const bool family = argc >= 1 && pqi_command_is_family(argv[0]);
        return report(status, &err, family ? argv[0] : NULL);
    }
    return finish(run_command(command, argc - used, argv + used, env));
}
