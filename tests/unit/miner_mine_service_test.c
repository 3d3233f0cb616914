/* The miner against a small node in the same process, over loopback.  ctest labels: threads */
#include "test.h"

#include "seen.h"

#include "base/clock.h"
#include "miner/mine_service.h"
#include "miner/session_node.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define URL_SIZE 64
#define ANY_PORT "quic://127.0.0.1:0"
#define EASY 300
/* More than the miner takes in two seconds, should it need so long to read them. */
#define FLOOD (5 * PQI_CLIENT_JOBS_PER_SEC)

/* How the node treats its miners. */
typedef struct manners {
    pqi_miner_verdict verdict; /* for every result */
    bool turn_away;            /* refuses the hello: final for the miner */
    bool no_job;
    unsigned drop_links; /* so many links are closed as draining at the first result */
    bool flood;          /* sends FLOOD messages at once: jobs and cancels in turn */
    bool cancel_first;   /* cancels the first job, and gives another at once */
} manners;

typedef struct scene scene;

/* One miner at the node. */
typedef struct guest {
    scene *owner;
    pql_stream *stream;
    pqi_session_node session;
} guest;

struct scene {
    manners manners;
    pql_identity *identity;
    pql_fingerprint pin;
    pql_context *node;
    char url[URL_SIZE];
    pqi_login_opts login;
    pqi_mine_service *miner;

    pthread_mutex_t lock; /* for what follows */
    pthread_cond_t change;
    char name[PQI_MINER_NAME_MAX + 1];
    unsigned node_results, node_drops, node_links;
    unsigned connected, jobs, found, disconnected, retries, cancelled;
    unsigned verdicts[PQI_VERDICT_COUNT];
    pql_posture posture;
    uint64_t retry_delay, first_retry_delay;
    pql_close retry_why;
    bool ended;
    pql_status end_status;
    char cancel_reason[64];
    char end_sentence[PQL_ERROR_MESSAGE_SIZE];
};

/* ---- The node ---- */

static bool guest_write(void *user, const uint8_t *frame, size_t len)
{
    guest *g = user;
    return pql_stream_write(g->stream, frame, len, false) == PQL_OK;
}

static void guest_close(void *user, uint64_t code, const char *reason)
{
    guest *g = user;
    pql_link_close(pql_stream_link(g->stream), code, reason);
}

static bool guest_hello(void *user, const pqi_miner_hello *hello)
{
    guest *g = user;
    SEEN(g->owner, snprintf(g->owner->name, sizeof(g->owner->name), "%s",
                            hello->name != NULL ? hello->name : ""));
    return !g->owner->manners.turn_away;
}

static void guest_give_job(guest *g, unsigned number)
{
    pqi_miner_job job = {.mining_hash = {(uint8_t)number}};
    snprintf(job.id, sizeof(job.id), "job-%u", number);
    job.difficulty = pqi_u512_from_u64(EASY);
    pqi_session_node_job(&g->session, &job, pqi_clock_monotonic());
}

static void guest_result(void *user, const pqi_miner_result *result)
{
    guest *g = user;
    scene *s = g->owner;
    bool drop = false;
    unsigned number = 0;
    SEEN(s, number = ++s->node_results; drop = s->node_drops < s->manners.drop_links;
         s->node_drops += drop);
    if (drop) {
        pqi_session_node_close(&g->session, PQI_CLOSE_DRAINING);
        return;
    }
    (void)pqi_session_node_verdict(&g->session, result->ticket, s->manners.verdict, NULL, number,
                                   pqi_clock_monotonic());
    guest_give_job(g, number + 1);
}

static const pqi_session_node_events guest_events = {guest_write, guest_close, guest_hello,
                                                     guest_result};

static void node_stream_open(pql_stream *stream, void *user)
{
    guest *g = calloc(1, sizeof(*g));
    const uint64_t now = pqi_clock_monotonic();
    assert_non_null(g);
    g->owner = user;
    g->stream = stream;
    pql_stream_set_data(stream, g);
    SEEN(g->owner, g->owner->node_links++);
    pqi_session_node_init(&g->session, PQI_MINER_PQ1, &guest_events, g, now);
    if (!g->owner->manners.no_job) {
        guest_give_job(g, 1);
    }
}

