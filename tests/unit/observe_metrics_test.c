#include "test.h"

#include "observe/metrics.h"

#include <math.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char *const colours[] = {"red", "blue"};
static const char *const sizes[] = {"s", "m", "l"};
static const uint64_t bounds_ms[] = {1000000, 2500000, 1000000000};

typedef struct world {
    pqi_metrics *m;
    pqi_buf text;
} world;

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    assert_int_equal(pqi_metrics_new(&w->m, NULL), PQL_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pqi_metrics_free(w->m);
    pqi_buf_free(&w->text);
    free(w);
    return 0;
}

static const char *written(world *w, pqi_metrics_format format)
{
    w->text.len = 0;
    assert_int_equal(pqi_metrics_write(w->m, format, &w->text, NULL), PQL_OK);
    assert_true(pqi_buf_append(&w->text, "", 1));
    return (const char *)w->text.data;
}

static const char *exposed(world *w)
{
    return written(w, PQI_METRICS_PROMETHEUS);
}

#define assert_exposed(w, line) assert_non_null(strstr(exposed(w), line))
#define assert_not_exposed(w, line) assert_null(strstr(exposed(w), line))

static pqi_family *counter_by_colour(world *w)
{
    return pqi_metrics_register(w->m, &(pqi_metric_desc){.type = PQI_COUNTER,
                                                         .name = "paint_total",
                                                         .help = "Paint.",
                                                         .labels = {{"colour", colours, 2}}});
}

static pqi_family *counter_of_members(world *w, unsigned max)
{
    return pqi_metrics_register(w->m, &(pqi_metric_desc){.type = PQI_COUNTER,
                                                         .name = "work_total",
                                                         .help = "Work.",
                                                         .labels = {{"colour", colours, 2}},
                                                         .member_label = "miner",
                                                         .member_max = max});
}

static void every_combination_of_labels_exists_with_zero_from_the_start(void **state)
{
    world *w = *state;
    pqi_metrics_register(
        w->m, &(pqi_metric_desc){.type = PQI_COUNTER,
                                 .name = "shirts_total",
                                 .help = "Shirts.",
                                 .labels = {{"colour", colours, 2}, {"size", sizes, 3}}});

    assert_string_equal(exposed(w), "# HELP shirts_total Shirts.\n"
                                    "# TYPE shirts_total counter\n"
                                    "shirts_total{colour=\"red\",size=\"s\"} 0\n"
                                    "shirts_total{colour=\"red\",size=\"m\"} 0\n"
                                    "shirts_total{colour=\"red\",size=\"l\"} 0\n"
                                    "shirts_total{colour=\"blue\",size=\"s\"} 0\n"
                                    "shirts_total{colour=\"blue\",size=\"m\"} 0\n"
                                    "shirts_total{colour=\"blue\",size=\"l\"} 0\n");
}

static void a_handle_counts_in_its_own_series_only(void **state)
{
    world *w = *state;
    pqi_family *f = counter_by_colour(w);

    pqi_counter_add(pqi_counter_at(f, 1), 7);

    assert_exposed(w, "paint_total{colour=\"red\"} 0\n");
    assert_exposed(w, "paint_total{colour=\"blue\"} 7\n");
}

static void a_counter_shows_all_64_bits(void **state)
{
    world *w = *state;

    pqi_counter_add(pqi_counter_at(counter_by_colour(w), 0), UINT64_MAX);

    assert_exposed(w, "paint_total{colour=\"red\"} 18446744073709551615\n");
}

