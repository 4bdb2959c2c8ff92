/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/json_out.h - the few JSON values that need care when written.
 *
 * Answers are written straight into a buffer, one line, keys in a fixed
 * order: no tree is built for a token.
 */
#ifndef POMONA_GATEWAY_HTTP_JSON_OUT_H
#define POMONA_GATEWAY_HTTP_JSON_OUT_H

#include <jansson.h>
#include <stddef.h>

#include "base/buf.h"

/* A string with its quotes.  Bytes that are not UTF-8 become U+FFFD. */
void json_out_string(struct buf *out, const char *bytes, size_t n);

/* As json_out_string(), of a C string. */
void json_out_text(struct buf *out, const char *text);

/* Any value on one line; `out` has failed where it is NULL, or there is no memory. */
void json_out_value(struct buf *out, const json_t *value);

/* A logarithm of a probability: JSON has no infinity, so -9999 is the least. */
void json_out_logprob(struct buf *out, double value);

/* Length of the valid UTF-8 sequence at `bytes` (n >= 1), or 0.
 * Source  Unicode 15, table 3-7 */
size_t utf8_sequence(const char *bytes, size_t n);

#endif