static void guest_flood(guest *g)
{
    for (unsigned i = 0; i < FLOOD; i += 2) {
        guest_give_job(g, i);
        pqi_session_node_cancel(&g->session, "flood", pqi_clock_monotonic());
    }
}

static void node_stream_data(pql_stream *stream, const uint8_t *data, size_t len, bool fin,
                             void *user)
{
    guest *g = pql_stream_data(stream);
    (void)fin;
    (void)user;
    pqi_session_node_bytes(&g->session, data, len, pqi_clock_monotonic());
    if (g->owner->manners.flood && pqi_session_node_active(&g->session)) {
        guest_flood(g);
    }
    if (g->owner->manners.cancel_first && pqi_session_node_active(&g->session)) {
        g->owner->manners.cancel_first = false; /* one link, one worker */
        pqi_session_node_cancel(&g->session, "syncing", pqi_clock_monotonic());
        guest_give_job(g, 100);
    }
}

static void node_stream_close(pql_stream *stream, uint64_t code, void *user)
{
    (void)code;
    (void)user;
    free(pql_stream_data(stream));
}

static const pql_handlers node_handlers = {.stream_open = node_stream_open,
                                           .stream_data = node_stream_data,
                                           .stream_close = node_stream_close};

static void start_node(scene *s, pql_policy policy)
{
    static const pql_alpn alpn = {"pqlink-miner/1", PQL_LEAF_PQ};
    const pql_listen_opts listen = {
        .alpn = &alpn, .alpn_count = 1, .handlers = &node_handlers, .user = s};
    const pql_context_opts opts = {.identity = s->identity, .policy = policy, .workers = 1};
    pql_listener *listener = NULL;
    assert_int_equal(pql_context_new(&s->node, &opts, NULL), PQL_OK);
    assert_int_equal(pql_listen(s->node, s->url, &listen, &listener, NULL), PQL_OK);
    if (strcmp(s->url, ANY_PORT) == 0) { /* else it is where it was, and a miner may read this */
        snprintf(s->url, sizeof(s->url), "quic://127.0.0.1:%u",
                 (unsigned)pql_listener_port(listener));
    }
}

static void stop_node(scene *s)
{
    pql_context_free(s->node);
    s->node = NULL;
}

/* ---- The miner ---- */

static void on_connected(void *user, const pqi_client_connected *link)
{
    scene *s = user;
    SEEN(s, s->connected++; s->posture = link->posture);
}

static void on_job(void *user, const pqi_miner_job *job)
{
    scene *s = user;
    (void)job;
    SEEN(s, s->jobs++);
}

static void on_cancelled(void *user, const char *reason)
{
    scene *s = user;
    SEEN(s, s->cancelled++; snprintf(s->cancel_reason, sizeof(s->cancel_reason), "%s", reason));
}

static void on_found(void *user, const pqi_solution *solution)
{
    scene *s = user;
    (void)solution;
    SEEN(s, s->found++);
}

static void on_answered(void *user, const pqi_miner_ack *ack)
{
    scene *s = user;
    SEEN(s, s->verdicts[ack->verdict]++);
}

static void on_disconnected(void *user, const pql_close *why)
{
    scene *s = user;
    (void)why;
    SEEN(s, s->disconnected++);
}

static void on_retrying(void *user, const pqi_client_trouble *what)
{
    scene *s = user;
    SEEN(s, s->retries++; s->retry_delay = what->delay_ns; s->retry_why = *what->why;
         s->first_retry_delay = s->retries == 1 ? what->delay_ns : s->first_retry_delay);
}

static void on_ended(void *user, pql_status status, const char *sentence)
{
    scene *s = user;
    SEEN(s, s->ended = true; s->end_status = status;
         snprintf(s->end_sentence, sizeof(s->end_sentence), "%s", sentence));
}

