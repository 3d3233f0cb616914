/* The development chain: jobs, verdicts, retarget, and a history that survives crashes. */
#include "test.h"

#include "base/clock.h"
#include "base/log.h"
#include "miner/devchain.h"
#include "miner/pow.h"
#include "store/blocks.h"
#include "store/db.h"

#include "store_directory.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#define NOON UINT64_C(1800000000000) /* a unix time in ms */
#define START_DIFFICULTY 8           /* found in a moment */
#define BLOCK_TIME_MS 12000
#define REFRESH_MS 5000

/* A chain on a store, and what its events said. */
typedef struct fixture {
    pqi_store *store;
    pqi_source *source;
    pqi_job job;
    unsigned jobs;
    unsigned idles;
} fixture;

/* The failing store writes errors to the log; they are wanted and would only confuse here. */
static void silence(void)
{
    pqi_log_setup(open("/dev/null", O_WRONLY | O_CLOEXEC), PQI_LOG_DEBUG, PQI_LOG_TEXT);
}

static void note_job(void *user, const pqi_job *job)
{
    fixture *f = user;
    f->job = *job;
    f->jobs++;
}

static void note_idle(void *user)
{
    fixture *f = user;
    f->idles++;
}

static pqi_instant at(uint64_t ms)
{
    return (pqi_instant){.unix_ms = NOON + ms, .monotonic_ns = ms * PQI_NS_PER_MS};
}

static pqi_devchain_opts options(pqi_store *store)
{
    return (pqi_devchain_opts){
        .store = store,
        .rules = {.block_time_ms = BLOCK_TIME_MS, .minimum = pqi_u512_from_u64(1)},
        .difficulty = pqi_u512_from_u64(START_DIFFICULTY),
        .refresh_ms = REFRESH_MS,
    };
}

