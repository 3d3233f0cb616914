/* Jobs of another node become ours, and results go up to it; in virtual time. */
#include "test.h"

#include "base/clock.h"
#include "miner/relay.h"

#include <stdio.h>
#include <string.h>

#define SEC PQI_NS_PER_SEC

/* What the link and the miners hear. */
typedef struct scene {
    pqi_source *relay;
    unsigned jobs, idles, wakes, passes, unanswered;
    pqi_job job;
    pqi_solution passed;
    pql_status pass_status;
} scene;

static pql_status on_pass(void *user, const pqi_solution *solution)
{
    scene *s = user;
    if (s->pass_status == PQL_OK) {
        s->passes++;
        s->passed = *solution;
    }
    return s->pass_status;
}

static void on_wake(void *user)
{
    ((scene *)user)->wakes++;
}

static void on_unanswered(void *user)
{
    ((scene *)user)->unanswered++;
}

static void on_job(void *user, const pqi_job *job)
{
    scene *s = user;
    s->jobs++;
    s->job = *job;
}

static void on_idle(void *user)
{
    ((scene *)user)->idles++;
}

static pqi_instant at(uint64_t ns)
{
    return (pqi_instant){.monotonic_ns = ns};
}

static int setup(void **state)
{
    static scene s;
    s = (scene){0};
    const pqi_relay_opts opts = {
        .pass = on_pass, .wake = on_wake, .unanswered = on_unanswered, .user = &s};
    const pqi_source_events events = {.on_job = on_job, .on_idle = on_idle, .user = &s};
    assert_int_equal(pqi_relay_new(&s.relay, &opts, NULL), PQL_OK);
    assert_int_equal(pqi_source_start(s.relay, &events, at(0), NULL), PQL_OK);
    *state = &s;
    return 0;
}

static int teardown(void **state)
{
    pqi_source_destroy(((scene *)*state)->relay);
    return 0;
}

/* The job |number| of the other node; any nonce but zero solves it. */
static pqi_miner_job easy_job(uint8_t number)
{
    pqi_miner_job job = {.id = "7", .mining_hash = {number}};
    job.difficulty = pqi_u512_from_u64(1);
    return job;
}

static void give(scene *s, uint8_t number, uint64_t serial, uint64_t now)
{
    const pqi_miner_job job = easy_job(number);
    pqi_relay_job(s->relay, &job, serial);
    pqi_source_tick(s->relay, at(now));
}

static pqi_source_verdict submit(scene *s, const char *id, uint8_t nonce, uint64_t now)
{
    uint8_t work[PQI_JOB_NONCE_SIZE] = {0};
    work[PQI_JOB_NONCE_SIZE - 1] = nonce;
    return pqi_source_submit(s->relay, id, work, "rig", at(now), NULL);
}

static void a_job_wakes_the_service_and_gets_an_id_of_ours(void **state)
{
    scene *s = *state;
    const pqi_miner_job job = easy_job(9);

    pqi_relay_job(s->relay, &job, 100);

    assert_int_equal(s->wakes, 1);
    assert_int_equal(s->jobs, 0);
    pqi_source_tick(s->relay, at(1));
    assert_int_equal(s->jobs, 1);
    assert_string_equal(s->job.id, "1");
    assert_int_equal(s->job.mining_hash[0], 9);
    assert_int_equal(s->job.height, 0);
}

static void two_jobs_of_one_name_have_two_ids(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    give(s, 2, 101, 0);

    assert_string_equal(s->job.id, "2");
    assert_int_equal(submit(s, "1", 1, 0), PQI_SOURCE_STALE);
}

static void the_same_job_again_restarts_the_search_under_its_id(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    assert_int_equal(submit(s, "1", 1, 0), PQI_SOURCE_PASSED);

    give(s, 1, 101, 1);

    assert_int_equal(s->jobs, 2);
    assert_string_equal(s->job.id, "1");
    assert_int_equal(submit(s, "1", 1, 1), PQI_SOURCE_DUPLICATE);
    assert_int_equal(submit(s, "1", 2, 1), PQI_SOURCE_PASSED);
    assert_int_equal(s->passed.serial, 101);
}

