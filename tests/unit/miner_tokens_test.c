/* Lists of tokens: the file's form, who is let in under which name, changes while in use. */
#include "test.h"

#include "base/file.h"
#include "miner/tokens.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static pqi_token_list *parse(const char *text)
{
    pqi_token_list *list = NULL;
    pql_error err = {0};
    if (pqi_token_list_parse(&list, text, strlen(text), "tokens", &err) != PQL_OK) {
        fail_msg("%s", err.message);
    }
    return list;
}

static void assert_refused(const char *text, const char *words)
{
    pqi_token_list *list = NULL;
    pql_error err = {0};
    assert_int_equal(pqi_token_list_parse(&list, text, strlen(text), "tokens", &err), PQL_E_USAGE);
    assert_null(list);
    if (strstr(err.message, words) == NULL) {
        fail_msg("'%s' is not in: %s", words, err.message);
    }
}

/* The miner's name that |token| gets, "" for none. */
static const char *name_of(const pqi_token_list *list, const char *token)
{
    static pqi_token_grant grant;
    const bool matched = pqi_token_list_match(list, token, &grant);
    assert_int_equal(matched, grant.miner[0] != '\0');
    return grant.miner;
}

/* ---- The form ---- */

static void a_list_has_a_name_and_a_token_a_line(void **state)
{
    (void)state;
    pqi_token_list *list = parse("shed:one\ncellar:two");
    assert_int_equal(pqi_token_list_count(list), 2);
    assert_string_equal(name_of(list, "one"), "shed");
    assert_string_equal(name_of(list, "two"), "cellar");
    assert_string_equal(name_of(list, "three"), "");
    assert_string_equal(name_of(list, ""), "");
    assert_string_equal(name_of(list, "shed"), "");
    pqi_token_list_free(list);
}

static void comments_empty_lines_and_white_space_count_for_nothing(void **state)
{
    (void)state;
    pqi_token_list *list = parse("# ours\n\n \t\r\n  shed :\tone two \r\n   # last:line\n");
    assert_int_equal(pqi_token_list_count(list), 1);
    assert_string_equal(name_of(list, "one two"), "shed");
    pqi_token_list_free(list);
}

static void a_token_may_have_colons_and_number_signs(void **state)
{
    (void)state;
    pqi_token_list *list = parse("shed:a:b#c\n");
    assert_string_equal(name_of(list, "a:b#c"), "shed");
    pqi_token_list_free(list);
}

static void mistakes_are_named_with_their_line(void **state)
{
    (void)state;
    assert_refused("a:b\n\nnothing", "Line 3 of tokens has no ':'");
    assert_refused("a:b\n:token\n", "Line 2 of tokens: the name");
    assert_refused("two words:token\n", "Line 1 of tokens: the name");
    assert_refused("0123456789012345678901234567890123:t\n", "Line 1 of tokens: the name");
    assert_refused("a:\n", "Line 1 of tokens: the token");
    assert_refused("a: \t\n", "Line 1 of tokens: the token");
    assert_refused("a:b\001c\n", "control characters");
    assert_refused("a:.*\n", "Line 1 of tokens: the token");
    assert_refused("a:b*c\n", "'*' may stand at the end");
    assert_refused("a:*\n", "'*' may stand at the end");
    assert_refused("a:*.*\n", "'*' may stand at the end");
}

static void a_mistake_never_repeats_the_token(void **state)
{
    static const char text[] = "a:secret-one\nb:secret-one\n";
    pqi_token_list *list = NULL;
    pql_error err = {0};
    (void)state;
    assert_int_equal(pqi_token_list_parse(&list, text, strlen(text), "tokens", &err), PQL_E_USAGE);
    assert_null(strstr(err.message, "secret"));
}

static void names_and_tokens_stand_there_once(void **state)
{
    (void)state;
    assert_refused("a:one\na:two\n", "Line 2 of tokens: the name 'a' stands there twice");
    assert_refused("a:one\n\nb:one\n", "Line 3 of tokens: the token of 'b' is also that of 'a'");
}

static void a_list_without_tokens_is_a_mistake(void **state)
{
    (void)state;
    assert_refused("", "has no token");
    assert_refused("# nobody\n", "has no token");
}

