/* SPDX-License-Identifier: Apache-2.0 */
/* text/tool_grammar.c - a grammar of answers that are calls of functions. */
#include "text/tool_grammar.h"

#include <stdio.h>
#include <string.h>

#include "text/grammar/grammar.h"
#include "text/grammar/lark.h"
#include "text/grammar/schema.h"

enum { SCHEMAS_BYTES_MAX = 256 << 10 }; /* of rules: more, and the rest are objects of any kind */

static void literal(const char *text, struct buf *out)
{
    grammar_literal(text, strlen(text), out);
}

/* The rule of an object with a string that keeps to a Lark grammar. */
static enum status lark_arguments(const json_t *lark, const char *rule, struct buf *out,
                                  struct err *err)
{
    char input[40];
    enum status s;

    (void)snprintf(input, sizeof(input), "%sinput", rule);
    s = lark_rules(json_string_value(lark), json_string_length(lark), input, LARK_IN_JSON, out,
                   err);
    if (s == ST_OK)
        buf_printf(
            out,
            "%s ::= \"{\" json-ws \"\\\"input\\\":\" json-ws \"\\\"\" %s \"\\\"\" json-ws \"}\"\n",
            rule, input);
    return s;
}

/* The rules of a call's arguments.  ret: borrowed, `rule` or one that is there. */
static enum status arguments_rules(const json_t *tool, const char *rule, struct buf *out,
                                   const char **ret, struct err *err)
{
    const json_t *parameters = json_object_get(json_object_get(tool, "function"), "parameters");
    const json_t *lark = json_object_get(tool, TOOL_LARK);
    enum status s;

    *ret = "json-object";
    if (out->len >= SCHEMAS_BYTES_MAX || (!parameters && !lark))
        return ST_OK;
    s = lark ? lark_arguments(lark, rule, out, err) : schema_rules(parameters, rule, out, err);
    if (s == ST_OK)
        *ret = rule;
    return s == ST_NOMEM ? s : ST_OK;
}

/* The rule callN, and argsN that it needs. */
static enum status call_rules(const struct tool_format *format, const json_t *tool, size_t n,
                              struct buf *out, struct err *err)
{
    const char *name =
        json_string_value(json_object_get(json_object_get(tool, "function"), "name"));
    const char *arguments = NULL;
    char rule[32];
    struct buf before = { 0 };
    enum status s = ST_OK;

    (void)snprintf(rule, sizeof(rule), "args%zu-", n);
    if (format->body != TOOL_BODY_XML)
        s = arguments_rules(tool, rule, out, &arguments, err);
    if (s != ST_OK)
        return s;
    buf_printf(out, "call%zu ::= ", n);
    if (format->body == TOOL_BODY_XML) {
        buf_printf(&before, "<function=%s>\n", name);
        literal(buf_text(&before), out);
        buf_puts(out, " parameter* \"</function>\"\n");
    } else {
        buf_printf(&before, "{\"name\": \"%s\", \"%s\": ", name, format->arguments_key);
        literal(buf_text(&before), out);
        buf_printf(out, " %s \"}\"\n", arguments);
    }
    buf_release(&before);
    return ST_OK;
}

/* Of several calls in one list. */
static void named_root(const struct tool_format *format, enum tool_grammar_from from,
                       bool calls_once, struct buf *out)
{
    if (from == TOOL_GRAMMAR_WHOLE)
        literal(format->open, out);
    buf_puts(out, calls_once ? " \"[\" call \"]\"\n" : " \"[\" call (\", \" call)* \"]\"\n");
}

/* Of calls that are each between marks. */
static void marked_root(const struct tool_format *format, enum tool_grammar_from from,
                        bool calls_once, struct buf *out)
{
    buf_puts(out, from == TOOL_GRAMMAR_WHOLE ? "marked" : "rest");
    buf_puts(out, calls_once ? "\nmarked ::= " : " (\"\\n\" marked)*\nmarked ::= ");
    literal(format->open, out);
    buf_puts(out, " rest\nrest ::= \"\\n\"? call \"\\n\"? ");
    literal(format->close, out);
    buf_putc(out, '\n');
}

/* `root`, of a rule `call`: between marks, in a list, or as it is. */
static void root_rule(const struct tool_format *format, enum tool_grammar_from from,
                      bool calls_once, struct buf *out)
{
    buf_puts(out, from == TOOL_GRAMMAR_WHOLE ? "root ::= [ \\n]{0,2} " : "root ::= ");
    if (format->body == TOOL_BODY_NAMED)
        named_root(format, from, calls_once, out);
    else if (!format->close)
        buf_puts(out, calls_once ? "call\n" : "call (\"; \" call)*\n");
    else
        marked_root(format, from, calls_once, out);
}

enum status tool_grammar(const struct tool_format *format, const json_t *functions,
                         const char *only, enum tool_grammar_from from, bool calls_once,
                         struct buf *out, struct err *err)
{
    struct buf call = { 0 };
    enum status s = ST_OK;

    grammar_json_rules(out);
    buf_puts(&call, "call ::= ");
    for (size_t i = 0; i < json_array_size(functions) && s == ST_OK; i++) {
        const json_t *tool = json_array_get(functions, i);
        const char *name =
            json_string_value(json_object_get(json_object_get(tool, "function"), "name"));

        if (only && strcmp(only, name) != 0)
            continue;
        s = call_rules(format, tool, i, out, err);
        buf_printf(&call, call.len > 9 ? " | call%zu" : "call%zu", i);
    }
    if (format->body == TOOL_BODY_XML)
        buf_puts(out, "parameter ::= \"<parameter=\" [a-zA-Z0-9_.-]+ \">\\n\" [^<]* "
                      "\"\\n</parameter>\\n\"\n");
    buf_puts(out, buf_text(&call));
    buf_putc(out, '\n');
    root_rule(format, from, calls_once, out);
    if (s == ST_OK && (call.failed || buf_status(out) != ST_OK))
        s = err_set(err, ST_NOMEM, "a grammar of calls");
    if (s == ST_OK && out->len > GRAMMAR_BYTES_MAX)
        s = err_set(err, ST_RANGE, "the functions are too many to be held to");
    buf_release(&call);
    return s;
}