static void the_first_valid_result_is_passed_up_and_later_ones_are_stale(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);

    assert_int_equal(submit(s, "1", 5, 0), PQI_SOURCE_PASSED);
    assert_int_equal(submit(s, "1", 5, 0), PQI_SOURCE_DUPLICATE);
    assert_int_equal(submit(s, "1", 6, 0), PQI_SOURCE_STALE);

    assert_int_equal(s->passes, 1);
    assert_int_equal(s->passed.serial, 100);
    assert_int_equal(s->passed.nonce[PQI_JOB_NONCE_SIZE - 1], 5);
}

static void what_does_not_meet_the_difficulty_is_not_passed_up(void **state)
{
    scene *s = *state;
    pqi_miner_job job = easy_job(1);
    job.difficulty = pqi_u512_max();
    pqi_relay_job(s->relay, &job, 1);
    pqi_source_tick(s->relay, at(0));

    assert_int_equal(submit(s, "1", 1, 0), PQI_SOURCE_INVALID);
    give(s, 2, 2, 0);
    assert_int_equal(submit(s, "2", 0, 0), PQI_SOURCE_INVALID);

    assert_int_equal(s->passes, 0);
}

static void a_result_without_an_effect_opens_the_job_again(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    (void)submit(s, "1", 5, SEC);
    assert_true(pqi_source_deadline(s->relay) == 4 * SEC);

    pqi_source_tick(s->relay, at(4 * SEC - 1));
    assert_int_equal(s->jobs, 1);
    pqi_source_tick(s->relay, at(4 * SEC));

    assert_int_equal(s->unanswered, 1);
    assert_int_equal(s->jobs, 2);
    assert_string_equal(s->job.id, "1");
    assert_int_equal(submit(s, "1", 6, 4 * SEC), PQI_SOURCE_PASSED);
}

static void a_refused_result_opens_the_job_at_once(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    (void)submit(s, "1", 5, 0);

    pqi_relay_refused(s->relay);
    assert_int_equal(s->wakes, 2);
    pqi_source_tick(s->relay, at(1));

    assert_int_equal(s->jobs, 2);
    assert_int_equal(s->unanswered, 0);
    assert_int_equal(submit(s, "1", 5, 1), PQI_SOURCE_DUPLICATE);
    assert_int_equal(submit(s, "1", 6, 1), PQI_SOURCE_PASSED);
}

static void a_new_job_needs_no_second_announcement(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    (void)submit(s, "1", 5, 0);
    give(s, 2, 101, SEC);

    pqi_source_tick(s->relay, at(100 * SEC));

    assert_int_equal(s->jobs, 2);
    assert_int_equal(s->unanswered, 0);
    assert_true(pqi_source_deadline(s->relay) == PQI_TIME_NEVER);
}

static void a_lost_link_leaves_the_job_for_a_grace(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);

    pqi_relay_lost(s->relay);
    pqi_source_tick(s->relay, at(10 * SEC));
    assert_true(pqi_source_deadline(s->relay) == 15 * SEC);
    pqi_source_tick(s->relay, at(15 * SEC - 1));
    assert_int_equal(s->idles, 0);
    pqi_source_tick(s->relay, at(15 * SEC));

    assert_int_equal(s->idles, 1);
    assert_int_equal(submit(s, "1", 1, 15 * SEC), PQI_SOURCE_STALE);
    pqi_source_tick(s->relay, at(100 * SEC));
    assert_int_equal(s->idles, 1);
}

static void another_link_within_the_grace_takes_over(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    pqi_relay_lost(s->relay);
    pqi_source_tick(s->relay, at(10 * SEC));

    give(s, 2, 101, 12 * SEC);
    pqi_source_tick(s->relay, at(100 * SEC));

    assert_int_equal(s->idles, 0);
    assert_string_equal(s->job.id, "2");
}

