#include "cmd/remote.h"

#include "base/clock.h"
#include "base/error.h"

#include <errno.h>
#include <semaphore.h>

/* Filled on the worker's thread; read after |done|. */
typedef struct look {
    pqi_remote remote;
    bool seen;
    pql_close why;
    sem_t done;
} look;

static void on_open(pql_link *link, void *user)
{
    look *l = user;
    l->remote.posture = *pql_link_posture(link);
    l->seen = pql_link_peer_fingerprint(link, PQL_FINGERPRINT_CERT, &l->remote.certificate) &&
              pql_link_peer_fingerprint(link, PQL_FINGERPRINT_SPKI, &l->remote.key);
    pql_link_close(link, 0, "");
}

static void on_close(pql_link *link, const pql_close *why, void *user)
{
    look *l = user;
    (void)link;
    l->why = *why;
    (void)sem_post(&l->done);
}

static const pql_handlers handlers = {.link_open = on_open, .link_close = on_close};

static pql_status outcome(const look *l, const pqi_url *url, pql_error *err)
{
    if (l->seen) {
        return PQL_OK;
    }
    const pql_status status = l->why.status != PQL_OK ? l->why.status : PQL_E_CLOSED;
    const char *reason = l->why.reason[0] != '\0' ? l->why.reason : pql_status_text(status);
    return pqi_fail(err, status, "%s: %s", url->text, reason);
}

pql_status pqi_remote_look_as(pqi_remote *out, const pqi_url *url, const char *alpn,
                              pql_policy policy, uint64_t timeout_ns, pql_error *err)
{
    const pql_context_opts links = {.policy = policy, .workers = 1};
    const pql_peer peer = {.insecure = true};
    look l = {0};
    pql_context *ctx = NULL;
    const pql_connect_opts opts = {.alpn = alpn,
                                   .handlers = &handlers,
                                   .user = &l,
                                   .connect_timeout_ms = timeout_ns / PQI_NS_PER_MS};
    *out = (pqi_remote){0};
    pql_status status = pql_context_new(&ctx, &links, err);
    if (status != PQL_OK) {
        return status;
    }
    (void)sem_init(&l.done, 0, 0);
    status = pql_connect(ctx, url->text, &peer, &opts, NULL, err);
    if (status == PQL_OK) {
        while (sem_wait(&l.done) != 0 && errno == EINTR) {
            continue;
        }
        status = outcome(&l, url, err);
    }
    pql_context_free(ctx);
    (void)sem_destroy(&l.done);
    if (status == PQL_OK) {
        *out = l.remote;
    }
    return status;
}

/* Who looks wants to see what is there: an endpoint that refuses hybrid takes nothing below
 * ML-KEM-1024. */
pql_status pqi_remote_look(pqi_remote *out, const pqi_url *url, const char *alpn,
                           uint64_t timeout_ns, pql_error *err)
{
    const pql_status status =
        pqi_remote_look_as(out, url, alpn, PQL_POLICY_HYBRID, timeout_ns, err);
    if (status != PQL_E_POLICY ||
        pqi_remote_look_as(out, url, alpn, PQL_POLICY_CNSA_2_0, timeout_ns, NULL) != PQL_OK) {
        return status;
    }
    pqi_error_clear(err);
    return PQL_OK;
}
