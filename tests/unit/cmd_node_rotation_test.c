/* A running node follows what 'pqlink rotate' and the clock say, and nothing else.  Time is an
 * argument: no test waits for it. */
#include "test.h"

#include "cmd/node_rotation.h"
#include "cmd/rotation_process.h"
#include "identity/directory.h"
#include "identity/elsewhere.h"
#include "identity/identity.h"
#include "identity_directory.h"

#include <fcntl.h>
#include <jansson.h>
#include <sched.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW UINT64_C(1800000000)
#define SWITCH_AT (NOW + 100000)
#define KEEP 1000
#define LATER UINT64_C(604800)
#define START (UINT64_C(5000) * PQI_NS_PER_SEC)

typedef struct scene {
    char *dir;
    pql_context *ctx;
    pqi_node_service *service;
    pqi_node_rotation r;
    pqi_identity_keys keys;
    uint64_t now; /* monotonic */
} scene;

static void must(pql_status status, const pql_error *err)
{
    if (status != PQL_OK) {
        fail_msg("%s", err->message);
    }
}

static int scene_make(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    s->now = START;
    *state = s;
    return make_dir((void **)&s->dir);
}

static int scene_remove(void **state)
{
    scene *s = *state;
    pql_context_free(s->ctx);
    pqi_node_service_free(s->service);
    pqi_node_rotation_close(&s->r);
    (void)remove_dir((void **)&s->dir);
    free(s);
    return 0;
}

static void make_identity(const scene *s)
{
    pql_identity *id = NULL;
    pql_error err = {0};
    must(pql_identity_open(&id, s->dir, NULL, &err), &err);
    pql_identity_free(id);
}

static void prepare_with(const scene *s, uint64_t switch_at, uint64_t keep)
{
    pql_error err = {0};
    const pqi_rotation_opts opts = {.pq = true, .plan = {.switch_at = switch_at, .keep = keep}};
    must(pqi_rotation_prepare(s->dir, NULL, &opts, &err), &err);
}

static void prepare(const scene *s)
{
    prepare_with(s, SWITCH_AT, KEEP);
}

/* A node that begins to serve at |now_unix|. */
static void start(scene *s, uint64_t now_unix)
{
    pql_error err = {0};
    must(pqi_node_rotation_open(&s->r, s->dir, &s->keys, now_unix, s->now, &err), &err);
    const pql_context_opts opts = {.identity = s->r.in_use.current, .workers = 1};
    must(pql_context_new(&s->ctx, &opts, &err), &err);
    must(pqi_node_service_new(&s->service, &(pqi_node_service_opts){.source = NULL}, &err), &err);
    must(pqi_node_rotation_start(&s->r, s->ctx, s->service, NULL, &err), &err);
}

/* One look at |now_unix|; the answer is how long it may rest, in seconds. */
static uint64_t look(scene *s, uint64_t now_unix)
{
    s->now += PQI_NODE_ROTATION_LOOK;
    return (pqi_node_rotation_tick(&s->r, now_unix, s->now) - s->now) / PQI_NS_PER_SEC;
}

/* So many seconds go by on both clocks, and then it looks.  The wall clock is |*wall|. */
static uint64_t live(scene *s, uint64_t *wall, uint64_t seconds)
{
    *wall += seconds;
    s->now += seconds * PQI_NS_PER_SEC;
    return (pqi_node_rotation_tick(&s->r, *wall, s->now) - s->now) / PQI_NS_PER_SEC;
}

/* The key on disk is in use since |since|. */
static void write_since(const scene *s, const char *name, uint64_t since)
{
    char text[PQI_IDENTITY_NOTE_MAX];
    pqi_rotation_since_format(since, text, sizeof(text));
    const pqi_identity_note note = {.file = PQI_IDENTITY_SINCE, .text = text};
    assert_int_equal(pqi_identity_note_write(s->dir, name, &note, NULL), PQL_OK);
}

static pql_fingerprint cert_of(const pql_identity *id)
{
    pql_fingerprint fp;
    pql_identity_fingerprint(id, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &fp);
    return fp;
}

static void assert_current(const scene *s, const pql_fingerprint *wanted)
{
    const pql_fingerprint fp = cert_of(s->r.in_use.current);
    assert_memory_equal(fp.sha256, wanted->sha256, sizeof(fp.sha256));
}

