/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/text/test_lark.c - grammars in Lark's notation: what they accept, alone and inside a JSON
 * string, and which are refused by name.
 */
#include "support/byte_vocab.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "text/grammar/lark.h"
#include "text/grammar/run.h"
#include "text/grammar/schema.h"
#ifndef __APPLE__
#include "support/allocations.h"
#endif

static enum status compile(const char *lark, enum lark_place place, struct grammar **ret,
                           struct err *err)
{
    struct buf text = { 0 };
    enum status s = lark_rules(lark, strlen(lark), "root", place, &text, err);

    if (s == ST_OK)
        s = grammar_compile(buf_text(&text), text.len, NULL, ret, err);
    buf_release(&text);
    return s;
}

static bool accepts(const char *lark, enum lark_place place, const char *text)
{
    struct grammar *g = NULL;
    struct err err = { 0 };

    if (compile(lark, place, &g, &err) != ST_OK)
        fail_msg("%s\n%s", err.words, lark);
    return byte_vocab_accepts(g, text);
}

/* What patches of files look like to agents. */
#define PATCH                                                                                      \
    "start: head change+ tail\n"                                                                   \
    "head: \"=== Patch\" LF\n"                                                                     \
    "tail: \"=== Done\" LF?\n\n"                                                                   \
    "change: \"=== File: \" path LF line+ -> edit\n"                                               \
    "path: /(.+)/\n"                                                                               \
    "line: (\"+\" | \"-\" | \" \") /(.*)/ LF\n"                                                    \
    "%import common.LF\n"

#define SUMS                                                                                       \
    "start: sum  // the whole\n"                                                                   \
    "?sum: sum \"+\" product | sum \"-\" product | product\n"                                      \
    "?product.2: product \"*\" atom -> times\n"                                                    \
    "    | atom\n"                                                                                 \
    "!atom: NUMBER | NAME | \"(\" sum \")\"\n"                                                     \
    "%import common (NUMBER, WS_INLINE)\n"                                                         \
    "%import common.CNAME -> NAME\n"                                                               \
    "%ignore WS_INLINE\n"

