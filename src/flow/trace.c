/* SPDX-License-Identifier: Apache-2.0 */
/* flow/trace.c - what a node does for a request, as spans. */
#include "flow/trace.h"

#include <string.h>

#include "base/clock.h"
#include "flow/flow_priv.h"

const char *trace_operation(const struct dialect *dialect)
{
    if (dialect == &openai_completions || dialect == &ollama_generate)
        return "text_completion";
    return dialect && dialect->vectors ? "embeddings" : "chat";
}

static void describe(const struct flow *f, struct span *s)
{
    span_text(s, "gen_ai.operation.name", trace_operation(f->request.dialect));
    span_text(s, "gen_ai.provider.name", "pomona");
    span_text(s, "gen_ai.request.model", f->model.name);
}

static struct span *begin(const struct flow *f, enum span_kind kind, const char *name)
{
    struct span *s = tracer_begin(f->service->tracer, exchange_trace(f->x), kind, name);

    if (s)
        span_text(s, "request_id", exchange_id(f->x));
    return s;
}

void flow_trace_model(struct flow *f)
{
    describe(f, exchange_span(f->x));
}

void flow_trace_placing(struct flow *f)
{
    f->trace.placing = begin(f, SPAN_INTERNAL, "placement");
    span_text(f->trace.placing, "gen_ai.request.model", f->model.name);
}

void flow_trace_placed(struct flow *f, const char *failure)
{
    if (failure)
        span_fail(f->trace.placing, failure);
    else
        span_text(f->trace.placing, "pomona.instance", f->route.instance_id);
    tracer_end(f->service->tracer, &f->trace.placing);
}

void flow_trace_asking(struct flow *f)
{
    struct span *s;

    if (f->trace.asking)
        return;
    f->trace.asking = s = begin(f, SPAN_CLIENT, "");
    if (!s)
        return;
    span_name(s, trace_operation(f->request.dialect), f->model.name);
    describe(f, s);
    span_text(s, "pomona.instance", f->route.instance_id);
    span_whole(s, "pomona.choices", f->n_choices);
}

void flow_trace_asked(struct flow *f)
{
    if (f->has_failed)
        span_fail(f->trace.asking, "the instance was lost, or cannot go on");
    tracer_end(f->service->tracer, &f->trace.asking);
}

void flow_trace_loss(struct flow *f)
{
    if (f->trace.resuming)
        return;
    f->trace.resuming = begin(f, SPAN_INTERNAL, "resume");
    span_text(f->trace.resuming, "pomona.lost_instance", f->route.instance_id);
}

void flow_trace_token(struct flow *f)
{
    if (f->trace.resuming)
        tracer_end(f->service->tracer, &f->trace.resuming);
    if (f->trace.has_token)
        return;
    f->trace.has_token = true;
    span_event(exchange_span(f->x), "first_token");
    span_real(exchange_span(f->x), "pomona.time_to_first_token_seconds",
              (double)(f->last_token_ns - f->begun_ns) / (double)NS_PER_S);
}

void flow_trace_end(struct flow *f)
{
    if (f->trace.resuming)
        span_fail(f->trace.resuming, "no instance went on");
    flow_trace_placed(f, "the request ended before");
    flow_trace_asked(f);
    tracer_end(f->service->tracer, &f->trace.resuming);
}

const struct trace_context *flow_trace_context(const struct flow *f)
{
    return f->trace.asking ? &f->trace.asking->context : exchange_trace(f->x);
}