/* Opens the store in |directory| and starts a chain of |difficulty| on it. */
static void open_chain_of(fixture *f, const char *directory, uint64_t difficulty, pqi_instant now)
{
    const pqi_source_events events = {note_job, note_idle, f};
    *f = (fixture){.store = open_store(directory)};
    pqi_devchain_opts opts = options(f->store);
    opts.difficulty = pqi_u512_from_u64(difficulty);
    pql_error err = {0};
    if (pqi_devchain_new(&f->source, &opts, &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    assert_int_equal(pqi_source_start(f->source, &events, now, NULL), PQL_OK);
}

static void close_chain(fixture *f)
{
    pqi_source_destroy(f->source);
    pqi_store_close(f->store);
}

static void open_chain(fixture *f, const char *directory, pqi_instant now)
{
    open_chain_of(f, directory, START_DIFFICULTY, now);
}

/* Finds a nonce for |job| as a miner would. */
static void mine(const pqi_job *job, uint8_t nonce[PQI_JOB_NONCE_SIZE])
{
    const uint8_t start[PQI_JOB_NONCE_SIZE] = {[PQI_JOB_NONCE_SIZE - 1] = 1};
    pqi_pow_job search;
    pqi_u512 target;
    uint64_t tried = 0;
    assert_true(pqi_pow_target(&target, &job->difficulty));
    pqi_pow_search_init(&search, job->mining_hash, start, &target);
    while (!pqi_pow_search(&search, 4096, &tried, nonce)) {
    }
}

/* Mines the current job and submits it at |now|. */
static pqi_source_verdict solve(fixture *f, pqi_instant now)
{
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    const pqi_job job = f->job;
    mine(&job, nonce);
    return pqi_source_submit(f->source, job.id, nonce, "rig-1", now, NULL);
}

static uint64_t blocks_in(pqi_store *store)
{
    uint64_t count = 0;
    assert_int_equal(pqi_store_block_count(store, &count, NULL), PQL_OK);
    return count;
}

static pqi_store_block last_block(pqi_store *store)
{
    pqi_store_block block;
    assert_int_equal(pqi_store_block_last(store, &block, NULL), PQL_OK);
    return block;
}

static void assert_difficulty(const pqi_job *job, uint64_t want)
{
    const pqi_u512 number = pqi_u512_from_u64(want);
    assert_int_equal(pqi_u512_compare(&job->difficulty, &number), 0);
}

static void starting_gives_the_first_job(void **state)
{
    (void)state;
    fixture f;
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    assert_int_equal(f.jobs, 1);
    assert_string_equal(f.job.id, "1");
    assert_int_equal(f.job.height, 1);
    assert_difficulty(&f.job, START_DIFFICULTY);
    assert_int_equal(f.idles, 0);
    close_chain(&f);
}

static void starting_twice_is_refused(void **state)
{
    (void)state;
    fixture f;
    const pqi_source_events events = {note_job, note_idle, &f};
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    assert_int_equal(pqi_source_start(f.source, &events, at(0), NULL), PQL_E_STATE);
    close_chain(&f);
}

static void the_chain_is_the_same_for_everybody(void **state)
{
    (void)state;
    fixture a;
    fixture b;
    open_chain(&a, PQI_STORE_MEMORY, at(0));
    open_chain(&b, PQI_STORE_MEMORY, at(0));
    assert_memory_equal(a.job.mining_hash, b.job.mining_hash, PQI_JOB_HASH_SIZE);
    close_chain(&a);
    close_chain(&b);
}

static void a_solution_makes_a_block_and_the_next_job(void **state)
{
    (void)state;
    fixture f;
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    pqi_source_block made;
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    const pqi_job job = f.job;
    mine(&job, nonce);
    assert_int_equal(pqi_source_submit(f.source, job.id, nonce, "rig-1", at(900), &made),
                     PQI_SOURCE_ACCEPTED);
    const pqi_store_block block = last_block(f.store);
    assert_int_equal(made.height, 1);
    assert_memory_equal(made.hash, block.hash, sizeof(made.hash));
    assert_memory_equal(block.mining_hash, job.mining_hash, sizeof(job.mining_hash));
    assert_memory_equal(block.nonce, nonce, sizeof(nonce));
    assert_string_equal(block.miner, "rig-1");
    assert_true(block.time_ms == NOON);
    assert_int_equal(f.jobs, 2);
    assert_string_equal(f.job.id, "2");
    assert_int_equal(f.job.height, 2);
    assert_memory_not_equal(f.job.mining_hash, job.mining_hash, sizeof(job.mining_hash));
    close_chain(&f);
}

static void blocks_stand_on_each_other(void **state)
{
    (void)state;
    fixture f;
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    assert_int_equal(solve(&f, at(100)), PQI_SOURCE_ACCEPTED);
    const pqi_store_block first = last_block(f.store);
    assert_int_equal(solve(&f, at(200)), PQI_SOURCE_ACCEPTED);
    const pqi_store_block second = last_block(f.store);
    assert_memory_equal(second.parent, first.hash, sizeof(first.hash));
    assert_int_equal(second.height, 2);
    close_chain(&f);
}

static void a_wrong_nonce_is_invalid_and_the_job_goes_on(void **state)
{
    (void)state;
    fixture f;
    pqi_source_block made;
    const uint8_t zero[PQI_JOB_NONCE_SIZE] = {0};
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    pqi_u512 target;
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    mine(&f.job, nonce);
    assert_true(pqi_pow_target(&target, &f.job.difficulty));
    do {
        nonce[0]++;
    } while (pqi_pow_verify(f.job.mining_hash, nonce, &target));
    assert_int_equal(pqi_source_submit(f.source, "1", nonce, "rig-1", at(1), &made),
                     PQI_SOURCE_INVALID);
    assert_int_equal(made.height, 0);
    assert_int_equal(pqi_source_submit(f.source, "1", zero, "rig-1", at(1), NULL),
                     PQI_SOURCE_INVALID);
    assert_int_equal(blocks_in(f.store), 0);
    assert_int_equal(f.jobs, 1);
    assert_int_equal(solve(&f, at(2)), PQI_SOURCE_ACCEPTED);
    close_chain(&f);
}

static void a_result_for_another_job_is_stale(void **state)
{
    (void)state;
    fixture f;
    const char *const ids[] = {"", "0", "01", "2", "nonsense"};
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    mine(&f.job, nonce);
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        assert_int_equal(pqi_source_submit(f.source, ids[i], nonce, "rig-1", at(1), NULL),
                         PQI_SOURCE_STALE);
    }
    assert_int_equal(blocks_in(f.store), 0);
    close_chain(&f);
}

static void the_second_to_solve_a_job_is_stale(void **state)
{
    (void)state;
    fixture f;
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    const pqi_job job = f.job;
    assert_int_equal(solve(&f, at(1)), PQI_SOURCE_ACCEPTED);
    mine(&job, nonce);
    nonce[0] ^= 1;
    assert_int_equal(pqi_source_submit(f.source, job.id, nonce, "rig-2", at(2), NULL),
                     PQI_SOURCE_STALE);
    close_chain(&f);
}

static void the_same_solution_again_is_a_duplicate(void **state)
{
    (void)state;
    fixture f;
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    const pqi_job job = f.job;
    mine(&job, nonce);
    assert_int_equal(solve(&f, at(1)), PQI_SOURCE_ACCEPTED);
    for (int i = 0; i < PQI_DEVCHAIN_REMEMBERED_RESULTS; i++) {
        assert_int_equal(pqi_source_submit(f.source, job.id, nonce, "rig-1", at(2), NULL),
                         PQI_SOURCE_DUPLICATE);
        assert_int_equal(solve(&f, at(2)), PQI_SOURCE_ACCEPTED);
    }
    assert_int_equal(pqi_source_submit(f.source, job.id, nonce, "rig-1", at(3), NULL),
                     PQI_SOURCE_STALE);
    close_chain(&f);
}

static void nothing_is_judged_before_the_start(void **state)
{
    (void)state;
    const uint8_t nonce[PQI_JOB_NONCE_SIZE] = {1};
    pqi_source *source = NULL;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    const pqi_devchain_opts opts = options(store);
    assert_int_equal(pqi_devchain_new(&source, &opts, NULL), PQL_OK);
    assert_true(pqi_source_deadline(source) == PQI_TIME_NEVER);
    pqi_source_tick(source, at(100000));
    assert_int_equal(pqi_source_submit(source, "", nonce, "rig-1", at(1), NULL), PQI_SOURCE_STALE);
    pqi_source_destroy(source);
    pqi_source_destroy(NULL);
    pqi_store_close(store);
}

static void a_fresh_template_comes_at_the_interval(void **state)
{
    (void)state;
    fixture f;
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    const pqi_job old = f.job;
    mine(&old, nonce);
    assert_true(pqi_source_deadline(f.source) == REFRESH_MS * PQI_NS_PER_MS);
    pqi_source_tick(f.source, at(REFRESH_MS - 1));
    assert_int_equal(f.jobs, 1);
    pqi_source_tick(f.source, at(REFRESH_MS));
    assert_int_equal(f.jobs, 2);
    assert_int_equal(f.job.height, 1);
    assert_memory_not_equal(f.job.mining_hash, old.mining_hash, PQI_JOB_HASH_SIZE);
    assert_true(pqi_source_deadline(f.source) == 2 * REFRESH_MS * PQI_NS_PER_MS);
    assert_int_equal(pqi_source_submit(f.source, old.id, nonce, "rig-1", at(REFRESH_MS), NULL),
                     PQI_SOURCE_STALE);
    assert_int_equal(solve(&f, at(REFRESH_MS + 1)), PQI_SOURCE_ACCEPTED);
    assert_true(last_block(f.store).time_ms == NOON + REFRESH_MS);
    close_chain(&f);
}

static void a_block_puts_the_next_refresh_off(void **state)
{
    (void)state;
    fixture f;
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    assert_int_equal(solve(&f, at(3000)), PQI_SOURCE_ACCEPTED);
    assert_true(pqi_source_deadline(f.source) == (3000 + REFRESH_MS) * PQI_NS_PER_MS);
    close_chain(&f);
}

static void block_times_rise_when_the_clock_jumps_back(void **state)
{
    (void)state;
    fixture f;
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    assert_int_equal(solve(&f, (pqi_instant){.unix_ms = 5}), PQI_SOURCE_ACCEPTED);
    assert_int_equal(solve(&f, (pqi_instant){.unix_ms = 5}), PQI_SOURCE_ACCEPTED);
    assert_true(last_block(f.store).time_ms == NOON + 1);
    assert_int_equal(solve(&f, at(0)), PQI_SOURCE_ACCEPTED);
    assert_true(last_block(f.store).time_ms == NOON + 2);
    close_chain(&f);
}

static void the_difficulty_follows_the_block_times(void **state)
{
    (void)state;
    fixture f;
    open_chain_of(&f, PQI_STORE_MEMORY, 4096, at(0));
    /* Times are of templates: block 2's was made when block 1 was found. */
    assert_int_equal(solve(&f, at(100)), PQI_SOURCE_ACCEPTED);
    assert_difficulty(&f.job, 4096); /* what block 1 took is not known */
    assert_int_equal(solve(&f, at(100000)), PQI_SOURCE_ACCEPTED);
    assert_difficulty(&f.job, 4098); /* block 2 came 100 ms after block 1: one step up */
    assert_int_equal(solve(&f, at(112000)), PQI_SOURCE_ACCEPTED);
    assert_difficulty(&f.job, 4098 - 11 * 2); /* 99.9 s are 12 times 8 s: 11 steps down */
    close_chain(&f);
}

static void a_chain_resumes_where_it_was(void **state)
{
    fixture f;
    open_chain(&f, *state, at(0));
    for (uint64_t i = 1; i <= PQI_DEVCHAIN_CHECKED_BLOCKS + 6; i++) {
        assert_int_equal(solve(&f, at(i * 100)), PQI_SOURCE_ACCEPTED);
        const pqi_job before = f.job;
        close_chain(&f);
        open_chain(&f, *state, at(i * 100));
        assert_memory_equal(f.job.mining_hash, before.mining_hash, PQI_JOB_HASH_SIZE);
        assert_int_equal(f.job.height, i + 1);
        assert_int_equal(pqi_u512_compare(&f.job.difficulty, &before.difficulty), 0);
    }
    close_chain(&f);
}

static void a_stored_chain_that_does_not_fit_is_refused(void **state)
{
    (void)state;
    const char *const harm[] = {
        "UPDATE block SET parent = zeroblob(32) WHERE height = 2",
        "UPDATE block SET hash = zeroblob(32) WHERE height = 2",
        "UPDATE block SET mining_hash = zeroblob(32) WHERE height = 2",
        "UPDATE block SET nonce = zeroblob(64) WHERE height = 2",
        "UPDATE block SET difficulty = zeroblob(64) WHERE height = 2",
        "UPDATE block SET time_ms = 1 WHERE height = 2",
        "DELETE FROM block WHERE height = 1",
        "DELETE FROM block WHERE height = 2",
    };
    for (size_t i = 0; i < sizeof(harm) / sizeof(harm[0]); i++) {
        fixture f;
        pqi_source *again = NULL;
        pql_error err = {0};
        open_chain(&f, PQI_STORE_MEMORY, at(0));
        for (uint64_t height = 1; height <= 3; height++) {
            assert_int_equal(solve(&f, at(height)), PQI_SOURCE_ACCEPTED);
        }
        assert_int_equal(pqi_db_exec(f.store, harm[i], NULL), PQL_OK);
        const pqi_devchain_opts opts = options(f.store);
        assert_int_equal(pqi_devchain_new(&again, &opts, &err), PQL_E_IO);
        assert_null(again);
        assert_non_null(strstr(err.message, "broken at height"));
        close_chain(&f);
    }
}

static void a_store_that_fails_makes_the_result_wait(void **state)
{
    (void)state;
    fixture f;
    pqi_source_block made;
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    mine(&f.job, nonce);
    assert_int_equal(pqi_db_exec(f.store, "PRAGMA query_only=ON", NULL), PQL_OK);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(pqi_source_submit(f.source, "1", nonce, "rig-1", at(1), &made),
                         PQI_SOURCE_UNAVAILABLE);
        assert_int_equal(made.height, 0);
        assert_int_equal(f.jobs, 1);
    }
    assert_int_equal(pqi_db_exec(f.store, "PRAGMA query_only=OFF", NULL), PQL_OK);
    assert_int_equal(pqi_source_submit(f.source, "1", nonce, "rig-1", at(2), &made),
                     PQI_SOURCE_ACCEPTED);
    assert_int_equal(made.height, 1);
    assert_int_equal(blocks_in(f.store), 1);
    close_chain(&f);
}

