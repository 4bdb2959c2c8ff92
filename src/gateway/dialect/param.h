/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/dialect/param.h - typed reading of a JSON body's parameters.
 *
 * null is the same as missing, as OpenAI's client sends it.  A reader leaves
 * its result untouched where the parameter is missing, so callers put the
 * default there first.  Errors name the parameter.
 */
#ifndef POMONA_GATEWAY_DIALECT_PARAM_H
#define POMONA_GATEWAY_DIALECT_PARAM_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "gateway/http/api_error.h"

/* The value of `name`, or NULL where it is missing or null.  Borrowed. */
json_t *param_get(const json_t *body, const char *name);

enum status param_bool(const json_t *body, const char *name, bool *ret, struct api_error *e);
enum status param_int(const json_t *body, const char *name, int64_t min, int64_t max, int64_t *ret,
                      struct api_error *e);
enum status param_u32(const json_t *body, const char *name, uint32_t min, uint32_t max,
                      uint32_t *ret, struct api_error *e);
enum status param_float(const json_t *body, const char *name, double min, double max, float *ret,
                        struct api_error *e);

/* Into ret [capacity].  API_INVALID_VALUE where it is longer. */
enum status param_text(const json_t *body, const char *name, char *ret, size_t capacity,
                       struct api_error *e);

/* "string", "array"...: for messages. */
const char *json_type_word(const json_t *value);

enum status param_wrong_type(const char *name, const char *wanted, const json_t *got,
                             struct api_error *e);
enum status param_no_memory(struct api_error *e);

#endif
