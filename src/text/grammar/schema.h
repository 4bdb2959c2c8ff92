/* SPDX-License-Identifier: Apache-2.0 */
/* text/grammar/schema.h - JSON Schema and its relatives as grammar text (text/grammar/grammar.h).
 *
 * What is written accepts JSON documents that the schema accepts, and only those; not each of
 * them: properties come in the schema's order, whitespace is a blank or a line break with
 * indentation, and numbers have no more digits than others can read back.
 *
 * Of draft 2020-12: `true`, `false`; type (also a list), enum, const; properties, required,
 * additionalProperties, patternProperties (where no property is declared), minProperties 0 or 1;
 * items, prefixItems, minItems, maxItems; minLength, maxLength, pattern, format (date-time, date,
 * time, uuid, ipv4, email); minimum, maximum, exclusiveMinimum, exclusiveMaximum of integers;
 * anyOf; oneOf where its branches cannot both hold; allOf where its parts can be merged; $ref to
 * this document, recursion included; $defs, definitions.  Annotations (title, description,
 * default, examples, deprecated, readOnly, writeOnly, $comment, $schema, $id) say nothing.
 * Whatever else a schema says is refused by name: nothing is left out of account.
 *
 * A fragment can stand inside a larger grammar:
 *
 *     grammar_json_rules(&g);                                  once
 *     schema_rules(parameters, "args0", 0, &g, &err);          args0 ::= ...
 *     buf_puts(&g, "root ::= \"<call>\" args0 \"</call>\"\n");
 *
 * Threads  any
 * Source   JSON Schema draft 2020-12, core and validation; RFC 8259; ECMA-262 regular expressions
 */
#ifndef POMONA_TEXT_GRAMMAR_SCHEMA_H
#define POMONA_TEXT_GRAMMAR_SCHEMA_H

#include <jansson.h>

#include "base/buf.h"
#include "base/status.h"

enum {
    SCHEMA_DEPTH_MAX = 32,
    SCHEMA_NODES_MAX = 20000, /* subschemas, enum values and properties, references followed */
    SCHEMA_COUNT_MAX = 10000, /* of minItems, maxLength and the like */
};

/* Append the rules that the others refer to; their names begin with "json-".  json-object,
 * json-array, json-value and json-ws are for everybody. */
void grammar_json_rules(struct buf *out);

/* Append rules for the values that `schema` accepts: the rule `name`, and others whose names
 * begin with it.  They need grammar_json_rules() once in the same grammar.
 *
 * schema  borrowed; an object, true or false
 * name    letters, digits and '-', beginning with a letter other than "json"; no other rule of the
 *         grammar begins so
 * out     as it was on error
 * Errors  ST_UNSUPPORTED  a keyword, or a value of one, that is not held here: named
 *         ST_FORMAT       not a schema: said where
 *         ST_RANGE        beyond a bound above
 *         ST_NOMEM */
enum status schema_rules(const json_t *schema, const char *name, struct buf *out, struct err *err);

/* Append rules for what the regular expression matches as a whole.  Groups, classes, alternation,
 * repetition, \d \w \s, escapes, ^ and $ at the ends; no look-around, no back-references.
 *
 * Errors  ST_UNSUPPORTED, ST_FORMAT, ST_RANGE, ST_NOMEM */
enum status regex_rules(const char *regex, const char *name, struct buf *out, struct err *err);

/* Append a literal as it stands in a grammar, quotes included. */
void grammar_literal(const char *bytes, size_t n, struct buf *out);

#endif
