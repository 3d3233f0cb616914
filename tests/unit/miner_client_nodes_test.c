/* The client of miners with several nodes, with files that change, and its ends, over real links.
 * ctest labels: threads */
#include "miner_client_scene.h"

/* ---- Several nodes ---- */

static void the_next_node_takes_the_place_of_one_that_is_away(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_node_as(s, 1, PQI_MINER_PQ1, PQL_POLICY_HYBRID);
    s->opts.timing.probe = 1000 * PQI_NS_PER_SEC;
    start_client(s, 2);
    WAIT_UNTIL(s, s->jobs == 1);
    assert_int_equal(s->in_use, 0);

    stop_node(s, 0);
    WAIT_UNTIL(s, s->jobs == 2);

    assert_int_equal(s->in_use, 1);
    assert_int_equal(s->lost, 1);
    assert_int_equal(s->moved, 0);
    assert_true(s->posture.pq_authentication);
}

static void a_preferred_node_is_taken_back_without_a_pause(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_node(s, 1);
    stop_node(s, 0);
    start_client(s, 2);
    WAIT_UNTIL(s, s->jobs == 1);
    assert_int_equal(s->in_use, 1);

    start_node(s, 0);
    WAIT_UNTIL(s, s->in_use == 0 && s->jobs == 2);

    assert_int_equal(s->lost, 0);
    assert_int_equal(s->moved, 1);
    assert_int_equal(submit(s, 9), PQL_OK);
    WAIT_UNTIL(s, s->nodes[0].results == 1 && s->nodes[1].gone == 1);
    assert_int_equal(s->nodes[1].results, 0);
}

static void a_preferred_node_without_work_is_not_taken_back(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_node(s, 1);
    stop_node(s, 0);
    s->opts.timing.trial = 400 * MS; /* a handshake fits in */
    start_client(s, 2);
    WAIT_UNTIL(s, s->jobs == 1);

    s->nodes[0].manners.no_job = true;
    start_node(s, 0);
    /* Two trials have come and gone. */
    WAIT_UNTIL(s, s->nodes[0].gone == 2);

    assert_int_equal(s->in_use, 1);
    assert_int_equal(s->moved, 0);
    assert_int_equal(s->lost, 0);
    assert_int_equal(submit(s, 9), PQL_OK);
    WAIT_UNTIL(s, s->nodes[1].results == 1);
}

static void a_node_that_has_no_job_for_long_makes_way_for_one_that_has(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_node(s, 1);
    s->nodes[0].manners.no_job = true;
    s->opts.timing.patience = 5 * MS;
    start_client(s, 2);

    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->in_use, 1);
    assert_int_equal(s->lost, 0);
}

static void results_of_a_lost_link_go_nowhere(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);
    const pqi_solution solution = {.serial = s->serial, .nonce = {1}};

    drop_miners(s, 0);
    WAIT_UNTIL(s, s->lost == 1);

    assert_int_equal(pqi_miner_client_submit(s->client, &solution), PQL_E_STATE);
}

/* ---- Files ---- */

static void use_files(scene *s)
{
    s->logins[0].dir = s->dir;
    s->logins[0].peer = (pql_peer){0};
    s->opts.patient = true;
}

static void put_pin(scene *s, const pql_fingerprint *pin)
{
    char text[PQL_FINGERPRINT_SIZE];
    pql_fingerprint_format(pin, text);
    put(s->pin_file, text);
}

static void a_refused_token_is_tried_again_when_its_file_has_changed(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    use_files(s);
    put(s->token_file, "an old token\n");
    put_pin(s, &s->pin);
    start_client(s, 1);
    WAIT_UNTIL(s, s->given_up == 1);

    put(s->token_file, TOKEN "\n");
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->given_up, 1);
    assert_false(s->ended);
}

static void a_changed_pin_is_told_and_used(void **state)
{
    scene *s = *state;
    char wanted[2 * PQL_FINGERPRINT_SIZE + 8];
    char before[PQL_FINGERPRINT_SIZE];
    char after[PQL_FINGERPRINT_SIZE];
    pql_fingerprint old = s->pin;
    old.sha256[0] ^= 1;
    pql_fingerprint_format(&old, before);
    pql_fingerprint_format(&s->pin, after);
    snprintf(wanted, sizeof(wanted), "%s > %s", before, after);
    start_node(s, 0);
    use_files(s);
    put(s->token_file, TOKEN);
    put_pin(s, &old);
    start_client(s, 1);
    WAIT_UNTIL(s, s->given_up == 1);

    put_pin(s, &s->pin);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->pins_changed, 1);
    assert_string_equal(s->pins_text, wanted);
}

static void files_that_are_not_there_yet_are_waited_for(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    use_files(s);
    start_client(s, 1);
    WAIT_UNTIL(s, s->retries >= 1);
    assert_non_null(strstr(s->sentence, s->token_file));

    put(s->token_file, TOKEN);
    put_pin(s, &s->pin);
    WAIT_UNTIL(s, s->jobs == 1);

    assert_int_equal(s->pins_changed, 0);
}

static void without_patience_a_missing_file_is_an_error_at_the_start(void **state)
{
    scene *s = *state;
    pql_error err = {0};
    use_files(s);
    s->opts.patient = false;
    s->opts.nodes = s->logins;
    s->opts.node_count = 1;

    assert_int_equal(pqi_miner_client_start(&s->client, &s->opts, &err), PQL_E_NOT_FOUND);

    assert_null(s->client);
    assert_non_null(strstr(err.message, s->token_file));
}

/* ---- Ends ---- */

static void finishing_closes_in_order_and_says_so(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    pqi_miner_client_finish(s->client);
    WAIT_UNTIL(s, s->ended);

    assert_int_equal(s->end_status, PQL_OK);
    assert_int_equal(s->lost, 1);
    assert_int_equal(submit(s, 1), PQL_E_STATE);
}

static void stopping_tells_nothing_more_and_may_be_done_twice(void **state)
{
    scene *s = *state;
    start_node(s, 0);
    start_client(s, 1);
    WAIT_UNTIL(s, s->jobs == 1);

    pqi_miner_client_stop(s->client);
    pqi_miner_client_stop(s->client);

    assert_false(s->ended);
    WAIT_UNTIL(s, s->nodes[0].gone == 1);
}

static void a_list_of_no_nodes_or_too_many_is_refused(void **state)
{
    scene *s = *state;
    s->opts.nodes = s->logins;
    s->opts.node_count = 0;
    assert_int_equal(pqi_miner_client_start(&s->client, &s->opts, NULL), PQL_E_USAGE);
    s->opts.node_count = PQI_FAILOVER_NODES_MAX + 1;
    assert_int_equal(pqi_miner_client_start(&s->client, &s->opts, NULL), PQL_E_USAGE);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        SCENE(the_next_node_takes_the_place_of_one_that_is_away),
        SCENE(a_preferred_node_is_taken_back_without_a_pause),
        SCENE(a_preferred_node_without_work_is_not_taken_back),
        SCENE(a_node_that_has_no_job_for_long_makes_way_for_one_that_has),
        SCENE(results_of_a_lost_link_go_nowhere),
        SCENE(a_refused_token_is_tried_again_when_its_file_has_changed),
        SCENE(a_changed_pin_is_told_and_used),
        SCENE(files_that_are_not_there_yet_are_waited_for),
        SCENE(without_patience_a_missing_file_is_an_error_at_the_start),
        SCENE(finishing_closes_in_order_and_says_so),
        SCENE(stopping_tells_nothing_more_and_may_be_done_twice),
        SCENE(a_list_of_no_nodes_or_too_many_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