static void what_was_prepared_is_noticed_without_a_signal(void **state)
{
    scene *s = *state;
    make_identity(s);
    start(s, NOW);
    assert_int_equal(look(s, NOW), 10);
    assert_null(s->r.in_use.next);
    prepare(s);
    assert_int_equal(look(s, NOW), 10);
    assert_non_null(s->r.in_use.next);
    assert_int_equal(pqi_rotation_cancel(s->dir, NULL), PQL_OK);
    (void)look(s, NOW);
    assert_null(s->r.in_use.next);
}

static void the_node_switches_and_drops_when_the_time_has_come(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    start(s, NOW);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    const pql_fingerprint new = cert_of(s->r.in_use.next);
    assert_int_equal(look(s, SWITCH_AT - 3), 3);
    assert_current(s, &old);
    (void)look(s, SWITCH_AT);
    assert_current(s, &new);
    assert_non_null(s->r.in_use.previous);
    assert_int_equal(look(s, SWITCH_AT + KEEP - 1), 1);
    assert_non_null(s->r.in_use.previous);
    (void)look(s, SWITCH_AT + KEEP);
    assert_null(s->r.in_use.previous);
    assert_current(s, &new);
    assert_false(pqi_identity_is_there(s->dir, PQI_IDENTITY_PREVIOUS));
}

static void a_switch_that_was_missed_is_made_at_start_with_its_whole_overlap(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    start(s, SWITCH_AT + 50 * KEEP);
    assert_null(s->r.in_use.next);
    assert_non_null(s->r.in_use.previous);
    assert_true(s->r.in_use.plan.drop_at == SWITCH_AT + 51 * KEEP);
}

static void an_overlap_that_ended_meanwhile_is_ended_at_start(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    assert_int_equal(pqi_rotation_switch(s->dir, NULL, NOW, NULL, NULL), PQL_OK);
    start(s, NOW + KEEP);
    assert_null(s->r.in_use.previous);
}

static void a_switch_by_hand_is_followed_also_when_all_of_it_was_missed(void **state)
{
    scene *s = *state;
    make_identity(s);
    start(s, NOW);
    prepare(s);
    assert_int_equal(pqi_rotation_switch(s->dir, NULL, NOW, NULL, NULL), PQL_OK);
    (void)look(s, NOW);
    assert_non_null(s->r.in_use.previous);
    pqi_rotation disk;
    assert_int_equal(pqi_rotation_load(&disk, s->dir, NULL, NULL), PQL_OK);
    assert_true(pqi_rotation_same(s->r.in_use.current, disk.current));
    pqi_rotation_clear(&disk);
}

static void an_identity_from_elsewhere_is_refused_and_the_old_one_stays(void **state)
{
    scene *s = *state;
    make_identity(s);
    start(s, NOW);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    remove_tree(in_dir(s->dir, PQI_IDENTITY_CURRENT));
    make_identity(s);
    pqi_node_rotation_reload(&s->r);
    assert_current(s, &old);
    (void)look(s, NOW);
    assert_current(s, &old);
}

static void a_lost_identity_is_refused_and_the_old_one_stays(void **state)
{
    scene *s = *state;
    make_identity(s);
    start(s, NOW);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    remove_tree(in_dir(s->dir, PQI_IDENTITY_CURRENT));
    (void)look(s, NOW);
    pqi_node_rotation_reload(&s->r);
    assert_current(s, &old);
    assert_false(pqi_identity_is_there(s->dir, PQI_IDENTITY_CURRENT));
}

static void a_switch_that_fails_is_tried_again_later(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    start(s, NOW);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    const pql_fingerprint new = cert_of(s->r.in_use.next);
    pqi_identity_move(s->dir, PQI_IDENTITY_NEXT "/pq-key.pem", "kept", NULL);
    assert_int_equal(look(s, SWITCH_AT), 60);
    assert_current(s, &old);
    pqi_identity_move(s->dir, "kept", PQI_IDENTITY_NEXT "/pq-key.pem", NULL);
    (void)look(s, SWITCH_AT); /* ten seconds later: not yet */
    assert_current(s, &old);
    s->now += 60 * PQI_NS_PER_SEC;
    (void)look(s, SWITCH_AT + 60);
    assert_current(s, &new);
}

