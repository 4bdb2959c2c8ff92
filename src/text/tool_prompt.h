/* SPDX-License-Identifier: Apache-2.0 */
/* text/tool_prompt.h - functions told of in words, to a model whose chat template has no place for them.
 *
 * Such a model was not taught to call, but most follow an example; what must be a call is held to
 * it by a grammar (tool_grammar.h) all the same.
 */
#ifndef POMONA_TEXT_TOOL_PROMPT_H
#define POMONA_TEXT_TOOL_PROMPT_H

#include <jansson.h>

#include "text/speech_format.h"

/* A conversation in which the system's message says which functions there are and how one is
 * called, earlier calls are the assistant's words, and results the user's.
 * variables  borrowed: {"messages":[...],"tools":[...],...}, as a template is rendered with
 * format     marks around JSON
 * Given: json_decref(); NULL: no memory */
json_t *tool_prompt(const json_t *variables, const struct tool_format *format);

#endif
