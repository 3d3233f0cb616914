/* Workers: calls from other threads, tasks and deadlines.  ctest labels: threads */
#include "test.h"

#include "base/clock.h"
#include "net/worker.h"

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>

#define THREADS 6
#define CALLS 2000

static pqi_worker *worker;
static unsigned ran; /* the worker's thread only, until it is stopped */

static int start_worker(void **state)
{
    (void)state;
    ran = 0;
    return pqi_worker_start(&worker, 3, NULL) == PQL_OK ? 0 : -1;
}

static void count(void *arg)
{
    (void)arg;
    ran++;
}

static void *post_many(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < CALLS; i++) {
        assert_int_equal(pqi_worker_post(worker, count, NULL), PQL_OK);
    }
    return NULL;
}

static void what_many_threads_posted_runs_once_each_before_the_stop(void **state)
{
    (void)state;
    pthread_t threads[THREADS];
    for (unsigned i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, post_many, NULL), 0);
    }
    for (unsigned i = 0; i < THREADS; i++) {
        (void)pthread_join(threads[i], NULL);
    }
    pqi_worker_stop(worker);
    assert_int_equal(ran, THREADS * CALLS);
}

static void hold(void *arg)
{
    sem_t *semaphores = arg;
    (void)sem_post(&semaphores[0]);
    (void)sem_wait(&semaphores[1]);
}

static void the_queue_has_a_bound_and_takes_more_after_it_ran(void **state)
{
    (void)state;
    sem_t semaphores[2];
    (void)sem_init(&semaphores[0], 0, 0);
    (void)sem_init(&semaphores[1], 0, 0);
    assert_int_equal(pqi_worker_post(worker, hold, semaphores), PQL_OK);
    (void)sem_wait(&semaphores[0]);
    for (unsigned i = 0; i < PQI_WORKER_QUEUE_MAX; i++) {
        assert_int_equal(pqi_worker_post(worker, count, NULL), PQL_OK);
    }
    assert_int_equal(pqi_worker_post(worker, count, NULL), PQL_E_LIMIT);
    (void)sem_post(&semaphores[1]);
    pqi_worker_stop(worker);
    assert_int_equal(ran, PQI_WORKER_QUEUE_MAX);
    (void)sem_destroy(&semaphores[0]);
    (void)sem_destroy(&semaphores[1]);
}

/* Tasks that write down in which order they ran. */
#define TASKS 4

typedef struct job {
    pqi_task task; /* first member */
    unsigned name;
    unsigned kicks_left;
    uint64_t when;
} job;

static job jobs[TASKS];
static unsigned order[64];
static unsigned order_len;
static bool early;
static sem_t done;

static void run_job(pqi_task *task, uint64_t now)
{
    job *j = (job *)task;
    early = early || now < j->when;
    order[order_len++ % 64] = j->name;
    if (j->kicks_left > 0) {
        j->kicks_left--;
        pqi_worker_kick(worker, task);
    } else if (j->name == TASKS - 1) {
        (void)sem_post(&done);
    }
}

static void reset_jobs(void)
{
    order_len = 0;
    early = false;
    (void)sem_init(&done, 0, 0);
    for (unsigned i = 0; i < TASKS; i++) {
        jobs[i] = (job){.task = {.run = run_job}, .name = i};
    }
}

static void kick_all(void *arg)
{
    (void)arg;
    for (unsigned i = 0; i < TASKS; i++) {
        pqi_worker_kick(worker, &jobs[i].task);
        pqi_worker_kick(worker, &jobs[i].task);
    }
    pqi_worker_forget(worker, &jobs[1].task);
}

static void kicked_tasks_run_once_in_order_without_those_forgotten(void **state)
{
    (void)state;
    reset_jobs();
    assert_int_equal(pqi_worker_post(worker, kick_all, NULL), PQL_OK);
    (void)sem_wait(&done);
    pqi_worker_stop(worker);
    assert_int_equal(order_len, 3);
    assert_int_equal(order[0], 0);
    assert_int_equal(order[1], 2);
    assert_int_equal(order[2], 3);
    (void)sem_destroy(&done);
}

static void schedule_all(void *arg)
{
    (void)arg;
    const uint64_t now = pqi_clock_monotonic();
    const unsigned delay_ms[TASKS] = {6, 2, 4, 8};
    for (unsigned i = 0; i < TASKS; i++) {
        jobs[i].when = now + delay_ms[i] * PQI_NS_PER_MS;
        pqi_worker_schedule(worker, &jobs[i].task, now + 50 * PQI_NS_PER_MS);
        pqi_worker_schedule(worker, &jobs[i].task, jobs[i].when);
    }
    pqi_worker_schedule(worker, &jobs[2].task, UINT64_MAX);
}

static void deadlines_come_in_order_and_never_early(void **state)
{
    (void)state;
    reset_jobs();
    assert_int_equal(pqi_worker_post(worker, schedule_all, NULL), PQL_OK);
    (void)sem_wait(&done);
    pqi_worker_stop(worker);
    assert_int_equal(order_len, 3);
    assert_int_equal(order[0], 1);
    assert_int_equal(order[1], 0);
    assert_int_equal(order[2], 3);
    assert_false(early);
    (void)sem_destroy(&done);
}

static atomic_bool released;

static void release(void *arg)
{
    (void)arg;
    atomic_store(&released, true);
}

static void run_greedy(pqi_task *task, uint64_t now)
{
    (void)now;
    if (atomic_load(&released)) {
        (void)sem_post(&done);
    } else {
        pqi_worker_kick(worker, task);
    }
}

static void kick_greedy(void *arg)
{
    (void)arg;
    jobs[0].task.run = run_greedy;
    pqi_worker_kick(worker, &jobs[0].task);
}

static void a_task_that_keeps_kicking_itself_does_not_keep_calls_out(void **state)
{
    (void)state;
    reset_jobs();
    atomic_store(&released, false);
    assert_int_equal(pqi_worker_post(worker, kick_greedy, NULL), PQL_OK);
    assert_int_equal(pqi_worker_post(worker, release, NULL), PQL_OK);
    assert_int_equal(pqi_worker_post(worker, kick_greedy, NULL), PQL_OK);
    (void)sem_wait(&done);
    pqi_worker_stop(worker);
    (void)sem_destroy(&done);
}

static void ask_who(void *arg)
{
    *(bool *)arg = pqi_worker_is_current(worker);
}

static void a_worker_knows_its_own_thread(void **state)
{
    (void)state;
    bool inside = false;
    assert_false(pqi_worker_is_current(worker));
    assert_int_equal(pqi_worker_post(worker, ask_who, &inside), PQL_OK);
    pqi_worker_stop(worker);
    assert_true(inside);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(what_many_threads_posted_runs_once_each_before_the_stop,
                               start_worker),
        cmocka_unit_test_setup(the_queue_has_a_bound_and_takes_more_after_it_ran, start_worker),
        cmocka_unit_test_setup(kicked_tasks_run_once_in_order_without_those_forgotten,
                               start_worker),
        cmocka_unit_test_setup(deadlines_come_in_order_and_never_early, start_worker),
        cmocka_unit_test_setup(a_task_that_keeps_kicking_itself_does_not_keep_calls_out,
                               start_worker),
        cmocka_unit_test_setup(a_worker_knows_its_own_thread, start_worker),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