static void a_due_switch_that_fails_at_start_keeps_no_node_from_serving(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    pqi_identity_move(s->dir, PQI_IDENTITY_NEXT, "kept", NULL);
    prepare(s);
    assert_int_equal(pqi_rotation_switch(s->dir, NULL, NOW, NULL, NULL), PQL_OK);
    pqi_identity_move(s->dir, "kept", PQI_IDENTITY_NEXT,
                      NULL); /* in the way of identity-previous */
    start(s, SWITCH_AT);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    const pql_fingerprint new = cert_of(s->r.in_use.next);
    assert_int_equal(pqi_rotation_finish(s->dir, NULL, NULL), PQL_OK);
    assert_int_equal(look(s, SWITCH_AT), 50); /* not yet: a minute after the failure */
    assert_current(s, &old);
    s->now = START + 60 * PQI_NS_PER_SEC;
    (void)look(s, SWITCH_AT + 60);
    assert_current(s, &new);
}

static void a_switch_that_was_moved_to_later_is_not_made_at_the_old_time(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    start(s, NOW);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    assert_int_equal(pqi_rotation_cancel(s->dir, NULL), PQL_OK);
    prepare_with(s, SWITCH_AT + LATER, KEEP);
    (void)look(s, SWITCH_AT);
    assert_current(s, &old);
    assert_true(s->r.in_use.plan.switch_at == SWITCH_AT + LATER);
    assert_true(pqi_identity_is_there(s->dir, PQI_IDENTITY_NEXT));
}

static void the_end_of_an_old_overlap_does_not_end_a_new_one(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    start(s, NOW);
    (void)look(s, SWITCH_AT);
    const uint64_t due = s->r.in_use.plan.drop_at;
    assert_int_equal(pqi_rotation_finish(s->dir, NULL, NULL), PQL_OK);
    prepare_with(s, 0, LATER);
    assert_int_equal(pqi_rotation_switch(s->dir, NULL, due - 1, NULL, NULL), PQL_OK);
    (void)look(s, due);
    assert_true(pqi_identity_is_there(s->dir, PQI_IDENTITY_PREVIOUS));
    assert_non_null(s->r.in_use.previous);
    assert_true(s->r.in_use.plan.drop_at == due - 1 + LATER);
}

static void a_directory_that_was_refused_is_left_alone(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    start(s, NOW);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    remove_tree(in_dir(s->dir, PQI_IDENTITY_CURRENT));
    remove_tree(in_dir(s->dir, PQI_IDENTITY_NEXT));
    make_identity(s);
    prepare(s);
    assert_int_equal(look(s, SWITCH_AT), 60);
    s->now += 60 * PQI_NS_PER_SEC;
    assert_int_equal(look(s, SWITCH_AT + 60), 10); /* and does not ask to be called at once */
    assert_current(s, &old);
    assert_true(pqi_identity_is_there(s->dir, PQI_IDENTITY_NEXT));
}

/* ---- by age ---- */

#define DAYS 90
#define DAY PQI_SECONDS_PER_DAY
#define NOTICE (7 * DAY)
#define KEEP_BY_AGE (30 * DAY)
#define TEN_YEARS (3650 * DAY)

/* A node whose key is in use since |since|, and that is to replace it after DAYS. */
static void start_by_age(scene *s, uint64_t since, uint64_t now_unix)
{
    make_identity(s);
    write_since(s, PQI_IDENTITY_CURRENT, since);
    start(s, now_unix);
    pqi_node_rotation_by_age(&s->r, DAYS);
    (void)look(s, now_unix);
}

/* One that prepared in front of our eyes; the wall clock is then at *wall. */
static void start_prepared(scene *s, uint64_t *wall)
{
    *wall = NOW;
    start_by_age(s, NOW - (DAYS * DAY - NOTICE) + 5, NOW);
    (void)live(s, wall, 10);
    assert_non_null(s->r.in_use.next);
}

static void start_overlapping(scene *s, uint64_t *wall)
{
    start_prepared(s, wall);
    (void)live(s, wall, NOTICE);
    assert_null(s->r.in_use.next);
    assert_non_null(s->r.in_use.previous);
}

static void a_key_is_replaced_at_its_age_with_notice_and_overlap(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_by_age(s, NOW, NOW);
    const pql_fingerprint first = cert_of(s->r.in_use.current);
    (void)live(s, &wall, DAYS * DAY - NOTICE - 1);
    assert_null(s->r.in_use.next);
    (void)live(s, &wall, 1);
    assert_non_null(s->r.in_use.next);
    assert_true(s->r.in_use.plan.switch_at == NOW + DAYS * DAY);
    const pql_fingerprint second = cert_of(s->r.in_use.next);
    assert_true(pqi_rotation_same_leaf(s->r.in_use.current, s->r.in_use.next, PQL_LEAF_CLASSICAL));
    (void)live(s, &wall, NOTICE - 1);
    assert_current(s, &first);
    (void)live(s, &wall, 1);
    assert_current(s, &second);
    assert_true(s->r.in_use.since == NOW + DAYS * DAY);
    (void)live(s, &wall, KEEP_BY_AGE - 1);
    assert_non_null(s->r.in_use.previous);
    (void)live(s, &wall, 1);
    assert_null(s->r.in_use.previous);
    assert_null(s->r.in_use.next);
    (void)live(s, &wall, DAYS * DAY - NOTICE - KEEP_BY_AGE);
    assert_non_null(s->r.in_use.next); /* and so on */
}

