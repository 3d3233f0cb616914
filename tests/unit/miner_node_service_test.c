/* The node's miner service over real links on loopback, with miners that behave and miners that do
 * not.  ctest labels: threads */
#include "test.h"

#include "miner/devchain.h"
#include "miner/pow.h"

#include "miner_node_scene.h"

#define CROWD 200
/* Handshakes under way at a time: a handshake has 10 seconds, also on a busy machine. */
#define CROWD_STEP 8

/* ---- Jobs ---- */

static void every_miner_gets_each_new_job(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "a");
    client *b = join(s, "b");
    client *c = join(s, "c");

    new_job(s);
    WAIT_UNTIL(s, a->jobs == 2 && b->jobs == 2 && c->jobs == 2);

    assert_string_equal(a->job_id, "job-2");
    assert_string_equal(b->job_id, "job-2");
    assert_string_equal(c->job_id, "job-2");
    wait_for_workers(s);
    assert_exposed(s, "\npqlink_miners 3\n");
    assert_exposed(s, "\npqlink_jobs_total 2\n");
    assert_exposed(s, "\npqlink_jobs_sent_total 6\n");
}

static void a_job_is_sent_to_a_miner_once(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.hard, true);
    start(s);
    client *c = join(s, "c");

    send_result(c, "job-1", 7); /* invalid: the job goes on */
    WAIT_UNTIL(s, c->acks[PQI_VERDICT_INVALID] == 1);
    (void)pqi_node_service_tick(s->service);
    new_job(s);
    WAIT_UNTIL(s, strcmp(c->job_id, "job-2") == 0);

    assert_int_equal(c->jobs, 2);
}

static void a_node_without_a_job_says_so_and_gives_the_next_one(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.silent, true);
    start(s);
    client *c = connect_named(s, s->clients, "early");
    WAIT_UNTIL(s, c->cancels == 1);

    new_job(s);
    WAIT_UNTIL(s, c->jobs == 1);

    assert_string_equal(c->cancel_reason, "idle");
}

static void a_source_that_falls_idle_cancels_the_job_of_every_miner(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "a");
    client *b = join(s, "b");

    atomic_store(&s->fake.idle, true);
    (void)pqi_node_service_tick(s->service);
    WAIT_UNTIL(s, a->cancels == 1 && b->cancels == 1);

    json_t *root = status_of(s);
    assert_false(json_boolean_value(json_object_get(root, "has_job")));
    json_decref(root);
}

static void a_crowd_is_served(void **state)
{
    scene *s = *state;
    char name[16];
    start(s);
    for (unsigned i = 0; i < CROWD; i++) {
        (void)snprintf(name, sizeof(name), "crowd-%u", i);
        client *c = connect_named(s, s->clients, name);
        if ((i + 1) % CROWD_STEP == 0) {
            WAIT_UNTIL(s, c->jobs == 1);
        }
    }
    for (client *c = s->first; c != NULL; c = c->next) {
        WAIT_UNTIL(s, c->jobs == 1);
    }

    new_job(s);
    for (client *c = s->first; c != NULL; c = c->next) {
        WAIT_UNTIL(s, c->jobs == 2);
        assert_string_equal(c->job_id, "job-2");
    }

    assert_int_equal(miners_listed(s), CROWD);
}

static void block_worker(void *arg)
{
    sem_t *gates = arg;
    sem_post(&gates[0]);
    while (sem_wait(&gates[1]) != 0) {
        continue;
    }
}

static void do_nothing(void *arg)
{
    (void)arg;
}

static void a_job_that_found_the_queue_of_a_worker_full_comes_with_the_next_tick(void **state)
{
    scene *s = *state;
    sem_t gates[2];
    sem_init(&gates[0], 0, 0);
    sem_init(&gates[1], 0, 0);
    start_node(s, PQL_POLICY_HYBRID, 1);
    client *c = join(s, "c");
    assert_int_equal(pql_context_run(s->node, 0, block_worker, gates), PQL_OK);
    while (sem_wait(&gates[0]) != 0) {
        continue;
    }
    while (pql_context_run(s->node, 0, do_nothing, NULL) == PQL_OK) {
        continue;
    }

    atomic_store(&s->fake.push, true);
    const uint64_t again = pqi_node_service_tick(s->service);
    sem_post(&gates[1]);
    while (pqi_node_service_tick(s->service) != PQI_TIME_NEVER) {
        continue;
    }
    WAIT_UNTIL(s, c->jobs == 2);

    assert_true(again != PQI_TIME_NEVER);
    assert_string_equal(c->job_id, "job-2");
    sem_destroy(&gates[0]);
    sem_destroy(&gates[1]);
}

