/* Rotation on disk: every state, every place where a crash can cut it short, and never a new
 * identity that nobody asked for. */
#include "test.h"

#include "base/file.h"
#include "identity/directory.h"
#include "identity/identity.h"
#include "identity/rotation.h"
#include "identity_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NOW 1800000000
#define KEEP 1000
#define SWITCH_AT (NOW + 500)

static const pqi_rotation_opts pq_only = {.pq = true,
                                          .plan = {.switch_at = SWITCH_AT, .keep = KEEP}};

static void must(pql_status status, const pql_error *err)
{
    if (status != PQL_OK) {
        fail_msg("%s", err->message);
    }
}

static pqi_rotation load(const char *dir)
{
    pqi_rotation all;
    pql_error err = {0};
    must(pqi_rotation_load(&all, dir, NULL, &err), &err);
    return all;
}

static void make_identity(const char *dir)
{
    pql_identity *id = NULL;
    pql_error err = {0};
    must(pql_identity_open(&id, dir, &(pql_identity_opts){.must_create = true}, &err), &err);
    pql_identity_free(id);
}

static void prepare_with(const char *dir, const pqi_rotation_opts *opts)
{
    pql_error err = {0};
    must(pqi_rotation_prepare(dir, NULL, opts, &err), &err);
}

/* An identity with another one prepared; answers what was there right then. */
static pqi_rotation make_prepared(const char *dir)
{
    make_identity(dir);
    prepare_with(dir, &pq_only);
    return load(dir);
}

static void switch_now(const char *dir)
{
    pql_error err = {0};
    must(pqi_rotation_switch(dir, NULL, NOW, NULL, &err), &err);
}

static bool is_there(const char *dir, const char *name)
{
    struct stat st;
    return stat(in_dir(dir, name), &st) == 0;
}

static void move(const char *dir, const char *from, const char *to)
{
    assert_int_equal(pqi_identity_move(dir, from, to, NULL), PQL_OK);
}

static void write_plan(const char *dir, const char *name, const pqi_rotation_plan *plan)
{
    char text[PQI_IDENTITY_NOTE_MAX];
    pqi_rotation_plan_format(plan, text, sizeof(text));
    const pqi_identity_note note = {.file = PQI_IDENTITY_PLAN, .text = text};
    assert_int_equal(pqi_identity_note_write(dir, name, &note, NULL), PQL_OK);
}

/* After a switch of what |before| showed. */
static void assert_switched(const char *dir, const pqi_rotation *before)
{
    pqi_rotation after = load(dir);
    assert_true(pqi_rotation_same(after.current, before->next));
    assert_non_null(after.previous);
    assert_true(pqi_rotation_same(after.previous, before->current));
    assert_null(after.next);
    assert_true(after.plan.drop_at == NOW + KEEP);
    pqi_rotation_clear(&after);
}

static void assert_not_switched(const char *dir, const pqi_rotation *before)
{
    pqi_rotation after = load(dir);
    assert_true(pqi_rotation_same(after.current, before->current));
    assert_non_null(after.next);
    assert_true(pqi_rotation_same(after.next, before->next));
    assert_null(after.previous);
    pqi_rotation_clear(&after);
}

static void preparing_changes_the_pq_leaf_and_nothing_that_is_in_use(void **state)
{
    const char *dir = *state;
    make_identity(dir);
    pqi_rotation before = load(dir);
    assert_null(before.next);
    assert_null(before.previous);
    prepare_with(dir, &pq_only);
    pqi_rotation after = load(dir);
    assert_true(pqi_rotation_same(before.current, after.current));
    assert_false(pqi_rotation_same_leaf(after.current, after.next, PQL_LEAF_PQ));
    assert_true(pqi_rotation_same_leaf(after.current, after.next, PQL_LEAF_CLASSICAL));
    assert_true(after.plan.switch_at == SWITCH_AT);
    assert_true(after.plan.keep == KEEP);
    assert_true(after.plan.drop_at == 0);
    pqi_rotation_clear(&before);
    pqi_rotation_clear(&after);
}

static void the_classical_leaf_alone_can_be_rotated(void **state)
{
    const char *dir = *state;
    make_identity(dir);
    pqi_rotation_opts opts = pq_only;
    opts.pq = false;
    opts.classical = true;
    prepare_with(dir, &opts);
    pqi_rotation all = load(dir);
    assert_true(pqi_rotation_same_leaf(all.current, all.next, PQL_LEAF_PQ));
    assert_false(pqi_rotation_same_leaf(all.current, all.next, PQL_LEAF_CLASSICAL));
    pqi_rotation_clear(&all);
}