static void without_an_age_nothing_begins_by_itself(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    make_identity(s);
    write_since(s, PQI_IDENTITY_CURRENT, NOW);
    start(s, NOW);
    (void)live(s, &wall, TEN_YEARS);
    assert_null(s->r.in_use.next);
}

static void an_age_that_nobody_wrote_down_counts_from_now_on(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    make_identity(s);
    assert_int_equal(unlink(in_dir(s->dir, PQI_IDENTITY_CURRENT "/" PQI_IDENTITY_SINCE)), 0);
    start(s, NOW);
    pqi_node_rotation_by_age(&s->r, DAYS);
    assert_true(s->r.in_use.since == 0);
    (void)live(s, &wall, 10);
    assert_true(s->r.in_use.since == NOW + 10);
    (void)live(s, &wall, DAYS * DAY - NOTICE - 1);
    assert_null(s->r.in_use.next);
    (void)live(s, &wall, 1);
    assert_non_null(s->r.in_use.next);
}

static void a_key_too_old_at_start_gets_its_whole_notice(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_by_age(s, NOW - 2 * DAYS * DAY, NOW);
    assert_null(s->r.in_use.next); /* an hour to see that the clock is right */
    (void)live(s, &wall, PQI_AGE_HOLD);
    assert_non_null(s->r.in_use.next);
    assert_true(s->r.in_use.plan.switch_at == wall + NOTICE);
}

static void a_rotation_that_somebody_typed_is_left_alone(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    make_identity(s);
    write_since(s, PQI_IDENTITY_CURRENT, NOW - 2 * DAYS * DAY);
    prepare_with(s, 0, KEEP);
    start(s, NOW);
    pqi_node_rotation_by_age(&s->r, DAYS);
    const pql_fingerprint next = cert_of(s->r.in_use.next);
    (void)live(s, &wall, DAY);
    (void)live(s, &wall, TEN_YEARS);
    const pql_fingerprint still = cert_of(s->r.in_use.next);
    assert_memory_equal(next.sha256, still.sha256, sizeof(next.sha256));
    assert_true(s->r.in_use.plan.switch_at == 0);
}

static void what_somebody_typed_first_is_taken_instead(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_by_age(s, NOW - 2 * DAYS * DAY, NOW);
    prepare(s);
    (void)live(s, &wall, PQI_AGE_HOLD);
    assert_non_null(s->r.in_use.next);
    assert_true(s->r.in_use.plan.by_age == 0);
}

static void the_age_goes_on_over_a_rotation_that_keeps_the_key(void **state)
{
    scene *s = *state;
    start_by_age(s, NOW - DAY, NOW);
    const pqi_rotation_opts opts = {.pq = true, .keep_key = true, .plan = {.keep = KEEP}};
    assert_int_equal(pqi_rotation_prepare(s->dir, NULL, &opts, NULL), PQL_OK);
    assert_int_equal(pqi_rotation_switch(s->dir, NULL, NOW, NULL, NULL), PQL_OK);
    (void)look(s, NOW);
    assert_non_null(s->r.in_use.previous);
    assert_true(s->r.in_use.since == NOW - DAY);
}

static void a_self_signed_certificate_is_followed_by_another(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    pql_identity *id = NULL;
    assert_int_equal(
        pql_identity_open(&id, s->dir, &(pql_identity_opts){.self_signed = true}, NULL), PQL_OK);
    pql_identity_free(id);
    start_by_age(s, NOW - 2 * DAYS * DAY, NOW);
    (void)live(s, &wall, PQI_AGE_HOLD);
    assert_true(pqi_identity_is_self_signed(s->r.in_use.next, PQL_LEAF_PQ));
}

/* The node ends, and starts again at |now_unix|. */
static void restart(scene *s, uint64_t now_unix)
{
    pql_context_free(s->ctx);
    pqi_node_service_free(s->service);
    pqi_node_rotation_close(&s->r);
    s->ctx = NULL;
    s->service = NULL;
    start(s, now_unix);
    pqi_node_rotation_by_age(&s->r, DAYS);
    (void)look(s, now_unix);
}

