/* pqlink config show: settings as a file that pqlink would read, or as JSON. */
#ifndef PQI_CMD_CONFIG_SHOW_H
#define PQI_CMD_CONFIG_SHOW_H

#include "cmd/options.h"

#include <jansson.h>
#include <stdio.h>

/* Writes the table of |command|: each option with its value and, as a comment, where that comes
 * from.  A secret, an unset option and what can only be typed stand in comments as a whole, so that
 * the output is a configuration again. */
void pqi_config_show_text(FILE *out, const pqi_command *command, const pqi_settings *settings);

/* The same as an object: key to {"value": ..., "from": "default|file|environment|command
 * line|unset", and "file", "line", "column" or "variable", and "alias" where it came by one}.  A
 * secret is "(hidden)".  NULL without memory; the caller owns it. */
json_t *pqi_config_show_json(const pqi_command *command, const pqi_settings *settings);

/* Where the value of a setting comes from, cut to |size| bytes: "default", "command line",
 * "environment PQLINK_NODE_DIR", "FILE:LINE", "FILE:LINE [security] pq_only"; "unset".  |file| is
 * that of the settings. */
void pqi_config_place(char *out, size_t size, const pqi_setting *setting, const char *file);

#endif