static void a_histogram_is_cumulative_and_shown_in_its_unit(void **state)
{
    world *w = *state;
    pqi_family *f = pqi_metrics_register(w->m, &(pqi_metric_desc){.type = PQI_HISTOGRAM,
                                                                  .name = "wait_seconds",
                                                                  .help = "Waiting.",
                                                                  .bounds = bounds_ms,
                                                                  .bound_count = 3,
                                                                  .scale = 1000000000});

    pqi_histogram_observe(pqi_histogram_at(f, 0), 0);
    pqi_histogram_observe(pqi_histogram_at(f, 0), 1000000); /* bounds are inclusive */
    pqi_histogram_observe(pqi_histogram_at(f, 0), 1000001);
    pqi_histogram_observe(pqi_histogram_at(f, 0), 2000000000);

    assert_string_equal(exposed(w), "# HELP wait_seconds Waiting.\n"
                                    "# TYPE wait_seconds histogram\n"
                                    "wait_seconds_bucket{le=\"0.001\"} 2\n"
                                    "wait_seconds_bucket{le=\"0.0025\"} 3\n"
                                    "wait_seconds_bucket{le=\"1\"} 3\n"
                                    "wait_seconds_bucket{le=\"+Inf\"} 4\n"
                                    "wait_seconds_sum 2.002000001\n"
                                    "wait_seconds_count 4\n");
}

static void openmetrics_names_families_without_total_and_ends_with_eof(void **state)
{
    world *w = *state;
    counter_by_colour(w);

    assert_string_equal(written(w, PQI_METRICS_OPENMETRICS), "# HELP paint Paint.\n"
                                                             "# TYPE paint counter\n"
                                                             "paint_total{colour=\"red\"} 0\n"
                                                             "paint_total{colour=\"blue\"} 0\n"
                                                             "# EOF\n");
}

static void openmetrics_writes_whole_bounds_with_a_point(void **state)
{
    world *w = *state;
    pqi_metrics_register(w->m, &(pqi_metric_desc){.type = PQI_HISTOGRAM,
                                                  .name = "wait_seconds",
                                                  .help = "Waiting.",
                                                  .bounds = bounds_ms,
                                                  .bound_count = 3,
                                                  .scale = 1000000000});

    const char *text = written(w, PQI_METRICS_OPENMETRICS);

    assert_non_null(strstr(text, "wait_seconds_bucket{le=\"1.0\"} 0\n"));
    assert_non_null(strstr(text, "wait_seconds_bucket{le=\"+Inf\"} 0\n"));
}

static void help_and_label_values_are_escaped(void **state)
{
    world *w = *state;
    static const char *const odd[] = {"a\"b\\c\nd"};
    pqi_metrics_register(w->m, &(pqi_metric_desc){.type = PQI_GAUGE,
                                                  .name = "odd",
                                                  .help = "A \\ and\na \"line\".",
                                                  .labels = {{"what", odd, 1}}});

    assert_string_equal(exposed(w), "# HELP odd A \\\\ and\\na \"line\".\n"
                                    "# TYPE odd gauge\n"
                                    "odd{what=\"a\\\"b\\\\c\\nd\"} 0\n");
    assert_non_null(
        strstr(written(w, PQI_METRICS_OPENMETRICS), "# HELP odd A \\\\ and\\na \\\"line\\\".\n"));
}