static pqi_mine_service_opts miner_opts(scene *s)
{
    s->login =
        (pqi_login_opts){.url = s->url, .text = s->url, .peer = {.pins = &s->pin, .pin_count = 1}};
    return (pqi_mine_service_opts){.nodes = &s->login,
                                   .node_count = 1,
                                   .name = "test rig",
                                   .threads = 1,
                                   .timing = {.first = PQI_NS_PER_MS, .most = 4 * PQI_NS_PER_MS},
                                   .events = {.connected = on_connected,
                                              .job = on_job,
                                              .cancelled = on_cancelled,
                                              .found = on_found,
                                              .answered = on_answered,
                                              .disconnected = on_disconnected,
                                              .retrying = on_retrying,
                                              .ended = on_ended},
                                   .user = s};
}

static void start_miner(scene *s, const pqi_mine_service_opts *opts)
{
    pql_error err = {0};
    assert_int_equal(pqi_mine_service_start(&s->miner, opts, &err), PQL_OK);
}

static pqi_mine_status status_of(scene *s)
{
    pqi_mine_status status;
    pqi_mine_service_status(s->miner, &status);
    return status;
}

static int setup(void **state)
{
    scene *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    pthread_mutex_init(&s->lock, NULL);
    pthread_cond_init(&s->change, NULL);
    snprintf(s->url, sizeof(s->url), ANY_PORT);
    assert_int_equal(pql_identity_ephemeral(&s->identity, NULL, NULL), PQL_OK);
    pql_identity_fingerprint(s->identity, PQL_LEAF_PQ, PQL_FINGERPRINT_CERT, &s->pin);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    scene *s = *state;
    pqi_mine_service_free(s->miner);
    stop_node(s);
    pql_identity_free(s->identity);
    pthread_cond_destroy(&s->change);
    pthread_mutex_destroy(&s->lock);
    free(s);
    return 0;
}

static void results_are_accepted_until_there_are_enough(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_HYBRID);
    pqi_mine_service_opts opts = miner_opts(s);
    opts.max_blocks = 3;

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_OK);
    /* One that was on its way when there were enough may be answered too. */
    assert_in_range(s->verdicts[PQI_VERDICT_ACCEPTED], 3, 4);
    const pqi_mine_status status = status_of(s);
    assert_int_equal(status.verdicts[PQI_VERDICT_ACCEPTED], s->verdicts[PQI_VERDICT_ACCEPTED]);
    assert_int_equal(status.links, 1);
    assert_true(status.height >= 3);
    assert_true(status.ended);
    assert_false(status.working);
    assert_true(status.hashes > 0);
}

static void the_link_is_hybrid_and_pinned_and_the_node_hears_the_name(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_HYBRID);
    const pqi_mine_service_opts opts = miner_opts(s);

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->jobs > 0);

    assert_int_equal(s->posture.group, 0x11ec);
    assert_int_equal(s->posture.peer_signature, 0x0906);
    assert_int_equal(s->posture.trust, PQL_TRUST_PIN);
    pthread_mutex_lock(&s->lock);
    assert_string_equal(s->name, "test-rig");
    pthread_mutex_unlock(&s->lock);
}

static void refused_results_do_not_stop_the_miner(void **state)
{
    scene *s = *state;
    s->manners.verdict = PQI_VERDICT_REJECTED;
    start_node(s, PQL_POLICY_HYBRID);
    pqi_mine_service_opts opts = miner_opts(s);
    opts.max_blocks = 1;

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->verdicts[PQI_VERDICT_REJECTED] >= 3);

    assert_false(s->ended);
    assert_int_equal(s->verdicts[PQI_VERDICT_ACCEPTED], 0);
}

static void a_dropped_link_is_made_again_and_work_goes_on(void **state)
{
    scene *s = *state;
    s->manners.drop_links = 2;
    start_node(s, PQL_POLICY_HYBRID);
    pqi_mine_service_opts opts = miner_opts(s);
    opts.max_blocks = 1;

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_OK);
    assert_int_equal(s->connected, 3);
    assert_int_equal(s->disconnected, 3);
    assert_int_equal(s->retries, 2);
}

