/* SPDX-License-Identifier: Apache-2.0 */
/* trace/export.h - spans on their way to a collector: OTLP over HTTP, as JSON, in batches.
 *
 *   empty --span--> waiting --EXPORT_DELAY_MS, or a batch is full--> sending --taken--> empty, or waiting
 *                                  ^                                   | \--refused: the batch is lost
 *                                  +--429, 502, 503, 504, no answer----+  after EXPORT_TRIES_MAX of these, too
 *
 * A collector that is slow or down costs spans and nothing else: the queue is bounded, what does not fit is counted
 * and forgotten (METRIC_SPANS_LOST), and nobody waits.
 *
 * Threads  the loop's
 * Source   OpenTelemetry Protocol 1.x, "OTLP/HTTP": request, response, failures, throttling
 */
#ifndef POMONA_TRACE_EXPORT_H
#define POMONA_TRACE_EXPORT_H

#include "config/api_traces.h"
#include "net/loop.h"

enum {
    EXPORT_QUEUE_MAX =
        2048, /* spans; the defaults of OpenTelemetry's batch processor, as is the next */
    EXPORT_BATCH_MAX = 512,
    EXPORT_DELAY_MS = 1000,
    EXPORT_TRIES_MAX = 5,
    EXPORT_BACKOFF_MS = 1000,   /* before the second try, twice as long before each further one */
    EXPORT_WAIT_MAX_MS = 30000, /* whatever a collector asks for */
    EXPORT_TIMEOUT_MS = 10000,
};

struct export;

struct export_options {
    uint32_t delay_ms, backoff_ms; /* 0: the defaults above */
};

/* Errors  ST_NOMEM */
enum status export_new(struct loop *loop, const struct export_options *options,
                       struct export **ret_export, struct err *err);
void export_free(struct export *e); /* what was not sent is forgotten; NULL is allowed */

/* From now on spans go there, and each batch begins with `resource`, a JSON text.  Both copied; settings without an
 * endpoint: what waits is forgotten.
 * Errors  ST_NOMEM; nothing has changed */
enum status export_use(struct export *e, const struct api_traces *settings, const char *resource,
                       struct err *err);

/* Send one span, a JSON text: taken, freed by free(). */
void export_add(struct export *e, char *span);

void export_flush(struct export *e); /* send now what waits */
bool export_is_idle(const struct export *e);

#endif
