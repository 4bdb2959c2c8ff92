/* SPDX-License-Identifier: Apache-2.0 */
/* trace/work.c - what a runner did for a request, as a span.
 *
 * Source  OpenTelemetry semantic conventions, "Generative AI", where they have a name; others begin with pomona
 */
#include "trace/work.h"

#include "base/clock.h"

static const char *name_of(enum work_kind kind)
{
    switch (kind) {
    case WORK_QUEUE: return "queue";
    case WORK_PREFILL: return "prefill";
    case WORK_DECODE: return "decode";
    case WORK_STEPS: return "steps";
    }
    return "work";
}

static void describe_kind(const struct work_span *w, struct span *s)
{
    switch (w->kind) {
    case WORK_QUEUE: break;
    case WORK_PREFILL:
        span_whole(s, "gen_ai.usage.input_tokens", w->n_tokens);
        span_whole(s, "gen_ai.usage.cache_read.input_tokens", w->n_cached_tokens);
        break;
    case WORK_DECODE: span_whole(s, "gen_ai.usage.output_tokens", w->n_tokens); break;
    case WORK_STEPS:
        span_whole(s, "pomona.rows", w->n_tokens);
        span_whole(s, "pomona.steps", w->n_steps);
        span_real(s, "pomona.busy_seconds", (double)w->busy_ns / (double)NS_PER_S);
        break;
    }
}

void work_describe(const struct work_span *w, struct span *s)
{
    if (!s)
        return;
    span_name(s, name_of(w->kind), NULL);
    s->begin_ns = w->begin_ns;
    s->end_ns = w->end_ns;
    span_text(s, "request_id", w->request_id);
    span_whole(s, "pomona.rank", w->rank);
    span_whole(s, "pomona.choice", w->choice);
    describe_kind(w, s);
    if (w->is_canceled)
        span_truth(s, "pomona.canceled");
    if (w->has_failed)
        span_fail(s, "the instance ended, or cannot go on with it");
}