static void assert_same_key(const pqi_rotation *all, pql_leaf leaf, bool same)
{
    pql_fingerprint old;
    pql_fingerprint new;
    pql_identity_fingerprint(all->current, leaf, PQL_FINGERPRINT_SPKI, &old);
    pql_identity_fingerprint(all->next, leaf, PQL_FINGERPRINT_SPKI, &new);
    assert_int_equal(memcmp(old.sha256, new.sha256, sizeof(old.sha256)) == 0, same);
}

static void a_kept_key_keeps_the_fingerprint_of_the_key_in_both_leaves(void **state)
{
    const char *dir = *state;
    make_identity(dir);
    pqi_rotation_opts opts = pq_only;
    opts.classical = true;
    opts.keep_key = true;
    prepare_with(dir, &opts);
    pqi_rotation all = load(dir);
    for (int leaf = 0; leaf < 2; leaf++) {
        assert_false(pqi_rotation_same_leaf(all.current, all.next, (pql_leaf)leaf));
        assert_same_key(&all, (pql_leaf)leaf, true);
    }
    pqi_rotation_clear(&all);
}

static void a_new_key_has_the_parameter_set_of_the_old_one_unless_told(void **state)
{
    const char *dir = *state;
    pql_identity *id = NULL;
    const pql_sign sign = PQL_ML_DSA_65;
    assert_int_equal(pql_identity_open(&id, dir, &(pql_identity_opts){.sign = PQL_ML_DSA_44}, NULL),
                     PQL_OK);
    pql_identity_free(id);
    prepare_with(dir, &pq_only);
    pqi_rotation all = load(dir);
    assert_string_equal(pql_identity_algorithm(all.next, PQL_LEAF_PQ), "ML-DSA-44");
    assert_same_key(&all, PQL_LEAF_PQ, false);
    pqi_rotation_clear(&all);
    assert_int_equal(pqi_rotation_cancel(dir, NULL), PQL_OK);
    pqi_rotation_opts opts = pq_only;
    opts.sign = &sign;
    prepare_with(dir, &opts);
    all = load(dir);
    assert_string_equal(pql_identity_algorithm(all.next, PQL_LEAF_PQ), "ML-DSA-65");
    pqi_rotation_clear(&all);
}

static void what_was_prepared_is_not_prepared_again(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    pql_error err = {0};
    assert_int_equal(pqi_rotation_prepare(dir, NULL, &pq_only, &err), PQL_E_EXISTS);
    assert_non_null(strstr(err.message, "rotate cancel"));
    assert_not_switched(dir, &before);
    pqi_rotation_clear(&before);
}

static void nothing_is_prepared_while_an_overlap_lasts(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    switch_now(dir);
    pql_error err = {0};
    assert_int_equal(pqi_rotation_prepare(dir, NULL, &pq_only, &err), PQL_E_EXISTS);
    assert_non_null(strstr(err.message, "rotate finish"));
    assert_switched(dir, &before);
    pqi_rotation_clear(&before);
}

static void a_plan_out_of_bounds_is_refused(void **state)
{
    const char *dir = *state;
    make_identity(dir);
    pqi_rotation_opts opts = pq_only;
    opts.plan.keep = 0;
    assert_int_equal(pqi_rotation_prepare(dir, NULL, &opts, NULL), PQL_E_USAGE);
    opts.plan.keep = PQI_ROTATION_KEEP_MAX + 1;
    assert_int_equal(pqi_rotation_prepare(dir, NULL, &opts, NULL), PQL_E_USAGE);
    opts = pq_only;
    opts.pq = false;
    assert_int_equal(pqi_rotation_prepare(dir, NULL, &opts, NULL), PQL_E_USAGE);
    assert_false(is_there(dir, PQI_IDENTITY_NEXT));
}

static void nothing_is_prepared_where_there_is_no_identity(void **state)
{
    const char *dir = *state;
    assert_int_equal(pqi_rotation_prepare(dir, NULL, &pq_only, NULL), PQL_E_IDENTITY);
    assert_false(is_there(dir, PQI_IDENTITY_CURRENT));
    assert_false(is_there(dir, PQI_IDENTITY_NEXT));
}

static void a_switch_keeps_the_old_identity_and_says_until_when(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    switch_now(dir);
    assert_switched(dir, &before);
    pqi_rotation_clear(&before);
}

