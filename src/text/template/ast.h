/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/ast.h - a parsed template.
 *
 * Immutable once parsed.  Statements and expressions are one type of node, so
 * that a body can be an expression: NODE_CAPTURE is the text its body writes,
 * which makes {% set x %}...{% endset %} an ordinary assignment.
 */
#ifndef POMONA_TEXT_TEMPLATE_AST_H
#define POMONA_TEXT_TEMPLATE_AST_H

#include <stdbool.h>

#include "text/template/arena.h"
#include "text/template/value.h"

enum node_kind {
    /* statements */
    NODE_TEXT,     /* literal */
    NODE_PRINT,    /* operand */
    NODE_IF,       /* choice; {% elif %} is a NODE_IF alone in `otherwise` */
    NODE_FOR,      /* loop */
    NODE_SET,      /* assign */
    NODE_MACRO,    /* macro */
    NODE_SCOPE,    /* operand: statements whose names end with them */
    NODE_BREAK,    /* nothing */
    NODE_CONTINUE, /* nothing */
    /* expressions */
    NODE_LITERAL,    /* literal */
    NODE_NAME,       /* name */
    NODE_LIST,       /* operand: the items */
    NODE_TUPLE,      /* operand: the items */
    NODE_DICT,       /* operand: key, value, key, value ... */
    NODE_ATTRIBUTE,  /* attribute */
    NODE_SUBSCRIPT,  /* binary */
    NODE_SLICE,      /* slice */
    NODE_CALL,       /* call */
    NODE_FILTER,     /* call with a builtin */
    NODE_TEST,       /* call with a builtin */
    NODE_CHOICE,     /* choice: then if condition else otherwise (NULL: undefined) */
    NODE_NOT,        /* operand */
    NODE_NEGATE,     /* operand */
    NODE_POSITIVE,   /* operand */
    NODE_AND,        /* binary */
    NODE_OR,         /* binary */
    NODE_ARITHMETIC, /* binary */
    NODE_COMPARE,    /* binary: left, and in right a list of NODE_OPERAND */
    NODE_OPERAND,    /* binary: an operator and its right side */
    NODE_CAPTURE,    /* operand: the statements whose output is the value */
    NODE_NAMED,      /* attribute: name=subject of a call or of a macro's head; no default: NULL */
    N_NODE_KINDS,
};

enum operator_kind {
    OPERATOR_ADD,
    OPERATOR_SUBTRACT,
    OPERATOR_MULTIPLY,
    OPERATOR_DIVIDE,
    OPERATOR_FLOOR_DIVIDE,
    OPERATOR_MODULO,
    OPERATOR_POWER,
    OPERATOR_CONCATENATE,
    OPERATOR_EQ,
    OPERATOR_NE,
    OPERATOR_LT,
    OPERATOR_LE,
    OPERATOR_GT,
    OPERATOR_GE,
    OPERATOR_IN,
    OPERATOR_NOT_IN,
};

struct node {
    enum node_kind kind;
    unsigned line;
    struct node *next; /* the one after it in a list */
    union {
        struct value literal;
        const char *name;
        struct node *operand;
        struct {
            enum operator_kind op;
            struct node *left, *right;
        } binary;
        struct {
            struct node *subject;
            const char *name;
        } attribute;
        struct {
            struct node *subject, *start, *stop, *step; /* but subject, any may be NULL */
        } slice;
        struct {
            struct node *subject;          /* NULL for a filter of a block's text */
            struct node *arguments;        /* positional */
            struct node *named;            /* NODE_NAMED */
            const struct builtin *builtin; /* of a filter or test */
            bool negated;                  /* is not */
        } call;
        struct {
            struct node *condition, *then, *otherwise;
        } choice;
        struct {
            struct node *target, *iterable, *condition, *body, *otherwise;
        } loop;
        struct {
            struct node *target, *value;
        } assign;
        struct {
            const char *name;
            struct node *parameters; /* NODE_NAMED */
            struct node *body;
        } macro;
    };
};

struct template
{
    struct arena arena; /* holds everything below, and this */
    const struct node *body;
};

#endif
