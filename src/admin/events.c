#include "admin/events.h"

#include "base/clock.h"

#include <microhttpd.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define PERIOD PQI_NS_PER_SEC
/* How long a stop waits for listeners to take the end of their stream; those that do not read are
 * cut off then. */
#define STOP_WAIT PQI_NS_PER_SEC
/* What the server asks a listener for at a time. */
#define BLOCK_SIZE 4096
#define MS_PER_SEC 1000

/* One event as it goes over the wire, shared by all listeners. */
typedef struct snapshot {
    pqi_buf text;
    uint64_t number; /* rises from 1 */
    unsigned refs;
} snapshot;

typedef struct listener {
    pqi_events *events;
    struct MHD_Connection *connection;
    pqi_events_ticket ticket;
    struct listener *next;
    snapshot *at; /* being sent; NULL: none */
    size_t sent;  /* of |at| */
    uint64_t seen;
    bool suspended;
} listener;

struct pqi_events {
    pthread_t thread;
    pqi_events_make make;
    void *user;
    pthread_mutex_t lock; /* guards all below, and suspending and resuming */
    pthread_cond_t change;
    listener *listeners;
    unsigned count;
    snapshot *latest; /* NULL: none, or nobody listened meanwhile */
    uint64_t numbers;
    bool stopping;
};

/* ---- Snapshots ---- */

static void release(snapshot *s)
{
    if (s != NULL && --s->refs == 0) {
        pqi_buf_free(&s->text);
        free(s);
    }
}

/* NULL when it could not be made. */
static snapshot *snapshot_new(const pqi_events *e)
{
    pql_error err = {0};
    snapshot *s = calloc(1, sizeof(*s));
    if (s == NULL) {
        return NULL;
    }
    s->refs = 1;
    if (!pqi_buf_printf(&s->text, "data: ") || e->make(e->user, &s->text, &err) != PQL_OK ||
        !pqi_buf_printf(&s->text, "\n\n")) {
        release(s);
        return NULL;
    }
    return s;
}

/* ---- The listeners, on the server's thread ---- */

/* Under the lock; 0 when there is nothing to send now. */
static ssize_t send_some(listener *l, char *out, size_t max)
{
    pqi_events *e = l->events;
    if (l->at == NULL && e->latest != NULL && e->latest->number > l->seen) {
        l->at = e->latest;
        l->at->refs++;
        l->sent = 0;
    }
    if (l->at == NULL) {
        return 0;
    }
    if (e->numbers - l->at->number > PQI_EVENTS_BEHIND_MAX) {
        return MHD_CONTENT_READER_END_WITH_ERROR;
    }
    const size_t left = l->at->text.len - l->sent;
    const size_t len = left < max ? left : max;
    memcpy(out, l->at->text.data + l->sent, len);
    l->sent += len;
    if (l->sent == l->at->text.len) {
        l->seen = l->at->number;
        release(l->at);
        l->at = NULL;
    }
    return (ssize_t)len;
}

static bool may_listen(const pqi_events_ticket *ticket)
{
    return ticket->auth == NULL ||
           pqi_admin_auth_still(ticket->auth, &ticket->grant, pqi_clock_unix_ms() / MS_PER_SEC);
}

static ssize_t on_read(void *user, uint64_t position, char *out, size_t max)
{
    listener *l = user;
    pqi_events *e = l->events;
    (void)position;
    ssize_t len = MHD_CONTENT_READER_END_OF_STREAM;
    (void)pthread_mutex_lock(&e->lock);
    if (!e->stopping && may_listen(&l->ticket)) {
        len = send_some(l, out, max);
        if (len == 0) {
            MHD_suspend_connection(l->connection);
            l->suspended = true;
        }
    }
    (void)pthread_mutex_unlock(&e->lock);
    return len;
}

static void on_free(void *user)
{
    listener *l = user;
    pqi_events *e = l->events;
    (void)pthread_mutex_lock(&e->lock);
    listener **at = &e->listeners;
    while (*at != l) {
        at = &(*at)->next;
    }
    *at = l->next;
    e->count--;
    release(l->at);
    if (e->count == 0) {
        release(e->latest); /* who comes later must not get an old one */
        e->latest = NULL;
        (void)pthread_cond_signal(&e->change); /* a stop waits for it */
    }
    (void)pthread_mutex_unlock(&e->lock);
    free(l);
}

