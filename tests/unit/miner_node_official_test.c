/* Official miners, tokens and shares at the node's miner service, over real links on loopback.
 * ctest labels: threads */
#include "test.h"

#include "miner_node_scene.h"

#define TOKEN "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define ALERT_NO_PROTOCOL 0x178

static void start_official(scene *s)
{
    assert_int_equal(pqi_tokens_single(&s->tokens, "default", TOKEN, NULL), PQL_OK);
    start(s);
}

static client *joined(client *c)
{
    scene *s = c->owner;
    WAIT_UNTIL(s, c->closed || c->jobs > 0);
    assert_string_equal(c->why.reason, "");
    return c;
}

/* An official miner that has got its first job. */
static client *join_official(scene *s, const char *token)
{
    return joined(official(s, token));
}

static client *join_with_token(scene *s, const char *token, const char *name)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const pqi_miner_message m = {.type = PQI_MINER_READY, .ready = {.token = token, .name = name}};
    const size_t len = encode(&m, frame);
    return connect_with(s, s->clients, frame, len);
}

static void assert_status_text(scene *s, const char *name, const char *key, const char *wanted)
{
    json_t *root = status_of(s);
    json_t *row;
    size_t index;
    bool found = false;
    json_array_foreach(json_object_get(root, "miners"), index, row)
    {
        if (strcmp(json_string_value(json_object_get(row, "name")), name) == 0) {
            found = true;
            assert_string_equal(json_string_value(json_object_get(row, key)), wanted);
        }
    }
    json_decref(root);
    assert_true(found);
}

/* Closed by the node as an official miner sees it: code 0, and this reason. */
static void assert_sent_away(client *c, const char *reason)
{
    scene *s = c->owner;
    WAIT_UNTIL(s, c->closed);
    assert_true(c->why.by_peer);
    assert_true(c->why.application);
    assert_int_equal(c->why.code, 0);
    assert_string_equal(c->why.reason, reason);
}

/* ---- Who is served ---- */

static void an_official_miner_gets_the_current_job_after_its_ready(void **state)
{
    scene *s = *state;
    start_official(s);

    client *c = join_official(s, TOKEN);

    assert_string_equal(c->job_id, "job-1");
    assert_false(c->broken);
    assert_status_text(s, "default", "protocol", "quantus-miner/2");
    assert_status_text(s, "default", "token", "default");
    assert_status_text(s, "default", "group", "X25519");
    assert_status_text(s, "default", "signature", "ecdsa_secp256r1_sha256");
    assert_exposed(s, "pqlink_miners_by_protocol{protocol=\"quantus-miner/2\"} 1\n");
    assert_exposed(s, "pqlink_miners_by_protocol{protocol=\"pqlink-miner/1\"} 0\n");
}

static void official_miners_and_ours_share_a_port_and_its_jobs(void **state)
{
    scene *s = *state;
    start_official(s);
    client *theirs = join_official(s, TOKEN);
    client *ours = join(s, "ours");

    new_job(s);
    WAIT_UNTIL(s, theirs->jobs == 2 && ours->jobs == 2);

    assert_string_equal(theirs->job_id, "job-2");
    assert_string_equal(ours->job_id, "job-2");
}

static void a_wrong_token_ends_an_official_miner_with_the_words_that_stop_it(void **state)
{
    scene *s = *state;
    start_official(s);

    client *c = official(s, "0123");

    assert_sent_away(c, "auth failed");
    assert_int_equal(c->jobs, 0);
    assert_int_equal(miners_listed(s), 0);
    assert_exposed(s, "pqlink_rejects_total{reason=\"token\"} 1\n");
}

static void a_first_message_that_is_no_ready_does_not_stop_an_official_miner_for_good(void **state)
{
    static const char bytes[] = "\0\0\0\2{}";
    scene *s = *state;
    start_official(s);

    client *c = connect_as(s, classical_context(s), PQI_MINER_V2, bytes, sizeof(bytes) - 1);

    assert_sent_away(c, "protocol error");
}

static void a_node_without_tokens_does_not_speak_the_official_protocol(void **state)
{
    scene *s = *state;
    start(s);

    client *c = official(s, TOKEN);
    WAIT_UNTIL(s, c->closed);

    assert_false(c->opened);
    assert_int_equal(c->why.code, ALERT_NO_PROTOCOL);
}

static const pql_peer with_certificate = {.insecure = true};

