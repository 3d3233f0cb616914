#include "cmd/manager.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Looks at the workers in one period of the watchdog: a ping needs two of them. */
#define LOOKS 4

void pqi_manager_open(pqi_manager *m, const char *service)
{
    pql_error err = {0};
    *m = (pqi_manager){0};
    if (pqi_notify_open(&m->to, getenv("NOTIFY_SOCKET"), &err) != PQL_OK) {
        pqi_log(PQI_LOG_WARN, service, "notify_off", PQI_STR("reason", err.message));
    }
    if (m->to.on) {
        m->step =
            pqi_notify_watchdog(getenv("WATCHDOG_USEC"), getenv("WATCHDOG_PID"), getpid()) / LOOKS;
    }
}

void pqi_manager_close(pqi_manager *m)
{
    pqi_notify_close(&m->to);
    m->step = 0;
}

/* |state| is "READY=1" and the like, "" for none. */
static void say(pqi_manager *m, const char *state, const char *status)
{
    char message[PQI_NOTIFY_SIZE];
    (void)snprintf(m->status, sizeof(m->status), "%s", status);
    pqi_text_clean(m->status); /* a line feed would begin another assignment */
    (void)snprintf(message, sizeof(message), "%s%sSTATUS=%s", state, state[0] != '\0' ? "\n" : "",
                   m->status);
    (void)pqi_notify_send(&m->to, message);
}

void pqi_manager_ready(pqi_manager *m, pql_context *ctx, const char *status)
{
    m->ctx = ctx;
    say(m, "READY=1", status);
}

void pqi_manager_status(pqi_manager *m, const char *status)
{
    if (strncmp(m->status, status, sizeof(m->status) - 1) != 0) {
        say(m, "", status);
    }
}

void pqi_manager_reloading(pqi_manager *m, uint64_t now)
{
    char message[PQI_NOTIFY_SIZE];
    (void)snprintf(message, sizeof(message), "RELOADING=1\nMONOTONIC_USEC=%llu",
                   (unsigned long long)(now / PQI_NS_PER_US));
    (void)pqi_notify_send(&m->to, message);
}

void pqi_manager_stopping(pqi_manager *m, const char *status)
{
    say(m, "STOPPING=1", status);
}

/* On a worker. */
static void answer(void *arg)
{
    atomic_fetch_add(&((pqi_manager *)arg)->answers, 1);
}

/* Asks the workers that were not asked yet in this round; one whose queue is full is asked at the
 * next look. */
static void ask(pqi_manager *m, unsigned workers)
{
    if (!m->asking) {
        m->asking = true;
        m->asked = 0;
        atomic_store(&m->answers, 0);
    }
    while (m->asked < workers && pql_context_run(m->ctx, m->asked, answer, m) == PQL_OK) {
        m->asked++;
    }
}

uint64_t pqi_manager_tick(pqi_manager *m, uint64_t now)
{
    const unsigned workers = m->ctx != NULL ? pql_context_workers(m->ctx) : 0;
    if (m->step == 0) {
        return PQI_TIME_NEVER;
    }
    if (now >= m->due) {
        if (m->asking && atomic_load(&m->answers) == workers) {
            m->asking = false;
            (void)pqi_notify_send(&m->to, "WATCHDOG=1");
        }
        ask(m, workers);
        m->due = now + m->step;
    }
    return m->due;
}
