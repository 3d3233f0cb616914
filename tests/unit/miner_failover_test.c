/* Which node is tried when, in virtual time. */
#include "test.h"

#include "base/clock.h"
#include "miner/failover.h"

#define NONE PQI_FAILOVER_NONE
#define SEC PQI_NS_PER_SEC
/* With this chance a pause is neither longer nor shorter: half of the half. */
#define MIDDLE(base) ((base) / 4)

static const pqi_failover_timing timing = {
    .first = SEC, .most = 30 * SEC, .probe = 60 * SEC, .patience = 10 * SEC, .trial = 20 * SEC};

/* A list of |count| nodes that were never tried. */
static pqi_failover fresh(unsigned count)
{
    pqi_failover f;
    pqi_failover_init(&f, count, &timing);
    return f;
}

/* |node| cannot be reached; the pause is as long as the average one. */
static uint64_t lose(pqi_failover *f, int node, uint64_t now)
{
    return pqi_failover_down(f, node, now, MIDDLE(f->nodes[node].delay));
}

/* A list of two whose first node fails at |now| and whose second one gives a job. */
static pqi_failover on_the_second(uint64_t now)
{
    pqi_failover f = fresh(2);
    assert_int_equal(pqi_failover_next(&f, now), 0);
    (void)lose(&f, 0, now);
    assert_int_equal(pqi_failover_next(&f, now), 1);
    assert_int_equal(pqi_failover_job(&f, 1, now), NONE);
    return f;
}

static void the_first_node_is_the_only_one_while_it_gives_jobs(void **state)
{
    (void)state;
    pqi_failover f = fresh(3);

    assert_int_equal(pqi_failover_next(&f, 0), 0);
    assert_int_equal(pqi_failover_job(&f, 0, SEC), NONE);

    assert_int_equal(pqi_failover_next(&f, 1000 * SEC), NONE);
    assert_true(pqi_failover_deadline(&f) == PQI_TIME_NEVER);
    assert_int_equal(pqi_failover_main(&f), 0);
}

static void a_node_that_fails_is_followed_by_the_next_at_once(void **state)
{
    (void)state;
    pqi_failover f = fresh(2);

    assert_int_equal(pqi_failover_next(&f, 0), 0);
    (void)lose(&f, 0, 5);

    assert_int_equal(pqi_failover_next(&f, 5), 1);
}

static void pauses_double_up_to_the_most(void **state)
{
    (void)state;
    static const uint64_t wanted[] = {1, 2, 4, 8, 16, 30, 30};
    pqi_failover f = fresh(1);
    uint64_t now = 0;
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        assert_int_equal(pqi_failover_next(&f, now), 0);
        assert_int_equal(lose(&f, 0, now), wanted[i] * SEC);
        assert_int_equal(pqi_failover_next(&f, now + wanted[i] * SEC - 1), NONE);
        assert_true(pqi_failover_deadline(&f) == now + wanted[i] * SEC);
        now += wanted[i] * SEC;
    }
}

static void chance_makes_a_pause_a_quarter_longer_or_shorter(void **state)
{
    (void)state;
    const uint64_t chances[] = {0, 1, SEC / 2 - 1, SEC / 2, UINT64_MAX, 0x123456789abcdef};
    for (size_t i = 0; i < sizeof(chances) / sizeof(chances[0]); i++) {
        pqi_failover f = fresh(1);
        (void)pqi_failover_next(&f, 0);
        const uint64_t pause = pqi_failover_down(&f, 0, 0, chances[i]);
        assert_in_range(pause, SEC - SEC / 4, SEC + SEC / 4);
    }
}

static void a_job_makes_pauses_short_again(void **state)
{
    (void)state;
    pqi_failover f = fresh(1);
    uint64_t now = 0;
    for (int i = 0; i < 4; i++) {
        (void)pqi_failover_next(&f, now);
        now += lose(&f, 0, now);
    }
    (void)pqi_failover_next(&f, now);
    (void)pqi_failover_job(&f, 0, now);

    assert_int_equal(lose(&f, 0, now), SEC);
}

