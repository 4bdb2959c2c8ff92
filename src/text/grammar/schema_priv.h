/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema_priv.h - what the parts of schema lowering share.
 *
 *   schema.c         which kinds of value a schema speaks of, alternatives
 *   schema_refs.c    references
 *   schema_merge.c   allOf, and what stands beside anyOf: two schemas as one
 *   schema_apart.c   can two schemas of a oneOf hold at once?
 *   schema_object.c  objects and arrays
 *   schema_scalar.c  strings and numbers
 *   schema_keys.c    keys that are none of the declared ones
 */
#ifndef POMONA_TEXT_GRAMMAR_SCHEMA_PRIV_H
#define POMONA_TEXT_GRAMMAR_SCHEMA_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "text/grammar/schema.h"

enum { RULE_NAME_MAX = 96, REFS_MAX = 1000 };

struct schema_ref {
    const json_t *target;
    unsigned number;
};

struct lowering {
    const json_t *root;
    const char *name;
    struct buf *out;
    unsigned n_rules, n_nodes;
    struct schema_ref refs[REFS_MAX]; /* [n_refs]: the first n_written have their rules */
    unsigned n_refs, n_written;
    size_t n_compared; /* values and keywords, to tell branches apart */
    json_t *kept;      /* an array: merged schemas live as long as the lowering */
    struct err *err;
};

/* The name of a rule: of the lowering, numbered, or one that is there already. */
struct rule_name {
    char text[RULE_NAME_MAX];
};

/* Make a rule for `schema`, or find one. */
enum status schema_lower(struct lowering *l, const json_t *schema, unsigned depth,
                         struct rule_name *ret);

/* A new name, and its rule begun in l->out up to "::= ".  Rules do not nest in the text: what a
 * rule names has to be lowered before. */
void schema_begin_rule(struct lowering *l, struct rule_name *ret);

enum status schema_refuse(struct lowering *l, const char *keyword, const char *why);

/* A count of at most SCHEMA_COUNT_MAX.  ret untouched where the keyword is missing. */
enum status schema_count(struct lowering *l, const json_t *schema, const char *keyword, long *ret);

/* What `schema` stands for once references are followed; NULL: they lead nowhere. */
const json_t *schema_resolve(struct lowering *l, const json_t *schema);

/* The rule of what `schema` refers to; it is written by schema_write_refs(), with what that refers to in
 * turn. */
enum status schema_ref(struct lowering *l, const json_t *schema, struct rule_name *ret);
enum status schema_write_refs(struct lowering *l);

const json_t *schema_keep(struct lowering *l, json_t *taken); /* NULL: no memory */

bool schema_is_annotation(const char *keyword);

/* One schema that holds where both do; kept. */
enum status schema_merge(struct lowering *l, const json_t *a, const json_t *b, const json_t **ret);

/* Certainly no value satisfies both. */
bool schemas_are_apart(struct lowering *l, const json_t *a, const json_t *b, unsigned depth);

enum status schema_object(struct lowering *l, const json_t *schema, unsigned depth,
                          struct rule_name *ret);
enum status schema_array(struct lowering *l, const json_t *schema, unsigned depth,
                         struct rule_name *ret);
enum status schema_string(struct lowering *l, const json_t *schema, struct rule_name *ret);
enum status schema_number(struct lowering *l, const json_t *schema, bool is_integer,
                          struct rule_name *ret);

/* A rule for JSON strings that are none of the keys of `declared`. */
enum status schema_other_keys(struct lowering *l, const json_t *declared, struct rule_name *ret);

/* The literal of the JSON text of a value. */
enum status schema_literal(struct lowering *l, const json_t *value, struct buf *out);

/* What the expression matches, each character as JSON writes it inside a string where is_json. */
enum status regex_write(const char *regex, bool is_json, struct buf *out, struct err *err);

#endif
