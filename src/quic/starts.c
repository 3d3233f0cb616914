/* Handshakes that began without a proof of the client's address: a queue, oldest first. */
#include "quic/internal.h"

#include <stdlib.h>

struct pqi_start {
    pqi_start *next, *prev;
    pqi_quic_conn *conn; /* whose beginning it was, while there is one */
    pqi_source *source;
    uint64_t until;
};

/* What is out of the queue is counted no more. */
static void release(pqi_quic_endpoint *endpoint, pqi_start *start)
{
    endpoint->starts--;
    if (start->conn != NULL) {
        start->conn->start = NULL;
    }
    pqi_sources_remove(endpoint->unproven, start->source);
    free(start);
}

static void release_first(pqi_quic_endpoint *endpoint)
{
    pqi_start *start = endpoint->starts_first;
    endpoint->starts_first = start->next;
    if (start->next == NULL) {
        endpoint->starts_last = NULL;
    } else {
        start->next->prev = NULL;
    }
    release(endpoint, start);
}

bool pqi_starts_must_prove(pqi_quic_endpoint *endpoint, const pqi_address *remote, uint64_t now)
{
    const size_t threshold = endpoint->opts.retry_threshold;
    while (endpoint->starts_first != NULL && endpoint->starts_first->until <= now) {
        release_first(endpoint);
    }
    return endpoint->starts >=
               (threshold < PQI_QUIC_STARTS_MAX ? threshold : PQI_QUIC_STARTS_MAX) ||
           pqi_sources_count(endpoint->unproven, remote) >= PQI_QUIC_UNPROVEN_MAX;
}

bool pqi_starts_add(pqi_quic_conn *conn)
{
    pqi_quic_endpoint *endpoint = conn->endpoint;
    pqi_start *start = calloc(1, sizeof(*start));
    if (start == NULL) {
        return false;
    }
    start->conn = conn;
    start->source = pqi_sources_add(endpoint->unproven, &conn->remote, SIZE_MAX);
    start->until = conn->started + endpoint->opts.handshake_timeout;
    start->prev = endpoint->starts_last;
    if (start->prev == NULL) {
        endpoint->starts_first = start;
    } else {
        start->prev->next = start;
    }
    endpoint->starts_last = start;
    endpoint->starts++;
    conn->start = start;
    return true;
}

void pqi_starts_give_back(pqi_quic_conn *conn)
{
    pqi_start *start = conn->start;
    if (start == NULL) {
        return;
    }
    if (start->prev == NULL) {
        release_first(conn->endpoint);
        return;
    }
    start->prev->next = start->next;
    if (start->next == NULL) {
        conn->endpoint->starts_last = start->prev;
    } else {
        start->next->prev = start->prev;
    }
    release(conn->endpoint, start);
}

void pqi_starts_leave(pqi_quic_conn *conn)
{
    if (conn->start != NULL) {
        conn->start->conn = NULL;
        conn->start = NULL;
    }
}

void pqi_starts_free(pqi_quic_endpoint *endpoint)
{
    while (endpoint->starts_first != NULL) {
        release_first(endpoint);
    }
}
