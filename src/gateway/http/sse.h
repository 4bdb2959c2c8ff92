/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/sse.h - server-sent events over an exchange.
 *
 * Only "data:" lines and comments are written: with "id:" or "retry:" lines
 * OpenAI's client takes a lone comment for an event and fails on it.
 * Source: WHATWG HTML, section 9.2.
 */
#ifndef POMONA_GATEWAY_HTTP_SSE_H
#define POMONA_GATEWAY_HTTP_SSE_H

#include "gateway/http/exchange.h"

void sse_start(struct exchange *x);

/* Whole events, made with sse_event_begin() and _end(). */
void sse_send(struct exchange *x, const struct buf *events);

void sse_event_begin(struct buf *out);
void sse_event_end(struct buf *out);

/* event  whole; NULL: a comment */
void sse_keep_alive(struct exchange *x, const char *event);

/* The error event, and the end: no [DONE], so that nobody takes the answer
 * for complete.  The exchange is over. */
void sse_fail(struct exchange *x, const struct api_error *e);

/* "[DONE]", and the end. */
void sse_finish(struct exchange *x);

#endif
