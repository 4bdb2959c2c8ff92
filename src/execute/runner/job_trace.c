/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/job_trace.c - the times of one generation at its driver. */
#include "execute/runner/job_trace.h"

#include <string.h>

#include "base/clock.h"
#include "base/hex.h"
#include "base/log.h"

static void log_state(const struct job_trace *t, const char *state)
{
    char id[2 * TRACE_ID_BYTES + 1];

    hex_write(t->work.parent.trace_id, TRACE_ID_BYTES, id);
    log_with(LOG_DEBUG, "a request at its driver", log_text("request_id", t->work.request_id),
             log_text("trace_id", trace_context_is_set(&t->work.parent) ? id : NULL),
             log_text("state", state), log_count("choice", t->work.choice),
             log_count("prompt_tokens", t->n_prompt));
}

void job_trace_begin(struct job_trace *t, const struct generation *g, uint32_t choice,
                     uint32_t rank, uint64_t asked_ns)
{
    *t = (struct job_trace){
        .work = { .parent = g->trace, .rank = rank, .choice = choice },
        .asked_ns = asked_ns,
        .n_prompt = g->n_prompt,
    };
    memcpy(t->work.request_id, g->request_id, sizeof(t->work.request_id));
    if (t->work.request_id[0])
        log_state(t, "begun");
}

void job_trace_token(struct job_trace *t, const struct token_event *event)
{
    if (!t->work.parent.is_sampled)
        return;
    t->last_ns = clock_ns();
    t->admitted_ns = event->admitted_ns;
    if (event->n_cached_tokens > 0)
        t->n_cached = event->n_cached_tokens;
    if (event->is_prompt)
        return;
    if (t->first_ns == 0)
        t->first_ns = t->last_ns;
    t->n_answer += event->token >= 0;
}

static void tell(const struct job_trace *t, enum work_kind kind, uint64_t begin_ns, uint64_t end_ns,
                 enum job_end how, const struct reporter *to)
{
    struct work_span work = t->work;

    work.kind = kind;
    work.begin_ns = begin_ns;
    work.end_ns = end_ns;
    work.is_canceled = how == JOB_CANCELED;
    work.has_failed = how == JOB_FAILED;
    if (kind == WORK_PREFILL) {
        work.n_tokens = t->n_prompt;
        work.n_cached_tokens = t->n_cached;
    }
    if (kind == WORK_DECODE)
        work.n_tokens = t->n_answer;
    report_work(to, &work);
}

/* What had begun is told, the last of it as it ended. */
void job_trace_end(const struct job_trace *t, enum job_end how, const struct reporter *to)
{
    const uint64_t now_ns = t->work.parent.is_sampled ? clock_ns() : 0;

    if (t->work.request_id[0])
        log_state(t, how == JOB_FINISHED   ? "finished"
                     : how == JOB_CANCELED ? "canceled"
                                           : "failed");
    if (!t->work.parent.is_sampled)
        return;
    if (t->admitted_ns == 0) {
        tell(t, WORK_QUEUE, t->asked_ns, now_ns, how, to);
        return;
    }
    tell(t, WORK_QUEUE, t->asked_ns, t->admitted_ns, JOB_FINISHED, to);
    if (t->first_ns == 0) {
        tell(t, WORK_PREFILL, t->admitted_ns, now_ns, how, to);
        return;
    }
    tell(t, WORK_PREFILL, t->admitted_ns, t->first_ns, JOB_FINISHED, to);
    tell(t, WORK_DECODE, t->first_ns, how == JOB_FINISHED ? t->last_ns : now_ns, how, to);
}