static void gauges_are_written_with_the_fewest_digits_that_are_exact(void **state)
{
    world *w = *state;
    pqi_gauge *g = pqi_gauge_at(
        pqi_metrics_register(
            w->m, &(pqi_metric_desc){.type = PQI_GAUGE, .name = "level", .help = "Level."}),
        0);
    static const struct {
        double value;
        const char *line;
    } cases[] = {
        {0.1, "\nlevel 0.1\n"},
        {-3, "\nlevel -3\n"},
        {1e300, "\nlevel 1e+300\n"},
        {1.0 / 3, "\nlevel 0.3333333333333333\n"},
        {4000000, "\nlevel 4000000\n"},
        {(double)NAN, "\nlevel NaN\n"},
        {(double)INFINITY, "\nlevel +Inf\n"},
        {-(double)INFINITY, "\nlevel -Inf\n"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        pqi_gauge_set(g, cases[i].value);
        assert_exposed(w, cases[i].line);
    }
}

static double twice_the_series(void *user, unsigned series)
{
    return *(double *)user * series;
}

static void a_computed_gauge_is_worked_out_at_each_scrape(void **state)
{
    world *w = *state;
    double factor = 2;
    pqi_metrics_register(w->m, &(pqi_metric_desc){.type = PQI_GAUGE,
                                                  .name = "computed",
                                                  .help = "Computed.",
                                                  .labels = {{"size", sizes, 3}},
                                                  .compute = twice_the_series,
                                                  .user = &factor});
    assert_exposed(w, "computed{size=\"l\"} 4\n");

    factor = 5;

    assert_exposed(w, "computed{size=\"l\"} 10\n");
}

static bool is_not_blue_and_large(const unsigned *index)
{
    return !(index[0] == 1 && index[1] == 2);
}

static void a_combination_that_cannot_be_is_no_series(void **state)
{
    world *w = *state;
    pqi_metrics_register(w->m,
                         &(pqi_metric_desc){.type = PQI_COUNTER,
                                            .name = "shirts_total",
                                            .help = "Shirts.",
                                            .labels = {{"colour", colours, 2}, {"size", sizes, 3}},
                                            .exists = is_not_blue_and_large});

    assert_exposed(w, "shirts_total{colour=\"blue\",size=\"m\"} 0\n");
    assert_not_exposed(w, "shirts_total{colour=\"blue\",size=\"l\"}");
}

static void registrations_that_the_format_forbids_fail_and_are_remembered(void **state)
{
    (void)state;
    static const uint64_t falling[] = {2, 1};
    const pqi_metric_desc wrong[] = {
        {.type = PQI_COUNTER, .name = "no_suffix", .help = ""},
        {.type = PQI_GAUGE, .name = "gauge_total", .help = ""},
        {.type = PQI_GAUGE, .name = "9lives", .help = ""},
        {.type = PQI_GAUGE, .name = "with-dash", .help = ""},
        {.type = PQI_GAUGE, .name = NULL, .help = ""},
        {.type = PQI_GAUGE, .name = "no_help"},
        {.type = PQI_GAUGE, .name = "le_label", .help = "", .labels = {{"le", colours, 2}}},
        {.type = PQI_GAUGE, .name = "no_values", .help = "", .labels = {{"colour", colours, 0}}},
        {.type = PQI_HISTOGRAM, .name = "no_buckets", .help = ""},
        {.type = PQI_HISTOGRAM, .name = "fall", .help = "", .bounds = falling, .bound_count = 2},
        {.type = PQI_GAUGE, .name = "nobody", .help = "", .member_label = "m", .member_max = 0},
    };

    for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
        pqi_metrics *m;
        pql_error err;
        assert_int_equal(pqi_metrics_new(&m, NULL), PQL_OK);
        assert_null(pqi_metrics_register(m, &wrong[i]));
        assert_int_equal(pqi_metrics_check(m, &err), PQL_E_USAGE);
        assert_true(err.message[0] != '\0');
        pqi_metrics_free(m);
    }
}

static void a_name_can_be_registered_once_with_or_without_total(void **state)
{
    world *w = *state;
    pql_error err;
    counter_by_colour(w);

    assert_null(pqi_metrics_register(
        w->m, &(pqi_metric_desc){.type = PQI_GAUGE, .name = "paint", .help = "Paint."}));

    assert_int_equal(pqi_metrics_check(w->m, &err), PQL_E_EXISTS);
}

static void too_many_families_are_refused(void **state)
{
    world *w = *state;
    char name[32];
    for (int i = 0; i < PQI_METRICS_FAMILIES_MAX; i++) {
        (void)snprintf(name, sizeof(name), "gauge_%d", i);
        assert_non_null(pqi_metrics_register(
            w->m, &(pqi_metric_desc){.type = PQI_GAUGE, .name = name, .help = "One."}));
    }
    assert_int_equal(pqi_metrics_check(w->m, NULL), PQL_OK);

    assert_null(pqi_metrics_register(
        w->m, &(pqi_metric_desc){.type = PQI_GAUGE, .name = "one_more", .help = "More."}));

    assert_int_equal(pqi_metrics_check(w->m, NULL), PQL_E_LIMIT);
}

static void handles_out_of_range_or_of_another_type_are_null_and_harmless(void **state)
{
    world *w = *state;
    pqi_family *f = counter_by_colour(w);

    assert_null(pqi_counter_at(f, 2));
    assert_null(pqi_gauge_at(f, 0));
    assert_null(pqi_histogram_at(f, 0));
    assert_null(pqi_counter_at(NULL, 0));
    pqi_counter_add(NULL, 1);
    pqi_gauge_add(NULL, 1);
    pqi_gauge_set(NULL, 1);
    pqi_histogram_observe(NULL, 1);
    pqi_member_leave(NULL);
    pqi_metrics_free(NULL);
    assert_null(pqi_member_join(f, "nobody"));
}

