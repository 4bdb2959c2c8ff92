/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/http/exchange.h - one HTTP request and its answer.
 *
 *   arrived --exchange_reply(), _fail()-----------------> over
 *      \----exchange_stream_start() --> streaming --_stream_end()--> over
 *   client gone, at any time: on_close is called, then over
 *
 * An exchange that is over must not be touched: whoever ends it, or is told
 * by on_close, forgets the pointer.  Nothing here calls on_close from inside
 * a call of the owner.
 *
 * A reader that is slower than the model is bounded: at STREAM_QUEUE_MAX
 * unsent bytes the connection is cut, and on_close follows.
 *
 * Threads  the loop's
 */
#ifndef POMONA_GATEWAY_HTTP_EXCHANGE_H
#define POMONA_GATEWAY_HTTP_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "gateway/http/api_error.h"
#include "gateway/http/request_id.h"
#include "trace/span.h"

enum { STREAM_QUEUE_MAX = 1 << 20 };

struct exchange;

/* What was asked.  All lent until the exchange is over. */
const char *exchange_rest(const struct exchange *x);  /* of the path, see route.h */
const char *exchange_query(const struct exchange *x); /* NULL where there is none */
const char *exchange_id(const struct exchange *x);    /* the x-request-id */
const char *exchange_header(const struct exchange *x, const char *name); /* NULL: there is none */
const char *exchange_body(const struct exchange *x, size_t *ret_n);

/* Trade the body for another: it outlives the exchange while it is read on another thread. */
void exchange_swap_body(struct exchange *x, struct buf *body);

/* From now on the request has this header, whatever it had: it goes on where another server left it. */
void exchange_take_header(struct exchange *x, const char *name, const char *value);
size_t exchange_count_headers(const struct exchange *x, const char *name);

/* Of the answer; one of this name that is there already is replaced. */
void exchange_set_header(struct exchange *x, const char *name, const char *value);

/* Who asks, as the guard knows it: taken, given to free() when the exchange is over.  NULL: nobody
 * asked who it is. */
void exchange_set_caller(struct exchange *x, void *caller);
void *exchange_caller(const struct exchange *x);

/* For the record of the request, when it is over.  name  copied, cut where it is long */
void exchange_note_who(struct exchange *x, const char *name);
void exchange_note_tokens(struct exchange *x, uint64_t n_prompt, uint64_t n_answer);

/* Its trace, and its span, for attributes of it; NULL where it is not sampled.  Lent until the exchange is over. */
const struct trace_context *exchange_trace(const struct exchange *x);
struct span *exchange_span(const struct exchange *x);

/* The traceparent that came with it, a valid one; NULL: none did.  And the tracestate beside it: ret_text
 * [TRACE_STATE_MAX]; false: there is none that may be passed on. */
const char *exchange_trace_parent(const struct exchange *x);
bool exchange_trace_state(const struct exchange *x, char *ret_text);

/* Called when the client is gone before the answer was complete. */
void exchange_on_close(struct exchange *x, void (*fn)(void *arg), void *arg);

/* Answer in one piece; the exchange is over.
 * body  taken: released, empty afterwards */
void exchange_reply(struct exchange *x, int http_status, const char *content_type,
                    struct buf *body);

/* Errors of this exchange have another shape than OpenAI's.  shape  lent; NULL: OpenAI's */
void exchange_shape_errors(struct exchange *x, const struct error_shape *shape);
const struct error_shape *exchange_error_shape(const struct exchange *x);
void exchange_fail(struct exchange *x, const struct api_error *e); /* an event, in a stream */

/* The answer says when to come again. */
void exchange_retry_after(struct exchange *x, uint32_t seconds);

/* Answer in pieces, with status 200.  Each piece is sent at once.  Starting again does nothing. */
void exchange_stream_start(struct exchange *x, const char *content_type);
void exchange_stream_send(struct exchange *x, const char *bytes, size_t n);
void exchange_stream_end(struct exchange *x);

#endif
