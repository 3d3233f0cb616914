#include "cmd/security_options.h"

const char *const pqi_policy_names[] = {"hybrid",       "off",           "pq-only",
                                        "cnsa-2.0",     "hybrid-2026",   "off-2026",
                                        "pq-only-2026", "cnsa-2.0-2026", NULL};
const char *const pqi_authentication_names[] = {"any", "ml-dsa", NULL};
