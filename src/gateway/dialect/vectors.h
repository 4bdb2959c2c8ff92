/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/vectors.h - what the dialects that ask for vectors share. */
#ifndef POMONA_GATEWAY_DIALECT_VECTORS_H
#define POMONA_GATEWAY_DIALECT_VECTORS_H

#include "base/buf.h"
#include "gateway/dialect/api_request.h"
#include "gateway/http/api_error.h"

/* Texts or tokens of the parameter `name`, none of them empty, with `model`, `pooling` and
 * `dimensions`. */
enum status inputs_parse(const json_t *body, const char *name, struct api_request *r,
                         struct api_error *e);

/* "pooling": "mean" unless it says "last". */
enum status pooling_parse(const json_t *body, struct api_request *r, struct api_error *e);

/* [0.25,...], with as many digits as give the same 32-bit float again. */
void vector_write(const float *row, size_t n, struct buf *out);

#endif
