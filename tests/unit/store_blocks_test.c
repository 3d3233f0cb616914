/* The block history has no gaps, and loses nothing on a full disk or to kill -9. */
#include "test.h"

#include "store/blocks.h"
#include "store/db.h"

#include "store_directory.h"

#include <signal.h>
#include <sys/wait.h>

static pqi_store_block block_at(uint64_t height)
{
    pqi_store_block block = {.height = height, .time_ms = 1000 + height, .miner = "rig-1"};
    memset(block.hash, (int)(height & 0xff), sizeof(block.hash));
    memset(block.parent, (int)((height - 1) & 0xff), sizeof(block.parent));
    memset(block.mining_hash, 0x33, sizeof(block.mining_hash));
    memset(block.difficulty, 0x44, sizeof(block.difficulty));
    memset(block.nonce, 0x55, sizeof(block.nonce));
    return block;
}

static pql_status append_at(pqi_store *store, uint64_t height)
{
    const pqi_store_block block = block_at(height);
    return pqi_store_block_append(store, &block, NULL);
}

static uint64_t count_of(pqi_store *store)
{
    uint64_t count = UINT64_MAX;
    assert_int_equal(pqi_store_block_count(store, &count, NULL), PQL_OK);
    return count;
}

static void a_block_reads_back_as_it_was(void **state)
{
    const pqi_store_block block = block_at(7);
    pqi_store_block got;
    pqi_store *store = open_store(*state);
    assert_int_equal(pqi_store_block_append(store, &block, NULL), PQL_OK);
    pqi_store_close(store);
    store = open_store(*state);
    assert_int_equal(pqi_store_block_get(store, 7, &got, NULL), PQL_OK);
    assert_memory_equal(&got, &block, sizeof(block));
    assert_int_equal(pqi_store_block_last(store, &got, NULL), PQL_OK);
    assert_memory_equal(&got, &block, sizeof(block));
    pqi_store_close(store);
}