/* ---- Results ---- */

static void the_first_result_wins_and_the_second_is_stale(void **state)
{
    scene *s = *state;
    start(s);
    client *fast = join(s, "fast");
    client *slow = join(s, "slow");

    send_result(fast, "job-1", 7);
    WAIT_UNTIL(s, fast->acks[PQI_VERDICT_ACCEPTED] == 1);
    send_result(slow, "job-1", 8);
    WAIT_UNTIL(s, slow->acks[PQI_VERDICT_STALE] == 1 && slow->jobs == 2 && fast->jobs == 2);

    assert_int_equal(slow->acks[PQI_VERDICT_ACCEPTED], 0);
    assert_int_equal(pqi_node_service_blocks(s->service), 1);
    wait_for_workers(s);
    assert_exposed(s, "pqlink_miner_results_total{miner=\"fast\",result=\"accepted\"} 1\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"fast\",result=\"stale\"} 0\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"slow\",result=\"accepted\"} 0\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"slow\",result=\"stale\"} 1\n");
    assert_exposed(s, "pqlink_blocks_found_total 1\n");
}

static void many_results_at_the_same_time_make_one_block_for_each_job(void **state)
{
    enum { MINERS = 16, ROUNDS = 5 };
    scene *s = *state;
    client *miners[MINERS];
    char name[16];
    char job_id[16];
    unsigned accepted = 0;
    start(s);
    for (unsigned i = 0; i < MINERS; i++) {
        (void)snprintf(name, sizeof(name), "m%u", i);
        miners[i] = join(s, name);
    }

    for (unsigned round = 1; round <= ROUNDS; round++) {
        (void)snprintf(job_id, sizeof(job_id), "job-%u", round);
        for (unsigned i = 0; i < MINERS; i++) {
            send_result(miners[i], job_id, i + 1);
        }
        for (unsigned i = 0; i < MINERS; i++) {
            WAIT_UNTIL(s,
                       miners[i]->jobs == round + 1 && miners[i]->acks[PQI_VERDICT_ACCEPTED] +
                                                               miners[i]->acks[PQI_VERDICT_STALE] ==
                                                           round);
        }
    }

    for (unsigned i = 0; i < MINERS; i++) {
        accepted += miners[i]->acks[PQI_VERDICT_ACCEPTED];
    }
    assert_int_equal(accepted, ROUNDS);
    assert_int_equal(pqi_node_service_blocks(s->service), ROUNDS);
}

static void a_proof_that_does_not_hold_is_invalid_and_again_a_duplicate(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.hard, true);
    start(s);
    client *wrong = join(s, "wrong");
    client *right = join(s, "right");

    send_result(wrong, "job-1", 7);
    send_result(wrong, "job-1", 7);
    WAIT_UNTIL(s, wrong->acks[PQI_VERDICT_DUPLICATE] == 1);
    atomic_store(&s->fake.hard, false);
    new_job(s);
    WAIT_UNTIL(s, right->jobs == 2);
    assert_served(right, 1);

    assert_int_equal(wrong->acks[PQI_VERDICT_INVALID], 1);
    assert_false(wrong->closed);
    wait_for_workers(s);
    assert_exposed(s, "pqlink_miner_results_total{miner=\"wrong\",result=\"invalid\"} 1\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"wrong\",result=\"duplicate\"} 1\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"right\",result=\"invalid\"} 0\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"right\",result=\"duplicate\"} 0\n");
}

