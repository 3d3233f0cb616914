#include "cmd/node_caps.h"

#include "base/clock.h"
#include "base/log.h"
#include "miner/session.h"

#define SERVICE "node"

/* What cannot be honoured is an error: a login has room for a MAC, not for signatures. */
static pql_status check_miners(const pqi_cap_keys *keys, const char *path, pql_error *err)
{
    for (size_t i = 0; i < keys->count; i++) {
        if (keys->keys[i].require_signature) {
            return pqi_fail(err, PQL_E_USAGE,
                            "A key in %.200s has require_signature, and a miner's login carries %d "
                            "bytes, which is too short for signatures.  Use another key for "
                            "miners.",
                            path, PQI_MINER_TOKEN_MAX);
        }
    }
    return PQL_OK;
}

pql_status pqi_node_caps_open(pqi_node_caps *caps, const pqi_node_caps_opts *opts,
                              pqi_metrics *registry, pql_error *err)
{
    const pqi_cap_policy policy = {.skew = opts->skew_ns / PQI_NS_PER_SEC};
    pql_status status = pqi_cap_metrics_new(&caps->metrics, registry, pqi_cap_reason_names,
                                            PQI_CAP_REASON_COUNT, err);
    if (status == PQL_OK && opts->miner_keys != NULL) {
        status = pqi_cap_keyring_open(&caps->miners, opts->miner_keys, &policy, check_miners, err);
    }
    if (status == PQL_OK && opts->admin_keys != NULL) {
        status = pqi_cap_keyring_open(&caps->auth.keys, opts->admin_keys, &policy, NULL, err);
        caps->auth.metrics = caps->metrics;
    }
    return status;
}

void pqi_node_caps_close(pqi_node_caps *caps)
{
    pqi_cap_keyring_free(caps->miners);
    pqi_cap_keyring_free(caps->auth.keys);
    pqi_cap_metrics_free(caps->metrics);
    *caps = (pqi_node_caps){0};
}

const pqi_admin_auth *pqi_node_caps_auth(const pqi_node_caps *caps)
{
    return caps->auth.keys == NULL ? NULL : &caps->auth;
}

static void reload(pqi_cap_keyring *ring, const char *audience)
{
    pql_error err = {0};
    if (ring == NULL) {
        return;
    }
    const pql_status status = pqi_cap_keyring_reload(ring, &err);
    if (status == PQL_OK) {
        pqi_log(PQI_LOG_INFO, SERVICE, "capability_keys_loaded", PQI_STR("audience", audience),
                PQI_U64("keys", pqi_cap_keyring_count(ring)));
    } else {
        pqi_log(PQI_LOG_ERROR, SERVICE, "capability_keys_refused", PQI_STR("audience", audience),
                PQI_STR("reason", err.message), PQI_U64("keys", pqi_cap_keyring_count(ring)));
    }
}

void pqi_node_caps_reload(pqi_node_caps *caps)
{
    reload(caps->miners, "miner");
    reload(caps->auth.keys, PQI_ADMIN_AUDIENCE);
}
