/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/json_in.h - a request's body as JSON, bounded.
 *
 * Depth and number of values are counted before a tree is built: a megabyte
 * of brackets would otherwise cost a hundred of memory.
 */
#ifndef POMONA_GATEWAY_HTTP_JSON_IN_H
#define POMONA_GATEWAY_HTTP_JSON_IN_H

#include <jansson.h>
#include <stddef.h>

#include "gateway/http/api_error.h"

enum {
    JSON_DEPTH_MAX = 64,
    JSON_VALUES_MAX = 1000000,
};

/* ret_object  given: json_decref(); always an object
 * Errors      ST_FORMAT, with `e` filled: API_INVALID_JSON says line and column */
enum status json_in_object(const char *text, size_t n, json_t **ret_object, struct api_error *e);

#endif
