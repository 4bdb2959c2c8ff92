/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/value.h - the values of a render.
 *
 * Values are small and copied freely; what they point to lives in an arena
 * and never changes once it is visible, except the attributes of a namespace.
 *
 * Provenance: every byte of a string is marked as the template's or not.
 * Most strings are of one origin, so marks are stored only where a string
 * mixes both.  A number has one mark, which its digits get when it is
 * printed.  Punctuation that printing a list or a mapping makes counts as the
 * request's: nothing that a client shaped may look like a special token.
 */
#ifndef POMONA_TEXT_TEMPLATE_VALUE_H
#define POMONA_TEXT_TEMPLATE_VALUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum value_type {
    VALUE_ABSENT, /* an argument that was not given */
    VALUE_UNDEFINED,
    VALUE_NONE,
    VALUE_BOOL,
    VALUE_INT,
    VALUE_FLOAT,
    VALUE_STRING,
    VALUE_LIST,
    VALUE_TUPLE,
    VALUE_DICT,
    VALUE_NAMESPACE,
    VALUE_LOOP,
    VALUE_MACRO,
    VALUE_BUILTIN,
};

/* Valid UTF-8; may hold zero bytes, is not terminated. */
struct str {
    const char *bytes;
    size_t n;
    const unsigned char *marks; /* [n], 1 the template's; NULL: all bytes are as `trusted` says */
    bool trusted;
};

struct list;
struct dict;
struct loop;
struct macro;
struct bound;

struct value {
    enum value_type type;
    bool trusted; /* of BOOL, INT, FLOAT, NONE */
    union {
        bool boolean;
        int64_t integer;
        double real;
        const struct str *string;
        const struct list *list; /* LIST and TUPLE */
        struct dict *dict;       /* DICT and NAMESPACE */
        const struct loop *loop;
        const struct macro *macro;
        const struct bound *bound;
        const char *hint; /* UNDEFINED: the name that was not found; may be NULL */
    };
};

struct list {
    struct value *items;
    size_t n;
};

struct entry {
    struct value key, value;
};

/* In insertion order.  Few keys are usual, so a search walks them. */
struct dict {
    struct entry *entries;
    size_t n, capacity;
    const struct str *written; /* as JSON, by whoever made it (template.h); NULL: as we write it */
};

/* What {{ loop }} knows.  items[i] is the current one. */
struct loop {
    const struct list *list;
    size_t i;
    unsigned depth; /* of loops around it, 1 the outermost */
};

struct builtin;

/* A method with the value it was taken from, or a global function. */
struct bound {
    const struct builtin *builtin;
    struct value self;
};

static inline struct value value_undefined(const char *hint)
{
    return (struct value){ .type = VALUE_UNDEFINED, .hint = hint };
}

static inline struct value value_none(void)
{
    return (struct value){ .type = VALUE_NONE, .trusted = true };
}

static inline struct value value_bool(bool b, bool trusted)
{
    return (struct value){ .type = VALUE_BOOL, .trusted = trusted, .boolean = b };
}

static inline struct value value_int(int64_t i, bool trusted)
{
    return (struct value){ .type = VALUE_INT, .trusted = trusted, .integer = i };
}

static inline struct value value_float(double d, bool trusted)
{
    return (struct value){ .type = VALUE_FLOAT, .trusted = trusted, .real = d };
}

static inline struct value value_string(const struct str *s)
{
    return (struct value){ .type = VALUE_STRING, .string = s };
}

static inline struct value value_list(enum value_type type, const struct list *list)
{
    return (struct value){ .type = type, .list = list };
}

/* Integers and booleans: Python counts with both. */
static inline bool value_is_integral(const struct value *v)
{
    return v->type == VALUE_INT || v->type == VALUE_BOOL;
}

static inline bool value_is_number(const struct value *v)
{
    return value_is_integral(v) || v->type == VALUE_FLOAT;
}

static inline int64_t value_integer(const struct value *v)
{
    return v->type == VALUE_BOOL ? v->boolean : v->integer;
}

static inline double value_real(const struct value *v)
{
    return v->type == VALUE_FLOAT ? v->real : (double)value_integer(v);
}

static inline bool str_mark(const struct str *s, size_t at)
{
    return s->marks ? s->marks[at] != 0 : s->trusted;
}

/* Every byte is the template's. */
bool tmpl_str_is_trusted(const struct str *s);

/* As Python's bool(): what {% if %} decides by. */
bool tmpl_truthy(const struct value *v);

/* The word a message uses: "a string", "a list". */
const char *tmpl_type_name(const struct value *v);

/* Origin of a value used as a number or an answer: its mark, or its bytes'. */
bool tmpl_trusted(const struct value *v);

#endif