static void a_link_without_a_job_does_not_make_pauses_short(void **state)
{
    (void)state;
    pqi_failover f = fresh(1);
    (void)pqi_failover_next(&f, 0);
    (void)lose(&f, 0, 0);
    (void)pqi_failover_next(&f, SEC);

    assert_int_equal(lose(&f, 0, SEC), 2 * SEC);
}

static void dead_nodes_are_tried_in_turn_without_a_rush(void **state)
{
    (void)state;
    pqi_failover f = fresh(2);
    unsigned tries = 0;
    uint64_t now = 0;
    while (now < 600 * SEC) {
        const int node = pqi_failover_next(&f, now);
        if (node != NONE) {
            tries++;
            (void)lose(&f, node, now);
        } else {
            now = pqi_failover_deadline(&f);
        }
    }
    /* Each: 1 + 2 + 4 + 8 + 16 s, then every 30 s. */
    assert_in_range(tries, 40, 52);
}

static void a_preferred_node_is_probed_and_taken_with_its_first_job_only(void **state)
{
    (void)state;
    pqi_failover f = on_the_second(0);

    assert_int_equal(pqi_failover_next(&f, 60 * SEC - 1), NONE);
    assert_int_equal(pqi_failover_next(&f, 60 * SEC), 0);
    assert_int_equal(pqi_failover_main(&f), 1);
    assert_int_equal(pqi_failover_job(&f, 0, 61 * SEC), 1);

    assert_int_equal(pqi_failover_main(&f), 0);
    assert_int_equal(pqi_failover_next(&f, 1000 * SEC), NONE);
}

static void a_probe_that_fails_rests_for_a_probe_and_disturbs_nobody(void **state)
{
    (void)state;
    pqi_failover f = on_the_second(0);
    (void)pqi_failover_next(&f, 60 * SEC);

    assert_int_equal(lose(&f, 0, 61 * SEC), 60 * SEC);

    assert_int_equal(pqi_failover_main(&f), 1);
    assert_int_equal(pqi_failover_next(&f, 121 * SEC - 1), NONE);
    assert_int_equal(pqi_failover_next(&f, 121 * SEC), 0);
}

static void a_probe_without_a_job_is_late_in_the_end(void **state)
{
    (void)state;
    pqi_failover f = on_the_second(0);
    (void)pqi_failover_next(&f, 60 * SEC);

    assert_int_equal(pqi_failover_late(&f, 80 * SEC - 1), NONE);
    assert_true(pqi_failover_deadline(&f) == 80 * SEC);
    assert_int_equal(pqi_failover_late(&f, 80 * SEC), 0);
}

static void the_loss_of_a_working_node_opens_all_others_at_once(void **state)
{
    (void)state;
    pqi_failover f = on_the_second(0);

    (void)lose(&f, 1, 10 * SEC);

    assert_int_equal(pqi_failover_main(&f), NONE);
    assert_int_equal(pqi_failover_next(&f, 10 * SEC), 0);
}

static void the_node_on_trial_takes_the_place_of_one_that_is_lost(void **state)
{
    (void)state;
    pqi_failover f = on_the_second(0);
    (void)pqi_failover_next(&f, 60 * SEC);

    (void)lose(&f, 1, 61 * SEC);

    assert_int_equal(pqi_failover_main(&f), 0);
    assert_int_equal(pqi_failover_job(&f, 0, 62 * SEC), NONE);
    assert_int_equal(pqi_failover_late(&f, 1000 * SEC), NONE);
}

static void a_main_link_without_a_job_is_not_left_but_others_are_tried(void **state)
{
    (void)state;
    pqi_failover f = fresh(2);
    (void)pqi_failover_next(&f, 0);

    assert_int_equal(pqi_failover_next(&f, 10 * SEC - 1), NONE);
    assert_int_equal(pqi_failover_next(&f, 10 * SEC), 1);
    assert_int_equal(pqi_failover_main(&f), 0);
    assert_int_equal(pqi_failover_job(&f, 1, 11 * SEC), 0);

    assert_int_equal(pqi_failover_main(&f), 1);
    assert_int_equal(pqi_failover_next(&f, 71 * SEC), 0);
}

