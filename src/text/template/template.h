/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/template.h - chat templates: the part of Jinja that models use.
 *
 * A template is parsed once and rendered for each request.  Rendering keeps
 * apart what the template wrote and what came from the request, so that the
 * tokenizer recognises special tokens only in the former: every byte of the
 * result carries a mark, and marks follow bytes through concatenation,
 * slicing, filters and loops.
 *
 * Bounds: source 256 KiB, nesting 64, steps 1,000,000, output 16 MiB.
 *
 * Threads  a parsed template is immutable: any number may render it at once
 * Source   Jinja 3.1 template designer documentation
 */
#ifndef POMONA_TEXT_TEMPLATE_TEMPLATE_H
#define POMONA_TEXT_TEMPLATE_TEMPLATE_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/status.h"

struct template;

/* A key of an object in `variables`: how whoever made the object wrote it, as JSON.  It is no member
 * of the object; where the template writes the object as JSON, it is written so, byte for byte. */
#define TEMPLATE_WRITTEN "\x1fwritten"

/* Errors  ST_FORMAT       not a template; the words give line and what was expected
 *         ST_UNSUPPORTED  a construct this interpreter does not have, named, with its line
 *         ST_RANGE        a bound above; ST_NOMEM */
enum status template_parse(const char *source, size_t n_source, struct template **ret_template,
                           struct err *err);
void template_free(struct template *template); /* NULL is allowed */

struct rendered {
    struct buf text;
    struct buf trusted; /* one byte a byte of text: 1 written by the template, 0 by the request */
};
void rendered_release(struct rendered *rendered);

/* trusted    borrowed object: variables whose text counts as the template's own
 *            (bos_token, eos_token); may be NULL
 * variables  borrowed object: messages, add_generation_prompt, tools, ...
 * Errors     ST_FORMAT  raise_exception() of the template, or an operation on the wrong type,
 *            with the line; ST_UNSUPPORTED; ST_RANGE; ST_NOMEM */
enum status template_render(const struct template *template, const json_t *trusted,
                            const json_t *variables, struct rendered *ret_rendered,
                            struct err *err);

#endif
