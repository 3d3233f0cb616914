/* The client of miners with one node, over real links: what is spoken, and what is final.  Several
 * nodes, files and ends are in miner_client_nodes_test.c.
 * ctest labels: threads */
#include "miner_client_scene.h"

/* ---- One node ---- */

static void an_official_node_gets_one_stream_and_ready_in_one_piece(void **state)
{
    scene *s = *state;
    start_node(s, 0);

    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->nodes[0].streams, 1);
    assert_int_equal(s->nodes[0].first_bytes, 4 + strlen("{\"Ready\":{\"token\":\"" TOKEN "\"}}"));
    assert_string_equal(s->job.id, "1");
    assert_int_equal(s->posture.peer_signature, 0x0403);
}

static void a_classical_node_is_a_downgrade_that_hybrid_bears(void **state)
{
    scene *s = *state;
    start_node(s, 0);

    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_false(s->posture.pq_key_exchange);
    assert_int_equal(s->posture.downgrade, PQL_DOWNGRADE_PEER_CLASSICAL);
}

static void a_classical_node_is_given_up_under_pq_only(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    s->opts.links.policy = PQL_POLICY_PQ_ONLY;

    start_client(s, 1);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_E_POLICY);
    assert_int_equal(s->given_up, 1);
    assert_true(strlen(s->sentence) > 20);
}

static void a_node_with_ml_kem_is_used_with_it_whatever_its_certificate(void **state)
{
    scene *s = *state;
    start_node_as(s, 0, PQI_MINER_V2, PQL_POLICY_HYBRID);

    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_true(s->posture.pq_key_exchange);
    assert_false(s->posture.pq_authentication);
}

static void a_classical_certificate_is_given_up_where_ml_dsa_is_asked_for(void **state)
{
    scene *s = *state;
    start_node_as(s, 0, PQI_MINER_V2, PQL_POLICY_HYBRID); /* with ML-KEM: the policy is content */
    s->opts.pq_authentication = true;

    start_client(s, 1);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_E_POLICY);
    assert_int_equal(s->connected, 0);
}

static void ml_dsa_is_asked_for_where_the_policy_asks_for_nothing(void **state)
{
    scene *s = *state;
    start_node_as(s, 0, PQI_MINER_PQ1, PQL_POLICY_OFF);
    s->opts.links.policy = PQL_POLICY_OFF;
    s->opts.pq_authentication = true;

    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_false(s->posture.pq_key_exchange);
    assert_true(s->posture.pq_authentication);
}

static void a_result_is_presumed_accepted_when_another_job_follows(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(submit(s, 7), PQL_OK);
    WAIT_UNTIL(s, s->sent == 1 && s->nodes[0].results == 1);
    new_job(s, 0, 2);
    WAIT_UNTIL(s, s->jobs == 2);

    assert_int_equal(s->nodes[0].nonce[0], 7);
    assert_int_equal(s->answered, 1);
    assert_true(s->presumed);
}

static void the_same_job_again_says_nothing_of_a_result(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);
    assert_int_equal(submit(s, 7), PQL_OK);
    WAIT_UNTIL(s, s->nodes[0].results == 1);

    new_job(s, 0, 1);
    WAIT_UNTIL(s, s->jobs == 2);
    new_job(s, 0, 2);
    WAIT_UNTIL(s, s->jobs == 3);

    assert_int_equal(s->answered, 0);
}

static void a_job_that_comes_twice_restarts_the_search(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);
    const uint64_t first = s->serial;

    new_job(s, 0, 1);
    WAIT_UNTIL(s, s->jobs == 2);

    const pqi_solution late = {.serial = first, .nonce = {1}};
    assert_true(s->serial != first);
    assert_int_equal(pqi_miner_client_submit(s->client, &late), PQL_E_STATE);
    assert_int_equal(submit(s, 1), PQL_OK);
    WAIT_UNTIL(s, s->nodes[0].results == 1);
}

static void an_acknowledgement_of_our_own_protocol_is_no_presumption(void **state)
{
    scene *s = *state;
    start_node_as(s, 0, PQI_MINER_PQ1, PQL_POLICY_HYBRID);
    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(submit(s, 7), PQL_OK);
    WAIT_UNTIL(s, s->answered == 1);
    new_job(s, 0, 2);
    WAIT_UNTIL(s, s->jobs == 2);

    assert_false(s->presumed);
    assert_int_equal(s->answered, 1);
}