static unsigned lines_with(FILE *file, const char *text)
{
    char line[1024];
    unsigned count = 0;
    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, text) != NULL;
    }
    return count;
}

static void a_store_that_fails_is_told_of_now_and_then(void **state)
{
    (void)state;
    fixture f;
    FILE *file = tmpfile();
    assert_non_null(file);
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    assert_int_equal(pqi_db_exec(f.store, "PRAGMA query_only=1", NULL), PQL_OK);
    pqi_log_setup(fileno(file), PQI_LOG_INFO, PQI_LOG_JSON);

    for (unsigned i = 0; i < 100; i++) {
        assert_int_equal(solve(&f, at(i)), PQI_SOURCE_UNAVAILABLE);
    }
    assert_int_equal(lines_with(file, "block_not_stored"), 1);
    assert_int_equal(solve(&f, at(20000)), PQI_SOURCE_UNAVAILABLE);

    assert_int_equal(lines_with(file, "block_not_stored"), 2);
    assert_int_equal(lines_with(file, "\"left_out\":99"), 1);
    silence();
    (void)fclose(file);
    close_chain(&f);
}

static void options_out_of_range_are_refused(void **state)
{
    (void)state;
    pqi_source *source = NULL;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    pqi_devchain_opts opts[4];
    for (int i = 0; i < 4; i++) {
        opts[i] = options(store);
    }
    opts[0].rules.block_time_ms = 0;
    opts[1].rules.minimum = pqi_u512_from_u64(0);
    opts[2].rules.minimum = pqi_u512_from_u64(START_DIFFICULTY + 1);
    opts[3].refresh_ms = UINT64_MAX;
    for (int i = 0; i < 4; i++) {
        assert_int_equal(pqi_devchain_new(&source, &opts[i], NULL), PQL_E_USAGE);
        assert_null(source);
    }
    pqi_store_close(store);
}