static void a_node_that_asks_for_certificates_does_not_speak_the_official_protocols(void **state)
{
    scene *s = *state;
    s->more.clients = &with_certificate;
    start_official(s);

    client *c = official(s, TOKEN);
    WAIT_UNTIL(s, c->closed);

    assert_false(c->opened);
    assert_int_equal(c->why.code, ALERT_NO_PROTOCOL);
}

static void where_everybody_needs_a_token_official_miners_need_no_certificate(void **state)
{
    scene *s = *state;
    s->more.clients = &with_certificate;
    s->more.token_required = true;
    start_official(s);

    (void)join_official(s, TOKEN);
    client *ours = connect_named(s, s->clients, "bare");
    WAIT_UNTIL(s, ours->closed);

    assert_int_equal(ours->why.status, PQL_E_TRUST);
    assert_int_equal(ours->jobs, 0);
}

static void a_node_that_is_pq_only_does_not_speak_the_official_protocols(void **state)
{
    scene *s = *state;
    s->more.allow_v1 = true;
    assert_int_equal(pqi_tokens_single(&s->tokens, "default", TOKEN, NULL), PQL_OK);
    start_node(s, PQL_POLICY_PQ_ONLY, NODE_WORKERS);

    client *v1 = official(s, NULL);
    WAIT_UNTIL(s, v1->closed && s->refused[0] != '\0');
    s->refused[0] = '\0';
    client *v2 = official(s, TOKEN);
    WAIT_UNTIL(s, v2->closed && s->refused[0] != '\0');

    assert_false(v2->opened || v1->opened);
    assert_non_null(strstr(s->refused, "pq-only"));
}

static void a_miner_of_v1_is_refused_unless_it_was_asked_for(void **state)
{
    scene *s = *state;
    start_official(s);

    client *c = official(s, NULL);
    WAIT_UNTIL(s, c->closed);

    assert_false(c->opened);
    assert_int_equal(c->why.code, ALERT_NO_PROTOCOL);
    assert_null(strcasestr(c->why.reason, "auth"));
    WAIT_UNTIL(s, s->refused[0] != '\0'); /* what the log of the node says */
    assert_non_null(strstr(s->refused, "--allow-v1"));
}

static void a_miner_of_v1_is_served_on_request_without_a_token(void **state)
{
    scene *s = *state;
    s->more.allow_v1 = true;
    start_official(s);

    client *c = join_official(s, NULL);

    assert_false(c->broken);
    assert_status_text(s, "unnamed", "protocol", "quantus-miner");
    assert_status_text(s, "unnamed", "token", "");
}

/* ---- Jobs and results ---- */

static void send_official_result(client *c, const char *job_id, uint64_t nonce)
{
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const size_t len = encode_result(job_id, nonce, frame);
    send_bytes(c, frame, len);
}

static void a_block_of_an_official_miner_brings_it_the_next_job_and_not_the_old_one(void **state)
{
    scene *s = *state;
    start_official(s);
    client *c = join_official(s, TOKEN);

    send_official_result(c, "job-1", 7);
    WAIT_UNTIL(s, strcmp(c->job_id, "job-2") == 0);

    assert_int_equal(c->jobs, 2);
    assert_int_equal(pqi_node_service_blocks(s->service), 1);
    wait_for_workers(s);
    assert_int_equal(status_number(s, "default", "blocks"), 1);
    assert_int_equal(status_number(s, "default", "shares"), 0);
}

static void an_official_miner_whose_result_is_refused_gets_the_job_again(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.hard, true);
    start_official(s);
    client *c = join_official(s, TOKEN);

    send_official_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->jobs == 2);

    assert_string_equal(c->job_id, "job-1");
}

static void a_result_without_work_is_borne(void **state)
{
    scene *s = *state;
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    const pqi_miner_message m = {.type = PQI_MINER_JOB_RESULT,
                                 .job_result = {.status = PQI_MINER_STATUS_COMPLETED,
                                                .job_id = "job-1",
                                                .nonce = "7",
                                                .miner_id = PQI_MINER_NO_NUMBER}};
    start_official(s);
    client *c = join_official(s, TOKEN);

    const size_t len = encode_as(PQI_MINER_V2, &m, frame);
    send_bytes(c, frame, len);
    WAIT_UNTIL(s, c->jobs == 2);
    send_official_result(c, "job-1", 7);
    WAIT_UNTIL(s, strcmp(c->job_id, "job-2") == 0);

    assert_false(c->closed);
}

