/* What SIGHUP does to the settings of a running program. */
#ifndef PQI_CMD_CONFIG_RELOAD_H
#define PQI_CMD_CONFIG_RELOAD_H

#include "cmd/changes.h"
#include "cmd/options.h"

/* Notes how the command of this process was started and what its settings are; called once, before
 * command->run.  All three are borrowed until the process ends. */
void pqi_config_started(const pqi_command *command, const pqi_sources *from,
                        pqi_settings *settings);

/* The environment as the program was started with it. */
pqi_env pqi_config_started_env(void);

/* Where the value of the option of this process comes from, as pqi_config_place says it; "" without
 * such an option, or when nothing was noted.  The thread that runs the command. */
void pqi_config_started_place(char *out, size_t size, const char *option);

/* A reload of the settings under way: what changes is decided, and can still be taken back. */
typedef struct pqi_config_reload pqi_config_reload;

/* Reads command line, environment and file again, and calls the .change of options that changed,
 * with |user|, which .apply gets later.  After an error (PQL_E_USAGE with file, line and column for
 * a mistake in the file, PQL_E_IO, PQL_E_NOMEM, that of a .change) nothing has changed and *out is
 * NULL; else pqi_config_reload_undo or pqi_config_reload_finish must follow, to which NULL is a
 * no-op.  *out is NULL too where nothing was noted.  The thread that runs the command. */
pql_status pqi_config_reload_begin(pqi_config_reload **out, const char *service, void *user,
                                   pql_error *err);
/* Takes all of it back, and frees |r|. */
void pqi_config_reload_undo(pqi_config_reload *r);
/* Takes all of it over, and frees |r|.  |changed| gets what is different, secrets hidden; the event
 * config_needs_restart of the service lists what changed in the file but not in the program. */
void pqi_config_reload_finish(pqi_config_reload *r, pqi_changes *changed);

/* How a reload ended, in one line: the event reloaded with what |changed|, or reload_refused with
 * the reason in |err|. */
void pqi_config_reload_log(const char *service, pql_status status, const pql_error *err,
                           const pqi_changes *changed);

/* All of that, for a command that reads nothing but settings again.  False when it was refused. */
bool pqi_config_reload_alone(const char *service, void *user);

#endif
