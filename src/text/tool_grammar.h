/* SPDX-License-Identifier: Apache-2.0 */
/* text/tool_grammar.h - a grammar (grammar/grammar.h) of answers that are calls of functions. */
#ifndef POMONA_TEXT_TOOL_GRAMMAR_H
#define POMONA_TEXT_TOOL_GRAMMAR_H

#include <jansson.h>
#include <stdbool.h>

#include "base/buf.h"
#include "base/status.h"
#include "text/speech_format.h"

/* Where the grammar begins. */
enum tool_grammar_from {
    TOOL_GRAMMAR_WHOLE,      /* with what opens the first call */
    TOOL_GRAMMAR_AFTER_OPEN, /* behind that: the model opened it by itself.  Not where `open` is "" */
};

/* Beside "function": the Lark grammar that its one argument, the string "input", keeps to. */
#define TOOL_LARK "lark"

/* Append the grammar of one call, or of several, written as `format` has it.
 * functions  borrowed: [{"function":{"name","parameters"},TOOL_LARK}...], at least one
 * only       the one that may be called; NULL: each
 * Arguments are held to a function's parameters, where these can be held; else to being an object.
 * Errors     ST_RANGE the grammar is too long; ST_NOMEM */
enum status tool_grammar(const struct tool_format *format, const json_t *functions,
                         const char *only, enum tool_grammar_from from, bool calls_once,
                         struct buf *out, struct err *err);

#endif