static void a_node_that_comes_back_gets_its_miner_back(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_HYBRID);
    const pqi_mine_service_opts opts = miner_opts(s);
    start_miner(s, &opts);
    WAIT_UNTIL(s, s->verdicts[PQI_VERDICT_ACCEPTED] > 0);

    stop_node(s);
    WAIT_UNTIL(s, s->retries >= 3);
    const pqi_mine_status away = status_of(s);
    start_node(s, PQL_POLICY_HYBRID);
    WAIT_UNTIL(s, s->connected == 2);

    assert_false(away.connected);
    assert_false(away.working);
}

static void a_node_that_is_not_there_is_tried_again_with_growing_pauses(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_HYBRID);
    stop_node(s);
    const pqi_mine_service_opts opts = miner_opts(s);

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->retries >= 4);

    pthread_mutex_lock(&s->lock);
    assert_in_range(s->first_retry_delay, 750000, 1250000);
    assert_in_range(s->retry_delay, 3000000, 5000000);
    assert_int_equal(s->retry_why.status, PQL_E_NETWORK);
    assert_false(s->ended);
    pthread_mutex_unlock(&s->lock);
    assert_int_equal(status_of(s).hashes, 0);
}

static void a_wrong_pin_ends_the_miner_with_both_fingerprints(void **state)
{
    scene *s = *state;
    char came[PQL_FINGERPRINT_SIZE];
    char expected[PQL_FINGERPRINT_SIZE];
    start_node(s, PQL_POLICY_HYBRID);
    pqi_mine_service_opts opts = miner_opts(s);
    pql_fingerprint wrong = s->pin;
    wrong.sha256[0] ^= 1;
    s->login.peer.pins = &wrong;
    pql_fingerprint_format(&s->pin, came);
    pql_fingerprint_format(&wrong, expected);

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_E_TRUST);
    assert_non_null(strstr(s->end_sentence, came));
    assert_non_null(strstr(s->end_sentence, expected));
    assert_int_equal(s->connected, 0);
    assert_int_equal(s->node_links, 0);
}

static void a_node_without_a_common_policy_ends_the_miner(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_OFF);
    pqi_mine_service_opts opts = miner_opts(s);
    opts.links.policy = PQL_POLICY_PQ_ONLY;

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_E_POLICY);
}

static void a_node_that_turns_us_away_for_good_ends_the_miner(void **state)
{
    scene *s = *state;
    s->manners.turn_away = true;
    start_node(s, PQL_POLICY_HYBRID);
    const pqi_mine_service_opts opts = miner_opts(s);

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_E_REFUSED);
    assert_int_equal(s->retries, 0);
}

static void nothing_is_hashed_while_the_node_has_no_job(void **state)
{
    scene *s = *state;
    s->manners.no_job = true;
    start_node(s, PQL_POLICY_HYBRID);
    const pqi_mine_service_opts opts = miner_opts(s);

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->name[0] != '\0');

    const pqi_mine_status status = status_of(s);
    assert_true(status.connected);
    assert_false(status.working);
    assert_int_equal(status.hashes, 0);
    assert_string_equal(status.job.id, "");
}

static void a_cancelled_job_is_followed_by_the_next(void **state)
{
    scene *s = *state;
    s->manners.cancel_first = true;
    start_node(s, PQL_POLICY_HYBRID);
    pqi_mine_service_opts opts = miner_opts(s);
    opts.max_blocks = 1;

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->cancelled, 1);
    assert_string_equal(s->cancel_reason, "syncing");
    assert_int_equal(s->end_status, PQL_OK);
}

static void a_node_that_floods_the_miner_with_jobs_is_left_and_tried_again(void **state)
{
    scene *s = *state;
    s->manners.no_job = true;
    s->manners.flood = true;
    start_node(s, PQL_POLICY_HYBRID);
    const pqi_mine_service_opts opts = miner_opts(s);

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->connected == 2);

    pthread_mutex_lock(&s->lock);
    assert_int_equal(s->retry_why.code, PQI_CLOSE_FLOOD);
    assert_int_equal(s->retry_why.status, PQL_E_PROTOCOL);
    assert_false(s->retry_why.by_peer);
    assert_false(s->ended);
    pthread_mutex_unlock(&s->lock);
}

