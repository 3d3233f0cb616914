/* Hashing threads.  ctest labels: threads */
#include "test.h"

#include "miner/hasher.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#define SOLUTIONS_MAX 64

/* What was found; waited for with a condition. */
typedef struct box {
    pthread_mutex_t lock;
    pthread_cond_t change;
    pqi_solution solutions[SOLUTIONS_MAX]; /* the first ones */
    unsigned count;
    uint64_t last_serial;
    pqi_hasher *hasher;
} box;

static const uint8_t hash_a[PQI_POW_MINING_HASH_SIZE] = {1, 2, 3};
static const uint8_t hash_b[PQI_POW_MINING_HASH_SIZE] = {4, 5, 6};

static void on_found(void *user, const pqi_solution *solution)
{
    box *b = user;
    pthread_mutex_lock(&b->lock);
    if (b->count < SOLUTIONS_MAX) {
        b->solutions[b->count] = *solution;
    }
    b->count++;
    b->last_serial = solution->serial;
    pthread_cond_broadcast(&b->change);
    pthread_mutex_unlock(&b->lock);
}

static box *box_new(unsigned threads)
{
    box *b = calloc(1, sizeof(*b));
    assert_non_null(b);
    pthread_mutex_init(&b->lock, NULL);
    pthread_cond_init(&b->change, NULL);
    const pqi_hasher_opts opts = {.threads = threads, .found = on_found, .user = b};
    assert_int_equal(pqi_hasher_new(&b->hasher, &opts, NULL), PQL_OK);
    return b;
}

static void box_free(box *b)
{
    pqi_hasher_free(b->hasher);
    pthread_cond_destroy(&b->change);
    pthread_mutex_destroy(&b->lock);
    free(b);
}

static void work(box *b, uint64_t serial, const uint8_t *mining_hash, uint64_t difficulty)
{
    const pqi_u512 number = pqi_u512_from_u64(difficulty);
    pqi_hasher_work(b->hasher, serial, mining_hash, &number);
}

static void wait_for_count(box *b, unsigned count)
{
    pthread_mutex_lock(&b->lock);
    while (b->count < count) {
        pthread_cond_wait(&b->change, &b->lock);
    }
    pthread_mutex_unlock(&b->lock);
}

static void wait_for_serial(box *b, uint64_t serial)
{
    pthread_mutex_lock(&b->lock);
    while (b->last_serial != serial) {
        pthread_cond_wait(&b->change, &b->lock);
    }
    pthread_mutex_unlock(&b->lock);
}

static void what_is_found_meets_the_difficulty(void **state)
{
    (void)state;
    box *b = box_new(2);
    pqi_u512 target;
    const pqi_u512 difficulty = pqi_u512_from_u64(500);
    assert_true(pqi_pow_target(&target, &difficulty));

    work(b, 7, hash_a, 500);
    wait_for_count(b, 10);
    pqi_hasher_pause(b->hasher);

    for (unsigned i = 0; i < 10; i++) {
        assert_int_equal(b->solutions[i].serial, 7);
        assert_true(pqi_pow_verify(hash_a, b->solutions[i].nonce, &target));
        assert_true(b->solutions[i].hashes > 0);
    }
    box_free(b);
}

static void the_search_goes_on_behind_a_solution(void **state)
{
    (void)state;
    box *b = box_new(1);

    work(b, 1, hash_a, 100);
    wait_for_count(b, 5);
    pqi_hasher_pause(b->hasher);

    for (unsigned i = 1; i < 5; i++) {
        assert_memory_not_equal(b->solutions[i].nonce, b->solutions[i - 1].nonce,
                                PQI_POW_NONCE_SIZE);
    }
    box_free(b);
}

