/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/common.h - the parameters that chat and plain completions share. */
#ifndef POMONA_GATEWAY_DIALECT_COMMON_H
#define POMONA_GATEWAY_DIALECT_COMMON_H

#include "gateway/dialect/api_request.h"
#include "gateway/dialect/param.h"

/* Sampling, lengths, stops, streaming: everything but prompt, logprobs and
 * what one dialect alone has. */
enum status common_parse(const json_t *body, struct api_request *r, struct api_error *e);

/* A parameter that would change the answer and that is not done here, unless
 * its value asks for nothing. */
struct refused_param {
    const char *name;
    bool (*is_harmless)(const json_t *value, const json_t *body);
    const char *instead; /* a sentence; what to do */
};
enum status refuse_params(const json_t *body, const struct refused_param *params, size_t n_params,
                          struct api_error *e);

bool is_false_value(const json_t *value, const json_t *body); /* false */
bool is_empty_value(const json_t *value, const json_t *body); /* [], {} or "" */
bool is_one_value(const json_t *value, const json_t *body);   /* 1 */
bool is_never_value(const json_t *value, const json_t *body); /* nothing is harmless */

#endif