static void notation_means_what_it_says(void **state)
{
    static const struct {
        const char *lark, *yes, *no;
    } rows[] = {
        { "start: \"a\"", "a", "b" },
        { "start: \"a\" | b\nb: \"b\" b | \"c\"\n", "bbc", "ab" },
        { "start:\n  | \"x\"\n  | \"y\"", "", "xy" },
        { "start: A~2 B~1..3\nA: \"a\"\nB: \"b\"", "aabbb", "aab b" },
        { "start: [\"a\" \"b\"] (\"c\"\n  \"d\")* \"e\"?", "cdcde", "ae" },
        { "start: \"0\"..\"7\"+", "0174", "8" },
        { "start: \"\\u00e9\"..\"\\U0001F600\"", "\xE2\x82\xAC", "a" },
        { "start: \"key\"i \"-1\"i", "KeY-1", "ke-1" },
        { "start: \"a\\\"\\\\\\n\\x41\"", "a\"\\\nA", "a\"\\nA" },
        { "start: /a.b/", "axb", "a\nb" },
        { "start: /a.[.]b/s", "a\n.b", "a\n\nb" },
        { "start: /x\\/y/u \"//\" # no comment before\n", "x/y//", "x/y" },
        { "start: _A __b\n_A: \"a\" | \"A\"\n__b: _A+", "aAa", "a" },
        { PATCH, "=== Patch\n=== File: a b\n+x\n-\"y\"\n=== Done\n", "=== Patch\n=== Done\n" },
        { PATCH, "=== Patch\n=== File: a\n \n=== File: b\n+\n=== Done",
          "=== Patch\n=== File: \n+\n=== Done" },
        { SUMS, " 1+ (x_1 - .5e3)*2 ", "1+" },
        { SUMS, "1", "x y" },
        { "start: \"b\" | start | start \"a\"?", "baa", "ab" },
        { "start: ESCAPED_STRING\n%import common.ESCAPED_STRING", "\"a\\\"b\"", "\"a\\\"" },
        { "start: C_COMMENT\n%import common.C_COMMENT", "/* a*b **/", "/* */ */" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (!accepts(rows[i].lark, LARK_ALONE, rows[i].yes))
            fail_msg("%s: not %s", rows[i].lark, rows[i].yes);
        if (accepts(rows[i].lark, LARK_ALONE, rows[i].no))
            fail_msg("%s: %s", rows[i].lark, rows[i].no);
    }
}

static void inside_json_characters_are_escaped(void **state)
{
    (void)state;
    assert_true(accepts(PATCH, LARK_IN_JSON,
                        "=== Patch\\n=== File: a\\n-say \\\"x\\\\y\\\"\\n=== Done\\n"));
    assert_false(accepts(PATCH, LARK_IN_JSON, "=== Patch\n=== File: a\n+\n=== Done"));
    assert_true(accepts("start: \"\\x01\\\"\" \"\\t\"..\"\\n\"", LARK_IN_JSON, "\\u0001\\\"\\n"));
    assert_false(accepts("start: \"\\\"\"", LARK_IN_JSON, "\""));
}

static void every_common_terminal_compiles(void **state)
{
    static const char *const names[] = {
        "DIGIT",
        "HEXDIGIT",
        "INT",
        "SIGNED_INT",
        "DECIMAL",
        "FLOAT",
        "SIGNED_FLOAT",
        "NUMBER",
        "SIGNED_NUMBER",
        "ESCAPED_STRING",
        "LCASE_LETTER",
        "UCASE_LETTER",
        "LETTER",
        "WORD",
        "CNAME",
        "WS_INLINE",
        "WS",
        "CR",
        "LF",
        "NEWLINE",
        "SH_COMMENT",
        "CPP_COMMENT",
        "C_COMMENT",
        "SQL_COMMENT",
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        struct grammar *g = NULL;
        struct err err = { 0 };
        char lark[96];

        (void)snprintf(lark, sizeof(lark), "%%import common.%s -> X\nstart: X", names[i]);
        assert_ok(compile(lark, LARK_IN_JSON, &g, &err), err);
        grammar_free(g);
    }
}

static void what_cannot_be_held_is_refused_by_name(void **state)
{
    static const struct {
        const char *lark;
        enum status status;
        const char *words;
    } rows[] = {
        { "", ST_FORMAT, "'start'" },
        { "a: \"x\"", ST_FORMAT, "'start'" },
        { "start: b", ST_FORMAT, "'b'" },
        { "start: \"a\"\nstart: \"b\"", ST_FORMAT, "again" },
        { "start \"a\"", ST_FORMAT, "':'" },
        { "start: \"a", ST_FORMAT, "not closed" },
        { "start: /a", ST_FORMAT, "not closed" },
        { "start: (\"a\"", ST_FORMAT, "')'" },
        { "start: \"a\")", ST_FORMAT, "goes on" },
        { "start: [\"a\")", ST_FORMAT, "']'" },
        { "\nstart: *", ST_FORMAT, "line 2" },
        { "start: \"a\"~", ST_FORMAT, "'~'" },
        { "start: \"a\"~3..2", ST_FORMAT, "less than" },
        { "start: \"a\"~99999999999", ST_RANGE, "more than" },
        { "start: \"ab\"..\"c\"", ST_FORMAT, "one character" },
        { "start: \"c\"..\"a\"", ST_FORMAT, "range" },
        { "start: \"\\q\"", ST_UNSUPPORTED, "escape" },
        { "start: \"\\u12\"", ST_FORMAT, "hexadecimal" },
        { "start: \"\\ud800\"", ST_FORMAT, "no character" },
        { "start: /(?=a)b/", ST_UNSUPPORTED, "look-around" },
        { "start: /a/i", ST_UNSUPPORTED, "flag" },
        { "start: \"a\"s", ST_UNSUPPORTED, "flag" },
        { "start: A\nA: b\nb: \"x\"", ST_FORMAT, "terminal" },
        { "start: a{\"x\"}\na{b}: b", ST_UNSUPPORTED, "template" },
        { "start: A\n%declare A", ST_UNSUPPORTED, "directive" },
        { "start: A\n%import python.A", ST_UNSUPPORTED, "import" },
        { "start: A\n%import common.NOTHING -> A", ST_UNSUPPORTED, "import" },
        { "start: \"a\"\n%import common.INT -> x", ST_FORMAT, "name of a rule" },
        { "start: \"a\"\n%import common.(INT", ST_UNSUPPORTED, "import" },
        { "start: \"a\"\n%import common (INT", ST_FORMAT, "')'" },
        { "start: start \"a\"", ST_FORMAT, "begins with itself" },
        { "start: a\na: b \"x\" | \"y\"\nb: a", ST_FORMAT, "left recursion" },
        { "start: \"a\" start", ST_FORMAT, "no text" },
        { "start: \"\xC3\"", ST_FORMAT, "UTF-8" },
        { "start: @", ST_FORMAT, "means nothing" },
    };

    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct grammar *g = NULL;
        struct err err = { 0 };
        const enum status s = compile(rows[i].lark, LARK_ALONE, &g, &err);

        if (s != rows[i].status || !strstr(err.words, rows[i].words))
            fail_msg("%s: %s, %s", rows[i].lark, status_words(s), err.words);
        assert_null(g);
    }
}

