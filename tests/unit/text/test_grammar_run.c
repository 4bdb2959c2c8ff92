/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_grammar_run.c - masks of random grammars are those that trying each token
 * gives, with another way of matching as the judge.
 *
 * Random expressions are kept as trees here.  The judge goes through a tree with sets of
 * positions as bits; the automaton gets the same expression as text.
 */
#include "support/check.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "text/grammar/run.h"

enum { N_RULES = 4, NODES_MAX = 400, TEXT_MAX = 40, N_TOKENS = 700, N_GRAMMARS = 120, STEPS = 12 };

enum kind { LITERAL, CLASS, SEQUENCE, CHOICE, REPEAT, CALL };

struct tree {
    enum kind kind;
    char text[4];    /* LITERAL; CLASS: first and last */
    int left, right; /* SEQUENCE, CHOICE; REPEAT: left; CALL: left is the rule */
    int min, max;    /* REPEAT; max -1: no end */
};

struct fixture {
    uint64_t random;
    struct tree trees[NODES_MAX];
    int n_trees, rules[N_RULES];
    const char *text;
    int n_text;
    bool is_viable; /* some match wants more than there is */
    int depth;
    struct vocab_token tokens[N_TOKENS];
    char bytes[N_TOKENS][8];
    struct grammar_vocab *vocab;
};

static unsigned draw(struct fixture *f, unsigned n)
{
    f->random = f->random * 6364136223846793005u + 1442695040888963407u; /* Knuth's MMIX */
    return (unsigned)(f->random >> 33) % n;
}

static int add_tree(struct fixture *f, struct tree t)
{
    assert_true(f->n_trees < NODES_MAX);
    f->trees[f->n_trees] = t;
    return f->n_trees++;
}

static int random_tree(struct fixture *f, int rule, int depth)
{
    struct tree t = { .kind = depth > 3 ? draw(f, 2) : draw(f, 6), .min = (int)draw(f, 3) };
    struct tree guard = { .kind = LITERAL, .text = { (char)('a' + draw(f, 5)), 0 } };

    switch (t.kind) {
    case LITERAL:
        for (unsigned i = 0, n = draw(f, 3) + 1; i < n; i++)
            t.text[i] = (char)('a' + draw(f, 5));
        break;
    case CLASS:
        t.text[0] = (char)('a' + draw(f, 3));
        t.text[1] = (char)(t.text[0] + (int)draw(f, 3));
        break;
    case SEQUENCE:
    case CHOICE:
        t.left = random_tree(f, rule, depth + 1);
        t.right = random_tree(f, rule, depth + 1);
        break;
    case REPEAT:
        t.left = random_tree(f, rule, depth + 1);
        t.max = draw(f, 2) ? -1 : t.min + (int)draw(f, 4);
        t.max = t.max == 0 ? 1 : t.max;
        break;
    case CALL: /* a later rule at once, any one after a letter: no left recursion */
        if (rule + 1 < N_RULES && draw(f, 2)) {
            t.left = rule + 1 + (int)draw(f, (unsigned)(N_RULES - rule - 1));
            break;
        }
        t.left = (int)draw(f, N_RULES);
        t = (struct tree){ .kind = SEQUENCE, .left = add_tree(f, guard), .right = add_tree(f, t) };
        break;
    }
    return add_tree(f, t);
}

/* Each rule may always end: recursion does not have to go on. */
static void random_grammar(struct fixture *f)
{
    f->n_trees = 0;
    for (int i = 0; i < N_RULES; i++) {
        const struct tree base = { .kind = LITERAL, .text = { (char)('a' + i), 0 } };
        const int left = random_tree(f, i, 0), right = add_tree(f, base);

        f->rules[i] = add_tree(f, (struct tree){ .kind = CHOICE, .left = left, .right = right });
    }
}

static void write_tree(const struct fixture *f, int tree, struct buf *out)
{
    const struct tree *t = &f->trees[tree];

    switch (t->kind) {
    case LITERAL: buf_printf(out, "\"%s\"", t->text); break;
    case CLASS: buf_printf(out, "[%c-%c]", t->text[0], t->text[1]); break;
    case CALL: buf_printf(out, t->left == 0 ? "root" : "rule%d", t->left); break;
    case SEQUENCE:
    case CHOICE:
        buf_putc(out, '(');
        write_tree(f, t->left, out);
        buf_puts(out, t->kind == CHOICE ? " | " : " ");
        write_tree(f, t->right, out);
        buf_putc(out, ')');
        break;
    case REPEAT:
        buf_putc(out, '(');
        write_tree(f, t->left, out);
        if (t->max < 0)
            buf_printf(out, "){%d,}", t->min);
        else
            buf_printf(out, "){%d,%d}", t->min, t->max);
        break;
    }
}