static void a_result_that_finds_no_link_is_kept_for_the_same_job(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    s->pass_status = PQL_E_STATE;
    pqi_relay_lost(s->relay);
    pqi_source_tick(s->relay, at(SEC));
    assert_int_equal(submit(s, "1", 5, SEC), PQI_SOURCE_UNAVAILABLE);

    s->pass_status = PQL_OK;
    give(s, 1, 200, 2 * SEC);

    assert_int_equal(s->passes, 1);
    assert_int_equal(s->passed.serial, 200);
    assert_int_equal(s->passed.nonce[PQI_JOB_NONCE_SIZE - 1], 5);
    assert_int_equal(submit(s, "1", 6, 2 * SEC), PQI_SOURCE_STALE);
}

static void a_kept_result_is_forgotten_with_its_job(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    s->pass_status = PQL_E_STATE;
    (void)submit(s, "1", 5, 0);

    s->pass_status = PQL_OK;
    give(s, 2, 200, 0);
    give(s, 1, 201, 0);

    assert_int_equal(s->passes, 0);
}

static void a_result_for_a_job_that_was_just_replaced_is_stale(void **state)
{
    scene *s = *state;
    const pqi_miner_job next = easy_job(2);
    give(s, 1, 100, 0);
    s->pass_status = PQL_E_STATE;
    pqi_relay_job(s->relay, &next, 101);

    assert_int_equal(submit(s, "1", 5, 0), PQI_SOURCE_STALE);
}

static void a_full_mailbox_makes_a_result_come_again(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);
    s->pass_status = PQL_E_LIMIT;
    assert_int_equal(submit(s, "1", 5, 0), PQI_SOURCE_UNAVAILABLE);

    s->pass_status = PQL_OK;

    assert_int_equal(submit(s, "1", 5, 0), PQI_SOURCE_PASSED);
}

static void a_node_without_work_stops_the_miners_at_once(void **state)
{
    scene *s = *state;
    give(s, 1, 100, 0);

    pqi_relay_idle(s->relay);
    pqi_source_tick(s->relay, at(1));

    assert_int_equal(s->idles, 1);
    give(s, 1, 101, 2);
    assert_string_equal(s->job.id, "2");
}

static void only_the_newest_of_many_jobs_is_announced(void **state)
{
    scene *s = *state;
    for (unsigned i = 0; i < 1000; i++) {
        const pqi_miner_job job = easy_job((uint8_t)i);
        pqi_relay_job(s->relay, &job, i);
    }
    pqi_source_tick(s->relay, at(0));

    assert_int_equal(s->jobs, 1);
    assert_int_equal(s->job.mining_hash[0], (uint8_t)999);
}

static void a_source_starts_once(void **state)
{
    scene *s = *state;
    const pqi_source_events events = {.on_job = on_job, .on_idle = on_idle, .user = s};
    assert_int_equal(pqi_source_start(s->relay, &events, at(0), NULL), PQL_E_STATE);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_job_wakes_the_service_and_gets_an_id_of_ours),
        SCENE(two_jobs_of_one_name_have_two_ids),
        SCENE(the_same_job_again_restarts_the_search_under_its_id),
        SCENE(the_first_valid_result_is_passed_up_and_later_ones_are_stale),
        SCENE(what_does_not_meet_the_difficulty_is_not_passed_up),
        SCENE(a_result_without_an_effect_opens_the_job_again),
        SCENE(a_refused_result_opens_the_job_at_once),
        SCENE(a_new_job_needs_no_second_announcement),
        SCENE(a_lost_link_leaves_the_job_for_a_grace),
        SCENE(another_link_within_the_grace_takes_over),
        SCENE(a_result_that_finds_no_link_is_kept_for_the_same_job),
        SCENE(a_kept_result_is_forgotten_with_its_job),
        SCENE(a_result_for_a_job_that_was_just_replaced_is_stale),
        SCENE(a_full_mailbox_makes_a_result_come_again),
        SCENE(a_node_without_work_stops_the_miners_at_once),
        SCENE(only_the_newest_of_many_jobs_is_announced),
        SCENE(a_source_starts_once),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