static void bounds_hold(void **state)
{
    struct buf deep = { 0 }, out = { 0 };
    struct err err = { 0 };

    (void)state;
    buf_puts(&deep, "start: ");
    for (size_t i = 0; i < 100; i++)
        buf_putc(&deep, i % 2 ? '(' : '[');
    assert_int_equal(lark_rules(deep.data, deep.len, "root", LARK_ALONE, &out, &err), ST_RANGE);
    while (deep.len <= LARK_BYTES_MAX)
        buf_puts(&deep, " \"a\"");
    assert_int_equal(lark_rules(deep.data, deep.len, "root", LARK_ALONE, &out, &err), ST_RANGE);
    assert_string_equal(buf_text(&out), "");
    buf_release(&deep);
    buf_release(&out);
}

#ifndef __APPLE__ /* allocations_fail_at() is not there */
static void rules_are_whole_or_refused_without_memory(void **state)
{
    static const char lark[] = SUMS "T: \"ab\"i | \"x\"..\"z\" | /[a-z].+/s | \"\\n\"\n";
    struct buf whole = { 0 };
    bool has_failed = true;

    (void)state;
    assert_int_equal(lark_rules(lark, strlen(lark), "root", LARK_IN_JSON, &whole, NULL), ST_OK);
    for (size_t k = 1; has_failed; k++) {
        struct buf rules = { 0 };
        enum status s;

        allocations_fail_at(k);
        s = lark_rules(lark, strlen(lark), "root", LARK_IN_JSON, &rules, NULL);
        has_failed = allocations_failed();
        allocations_fail_at(0);
        if (s == ST_OK)
            assert_string_equal(buf_text(&rules), buf_text(&whole));
        else
            assert_int_equal(s, ST_NOMEM);
        buf_release(&rules);
    }
    buf_release(&whole);
}
#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(notation_means_what_it_says),
        cmocka_unit_test(inside_json_characters_are_escaped),
        cmocka_unit_test(every_common_terminal_compiles),
        cmocka_unit_test(what_cannot_be_held_is_refused_by_name),
        cmocka_unit_test(bounds_hold),
#ifndef __APPLE__
        cmocka_unit_test(rules_are_whole_or_refused_without_memory),
#endif
    };
    return cmocka_run_group_tests_name("text/grammar lark", tests, byte_vocab_set_up,
                                       byte_vocab_tear_down);
}
