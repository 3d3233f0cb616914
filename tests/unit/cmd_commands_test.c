/* Which subcommand a command line names. */
#include "test.h"

#include "cmd/commands.h"
#include "cmd/node.h"

static const pqi_command *found(int argc, const char *const argv[], int *used)
{
    const pqi_command *command = NULL;
    assert_int_equal(pqi_command_find(&command, argc, argv, used, NULL), PQL_OK);
    return command;
}

static void a_command_of_two_words_wins_over_one_of_its_first(void **state)
{
    (void)state;
    int used = 0;
    assert_ptr_equal(found(3, (const char *const[]){"node", "status", "--json"}, &used),
                     &pqi_command_node_status);
    assert_int_equal(used, 2);
    assert_ptr_equal(found(2, (const char *const[]){"node", "--listen"}, &used), &pqi_command_node);
    assert_int_equal(used, 1);
    assert_ptr_equal(found(1, (const char *const[]){"node"}, &used), &pqi_command_node);
    assert_ptr_equal(found(2, (const char *const[]){"pow", "hash"}, &used), &pqi_command_pow_hash);
}

static void a_command_is_no_family_even_beside_one_of_two_words(void **state)
{
    (void)state;
    assert_true(pqi_command_is_family("pow"));
    assert_false(pqi_command_is_family("node"));
    assert_false(pqi_command_is_family("status"));
    assert_true(pqi_command_in_family(&pqi_command_node_status, "node"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_command_of_two_words_wins_over_one_of_its_first),
        cmocka_unit_test(a_command_is_no_family_even_beside_one_of_two_words),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
