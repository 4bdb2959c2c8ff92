/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/execute/test_constrain.c - a constraint begins after its trigger, follows the tokens, and
 * can be made again from them. */
#include "support/check.h"

#include <string.h>

#include "execute/constrain.h"

enum { A, B, C, OPEN, CLOSE, OPEN_A, OPEN_C, HALF, END, N_TOKENS };

static const struct vocab_token tokens[N_TOKENS] = {
    [A] = { "a", 1, true },          [B] = { "b", 1, true },      [C] = { "c", 1, true },
    [OPEN] = { "<go>", 4, false },   [CLOSE] = { "o>", 2, true }, [OPEN_A] = { "<go>a", 5, true },
    [OPEN_C] = { "<go>c", 5, true }, [HALF] = { "x<g", 3, true }, [END] = { "<end>", 5, false },
};

struct fixture {
    struct grammar_vocab *vocab;
    struct constrainer *c;
    struct constraint k;
    struct err err;
};

static int set_up(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    *state = &f;
    return grammar_vocab_new(tokens, N_TOKENS, &f.vocab, NULL) == ST_OK &&
                   constrainer_new(f.vocab, &f.c, NULL) == ST_OK
               ? 0
               : -1;
}

static int tear_down(void **state)
{
    struct fixture *f = *state;

    constraint_leave(f->c, &f->k);
    constrainer_free(f->c);
    grammar_vocab_free(f->vocab);
    return 0;
}

static void begin(struct fixture *f, const char *trigger)
{
    assert_ok(constraint_join(f->c, "root ::= \"ab\"+", trigger, &f->k, &f->err), f->err);
    assert_ok(constraint_freshen(f->c, &f->k, NULL, 0, &f->err), f->err);
}

static uint32_t mask_of(struct fixture *f)
{
    static const int32_t stops[] = { END };
    uint32_t *mask;

    assert_ok(constraint_mask(f->c, &f->k, stops, 1, &mask, &f->err), f->err);
    return mask[0] & ((1u << N_TOKENS) - 1);
}

static void the_end_is_allowed_where_the_grammar_may_end(void **state)
{
    struct fixture *f = *state;

    begin(f, NULL);
    assert_int_equal(mask_of(f), 1u << A);
    assert_true(constraint_push(f->c, &f->k, A));
    assert_int_equal(mask_of(f), 1u << B);
    assert_false(constraint_push(f->c, &f->k, C));
    assert_true(constraint_push(f->c, &f->k, B));
    assert_int_equal(mask_of(f), 1u << A | 1u << END);
    assert_false(constraint_must_end(&f->k));
}

static void before_the_trigger_all_is_allowed(void **state)
{
    struct fixture *f = *state;
    static const int32_t free_text[] = { C, C, END, HALF, HALF, CLOSE };

    begin(f, "<go>");
    assert_int_equal(mask_of(f), (1u << N_TOKENS) - 1);
    for (size_t i = 0; i < 6; i++) {
        assert_true(constraint_may_end(&f->k));
        assert_true(constraint_push(f->c, &f->k, free_text[i]));
    }
    assert_int_equal(mask_of(f), 1u << A); /* the trigger came in two tokens */
}

static void what_follows_the_trigger_in_its_token_is_held(void **state)
{
    struct fixture *f = *state;

    begin(f, "<go>");
    assert_false(constraint_push(f->c, &f->k, OPEN_C));
    assert_true(constraint_push(f->c, &f->k, OPEN_A));
    assert_int_equal(mask_of(f), 1u << B);
}

static void a_control_token_may_be_the_trigger(void **state)
{
    struct fixture *f = *state;

    begin(f, "<go>");
    assert_true(constraint_push(f->c, &f->k, OPEN));
    assert_int_equal(mask_of(f), 1u << A);
}

static void guesses_count_as_far_as_they_hold(void **state)
{
    struct fixture *f = *state;
    static const int32_t guesses[] = { A, B, A, C, B };

    begin(f, NULL);
    assert_int_equal(constraint_count(f->c, &f->k, guesses, 5), 3);
    assert_int_equal(mask_of(f), 1u << A); /* it did not move */
}

static void another_instance_goes_on_from_the_tokens(void **state)
{
    struct fixture *f = *state;
    struct constraint other;
    static const int32_t answer[] = { C, OPEN_A, B, A };

    begin(f, "<go>");
    for (size_t i = 0; i < 4; i++)
        assert_true(constraint_push(f->c, &f->k, answer[i]));
    assert_ok(constraint_join(f->c, "root ::= \"ab\"+", "<go>", &other, &f->err), f->err);
    assert_ok(constraint_freshen(f->c, &other, answer, 4, &f->err), f->err);
    assert_int_equal(other.state.set, f->k.state.set); /* grammars of one text share a run */
    constraint_leave(f->c, &other);
    assert_ok(constraint_join(f->c, "root ::= \"ab\"+", NULL, &other, &f->err), f->err);
    assert_int_equal(constraint_freshen(f->c, &other, answer, 4, &f->err), ST_FORMAT);
    constraint_leave(f->c, &other);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(the_end_is_allowed_where_the_grammar_may_end, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(before_the_trigger_all_is_allowed, set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_follows_the_trigger_in_its_token_is_held, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(a_control_token_may_be_the_trigger, set_up, tear_down),
        cmocka_unit_test_setup_teardown(guesses_count_as_far_as_they_hold, set_up, tear_down),
        cmocka_unit_test_setup_teardown(another_instance_goes_on_from_the_tokens, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests_name("execute/constrain", tests, NULL, NULL);
}