static void a_member_brings_all_its_series_and_other_stays_hidden(void **state)
{
    world *w = *state;
    pqi_family *f = counter_of_members(w, 4);
    assert_string_equal(exposed(w), "# HELP work_total Work.\n# TYPE work_total counter\n");

    pqi_member *rig = pqi_member_join(f, "Rig 1");
    pqi_counter_add(pqi_member_counter(rig, 1), 3);

    assert_exposed(w, "work_total{miner=\"rig-1\",colour=\"red\"} 0\n"
                      "work_total{miner=\"rig-1\",colour=\"blue\"} 3\n");
    assert_not_exposed(w, "other");
    pqi_member_leave(rig);
}

static void two_of_one_name_share_a_member_and_its_counts_outlive_both(void **state)
{
    world *w = *state;
    pqi_family *f = counter_of_members(w, 4);
    pqi_member *first = pqi_member_join(f, "rig");
    pqi_member *second = pqi_member_join(f, "rig");
    assert_ptr_equal(first, second);

    pqi_counter_add(pqi_member_counter(first, 0), 2);
    pqi_member_leave(first);
    pqi_member_leave(second);

    assert_exposed(w, "work_total{miner=\"rig\",colour=\"red\"} 2\n");
    pqi_member *again = pqi_member_join(f, "rig");
    pqi_counter_add(pqi_member_counter(again, 0), 1);
    assert_exposed(w, "work_total{miner=\"rig\",colour=\"red\"} 3\n");
}

static void a_full_family_gives_the_place_of_the_one_that_left_longest_ago(void **state)
{
    world *w = *state;
    pqi_family *f = counter_of_members(w, 2);
    pqi_member *a = pqi_member_join(f, "a");
    pqi_member *b = pqi_member_join(f, "b");
    pqi_counter_add(pqi_member_counter(b, 0), 9);
    pqi_member_leave(b);
    pqi_member_leave(a);

    pqi_member_join(f, "c");

    assert_exposed(w, "work_total{miner=\"a\",colour=\"red\"} 0\n");
    assert_exposed(w, "work_total{miner=\"c\",colour=\"red\"} 0\n");
    assert_not_exposed(w, "miner=\"b\"");
}

static void a_place_that_was_scraped_shows_its_new_member(void **state)
{
    world *w = *state;
    pqi_family *f = counter_of_members(w, 1);
    pqi_member_leave(pqi_member_join(f, "a"));
    assert_exposed(w, "work_total{miner=\"a\",colour=\"red\"} 0\n");

    assert_non_null(pqi_member_join(f, "b"));

    assert_exposed(w, "work_total{miner=\"b\",colour=\"red\"} 0\n");
    assert_not_exposed(w, "miner=\"a\"");
}

static void a_family_full_of_present_members_counts_the_rest_as_other(void **state)
{
    world *w = *state;
    pqi_family *f = counter_of_members(w, 1);
    pqi_member_join(f, "a");

    pqi_member *b = pqi_member_join(f, "b");
    pqi_member *c = pqi_member_join(f, "c");
    pqi_counter_add(pqi_member_counter(b, 0), 1);
    pqi_counter_add(pqi_member_counter(c, 0), 1);

    assert_exposed(w, "work_total{miner=\"other\",colour=\"red\"} 2\n");
    assert_not_exposed(w, "miner=\"b\"");
}

static void member_names_are_made_of_safe_characters(void **state)
{
    (void)state;
    static const struct {
        const char *text;
        const char *clean;
    } cases[] = {
        {"rig-1.home_2", "rig-1.home_2"},
        {"RIG", "rig"},
        {"a\"} 1\nx{", "a---1-x-"},
        {"\xc3\xa4", "--"},
        {"", "unnamed"},
        {NULL, "unnamed"},
        {"0123456789012345678901234567890123456789", "01234567890123456789012345678901"},
    };

    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char out[PQI_METRICS_MEMBER_SIZE];
        pqi_member_clean(out, cases[i].text);
        assert_string_equal(out, cases[i].clean);
    }
}