static void a_token_has_a_longest_length(void **state)
{
    char text[PQI_MINER_TOKEN_MAX + 8];
    (void)state;
    memset(text, 'x', sizeof(text));
    memcpy(text, "a:", 2);
    text[2 + PQI_MINER_TOKEN_MAX] = '\0';
    pqi_token_list *list = parse(text);
    assert_string_equal(name_of(list, text + 2), "a");
    pqi_token_list_free(list);

    text[2 + PQI_MINER_TOKEN_MAX] = 'x';
    text[3 + PQI_MINER_TOKEN_MAX] = '\0';
    assert_refused(text, "Line 1 of tokens: the token");
}

static void a_list_has_a_most(void **state)
{
    enum { LINE = 32 };
    char *text = calloc(PQI_TOKENS_MAX + 1, LINE);
    size_t len = 0;
    (void)state;
    assert_non_null(text);
    for (size_t i = 0; i < PQI_TOKENS_MAX; i++) {
        len += (size_t)snprintf(text + len, LINE, "n%zu:t%zu\n", i, i);
    }
    pqi_token_list *list = parse(text);
    assert_int_equal(pqi_token_list_count(list), PQI_TOKENS_MAX);
    assert_string_equal(name_of(list, "t4095"), "n4095");
    pqi_token_list_free(list);

    (void)snprintf(text + len, LINE, "one:more\n");
    assert_refused(text, "Line 4097 of tokens: there are more than 4096 tokens");
    free(text);
}

/* ---- Workers of a pool ---- */

static void a_star_takes_every_worker(void **state)
{
    (void)state;
    pqi_token_list *list = parse("acme:qzAddress.*\n");
    assert_string_equal(name_of(list, "qzAddress.rig-1"), "acme.rig-1");
    assert_string_equal(name_of(list, "qzAddress.a.b_C"), "acme.a.b_C");
    pqi_token_list_free(list);
}

static void a_star_wants_a_worker_that_is_one(void **state)
{
    (void)state;
    pqi_token_list *list = parse("acme:qzAddress.*\n");
    assert_string_equal(name_of(list, "qzAddress"), "");
    assert_string_equal(name_of(list, "qzAddress."), "");
    assert_string_equal(name_of(list, "qzAddress.*"), "");
    assert_string_equal(name_of(list, "qzAddress.two words"), "");
    assert_string_equal(name_of(list, "qzaddress.rig"), "");
    assert_string_equal(name_of(list, "XqzAddress.rig"), "");
    assert_string_equal(name_of(list, "qzAddress.01234567890123456789012345678901"),
                        "acme.01234567890123456789012345678901");
    assert_string_equal(name_of(list, "qzAddress.012345678901234567890123456789012"), "");
    pqi_token_list_free(list);
}

static void the_line_that_says_most_wins(void **state)
{
    (void)state;
    pqi_token_list *list = parse("all:addr.*\nsome:addr.barn.*\none:addr.barn.7\n");
    assert_string_equal(name_of(list, "addr.barn.7"), "one");
    assert_string_equal(name_of(list, "addr.barn.8"), "some.8");
    assert_string_equal(name_of(list, "addr.shed.8"), "all.shed.8");
    pqi_token_list_free(list);
}

static void a_literal_line_of_the_same_text_is_another_token(void **state)
{
    (void)state;
    pqi_token_list *list = parse("all:addr.*\nbare:addr\n");
    assert_string_equal(name_of(list, "addr"), "bare");
    assert_string_equal(name_of(list, "addr.x"), "all.x");
    pqi_token_list_free(list);
}

static void no_worker_passes_for_another_line(void **state)
{
    (void)state;
    assert_refused("a:X.*\n\na.b:Y\n", "Lines 3 and 1 of tokens");
    assert_refused("a.b:Y\n# more\na:X.*\n", "Lines 1 and 3 of tokens");
    assert_refused("a:X.*\na.b:Y.*\n", "a worker of 'a' could take the name 'a.b'");
    assert_refused("a.b:X.*\na.b.c:Y\n", "no name begins with 'a.b.'");
    pqi_token_list_free(parse("a:X.*\nab:Y\na-b:Z\n"));
    pqi_token_list_free(parse("a:X\na.b:Y\n"));
    pqi_token_list_free(parse("a.b:X.*\na:Y\n"));
}