static void a_flood_is_counted_and_closed_and_harms_no_other(void **state)
{
    enum { RESULTS = 2000 };
    scene *s = *state;
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_buf flood = {0};
    start(s);
    client *bad = join(s, "bad");
    client *good = join(s, "good");
    const size_t len = encode_result("no-such-job", 1, frame);
    for (unsigned i = 0; i < RESULTS; i++) {
        assert_true(pqi_buf_append(&flood, frame, len));
    }

    send_bytes(bad, flood.data, flood.len);
    WAIT_UNTIL(s, bad->closed);
    assert_served(good, 1);

    assert_int_equal(bad->why.code, PQI_CLOSE_FLOOD);
    assert_int_equal(good->acks[PQI_VERDICT_FLOOD], 0);
    wait_for_workers(s);
    assert_exposed(s, "pqlink_miner_results_total{miner=\"good\",result=\"flooded\"} 0\n");
    assert_exposed(s, "pqlink_rejects_total{reason=\"flood\"} 1\n");
    assert_null(
        strstr(exposed(s), "pqlink_miner_results_total{miner=\"bad\",result=\"flooded\"} 0\n"));
    pqi_buf_free(&flood);
}

static void a_source_that_cannot_store_keeps_the_job_and_takes_the_result_later(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.verdict, PQI_SOURCE_UNAVAILABLE);
    start(s);
    client *c = join(s, "c");

    send_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->acks[PQI_VERDICT_UNAVAILABLE] == 1);
    atomic_store(&s->fake.verdict, PQI_SOURCE_ACCEPTED);
    send_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->acks[PQI_VERDICT_ACCEPTED] == 1);

    assert_int_equal(c->height, 1);
    assert_int_equal(pqi_node_service_blocks(s->service), 1);
}

/* The other miner may have found the same solution: that is a duplicate, or stale.  Under the lock.
 */
static unsigned verdicts(const client *c)
{
    return c->acks[PQI_VERDICT_ACCEPTED] + c->acks[PQI_VERDICT_STALE] +
           c->acks[PQI_VERDICT_DUPLICATE];
}

/* Solves the job that |c| has, waits for the verdict and for another job. */
static void mine_once(client *c)
{
    scene *s = c->owner;
    uint8_t work[PQI_MINER_WORK_SIZE] = {0};
    pqi_u512 target;
    pthread_mutex_lock(&s->lock);
    const pqi_miner_job job = c->job;
    const unsigned before = verdicts(c);
    pthread_mutex_unlock(&s->lock);
    assert_true(pqi_pow_target(&target, &job.difficulty));
    do {
        work[PQI_MINER_WORK_SIZE - 1]++;
    } while (!pqi_pow_verify(job.mining_hash, work, &target));
    send_result(c, job.id, work[PQI_MINER_WORK_SIZE - 1]);
    WAIT_UNTIL(s, verdicts(c) > before && strcmp(c->job.id, job.id) != 0);
}

static void blocks_of_several_miners_make_a_real_chain(void **state)
{
    enum { BLOCKS = 6 };
    scene *s = *state;
    pqi_devchain_opts opts = {.rules = {.block_time_ms = 1000, .minimum = pqi_u512_from_u64(1)},
                              .difficulty = pqi_u512_from_u64(4)};
    assert_int_equal(pqi_store_open(&s->store, PQI_STORE_MEMORY, NULL), PQL_OK);
    opts.store = s->store;
    assert_int_equal(pqi_devchain_new(&s->chain, &opts, NULL), PQL_OK);
    start(s);
    client *miners[] = {join(s, "one"), join(s, "two")};

    for (unsigned turn = 0; pqi_node_service_blocks(s->service) < BLOCKS; turn++) {
        mine_once(miners[turn % 2]);
    }

    assert_int_equal(pqi_node_service_blocks(s->service), BLOCKS);
    json_t *root = status_of(s);
    assert_int_equal(json_integer_value(json_object_get(root, "height")), BLOCKS);
    json_decref(root);
}

/* ---- Miners that misbehave ---- */

/* |bytes| on a fresh stream close the link with |code|, and another miner notices nothing. */
static void assert_turned_away(scene *s, const char *bytes, size_t len, uint64_t code)
{
    client *good = join(s, "good");
    client *bad = stranger(s, bytes, len);
    WAIT_UNTIL(s, bad->closed);

    assert_true(bad->why.application);
    assert_int_equal(bad->why.code, code);
    assert_int_equal(bad->jobs, 0);
    assert_served(good, 1);
    assert_int_equal(miners_listed(s), 1);
}