static void a_buffer_that_is_too_small_is_an_error(void **state)
{
    world *w = *state;
    counter_by_colour(w);
    pqi_buf small = {.max = 20};

    assert_int_equal(pqi_metrics_write(w->m, PQI_METRICS_PROMETHEUS, &small, NULL), PQL_E_NOMEM);

    pqi_buf_free(&small);
}

#define THREADS 4
#define ROUNDS 10000

typedef struct shared {
    pqi_counter *counter;
    pqi_gauge *gauge;
    pqi_histogram *histogram;
    pqi_family *members;
} shared;

static void *update_everything(void *user)
{
    shared *s = user;
    for (int i = 0; i < ROUNDS; i++) {
        pqi_counter_add(s->counter, 1);
        pqi_gauge_add(s->gauge, 1);
        pqi_histogram_observe(s->histogram, 1500000);
    }
    for (int i = 0; i < ROUNDS / 100; i++) {
        pqi_member *member = pqi_member_join(s->members, "rig");
        pqi_counter_add(pqi_member_counter(member, 0), 1);
        pqi_member_leave(member);
    }
    return NULL;
}

static void threads_lose_no_update_while_scrapes_go_on(void **state)
{
    world *w = *state;
    shared s = {
        .counter = pqi_counter_at(counter_by_colour(w), 0),
        .gauge = pqi_gauge_at(
            pqi_metrics_register(
                w->m, &(pqi_metric_desc){.type = PQI_GAUGE, .name = "level", .help = "Level."}),
            0),
        .histogram =
            pqi_histogram_at(pqi_metrics_register(w->m, &(pqi_metric_desc){.type = PQI_HISTOGRAM,
                                                                           .name = "wait_seconds",
                                                                           .help = "Waiting.",
                                                                           .bounds = bounds_ms,
                                                                           .bound_count = 3,
                                                                           .scale = 1000000000}),
                             0),
        .members = counter_of_members(w, 2),
    };
    pthread_t threads[THREADS];
    for (int i = 0; i < THREADS; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, update_everything, &s), 0);
    }
    for (int i = 0; i < 50; i++) {
        assert_non_null(exposed(w));
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
    }

    assert_exposed(w, "paint_total{colour=\"red\"} 40000\n");
    assert_exposed(w, "\nlevel 40000\n");
    assert_exposed(w, "wait_seconds_bucket{le=\"0.0025\"} 40000\n");
    assert_exposed(w, "wait_seconds_sum 60\n");
    assert_exposed(w, "work_total{miner=\"rig\",colour=\"red\"} 400\n");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_combination_of_labels_exists_with_zero_from_the_start),
        TEST(a_handle_counts_in_its_own_series_only),
        TEST(a_counter_shows_all_64_bits),
        TEST(a_histogram_is_cumulative_and_shown_in_its_unit),
        TEST(openmetrics_names_families_without_total_and_ends_with_eof),
        TEST(openmetrics_writes_whole_bounds_with_a_point),
        TEST(help_and_label_values_are_escaped),
        TEST(gauges_are_written_with_the_fewest_digits_that_are_exact),
        TEST(a_computed_gauge_is_worked_out_at_each_scrape),
        TEST(a_combination_that_cannot_be_is_no_series),
        TEST(registrations_that_the_format_forbids_fail_and_are_remembered),
        TEST(a_name_can_be_registered_once_with_or_without_total),
        TEST(too_many_families_are_refused),
        TEST(handles_out_of_range_or_of_another_type_are_null_and_harmless),
        TEST(a_member_brings_all_its_series_and_other_stays_hidden),
        TEST(two_of_one_name_share_a_member_and_its_counts_outlive_both),
        TEST(a_full_family_gives_the_place_of_the_one_that_left_longest_ago),
        TEST(a_place_that_was_scraped_shows_its_new_member),
        TEST(a_family_full_of_present_members_counts_the_rest_as_other),
        TEST(member_names_are_made_of_safe_characters),
        TEST(a_buffer_that_is_too_small_is_an_error),
        TEST(threads_lose_no_update_while_scrapes_go_on),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
