/* A source that logs in to a node: here to one of ours, over loopback.  ctest labels: threads */
#include "miner_node_scene.h"

#include "base/log.h"
#include "miner/upstream.h"

#include <stdio.h>
#include <unistd.h>

#define TOKEN "rig-token"

/* The other end: what the node service would hear and do. */
typedef struct downstream {
    scene *node;
    pqi_health *health;
    pqi_source_metrics *metrics;
    unsigned condition;
    pqi_source *source;
    pqi_login_opts login;
    pql_fingerprint pin;

    const char *pin_file; /* instead of |pin|; NULL: none */
    bool official;        /* speaks as an official miner, and pins the classical leaf */
    bool pq_authentication;
    /* With the lock of the scene. */
    unsigned wakes;
    /* Of the test's thread, which ticks. */
    unsigned jobs, idles;
    pqi_job job;
} downstream;

static void on_wake(void *user)
{
    downstream *d = user;
    SEEN(d->node, d->wakes++);
}

static void on_job(void *user, const pqi_job *job)
{
    downstream *d = user;
    d->jobs++;
    d->job = *job;
}

static void on_idle(void *user)
{
    ((downstream *)user)->idles++;
}

static pqi_instant now(void)
{
    return (pqi_instant){.unix_ms = pqi_clock_unix_ms(), .monotonic_ns = pqi_clock_monotonic()};
}

/* Ticks at each wake until |condition| holds. */
#define TICK_UNTIL(d, condition)                                                                   \
    do {                                                                                           \
        pqi_source_tick((d)->source, now());                                                       \
        if (condition) {                                                                           \
            break;                                                                                 \
        }                                                                                          \
        WAIT_UNTIL((d)->node, (d)->wakes > 0);                                                     \
        SEEN((d)->node, (d)->wakes = 0);                                                           \
    } while (true)

static void start_source(downstream *d)
{
    const pqi_source_events events = {.on_job = on_job, .on_idle = on_idle, .user = d};
    d->login = (pqi_login_opts){
        .url = d->node->url, .text = d->node->url, .peer = {.pins = &d->pin, .pin_count = 1}};
    if (d->pin_file != NULL) {
        d->login.pin_file = d->pin_file;
        d->login.peer = (pql_peer){0};
    }
    if (d->official) {
        d->login.dialect = PQI_MINER_V2;
        d->login.token = TOKEN;
        d->login.peer.pins = &d->node->classical_pin;
    }
    const pqi_upstream_opts opts = {.nodes = &d->login,
                                    .node_count = 1,
                                    .pq_authentication = d->pq_authentication,
                                    .name = "below",
                                    .timing = {.first = PQI_NS_PER_MS, .most = PQI_NS_PER_MS},
                                    .grace_ns = PQI_NS_PER_MS,
                                    .patience_ns = 3600 * PQI_NS_PER_SEC,
                                    .metrics = d->metrics,
                                    .health = d->health,
                                    .condition = d->condition,
                                    .wake = on_wake,
                                    .user = d};
    assert_int_equal(pqi_upstream_new(&d->source, &opts, NULL), PQL_OK);
    assert_int_equal(pqi_source_start(d->source, &events, now(), NULL), PQL_OK);
}

static int setup_both(void **state)
{
    downstream *d = calloc(1, sizeof(*d));
    void *node = NULL;
    assert_non_null(d);
    assert_int_equal(setup(&node), 0);
    d->node = node;
    d->pin = d->node->pin;
    assert_int_equal(pqi_health_new(&d->health, NULL), PQL_OK);
    assert_int_equal(pqi_health_add(d->health, "source", "none", &d->condition, NULL), PQL_OK);
    assert_int_equal(pqi_source_metrics_new(&d->metrics, d->node->registry, NULL), PQL_OK);
    assert_int_equal(pqi_tokens_single(&d->node->tokens, "default", TOKEN, NULL), PQL_OK);
    start(d->node);
    *state = d;
    return 0;
}

static int teardown_both(void **state)
{
    downstream *d = *state;
    void *node = d->node;
    pqi_source_destroy(d->source);
    pqi_source_metrics_free(d->metrics);
    pqi_health_free(d->health);
    free(d);
    return teardown(&node);
}

static pqi_source_verdict submit(downstream *d, uint8_t nonce)
{
    const uint8_t work[PQI_JOB_NONCE_SIZE] = {nonce};
    return pqi_source_submit(d->source, d->job.id, work, "rig", now(), NULL);
}

static void a_job_of_the_node_arrives_and_makes_us_ready(void **state)
{
    downstream *d = *state;
    assert_false(pqi_health_ready(d->health));
    start_source(d);

    TICK_UNTIL(d, d->jobs == 1);

    assert_string_equal(pqi_upstream_node(d->source), d->node->url);
    assert_string_equal(d->job.id, "1");
    assert_true(pqi_health_ready(d->health));
    assert_exposed(d->node, "\npqlink_source_connected 1\n");
    assert_exposed(d->node, "\npqlink_source_node 0\n");
    assert_exposed(d->node, "\npqlink_source_jobs_total 1\n");
    assert_int_equal(miners_listed(d->node), 1);
    assert_int_equal(status_number(d->node, "below", "accepted"), 0);
}