static void a_long_miner_name_is_cut(void **state)
{
    (void)state;
    fixture f;
    char name[200];
    uint8_t nonce[PQI_JOB_NONCE_SIZE];
    memset(name, 'm', sizeof(name) - 1);
    name[sizeof(name) - 1] = '\0';
    open_chain(&f, PQI_STORE_MEMORY, at(0));
    mine(&f.job, nonce);
    assert_int_equal(pqi_source_submit(f.source, "1", nonce, name, at(1), NULL),
                     PQI_SOURCE_ACCEPTED);
    assert_int_equal(strlen(last_block(f.store).miner), PQI_STORE_MINER_MAX);
    close_chain(&f);
}

/* Mines for ever, and writes each block to |fd| once it was accepted. */
static void mine_until_killed(const char *directory, int fd)
{
    fixture f;
    open_chain(&f, directory, at(0));
    for (uint64_t i = 0;; i++) {
        pqi_source_block made;
        uint8_t nonce[PQI_JOB_NONCE_SIZE];
        const pqi_job job = f.job;
        mine(&job, nonce);
        if (pqi_source_submit(f.source, job.id, nonce, "rig-1", at(i), &made) !=
                PQI_SOURCE_ACCEPTED ||
            write(fd, &made, sizeof(made)) != (ssize_t)sizeof(made)) {
            _exit(1);
        }
    }
}