static void nine_results_in_one_piece_are_judged_one_by_one(void **state)
{
    enum { RESULTS = 9 };
    scene *s = *state;
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    pqi_buf all = {0};
    atomic_store(&s->fake.hard, true);
    start_official(s);
    client *c = join_official(s, TOKEN);
    for (unsigned i = 1; i <= RESULTS; i++) {
        const size_t len = encode_result("job-1", i, frame);
        assert_true(pqi_buf_append(&all, frame, len));
    }

    send_bytes(c, all.data, all.len);
    WAIT_UNTIL(s, c->jobs == 1 + RESULTS);

    wait_for_workers(s);
    assert_int_equal(status_number(s, "default", "invalid"), RESULTS);
    pqi_buf_free(&all);
}

static void a_new_job_while_a_result_is_half_received_harms_neither(void **state)
{
    scene *s = *state;
    uint8_t frame[PQI_FRAME_SIZE_MAX];
    start_official(s);
    client *c = join_official(s, TOKEN);
    const size_t len = encode_result("job-1", 7, frame);

    send_bytes(c, frame, len / 2);
    new_job(s);
    WAIT_UNTIL(s, c->jobs == 2);
    send_bytes(c, frame + len / 2, len - len / 2);
    send_official_result(c, "job-2", 8);
    WAIT_UNTIL(s, strcmp(c->job_id, "job-3") == 0);

    wait_for_workers(s);
    assert_int_equal(status_number(s, "default", "stale"), 1);
    assert_int_equal(status_number(s, "default", "accepted"), 1);
    assert_false(c->broken);
}

/* ---- Shares ---- */

static void a_share_counts_and_brings_an_official_miner_its_job_again(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.hard, true);
    s->more.share_difficulty = pqi_u512_from_u64(1);
    start_official(s);
    client *c = join_official(s, TOKEN);

    send_official_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->jobs == 2);

    const pqi_u512 one = pqi_u512_from_u64(1);
    assert_string_equal(c->job_id, "job-1");
    assert_int_equal(pqi_u512_compare(&c->job.difficulty, &one), 0);
    wait_for_workers(s);
    assert_int_equal(status_number(s, "default", "shares"), 1);
    assert_int_equal(status_number(s, "default", "accepted"), 1);
    assert_int_equal(status_number(s, "default", "blocks"), 0);
    assert_int_equal(pqi_node_service_blocks(s->service), 0);
    assert_exposed(s, "pqlink_miner_shares_total{miner=\"default\"} 1\n");
    assert_exposed(s, "pqlink_miner_work_total{miner=\"default\"} 1\n");
}

static void a_share_of_our_miner_is_accepted_with_that_word(void **state)
{
    scene *s = *state;
    atomic_store(&s->fake.hard, true);
    s->more.share_difficulty = pqi_u512_from_u64(1);
    start(s);
    client *c = join(s, "c");

    send_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->acks[PQI_VERDICT_ACCEPTED] == 1);

    assert_string_equal(c->ack_reason, "share");
    assert_true(c->height == PQI_MINER_NO_NUMBER);
    assert_int_equal(c->jobs, 1);
}

static void a_result_below_the_difficulty_of_shares_is_invalid(void **state)
{
    scene *s = *state;
    uint8_t hard[PQI_MINER_WORK_SIZE] = {0x40};
    atomic_store(&s->fake.hard, true);
    s->more.share_difficulty = pqi_u512_from_bytes(hard);
    start(s);
    client *c = join(s, "c");

    send_result(c, "job-1", 7);
    WAIT_UNTIL(s, c->acks[PQI_VERDICT_INVALID] == 1);

    assert_int_equal(status_number(s, "c", "shares"), 0);
}

static void the_difficulty_of_shares_never_makes_a_job_harder(void **state)
{
    scene *s = *state;
    s->more.share_difficulty = pqi_u512_from_u64(1000);
    start(s);
    client *c = join(s, "c");

    const pqi_u512 one = pqi_u512_from_u64(1);
    assert_int_equal(pqi_u512_compare(&c->job.difficulty, &one), 0);
    assert_served(c, 7);
    assert_int_equal(pqi_node_service_blocks(s->service), 1);
}

/* ---- Tokens ---- */

