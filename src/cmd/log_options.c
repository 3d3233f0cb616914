#include "cmd/log_options.h"

const char *const pqi_log_format_names[] = {"auto", "text", "json", NULL};
const char *const pqi_log_level_names[] = {"debug", "info", "warn", "error", NULL};

void pqi_log_level_apply(void *user, const void *value)
{
    (void)user;
    pqi_log_set_level(*(const pqi_log_level *)value);
}
