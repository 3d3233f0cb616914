#include "cmd/node_keys.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <unistd.h>

#define SERVICE "node"
/* A node without its keys turns everybody away: it is to find out soon. */
#define LOOK PQI_NS_PER_SEC

/* One for each worker, so that a worker seldom waits for another one's signature. */
static unsigned channels_for(uint64_t workers)
{
    const long processors = sysconf(_SC_NPROCESSORS_ONLN);
    const uint64_t wanted = workers != 0 ? workers : processors > 0 ? (uint64_t)processors : 1;
    return wanted < PQI_SIGNER_CHANNELS_MAX ? (unsigned)wanted : PQI_SIGNER_CHANNELS_MAX;
}

pql_status pqi_node_keys_open(pqi_node_keys *keys, const pqi_node_options *options, bool must_exist,
                              pqi_runtime *rt, pql_error *err)
{
    const pqi_signer_opts opts = {.dir = options->dir.text,
                                  .must_exist = must_exist,
                                  .passphrase_file = options->passphrase_file,
                                  .roles = PQI_SIGNER_SERVER,
                                  .channels = channels_for(options->workers)};
    pql_status status =
        pqi_health_add(rt->health, "key_process", "not started yet", &keys->condition, err);
    if (status == PQL_OK) {
        status = pqi_signer_start(&keys->signer, &opts, err);
    }
    if (status == PQL_OK) {
        keys->health = rt->health;
        pqi_health_set_ok(keys->health, keys->condition);
        pqi_log(PQI_LOG_INFO, SERVICE, "key_process_started",
                PQI_U64("pid", (uint64_t)pqi_signer_pid(keys->signer)),
                PQI_U64("channels", opts.channels));
    }
    return status;
}

pql_status pqi_node_keys_tick(pqi_node_keys *keys, uint64_t now, uint64_t *next, pql_error *err)
{
    *next = UINT64_MAX;
    if (keys->signer == NULL) {
        return PQL_OK;
    }
    const pql_status status = pqi_signer_check(keys->signer, err);
    if (status == PQL_OK) {
        *next = now + LOOK;
        return PQL_OK;
    }
    pqi_health_set_failed(keys->health, keys->condition, err->message);
    pqi_log(PQI_LOG_ERROR, SERVICE, "key_process_ended", PQI_STR("reason", err->message));
    return status;
}

void pqi_node_keys_close(pqi_node_keys *keys)
{
    pqi_signer_stop(keys->signer);
    *keys = (pqi_node_keys){0};
}