static void a_result_makes_a_block_there_and_the_next_job_comes(void **state)
{
    downstream *d = *state;
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);

    assert_int_equal(submit(d, 1), PQI_SOURCE_PASSED);
    TICK_UNTIL(d, d->jobs == 2);

    assert_string_equal(d->job.id, "2");
    assert_int_equal(pqi_node_service_blocks(d->node->service), 1);
    assert_exposed(d->node, "\npqlink_source_passed_total 1\n");
}

static void a_result_that_the_node_refuses_opens_the_job_again(void **state)
{
    downstream *d = *state;
    atomic_store(&d->node->fake.verdict, PQI_SOURCE_UNAVAILABLE);
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);

    assert_int_equal(submit(d, 1), PQI_SOURCE_PASSED);
    assert_int_equal(submit(d, 2), PQI_SOURCE_STALE);
    TICK_UNTIL(d, d->jobs == 2);

    assert_string_equal(d->job.id, "1");
    assert_exposed(d->node, "pqlink_source_outcomes_total{outcome=\"refused\"} 1\n");
    assert_int_equal(submit(d, 2), PQI_SOURCE_PASSED);
}

static void a_node_without_work_makes_us_idle_and_not_ready(void **state)
{
    downstream *d = *state;
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);

    atomic_store(&d->node->fake.idle, true);
    (void)pqi_node_service_tick(d->node->service);
    TICK_UNTIL(d, d->idles == 1);

    assert_false(pqi_health_ready(d->health));
    assert_int_equal(pqi_upstream_failure(d->source, NULL), PQL_OK);
}

static void a_lost_node_makes_us_idle_after_the_grace(void **state)
{
    downstream *d = *state;
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);

    pql_context_free(d->node->node);
    d->node->node = NULL;
    /* The link is lost: a tick notes the time, and one after the grace acts on it. */
    TICK_UNTIL(d, pqi_source_deadline(d->source) != PQI_TIME_NEVER || d->idles == 1);
    pqi_source_tick(d->source, (pqi_instant){.monotonic_ns = PQI_TIME_NEVER - 1});

    assert_int_equal(d->idles, 1);
    assert_false(pqi_health_ready(d->health));
    assert_null(pqi_upstream_node(d->source));
    assert_exposed(d->node, "\npqlink_source_connected 0\n");
    assert_exposed(d->node, "\npqlink_source_node -1\n");
}

static void a_source_that_is_not_the_one_that_was_meant_is_a_failure(void **state)
{
    downstream *d = *state;
    pql_error err = {0};
    d->pin.sha256[0] ^= 1;
    start_source(d);

    WAIT_UNTIL(d->node, d->wakes > 0);

    assert_int_equal(pqi_upstream_failure(d->source, &err), PQL_E_TRUST);
    assert_true(strlen(err.message) > 0);
    assert_int_equal(d->jobs, 0);
    assert_false(pqi_health_ready(d->health));
}

/* ---- What the log says of a node that talks ---- */

static FILE *log_to_file(void)
{
    FILE *file = tmpfile();
    assert_non_null(file);
    pqi_log_setup(fileno(file), PQI_LOG_INFO, PQI_LOG_JSON);
    return file;
}

static void close_log(FILE *file)
{
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_TEXT);
    (void)fclose(file);
}

/* Lines of one of the events, or of the other. */
static unsigned lines_of(FILE *file, const char *event, const char *other)
{
    char line[PQI_LOG_LINE_SIZE + 2];
    unsigned count = 0;
    rewind(file);
    while (fgets(line, sizeof(line), file) != NULL) {
        count += strstr(line, event) != NULL || strstr(line, other) != NULL;
    }
    return count;
}

/* The node tells of the certificate |number|, and gives a job behind that. */
static void tell_rotation(downstream *d, uint8_t number)
{
    const pqi_miner_rotation rotation = {
        .any = true, .next = {.sha256 = {number}}, .next_spki = {.form = PQL_FINGERPRINT_SPKI}};
    const unsigned jobs = d->jobs;
    pqi_node_service_rotation(d->node->service, &rotation);
    atomic_store(&d->node->fake.push, true);
    (void)pqi_node_service_tick(d->node->service);
    TICK_UNTIL(d, d->jobs > jobs);
}