static void a_restart_at_each_stage_goes_on_where_it_was(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_prepared(s, &wall);
    const uint64_t switch_at = s->r.in_use.plan.switch_at;
    const pql_fingerprint second = cert_of(s->r.in_use.next);
    restart(s, wall + 10);
    wall += 10;
    assert_true(s->r.in_use.plan.switch_at == switch_at);
    (void)live(s, &wall, switch_at - wall);
    assert_current(s, &second);
    const uint64_t drop_at = s->r.in_use.plan.drop_at;
    restart(s, wall + 10);
    wall += 10;
    assert_non_null(s->r.in_use.previous);
    assert_true(s->r.in_use.plan.drop_at == drop_at);
    (void)live(s, &wall, drop_at - wall);
    assert_null(s->r.in_use.previous);
    assert_current(s, &second);
}

static void a_switch_missed_by_a_node_that_was_off_is_made_after_an_hour(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_prepared(s, &wall);
    const pql_fingerprint second = cert_of(s->r.in_use.next);
    wall += NOTICE + DAY;
    restart(s, wall);
    assert_non_null(s->r.in_use.next);
    (void)live(s, &wall, PQI_AGE_HOLD);
    assert_current(s, &second);
    assert_non_null(s->r.in_use.previous);
    assert_true(s->r.in_use.plan.drop_at == wall + KEEP_BY_AGE);
}

static void a_clock_that_jumps_ahead_and_comes_back_does_nothing(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_by_age(s, NOW, NOW);
    wall += TEN_YEARS;
    (void)live(s, &wall, 10);
    (void)live(s, &wall, PQI_AGE_HOLD - 60);
    wall -= TEN_YEARS;
    (void)live(s, &wall, 60);
    (void)live(s, &wall, 2 * PQI_AGE_HOLD);
    assert_null(s->r.in_use.next);
    assert_true(s->r.in_use.since == NOW);
}

static void no_jump_of_the_clock_ends_an_overlap(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_overlapping(s, &wall);
    const uint64_t real_end = s->r.in_use.plan.drop_at;
    wall += TEN_YEARS;
    (void)live(s, &wall, 10);
    (void)live(s, &wall, DAY); /* a clock that stays wrong: granted anew */
    assert_non_null(s->r.in_use.previous);
    assert_true(s->r.in_use.plan.drop_at > wall + KEEP_BY_AGE - 2 * DAY);
    wall -= TEN_YEARS;
    (void)live(s, &wall, 10);
    (void)live(s, &wall, DAY); /* right again: not for ten years */
    assert_non_null(s->r.in_use.previous);
    assert_true(s->r.in_use.plan.drop_at >= real_end);
    assert_true(s->r.in_use.plan.drop_at <= wall + KEEP_BY_AGE);
    (void)live(s, &wall, KEEP_BY_AGE);
    assert_null(s->r.in_use.previous);
}

static void a_clock_ten_years_behind_takes_no_key_away(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_overlapping(s, &wall);
    wall -= TEN_YEARS;
    restart(s, wall);
    (void)live(s, &wall, DAY);
    assert_non_null(s->r.in_use.previous);
    wall += TEN_YEARS;
    (void)live(s, &wall, 10);
    (void)live(s, &wall, DAY);
    assert_non_null(s->r.in_use.previous);
    (void)live(s, &wall, KEEP_BY_AGE);
    assert_null(s->r.in_use.previous);
}

static void a_plan_of_a_clock_that_was_ahead_is_made_for_this_one(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW + TEN_YEARS;
    start_by_age(s, NOW, wall);
    (void)live(s, &wall, PQI_AGE_HOLD);
    assert_non_null(s->r.in_use.next);
    const pql_fingerprint second = cert_of(s->r.in_use.next);
    wall -= TEN_YEARS;
    restart(s, wall);
    (void)live(s, &wall, PQI_AGE_HOLD);
    assert_true(s->r.in_use.plan.switch_at == wall + NOTICE);
    const pql_fingerprint still = cert_of(s->r.in_use.next);
    assert_memory_equal(second.sha256, still.sha256, sizeof(still.sha256));
}

