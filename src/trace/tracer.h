/* SPDX-License-Identifier: Apache-2.0 */
/* trace/tracer.h - the traces of a node: which requests are told, and their spans from begin to end.
 *
 *   tracer_trace()   a request came: its ids, and whether it is sampled
 *   tracer_begin()   a span below it; NULL where it is not
 *   tracer_end()     it is sent to the collector (trace/export.h)
 *
 * Parent based: who comes with a traceparent has decided already; of others the share that the settings say is
 * sampled.  Without a collector nothing is.
 *
 * Threads  the loop's
 */
#ifndef POMONA_TRACE_TRACER_H
#define POMONA_TRACE_TRACER_H

#include "config/api_traces.h"
#include "net/loop.h"
#include "trace/export.h"
#include "trace/span.h"

struct tracer;

struct tracer_options {
    const char *cluster_name, *node_name; /* copied; "": not told */
    struct export_options export;
};

/* Off until tracer_use().
 * Errors  ST_NOMEM */
enum status tracer_new(struct loop *loop, const struct tracer_options *options,
                       struct tracer **ret_tracer, struct err *err);
void tracer_free(struct tracer *tracer); /* NULL is allowed */

/* From now on these hold.  Errors  ST_NOMEM; nothing has changed */
enum status tracer_use(struct tracer *tracer, const struct api_traces *settings, struct err *err);

bool tracer_is_on(const struct tracer *tracer); /* NULL: it is not; the same below */

/* The ids of a request that came from `parent`, which may not be set. */
struct trace_context tracer_trace(const struct tracer *tracer, const struct trace_context *parent);

/* A span of the ids that tracer_trace() gave; NULL: it is not sampled, or there is no memory.
 * parent_id  NULL: none */
struct span *tracer_begin_root(const struct tracer *tracer, const struct trace_context *context,
                               const uint8_t *parent_id, enum span_kind kind);

/* A span below the one of `parent`.  name  copied */
struct span *tracer_begin(const struct tracer *tracer, const struct trace_context *parent,
                          enum span_kind kind, const char *name);

/* It ends now, unless its end is known.  *span is taken, and NULL afterwards; NULL is allowed. */
void tracer_end(struct tracer *tracer, struct span **span);

/* What a runner of this node did. */
void tracer_tell_work(struct tracer *tracer, const struct work_span *work);

void tracer_flush(struct tracer *tracer);
bool tracer_is_idle(const struct tracer *tracer);

#endif
