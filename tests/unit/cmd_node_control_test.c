/* A policy for a time: it holds, it ends, and what the settings say meanwhile is not lost.
 * ctest labels: threads */
#include "test.h"

#include "base/clock.h"
#include "cmd/control_client.h"
#include "cmd/node_control.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* A node whose policy is a member. */
typedef struct world {
    char dir[64];
    pqi_runtime rt;
    pqi_node_control control;
    pql_policy policy;
    unsigned changes;
    bool fails;
    uint64_t now;
} world;

static pql_status set_policy(void *service, pql_policy policy, pql_error *err)
{
    world *w = service;
    if (w->fails) {
        (void)err;
        return PQL_E_CRYPTO;
    }
    w->policy = policy;
    w->changes++;
    return PQL_OK;
}

static json_t *facts(void *service)
{
    (void)service;
    return json_pack("{s:s}", "service", "test");
}

static int setup(void **state)
{
    world *w = calloc(1, sizeof(*w));
    assert_non_null(w);
    (void)snprintf(w->dir, sizeof(w->dir), "/tmp/pqlink-control-XXXXXX");
    assert_non_null(mkdtemp(w->dir));
    w->rt.main = pthread_self();
    w->now = 1000 * PQI_NS_PER_SEC;
    const pqi_node_control_opts opts = {.dir = w->dir,
                                        .rt = &w->rt,
                                        .policy = PQL_POLICY_HYBRID,
                                        .set_policy = set_policy,
                                        .facts = facts,
                                        .service = w};
    assert_int_equal(pqi_node_control_open(&w->control, &opts, NULL), PQL_OK);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    world *w = *state;
    pqi_node_control_close(&w->control);
    assert_int_equal(rmdir(w->dir), 0);
    free(w);
    return 0;
}

/* Another program: asks one thing, in a thread, because the node answers in ours. */
typedef struct asker {
    int fd;
    json_t *request;
    json_t *answer;
    pql_status status;
    _Atomic bool done;
} asker;

static void *asker_main(void *arg)
{
    asker *a = arg;
    a->status = pqi_control_ask(a->fd, a->request, &a->answer, NULL);
    a->done = true;
    return NULL;
}

