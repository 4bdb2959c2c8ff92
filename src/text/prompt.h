/* SPDX-License-Identifier: Apache-2.0 */
/* text/prompt.h - what a model is given: conversations and plain text as tokens.
 *
 * The one place where template and tokenizer meet, so that a prompt is the
 * same whether a server or a command makes it.  Special tokens are taken from
 * what the template wrote, never from what a person wrote.
 *
 * Threads  any; nothing is shared
 */
#ifndef POMONA_TEXT_PROMPT_H
#define POMONA_TEXT_PROMPT_H

#include <jansson.h>
#include <stddef.h>

#include "base/status.h"
#include "text/template/template.h"
#include "text/tokenizer/tokenizer.h"

/* The variables of a template whose text counts as its own: {bos_token,
 * eos_token}, "" where the model has none.  Given: json_decref(); NULL: no memory. */
json_t *prompt_trusted(const struct tokenizer *tokenizer);

/* A conversation as the template writes it.  With continue_final_message in `variables` it ends with
 * what the last message says, so that an answer goes on from there.
 * trusted, variables  as below
 * Errors  as template_render(); ST_FORMAT where the template shows the last message otherwise */
enum status prompt_render(const struct template *template, const json_t *trusted,
                          const json_t *variables, struct rendered *ret_rendered, struct err *err);

/* Append a conversation to `ret_tokens`, which is empty.
 * trusted    borrowed, of prompt_trusted()
 * variables  borrowed: messages, add_generation_prompt, continue_final_message, ...
 * Errors     as prompt_render(); ST_NOMEM */
enum status prompt_chat(const struct tokenizer *tokenizer, const struct template *template,
                        const json_t *trusted, const json_t *variables, struct tokens *ret_tokens,
                        struct err *err);

/* Append plain text to `ret_tokens`, which is empty.  A model must be given
 * something, so an empty text is its beginning-of-text token alone.
 * Errors  ST_NOMEM */
enum status prompt_plain(const struct tokenizer *tokenizer, const char *text, size_t n_text,
                         struct tokens *ret_tokens, struct err *err);

/* Append what asks a model for the text between `prefix` and `suffix` to `ret_tokens`, empty.
 * Errors  ST_UNSUPPORTED  the model has no tokens for it; ST_NOMEM
 * Source  Bavarian et al. 2022, arXiv:2207.14255: prefix, suffix, middle */
enum status prompt_infill(const struct tokenizer *tokenizer, const char *prefix, size_t n_prefix,
                          const char *suffix, size_t n_suffix, struct tokens *ret_tokens,
                          struct err *err);

#endif