static void bytes_that_are_no_frame_close_the_link(void **state)
{
    scene *s = *state;
    start(s);
    assert_turned_away(s, "\0\0\0\5hello", 9, PQI_CLOSE_PROTOCOL);
    assert_exposed(s, "pqlink_rejects_total{reason=\"protocol\"} 1\n");
}

static void a_frame_over_the_limit_closes_the_link_at_its_length(void **state)
{
    scene *s = *state;
    start(s);
    assert_turned_away(s, "\0\0\4\1", 4, PQI_CLOSE_PROTOCOL);
}

static void a_result_before_ready_closes_the_link(void **state)
{
    scene *s = *state;
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    start(s);
    const size_t len = encode_result("job-1", 1, frame);
    assert_turned_away(s, (const char *)frame, len, PQI_CLOSE_PROTOCOL);
    assert_int_equal(pqi_node_service_blocks(s->service), 1); /* the good miner's */
}

static void a_name_that_is_no_name_closes_the_link(void **state)
{
    static const char body[] = "{\"Ready\":{\"token\":null,\"name\":\"a\\\"},{\\\"\"}}";
    char frame[sizeof(body) + PQI_FRAME_PREFIX_SIZE] = {0};
    scene *s = *state;
    start(s);
    frame[3] = (char)(sizeof(body) - 1);
    memcpy(frame + PQI_FRAME_PREFIX_SIZE, body, sizeof(body) - 1);
    assert_turned_away(s, frame, sizeof(body) - 1 + PQI_FRAME_PREFIX_SIZE, PQI_CLOSE_PROTOCOL);
}

static void a_link_that_ends_half_way_through_a_frame_is_forgotten(void **state)
{
    scene *s = *state;
    start(s);
    client *good = join(s, "good");
    client *bad = join(s, "bad");

    send_bytes(bad, "\0\0\0\x40{\"Stats", 11);
    leave(bad);
    WAIT_UNTIL(s, bad->closed);
    assert_served(good, 1);
    while (miners_listed(s) != 1) { /* the node hears of it in its own time */
        continue;
    }

    assert_exposed(s, "\npqlink_miners 1\n");
}

static void a_stream_that_ends_half_way_through_a_frame_ends_the_link(void **state)
{
    scene *s = *state;
    start(s);
    client *c = join(s, "c");

    give_order(c, (order){.fin = true}, "\0\0\0\x40{", 5);
    WAIT_UNTIL(s, c->closed);

    assert_true(c->why.by_peer);
    assert_int_equal(c->why.code, PQI_CLOSE_DONE);
}

static void a_second_stream_is_not_allowed_and_the_first_goes_on(void **state)
{
    scene *s = *state;
    start(s);
    client *c = join(s, "c");

    give_order(c, (order){.second_stream = true}, NULL, 0);
    WAIT_UNTIL(s, c->second_stream != 1);

    assert_int_equal(c->second_stream, PQL_E_LIMIT);
    assert_served(c, 1);
}

static void a_link_that_says_nothing_is_no_miner(void **state)
{
    scene *s = *state;
    start(s);
    client *mute = stranger(s, NULL, 0);
    WAIT_UNTIL(s, mute->opened);
    client *good = join(s, "good");

    new_job(s);
    WAIT_UNTIL(s, good->jobs == 2);

    assert_int_equal(mute->jobs, 0);
    assert_int_equal(miners_listed(s), 1);
    assert_exposed(s, "\npqlink_miners 1\n");
}

static void a_miner_that_does_not_read_misses_jobs_and_gets_the_newest(void **state)
{
    enum { JOBS = 1200 };
    scene *s = *state;
    sem_t gates[2];
    sem_init(&gates[0], 0, 0);
    sem_init(&gates[1], 0, 0);
    assert_int_equal(pql_context_new(&s->others, &(pql_context_opts){.workers = 1}, NULL), PQL_OK);
    start_node(s, PQL_POLICY_HYBRID, 1);
    client *reader = join(s, "reader");
    client *sleeper = connect_named(s, s->others, "sleeper");
    WAIT_UNTIL(s, sleeper->jobs == 1);
    assert_int_equal(pql_context_run(s->others, 0, block_worker, gates), PQL_OK);
    while (sem_wait(&gates[0]) != 0) {
        continue;
    }

    for (unsigned i = 0; i < JOBS; i++) {
        new_job(s);
        wait_for_workers(s);
    }
    WAIT_UNTIL(s, strcmp(reader->job_id, "job-1201") == 0);
    sem_post(&gates[1]);
    WAIT_UNTIL(s, strcmp(sleeper->job_id, "job-1201") == 0);

    assert_true(sleeper->jobs < JOBS / 2); /* what it did not read was not kept for it */
    assert_false(sleeper->broken);
    assert_served(sleeper, 1);
    sem_destroy(&gates[0]);
    sem_destroy(&gates[1]);
}

