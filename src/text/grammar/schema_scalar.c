/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema_scalar.c - strings and numbers as rules.
 *
 * Source  RFC 3339 for dates and times, RFC 4122 for UUIDs, RFC 8259 for all of it
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "text/grammar/schema_priv.h"

void grammar_json_rules(struct buf *out)
{
    buf_puts(
        out,
        "json-ws ::= (\" \" | \"\\n\" \" \"{0,20})?\n"
        "json-value ::= json-object | json-array | json-string | json-number | json-boolean |"
        " json-null\n"
        "json-object ::= \"{\" json-ws (json-pair (\",\" json-ws json-pair)* json-ws)? \"}\"\n"
        "json-pair ::= json-string \":\" json-ws json-value\n"
        "json-array ::= \"[\" json-ws (json-value (\",\" json-ws json-value)* json-ws)? \"]\"\n"
        "json-string ::= \"\\\"\" json-char* \"\\\"\"\n"
        "json-char ::= [^\"\\\\\\x00-\\x1F\\x7F] | \"\\\\\" ([\"\\\\/bfnrt] | \"u\" json-code)\n"
        "json-code ::= [0-9A-CEFa-cef] json-hex{3} | [Dd] [0-7] json-hex{2}\n" /* no surrogates */
        "json-hex ::= [0-9A-Fa-f]\n"
        "json-number ::= json-integer (\".\" [0-9]{1,15})? ([eE] [-+]? [0-9]{1,2})?\n"
        "json-integer ::= \"-\"? (\"0\" | [1-9] [0-9]{0,14})\n"
        "json-boolean ::= \"true\" | \"false\"\n"
        "json-null ::= \"null\"\n");
}

void grammar_literal(const char *bytes, size_t n, struct buf *out)
{
    buf_putc(out, '"');
    for (size_t i = 0; i < n; i++) {
        const unsigned char c = (unsigned char)bytes[i];

        if (c == '"' || c == '\\')
            buf_printf(out, "\\%c", c);
        else if (c < 0x20 || c == 0x7F)
            buf_printf(out, "\\x%02X", c);
        else
            buf_putc(out, (char)c);
    }
    buf_putc(out, '"');
}

#define HEX "[0-9a-f]"
#define DAY "(\"0\" [1-9] | \"1\" [0-9] | \"2\" [0-8])"
#define DATE                                                                                       \
    "[1-9] [0-9]{3} \"-\" ((\"0\" [13578] | \"10\" | \"12\") \"-\" (" DAY                          \
    " | \"29\" | \"3\" [01]) | "                                                                   \
    "(\"0\" [469] | \"11\") \"-\" (" DAY " | \"29\" | \"30\") | \"02-\" " DAY ")"
#define HOUR "([01] [0-9] | \"2\" [0-3])"
#define TIME                                                                                       \
    HOUR " \":\" [0-5] [0-9] \":\" [0-5] [0-9] (\".\" [0-9]{1,6})? "                               \
         "(\"Z\" | [+-] " HOUR " \":\" [0-5] [0-9])"
#define OCTET "([0-9] | [1-9] [0-9] | \"1\" [0-9]{2} | \"2\" [0-4] [0-9] | \"25\" [0-5])"
#define LABEL "[a-z0-9] ([a-z0-9-]{0,30} [a-z0-9])?"
#define HOST  LABEL " (\".\" " LABEL "){0,3} \".\" [a-z]{2,12}"

static const struct format {
    const char *name, *rule;
} formats[] = {
    { "date", DATE },
    { "time", TIME },
    { "date-time", DATE " \"T\" " TIME },
    { "uuid", HEX "{8} \"-\" " HEX "{4} \"-\" " HEX "{4} \"-\" " HEX "{4} \"-\" " HEX "{12}" },
    { "ipv4", OCTET " (\".\" " OCTET "){3}" },
    { "email", "[a-z0-9] ([a-z0-9_+-]{0,30} [a-z0-9])? (\".\" [a-z0-9]{1,20}){0,2} \"@\" " HOST },
    { "hostname", HOST },
    { "uri", "\"http\" \"s\"? \"://\" " HOST " (\"/\" [A-Za-z0-9._~-]{1,60}){0,12} \"/\"?" },
};