static void stopping_closes_the_link_and_keeps_the_numbers(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_HYBRID);
    const pqi_mine_service_opts opts = miner_opts(s);
    start_miner(s, &opts);
    WAIT_UNTIL(s, s->verdicts[PQI_VERDICT_ACCEPTED] > 0);

    pqi_mine_service_stop(s->miner);
    pqi_mine_service_stop(s->miner);

    const pqi_mine_status status = status_of(s);
    assert_false(status.connected);
    assert_false(status.working);
    assert_true(status.hashes > 0);
    assert_int_equal(s->disconnected, 1);
    assert_int_equal(s->retries, 0);
    assert_false(s->ended);
}

static void a_stop_does_not_wait_for_the_next_attempt(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_HYBRID);
    stop_node(s);
    pqi_mine_service_opts opts = miner_opts(s);
    opts.timing.first = 1000 * PQI_NS_PER_SEC; /* the test would time out */
    opts.timing.most = opts.timing.first;

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->retries == 1);
    pqi_mine_service_stop(s->miner);

    assert_int_equal(s->retries, 1);
}

static void the_hash_rate_is_measured_between_samples(void **state)
{
    scene *s = *state;
    s->manners.verdict = PQI_VERDICT_STALE;
    start_node(s, PQL_POLICY_HYBRID);
    const pqi_mine_service_opts opts = miner_opts(s);
    start_miner(s, &opts);

    pqi_mine_service_sample(s->miner, 10 * PQI_NS_PER_SEC);
    WAIT_UNTIL(s, s->verdicts[PQI_VERDICT_STALE] > 0);
    pqi_mine_service_sample(s->miner, 12 * PQI_NS_PER_SEC);

    assert_true(status_of(s).hash_rate > 0);
}

static void settings_that_cannot_work_end_the_miner_at_once(void **state)
{
    scene *s = *state;
    start_node(s, PQL_POLICY_HYBRID);
    pqi_mine_service_opts opts = miner_opts(s);
    s->login.peer = (pql_peer){.ca_file = "/no/such/file.pem"};

    start_miner(s, &opts);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_E_IO);
    assert_non_null(strstr(s->end_sentence, "/no/such/file.pem"));
}

static void a_host_name_is_made_a_name_that_nodes_take(void **state)
{
    (void)state;
    char name[PQI_MINER_NAME_MAX + 1];

    pqi_miner_name_clean(name, "Rig_1.example");
    assert_string_equal(name, "Rig_1.example");
    pqi_miner_name_clean(name, "gr\xc3\xbc\xc3\x9f");
    assert_true(pqi_miner_name_ok(name));
    pqi_miner_name_clean(name, "0123456789012345678901234567890123456789");
    assert_string_equal(name, "01234567890123456789012345678901");
    pqi_miner_name_clean(name, "");
    assert_string_equal(name, "miner");
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(results_are_accepted_until_there_are_enough),
        SCENE(the_link_is_hybrid_and_pinned_and_the_node_hears_the_name),
        SCENE(refused_results_do_not_stop_the_miner),
        SCENE(a_dropped_link_is_made_again_and_work_goes_on),
        SCENE(a_node_that_comes_back_gets_its_miner_back),
        SCENE(a_node_that_is_not_there_is_tried_again_with_growing_pauses),
        SCENE(a_wrong_pin_ends_the_miner_with_both_fingerprints),
        SCENE(a_node_without_a_common_policy_ends_the_miner),
        SCENE(a_node_that_turns_us_away_for_good_ends_the_miner),
        SCENE(nothing_is_hashed_while_the_node_has_no_job),
        SCENE(a_cancelled_job_is_followed_by_the_next),
        SCENE(a_node_that_floods_the_miner_with_jobs_is_left_and_tried_again),
        SCENE(stopping_closes_the_link_and_keeps_the_numbers),
        SCENE(a_stop_does_not_wait_for_the_next_attempt),
        SCENE(the_hash_rate_is_measured_between_samples),
        SCENE(settings_that_cannot_work_end_the_miner_at_once),
        cmocka_unit_test(a_host_name_is_made_a_name_that_nodes_take),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