static void a_next_identity_that_cannot_be_made_leaves_all_as_it_was(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_by_age(s, NOW - 2 * DAYS * DAY, NOW);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    /* Nothing can be made under the name of the next identity. */
    const int fd = open(in_dir(s->dir, PQI_IDENTITY_NEXT), O_CREAT | O_WRONLY, 0600);
    assert_true(fd >= 0);
    (void)close(fd);
    (void)live(s, &wall, PQI_AGE_HOLD);
    assert_null(s->r.in_use.next);
    assert_current(s, &old);
    assert_int_equal(unlink(in_dir(s->dir, PQI_IDENTITY_NEXT)), 0);
    (void)live(s, &wall, 60);
    assert_non_null(s->r.in_use.next);
}

/* ---- by age, with the keys in a process of their own ---- */

/* A program in the place of pqlink: writes its words to "words", and goes on with |script|. */
static const char *stand_in(const scene *s, const char *script)
{
    static char path[PATH_MAX];
    (void)snprintf(path, sizeof(path), "%s/stand-in", s->dir);
    FILE *file = fopen(path, "w");
    assert_non_null(file);
    (void)fprintf(file, "#!/bin/sh\necho \"$@\" >>%s/words\n%s\n", s->dir, script);
    (void)fclose(file);
    assert_int_equal(chmod(path, 0700), 0);
    return path;
}

/* What the stand-ins were called with. */
static void read_words(const scene *s, char *out, size_t size)
{
    FILE *file = fopen(in_dir(s->dir, "words"), "r");
    assert_non_null(file);
    const size_t len = fread(out, 1, size - 1, file);
    out[len] = '\0';
    (void)fclose(file);
}

/* A node of keys elsewhere, at the moment at which its next identity is due; *wall is that. */
static void start_due(scene *s, const char *program, uint64_t *wall)
{
    *wall = NOW;
    start_by_age(s, NOW - 2 * DAYS * DAY, NOW);
    pqi_node_rotation_use_process(&s->r, program);
    (void)live(s, wall, PQI_AGE_HOLD);
}

/* Looks at the same moment until no process is at work; the last answer, in seconds. */
static uint64_t look_until_it_ended(scene *s, uint64_t wall)
{
    uint64_t rest = 0;
    while (pqi_child_runs(&s->r.child)) {
        rest = live(s, &wall, 0);
        (void)sched_yield();
    }
    return rest;
}

static void the_next_identity_is_made_by_another_process_and_never_here(void **state)
{
    scene *s = *state;
    uint64_t wall = 0;
    char words[2048];
    char wanted[2048];
    char pin[PQL_FINGERPRINT_SIZE];
    char switch_at[PQI_TIME_TEXT_SIZE];
    start_due(s, stand_in(s, "exit 0"), &wall);
    const pql_fingerprint current = cert_of(s->r.in_use.current);
    pql_fingerprint_format(&current, pin);
    pqi_time_format(switch_at, wall + NOTICE);
    (void)look_until_it_ended(s, wall);
    assert_false(pqi_identity_is_there(s->dir, PQI_IDENTITY_NEXT));
    read_words(s, words, sizeof(words));
    (void)snprintf(wanted, sizeof(wanted),
                   "rotate prepare --config none --dir=%s --switch-at %s --keep %llus --by-age %d "
                   "--if-current %s\n",
                   s->dir, switch_at, (unsigned long long)KEEP_BY_AGE, DAYS, pin);
    assert_string_equal(words, wanted);
}

static void a_process_that_fails_is_tried_again_a_minute_later(void **state)
{
    scene *s = *state;
    uint64_t wall = 0;
    char once[2048];
    char words[2048];
    start_due(s, stand_in(s, "echo 'pqlink: No.' >&2; exit 6"), &wall);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    assert_int_equal(look_until_it_ended(s, wall), 60);
    read_words(s, once, sizeof(once));
    assert_current(s, &old);
    (void)live(s, &wall, 59);
    assert_false(pqi_child_runs(&s->r.child));
    (void)live(s, &wall, 1);
    assert_true(pqi_child_runs(&s->r.child));
    assert_int_equal(look_until_it_ended(s, wall), 60);
    read_words(s, words, sizeof(words));
    assert_true(strlen(words) == 2 * strlen(once));
    assert_null(s->r.in_use.next);
    assert_current(s, &old);
}