static void a_job_that_comes_byte_by_byte_is_taken(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    s->nodes[0].manners.slowly = true;

    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->retries, 0);
    assert_int_equal(s->job.mining_hash[0], 1);
}

static void a_node_that_talks_rubbish_is_left_and_tried_again(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    s->nodes[0].manners.garbage = "HTTP/1.1 200 OK\r\n\r\n";

    start_client(s, 1);
    WAIT_UNTIL(s, s->retries >= 2);

    pthread_mutex_lock(&s->lock);
    assert_int_equal(s->trouble_status, PQL_E_PROTOCOL);
    assert_false(s->ended);
    pthread_mutex_unlock(&s->lock);
}

static void a_node_without_a_job_is_waited_for(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    s->nodes[0].manners.no_job = true;
    start_client(s, 1);
    WAIT_UNTIL(s, s->nodes[0].ready == 1);

    new_job(s, 0, 5);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->job.mining_hash[0], 5);
    assert_int_equal(s->connected, 1);
}

/* ---- What is final and what is not ---- */

static void a_refused_token_is_final(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    s->nodes[0].manners.refuse = true;

    start_client(s, 1);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_E_REFUSED);
    assert_int_equal(s->retries, 0);
    assert_non_null(strstr(s->sentence, "(it said: auth failed)"));
    assert_non_null(strstr(s->sentence, s->nodes[0].url));
    assert_non_null(strstr(s->sentence, "--token-file"));
}

static void assert_close_is_transient(scene *s, const char *text)
{
    start_node(s, 0);
    s->nodes[0].manners.close = text;
    start_client(s, 1);
    WAIT_UNTIL(s, s->retries >= 2);
    pthread_mutex_lock(&s->lock);
    assert_int_equal(s->given_up, 0);
    assert_false(s->ended);
    pthread_mutex_unlock(&s->lock);
}

static void an_auth_timeout_is_tried_again(void **state)
{
    assert_close_is_transient(*state, "auth timeout");
}

static void an_empty_close_is_tried_again(void **state)
{
    assert_close_is_transient(*state, "");
}

static void a_wrong_pin_takes_out_its_node_only(void **state)
{
    scene *s = *state;
    pql_fingerprint wrong = s->pin;
    wrong.sha256[0] ^= 1;
    start_node(s, 0);
    start_node(s, 1);
    s->logins[0].peer.pins = &wrong;

    start_client(s, 2);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->given_up, 1);
    assert_int_equal(s->trouble_node, 0);
    assert_int_equal(s->trouble_status, PQL_E_TRUST);
    assert_int_equal(s->in_use, 1);
    assert_int_equal(s->nodes[0].streams, 0);
    assert_false(s->ended);
}

static void the_client_ends_when_no_node_is_left(void **state)
{
    scene *s = *state;
    pql_fingerprint wrong = s->pin;
    wrong.sha256[0] ^= 1;
    start_node(s, 0);
    start_node(s, 1);
    s->logins[0].peer.pins = &wrong;
    s->nodes[1].manners.refuse = true;

    start_client(s, 2);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->given_up, 2);
    assert_int_equal(s->end_status, PQL_E_REFUSED);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(an_official_node_gets_one_stream_and_ready_in_one_piece),
        SCENE(a_classical_node_is_a_downgrade_that_hybrid_bears),
        SCENE(a_classical_node_is_given_up_under_pq_only),
        SCENE(a_node_with_ml_kem_is_used_with_it_whatever_its_certificate),
        SCENE(a_classical_certificate_is_given_up_where_ml_dsa_is_asked_for),
        SCENE(ml_dsa_is_asked_for_where_the_policy_asks_for_nothing),
        SCENE(a_result_is_presumed_accepted_when_another_job_follows),
        SCENE(the_same_job_again_says_nothing_of_a_result),
        SCENE(a_job_that_comes_twice_restarts_the_search),
        SCENE(an_acknowledgement_of_our_own_protocol_is_no_presumption),
        SCENE(a_job_that_comes_byte_by_byte_is_taken),
        SCENE(a_node_that_talks_rubbish_is_left_and_tried_again),
        SCENE(a_node_without_a_job_is_waited_for),
        SCENE(a_refused_token_is_final),
        SCENE(an_auth_timeout_is_tried_again),
        SCENE(an_empty_close_is_tried_again),
        SCENE(a_wrong_pin_takes_out_its_node_only),
        SCENE(the_client_ends_when_no_node_is_left),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