static void a_rotation_is_logged_when_it_is_another_one_than_before(void **state)
{
    downstream *d = *state;
    FILE *file = log_to_file();
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);

    tell_rotation(d, 1);
    tell_rotation(d, 1);
    tell_rotation(d, 1);
    assert_int_equal(lines_of(file, "rotation_announced", "rotation_over"), 1);
    tell_rotation(d, 2);
    assert_int_equal(lines_of(file, "rotation_announced", "rotation_over"), 2);
    pqi_node_service_rotation(d->node->service, &(pqi_miner_rotation){.any = false});
    new_job(d->node);
    TICK_UNTIL(d, d->jobs == 6);
    assert_int_equal(lines_of(file, "rotation_over", "rotation_over"), 1);
    close_log(file);
}

static void a_source_that_is_given_up_is_not_said_to_be_tried_again(void **state)
{
    downstream *d = *state;
    char pin_file[] = "/tmp/pqlink-upstream-XXXXXX";
    char line[PQI_LOG_LINE_SIZE + 2] = "";
    pqi_buf text = {.max = sizeof(line)};
    bool ready = true;
    int ends[2];
    const int fd = mkstemp(pin_file);
    assert_true(fd >= 0);
    assert_true(dprintf(fd, "sha256:%064d\n", 1) > 0); /* nobody's */
    assert_int_equal(close(fd), 0);
    assert_int_equal(pipe(ends), 0);
    FILE *log = fdopen(ends[0], "r");
    assert_non_null(log);
    pqi_log_setup(ends[1], PQI_LOG_INFO, PQI_LOG_JSON);

    d->pin_file = pin_file; /* with a file, a source that is out may come back */
    start_source(d);
    while (strstr(line, "node_given_up") == NULL) {
        assert_non_null(fgets(line, sizeof(line), log));
    }

    assert_int_equal(pqi_health_write(d->health, &text, &ready, NULL), PQL_OK);
    assert_false(ready);
    assert_int_equal(pqi_buf_printf(&text, "%c", '\0'), true);
    assert_non_null(strstr((const char *)text.data, "see node_given_up in the log"));
    pqi_buf_free(&text);
    pqi_log_setup(STDERR_FILENO, PQI_LOG_INFO, PQI_LOG_TEXT);
    (void)fclose(log);
    (void)close(ends[1]);
    (void)unlink(pin_file);
}

static void a_node_that_talks_without_end_does_not_fill_the_disk(void **state)
{
    enum { ROUNDS = 50 }; /* three messages each: a client leaves a node that sends 200 a second */
    downstream *d = *state;
    FILE *file = log_to_file();
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);

    const uint64_t begin = pqi_clock_monotonic() / PQI_NS_PER_SEC;
    for (unsigned i = 0; i < ROUNDS; i++) {
        atomic_store(&d->node->fake.idle, true);
        (void)pqi_node_service_tick(d->node->service);
        TICK_UNTIL(d, d->idles == i + 1);
        tell_rotation(d, (uint8_t)(i + 1));
    }
    const uint64_t seconds = pqi_clock_monotonic() / PQI_NS_PER_SEC - begin + 1;

    const unsigned lines = lines_of(file, "cancelled", "rotation_announced");
    assert_true(lines >= PQI_UPSTREAM_LINES_PER_SEC);
    assert_true(lines <= seconds * PQI_UPSTREAM_LINES_PER_SEC);
    close_log(file);
}

static void a_source_with_a_classical_certificate_is_used_where_any_will_do(void **state)
{
    downstream *d = *state;
    d->official = true;
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);
}

static void
a_source_with_a_classical_certificate_is_given_up_where_ml_dsa_is_asked_for(void **state)
{
    downstream *d = *state;
    pql_error err = {0};
    d->official = true;
    d->pq_authentication = true;
    start_source(d);
    TICK_UNTIL(d, pqi_upstream_failure(d->source, &err) != PQL_OK);
    assert_int_equal(err.code, PQL_E_POLICY);
    assert_int_equal(d->jobs, 0);
}

static void a_source_that_proves_ml_dsa_is_used_where_it_is_asked_for(void **state)
{
    downstream *d = *state;
    d->pq_authentication = true;
    start_source(d);
    TICK_UNTIL(d, d->jobs == 1);
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup_both, teardown_both)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(a_job_of_the_node_arrives_and_makes_us_ready),
        SCENE(a_result_makes_a_block_there_and_the_next_job_comes),
        SCENE(a_result_that_the_node_refuses_opens_the_job_again),
        SCENE(a_node_without_work_makes_us_idle_and_not_ready),
        SCENE(a_lost_node_makes_us_idle_after_the_grace),
        SCENE(a_source_that_is_not_the_one_that_was_meant_is_a_failure),
        SCENE(a_source_that_is_given_up_is_not_said_to_be_tried_again),
        SCENE(a_source_with_a_classical_certificate_is_used_where_any_will_do),
        SCENE(a_source_with_a_classical_certificate_is_given_up_where_ml_dsa_is_asked_for),
        SCENE(a_source_that_proves_ml_dsa_is_used_where_it_is_asked_for),
        SCENE(a_rotation_is_logged_when_it_is_another_one_than_before),
        SCENE(a_node_that_talks_without_end_does_not_fill_the_disk),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
