#include "cmd/log_options.h"

const char *const pqi_log_format_names[] = {"auto", "text", "json", NULL};
const char *const pqi_log_level_names[] = {"debug", "info", "warn", "error", NULL};
const char *const pqi_policy_names[] = {"hybrid",       "off",           "pq-only",
                                        "cnsa-2.0",     "hybrid-2026",   "off-2026",
                                        "pq-only-2026", "cnsa-2.0-2026", NULL};

void pqi_log_level_apply(void *user, const void *value)
{
    (void)user;
    pqi_log_set_level(*(const pqi_log_level *)value);
}
