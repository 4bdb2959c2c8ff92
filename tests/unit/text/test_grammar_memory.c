/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_grammar_memory.c - grammars, expressions and schemas whose k-th allocation fails are
 * refused for lack of memory, whichever it is, and leave nothing behind.
 */
#include "support/check.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "support/allocations.h"
#include "text/grammar/run.h"
#include "text/grammar/schema.h"

static struct grammar_vocab *vocab;

/* JSON's values come from here, too. */
static void *allocate(size_t n)
{
    return malloc(n);
}

static void give_back(void *memory)
{
    free(memory);
}

static int set_up(void **state)
{
    static char bytes[128];
    struct vocab_token tokens[128];

    (void)state;
    json_set_alloc_funcs(allocate, give_back);
    for (size_t i = 0; i < ARRAY_LEN(tokens); i++) {
        bytes[i] = (char)i;
        tokens[i] = (struct vocab_token){ &bytes[i], 1, true };
    }
    return grammar_vocab_new(tokens, ARRAY_LEN(tokens), &vocab, NULL) == ST_OK ? 0 : -1;
}

static int tear_down(void **state)
{
    (void)state;
    grammar_vocab_free(vocab);
    return 0;
}

/* Everything a request's grammar goes through. */
static enum status hold(const char *grammar, size_t n)
{
    struct grammar_run *run = NULL;
    struct grammar *g = NULL;
    struct grammar_state state;
    const uint32_t *mask;
    enum status s = grammar_compile(grammar, n, NULL, &g, NULL);

    if (s == ST_OK)
        s = grammar_run_new(g, vocab, &run, NULL);
    if (s == ST_OK) {
        grammar_state_init(run, &state);
        s = grammar_state_mask(run, &state, &mask, NULL);
        (void)grammar_state_accept(run, &state, "{\"a\":1}", 7);
    }
    grammar_run_free(run);
    return s;
}

static enum status of_grammar(const char *text)
{
    return hold(text, strlen(text));
}

static enum status of_regex(const char *text)
{
    struct buf rules = { 0 };
    enum status s = regex_rules(text, "root", &rules, NULL);

    if (s == ST_OK)
        s = hold(buf_text(&rules), rules.len);
    buf_release(&rules);
    return s;
}

static enum status of_schema(const char *text)
{
    json_t *schema = json_loads(text, JSON_DECODE_ANY, NULL);
    struct buf rules = { 0 };
    enum status s = schema ? ST_OK : ST_NOMEM;

    grammar_json_rules(&rules);
    if (s == ST_OK)
        s = schema_rules(schema, "root", &rules, NULL);
    if (s == ST_OK)
        s = hold(buf_text(&rules), rules.len);
    buf_release(&rules);
    json_decref(schema);
    return s;
}

/* Until none of its allocations is left to fail. */
static void run_out(enum status (*make)(const char *text), const char *text)
{
    bool has_failed = true;

    assert_int_equal(make(text), ST_OK);
    for (size_t k = 1; has_failed; k++) {
        enum status s;

        allocations_fail_at(k);
        s = make(text);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if (has_failed ? s == ST_FORMAT || s == ST_UNSUPPORTED : s != ST_OK)
            fail_msg("allocation %zu of %s: %s", k, text, status_words(s));
    }
}

static void a_grammar_runs_out_of_memory_anywhere(void **state)
{
    (void)state;
    run_out(of_grammar, "root ::= \"{\" (pair (\",\" pair)*)? \"}\"\n"
                        "pair ::= \"\\\"\" [a-z]{1,8} \"\\\":\" (root | [0-9]+)\n");
}

static void an_expression_runs_out_of_memory_anywhere(void **state)
{
    (void)state;
    run_out(of_regex, "(ab|c)*[^x-z]{2,5}\\d+");
}

static void a_schema_runs_out_of_memory_anywhere(void **state)
{
    (void)state;
    run_out(
        of_schema,
        "{\"type\":\"object\",\"properties\":{\"a\":{\"anyOf\":[{\"type\":\"integer\",\"minimum\":1},"
        "{\"$ref\":\"#/$defs/b\"}]},\"c\":{\"allOf\":[{\"type\":\"string\",\"pattern\":\"^a+$\"},{\"title\":"
        "\"t\"}]},\"d\":{\"oneOf\":[{\"const\":1},{\"enum\":[\"x\",\"y\"]}]}},\"required\":[\"a\"],"
        "\"$defs\":{\"b\":{\"type\":\"array\",\"items\":{\"$ref\":\"#/$defs/b\"},\"maxItems\":3}}}");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grammar_runs_out_of_memory_anywhere),
        cmocka_unit_test(an_expression_runs_out_of_memory_anywhere),
        cmocka_unit_test(a_schema_runs_out_of_memory_anywhere),
    };
    return cmocka_run_group_tests_name("text/grammar memory", tests, set_up, tear_down);
}