static void the_end_of_the_overlap_leaves_nothing_of_the_old_identity(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    switch_now(dir);
    assert_int_equal(pqi_rotation_finish(dir, NULL, NULL), PQL_OK);
    pqi_rotation after = load(dir);
    assert_true(pqi_rotation_same(after.current, before.next));
    assert_null(after.previous);
    assert_null(after.next);
    assert_false(is_there(dir, PQI_IDENTITY_PREVIOUS));
    pqi_rotation_clear(&after);
    pqi_rotation_clear(&before);
    prepare_with(dir, &pq_only); /* and the next rotation can begin */
}

static void a_cancel_leaves_the_identity_in_use(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    assert_int_equal(pqi_rotation_cancel(dir, NULL), PQL_OK);
    pqi_rotation after = load(dir);
    assert_true(pqi_rotation_same(after.current, before.current));
    assert_null(after.next);
    pqi_rotation_clear(&after);
    pqi_rotation_clear(&before);
}

static void what_is_not_there_cannot_be_switched_cancelled_or_finished(void **state)
{
    const char *dir = *state;
    make_identity(dir);
    assert_int_equal(pqi_rotation_switch(dir, NULL, NOW, NULL, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(pqi_rotation_cancel(dir, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(pqi_rotation_finish(dir, NULL, NULL), PQL_E_NOT_FOUND);
}

static void a_switch_by_a_plan_that_was_changed_meanwhile_changes_nothing(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    assert_int_equal(pqi_rotation_cancel(dir, NULL), PQL_OK);
    prepare_with(dir, &pq_only); /* the same plan, for another identity */
    assert_int_equal(pqi_rotation_switch(dir, NULL, NOW, &before, NULL), PQL_E_STATE);
    pqi_rotation now = load(dir);
    assert_true(pqi_rotation_same(now.current, before.current));
    assert_non_null(now.next);
    now.plan.switch_at++; /* the same identity, at another time */
    assert_int_equal(pqi_rotation_switch(dir, NULL, NOW, &now, NULL), PQL_E_STATE);
    now.plan.switch_at--;
    assert_int_equal(pqi_rotation_switch(dir, NULL, NOW, &now, NULL), PQL_OK);
    pqi_rotation_clear(&now);
    pqi_rotation_clear(&before);
}

static void the_end_of_an_overlap_that_was_changed_meanwhile_drops_nothing(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    pqi_rotation_clear(&before);
    switch_now(dir);
    before = load(dir);
    assert_int_equal(pqi_rotation_finish(dir, NULL, NULL), PQL_OK);
    prepare_with(dir, &pq_only);
    switch_now(dir); /* the same end, for another identity */
    assert_int_equal(pqi_rotation_finish(dir, &before, NULL), PQL_E_STATE);
    assert_true(is_there(dir, PQI_IDENTITY_PREVIOUS));
    pqi_rotation now = load(dir);
    now.plan.drop_at--;
    assert_int_equal(pqi_rotation_finish(dir, &now, NULL), PQL_E_STATE);
    assert_true(is_there(dir, PQI_IDENTITY_PREVIOUS));
    now.plan.drop_at++;
    assert_int_equal(pqi_rotation_finish(dir, &now, NULL), PQL_OK);
    pqi_rotation_clear(&now);
    pqi_rotation_clear(&before);
}

static void the_keys_of_the_next_identity_are_closed_to_others(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    struct stat st;
    assert_int_equal(stat(in_dir(dir, PQI_IDENTITY_NEXT), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(in_dir(dir, PQI_IDENTITY_NEXT "/pq-key.pem"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
    pqi_rotation_clear(&before);
}

/* ---- crashes: the disk as it is after each step ---- */

static void a_crash_before_the_decision_has_changed_nothing(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    /* The plan is replaced in one step; what is left of a new one is a temporary file. */
    const char *torn = in_dir(dir, PQI_IDENTITY_NEXT "/" PQI_IDENTITY_PLAN ".abcdef");
    assert_int_equal(pqi_file_write_atomic(torn, "drop_at", 7, 0644, NULL), PQL_OK);
    assert_not_switched(dir, &before);
    pqi_rotation_clear(&before);
}

/* Step 1 alone. */
static void decide(const char *dir)
{
    write_plan(dir, PQI_IDENTITY_NEXT,
               &(pqi_rotation_plan){.switch_at = SWITCH_AT, .keep = KEEP, .drop_at = NOW + KEEP});
}

static void a_crash_after_the_decision_is_made_up_for(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    decide(dir);
    assert_switched(dir, &before);
    pqi_rotation_clear(&before);
}

static void a_crash_between_the_two_renames_is_made_up_for(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    decide(dir);
    move(dir, PQI_IDENTITY_CURRENT, PQI_IDENTITY_PREVIOUS);
    assert_switched(dir, &before);
    pqi_rotation_clear(&before);
}

static void any_opening_makes_up_for_a_crash_and_never_makes_a_new_identity(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    decide(dir);
    move(dir, PQI_IDENTITY_CURRENT, PQI_IDENTITY_PREVIOUS);
    pql_identity *id = NULL;
    assert_int_equal(pql_identity_open(&id, dir, NULL, NULL), PQL_OK);
    assert_false(pql_identity_created(id));
    assert_true(pqi_rotation_same(id, before.next));
    pql_identity_free(id);
    assert_switched(dir, &before);
    pqi_rotation_clear(&before);
}

static void a_cancel_after_the_decision_is_too_late(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    decide(dir);
    assert_int_equal(pqi_rotation_cancel(dir, NULL), PQL_E_NOT_FOUND);
    assert_switched(dir, &before);
    pqi_rotation_clear(&before);
}

static void a_crash_while_a_previous_identity_is_removed_leaves_no_key(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    switch_now(dir);
    /* Renamed away, not yet unlinked: as pqi_identity_remove leaves it when it is killed. */
    move(dir, PQI_IDENTITY_PREVIOUS, ".identity.new.abcdef");
    pqi_rotation after = load(dir);
    assert_null(after.previous);
    assert_false(is_there(dir, ".identity.new.abcdef"));
    pqi_rotation_clear(&after);
    pqi_rotation_clear(&before);
}

/* A process that switches to and fro for ever is killed at a moment that |turn| decides. */
static void kill_a_rotator(const char *dir, unsigned turn)
{
    const pid_t child = fork();
    if (child == 0) {
        for (uint64_t i = 0;; i++) {
            (void)pqi_rotation_switch(dir, NULL, NOW, NULL, NULL);
            (void)pqi_rotation_finish(dir, NULL, NULL);
            (void)pqi_rotation_prepare(dir, NULL, &pq_only, NULL);
        }
    }
    assert_true(child > 0);
    const struct timespec pause = {.tv_nsec = (long)(turn * 1300 % 9000) * 1000};
    (void)nanosleep(&pause, NULL);
    assert_int_equal(kill(child, SIGKILL), 0);
    assert_int_equal(waitpid(child, NULL, 0), child);
}

static void a_kill_at_any_moment_leaves_a_state_that_is_understood(void **state)
{
    const char *dir = *state;
    pqi_rotation all = make_prepared(dir);
    for (unsigned turn = 0; turn < 100; turn++) {
        kill_a_rotator(dir, turn);
        pqi_rotation_clear(&all);
        all = load(dir);
        assert_true(all.next == NULL || all.previous == NULL);
        assert_true(all.previous == NULL || all.plan.drop_at == NOW + KEEP);
    }
    pqi_rotation_clear(&all);
}

/* ---- states that somebody made by hand ---- */

static void assert_identity_error(const char *dir, const char *words)
{
    pqi_rotation all;
    pql_error err = {0};
    assert_int_equal(pqi_rotation_load(&all, dir, NULL, &err), PQL_E_IDENTITY);
    assert_null(all.current);
    assert_non_null(strstr(err.message, words));
}

static void a_lost_identity_beside_a_rotation_is_not_made_anew(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    remove_tree(in_dir(dir, PQI_IDENTITY_CURRENT));
    pql_identity *id = NULL;
    pql_error err = {0};
    assert_int_equal(pql_identity_open(&id, dir, NULL, &err), PQL_E_IDENTITY);
    assert_non_null(strstr(err.message, "identity-next"));
    assert_identity_error(dir, "backup");
    move(dir, PQI_IDENTITY_NEXT, PQI_IDENTITY_PREVIOUS);
    assert_identity_error(dir, "identity-previous");
    pqi_rotation_clear(&before);
}

static void a_next_identity_that_is_not_whole_is_never_switched_to(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    assert_int_equal(unlink(in_dir(dir, PQI_IDENTITY_NEXT "/pq-key.pem")), 0);
    pql_error err = {0};
    assert_int_equal(pqi_rotation_switch(dir, NULL, NOW, NULL, &err), PQL_E_IDENTITY);
    assert_non_null(strstr(err.message, "pq-key.pem"));
    assert_non_null(strstr(err.message, "rotate cancel"));
    pql_identity *id = NULL; /* the one in use is untouched */
    assert_int_equal(pql_identity_open(&id, dir, NULL, NULL), PQL_OK);
    assert_true(pqi_rotation_same(id, before.current));
    pql_identity_free(id);
    assert_int_equal(pqi_rotation_cancel(dir, NULL), PQL_OK);
    pqi_rotation_clear(&before);
}

static void a_next_identity_without_its_plan_is_an_error(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    assert_int_equal(unlink(in_dir(dir, PQI_IDENTITY_NEXT "/" PQI_IDENTITY_PLAN)), 0);
    assert_identity_error(dir, PQI_IDENTITY_PLAN);
    assert_int_equal(pqi_rotation_cancel(dir, NULL), PQL_OK);
    pqi_rotation_clear(&before);
}

static void a_previous_identity_without_a_plan_stays_until_somebody_ends_it(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    switch_now(dir);
    assert_int_equal(unlink(in_dir(dir, PQI_IDENTITY_CURRENT "/" PQI_IDENTITY_PLAN)), 0);
    pqi_rotation after = load(dir);
    assert_non_null(after.previous);
    assert_true(after.plan.drop_at == 0);
    pqi_rotation_clear(&after);
    assert_int_equal(pqi_rotation_finish(dir, NULL, NULL), PQL_OK);
    pqi_rotation_clear(&before);
}

static void keys_are_not_made_for_a_directory_of_another_user(void **state)
{
    const char *dir = *state;
    make_identity(dir);
    if (chown(in_dir(dir, PQI_IDENTITY_CURRENT), 65534, (gid_t)-1) != 0) {
        /* Only root can give files away, and only root makes this mistake. */
        print_message("SKIPPED: that keys are not made for another user's directory was not "
                      "tested: it needs root\n");
        skip();
    }
    pql_error err = {0};
    assert_int_equal(pqi_rotation_prepare(dir, NULL, &pq_only, &err), PQL_E_IDENTITY);
    assert_non_null(strstr(err.message, "sudo -u"));
    assert_false(is_there(dir, PQI_IDENTITY_NEXT));
}

static void a_directory_that_is_being_changed_is_waited_for(void **state)
{
    const char *dir = *state;
    pqi_rotation before = make_prepared(dir);
    const int fd = open(dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(fd, LOCK_EX), 0);
    const pid_t child = fork(); /* its copy of fd shares the lock, and closes with it */
    if (child == 0) {
        (void)close(fd);
        _exit(pqi_rotation_switch(dir, NULL, NOW, NULL, NULL) == PQL_OK ? 0 : 1);
    }
    struct stat st;
    assert_int_equal(stat(in_dir(dir, PQI_IDENTITY_NEXT), &st), 0);
    assert_int_equal(flock(fd, LOCK_UN), 0);
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_int_equal(status, 0);
    (void)close(fd);
    assert_switched(dir, &before);
    pqi_rotation_clear(&before);
}

/* ---- the plan's text ---- */

static void a_plan_survives_its_text(void **state)
{
    (void)state;
    const pqi_rotation_plan plan = {.switch_at = SWITCH_AT, .keep = KEEP, .drop_at = NOW};
    pqi_rotation_plan by_age = plan;
    by_age.by_age = PQI_ROTATION_DAYS_MAX;
    pqi_rotation_plan again;
    char text[PQI_IDENTITY_NOTE_MAX];
    pqi_rotation_plan_format(&plan, text, sizeof(text));
    assert_int_equal(pqi_rotation_plan_parse(&again, text, NULL), PQL_OK);
    assert_memory_equal(&plan, &again, sizeof(plan));
    pqi_rotation_plan_format(&by_age, text, sizeof(text));
    assert_int_equal(pqi_rotation_plan_parse(&again, text, NULL), PQL_OK);
    assert_memory_equal(&by_age, &again, sizeof(plan));
}

static void only_one_line_says_since_when(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "since", "since 1", "since 1\n\n", "since -1\n", "since 99999999999999\n", "since\n1\n",
    };
    char text[PQI_IDENTITY_NOTE_MAX];
    uint64_t since = 0;
    pqi_rotation_since_format(NOW, text, sizeof(text));
    assert_int_equal(pqi_rotation_since_parse(&since, text, NULL), PQL_OK);
    assert_true(since == NOW);
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        assert_int_equal(pqi_rotation_since_parse(&since, bad[i], NULL), PQL_E_IDENTITY);
        assert_true(since == 0);
    }
}

static void a_note_that_cannot_be_read_keeps_nobody_from_the_identity(void **state)
{
    const char *dir = *state;
    make_identity(dir);
    const pqi_identity_note note = {.file = PQI_IDENTITY_SINCE, .text = "yesterday\n"};
    assert_int_equal(pqi_identity_note_write(dir, PQI_IDENTITY_CURRENT, &note, NULL), PQL_OK);
    pqi_rotation all = load(dir);
    assert_true(all.since == 0);
    pqi_rotation_clear(&all);
}

static void anything_else_is_no_plan(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "",
        "switch_at 1\nkeep 2\n",
        "switch_at 1\nkeep 2\ndrop_at 3",
        "switch_at 1\nkeep 2\ndrop_at 3\n\n",
        "keep 2\nswitch_at 1\ndrop_at 3\n",
        "switch_at -1\nkeep 2\ndrop_at 3\n",
        "switch_at \nkeep 2\ndrop_at 3\n",
        "switch_at 1\nkeep 99999999999\ndrop_at 3\n",
        "switch_at 18446744073709551616\nkeep 2\ndrop_at 3\n",
        "switch_at 1\nkeep 2\ndrop_at 3\nby_age 0\n",
        "switch_at 1\nkeep 2\ndrop_at 3\nby_age 3651\n",
        "switch_at 1\nkeep 2\ndrop_at 3\nby_age 1\n\n",
        "switch_at 000000000000000000000000000001\nkeep 2\ndrop_at 3\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        pqi_rotation_plan plan;
        assert_int_equal(pqi_rotation_plan_parse(&plan, bad[i], NULL), PQL_E_IDENTITY);
        assert_true(plan.switch_at == 0 && plan.keep == 0 && plan.drop_at == 0);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_one_line_says_since_when),
        DIR_TEST(a_note_that_cannot_be_read_keeps_nobody_from_the_identity),
        DIR_TEST(preparing_changes_the_pq_leaf_and_nothing_that_is_in_use),
        DIR_TEST(the_classical_leaf_alone_can_be_rotated),
        DIR_TEST(a_kept_key_keeps_the_fingerprint_of_the_key_in_both_leaves),
        DIR_TEST(a_new_key_has_the_parameter_set_of_the_old_one_unless_told),
        DIR_TEST(what_was_prepared_is_not_prepared_again),
        DIR_TEST(nothing_is_prepared_while_an_overlap_lasts),
        DIR_TEST(a_plan_out_of_bounds_is_refused),
        DIR_TEST(nothing_is_prepared_where_there_is_no_identity),
        DIR_TEST(a_switch_keeps_the_old_identity_and_says_until_when),
        DIR_TEST(the_end_of_the_overlap_leaves_nothing_of_the_old_identity),
        DIR_TEST(a_cancel_leaves_the_identity_in_use),
        DIR_TEST(what_is_not_there_cannot_be_switched_cancelled_or_finished),
        DIR_TEST(a_switch_by_a_plan_that_was_changed_meanwhile_changes_nothing),
        DIR_TEST(the_end_of_an_overlap_that_was_changed_meanwhile_drops_nothing),
        DIR_TEST(the_keys_of_the_next_identity_are_closed_to_others),
        DIR_TEST(a_crash_before_the_decision_has_changed_nothing),
        DIR_TEST(a_crash_after_the_decision_is_made_up_for),
        DIR_TEST(a_crash_between_the_two_renames_is_made_up_for),
        DIR_TEST(any_opening_makes_up_for_a_crash_and_never_makes_a_new_identity),
        DIR_TEST(a_cancel_after_the_decision_is_too_late),
        DIR_TEST(a_crash_while_a_previous_identity_is_removed_leaves_no_key),
        DIR_TEST(a_kill_at_any_moment_leaves_a_state_that_is_understood),
        DIR_TEST(a_lost_identity_beside_a_rotation_is_not_made_anew),
        DIR_TEST(a_next_identity_that_is_not_whole_is_never_switched_to),
        DIR_TEST(a_next_identity_without_its_plan_is_an_error),
        DIR_TEST(a_previous_identity_without_a_plan_stays_until_somebody_ends_it),
        DIR_TEST(keys_are_not_made_for_a_directory_of_another_user),
        DIR_TEST(a_directory_that_is_being_changed_is_waited_for),
        cmocka_unit_test(a_plan_survives_its_text),
        cmocka_unit_test(anything_else_is_no_plan),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
