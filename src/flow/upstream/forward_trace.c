/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/forward_trace.c - the tries of a forwarded request as spans, and what the upstream hears of the trace.
 *
 * Source  W3C Trace Context, section 3.4: who takes part names itself as the parent, who does not passes on what came
 */
#include <stdio.h>

#include "flow/trace.h"
#include "flow/upstream/forward_priv.h"
#include "trace/context.h"

enum { CLIENT_ERROR = 400 };

void forward_trace_begin(struct forward *f)
{
    struct span *server = exchange_span(f->x);

    f->span = tracer_begin(f->pool->locals.tracer, exchange_trace(f->x), SPAN_CLIENT, "forward");
    if (!f->span)
        return;
    span_text(server, "gen_ai.operation.name", trace_operation(f->dialect));
    span_text(server, "gen_ai.request.model", f->model);
    span_text(f->span, "request_id", exchange_id(f->x));
    span_text(f->span, "http.request.method", "POST");
    span_text(f->span, "gen_ai.operation.name", trace_operation(f->dialect));
    span_text(f->span, "gen_ai.request.model", f->model);
    span_text(f->span, "gen_ai.response.model", f->at->settings->models[f->model_there].there);
    span_text(f->span, "pomona.upstream", f->at->settings->name);
    if (f->n_tries > 1)
        span_whole(f->span, "http.request.resend_count", f->n_tries - 1);
    if (f->seen.n_events > 0)
        span_truth(f->span, "pomona.resumed");
}

void forward_trace_end(struct forward *f)
{
    if (f->span && f->head.status > 0)
        span_whole(f->span, "http.response.status_code", (uint64_t)f->head.status);
    if (f->head.status == 0)
        span_fail(f->span, "nothing came back");
    else if (f->head.status >= CLIENT_ERROR)
        span_fail(f->span, "it was refused, or failed there");
    tracer_end(f->pool->locals.tracer, &f->span);
}

void forward_trace_headers(const struct forward *f, char *ret_parent, char *ret_state)
{
    const char *came = exchange_trace_parent(f->x);

    ret_parent[0] = '\0';
    if (f->span)
        trace_context_write(&f->span->context, ret_parent);
    else if (came)
        (void)snprintf(ret_parent, TRACE_PARENT_MAX, "00%s",
                       came + 2); /* whatever version it was */
    else if (tracer_is_on(f->pool->locals.tracer))
        trace_context_write(exchange_trace(f->x), ret_parent);
    if (!exchange_trace_state(f->x, ret_state))
        ret_state[0] = '\0';
}
