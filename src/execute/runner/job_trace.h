/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/job_trace.h - the times of one generation at its driver, told when it is over: waiting, prompt, answer.
 *
 * Threads  the computing thread's
 */
#ifndef POMONA_EXECUTE_RUNNER_JOB_TRACE_H
#define POMONA_EXECUTE_RUNNER_JOB_TRACE_H

#include "execute/runner/reports.h"

enum job_end { JOB_FINISHED, JOB_CANCELED, JOB_FAILED };

struct job_trace {
    struct work_span work; /* parent, request_id, rank and choice of all */
    uint64_t asked_ns, admitted_ns, first_ns, last_ns;
    uint64_t n_prompt, n_cached, n_answer;
};

/* asked_ns  when the gateway's message came */
void job_trace_begin(struct job_trace *t, const struct generation *g, uint32_t choice,
                     uint32_t rank, uint64_t asked_ns);
void job_trace_token(struct job_trace *t, const struct token_event *event);
void job_trace_end(const struct job_trace *t, enum job_end how, const struct reporter *to);

#endif
