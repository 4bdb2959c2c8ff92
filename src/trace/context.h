/* SPDX-License-Identifier: Apache-2.0 */
/* trace/context.h - the ids of a trace as HTTP headers carry them, and as they are made.
 *
 * Source   W3C Trace Context, https://www.w3.org/TR/trace-context/
 * Threads  any
 */
#ifndef POMONA_TRACE_CONTEXT_H
#define POMONA_TRACE_CONTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "contract/trace.h"

#define TRACE_PARENT_HEADER "traceparent"
#define TRACE_STATE_HEADER  "tracestate"

enum {
    TRACE_PARENT_MAX = 56,    /* of version 00, NUL included */
    TRACE_STATE_MAX = 513,    /* section 3.3.1.5: 512 characters are passed on, NUL included */
    TRACE_STATE_MEMBERS = 32, /* section 3.3.1.1 */
    TRACE_ID_TEXT_MAX = 2 * TRACE_ID_BYTES + 1,
};

/* Read the value of a traceparent.  False, ret_context untouched: it is not one, and counts as missing. */
bool trace_context_read(const char *value, struct trace_context *ret_context);

/* "00-...": ret_text [TRACE_PARENT_MAX]. */
void trace_context_write(const struct trace_context *context, char *ret_text);

/* May a tracestate of these bytes be passed on? */
bool trace_state_is_valid(const char *value);

/* The trace id in hexadecimal digits; "" where there is none: ret_text [TRACE_ID_TEXT_MAX]. */
void trace_id_write(const struct trace_context *context, char *ret_text);

/* A span of its own in the trace of `parent`; where that is not set, a new trace that is not sampled. */
struct trace_context trace_context_below(const struct trace_context *parent);

/* Is a new trace of this id among the share `ratio` (0 to 1) that is told?  The same wherever it is asked.
 * Source  OpenTelemetry, "Trace SDK", TraceIdRatioBased: the random part of the id decides */
bool trace_id_is_within(const struct trace_context *context, double ratio);

#endif
