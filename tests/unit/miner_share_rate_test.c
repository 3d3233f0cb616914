/* The hash rate that results prove. */
#include "test.h"

#include "miner/share_rate.h"

#define SECOND PQI_NS_PER_SEC
#define START (UINT64_C(1000) * SECOND)
#define WINDOW PQI_SHARE_RATE_WINDOW

static void assert_near(double value, double wanted)
{
    assert_true(value > wanted * 0.999999 && value < wanted * 1.000001);
}

static void there_is_no_rate_without_results_or_without_time(void **state)
{
    (void)state;
    pqi_share_rate r;
    pqi_share_rate_init(&r, START);
    assert_true(pqi_share_rate_get(&r, START) == 0);
    assert_true(pqi_share_rate_get(&r, START + 1000 * SECOND) == 0);
    pqi_share_rate_add(&r, 1e6, START);
    assert_true(pqi_share_rate_get(&r, START) == 0);
}

static void a_young_link_divides_by_its_age(void **state)
{
    (void)state;
    pqi_share_rate r;
    pqi_share_rate_init(&r, START);
    pqi_share_rate_add(&r, 1000, START + 5 * SECOND);
    pqi_share_rate_add(&r, 1000, START + 10 * SECOND);
    assert_near(pqi_share_rate_get(&r, START + 10 * SECOND), 200);
}

static void a_steady_miner_has_a_steady_rate(void **state)
{
    (void)state;
    pqi_share_rate r;
    pqi_share_rate_init(&r, START);
    for (uint64_t at = SECOND; at <= 3 * WINDOW; at += SECOND) {
        pqi_share_rate_add(&r, 500, START + at);
        if (at > WINDOW) {
            const double rate = pqi_share_rate_get(&r, START + at);
            assert_true(rate > 490 && rate < 510);
        }
    }
}

static void what_lies_more_than_two_windows_back_is_forgotten(void **state)
{
    (void)state;
    pqi_share_rate r;
    pqi_share_rate_init(&r, START);
    pqi_share_rate_add(&r, 1e9, START + SECOND);
    assert_true(pqi_share_rate_get(&r, START + WINDOW + WINDOW / 2) > 0);
    assert_true(pqi_share_rate_get(&r, START + 2 * WINDOW) == 0);
    pqi_share_rate_add(&r, 12, START + 5 * WINDOW);
    assert_near(pqi_share_rate_get(&r, START + 5 * WINDOW), 12.0 * (double)SECOND / (double)WINDOW);
}

static void a_clock_that_stands_still_or_goes_back_does_no_harm(void **state)
{
    (void)state;
    pqi_share_rate r;
    pqi_share_rate_init(&r, START);
    pqi_share_rate_add(&r, 10, START - SECOND);
    assert_true(pqi_share_rate_get(&r, START - SECOND) == 0);
    assert_near(pqi_share_rate_get(&r, START + 10 * SECOND), 1);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(there_is_no_rate_without_results_or_without_time),
        cmocka_unit_test(a_young_link_divides_by_its_age),
        cmocka_unit_test(a_steady_miner_has_a_steady_rate),
        cmocka_unit_test(what_lies_more_than_two_windows_back_is_forgotten),
        cmocka_unit_test(a_clock_that_stands_still_or_goes_back_does_no_harm),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
