/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_grammar.c - grammars, expressions and schemas: what they accept, and which of
 * them are refused, soon and by name. */
#include "support/byte_vocab.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "text/grammar/run.h"
#include "text/grammar/schema.h"

/* Is `text` all of a text of the grammar? */
static bool accepts(const char *grammar, const char *text)
{
    struct grammar *g;
    struct err err = { 0 };

    if (grammar_compile(grammar, strlen(grammar), NULL, &g, &err) != ST_OK)
        fail_msg("%s\n%s", err.words, grammar);
    return byte_vocab_accepts(g, text);
}

static void notation_means_what_it_says(void **state)
{
    static const struct {
        const char *grammar, *yes, *no;
    } rows[] = {
        { "root ::= \"a\" | \"b\" # one\n", "b", "ab" },
        { "# first\nroot ::= x\n  \nx ::=\n  \"q\" |\n  \"r\"", "r", "" },
        { "root ::= (\"a\"\n \"b\")+", "abab", "aba" },
        { "root ::= \"ab\"{2,3}", "ababab", "ab" },
        { "root ::= [a-c]{2}", "cb", "cd" },
        { "root ::= [a-c]{2,}", "cbabc", "c" },
        { "root ::= \"x\"? \"y\"*", "xyyy", "xx" },
        { "root ::= \"x\"{0}\"y\"", "y", "xy" },
        { "root ::= [^a-z\\n]", "\xC3\xA9", "\n" },
        { "root ::= [\\u00E9-\\U0001F600]", "\xF0\x9F\x98\x80", "a" },
        { "root ::= .", "\xE2\x82\xAC", "\xE2\x82" },
        { "root ::= .", "\xF4\x8F\xBF\xBF", "\xED\xA0\x80" },
        { "root ::= \"\\\"\\\\\\x41\\t\"", "\"\\A\t", "\"\\B\t" },
        { "root ::= [\\]\\[^-]+", "][^-", "a" },
        { "root ::= \"(\" root \")\" | \"\"", "((()))", "(()" },
        { "root ::= a b\na ::= \"\"\nb ::= a a \"z\"", "z", "zz" },
        { "root ::= (a?)* \"z\"\na ::= (\"x\"?)*", "xxz", "xx" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!accepts(rows[i].grammar, rows[i].yes))
            fail_msg("%s: not %s", rows[i].grammar, rows[i].yes);
        if (accepts(rows[i].grammar, rows[i].no))
            fail_msg("%s: %s", rows[i].grammar, rows[i].no);
    }
}

static void assert_refused(const char *grammar, size_t n, const char *words)
{
    const uint64_t start_ns = clock_ns();
    struct grammar *g = NULL;
    struct err err = { 0 };

    if (grammar_compile(grammar, n, NULL, &g, &err) == ST_OK)
        fail_msg("compiled: %.100s", grammar);
    assert_null(g);
    if (!strstr(err.words, words))
        fail_msg("'%.60s': %s", grammar, err.words);
    assert_true(clock_ns() - start_ns < 10 * NS_PER_S); /* a bound, not a measurement */
}

static void wrong_grammars_are_refused(void **state)
{
    static const struct {
        const char *grammar, *words;
    } rows[] = {
        { "", "no rule 'root'" },
        { "root", "'::='" },
        { "root ::= a", "'a'" },
        { "root ::= \"a", "closing quote" },
        { "root ::= [a", "closing bracket" },
        { "root ::= (\"a\"", "not closed" },
        { "root ::= \"a\")", "not opened" },
        { "root ::= *", "nothing to repeat" },
        { "root ::= \"a\"{3,2}", "{m,n}" },
        { "root ::= \"a\"{1000000000}", "more than" },
        { "root ::= \"\\q\"", "escape" },
        { "root ::= [b-a]", "range" },
        { "root ::= \"\xFF\"", "UTF-8" },
        { "root ::= \"a\"\nroot ::= \"b\"", "twice" },
        { "root ::= root \"a\" | \"b\"", "left recursion" },
        { "root ::= a\na ::= b? c\nb ::= \"x\"\nc ::= a \"y\" | \"z\"", "left recursion" },
        { "root ::= \"a\" root", "no text" },
        { "root ::= [] \"a\"", "no text" },
        { "root ::= ((((\"a\"{1000}){1000}){1000}){1000})", "too large" },
        { "root ::= (\"a\"?){9999} (\"b\"?){9999}", "too large" },
        { "root ::= \"a\" <tool>", "belongs to no grammar" },
    };
    char *deep = malloc(60010);

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        assert_refused(rows[i].grammar, strlen(rows[i].grammar), rows[i].words);
    memcpy(deep, "root ::= ", 9);
    memset(deep + 9, '(', 60000);
    assert_refused(deep, 60009, "64 deep");
    free(deep);
}