static enum status write_format(struct lowering *l, const char *name, struct rule_name *ret)
{
    for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
        if (strcmp(formats[i].name, name) != 0)
            continue;
        schema_begin_rule(l, ret);
        buf_printf(l->out, "\"\\\"\" %s \"\\\"\"\n", formats[i].rule);
        return ST_OK;
    }
    return err_set(l->err, ST_UNSUPPORTED,
                   "the schema keyword 'format' is not supported with the "
                   "value '%.64s'",
                   name);
}

static enum status write_pattern(struct lowering *l, const char *pattern, struct rule_name *ret)
{
    enum status s;

    schema_begin_rule(l, ret);
    buf_puts(l->out, "\"\\\"\" (");
    s = regex_write(pattern, true, l->out, l->err);
    buf_puts(l->out, ") \"\\\"\"\n");
    if (s != ST_OK)
        err_wrap(l->err, "the schema keyword 'pattern'");
    return s;
}

enum status schema_string(struct lowering *l, const json_t *schema, struct rule_name *ret)
{
    const json_t *pattern = json_object_get(schema, "pattern");
    const json_t *format = json_object_get(schema, "format");
    long min = 0, max = SCHEMA_COUNT_MAX + 1;
    enum status s = schema_count(l, schema, "minLength", &min);

    if (s == ST_OK)
        s = schema_count(l, schema, "maxLength", &max);
    if (s != ST_OK)
        return s;
    if ((pattern && !json_is_string(pattern)) || (format && !json_is_string(format)))
        return err_set(l->err, ST_FORMAT, "'pattern' or 'format' is not a string");
    if (min > max)
        return err_set(l->err, ST_FORMAT, "'minLength' is more than 'maxLength'");
    if (pattern && format)
        return schema_refuse(l, "format", "beside 'pattern'");
    if ((pattern || format) && (min > 0 || max <= SCHEMA_COUNT_MAX))
        return schema_refuse(l, min > 0 ? "minLength" : "maxLength",
                             "beside 'pattern' or 'format'");
    if (format)
        return write_format(l, json_string_value(format), ret);
    if (pattern)
        return write_pattern(l, json_string_value(pattern), ret);
    if (min == 0 && max > SCHEMA_COUNT_MAX) {
        snprintf(ret->text, sizeof(ret->text), "json-string");
        return ST_OK;
    }
    schema_begin_rule(l, ret);
    if (max > SCHEMA_COUNT_MAX)
        buf_printf(l->out, "\"\\\"\" json-char{%ld,} \"\\\"\"\n", min);
    else
        buf_printf(l->out, "\"\\\"\" json-char{%ld,%ld} \"\\\"\"\n", min, max);
    return ST_OK;
}

/* Digits that are at least those of `low` and at most those of `high`, which are as long: by where
 * a number leaves one bound or the other. */
static void write_digits(const char *low, const char *high, struct buf *out)
{
    const size_t n = strlen(low);
    size_t k = 0;

    while (k < n && low[k] == high[k])
        k++;
    if (k > 0)
        buf_printf(out, "\"%.*s\" ", (int)k, low);
    if (k == n)
        return;
    buf_putc(out, '(');
    if (high[k] - low[k] > 1)
        buf_printf(out, "[%c-%c] [0-9]{%zu} | ", low[k] + 1, high[k] - 1, n - k - 1);
    buf_printf(out, "\"%c\" ", low[k]);
    for (size_t i = k + 1; i < n; i++) { /* above `low` from digit i on, or equal to it */
        buf_puts(out, i > k + 1 ? "| " : "(");
        if (i > k + 1)
            buf_printf(out, "\"%.*s\" ", (int)(i - k - 1), low + k + 1);
        if (low[i] < '9')
            buf_printf(out, "[%c-9] [0-9]{%zu} ", low[i] + 1, n - i - 1);
        else
            buf_puts(out, "[] ");
    }
    if (n > k + 1)
        buf_printf(out, "| \"%s\") ", low + k + 1);
    buf_printf(out, "| \"%c\" ", high[k]);
    for (size_t i = k + 1; i < n; i++) {
        buf_puts(out, i > k + 1 ? "| " : "(");
        if (i > k + 1)
            buf_printf(out, "\"%.*s\" ", (int)(i - k - 1), high + k + 1);
        if (high[i] > '0')
            buf_printf(out, "[0-%c] [0-9]{%zu} ", high[i] - 1, n - i - 1);
        else
            buf_puts(out, "[] ");
    }
    if (n > k + 1)
        buf_printf(out, "| \"%s\") ", high + k + 1);
    buf_putc(out, ')');
}