static uint64_t ends(struct fixture *f, int tree, uint64_t from);

static uint64_t ends_of_bytes(struct fixture *f, const struct tree *t, uint64_t from)
{
    const int n = t->kind == CLASS ? 1 : (int)strlen(t->text);
    uint64_t to = 0;

    for (int i = 0; i <= f->n_text; i++) {
        int k = 0;

        if (!(from >> i & 1))
            continue;
        for (; k < n && i + k < f->n_text; k++) {
            const char c = f->text[i + k];

            if (t->kind == CLASS ? c < t->text[0] || c > t->text[1] : c != t->text[k])
                break;
        }
        if (k == n)
            to |= (uint64_t)1 << (i + k);
        else if (i + k == f->n_text)
            f->is_viable = true;
    }
    return to;
}

static uint64_t ends_of_repeat(struct fixture *f, const struct tree *t, uint64_t from)
{
    uint64_t at = from, all = t->min == 0 ? from : 0;

    for (int i = 1; (t->max < 0 || i <= t->max) && at != 0; i++) {
        const uint64_t next = ends(f, t->left, at);

        if (i >= t->min && t->max < 0 && (next & ~all) == 0)
            break;
        at = next;
        if (i >= t->min)
            all |= at;
    }
    return all;
}

static uint64_t ends(struct fixture *f, int tree, uint64_t from)
{
    const struct tree *t = &f->trees[tree];

    if (from == 0)
        return 0;
    switch (t->kind) {
    case LITERAL:
    case CLASS: return ends_of_bytes(f, t, from);
    case SEQUENCE: return ends(f, t->right, ends(f, t->left, from));
    case CHOICE: return ends(f, t->left, from) | ends(f, t->right, from);
    case REPEAT: return ends_of_repeat(f, t, from);
    case CALL: return ends(f, f->rules[t->left], from);
    }
    return 0;
}

static bool is_prefix(struct fixture *f, const char *text, bool *ret_may_end)
{
    f->text = text;
    f->n_text = (int)strlen(text);
    f->is_viable = false;
    *ret_may_end = ends(f, f->rules[0], 1) >> f->n_text & 1;
    return f->is_viable || *ret_may_end;
}

static int set_up(void **state)
{
    static struct fixture f;

    memset(&f, 0, sizeof(f));
    f.random = 20261126;
    for (int i = 0; i < N_TOKENS; i++) {
        const unsigned n = i < 5 ? 1 : draw(&f, 6) + 1;

        for (unsigned k = 0; k < n; k++)
            f.bytes[i][k] = (char)('a' + (i < 5 ? (unsigned)i : draw(&f, 5)));
        f.tokens[i] = (struct vocab_token){ f.bytes[i], n, i % 97 != 96 };
    }
    *state = &f;
    return grammar_vocab_new(f.tokens, N_TOKENS, &f.vocab, NULL) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    grammar_vocab_free(((struct fixture *)*state)->vocab);
    return 0;
}

static struct grammar_run *compile(struct fixture *f)
{
    struct buf text = { 0 };
    struct grammar *g;
    struct grammar_run *run;
    struct err err = { 0 };

    for (int i = 0; i < N_RULES; i++) {
        buf_printf(&text, i == 0 ? "root ::= " : "rule%d ::= ", i);
        write_tree(f, f->rules[i], &text);
        buf_putc(&text, '\n');
    }
    if (grammar_compile(buf_text(&text), text.len, f->vocab->usable, &g, &err) != ST_OK)
        fail_msg("%s\n%s", err.words, buf_text(&text));
    assert_ok(grammar_run_new(g, f->vocab, &run, &err), err);
    buf_release(&text);
    return run;
}

/* Compare the mask after `text` with every token; returns one that is allowed, or -1. */
static int check_mask(struct fixture *f, struct grammar_run *run, const struct grammar_state *state,
                      const char *text)
{
    char longer[TEXT_MAX + 8];
    const uint32_t *mask;
    struct err err = { 0 };
    bool may_end;
    int chosen = -1;

    assert_ok(grammar_state_mask(run, state, &mask, &err), err);
    for (unsigned i = 0, n = 0; i < N_TOKENS; i++) {
        const bool is_allowed = mask[i / 32] >> i % 32 & 1;
        struct grammar_state after = *state;

        snprintf(longer, sizeof(longer), "%s%s", text, f->bytes[i]);
        if (is_allowed != (f->tokens[i].is_text && is_prefix(f, longer, &may_end)))
            fail_msg("after '%s' the mask says %d of '%s'", text, is_allowed, f->bytes[i]);
        if (!is_allowed)
            continue;
        assert_true(grammar_state_accept(run, &after, f->bytes[i], strlen(f->bytes[i])));
        assert_int_equal(grammar_state_may_end(run, &after), may_end);
        if (draw(f, ++n) == 0)
            chosen = (int)i;
    }
    return chosen;
}