static json_t *ask(world *w, int fd, json_t *request, pql_status expected)
{
    asker a = {.fd = fd, .request = request};
    pthread_t thread;
    assert_int_equal(pthread_create(&thread, NULL, asker_main, &a), 0);
    while (!a.done) {
        (void)pqi_node_control_tick(&w->control, w->now);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(a.status, expected);
    return a.answer;
}

static int dial(const world *w)
{
    int fd = -1;
    assert_int_equal(pqi_control_connect(&fd, w->dir, 10 * PQI_NS_PER_SEC, NULL), PQL_OK);
    return fd;
}

static void begin(world *w, int fd, unsigned seconds)
{
    json_t *request = json_pack("{s:s, s:s, s:i}", "do", "override", "policy", "pq-only", "seconds",
                                (int)seconds);
    json_t *answer = ask(w, fd, request, PQL_OK);
    assert_string_equal(json_string_value(json_object_get(answer, "policy")), "pq-only");
    assert_string_equal(json_string_value(json_object_get(answer, "service")), "test");
    json_decref(answer);
}

static void an_override_holds_and_ends_when_its_time_is_over(void **state)
{
    world *w = *state;
    const int fd = dial(w);
    begin(w, fd, 60);
    assert_int_equal(w->policy, PQL_POLICY_PQ_ONLY);
    w->now += 60 * PQI_NS_PER_SEC - 1;
    assert_int_equal(pqi_node_control_tick(&w->control, w->now), w->now + 1);
    assert_int_equal(w->policy, PQL_POLICY_PQ_ONLY);
    w->now++;
    assert_int_equal(pqi_node_control_tick(&w->control, w->now), UINT64_MAX);
    assert_int_equal(w->policy, PQL_POLICY_HYBRID);
    assert_int_equal(w->changes, 2);
    assert_int_equal(close(fd), 0);
}

static void settings_that_change_meanwhile_hold_afterwards(void **state)
{
    world *w = *state;
    const int fd = dial(w);
    begin(w, fd, 60);
    assert_int_equal(pqi_node_control_would(&w->control, PQL_POLICY_OFF), PQL_POLICY_PQ_ONLY);
    pqi_node_control_settings(&w->control, PQL_POLICY_OFF);
    assert_int_equal(w->policy, PQL_POLICY_PQ_ONLY);
    json_t *answer = ask(w, fd, json_pack("{s:s}", "do", "end"), PQL_OK);
    assert_string_equal(json_string_value(json_object_get(answer, "policy")), "off");
    json_decref(answer);
    assert_int_equal(w->policy, PQL_POLICY_OFF);
    assert_int_equal(close(fd), 0);
}

static void an_override_never_makes_a_node_weaker(void **state)
{
    static const char *const weaker[] = {"off", "hybrid", "hybrid-2026", "off-2026"};
    world *w = *state;
    const int fd = dial(w);
    w->policy = pqi_node_control_would(&w->control, PQL_POLICY_PQ_ONLY);
    pqi_node_control_settings(&w->control, PQL_POLICY_PQ_ONLY);
    for (size_t i = 0; i < sizeof(weaker) / sizeof(weaker[0]); i++) {
        (void)ask(
            w, fd,
            json_pack("{s:s, s:s, s:i}", "do", "override", "policy", weaker[i], "seconds", 60),
            PQL_E_REFUSED);
        assert_int_equal(w->policy, PQL_POLICY_PQ_ONLY);
    }
    begin(w, fd, 60); /* the same is not weaker */
    assert_int_equal(close(fd), 0);
}

static void settings_that_become_stricter_hold_at_once(void **state)
{
    world *w = *state;
    const int fd = dial(w);
    begin(w, fd, 60);
    w->policy = pqi_node_control_would(&w->control, PQL_POLICY_CNSA_2_0);
    assert_int_equal(w->policy, PQL_POLICY_CNSA_2_0);
    pqi_node_control_settings(&w->control, PQL_POLICY_CNSA_2_0);
    w->now += 60 * PQI_NS_PER_SEC;
    (void)pqi_node_control_tick(&w->control, w->now);
    assert_int_equal(w->policy, PQL_POLICY_CNSA_2_0);
    assert_int_equal(close(fd), 0);
}

static void settings_hold_at_once_without_an_override(void **state)
{
    world *w = *state;
    assert_int_equal(pqi_node_control_would(&w->control, PQL_POLICY_PQ_ONLY), PQL_POLICY_PQ_ONLY);
}

static void a_policy_that_cannot_be_set_leaves_all_as_it_was(void **state)
{
    world *w = *state;
    const int fd = dial(w);
    w->fails = true;
    (void)ask(w, fd,
              json_pack("{s:s, s:s, s:i}", "do", "override", "policy", "pq-only", "seconds", 60),
              PQL_E_REFUSED);
    w->fails = false;
    json_t *answer = ask(w, fd, json_pack("{s:s}", "do", "status"), PQL_OK);
    assert_string_equal(json_string_value(json_object_get(answer, "settings")), "hybrid");
    assert_true(json_is_false(json_object_get(answer, "override")));
    json_decref(answer);
    assert_int_equal(w->changes, 0);
    assert_int_equal(close(fd), 0);
}

/* A node that cannot go back tries again: nobody else would. */
static void an_end_that_fails_is_tried_again(void **state)
{
    world *w = *state;
    const int fd = dial(w);
    begin(w, fd, 1);
    w->fails = true;
    w->now += PQI_NS_PER_SEC;
    const uint64_t again = pqi_node_control_tick(&w->control, w->now);
    assert_true(again > w->now && again != UINT64_MAX);
    assert_int_equal(w->policy, PQL_POLICY_PQ_ONLY);
    w->fails = false;
    assert_int_equal(pqi_node_control_tick(&w->control, again), UINT64_MAX);
    assert_int_equal(w->policy, PQL_POLICY_HYBRID);
    assert_int_equal(close(fd), 0);
}

static void nobody_listens_where_nothing_may_be_written(void **state)
{
    (void)state;
    world w = {.rt = {.main = pthread_self()}};
    const pqi_node_control_opts opts = {.dir = NULL,
                                        .rt = &w.rt,
                                        .policy = PQL_POLICY_HYBRID,
                                        .set_policy = set_policy,
                                        .facts = facts,
                                        .service = &w};
    assert_int_equal(pqi_node_control_open(&w.control, &opts, NULL), PQL_OK);
    assert_int_equal(pqi_node_control_tick(&w.control, 1), UINT64_MAX);
    assert_int_equal(pqi_node_control_would(&w.control, PQL_POLICY_OFF), PQL_POLICY_OFF);
    pqi_node_control_close(&w.control);
}

#define world_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        world_test(an_override_holds_and_ends_when_its_time_is_over),
        world_test(settings_that_change_meanwhile_hold_afterwards),
        world_test(an_override_never_makes_a_node_weaker),
        world_test(settings_that_become_stricter_hold_at_once),
        world_test(settings_hold_at_once_without_an_override),
        world_test(a_policy_that_cannot_be_set_leaves_all_as_it_was),
        world_test(an_end_that_fails_is_tried_again),
        cmocka_unit_test(nobody_listens_where_nothing_may_be_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
