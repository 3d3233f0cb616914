/* A running node follows what 'pqlink rotate' and the clock say, and nothing else.  Time is an
 * argument: no test waits for it. */
#include "test.h"

#include "cmd/node_rotation.h"
#include "identity/directory.h"
#include "identity_directory.h"

#include <jansson.h>
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
    must(pqi_rotation_prepare(s->dir, &opts, &err), &err);
}

static void prepare(const scene *s)
{
    prepare_with(s, SWITCH_AT, KEEP);
}

/* A node that begins to serve at |now_unix|. */
static void start(scene *s, uint64_t now_unix)
{
    pql_error err = {0};
    must(pqi_node_rotation_open(&s->r, s->dir, now_unix, s->now, &err), &err);
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
    assert_int_equal(pqi_rotation_switch(s->dir, NOW, NULL, NULL), PQL_OK);
    start(s, NOW + KEEP);
    assert_null(s->r.in_use.previous);
}

static void a_switch_by_hand_is_followed_also_when_all_of_it_was_missed(void **state)
{
    scene *s = *state;
    make_identity(s);
    start(s, NOW);
    prepare(s);
    assert_int_equal(pqi_rotation_switch(s->dir, NOW, NULL, NULL), PQL_OK);
    (void)look(s, NOW);
    assert_non_null(s->r.in_use.previous);
    pqi_rotation disk;
    assert_int_equal(pqi_rotation_load(&disk, s->dir, NULL), PQL_OK);
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
    assert_int_equal(pqi_rotation_switch(s->dir, NOW, NULL, NULL), PQL_OK);
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
    assert_int_equal(pqi_rotation_switch(s->dir, due - 1, NULL, NULL), PQL_OK);
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
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
