/* SPDX-License-Identifier: Apache-2.0 */
/* flow/progress.c - how far a prompt is, told to who streams and asked.
 *
 * The driver says it after each step that computed some of the prompt; nothing is told again where another
 * instance goes on with an answer.
 */
#include "base/clock.h"
#include "flow/flow_priv.h"

/* Choices of one prompt share it: the first tells. */
bool flow_tells_progress(const struct choice *c)
{
    const struct flow *f = c->flow;

    return f->request.tells_progress && f->request.streams && f->request.n_known_tokens == 0 &&
           c->answer.n == 0 && (size_t)(c - f->choices) % f->request.n == 0;
}

void flow_tell_progress(struct choice *c, const struct token_event *event)
{
    struct flow *f = c->flow;
    const size_t index = (size_t)(c - f->choices);
    const struct reply_progress progress = {
        .choice = (uint32_t)index,
        .n_total = f->prompts[index / f->request.n].n,
        .n_cached = event->n_cached_tokens,
        .n_computed = event->n_computed,
        .elapsed_ms = (clock_ns() - c->opened_ns) / NS_PER_MS,
    };

    if (!flow_tells_progress(c))
        return;
    buf_clear(&f->events);
    if (!f->is_streaming)
        flow_start_stream(f);
    answer_progress(f->answer, &progress, &f->events);
    if (!f->has_failed && f->events.len > 0)
        flow_send_events(f);
}
