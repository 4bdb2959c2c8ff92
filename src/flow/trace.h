/* SPDX-License-Identifier: Apache-2.0 */
/* flow/trace.h - what a node does for a request, as spans below the one of its exchange.
 *
 *   POST /chat/completions            the exchange
 *     placement                       stages 3 and 4, where no instance is there
 *     chat MODEL                      stage 5, once for each instance that is asked
 *       queue, prefill, decode        by the driver's node (trace/work.h)
 *       steps                         by the nodes of other ranks
 *     resume                          from the loss of an instance to the next token
 *     forward                         an upstream is asked, once for each try
 *
 * Source  OpenTelemetry semantic conventions, "Generative AI"
 */
#ifndef POMONA_FLOW_TRACE_H
#define POMONA_FLOW_TRACE_H

#include "gateway/dialect/api_request.h"
#include "trace/tracer.h"

struct flow_trace {
    struct span *placing, *asking, *resuming; /* owned; NULL: not now, or not sampled */
    bool has_token;
};

struct flow;

/* "chat", "text_completion", "embeddings". */
const char *trace_operation(const struct dialect *dialect);

void flow_trace_model(struct flow *f); /* it is known, and what is to be done with it */
void flow_trace_placing(struct flow *f);
void flow_trace_placed(struct flow *f, const char *failure); /* NULL: it is there */
void flow_trace_asking(struct flow *f);                      /* the instance of f->route */
void flow_trace_asked(struct flow *f);                       /* it has left that */
void flow_trace_loss(struct flow *f);
void flow_trace_token(struct flow *f); /* one came */
void flow_trace_end(struct flow *f);

/* Whom a driver does its work for. */
const struct trace_context *flow_trace_context(const struct flow *f);

#endif
