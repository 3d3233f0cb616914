#include "cmd/security_options.h"

const char *const pqi_policy_names[] = {"hybrid", "off", "pq-only", NULL};
const char *const pqi_authentication_names[] = {"any", "ml-dsa", NULL};