/* False when there are too many. */
static bool enlist(pqi_events *e, listener *l)
{
    (void)pthread_mutex_lock(&e->lock);
    const bool room = e->count < PQI_EVENTS_LISTENERS_MAX && !e->stopping;
    if (room) {
        l->next = e->listeners;
        e->listeners = l;
        e->count++;
        (void)pthread_cond_signal(&e->change);
    }
    (void)pthread_mutex_unlock(&e->lock);
    return room;
}

struct MHD_Response *pqi_events_response(pqi_events *e, struct MHD_Connection *connection,
                                         const pqi_events_ticket *ticket)
{
    listener *l = calloc(1, sizeof(*l));
    if (l == NULL) {
        return NULL;
    }
    *l = (listener){.events = e, .connection = connection, .ticket = *ticket};
    if (!enlist(e, l)) {
        free(l);
        return NULL;
    }
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_SIZE, on_read, l, on_free);
    if (response == NULL) {
        on_free(l);
    }
    return response;
}

/* ---- The thread ---- */

/* Under the lock. */
static void resume_all(pqi_events *e)
{
    for (listener *l = e->listeners; l != NULL; l = l->next) {
        if (l->suspended) {
            l->suspended = false;
            MHD_resume_connection(l->connection);
        }
    }
}

/* Under the lock, which it lets go meanwhile. */
static void make_one(pqi_events *e)
{
    (void)pthread_mutex_unlock(&e->lock);
    snapshot *made = snapshot_new(e);
    (void)pthread_mutex_lock(&e->lock);
    if (made == NULL) {
        return;
    }
    made->number = ++e->numbers;
    release(e->latest);
    e->latest = made;
    resume_all(e);
}

static void wait_until(pqi_events *e, uint64_t when)
{
    const struct timespec deadline = {.tv_sec = (time_t)(when / PQI_NS_PER_SEC),
                                      .tv_nsec = (long)(when % PQI_NS_PER_SEC)};
    (void)pthread_cond_timedwait(&e->change, &e->lock, &deadline);
}

static void *run(void *arg)
{
    pqi_events *e = arg;
    uint64_t next = 0;
    (void)pthread_setname_np(pthread_self(), "pqlink-events");
    (void)pthread_mutex_lock(&e->lock);
    while (!e->stopping) {
        if (e->count == 0) {
            (void)pthread_cond_wait(&e->change, &e->lock);
        } else if (pqi_clock_monotonic() < next) {
            wait_until(e, next);
        } else {
            next = pqi_clock_monotonic() + PERIOD;
            make_one(e);
        }
    }
    resume_all(e);
    (void)pthread_mutex_unlock(&e->lock);
    return NULL;
}

static bool thread_start(pqi_events *e)
{
    pthread_condattr_t monotonic;
    (void)pthread_condattr_init(&monotonic);
    (void)pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    (void)pthread_mutex_init(&e->lock, NULL);
    (void)pthread_cond_init(&e->change, &monotonic);
    (void)pthread_condattr_destroy(&monotonic);
    /* The thread must not take the program's signals. */
    sigset_t all;
    sigset_t before;
    (void)sigfillset(&all);
    (void)pthread_sigmask(SIG_BLOCK, &all, &before);
    const bool started = pthread_create(&e->thread, NULL, run, e) == 0;
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return started;
}

static void destroy(pqi_events *e)
{
    (void)pthread_cond_destroy(&e->change);
    (void)pthread_mutex_destroy(&e->lock);
    free(e);
}

pql_status pqi_events_new(pqi_events **out, pqi_events_make make, void *user, pql_error *err)
{
    *out = NULL;
    pqi_events *e = calloc(1, sizeof(*e));
    if (e == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "No memory for the admin port.");
    }
    e->make = make;
    e->user = user;
    if (!thread_start(e)) {
        destroy(e);
        return pqi_fail(err, PQL_E_FAILED,
                        "The thread of the status page did not start; the limit on threads is "
                        "probably reached.");
    }
    *out = e;
    return PQL_OK;
}

void pqi_events_stop(pqi_events *e)
{
    if (e == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&e->lock);
    e->stopping = true;
    (void)pthread_cond_signal(&e->change);
    (void)pthread_mutex_unlock(&e->lock);
    (void)pthread_join(e->thread, NULL);
    const uint64_t deadline = pqi_clock_monotonic() + STOP_WAIT;
    (void)pthread_mutex_lock(&e->lock);
    while (e->count > 0 && pqi_clock_monotonic() < deadline) {
        wait_until(e, deadline);
    }
    (void)pthread_mutex_unlock(&e->lock);
}

void pqi_events_free(pqi_events *e)
{
    if (e != NULL) {
        release(e->latest);
        destroy(e);
    }
}
