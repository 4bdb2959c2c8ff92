/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/prompts.h - prompts as clients write them: texts or tokens, one or several. */
#ifndef POMONA_GATEWAY_DIALECT_PROMPTS_H
#define POMONA_GATEWAY_DIALECT_PROMPTS_H

#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

/* The parameter `name`: a string, [strings], [token ids] or [[token ids]], into r->prompts.
 * n_max   more are refused
 * Errors  ST_FORMAT, with `e` filled */
enum status prompts_parse(const json_t *body, const char *name, size_t n_max, struct api_request *r,
                          struct api_error *e);

#endif