static void masks_are_what_trying_each_token_gives(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < N_GRAMMARS; i++) {
        char text[TEXT_MAX + 1] = "";
        struct grammar_run *run;
        struct grammar_state at;

        random_grammar(f);
        run = compile(f);
        grammar_state_init(run, &at);
        for (int k = 0; k < STEPS; k++) {
            const int token = check_mask(f, run, &at, text);

            if (token < 0) {
                assert_true(grammar_state_must_end(run, &at));
                break;
            }
            if (strlen(text) + strlen(f->bytes[token]) > TEXT_MAX - 8)
                break;
            strcat(text, f->bytes[token]);
            assert_true(grammar_state_accept(run, &at, f->bytes[token], strlen(f->bytes[token])));
        }
        grammar_run_free(run);
    }
}

static void a_refused_text_leaves_the_state(void **state)
{
    struct fixture *f = *state;
    struct grammar *g;
    struct grammar_run *run;
    struct grammar_state at, before;
    struct err err = { 0 };
    static const char text[] = "root ::= \"ab\" (\"c\" | \"d\" root)";

    assert_ok(grammar_compile(text, strlen(text), NULL, &g, &err), err);
    assert_ok(grammar_run_new(g, f->vocab, &run, &err), err);
    grammar_state_init(run, &at);
    before = at;
    assert_false(grammar_state_accept(run, &at, "abx", 3));
    assert_memory_equal(&at, &before, sizeof(at));
    assert_true(grammar_state_accept(run, &at, "abdabc", 6));
    assert_true(grammar_state_must_end(run, &at));
    assert_true(grammar_state_may_end(run, &at));
    grammar_run_free(run);
}

static void nesting_is_bounded_and_can_still_end(void **state)
{
    struct fixture *f = *state;
    struct grammar *g;
    struct grammar_run *run;
    struct grammar_state at;
    struct err err = { 0 };
    static const char text[] = "root ::= \"a\" root \"b\" | \"c\"";
    const uint32_t *mask;
    int n = 0;

    assert_ok(grammar_compile(text, strlen(text), NULL, &g, &err), err);
    assert_ok(grammar_run_new(g, f->vocab, &run, &err), err);
    grammar_state_init(run, &at);
    while (grammar_state_accept(run, &at, "a", 1))
        n++;
    assert_in_range(n, RUN_DEPTH_MAX - 1, RUN_DEPTH_MAX + 1);
    assert_ok(grammar_state_mask(run, &at, &mask, &err), err);
    assert_int_equal(mask[0] & 0x1F, 1u << ('c' - 'a'));
    assert_true(grammar_state_accept(run, &at, "c", 1));
    for (; n > 0; n--) {
        assert_false(grammar_state_may_end(run, &at));
        assert_true(grammar_state_accept(run, &at, "b", 1));
    }
    assert_true(grammar_state_must_end(run, &at));
    grammar_run_free(run);
}

static void forgotten_states_are_stale(void **state)
{
    struct fixture *f = *state;
    struct grammar *g;
    struct grammar_run *run;
    struct grammar_state at;
    struct err err = { 0 };
    static const char text[] = "root ::= [a-e]{9000} | \"x\"";
    int n = 0;

    assert_ok(grammar_compile(text, strlen(text), NULL, &g, &err), err);
    assert_ok(grammar_run_new(g, f->vocab, &run, &err), err);
    grammar_state_init(run, &at);
    for (int round = 0; round < 20 && !grammar_state_is_stale(run, &at); round++) {
        const uint32_t *mask;

        for (int i = 0; i < 400; i++, n++)
            assert_true(grammar_state_accept(run, &at, "a", 1));
        assert_ok(grammar_state_mask(run, &at, &mask, &err), err);
        assert_int_equal(mask[0] & 0x1F, 0x1F);
        grammar_run_make_room(run);
    }
    assert_false(grammar_state_is_stale(run, &at)); /* 8,000 sets are not yet half of the room */
    grammar_run_free(run);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(masks_are_what_trying_each_token_gives),
        cmocka_unit_test(a_refused_text_leaves_the_state),
        cmocka_unit_test(nesting_is_bounded_and_can_still_end),
        cmocka_unit_test(forgotten_states_are_stale),
    };

    return cmocka_run_group_tests_name("text/grammar/run", tests, set_up, tear_down);
}
