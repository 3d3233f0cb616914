#include "test.h"

#include "store/hybrid_marks.h"
#include "store_directory.h"

#include <sys/stat.h>

static const uint8_t one[PQL_SHA256_SIZE] = {1, 2, 3};
static const uint8_t two[PQL_SHA256_SIZE] = {0xff};

static unsigned failures;

static void count_failure(const char *sentence)
{
    assert_non_null(strstr(sentence, "until this program ends only"));
    failures++;
}

static pqi_hybrid_marks *open_marks(const char *directory)
{
    pqi_hybrid_marks *marks = NULL;
    failures = 0;
    assert_int_equal(pqi_hybrid_marks_open(&marks, directory, count_failure, NULL), PQL_OK);
    return marks;
}

static void a_mark_outlives_the_program_and_can_be_forgotten(void **state)
{
    pqi_hybrid_marks *marks = open_marks(*state);
    assert_int_equal(pqi_hybrid_marks_has(marks, one, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(pqi_hybrid_marks_add(marks, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_add(marks, one, NULL), PQL_OK);
    pqi_hybrid_marks_free(marks);

    marks = open_marks(*state);
    assert_int_equal(pqi_hybrid_marks_has(marks, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_has(marks, two, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(pqi_hybrid_marks_forget(marks, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_forget(marks, one, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(pqi_hybrid_marks_has(marks, one, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(failures, 0);
    pqi_hybrid_marks_free(marks);
}

static void another_program_forgets_while_this_one_runs(void **state)
{
    pqi_hybrid_marks *running = open_marks(*state);
    pqi_hybrid_marks *other = open_marks(*state);
    assert_int_equal(pqi_hybrid_marks_add(running, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_forget(other, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_has(running, one, NULL), PQL_E_NOT_FOUND);
    pqi_hybrid_marks_free(running);
    pqi_hybrid_marks_free(other);
}

static void without_a_directory_marks_last_as_long_as_the_program(void **state)
{
    (void)state;
    pqi_hybrid_marks *marks = open_marks(NULL);
    assert_int_equal(pqi_hybrid_marks_add(marks, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_add(marks, two, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_has(marks, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_forget(marks, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_has(marks, one, NULL), PQL_E_NOT_FOUND);
    assert_int_equal(pqi_hybrid_marks_has(marks, two, NULL), PQL_OK);
    assert_int_equal(failures, 0); /* nothing else was asked for */
    pqi_hybrid_marks_free(marks);
}

/* A file where the directory should be: a disk that takes nothing, for root as well. */
static void a_mark_that_cannot_be_written_is_said_once_and_kept_in_memory(void **state)
{
    char parent[TEST_PATH_SIZE];
    char inside[TEST_PATH_SIZE];
    pql_error err;
    (void)snprintf(parent, sizeof(parent), "%s", (const char *)*state);
    FILE *file = fopen(parent, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    directory_file(inside, parent, "hybrid");
    pqi_hybrid_marks *marks = open_marks(inside);

    assert_int_equal(pqi_hybrid_marks_add(marks, one, &err), PQL_E_IO);
    assert_int_equal(pqi_hybrid_marks_add(marks, two, &err), PQL_E_IO);
    assert_int_equal(failures, 1);
    assert_int_equal(pqi_hybrid_marks_has(marks, one, NULL), PQL_OK);

    pqi_hybrid_marks_free(marks);
    assert_int_equal(unlink(parent), 0);
}

static void a_mark_in_memory_is_written_when_the_disk_takes_it_again(void **state)
{
    char inside[TEST_PATH_SIZE];
    FILE *file = fopen(*state, "w");
    assert_non_null(file);
    assert_int_equal(fclose(file), 0);
    directory_file(inside, *state, "hybrid");
    pqi_hybrid_marks *marks = open_marks(inside);
    assert_int_equal(pqi_hybrid_marks_add(marks, one, NULL), PQL_E_IO);
    assert_int_equal(pqi_hybrid_marks_add(marks, one, NULL), PQL_E_IO);

    assert_int_equal(unlink(*state), 0);
    assert_int_equal(mkdir(*state, 0700), 0);
    assert_int_equal(pqi_hybrid_marks_add(marks, one, NULL), PQL_OK);
    assert_int_equal(failures, 1);
    pqi_hybrid_marks_free(marks);

    marks = open_marks(inside); /* the program was restarted */
    assert_int_equal(pqi_hybrid_marks_has(marks, one, NULL), PQL_OK);
    assert_int_equal(pqi_hybrid_marks_forget(marks, one, NULL), PQL_OK);
    pqi_hybrid_marks_free(marks);
    assert_int_equal(rmdir(inside), 0);
}

static void a_directory_that_others_may_write_to_is_not_believed(void **state)
{
    pql_error err;
    assert_int_equal(mkdir(*state, 0700), 0);
    assert_int_equal(chmod(*state, 0777), 0);
    pqi_hybrid_marks *marks = open_marks(*state);
    assert_int_equal(pqi_hybrid_marks_has(marks, one, &err), PQL_E_IO);
    assert_int_equal(pqi_hybrid_marks_add(marks, one, &err), PQL_E_IO);
    assert_int_equal(failures, 1);
    pqi_hybrid_marks_free(marks);
}

static void memory_has_a_bound_and_the_bound_is_not_crossed(void **state)
{
    (void)state;
    pqi_hybrid_marks *marks = open_marks(NULL);
    for (unsigned i = 0; i <= PQI_HYBRID_MARKS_UNWRITTEN_MAX; i++) {
        const uint8_t peer[PQL_SHA256_SIZE] = {(uint8_t)i, (uint8_t)(i >> 8)};
        assert_int_equal(pqi_hybrid_marks_add(marks, peer, NULL), PQL_OK);
        assert_int_equal(pqi_hybrid_marks_has(marks, peer, NULL),
                         i < PQI_HYBRID_MARKS_UNWRITTEN_MAX ? PQL_OK : PQL_E_NOT_FOUND);
    }
    pqi_hybrid_marks_free(marks);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        directory_test(a_mark_outlives_the_program_and_can_be_forgotten),
        directory_test(another_program_forgets_while_this_one_runs),
        cmocka_unit_test(without_a_directory_marks_last_as_long_as_the_program),
        directory_test(a_mark_that_cannot_be_written_is_said_once_and_kept_in_memory),
        directory_test(a_mark_in_memory_is_written_when_the_disk_takes_it_again),
        directory_test(a_directory_that_others_may_write_to_is_not_believed),
        cmocka_unit_test(memory_has_a_bound_and_the_bound_is_not_crossed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