static void a_grant_is_found_again_in_a_list_that_has_its_line(void **state)
{
    pqi_token_grant literal;
    pqi_token_grant worker;
    (void)state;
    pqi_token_list *before = parse("a:one\npool:addr.*\n");
    pqi_token_list *renamed = parse("b:one\nother:addr.*\n");
    pqi_token_list *gone = parse("a:two\npool:addr2.*\nliteral:addr.rig\n");
    assert_true(pqi_token_list_match(before, "one", &literal));
    assert_true(pqi_token_list_match(before, "addr.rig", &worker));

    assert_true(pqi_token_list_has(renamed, &literal));
    assert_true(pqi_token_list_has(renamed, &worker));
    assert_false(pqi_token_list_has(gone, &literal));
    assert_false(pqi_token_list_has(gone, &worker));
    pqi_token_list_free(before);
    pqi_token_list_free(renamed);
    pqi_token_list_free(gone);
}

/* ---- The file ---- */

typedef struct shelf {
    char dir[64];
    char path[96];
    pqi_tokens *tokens;
} shelf;

static void put(const shelf *s, const char *text, mode_t mode)
{
    assert_int_equal(pqi_file_write_atomic(s->path, text, strlen(text), mode, NULL), PQL_OK);
}

static int setup(void **state)
{
    shelf *s = calloc(1, sizeof(*s));
    assert_non_null(s);
    (void)snprintf(s->dir, sizeof(s->dir), "/tmp/pqlink-tokens-XXXXXX");
    assert_non_null(mkdtemp(s->dir));
    (void)snprintf(s->path, sizeof(s->path), "%s/tokens", s->dir);
    *state = s;
    return 0;
}

static int teardown(void **state)
{
    shelf *s = *state;
    pqi_tokens_free(s->tokens);
    (void)unlink(s->path);
    (void)rmdir(s->dir);
    free(s);
    return 0;
}

static void open_with(shelf *s, const char *text)
{
    put(s, text, 0600);
    assert_int_equal(pqi_tokens_open(&s->tokens, s->path, NULL), PQL_OK);
}

static bool knows(shelf *s, const char *token)
{
    pqi_token_grant grant;
    return pqi_tokens_match(s->tokens, token, &grant);
}

static void a_file_that_others_may_read_is_refused(void **state)
{
    shelf *s = *state;
    pql_error err = {0};
    put(s, "a:one\n", 0604);
    assert_int_equal(pqi_tokens_open(&s->tokens, s->path, &err), PQL_E_IDENTITY);
    assert_non_null(strstr(err.message, "chmod 600"));
    put(s, "a:one\n", 0660);
    assert_int_equal(pqi_tokens_open(&s->tokens, s->path, &err), PQL_E_IDENTITY);
    assert_null(s->tokens);
}

static void a_file_for_a_group_to_read_is_taken(void **state)
{
    shelf *s = *state;
    put(s, "a:one\n", 0640);
    assert_int_equal(pqi_tokens_open(&s->tokens, s->path, NULL), PQL_OK);
}

static void a_file_that_is_not_there_is_an_error(void **state)
{
    shelf *s = *state;
    assert_int_equal(pqi_tokens_open(&s->tokens, s->path, NULL), PQL_E_NOT_FOUND);
    assert_null(s->tokens);
}

static void a_change_is_taken_when_it_has_come_to_rest(void **state)
{
    shelf *s = *state;
    open_with(s, "a:one\n");
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);

    put(s, "b:two\n", 0600);
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);
    assert_true(knows(s, "one"));
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_TAKEN);

    assert_true(knows(s, "two"));
    assert_false(knows(s, "one"));
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);
}

static void asked_for_it_is_read_at_once_and_taken_when_somebody_says_so(void **state)
{
    shelf *s = *state;
    pqi_tokens_fresh *fresh = NULL;
    open_with(s, "a:one\n");
    put(s, "b:two\n", 0600);
    assert_int_equal(pqi_tokens_read(s->tokens, &fresh, NULL), PQL_OK);
    assert_true(pqi_tokens_differ(s->tokens, fresh));
    assert_true(knows(s, "one"));
    pqi_tokens_discard(fresh);
    assert_true(knows(s, "one"));

    assert_int_equal(pqi_tokens_read(s->tokens, &fresh, NULL), PQL_OK);
    pqi_tokens_take(s->tokens, fresh);
    assert_true(knows(s, "two"));
    assert_int_equal(pqi_tokens_count(s->tokens), 1);
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);

    assert_int_equal(pqi_tokens_read(s->tokens, &fresh, NULL), PQL_OK);
    assert_false(pqi_tokens_differ(s->tokens, fresh));
    pqi_tokens_discard(fresh);
}