/* Kills a mining child after |reports| blocks; each one it reported must be in the store. */
static void kill_and_look(const char *directory, unsigned reports)
{
    enum { REPORTS_MAX = 4096 };
    static pqi_source_block reported[REPORTS_MAX];
    size_t count = 0;
    int ends[2];
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        mine_until_killed(directory, ends[1]);
    }
    (void)close(ends[1]);
    while (count < reports) {
        assert_int_equal(read(ends[0], &reported[count], sizeof(reported[0])), sizeof(reported[0]));
        count++;
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    while (count < REPORTS_MAX &&
           read(ends[0], &reported[count], sizeof(reported[0])) == (ssize_t)sizeof(reported[0])) {
        count++;
    }
    (void)close(ends[0]);

    pqi_store *store = open_store(directory);
    for (size_t i = 0; i < count; i++) {
        pqi_store_block block;
        assert_int_equal(pqi_store_block_get(store, reported[i].height, &block, NULL), PQL_OK);
        assert_memory_equal(block.hash, reported[i].hash, sizeof(block.hash));
    }
    pqi_store_close(store);
}

static void every_accepted_block_survives_kill_9(void **state)
{
    for (unsigned round = 1; round <= 8; round++) {
        kill_and_look(*state, round * 2);
    }
    fixture f;
    open_chain(&f, *state, at(0)); /* verifies the chain that is left */
    assert_int_equal(solve(&f, at(1)), PQI_SOURCE_ACCEPTED);
    close_chain(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(starting_gives_the_first_job),
        cmocka_unit_test(starting_twice_is_refused),
        cmocka_unit_test(the_chain_is_the_same_for_everybody),
        cmocka_unit_test(a_solution_makes_a_block_and_the_next_job),
        cmocka_unit_test(blocks_stand_on_each_other),
        cmocka_unit_test(a_wrong_nonce_is_invalid_and_the_job_goes_on),
        cmocka_unit_test(a_result_for_another_job_is_stale),
        cmocka_unit_test(the_second_to_solve_a_job_is_stale),
        cmocka_unit_test(the_same_solution_again_is_a_duplicate),
        cmocka_unit_test(nothing_is_judged_before_the_start),
        cmocka_unit_test(a_fresh_template_comes_at_the_interval),
        cmocka_unit_test(a_block_puts_the_next_refresh_off),
        cmocka_unit_test(block_times_rise_when_the_clock_jumps_back),
        cmocka_unit_test(the_difficulty_follows_the_block_times),
        directory_test(a_chain_resumes_where_it_was),
        cmocka_unit_test(a_stored_chain_that_does_not_fit_is_refused),
        cmocka_unit_test(a_store_that_fails_makes_the_result_wait),
        cmocka_unit_test(a_store_that_fails_is_told_of_now_and_then),
        cmocka_unit_test(options_out_of_range_are_refused),
        cmocka_unit_test(a_long_miner_name_is_cut),
        directory_test(every_accepted_block_survives_kill_9),
    };
    silence();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