/* In a grammar with what is common to all schemas. */
static bool schema_accepts(const char *schema, const char *text)
{
    json_t *json = json_loads(schema, JSON_DECODE_ANY, NULL);
    struct buf grammar = { 0 };
    struct err err = { 0 };
    bool is_accepted;

    assert_non_null(json);
    grammar_json_rules(&grammar);
    if (schema_rules(json, "root", &grammar, &err) != ST_OK)
        fail_msg("%s: %s", schema, err.words);
    is_accepted = accepts(buf_text(&grammar), text);
    buf_release(&grammar);
    json_decref(json);
    return is_accepted;
}

static void schemas_hold(void **state)
{
    static const struct {
        const char *schema, *yes, *no;
    } rows[] = {
        { "true", "{\"a\": [1, null]}", "{a:1}" },
        { "{\"type\":\"integer\",\"minimum\":-7,\"maximum\":120}", "-7", "-8" },
        { "{\"type\":\"integer\",\"minimum\":-7,\"maximum\":120}", "120", "121" },
        { "{\"type\":\"integer\",\"exclusiveMinimum\":98}", "99", "98" },
        { "{\"type\":\"integer\",\"minimum\":188,\"maximum\":412}", "199", "187" },
        { "{\"type\":\"integer\",\"minimum\":188,\"maximum\":412}", "400", "413" },
        { "{\"type\":\"number\",\"minimum\":0,\"maximum\":1}", "0.25", "1.5" },
        { "{\"type\":\"number\",\"exclusiveMaximum\":0,\"minimum\":-2}", "-1.999", "0" },
        { "{\"type\":\"string\",\"minLength\":2,\"maxLength\":3}", "\"\\u00e9b\"", "\"a\"" },
        { "{\"type\":\"string\",\"maxLength\":1}", "\"\xF0\x9F\x98\x80\"", "\"\\ud83d\"" },
        { "{\"type\":\"string\",\"pattern\":\"^[a\\\"]+$\"}", "\"a\\\"a\"", "\"b\"" },
        { "{\"type\":\"string\",\"format\":\"date\"}", "\"2024-04-30\"", "\"2024-04-31\"" },
        { "{\"type\":\"string\",\"format\":\"ipv4\"}", "\"255.0.19.7\"", "\"256.0.0.1\"" },
        { "{\"enum\":[1,\"a\\n\",{\"b\":null}]}", "{\"b\":null}", "2" },
        { "{\"type\":\"array\",\"items\":{\"type\":\"null\"},\"minItems\":1,\"maxItems\":2}",
          "[null, null]", "[]" },
        { "{\"type\":\"array\",\"prefixItems\":[{\"const\":1}],\"items\":false}", "[1]", "[1,2]" },
        { "{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2},\"c\":"
          "{\"const\":3}},\"required\":[\"b\"]}",
          "{\"b\":2, \"c\":3}", "{\"a\":1}" },
        { "{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1},\"b\":{\"const\":2}}}",
          "{\"b\":2}", "{\"b\":2,}" },
        { "{\"type\":\"object\",\"properties\":{\"a\":{\"const\":1}},\"additionalProperties\":"
          "{\"const\":0}}",
          "{\"a\":1,\"ab\":0,\"b\":0}", "{\"a\":1,\"a\":0}" },
        { "{\"type\":\"object\",\"properties\":{\"\xC3\xA9\":{\"const\":1}},"
          "\"additionalProperties\":{\"const\":0}}",
          "{\"\xC3\xA8\":0}", "{\"\xC3\xA9\":0}" },
        { "{\"allOf\":[{\"type\":\"integer\"},{\"minimum\":3}],\"maximum\":4}", "4", "5" },
        { "{\"anyOf\":[{\"type\":\"null\"},{\"$ref\":\"#/$defs/t\"}],\"$defs\":{\"t\":{\"type\":"
          "\"object\",\"properties\":{\"n\":{\"$ref\":\"#\"}},\"required\":[\"n\"]}}}",
          "{\"n\":{\"n\":null}}", "{\"n\":1}" },
        { "{\"oneOf\":[{\"type\":\"string\",\"maxLength\":0},{\"type\":\"boolean\"}]}", "true",
          "\"a\"" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        if (!schema_accepts(rows[i].schema, rows[i].yes))
            fail_msg("%s: not %s", rows[i].schema, rows[i].yes);
        if (schema_accepts(rows[i].schema, rows[i].no))
            fail_msg("%s: %s", rows[i].schema, rows[i].no);
    }
}

static void bounds_of_integers_are_exact(void **state)
{
    (void)state;
    for (int low = -13; low <= 112; low += 25) {
        for (int high = low; high <= low + 210; high += 42) {
            char schema[96], text[16];

            snprintf(schema, sizeof(schema), "{\"type\":\"integer\",\"minimum\":%d,\"maximum\":%d}",
                     low, high);
            for (int i = low - 12; i <= high + 12; i++) {
                snprintf(text, sizeof(text), "%d", i);
                if (schema_accepts(schema, text) != (i >= low && i <= high))
                    fail_msg("%s: %s", schema, text);
            }
        }
    }
}

static void schemas_are_refused_by_name(void **state)
{
    static const struct {
        const char *schema, *words;
    } rows[] = {
        { "{\"type\":\"array\",\"uniqueItems\":true}", "'uniqueItems'" },
        { "{\"not\":{}}", "'not'" },
        { "{\"type\":\"array\",\"minItems\":1000000000}", "'minItems'" },
        { "{\"type\":\"string\",\"format\":\"regex\"}", "'format'" },
        { "{\"type\":\"string\",\"pattern\":\"(?!a)\"}", "'pattern'" },
        { "{\"type\":\"text\"}", "'type'" },
        { "{\"$ref\":\"#/$defs/x\"}", "'$ref'" },
        { "{\"$ref\":\"http://example.com/a\"}", "'$ref'" },
        { "{\"oneOf\":[{\"type\":\"string\"},{\"maxLength\":2}]}", "'oneOf'" },
        { "{\"allOf\":[{\"type\":\"string\"},{\"type\":\"null\"}]}", "'allOf'" },
        { "{\"type\":\"number\",\"minimum\":0.2,\"maximum\":0.3}", "'minimum'" },
        { "{\"type\":\"object\",\"required\":[\"a\"],\"additionalProperties\":false}", "'a'" },
        { "{\"properties\":{\"a\":false},\"required\":[\"a\"]}", "'false'" },
        { "[]", "a schema is an object" },
        { "{\"enum\":[]}", "'enum'" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        json_t *json = json_loads(rows[i].schema, JSON_DECODE_ANY, NULL);
        struct buf out = { 0 };
        struct err err = { 0 };

        buf_puts(&out, "before");
        if (schema_rules(json, "root", &out, &err) == ST_OK)
            fail_msg("%s", rows[i].schema);
        if (!strstr(err.words, rows[i].words))
            fail_msg("%s: %s", rows[i].schema, err.words);
        assert_string_equal(buf_text(&out), "before");
        buf_release(&out);
        json_decref(json);
    }
}

static void a_schema_fits_into_a_larger_grammar(void **state)
{
    json_t *json = json_loads("{\"type\":\"object\",\"properties\":{\"x\":{\"const\":1}},"
                              "\"required\":[\"x\"]}",
                              0, NULL);
    struct buf g = { 0 };
    struct err err = { 0 };

    (void)state;
    grammar_json_rules(&g);
    assert_ok(schema_rules(json, "args0", &g, &err), err);
    assert_ok(schema_rules(json_true(), "args1", &g, &err), err);
    buf_puts(&g, "root ::= \"<call>\" args0 \"</call>\" (\"<call>\" args1 \"</call>\")*\n");
    assert_true(accepts(buf_text(&g), "<call>{\"x\": 1}</call><call>[]</call>"));
    assert_false(accepts(buf_text(&g), "<call>[]</call>"));
    buf_release(&g);
    json_decref(json);
}

static void expressions_hold(void **state)
{
    static const struct {
        const char *regex, *yes, *no;
    } rows[] = {
        { "^(a+)+$", "aaaa", "b" },
        { "a|b|", "", "ab" },
        { "\\d{2}-\\w*", "12-a_9", "1-a" },
        { "[^\\s\"]+", "\xC3\xA9x", "a b" },
        { "(?:x|yz){1,2}?", "yzx", "y" },
        { "\\.\\/\\u0041\\x42", "./AB", "x/AB" },
        { ".", "\"", "\n" },
        { "()", "", "x" },
        { "a{,2}", "a{,2}", "a" },
        { "[a-]]", "-]", "a" },
    };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf g = { 0 };
        struct err err = { 0 };

        if (regex_rules(rows[i].regex, "root", &g, &err) != ST_OK)
            fail_msg("%s: %s", rows[i].regex, err.words);
        if (!accepts(buf_text(&g), rows[i].yes) || accepts(buf_text(&g), rows[i].no))
            fail_msg("%s\n%s", rows[i].regex, buf_text(&g));
        buf_release(&g);
    }
}

static void expressions_beyond_the_regular_are_refused(void **state)
{
    static const char *const rows[] = { "(?=a)", "(a)\\1", "\\bx", "a^b", "(",       ")",
                                        "[a",    "\\",     "*a",   "a++", "(?<n>a)", "\\p{L}" };

    (void)state;
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
        struct buf g = { 0 };

        if (regex_rules(rows[i], "root", &g, NULL) == ST_OK)
            fail_msg("%s", rows[i]);
        buf_release(&g);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notation_means_what_it_says),
        cmocka_unit_test(wrong_grammars_are_refused),
        cmocka_unit_test(schemas_hold),
        cmocka_unit_test(bounds_of_integers_are_exact),
        cmocka_unit_test(schemas_are_refused_by_name),
        cmocka_unit_test(a_schema_fits_into_a_larger_grammar),
        cmocka_unit_test(expressions_hold),
        cmocka_unit_test(expressions_beyond_the_regular_are_refused),
    };

    return cmocka_run_group_tests_name("text/grammar", tests, byte_vocab_set_up,
                                       byte_vocab_tear_down);
}
