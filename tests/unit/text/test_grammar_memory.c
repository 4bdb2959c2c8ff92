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

/* Rules that lack a part would hold an answer to less, and nobody would notice. */
static void merged_schemas_are_whole_or_refused(void **state)
{
    static const char *const texts[] = {
        "{\"allOf\":[{\"type\":[\"integer\",\"string\",\"null\"]},{\"type\":[\"number\",\"string\"]}]}",
        "{\"type\":\"object\",\"properties\":{\"a\":{\"type\":\"integer\"}},\"required\":[\"a\"],"
        "\"allOf\":[{\"properties\":{\"a\":{\"minimum\":3},\"b\":{\"const\":1}},\"required\":[\"b\"]}]}",
        "{\"type\":\"integer\",\"minimum\":1,\"maximum\":9,\"anyOf\":[{\"minimum\":2},{\"maximum\":5}]}",
        "{\"$ref\":\"#/$defs/s\",\"minLength\":2,\"$defs\":{\"s\":{\"type\":\"string\",\"minLength\":1,"
        "\"maxLength\":4}}}",
        "{\"type\":\"object\",\"properties\":{\"a\":true},\"required\":[\"b\"],\"additionalProperties\":"
        "{\"type\":\"integer\"}}",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        json_t *schema = json_loads(texts[i], 0, NULL);
        struct buf whole = { 0 };
        bool has_failed = true;

        assert_int_equal(schema_rules(schema, "root", &whole, NULL), ST_OK);
        for (size_t k = 1; has_failed; k++) {
            struct buf rules = { 0 };
            enum status s;

            allocations_fail_at(k);
            s = schema_rules(schema, "root", &rules, NULL);
            has_failed = allocations_failed();
            allocations_fail_at(0);
            if (s == ST_OK && !rules.failed)
                assert_string_equal(buf_text(&rules), buf_text(&whole));
            else if (s != ST_OK && s != ST_NOMEM)
                fail_msg("allocation %zu of %s: %s", k, texts[i], status_words(s));
            buf_release(&rules);
        }
        buf_release(&whole);
        json_decref(schema);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_grammar_runs_out_of_memory_anywhere),
        cmocka_unit_test(an_expression_runs_out_of_memory_anywhere),
        cmocka_unit_test(a_schema_runs_out_of_memory_anywhere),
        cmocka_unit_test(merged_schemas_are_whole_or_refused),
    };
    return cmocka_run_group_tests_name("text/grammar memory", tests, set_up, tear_down);
}
