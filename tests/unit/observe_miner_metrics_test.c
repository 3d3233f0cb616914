#include "test.h"

#include "observe/miner_metrics.h"

#include <stdlib.h>
#include <string.h>

typedef struct world {
    pqi_metrics *registry;
    pqi_node_metrics *node;
    pqi_mine_metrics *mine;
    pqi_buf text;
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(pqi_metrics_new(&w->registry, NULL), PQL_OK);
    assert_int_equal(pqi_node_metrics_new(&w->node, w->registry, NULL), PQL_OK);
    assert_int_equal(pqi_mine_metrics_new(&w->mine, w->registry, NULL), PQL_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pqi_node_metrics_free(w->node);
    pqi_mine_metrics_free(w->mine);
    pqi_metrics_free(w->registry);
    pqi_buf_free(&w->text);
    free(w);
    return 0;
}

static const char *exposed(world *w)
{
    w->text.len = 0;
    assert_int_equal(pqi_metrics_write(w->registry, PQI_METRICS_PROMETHEUS, &w->text, NULL),
                     PQL_OK);
    assert_true(pqi_buf_append(&w->text, "", 1));
    return (const char *)w->text.data;
}

#define assert_exposed(w, line) assert_non_null(strstr(exposed(w), line))

static void a_miner_that_joins_has_all_its_results_at_zero(void **state)
{
    world *w = *state;

    pqi_node_miner *rig = pqi_node_miner_join(w->node, "rig1");

    assert_exposed(w, "pqlink_miner_results_total{miner=\"rig1\",result=\"accepted\"} 0\n"
                      "pqlink_miner_results_total{miner=\"rig1\",result=\"rejected\"} 0\n"
                      "pqlink_miner_results_total{miner=\"rig1\",result=\"stale\"} 0\n"
                      "pqlink_miner_results_total{miner=\"rig1\",result=\"invalid\"} 0\n"
                      "pqlink_miner_results_total{miner=\"rig1\",result=\"duplicate\"} 0\n"
                      "pqlink_miner_results_total{miner=\"rig1\",result=\"flooded\"} 0\n");
    assert_exposed(w, "\npqlink_miner_hash_rate{miner=\"rig1\"} 0\n");
    assert_exposed(w, "\npqlink_miners 1\n");
    pqi_node_miner_leave(rig);
}

static void results_count_for_the_miner_and_for_its_connection(void **state)
{
    world *w = *state;
    pqi_node_miner *before = pqi_node_miner_join(w->node, "rig1");
    pqi_node_miner_result(before, PQI_RESULT_ACCEPTED);
    pqi_node_miner_leave(before);

    pqi_node_miner *now = pqi_node_miner_join(w->node, "rig1");
    pqi_node_miner_result(now, PQI_RESULT_ACCEPTED);

    assert_exposed(w, "pqlink_miner_results_total{miner=\"rig1\",result=\"accepted\"} 2\n");
    assert_int_equal(pqi_node_miner_results(now, PQI_RESULT_ACCEPTED), 1);
    pqi_node_miner_leave(now);
}

static void connections_of_one_name_add_their_hash_rates_and_take_them_along(void **state)
{
    world *w = *state;
    pqi_node_miner *a = pqi_node_miner_join(w->node, "rig");
    pqi_node_miner *b = pqi_node_miner_join(w->node, "rig");
    pqi_node_miner_hash_rate(a, 1000);
    pqi_node_miner_hash_rate(b, 500);
    pqi_node_miner_hash_rate(a, 2000);
    assert_exposed(w, "\npqlink_miner_hash_rate{miner=\"rig\"} 2500\n");

    pqi_node_miner_leave(a);

    assert_exposed(w, "\npqlink_miner_hash_rate{miner=\"rig\"} 500\n");
    assert_exposed(w, "\npqlink_miners 1\n");
    pqi_node_miner_leave(b);
    assert_exposed(w, "\npqlink_miner_hash_rate{miner=\"rig\"} 0\n");
}

static void shares_and_work_count_for_the_miner(void **state)
{
    world *w = *state;
    pqi_node_miner *rig = pqi_node_miner_join(w->node, "rig");

    pqi_node_miner_share(rig, 1000, false);
    pqi_node_miner_share(rig, 1000, true); /* a block is no share, and as much work */

    assert_exposed(w, "\npqlink_miner_shares_total{miner=\"rig\"} 1\n");
    assert_exposed(w, "\npqlink_miner_work_total{miner=\"rig\"} 2000\n");
    pqi_node_miner_leave(rig);
    assert_exposed(w, "\npqlink_miner_work_total{miner=\"rig\"} 2000\n");
}

static void miners_count_by_what_they_speak_while_they_are_there(void **state)
{
    world *w = *state;
    pqi_node_miner *ours = pqi_node_miner_join(w->node, "a");
    pqi_node_miner *theirs = pqi_node_miner_join(w->node, "b");
    pqi_node_miner_protocol(ours, PQI_PROTOCOL_PQLINK_1);
    pqi_node_miner_protocol(theirs, PQI_PROTOCOL_QUANTUS_2);
    assert_exposed(w, "pqlink_miners_by_protocol{protocol=\"pqlink-miner/1\"} 1\n"
                      "pqlink_miners_by_protocol{protocol=\"quantus-miner/2\"} 1\n"
                      "pqlink_miners_by_protocol{protocol=\"quantus-miner\"} 0\n");

    pqi_node_miner_leave(theirs);

    assert_exposed(w, "pqlink_miners_by_protocol{protocol=\"quantus-miner/2\"} 0\n");
    pqi_node_miner_leave(ours);
}

static void the_chain_is_shown_as_the_official_node_shows_it(void **state)
{
    world *w = *state;

    pqi_node_metrics_chain(w->node, 42, 4000000, UINT64_C(1795000000123), 12000);
    pqi_node_metrics_job(w->node);
    pqi_node_metrics_jobs_sent(w->node, 3);
    pqi_node_metrics_block_found(w->node);

    assert_exposed(w, "qpow_metrics{data_group=\"chain_height\"} 42\n"
                      "qpow_metrics{data_group=\"difficulty\"} 4000000\n"
                      "qpow_metrics{data_group=\"last_block_time\"} 1795000000123\n"
                      "qpow_metrics{data_group=\"last_block_duration\"} 12000\n");
    assert_exposed(w, "\npqlink_jobs_total 1\n");
    assert_exposed(w, "\npqlink_jobs_sent_total 3\n");
    assert_exposed(w, "\npqlink_blocks_found_total 1\n");
}

static void the_miner_has_the_official_names(void **state)
{
    world *w = *state;

    pqi_mine_metrics_hashes(w->mine, 1000);
    pqi_mine_metrics_hash_rate(w->mine, 400, 100);
    pqi_mine_metrics_workers(w->mine, 4, 1, 8);
    pqi_mine_metrics_active_jobs(w->mine, 1);
    pqi_mine_metrics_result(w->mine, PQI_RESULT_STALE);

    assert_exposed(w, "\nminer_hashes_total 1000\n");
    assert_exposed(w, "\nminer_hash_rate 500\n");
    assert_exposed(w, "\nminer_cpu_hash_rate 400\n");
    assert_exposed(w, "\nminer_gpu_hash_rate 100\n");
    assert_exposed(w, "\nminer_workers 5\n");
    assert_exposed(w, "\nminer_cpu_workers 4\n");
    assert_exposed(w, "\nminer_gpu_devices 1\n");
    assert_exposed(w, "\nminer_effective_cpus 8\n");
    assert_exposed(w, "\nminer_active_jobs 1\n");
    assert_exposed(w, "miner_results_total{result=\"stale\"} 1\n");
    assert_exposed(w, "miner_results_total{result=\"accepted\"} 0\n");
}

static void without_metrics_nothing_is_counted_and_nothing_breaks(void **state)
{
    (void)state;
    pqi_node_miner *nobody = pqi_node_miner_join(NULL, "rig");

    assert_null(nobody);
    pqi_node_miner_result(nobody, PQI_RESULT_ACCEPTED);
    pqi_node_miner_hash_rate(nobody, 1);
    pqi_node_miner_share(nobody, 1, false);
    pqi_node_miner_protocol(nobody, PQI_PROTOCOL_PQLINK_1);
    assert_int_equal(pqi_node_miner_results(nobody, PQI_RESULT_ACCEPTED), 0);
    pqi_node_miner_leave(nobody);
    pqi_mine_metrics_hashes(NULL, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_miner_that_joins_has_all_its_results_at_zero),
        TEST(results_count_for_the_miner_and_for_its_connection),
        TEST(connections_of_one_name_add_their_hash_rates_and_take_them_along),
        TEST(shares_and_work_count_for_the_miner),
        TEST(miners_count_by_what_they_speak_while_they_are_there),
        TEST(the_chain_is_shown_as_the_official_node_shows_it),
        TEST(the_miner_has_the_official_names),
        TEST(without_metrics_nothing_is_counted_and_nothing_breaks),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