/* Whole numbers 0 <= low..high without a sign. */
static void write_range(long long low, long long high, struct buf *out)
{
    char from[24], to[24];
    bool is_first = true;

    buf_putc(out, '(');
    while (low <= high) {
        long long last = 9;

        while (last < low)
            last = last * 10 + 9;
        last = last < high ? last : high;
        snprintf(from, sizeof(from), "%lld", low);
        snprintf(to, sizeof(to), "%lld", last);
        buf_puts(out, is_first ? "" : " | ");
        write_digits(from, to, out);
        is_first = false;
        low = last + 1;
    }
    buf_puts(out, is_first ? "[])" : ")");
}

#define WHOLE_MAX 999999999999999LL /* every whole number up to it is a double */

/* Whole numbers a number may lie between, both ends included. */
struct bounds {
    long long low, high;
    bool is_bounded;
};

static enum status read_bound(struct lowering *l, const json_t *schema, const char *keyword,
                              bool is_low, bool is_exclusive, struct bounds *b)
{
    const json_t *value = json_object_get(schema, keyword);
    double v, whole;

    if (!value)
        return ST_OK;
    if (!json_is_number(value))
        return json_is_boolean(value) ? schema_refuse(l, keyword, "as true or false: say a number")
                                      : err_set(l->err, ST_FORMAT, "'%s' is not a number", keyword);
    v = json_number_value(value);
    whole = is_low ? ceil(v) : floor(v);
    if (is_exclusive && !(whole < v) && !(whole > v))
        whole += is_low ? 1 : -1;
    if (is_low ? whole > (double)WHOLE_MAX : whole < -(double)WHOLE_MAX)
        return err_set(l->err, ST_RANGE, "'%s' is beyond 15 digits", keyword);
    b->is_bounded = true;
    if (is_low && whole > (double)b->low)
        b->low = (long long)whole;
    if (!is_low && whole < (double)b->high)
        b->high = (long long)whole;
    return ST_OK;
}

static enum status read_bounds(struct lowering *l, const json_t *schema, struct bounds *b)
{
    enum status s = read_bound(l, schema, "minimum", true, false, b);

    if (s == ST_OK)
        s = read_bound(l, schema, "exclusiveMinimum", true, true, b);
    if (s == ST_OK)
        s = read_bound(l, schema, "maximum", false, false, b);
    if (s == ST_OK)
        s = read_bound(l, schema, "exclusiveMaximum", false, true, b);
    if (s == ST_OK && b->low > b->high)
        return err_set(l->err, ST_UNSUPPORTED,
                       "the schema keywords 'minimum' and 'maximum' are not supported without a "
                       "whole number between them");
    return s;
}

/* With a fraction the number may be up to one more away from zero: the last whole one has none. */
static void write_part(struct lowering *l, const char *sign, long long low, long long high,
                       bool is_integer)
{
    static const char fraction[] = "\".\" [0-9]{1,6}";

    if (low > high)
        return;
    buf_printf(l->out, " | %s", sign);
    write_range(low, high, l->out);
    if (is_integer || low >= high || high > 1000000000)
        return;
    buf_printf(l->out, " | %s", sign);
    write_range(low, high - 1, l->out);
    buf_puts(l->out, fraction);
}

enum status schema_number(struct lowering *l, const json_t *schema, bool is_integer,
                          struct rule_name *ret)
{
    const json_t *step = json_object_get(schema, "multipleOf");
    struct bounds b = { -WHOLE_MAX, WHOLE_MAX, false };
    enum status s = read_bounds(l, schema, &b);

    if (s != ST_OK)
        return s;
    if (step && !(json_number_value(step) >= 1 && json_number_value(step) <= 1))
        return schema_refuse(l, "multipleOf", "with other than 1");
    is_integer = is_integer || step;
    if (!b.is_bounded) {
        snprintf(ret->text, sizeof(ret->text), is_integer ? "json-integer" : "json-number");
        return ST_OK;
    }
    schema_begin_rule(l, ret);
    buf_puts(l->out, "[]"); /* so that each part may begin with | */
    write_part(l, "", b.low > 0 ? b.low : 0, b.high, is_integer);
    if (!is_integer && b.low < 0 && b.high >= 0) /* between -1 and 0 */
        buf_puts(l->out, " | \"-0.\" [0-9]{1,6}");
    write_part(l, "\"-\" ", b.high < 0 ? -b.high : 1, -b.low, is_integer);
    buf_putc(l->out, '\n');
    return ST_OK;
}