static void what_comes_to_be_while_a_process_hangs_is_followed(void **state)
{
    scene *s = *state;
    uint64_t wall = 0;
    start_due(s, stand_in(s, "exec sleep 1000"), &wall);
    assert_true(pqi_child_runs(&s->r.child));
    const pid_t first = s->r.child.pid;
    assert_int_equal(live(s, &wall, 1), 0); /* soon again */
    assert_int_equal(s->r.child.pid, first);
    prepare(s); /* as it would have, or somebody who typed it */
    (void)live(s, &wall, 1);
    assert_non_null(s->r.in_use.next);
    (void)live(s, &wall, 60); /* its time is over */
    assert_int_equal(look_until_it_ended(s, wall), 10);
    assert_non_null(s->r.in_use.next);
    assert_true(s->r.again == 0); /* no failure */
}

static void a_node_that_ends_leaves_no_process(void **state)
{
    scene *s = *state;
    uint64_t wall = 0;
    start_due(s, stand_in(s, "exec sleep 1000"), &wall);
    const pid_t pid = s->r.child.pid;
    assert_int_equal(kill(pid, 0), 0);
    restart(s, wall);
    assert_int_equal(kill(pid, 0), -1);
}

static void the_other_steps_need_no_process(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    start_prepared(s, &wall);
    pqi_node_rotation_use_process(&s->r, "/no/such/program");
    const pql_fingerprint second = cert_of(s->r.in_use.next);
    (void)live(s, &wall, NOTICE);
    assert_current(s, &second);
    (void)live(s, &wall, KEEP_BY_AGE);
    assert_null(s->r.in_use.previous);
}

static void the_passphrase_file_and_a_self_signed_certificate_are_handed_on(void **state)
{
    scene *s = *state;
    pqi_rotation_words words;
    pqi_identity_keys keys = {.passphrase_file = "--odd file"};
    make_identity(s);
    start(s, NOW);
    const pqi_rotation_opts opts = {.self_signed = true,
                                    .plan = {.switch_at = NOW, .keep = 1, .by_age = 2},
                                    .expected = &s->r.in_use};
    assert_int_equal(pqi_rotation_words_make(&words, "--d", &keys, &opts, NULL), PQL_OK);
    assert_string_equal(words.argv[5], "--dir=--d");
    assert_string_equal(words.argv[14], "--passphrase-file=--odd file");
    assert_string_equal(words.argv[15], "--self-signed");
    assert_null(words.argv[16]);
    char *deep = calloc(1, 2 * PATH_MAX);
    memset(deep, 'x', 2 * PATH_MAX - 1);
    keys.passphrase_file = deep;
    assert_int_equal(pqi_rotation_words_make(&words, "d", &keys, &opts, NULL), PQL_E_USAGE);
    free(deep);
}

static void the_status_says_what_will_happen_by_age(void **state)
{
    scene *s = *state;
    start_by_age(s, NOW, NOW);
    pqi_buf out = {0};
    assert_int_equal(pqi_node_rotation_status(&s->r, &out, NULL), PQL_OK);
    json_t *root = json_loadb((const char *)out.data, out.len, 0, NULL);
    json_t *rotation = json_object_get(root, "rotation");
    const json_t *automatic = json_object_get(rotation, "automatic");
    assert_int_equal(json_integer_value(json_object_get(rotation, "in_use_since")), NOW);
    assert_int_equal(json_integer_value(json_object_get(automatic, "days")), DAYS);
    assert_int_equal(json_integer_value(json_object_get(automatic, "prepare_at")),
                     NOW + DAYS * DAY - NOTICE);
    assert_int_equal(json_integer_value(json_object_get(automatic, "switch_at")), NOW + DAYS * DAY);
    assert_int_equal(json_integer_value(json_object_get(automatic, "drop_at")),
                     NOW + DAYS * DAY + KEEP_BY_AGE);
    json_decref(root);
    pqi_buf_free(&out);
}

static void the_status_has_the_rotation_beside_the_rest(void **state)
{
    scene *s = *state;
    make_identity(s);
    prepare(s);
    start(s, NOW);
    pqi_buf out = {0};
    assert_int_equal(pqi_node_rotation_status(&s->r, &out, NULL), PQL_OK);
    json_t *root = json_loadb((const char *)out.data, out.len, 0, NULL);
    assert_non_null(root);
    assert_non_null(json_object_get(root, "miners"));
    const json_t *rotation = json_object_get(root, "rotation");
    assert_string_equal(json_string_value(json_object_get(rotation, "state")), "prepared");
    json_decref(root);
    pqi_buf_free(&out);
}

/* A key process in the place of a real one: it signs for all certificates, or for none. */
static bool sign_or_not(void *user, const uint8_t cert[PQL_SHA256_SIZE], uint16_t scheme,
                        const uint8_t *in, size_t in_len, uint8_t *out, size_t *out_len,
                        size_t size)
{
    const bool *signs = user;
    (void)cert;
    (void)scheme;
    (void)in;
    (void)in_len;
    assert_true(size > 0);
    out[0] = 0;
    *out_len = 1;
    return *signs;
}