static void a_classical_client_is_refused_with_a_reason(void **state)
{
    scene *s = *state;
    start(s);
    const pql_context_opts classical = {.policy = PQL_POLICY_OFF, .workers = 1};
    assert_int_equal(pql_context_new(&s->others, &classical, NULL), PQL_OK);

    client *c = connect_named(s, s->others, "classical");
    WAIT_UNTIL(s, c->closed);

    assert_int_equal(c->why.code, PQI_CLOSE_POLICY);
    assert_non_null(strstr(c->why.reason, "ML-KEM"));
    assert_int_equal(c->jobs, 0);
    assert_int_equal(miners_listed(s), 0);
    assert_exposed(s, "pqlink_rejects_total{reason=\"policy\"} 1\n");
}

static void a_node_without_a_policy_serves_a_classical_client(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_OFF, 1);

    client *c = join(s, "c");

    assert_served(c, 1);
}

/* ---- The end ---- */

static void a_drain_tells_every_miner_why_and_closes(void **state)
{
    scene *s = *state;
    start(s);
    client *miners[] = {join(s, "a"), join(s, "b")};

    pqi_node_service_drain(s->service);
    pql_context_drain(s->node, 60000);

    for (unsigned i = 0; i < 2; i++) {
        WAIT_UNTIL(s, miners[i]->closed);
        assert_int_equal(miners[i]->why.code, PQI_CLOSE_DRAINING);
        assert_int_equal(miners[i]->cancels, 1);
        assert_string_equal(miners[i]->cancel_reason, "draining");
    }
    assert_int_equal(miners_listed(s), 0);
}

static void a_drain_ends_links_that_are_not_ready_too(void **state)
{
    scene *s = *state;
    start(s);
    client *mute = stranger(s, NULL, 0);
    WAIT_UNTIL(s, mute->opened);

    pqi_node_service_drain(s->service);
    WAIT_UNTIL(s, mute->closed);

    assert_int_equal(mute->why.code, PQI_CLOSE_DRAINING);
    assert_int_equal(mute->cancels, 0);
}

static void a_miner_that_comes_during_the_drain_is_sent_away(void **state)
{
    scene *s = *state;
    start(s);

    pqi_node_service_drain(s->service);
    client *late = connect_named(s, s->clients, "late");
    WAIT_UNTIL(s, late->closed);

    assert_int_equal(late->why.code, PQI_CLOSE_DRAINING);
    assert_int_equal(late->jobs, 0);
}

static void a_node_that_is_freed_with_miners_on_it_leaves_nothing(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "a");
    client *b = join(s, "b");

    pql_context_free(s->node);
    s->node = NULL;
    WAIT_UNTIL(s, a->closed && b->closed);

    assert_int_equal(miners_listed(s), 0);
    assert_exposed(s, "\npqlink_miners 0\n");
}

/* ---- What is shown of miners ---- */

static void two_miners_of_one_name_are_two_in_the_status_and_one_in_the_metrics(void **state)
{
    scene *s = *state;
    start(s);
    client *a = join(s, "twin");
    client *b = join(s, "twin");

    send_stats(a, 5000, PQI_NS_PER_SEC);
    send_stats(b, 7000, PQI_NS_PER_SEC);
    assert_served(a, 1);
    WAIT_UNTIL(s, b->jobs == 2);
    assert_served(b, 2);

    wait_for_workers(s);
    assert_int_equal(miners_listed(s), 2);
    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"twin\"} 12000\n");
    assert_exposed(s, "pqlink_miner_results_total{miner=\"twin\",result=\"accepted\"} 2\n");
}

