/* Options that node and mine share. */
#ifndef PQI_CMD_LOG_OPTIONS_H
#define PQI_CMD_LOG_OPTIONS_H

#include "base/log.h"
#include "cmd/command.h"

/* In the order of log_format_names. */
typedef enum pqi_log_choice {
    PQI_LOG_CHOICE_AUTO, /* text on a terminal, JSON otherwise */
    PQI_LOG_CHOICE_TEXT,
    PQI_LOG_CHOICE_JSON
} pqi_log_choice;

typedef struct pqi_log_options {
    pqi_log_choice format;
    pqi_log_level level;
} pqi_log_options;

/* Names of the choices in the order of pqi_log_choice and pqi_log_level; each ends with NULL. */
extern const char *const pqi_log_format_names[];
extern const char *const pqi_log_level_names[];

/* The pqi_option.apply of --log-level: |value| is a pqi_log_level. */
void pqi_log_level_apply(void *user, const void *value);

/* Entries of an option table for the member |log| (pqi_log_options) of the options struct |s|. */
#define PQI_OPTION_LOG_FORMAT(s)                                                                   \
    {.name = "log-format",                                                                         \
     .kind = PQI_OPTION_CHOICE,                                                                    \
     .at = PQI_AT(s, log.format, pqi_log_choice),                                                  \
     .arg = "FORMAT",                                                                              \
     .choices = pqi_log_format_names,                                                              \
     .fallback = "auto",                                                                           \
     .env = "PQLINK_LOG_FORMAT",                                                                   \
     .help = "Form of log lines on standard error; auto is text on a terminal and one JSON "       \
             "object per line otherwise."}
#define PQI_OPTION_LOG_LEVEL(s)                                                                    \
    {.name = "log-level",                                                                          \
     .kind = PQI_OPTION_CHOICE,                                                                    \
     .at = PQI_AT(s, log.level, pqi_log_level),                                                    \
     .arg = "LEVEL",                                                                               \
     .choices = pqi_log_level_names,                                                               \
     .fallback = "info",                                                                           \
     .env = "PQLINK_LOG_LEVEL",                                                                    \
     .apply = pqi_log_level_apply,                                                                 \
     .help = "Least level of the events that are logged."}

#endif
