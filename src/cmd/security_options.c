#include "cmd/security_options.h"

#include "base/log.h"
#include "cmd/config_reload.h"

#include <limits.h>

const char *const pqi_policy_names[] = {"hybrid",       "off",           "pq-only",
                                        "cnsa-2.0",     "hybrid-2026",   "off-2026",
                                        "pq-only-2026", "cnsa-2.0-2026", NULL};
const char *const pqi_authentication_names[] = {"any", "ml-dsa", NULL};

void pqi_security_log(const char *service, const pqi_security_options *options)
{
    char from[PATH_MAX + PQI_ENV_NAME_SIZE];
    pqi_config_started_place(from, sizeof(from), "policy");
    /* What is weaker than the default is said in a way that filters for trouble find. */
    pqi_log(pql_policy_wants_pq(options->policy) ? PQI_LOG_INFO : PQI_LOG_WARN, service, "security",
            PQI_STR("policy", pql_policy_name(options->policy)), PQI_STR("policy_from", from),
            PQI_STR("authentication", pqi_authentication_names[options->pq_authentication]),
            PQI_BOOL("amnesia", options->amnesia),
            PQI_U64("key_rotation_days", options->key_rotation_days));
}

pql_status pqi_policy_change(void *user, const void *value, pql_error *err)
{
    const pqi_security_live *live = user;
    return live->set_policy(live->service, *(const pql_policy *)value, err);
}

void pqi_rotation_days_apply(void *user, const void *value)
{
    const pqi_security_live *live = user;
    if (live->set_rotation_days != NULL) {
        live->set_rotation_days(live->service, *(const uint64_t *)value);
    }
}
