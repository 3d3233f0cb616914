/* A worker: one thread with an event loop (libuv), a queue of calls from other threads, and tasks
 * with deadlines.
 *
 * All that a worker owns is touched by its thread only.  Tasks that were kicked run once, after all
 * input that was there has been read and before the loop waits again: that is what makes batches.
 * A task that keeps kicking itself runs again and again, but never keeps input from being read.
 */
#ifndef PQI_NET_WORKER_H
#define PQI_NET_WORKER_H

#include "base/error.h"
#include "net/heap.h"

#include <uv.h>

/* Calls from other threads that wait at most. */
#define PQI_WORKER_QUEUE_MAX 65536

typedef struct pqi_worker pqi_worker;

/* Something that runs when it is kicked or when its deadline has come.  Lives inside its owner. */
typedef struct pqi_task {
    pqi_heap_node timer; /* first member */
    void (*run)(struct pqi_task *task, uint64_t now);
    struct pqi_task *next_kicked;
    bool kicked;
} pqi_task;

/* Starts the thread.  PQL_E_NOMEM, PQL_E_FAILED.  The caller owns the worker. */
pql_status pqi_worker_start(pqi_worker **out, unsigned index, pql_error *err);
/* Lets what was posted run, closes what is left on the loop, joins, frees.  Any other thread. */
void pqi_worker_stop(pqi_worker *worker);

/* Runs fn(arg) on the worker's thread.  Any thread.  PQL_E_LIMIT when the queue is full. */
pql_status pqi_worker_post(pqi_worker *worker, void (*fn)(void *arg), void *arg);
bool pqi_worker_is_current(const pqi_worker *worker);

/* Figures for metrics; any thread but after pqi_worker_stop: processor time of the thread in
 * nanoseconds, and calls that wait for it. */
uint64_t pqi_worker_cpu_ns(const pqi_worker *worker);
size_t pqi_worker_waiting(const pqi_worker *worker);

/* The rest: the worker's thread only. */
uv_loop_t *pqi_worker_loop(pqi_worker *worker);
/* Scratch memory of PQI_UDP_SCRATCH bytes, valid until the next call that uses it. */
uint8_t *pqi_worker_scratch(pqi_worker *worker);
void pqi_worker_kick(pqi_worker *worker, pqi_task *task);
/* Replaces the task's deadline; PQI_TIME_NEVER: none. */
void pqi_worker_schedule(pqi_worker *worker, pqi_task *task, uint64_t when);
/* The task will not run any more. */
void pqi_worker_forget(pqi_worker *worker, pqi_task *task);

#endif
