#include "net/worker.h"

#include "base/clock.h"
#include "net/udp.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

/* Tasks that run before the loop looks for input again: a task may kick itself. */
#define RUNS_MAX 1024

typedef struct call {
    void (*fn)(void *arg);
    void *arg;
} call;

struct pqi_worker {
    pthread_t thread;
    unsigned index;
    uv_loop_t loop;
    uv_async_t wake;
    uv_prepare_t before_wait;
    uv_poll_t timer_poll;
    int timer_fd;
    uint64_t armed; /* when the timer descriptor fires next */
    pqi_heap timers;
    pqi_task *kicked_first, *kicked_last;
    uint8_t *scratch;
    atomic_size_t waiting; /* as queue_len, to be read without the lock */
    pthread_mutex_t lock;  /* guards the four below */
    call *queue;
    size_t queue_len, queue_size;
    bool stopping;
};

static size_t take_calls(pqi_worker *worker, call **out, bool *stopping)
{
    pthread_mutex_lock(&worker->lock);
    const size_t len = worker->queue_len;
    *out = worker->queue;
    *stopping = worker->stopping;
    worker->queue = NULL;
    worker->queue_len = 0;
    worker->queue_size = 0;
    atomic_store_explicit(&worker->waiting, 0, memory_order_relaxed);
    pthread_mutex_unlock(&worker->lock);
    return len;
}

static void close_handle(uv_handle_t *handle, void *arg)
{
    (void)arg;
    if (!uv_is_closing(handle)) {
        uv_close(handle, NULL);
    }
}

static void on_wake(uv_async_t *wake)
{
    pqi_worker *worker = wake->data;
    call *calls = NULL;
    bool stopping = false;
    const size_t len = take_calls(worker, &calls, &stopping);
    for (size_t i = 0; i < len; i++) {
        calls[i].fn(calls[i].arg);
    }
    free(calls);
    if (stopping) {
        uv_walk(&worker->loop, close_handle, NULL);
    }
}

/* Descriptors count nanoseconds where uv_timer counts milliseconds: pacing needs that. */
static void arm(pqi_worker *worker)
{
    const pqi_heap_node *first = pqi_heap_first(&worker->timers);
    if (first == NULL || first->key >= worker->armed) {
        return; /* fires early at worst, and is armed again then */
    }
    worker->armed = first->key;
    /* All zero would disarm. */
    const uint64_t when = first->key == 0 ? 1 : first->key;
    const struct itimerspec spec = {.it_value = {.tv_sec = (time_t)(when / PQI_NS_PER_SEC),
                                                 .tv_nsec = (long)(when % PQI_NS_PER_SEC)}};
    (void)timerfd_settime(worker->timer_fd, TFD_TIMER_ABSTIME, &spec, NULL);
}

static void on_timer(uv_poll_t *poll, int status, int poll_events)
{
    (void)status;
    (void)poll_events;
    pqi_worker *worker = poll->data;
    uint64_t expirations = 0;
    if (read(worker->timer_fd, &expirations, sizeof(expirations)) < 0) {
        return;
    }
    worker->armed = PQI_TIME_NEVER;
    const uint64_t now = pqi_clock_monotonic();
    for (;;) {
        pqi_heap_node *first = pqi_heap_first(&worker->timers);
        if (first == NULL || first->key > now) {
            break;
        }
        pqi_heap_remove(&worker->timers, first);
        pqi_worker_kick(worker, (pqi_task *)first);
    }
}

static void on_before_wait(uv_prepare_t *prepare)
{
    pqi_worker *worker = prepare->data;
    for (unsigned runs = 0; worker->kicked_first != NULL && runs < RUNS_MAX; runs++) {
        pqi_task *task = worker->kicked_first;
        worker->kicked_first = task->next_kicked;
        if (worker->kicked_first == NULL) {
            worker->kicked_last = NULL;
        }
        task->kicked = false;
        /* Each its own time: what a task does may begin something with a later one. */
        task->run(task, pqi_clock_monotonic());
    }
    if (worker->kicked_first != NULL) {
        (void)uv_async_send(&worker->wake); /* the rest after one more look */
    }
    arm(worker);
}