static void a_token_gives_a_miner_its_name(void **state)
{
    scene *s = *state;
    start_with_tokens(s, "shed:one\ncellar:two\n");

    (void)join_official(s, "one");
    client *ours = joined(join_with_token(s, "two", "calls-itself-this"));

    assert_served(ours, 7);
    assert_status_text(s, "shed", "token", "shed");
    assert_status_text(s, "cellar", "protocol", "pqlink-miner/1");
    assert_int_equal(miners_listed(s), 2);
}

static void a_pool_token_names_the_worker_too(void **state)
{
    scene *s = *state;
    start_with_tokens(s, "acme:qzAddress.*\n");

    (void)join_official(s, "qzAddress.rig-1");

    assert_status_text(s, "acme.rig-1", "token", "acme");
}

static void our_miner_without_a_token_is_refused_where_one_is_needed(void **state)
{
    scene *s = *state;
    start_with_tokens(s, "shed:one\n");

    client *none = connect_named(s, s->clients, "shed");
    client *wrong = join_with_token(s, "two", NULL);
    WAIT_UNTIL(s, none->closed && wrong->closed);

    assert_int_equal(none->why.code, PQI_CLOSE_REFUSED);
    assert_int_equal(wrong->why.code, PQI_CLOSE_REFUSED);
    assert_int_equal(miners_listed(s), 0);
}

static void our_miner_needs_no_token_where_there_is_no_list(void **state)
{
    scene *s = *state;
    start_official(s);

    client *c = joined(join_with_token(s, "whatever", "c"));

    assert_status_text(s, "c", "token", "");
    assert_served(c, 7);
}

/* As SIGHUP does it. */
static void reload_tokens(scene *s)
{
    pqi_tokens_fresh *fresh = NULL;
    if (pqi_tokens_read(s->tokens, &fresh, NULL) == PQL_OK) {
        pqi_tokens_take(s->tokens, fresh);
        pqi_node_service_check_grants(s->service);
    }
}

static void a_token_that_is_taken_away_ends_its_links_and_no_others(void **state)
{
    scene *s = *state;
    start_with_tokens(s, "a:one\nb:two\nc:three\n");
    client *theirs = join_official(s, "one");
    client *ours = joined(join_with_token(s, "two", NULL));
    client *stays = joined(join_with_token(s, "three", NULL));

    (void)write_tokens(s, "# two are gone, one has another name\nd:three\n");
    reload_tokens(s);
    (void)pqi_node_service_tick(s->service);

    assert_sent_away(theirs, "auth failed");
    WAIT_UNTIL(s, ours->closed);
    assert_int_equal(ours->why.code, PQI_CLOSE_REFUSED);
    assert_served(stays, 7);
    assert_sent_away(official(s, "one"), "auth failed");
}

static void a_changed_list_is_taken_without_a_word(void **state)
{
    scene *s = *state;
    start_with_tokens(s, "a:one\n");
    client *before = join_official(s, "one");

    bool closed = false;
    (void)write_tokens(s, "b:two\n");
    while (!closed) { /* the tick looks once a second, whoever calls it how often */
        (void)pqi_node_service_tick(s->service);
        SEEN(s, closed = before->closed);
    }

    assert_string_equal(before->why.reason, "auth failed");
    (void)join_official(s, "two");
}

static void a_list_with_a_mistake_changes_nothing(void **state)
{
    scene *s = *state;
    start_with_tokens(s, "a:one\n");
    client *c = joined(join_with_token(s, "one", NULL));

    (void)write_tokens(s, "b:two\nno token here\n");
    reload_tokens(s);
    (void)pqi_node_service_tick(s->service);

    assert_served(c, 7);
    (void)join_official(s, "one");
    assert_sent_away(official(s, "two"), "auth failed");
}

/* ---- Strangers ---- */

static void silent_strangers_push_out_each_other_and_no_miner(void **state)
{
    enum { STRANGERS = 33, MOST = 32 };
    scene *s = *state;
    client *strangers[STRANGERS];
    s->more.max_waiting = MOST;
    assert_int_equal(pqi_tokens_single(&s->tokens, "default", TOKEN, NULL), PQL_OK);
    start_node(s, PQL_POLICY_HYBRID, 1);
    client *here = join_official(s, TOKEN);
    for (unsigned i = 0; i < STRANGERS; i++) {
        strangers[i] = connect_as(s, classical_context(s), PQI_MINER_V2, NULL, 0);
        WAIT_UNTIL(s, strangers[i]->opened);
    }

    client *late = join_official(s, TOKEN);

    assert_sent_away(strangers[0], "too many strangers");
    send_official_result(late, "job-1", 7);
    WAIT_UNTIL(s, strcmp(late->job_id, "job-2") == 0 && strcmp(here->job_id, "job-2") == 0);
    assert_false(strangers[STRANGERS - 1]->closed);
    assert_int_equal(miners_listed(s), 2);
}