static void an_empty_history_has_no_last_block(void **state)
{
    (void)state;
    pqi_store_block got;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(pqi_store_block_last(store, &got, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(pqi_store_block_get(store, 1, &got, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(count_of(store), 0);
    pqi_store_close(store);
}

static void heights_rise_by_one(void **state)
{
    (void)state;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(append_at(store, 1), PQL_OK);
    assert_int_equal(append_at(store, 1), PQL_E_EXISTS);
    assert_int_equal(append_at(store, 0), PQL_E_EXISTS);
    assert_int_equal(append_at(store, 3), PQL_E_STATE);
    assert_int_equal(append_at(store, 2), PQL_OK);
    assert_int_equal(count_of(store), 2);
    pqi_store_close(store);
}

static void numbers_and_names_out_of_range_are_refused(void **state)
{
    (void)state;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    assert_int_equal(append_at(store, UINT64_C(1) << 63), PQL_E_USAGE);
    pqi_store_block block = block_at(1);
    memset(block.miner, 'm', sizeof(block.miner));
    assert_int_equal(pqi_store_block_append(store, &block, NULL), PQL_E_USAGE);
    block.miner[PQI_STORE_MINER_MAX] = '\0';
    assert_int_equal(pqi_store_block_append(store, &block, NULL), PQL_OK);
    assert_int_equal(pqi_store_block_get(store, UINT64_MAX, &block, NULL), PQL_E_NOT_FOUND);
    pqi_store_close(store);
}

static void a_range_is_listed_in_order_and_no_longer_than_asked(void **state)
{
    (void)state;
    pqi_store_block got[4];
    size_t count = 0;
    pqi_store *store = open_store(PQI_STORE_MEMORY);
    for (uint64_t height = 1; height <= 10; height++) {
        assert_int_equal(append_at(store, height), PQL_OK);
    }
    assert_int_equal(pqi_store_block_list(store, 4, got, 4, &count, NULL), PQL_OK);
    assert_int_equal(count, 4);
    assert_int_equal(got[0].height, 4);
    assert_int_equal(got[3].height, 7);
    assert_int_equal(pqi_store_block_list(store, 9, got, 4, &count, NULL), PQL_OK);
    assert_int_equal(count, 2);
    assert_int_equal(pqi_store_block_list(store, 11, got, 4, &count, NULL), PQL_OK);
    assert_int_equal(count, 0);
    pqi_store_close(store);
}

static void a_full_disk_loses_nothing_and_passes(void **state)
{
    pql_error err = {0};
    pqi_store_block block;
    uint64_t height = 0;
    pql_status rc = PQL_OK;
    pqi_store *store = open_store(*state);
    /* SQLite answers a page too many as it does a full disk. */
    assert_int_equal(pqi_db_exec(store, "PRAGMA max_page_count=12", NULL), PQL_OK);
    while (rc == PQL_OK) {
        block = block_at(++height);
        rc = pqi_store_block_append(store, &block, &err);
    }
    assert_int_equal(rc, PQL_E_IO);
    assert_non_null(strstr(err.message, "is full"));
    assert_true(height > 1);
    assert_int_equal(count_of(store), height - 1);
    assert_int_equal(append_at(store, height), PQL_E_IO);

    assert_int_equal(pqi_db_exec(store, "PRAGMA max_page_count=1000", NULL), PQL_OK);
    assert_int_equal(append_at(store, height), PQL_OK);
    pqi_store_close(store);
    store = open_store(*state);
    assert_int_equal(count_of(store), height);
    pqi_store_close(store);
}

typedef struct watcher {
    unsigned failures, recoveries;
    char reason[PQL_ERROR_MESSAGE_SIZE];
} watcher;

static void on_change(void *user, bool ok, const char *reason)
{
    watcher *w = user;
    if (ok) {
        w->recoveries++;
    } else {
        w->failures++;
        (void)snprintf(w->reason, sizeof(w->reason), "%s", reason);
    }
}

static void who_watches_hears_of_a_full_disk_once_and_of_its_end(void **state)
{
    watcher w = {0};
    uint64_t height = 0;
    pqi_store *store = open_store(*state);
    pqi_store_watch(store, on_change, &w);
    assert_int_equal(pqi_db_exec(store, "PRAGMA max_page_count=12", NULL), PQL_OK);
    while (append_at(store, height + 1) == PQL_OK) {
        height++;
    }
    assert_int_equal(append_at(store, height + 1), PQL_E_IO);

    assert_int_equal(w.failures, 1);
    assert_non_null(strstr(w.reason, "is full"));
    assert_true(pqi_store_is_failing(store));
    assert_int_equal(append_at(store, height), PQL_E_EXISTS); /* not the disk's fault */
    assert_int_equal(w.recoveries, 0);

    assert_int_equal(pqi_db_exec(store, "PRAGMA max_page_count=1000", NULL), PQL_OK);
    assert_int_equal(append_at(store, height + 1), PQL_OK);
    assert_int_equal(w.recoveries, 1);
    assert_false(pqi_store_is_failing(store));
    pqi_store_close(store);
}

static void a_probe_writes_and_changes_nothing(void **state)
{
    watcher w = {0};
    pqi_store *store = open_store(*state);
    pqi_store_watch(store, on_change, &w);
    assert_int_equal(append_at(store, 1), PQL_OK);

    assert_int_equal(pqi_store_probe(store, NULL), PQL_OK);
    assert_int_equal(pqi_db_exec(store, "PRAGMA query_only=1", NULL), PQL_OK);
    assert_int_equal(pqi_store_probe(store, NULL), PQL_E_IO); /* it did try to write */
    assert_int_equal(w.failures, 1);
    assert_int_equal(pqi_db_exec(store, "PRAGMA query_only=0", NULL), PQL_OK);
    assert_int_equal(pqi_store_probe(store, NULL), PQL_OK);

    assert_int_equal(w.recoveries, 1);
    assert_int_equal(count_of(store), 1);
    pqi_store_close(store);
    store = open_store(*state);
    assert_int_equal(count_of(store), 1);
    pqi_store_close(store);
}

/* Appends for ever, and writes each height to |fd| once its append has returned. */
static void append_until_killed(const char *directory, int fd)
{
    pqi_store *store = NULL;
    pqi_store_block last = {0};
    if (pqi_store_open(&store, directory, NULL) != PQL_OK) {
        _exit(1);
    }
    (void)pqi_store_block_last(store, &last, NULL);
    for (uint64_t height = last.height + 1; append_at(store, height) == PQL_OK; height++) {
        if (write(fd, &height, sizeof(height)) != (ssize_t)sizeof(height)) {
            break;
        }
    }
    _exit(1);
}

/* Kills a child in the middle of its appends; returns the last height it reported. */
static uint64_t last_reported_before_kill(const char *directory, unsigned reports)
{
    int ends[2];
    uint64_t height = 0;
    assert_int_equal(pipe(ends), 0);
    const pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        (void)close(ends[0]);
        append_until_killed(directory, ends[1]);
    }
    (void)close(ends[1]);
    for (unsigned i = 0; i < reports; i++) {
        assert_int_equal(read(ends[0], &height, sizeof(height)), sizeof(height));
    }
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
    uint64_t later;
    while (read(ends[0], &later, sizeof(later)) == (ssize_t)sizeof(later)) {
        height = later; /* what it still reported before it died */
    }
    (void)close(ends[0]);
    return height;
}

static void every_reported_block_survives_kill_9(void **state)
{
    enum { ROUNDS = 12 };
    for (unsigned round = 1; round <= ROUNDS; round++) {
        const uint64_t reported = last_reported_before_kill(*state, round * 3);
        pqi_store *store = open_store(*state);
        pqi_store_block got;
        assert_true(count_of(store) >= reported);
        assert_int_equal(pqi_store_block_last(store, &got, NULL), PQL_OK);
        for (uint64_t height = 1; height <= reported; height++) {
            const pqi_store_block want = block_at(height);
            assert_int_equal(pqi_store_block_get(store, height, &got, NULL), PQL_OK);
            assert_memory_equal(&got, &want, sizeof(want));
        }
        pqi_store_close(store);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        directory_test(a_block_reads_back_as_it_was),
        cmocka_unit_test(an_empty_history_has_no_last_block),
        cmocka_unit_test(heights_rise_by_one),
        cmocka_unit_test(numbers_and_names_out_of_range_are_refused),
        cmocka_unit_test(a_range_is_listed_in_order_and_no_longer_than_asked),
        directory_test(a_full_disk_loses_nothing_and_passes),
        directory_test(who_watches_hears_of_a_full_disk_once_and_of_its_end),
        directory_test(a_probe_writes_and_changes_nothing),
        directory_test(every_reported_block_survives_kill_9),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
