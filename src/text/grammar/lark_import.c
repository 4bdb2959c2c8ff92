/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/lark_import.c - the terminals that a Lark grammar may import.
 *
 * Source  Lark's documentation, "Grammar Reference", `common`
 */
#include <string.h>

#include "base/size.h"
#include "text/grammar/lark_priv.h"
#include "text/grammar/schema_priv.h"

#define DECIMAL  "([0-9]+\\.[0-9]*|\\.[0-9]+)"
#define EXPONENT "[eE][+-]?[0-9]+"
#define FLOAT    "([0-9]+" EXPONENT "|" DECIMAL "(" EXPONENT ")?)"

static const struct common {
    const char *name, *regex;
} commons[] = {
    { "DIGIT", "[0-9]" },
    { "HEXDIGIT", "[0-9A-Fa-f]" },
    { "INT", "[0-9]+" },
    { "SIGNED_INT", "[+-]?[0-9]+" },
    { "DECIMAL", DECIMAL },
    { "FLOAT", FLOAT },
    { "SIGNED_FLOAT", "[+-]?" FLOAT },
    { "NUMBER", "(" FLOAT "|[0-9]+)" },
    { "SIGNED_NUMBER", "[+-]?(" FLOAT "|[0-9]+)" },
    { "ESCAPED_STRING", "\"([^\"\\\\\\n]|\\\\[^\\n])*\"" },
    { "LCASE_LETTER", "[a-z]" },
    { "UCASE_LETTER", "[A-Z]" },
    { "LETTER", "[A-Za-z]" },
    { "WORD", "[A-Za-z]+" },
    { "CNAME", "[A-Za-z_][A-Za-z0-9_]*" },
    { "WS_INLINE", "[ \\t]+" },
    { "WS", "[ \\t\\f\\r\\n]+" },
    { "CR", "\\r" },
    { "LF", "\\n" },
    { "NEWLINE", "(\\r?\\n)+" },
    { "SH_COMMENT", "#[^\\n]*" },
    { "CPP_COMMENT", "//[^\\n]*" },
    { "C_COMMENT", "/\\*([^*]|\\*+[^*/])*\\*+/" },
    { "SQL_COMMENT", "--[^\\n]*" },
};

static const struct common *find(const struct lark_token *t)
{
    for (size_t i = 0; i < ARRAY_LEN(commons); i++)
        if (strlen(commons[i].name) == t->n && memcmp(commons[i].name, t->text, t->n) == 0)
            return &commons[i];
    return NULL;
}

/* The token names one of them; it is called so here, or as an alias says. */
static enum status import_one(struct lark *l)
{
    struct lark_token name = l->token;
    const struct common *common = name.kind == LARK_NAME ? find(&name) : NULL;
    enum status s;

    if (!common)
        return lark_refuse(l, "an import other than of a terminal of Lark's 'common'");
    s = lark_next(l);
    if (s == ST_OK && l->token.kind == LARK_ARROW) {
        s = lark_next(l);
        name = l->token;
        if (s == ST_OK && name.kind != LARK_NAME)
            return lark_wrong(l, "imports something under no name");
        if (s == ST_OK)
            s = lark_next(l);
    }
    if (s == ST_OK && !lark_is_terminal(name.text, name.n))
        return lark_wrong(l, "calls a terminal by a name of a rule");
    if (s == ST_OK)
        s = lark_define(l, name.text, name.n, l->out);
    if (s == ST_OK)
        s = regex_write(common->regex, l->place == LARK_IN_JSON, l->out, l->err);
    buf_putc(l->out, '\n');
    return s;
}

/* (A, B) */
static enum status import_list(struct lark *l)
{
    enum status s;

    do {
        l->depth = 1; /* line breaks mean nothing inside */
        s = lark_next(l);
        if (s == ST_OK)
            s = import_one(l);
    } while (s == ST_OK && lark_is(l, ','));
    l->depth = 0;
    return s == ST_OK ? lark_expect(l, ')', "behind a list of imports") : s;
}

enum status lark_import(struct lark *l)
{
    enum status s;

    if (l->token.kind != LARK_NAME || l->token.n != strlen("common") ||
        memcmp(l->token.text, "common", l->token.n) != 0)
        return lark_refuse(l, "an import other than of a terminal of Lark's 'common'");
    s = lark_next(l);
    if (s == ST_OK && lark_is(l, '('))
        return import_list(l);
    if (s == ST_OK)
        s = lark_expect(l, '.', "behind 'common'");
    return s == ST_OK ? import_one(l) : s;
}