static void a_bad_file_is_refused_once_and_the_old_list_stays(void **state)
{
    shelf *s = *state;
    pql_error err = {0};
    open_with(s, "a:one\n");
    put(s, "b:two\nb:three\n", 0600);
    (void)pqi_tokens_look(s->tokens, NULL);

    assert_int_equal(pqi_tokens_look(s->tokens, &err), PQI_TOKENS_REFUSED);
    assert_non_null(strstr(err.message, "Line 2 of "));
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);
    assert_true(knows(s, "one"));
    assert_false(knows(s, "two"));

    put(s, "c:four\n", 0600);
    (void)pqi_tokens_look(s->tokens, NULL);
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_TAKEN);
    assert_true(knows(s, "four"));
}

static void a_file_that_goes_away_or_opens_to_others_changes_nothing(void **state)
{
    shelf *s = *state;
    pqi_tokens_fresh *fresh = NULL;
    open_with(s, "a:one\n");

    assert_int_equal(unlink(s->path), 0);
    (void)pqi_tokens_look(s->tokens, NULL);
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_REFUSED);
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);
    put(s, "b:two\n", 0644);
    assert_int_equal(pqi_tokens_read(s->tokens, &fresh, NULL), PQL_E_IDENTITY);
    assert_null(fresh);
    assert_true(knows(s, "one"));

    assert_int_equal(chmod(s->path, 0600), 0); /* a change of the mode is a change */
    (void)pqi_tokens_look(s->tokens, NULL);
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_TAKEN);
    assert_true(knows(s, "two"));
}

static void a_single_token_has_no_file_to_look_at(void **state)
{
    shelf *s = *state;
    pqi_tokens_fresh *fresh = NULL;
    assert_int_equal(pqi_tokens_single(&s->tokens, "default", "one", NULL), PQL_OK);
    assert_false(pqi_tokens_has_file(s->tokens));
    assert_int_equal(pqi_tokens_look(s->tokens, NULL), PQI_TOKENS_SAME);
    assert_int_equal(pqi_tokens_read(s->tokens, &fresh, NULL), PQL_OK);
    assert_null(fresh);
    assert_true(knows(s, "one"));
}

#define SHELF(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_list_has_a_name_and_a_token_a_line),
        cmocka_unit_test(comments_empty_lines_and_white_space_count_for_nothing),
        cmocka_unit_test(a_token_may_have_colons_and_number_signs),
        cmocka_unit_test(mistakes_are_named_with_their_line),
        cmocka_unit_test(a_mistake_never_repeats_the_token),
        cmocka_unit_test(names_and_tokens_stand_there_once),
        cmocka_unit_test(a_list_without_tokens_is_a_mistake),
        cmocka_unit_test(a_token_has_a_longest_length),
        cmocka_unit_test(a_list_has_a_most),
        cmocka_unit_test(a_star_takes_every_worker),
        cmocka_unit_test(a_star_wants_a_worker_that_is_one),
        cmocka_unit_test(the_line_that_says_most_wins),
        cmocka_unit_test(a_literal_line_of_the_same_text_is_another_token),
        cmocka_unit_test(no_worker_passes_for_another_line),
        cmocka_unit_test(a_grant_is_found_again_in_a_list_that_has_its_line),
        SHELF(a_file_that_others_may_read_is_refused),
        SHELF(a_file_for_a_group_to_read_is_taken),
        SHELF(a_file_that_is_not_there_is_an_error),
        SHELF(a_change_is_taken_when_it_has_come_to_rest),
        SHELF(asked_for_it_is_read_at_once_and_taken_when_somebody_says_so),
        SHELF(a_bad_file_is_refused_once_and_the_old_list_stays),
        SHELF(a_file_that_goes_away_or_opens_to_others_changes_nothing),
        SHELF(a_single_token_has_no_file_to_look_at),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