static void a_new_job_replaces_the_one_before(void **state)
{
    (void)state;
    box *b = box_new(2);
    pqi_u512 target;
    const pqi_u512 difficulty = pqi_u512_from_u64(100);
    const pqi_u512 hardest = pqi_u512_max();
    assert_true(pqi_pow_target(&target, &difficulty));

    pqi_hasher_work(b->hasher, 1, hash_a, &hardest);
    work(b, 2, hash_b, 100);
    wait_for_count(b, 1);

    pthread_mutex_lock(&b->lock);
    assert_int_equal(b->solutions[0].serial, 2);
    assert_true(pqi_pow_verify(hash_b, b->solutions[0].nonce, &target));
    pthread_mutex_unlock(&b->lock);
    box_free(b);
}

static void jobs_may_change_while_threads_search(void **state)
{
    (void)state;
    box *b = box_new(3);

    for (uint64_t serial = 1; serial <= 20; serial++) {
        work(b, serial, serial % 2 == 0 ? hash_a : hash_b, 50);
        wait_for_serial(b, serial);
    }

    box_free(b);
}

static void a_paused_hasher_goes_on_with_its_job_when_resumed(void **state)
{
    (void)state;
    box *b = box_new(2);
    work(b, 3, hash_a, 100);
    wait_for_count(b, 1);

    pqi_hasher_pause(b->hasher);
    pthread_mutex_lock(&b->lock);
    b->last_serial = 0; /* what the last batch finds may still come: it is of the same job */
    pthread_mutex_unlock(&b->lock);
    pqi_hasher_resume(b->hasher);
    wait_for_serial(b, 3);

    box_free(b);
}

static void nothing_is_hashed_without_a_job(void **state)
{
    (void)state;
    box *b = box_new(2);
    const pqi_u512 none = {{0}};

    pqi_hasher_resume(b->hasher);
    pqi_hasher_work(b->hasher, 1, hash_a, &none);
    pqi_hasher_resume(b->hasher);

    assert_int_equal(pqi_hasher_hashes(b->hasher), 0);
    box_free(b);
}

static void hashes_are_counted_by_thread(void **state)
{
    (void)state;
    box *b = box_new(2);

    work(b, 1, hash_a, 100);
    wait_for_count(b, 20);
    pqi_hasher_pause(b->hasher);

    assert_true(pqi_hasher_hashes(b->hasher) > 0);
    assert_int_equal(pqi_hasher_threads(b->hasher), 2);
    assert_int_equal(pqi_hasher_thread_hashes(b->hasher, 2), 0);
    box_free(b);
}

static void zero_threads_means_one_per_processor(void **state)
{
    (void)state;
    box *b = box_new(0);

    assert_int_equal(pqi_hasher_threads(b->hasher), pqi_hasher_processors());
    box_free(b);
}

static void too_many_threads_are_refused(void **state)
{
    (void)state;
    pqi_hasher *h = NULL;
    pql_error err;
    const pqi_hasher_opts opts = {.threads = PQI_HASHER_THREADS_MAX + 1, .found = on_found};

    assert_int_equal(pqi_hasher_new(&h, &opts, &err), PQL_E_USAGE);

    assert_null(h);
    assert_non_null(strstr(err.message, "1024"));
}

static void it_may_be_freed_in_the_middle_of_a_search(void **state)
{
    (void)state;
    box *b = box_new(2);
    const pqi_u512 hardest = pqi_u512_max();

    pqi_hasher_work(b->hasher, 1, hash_a, &hardest);

    box_free(b);
    pqi_hasher_free(NULL);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_found_meets_the_difficulty),
        cmocka_unit_test(the_search_goes_on_behind_a_solution),
        cmocka_unit_test(a_new_job_replaces_the_one_before),
        cmocka_unit_test(jobs_may_change_while_threads_search),
        cmocka_unit_test(a_paused_hasher_goes_on_with_its_job_when_resumed),
        cmocka_unit_test(nothing_is_hashed_without_a_job),
        cmocka_unit_test(hashes_are_counted_by_thread),
        cmocka_unit_test(zero_threads_means_one_per_processor),
        cmocka_unit_test(too_many_threads_are_refused),
        cmocka_unit_test(it_may_be_freed_in_the_middle_of_a_search),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