static void the_hash_rate_of_a_miner_that_left_is_taken_away(void **state)
{
    scene *s = *state;
    start(s);
    client *stays = join(s, "twin");
    client *goes = join(s, "twin");
    send_stats(stays, 5000, PQI_NS_PER_SEC);
    send_stats(goes, 7000, PQI_NS_PER_SEC);
    assert_served(stays, 1);
    WAIT_UNTIL(s, goes->jobs == 2);
    assert_served(goes, 2);

    leave(goes);
    while (miners_listed(s) != 1) {
        continue;
    }

    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"twin\"} 5000\n");
}

static void a_boast_does_not_spoil_the_hash_rate_of_others(void **state)
{
    scene *s = *state;
    start(s);
    client *honest = join(s, "twin");
    client *boaster = join(s, "twin");
    send_stats(boaster, UINT64_MAX, PQI_NS_PER_MS);
    assert_served(boaster, 1);
    WAIT_UNTIL(s, honest->jobs == 2);
    send_stats(honest, 5000, PQI_NS_PER_SEC);
    assert_served(honest, 2);

    leave(boaster);
    while (miners_listed(s) != 1) {
        continue;
    }

    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"twin\"} 5000\n");
    assert_int_equal(status_number(s, "twin", "hash_rate"), 5000);
}

static void odd_names_stay_apart_in_the_status(void **state)
{
    scene *s = *state;
    start(s);
    (void)join(s, "..-_");
    (void)join(s, "UPPER.lower_01234567890123456789");
    (void)join(s, NULL);

    assert_int_equal(miners_listed(s), 3);
    assert_int_equal(status_number(s, "..-_", "accepted"), 0);
    assert_int_equal(status_number(s, "UPPER.lower_01234567890123456789", "accepted"), 0);
    assert_int_equal(status_number(s, "unnamed", "accepted"), 0);
    assert_exposed(s, "pqlink_miner_hash_rate{miner=\"unnamed\"} 0\n");
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(every_miner_gets_each_new_job),
        SCENE(a_job_is_sent_to_a_miner_once),
        SCENE(a_node_without_a_job_says_so_and_gives_the_next_one),
        SCENE(a_source_that_falls_idle_cancels_the_job_of_every_miner),
        SCENE(a_crowd_is_served),
        SCENE(a_job_that_found_the_queue_of_a_worker_full_comes_with_the_next_tick),
        SCENE(the_first_result_wins_and_the_second_is_stale),
        SCENE(many_results_at_the_same_time_make_one_block_for_each_job),
        SCENE(a_proof_that_does_not_hold_is_invalid_and_again_a_duplicate),
        SCENE(a_flood_is_counted_and_closed_and_harms_no_other),
        SCENE(a_source_that_cannot_store_keeps_the_job_and_takes_the_result_later),
        SCENE(blocks_of_several_miners_make_a_real_chain),
        SCENE(bytes_that_are_no_frame_close_the_link),
        SCENE(a_frame_over_the_limit_closes_the_link_at_its_length),
        SCENE(a_result_before_ready_closes_the_link),
        SCENE(a_name_that_is_no_name_closes_the_link),
        SCENE(a_link_that_ends_half_way_through_a_frame_is_forgotten),
        SCENE(a_stream_that_ends_half_way_through_a_frame_ends_the_link),
        SCENE(a_second_stream_is_not_allowed_and_the_first_goes_on),
        SCENE(a_link_that_says_nothing_is_no_miner),
        SCENE(a_miner_that_does_not_read_misses_jobs_and_gets_the_newest),
        SCENE(a_classical_client_is_refused_with_a_reason),
        SCENE(a_node_without_a_policy_serves_a_classical_client),
        SCENE(a_drain_tells_every_miner_why_and_closes),
        SCENE(a_drain_ends_links_that_are_not_ready_too),
        SCENE(a_miner_that_comes_during_the_drain_is_sent_away),
        SCENE(a_node_that_is_freed_with_miners_on_it_leaves_nothing),
        SCENE(two_miners_of_one_name_are_two_in_the_status_and_one_in_the_metrics),
        SCENE(the_hash_rate_of_a_miner_that_left_is_taken_away),
        SCENE(a_boast_does_not_spoil_the_hash_rate_of_others),
        SCENE(odd_names_stay_apart_in_the_status),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
