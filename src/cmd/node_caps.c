#include "cmd/node_caps.h"

#include "base/clock.h"
#include "miner/session.h"

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

static pql_status read_one(const pqi_cap_keyring *ring, pqi_cap_keys *keys, pql_error *err)
{
    *keys = (pqi_cap_keys){0};
    return ring == NULL ? PQL_OK : pqi_cap_keyring_read(ring, keys, err);
}

pql_status pqi_node_caps_read(const pqi_node_caps *caps, pqi_node_caps_fresh *fresh, pql_error *err)
{
    *fresh = (pqi_node_caps_fresh){.miners = {0}};
    pql_status status = read_one(caps->miners, &fresh->miners, err);
    if (status == PQL_OK) {
        status = read_one(caps->auth.keys, &fresh->admin, err);
    }
    if (status != PQL_OK) {
        pqi_node_caps_discard(fresh);
    }
    return status;
}

static void take_one(pqi_cap_keyring *ring, pqi_cap_keys *keys, const char *what,
                     pqi_changes *changes)
{
    if (ring == NULL) {
        return;
    }
    if (pqi_cap_keyring_differs(ring, keys)) {
        pqi_changes_add(changes, "%s: %zu -> %zu", what, pqi_cap_keyring_count(ring), keys->count);
    }
    pqi_cap_keyring_take(ring, keys);
}

void pqi_node_caps_take(pqi_node_caps *caps, pqi_node_caps_fresh *fresh, pqi_changes *changes)
{
    take_one(caps->miners, &fresh->miners, "capability keys of miners", changes);
    take_one(caps->auth.keys, &fresh->admin, "capability keys of the admin port", changes);
}

void pqi_node_caps_discard(pqi_node_caps_fresh *fresh)
{
    pqi_cap_keys_clear(&fresh->miners);
    pqi_cap_keys_clear(&fresh->admin);
}
