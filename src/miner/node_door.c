/* Who is let in: links that have not said Ready yet, and tokens. */
#include "base/clock.h"
#include "miner/node_inside.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#define UNNAMED "unnamed"
#define MS_PER_SEC 1000

void pqi_node_wait_end(pqi_node_link *miner)
{
    pqi_node_worker *home = miner->home;
    if (!miner->waits) {
        return;
    }
    *(miner->waiting_prev != NULL ? &miner->waiting_prev->waiting_next : &home->oldest_waiting) =
        miner->waiting_next;
    *(miner->waiting_next != NULL ? &miner->waiting_next->waiting_prev : &home->newest_waiting) =
        miner->waiting_prev;
    miner->waits = false;
    home->waiting--;
}

void pqi_node_wait_begin(pqi_node_link *miner)
{
    pqi_node_worker *home = miner->home;
    const unsigned limit = miner->service->opts.max_waiting;
    if (home->waiting >= (limit != 0 ? limit : PQI_NODE_WAITING_MAX)) {
        pqi_node_link *oldest = home->oldest_waiting;
        pqi_node_wait_end(oldest);
        pqi_session_node_close(&oldest->session, PQI_CLOSE_CROWDED);
    }
    miner->waiting_prev = home->newest_waiting;
    *(home->newest_waiting != NULL ? &home->newest_waiting->waiting_next : &home->oldest_waiting) =
        miner;
    home->newest_waiting = miner;
    miner->waits = true;
    home->waiting++;
}

static uint64_t now_unix(void)
{
    return pqi_clock_unix_ms() / MS_PER_SEC;
}

/* The address in "192.0.2.1:9833" or "[2001:db8::1%eth0]:9833"; false when there is none. */
static bool address_of(struct in6_addr *out, const char *text)
{
    char host[INET6_ADDRSTRLEN + sizeof("::ffff:")];
    const bool six = text[0] == '[';
    const size_t len = strcspn(text + (six ? 1 : 0), six ? "]%" : ":");
    if (len >= INET6_ADDRSTRLEN) {
        return false;
    }
    (void)snprintf(host, sizeof(host), "%s%.*s", six ? "" : "::ffff:", (int)len,
                   text + (six ? 1 : 0));
    return inet_pton(AF_INET6, host, out) == 1;
}

/* A capability for miners; its tenant is the miner's name. */
static bool capability_match(pqi_node_link *miner, const char *token)
{
    const pqi_node_service_opts *opts = &miner->service->opts;
    struct in6_addr address;
    pqi_cap_verdict verdict;
    const pqi_cap_request request = {
        .audience = "miner", .address = address_of(&address, miner->address) ? &address : NULL};
    miner->by_capability = true;
    const bool allowed = pqi_cap_keyring_verify(opts->capabilities, token, strlen(token), &request,
                                                now_unix(), &verdict);
    pqi_cap_metrics_verified(opts->capability_metrics, verdict.reason);
    miner->capability_reason = verdict.reason;
    miner->capability = verdict.grant;
    (void)snprintf(miner->grant.miner, sizeof(miner->grant.miner), "%s", verdict.grant.tenant);
    (void)snprintf(miner->grant.token, sizeof(miner->grant.token), "%s", verdict.grant.kid);
    return allowed;
}

static bool token_match(pqi_node_link *miner, const char *token)
{
    const pqi_node_service_opts *opts = &miner->service->opts;
    if (opts->capabilities != NULL && pqi_cap_is_token(token)) {
        return capability_match(miner, token);
    }
    return opts->tokens != NULL && pqi_tokens_match(opts->tokens, token, &miner->grant);
}

bool pqi_node_authorise(pqi_node_link *miner, const pqi_miner_hello *hello)
{
    const pqi_node_service_opts *opts = &miner->service->opts;
    const char *name = hello->name != NULL ? hello->name : UNNAMED;
    const bool needed =
        miner->dialect == PQI_MINER_V2 || (miner->dialect == PQI_MINER_PQ1 && opts->token_required);
    if (needed) {
        miner->granted = hello->token != NULL && token_match(miner, hello->token);
        name = miner->grant.miner;
    }
    (void)snprintf(miner->name, sizeof(miner->name), "%s", name);
    return miner->granted || !needed;
}

bool pqi_node_still_granted(pqi_node_link *miner)
{
    const pqi_node_service_opts *opts = &miner->service->opts;
    if (miner->granted && miner->by_capability) {
        miner->capability_reason =
            pqi_cap_keyring_recheck(opts->capabilities, &miner->capability, now_unix());
        return miner->capability_reason == PQI_CAP_ALLOWED;
    }
    return !miner->granted || pqi_tokens_has(opts->tokens, &miner->grant);
}

void pqi_node_refusal(const pqi_node_link *miner, const pqi_miner_hello *hello,
                      char out[PQI_NODE_REFUSAL_SIZE])
{
    if (miner->by_capability) {
        (void)snprintf(out, PQI_NODE_REFUSAL_SIZE, "its capability token is %s: %s",
                       miner->granted ? "no longer good" : "refused",
                       pqi_cap_reason_names[miner->capability_reason]);
        return;
    }
    (void)snprintf(out, PQI_NODE_REFUSAL_SIZE, "%s",
                   miner->granted         ? "its token was taken out of the list"
                   : hello->token == NULL ? "it has no token"
                                          : "its token is wrong");
}