static void a_node_that_stops_giving_jobs_makes_others_welcome(void **state)
{
    (void)state;
    pqi_failover f = fresh(2);
    (void)pqi_failover_next(&f, 0);
    (void)pqi_failover_job(&f, 0, 0);

    pqi_failover_idle(&f, 100 * SEC);

    assert_int_equal(pqi_failover_next(&f, 110 * SEC - 1), NONE);
    assert_int_equal(pqi_failover_next(&f, 110 * SEC), 1);
}

static void a_lone_node_without_a_job_is_waited_for_without_end(void **state)
{
    (void)state;
    pqi_failover f = fresh(1);
    (void)pqi_failover_next(&f, 0);

    assert_int_equal(pqi_failover_next(&f, 100000 * SEC), NONE);
    assert_true(pqi_failover_deadline(&f) == PQI_TIME_NEVER);
}

static void a_node_that_is_out_is_not_tried_until_it_is_back(void **state)
{
    (void)state;
    pqi_failover f = fresh(2);
    (void)pqi_failover_next(&f, 0);
    pqi_failover_out(&f, 0, 0);

    assert_int_equal(pqi_failover_next(&f, 0), 1);
    (void)pqi_failover_job(&f, 1, 0);
    assert_int_equal(pqi_failover_next(&f, 1000 * SEC), NONE);
    assert_false(pqi_failover_all_out(&f));
    pqi_failover_back(&f, 0, 1000 * SEC);
    assert_int_equal(pqi_failover_next(&f, 1000 * SEC), 0);
}

static void no_node_is_left_when_all_are_out(void **state)
{
    (void)state;
    pqi_failover f = fresh(2);
    (void)pqi_failover_next(&f, 0);
    pqi_failover_out(&f, 0, 0);
    (void)pqi_failover_next(&f, 0);
    pqi_failover_out(&f, 1, 0);

    assert_true(pqi_failover_all_out(&f));
    assert_int_equal(pqi_failover_next(&f, SEC), NONE);
    assert_true(pqi_failover_deadline(&f) == PQI_TIME_NEVER);
}

static void a_job_of_a_link_that_was_left_changes_nothing(void **state)
{
    (void)state;
    pqi_failover f = on_the_second(0);
    (void)pqi_failover_next(&f, 60 * SEC);
    (void)pqi_failover_job(&f, 0, 60 * SEC);

    assert_int_equal(pqi_failover_job(&f, 1, 60 * SEC), NONE);

    assert_int_equal(pqi_failover_main(&f), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_node_is_the_only_one_while_it_gives_jobs),
        cmocka_unit_test(a_node_that_fails_is_followed_by_the_next_at_once),
        cmocka_unit_test(pauses_double_up_to_the_most),
        cmocka_unit_test(chance_makes_a_pause_a_quarter_longer_or_shorter),
        cmocka_unit_test(a_job_makes_pauses_short_again),
        cmocka_unit_test(a_link_without_a_job_does_not_make_pauses_short),
        cmocka_unit_test(dead_nodes_are_tried_in_turn_without_a_rush),
        cmocka_unit_test(a_preferred_node_is_probed_and_taken_with_its_first_job_only),
        cmocka_unit_test(a_probe_that_fails_rests_for_a_probe_and_disturbs_nobody),
        cmocka_unit_test(a_probe_without_a_job_is_late_in_the_end),
        cmocka_unit_test(the_loss_of_a_working_node_opens_all_others_at_once),
        cmocka_unit_test(the_node_on_trial_takes_the_place_of_one_that_is_lost),
        cmocka_unit_test(a_main_link_without_a_job_is_not_left_but_others_are_tried),
        cmocka_unit_test(a_node_that_stops_giving_jobs_makes_others_welcome),
        cmocka_unit_test(a_lone_node_without_a_job_is_waited_for_without_end),
        cmocka_unit_test(a_node_that_is_out_is_not_tried_until_it_is_back),
        cmocka_unit_test(no_node_is_left_when_all_are_out),
        cmocka_unit_test(a_job_of_a_link_that_was_left_changes_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