static void miners_that_left_make_no_room_of_those_that_wait(void **state)
{
    enum { MINERS = 8 };
    scene *s = *state;
    s->more.max_waiting = 1;
    assert_int_equal(pqi_tokens_single(&s->tokens, "default", TOKEN, NULL), PQL_OK);
    start_node(s, PQL_POLICY_HYBRID, 1);

    for (unsigned i = 0; i < MINERS; i++) {
        client *c = join_official(s, TOKEN);
        client *mute = connect_as(s, classical_context(s), PQI_MINER_V2, NULL, 0);
        WAIT_UNTIL(s, mute->opened);
        leave(i % 2 == 0 ? c : mute);
        WAIT_UNTIL(s, c->closed || mute->closed);
    }

    (void)join_official(s, TOKEN);
}

/* ---- Listeners, the end ---- */

static void one_service_listens_on_several_addresses(void **state)
{
    scene *s = *state;
    pql_listener *second = NULL;
    start_official(s);
    client *here = join_official(s, TOKEN);
    assert_int_equal(
        pqi_node_service_listen(s->service, s->node, "quic://127.0.0.2:0", &second, NULL), PQL_OK);
    (void)snprintf(s->url, sizeof(s->url), "quic://127.0.0.2:%u",
                   (unsigned)pql_listener_port(second));

    client *there = join_official(s, TOKEN);
    new_job(s);
    WAIT_UNTIL(s, here->jobs == 2 && there->jobs == 2);

    assert_int_equal(miners_listed(s), 2);
}

static void a_drain_does_not_stop_an_official_miner_for_good(void **state)
{
    scene *s = *state;
    start_official(s);
    client *c = join_official(s, TOKEN);

    pqi_node_service_drain(s->service);

    assert_sent_away(c, "draining");
}

#define SCENE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_official_miner_gets_the_current_job_after_its_ready),
        SCENE(official_miners_and_ours_share_a_port_and_its_jobs),
        SCENE(a_wrong_token_ends_an_official_miner_with_the_words_that_stop_it),
        SCENE(a_first_message_that_is_no_ready_does_not_stop_an_official_miner_for_good),
        SCENE(a_node_without_tokens_does_not_speak_the_official_protocol),
        SCENE(a_node_that_asks_for_certificates_does_not_speak_the_official_protocols),
        SCENE(where_everybody_needs_a_token_official_miners_need_no_certificate),
        SCENE(a_node_that_is_pq_only_does_not_speak_the_official_protocols),
        SCENE(a_miner_of_v1_is_refused_unless_it_was_asked_for),
        SCENE(a_miner_of_v1_is_served_on_request_without_a_token),
        SCENE(a_block_of_an_official_miner_brings_it_the_next_job_and_not_the_old_one),
        SCENE(an_official_miner_whose_result_is_refused_gets_the_job_again),
        SCENE(a_result_without_work_is_borne),
        SCENE(nine_results_in_one_piece_are_judged_one_by_one),
        SCENE(a_new_job_while_a_result_is_half_received_harms_neither),
        SCENE(a_share_counts_and_brings_an_official_miner_its_job_again),
        SCENE(a_share_of_our_miner_is_accepted_with_that_word),
        SCENE(a_result_below_the_difficulty_of_shares_is_invalid),
        SCENE(the_difficulty_of_shares_never_makes_a_job_harder),
        SCENE(a_token_gives_a_miner_its_name),
        SCENE(a_pool_token_names_the_worker_too),
        SCENE(our_miner_without_a_token_is_refused_where_one_is_needed),
        SCENE(our_miner_needs_no_token_where_there_is_no_list),
        SCENE(a_token_that_is_taken_away_ends_its_links_and_no_others),
        SCENE(a_changed_list_is_taken_without_a_word),
        SCENE(a_list_with_a_mistake_changes_nothing),
        SCENE(silent_strangers_push_out_each_other_and_no_miner),
        SCENE(miners_that_left_make_no_room_of_those_that_wait),
        SCENE(one_service_listens_on_several_addresses),
        SCENE(a_drain_does_not_stop_an_official_miner_for_good),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
