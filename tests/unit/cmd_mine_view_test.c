/* What pqlink mine logs of a node that talks too much. */
#include "test.h"

#include "base/log.h"
#include "cmd/mine_view.h"

#include <stdio.h>

static unsigned count_lines(FILE *file)
{
    unsigned lines = 0;
    rewind(file);
    for (int c = getc(file); c != EOF; c = getc(file)) {
        lines += c == '\n';
    }
    return lines;
}

static void a_node_that_floods_the_miner_with_jobs_does_not_fill_its_disk(void **state)
{
    (void)state;
    const unsigned jobs = 100000;
    const pqi_mine_options options = {.log = {.level = PQI_LOG_ERROR}};
    const pqi_miner_job job = {.id = "1", .difficulty = pqi_u512_from_u64(1)};
    pqi_mine_view view;
    FILE *file = tmpfile();
    assert_non_null(file);
    pqi_mine_view_start(&view, &options);
    pqi_log_setup(fileno(file), PQI_LOG_INFO, PQI_LOG_JSON);

    for (unsigned i = 0; i < jobs; i++) {
        pqi_mine_view_events.job(&view, &job);
    }

    const unsigned lines = count_lines(file);
    assert_true(lines >= PQI_MINE_LINES_PER_SEC);
    assert_true(lines < jobs / 2);
    (void)fclose(file);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_node_that_floods_the_miner_with_jobs_does_not_fill_its_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
