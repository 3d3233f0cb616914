/* Who is let in: links that have not said Ready yet, and tokens. */
#include "miner/node_inside.h"

#include <stdio.h>

#define UNNAMED "unnamed"

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

bool pqi_node_authorise(pqi_node_link *miner, const pqi_miner_hello *hello)
{
    const pqi_node_service_opts *opts = &miner->service->opts;
    const char *name = hello->name != NULL ? hello->name : UNNAMED;
    const bool needed =
        miner->dialect == PQI_MINER_V2 || (miner->dialect == PQI_MINER_PQ1 && opts->token_required);
    if (needed) {
        miner->granted = hello->token != NULL && opts->tokens != NULL &&
                         pqi_tokens_match(opts->tokens, hello->token, &miner->grant);
        name = miner->grant.miner;
    }
    (void)snprintf(miner->name, sizeof(miner->name), "%s", name);
    return miner->granted || !needed;
}

bool pqi_node_still_granted(const pqi_node_link *miner)
{
    return !miner->granted || pqi_tokens_has(miner->service->opts.tokens, &miner->grant);
}
