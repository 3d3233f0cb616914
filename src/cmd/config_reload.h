/* What SIGHUP does to the settings of a running program. */
#ifndef PQI_CMD_CONFIG_RELOAD_H
#define PQI_CMD_CONFIG_RELOAD_H

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

/* Reads command line, environment and file again and takes over what may change in a running
 * program: options with an .apply or .change, which get |user|.  All or nothing: where anything in
 * the file is wrong, or a change is refused, nothing changes, the event config_refused of |service|
 * says what, with file, line and column, and the answer is false.  Otherwise config_reloaded lists
 * what changed (secrets hidden), and config_needs_restart what changed in the file but not in the
 * program.  Silent where no file was read before or now. The thread that runs the command. */
bool pqi_config_reload(const char *service, void *user);

#endif
