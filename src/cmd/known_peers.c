#include "cmd/known_peers.h"

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"

#include <stdio.h>
#include <string.h>

static pql_status peer_get(void *user, const char *name, pql_known_peer *out)
{
    pqi_store_peer peer;
    const pql_status status = pqi_store_peer_get(user, name, &peer, NULL);
    memcpy(out->cert_sha256, peer.fingerprint, sizeof(out->cert_sha256));
    out->was_hybrid = peer.was_hybrid;
    return status;
}

static pql_status peer_put(void *user, const char *name, const pql_known_peer *peer)
{
    return pqi_store_peer_put(user, name, peer->cert_sha256, peer->was_hybrid, pqi_clock_unix_ms(),
                              NULL);
}

pql_status pqi_known_peers_open(pqi_store **out, const pqi_dir *dir, pql_error *err)
{
    char path[PATH_MAX];
    *out = NULL;
    const int len = snprintf(path, sizeof(path), "%s/peers", dir->text);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return pqi_fail(err, PQL_E_USAGE, "The name of the directory is too long.");
    }
    /* Who may write here could put another memory in the place of ours. */
    const pql_status status = pqi_store_check_directory(dir->text, err);
    return status == PQL_OK ? pqi_store_open(out, path, err) : status;
}

static const char *marks_service = "pqlink";

static void marks_failed(const char *sentence)
{
    pqi_log(PQI_LOG_WARN, marks_service, "downgrade_memory_failing", PQI_STR("reason", sentence));
}

pql_status pqi_hybrid_peers_open(pqi_hybrid_marks **out, const pqi_dir *dir, const char *service,
                                 pql_error *err)
{
    char path[PATH_MAX];
    *out = NULL;
    marks_service = service;
    if (dir == NULL) {
        return pqi_hybrid_marks_open(out, NULL, marks_failed, err);
    }
    const int len = snprintf(path, sizeof(path), "%s/hybrid", dir->text);
    if (len < 0 || (size_t)len >= sizeof(path)) {
        return pqi_fail(err, PQL_E_USAGE, "The name of the directory is too long.");
    }
    return pqi_hybrid_marks_open(out, path, marks_failed, err);
}

pql_tofu pqi_known_peers_tofu(pqi_store *store)
{
    return (pql_tofu){.get = peer_get, .put = peer_put, .user = store};
}