static void *run_thread(void *arg)
{
    pqi_worker *worker = arg;
    char name[16];
    (void)snprintf(name, sizeof(name), "pqlink-w%u", worker->index);
    (void)pthread_setname_np(pthread_self(), name);
    (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
    return NULL;
}

/* The loop's own handles; on failure the caller closes those that were made. */
static bool init_handles(pqi_worker *worker)
{
    if (uv_async_init(&worker->loop, &worker->wake, on_wake) != 0 ||
        uv_prepare_init(&worker->loop, &worker->before_wait) != 0 ||
        uv_prepare_start(&worker->before_wait, on_before_wait) != 0 ||
        uv_poll_init(&worker->loop, &worker->timer_poll, worker->timer_fd) != 0 ||
        uv_poll_start(&worker->timer_poll, UV_READABLE, on_timer) != 0) {
        return false;
    }
    worker->wake.data = worker;
    worker->before_wait.data = worker;
    worker->timer_poll.data = worker;
    return true;
}

static void free_loop(pqi_worker *worker)
{
    uv_walk(&worker->loop, close_handle, NULL);
    (void)uv_run(&worker->loop, UV_RUN_DEFAULT);
    (void)uv_loop_close(&worker->loop);
}

pql_status pqi_worker_start(pqi_worker **out, unsigned index, pql_error *err)
{
    *out = NULL;
    pqi_worker *worker = calloc(1, sizeof(*worker));
    if (worker == NULL) {
        return pqi_fail(err, PQL_E_NOMEM, "Out of memory starting a worker.");
    }
    worker->index = index;
    worker->armed = PQI_TIME_NEVER;
    worker->scratch = malloc(PQI_UDP_SCRATCH);
    worker->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    pthread_mutex_init(&worker->lock, NULL);
    if (worker->scratch == NULL || worker->timer_fd < 0 || uv_loop_init(&worker->loop) != 0) {
        goto free_worker;
    }
    if (!init_handles(worker) || pthread_create(&worker->thread, NULL, run_thread, worker) != 0) {
        free_loop(worker);
        goto free_worker;
    }
    *out = worker;
    return PQL_OK;

free_worker:
    if (worker->timer_fd >= 0) {
        (void)close(worker->timer_fd);
    }
    pthread_mutex_destroy(&worker->lock);
    free(worker->scratch);
    free(worker);
    return pqi_fail(err, PQL_E_FAILED,
                    "Cannot start a worker: out of memory, threads or file descriptors.");
}

void pqi_worker_stop(pqi_worker *worker)
{
    if (worker == NULL) {
        return;
    }
    pthread_mutex_lock(&worker->lock);
    worker->stopping = true;
    pthread_mutex_unlock(&worker->lock);
    (void)uv_async_send(&worker->wake);
    (void)pthread_join(worker->thread, NULL);
    (void)uv_loop_close(&worker->loop);
    (void)close(worker->timer_fd);
    pqi_heap_free(&worker->timers);
    pthread_mutex_destroy(&worker->lock);
    free(worker->queue);
    free(worker->scratch);
    free(worker);
}

uint64_t pqi_worker_cpu_ns(const pqi_worker *worker)
{
    clockid_t clock;
    struct timespec used = {0};
    if (pthread_getcpuclockid(worker->thread, &clock) == 0) {
        (void)clock_gettime(clock, &used);
    }
    return (uint64_t)used.tv_sec * PQI_NS_PER_SEC + (uint64_t)used.tv_nsec;
}

size_t pqi_worker_waiting(const pqi_worker *worker)
{
    return atomic_load_explicit(&worker->waiting, memory_order_relaxed);
}

pql_status pqi_worker_post(pqi_worker *worker, void (*fn)(void *arg), void *arg)
{
    pql_status status = PQL_OK;
    pthread_mutex_lock(&worker->lock);
    if (worker->stopping || worker->queue_len >= PQI_WORKER_QUEUE_MAX) {
        status = worker->stopping ? PQL_E_STATE : PQL_E_LIMIT;
    } else if (worker->queue_len == worker->queue_size) {
        const size_t size = worker->queue_size == 0 ? 16 : 2 * worker->queue_size;
        call *queue = realloc(worker->queue, size * sizeof(call));
        if (queue == NULL) {
            status = PQL_E_NOMEM;
        } else {
            worker->queue = queue;
            worker->queue_size = size;
        }
    }
    if (status == PQL_OK) {
        worker->queue[worker->queue_len++] = (call){fn, arg};
        atomic_store_explicit(&worker->waiting, worker->queue_len, memory_order_relaxed);
    }
    const bool first = status == PQL_OK && worker->queue_len == 1;
    pthread_mutex_unlock(&worker->lock);
    if (first) {
        (void)uv_async_send(&worker->wake);
    }
    return status;
}

bool pqi_worker_is_current(const pqi_worker *worker)
{
    return pthread_equal(pthread_self(), worker->thread) != 0;
}

uv_loop_t *pqi_worker_loop(pqi_worker *worker)
{
    return &worker->loop;
}

uint8_t *pqi_worker_scratch(pqi_worker *worker)
{
    return worker->scratch;
}

void pqi_worker_kick(pqi_worker *worker, pqi_task *task)
{
    if (task->kicked) {
        return;
    }
    task->kicked = true;
    task->next_kicked = NULL;
    if (worker->kicked_last == NULL) {
        worker->kicked_first = task;
    } else {
        worker->kicked_last->next_kicked = task;
    }
    worker->kicked_last = task;
}

void pqi_worker_schedule(pqi_worker *worker, pqi_task *task, uint64_t when)
{
    if (when == PQI_TIME_NEVER) {
        pqi_heap_remove(&worker->timers, &task->timer);
    } else if (!pqi_heap_set(&worker->timers, &task->timer, when)) {
        pqi_worker_kick(worker, task); /* no memory for a timer: look again at once */
    }
}

void pqi_worker_forget(pqi_worker *worker, pqi_task *task)
{
    pqi_heap_remove(&worker->timers, &task->timer);
    if (!task->kicked) {
        return;
    }
    pqi_task *before = NULL;
    for (pqi_task *t = worker->kicked_first; t != task; t = t->next_kicked) {
        before = t;
    }
    if (before == NULL) {
        worker->kicked_first = task->next_kicked;
    } else {
        before->next_kicked = task->next_kicked;
    }
    if (worker->kicked_last == task) {
        worker->kicked_last = before;
    }
    task->kicked = false;
}