/* It could not read them, for example because of their passphrase: with the new certificates alone
 * every handshake would fail. */
static void certificates_whose_keys_the_key_process_lacks_are_not_taken(void **state)
{
    scene *s = *state;
    uint64_t wall = NOW;
    bool signs = false;
    const pqi_key_holder holder = {.sign = sign_or_not, .user = &signs};
    make_identity(s);
    start(s, wall);
    const pql_fingerprint old = cert_of(s->r.in_use.current);
    prepare(s);
    must(pqi_rotation_switch(s->dir, NULL, NOW, NULL, NULL), NULL);
    pqi_keys_move_out(&holder);
    (void)live(s, &wall, 60);
    assert_current(s, &old);
    signs = true;
    (void)live(s, &wall, 60);
    pqi_keys_move_out(NULL);
    assert_non_null(s->r.in_use.previous);
    const pql_fingerprint previous = cert_of(s->r.in_use.previous);
    assert_memory_equal(previous.sha256, old.sha256, sizeof(old.sha256));
}

#define SCENE_TEST(name) cmocka_unit_test_setup_teardown(name, scene_make, scene_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE_TEST(what_was_prepared_is_noticed_without_a_signal),
        SCENE_TEST(the_node_switches_and_drops_when_the_time_has_come),
        SCENE_TEST(a_switch_that_was_missed_is_made_at_start_with_its_whole_overlap),
        SCENE_TEST(an_overlap_that_ended_meanwhile_is_ended_at_start),
        SCENE_TEST(a_switch_by_hand_is_followed_also_when_all_of_it_was_missed),
        SCENE_TEST(an_identity_from_elsewhere_is_refused_and_the_old_one_stays),
        SCENE_TEST(a_lost_identity_is_refused_and_the_old_one_stays),
        SCENE_TEST(a_switch_that_fails_is_tried_again_later),
        SCENE_TEST(a_due_switch_that_fails_at_start_keeps_no_node_from_serving),
        SCENE_TEST(a_switch_that_was_moved_to_later_is_not_made_at_the_old_time),
        SCENE_TEST(the_end_of_an_old_overlap_does_not_end_a_new_one),
        SCENE_TEST(a_directory_that_was_refused_is_left_alone),
        SCENE_TEST(the_status_has_the_rotation_beside_the_rest),
        SCENE_TEST(a_key_is_replaced_at_its_age_with_notice_and_overlap),
        SCENE_TEST(without_an_age_nothing_begins_by_itself),
        SCENE_TEST(an_age_that_nobody_wrote_down_counts_from_now_on),
        SCENE_TEST(a_key_too_old_at_start_gets_its_whole_notice),
        SCENE_TEST(a_rotation_that_somebody_typed_is_left_alone),
        SCENE_TEST(what_somebody_typed_first_is_taken_instead),
        SCENE_TEST(the_age_goes_on_over_a_rotation_that_keeps_the_key),
        SCENE_TEST(a_self_signed_certificate_is_followed_by_another),
        SCENE_TEST(a_restart_at_each_stage_goes_on_where_it_was),
        SCENE_TEST(a_switch_missed_by_a_node_that_was_off_is_made_after_an_hour),
        SCENE_TEST(a_clock_that_jumps_ahead_and_comes_back_does_nothing),
        SCENE_TEST(no_jump_of_the_clock_ends_an_overlap),
        SCENE_TEST(a_clock_ten_years_behind_takes_no_key_away),
        SCENE_TEST(a_plan_of_a_clock_that_was_ahead_is_made_for_this_one),
        SCENE_TEST(a_next_identity_that_cannot_be_made_leaves_all_as_it_was),
        SCENE_TEST(the_next_identity_is_made_by_another_process_and_never_here),
        SCENE_TEST(a_process_that_fails_is_tried_again_a_minute_later),
        SCENE_TEST(what_comes_to_be_while_a_process_hangs_is_followed),
        SCENE_TEST(a_node_that_ends_leaves_no_process),
        SCENE_TEST(the_other_steps_need_no_process),
        SCENE_TEST(the_passphrase_file_and_a_self_signed_certificate_are_handed_on),
        SCENE_TEST(the_status_says_what_will_happen_by_age),
        SCENE_TEST(certificates_whose_keys_the_key_process_lacks_are_not_taken),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
