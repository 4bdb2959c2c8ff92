/* SPDX-License-Identifier: Apache-2.0 */
/* contract/trace.h - which request something is done for: the ids that go with it through every process.
 *
 * They are made or taken at the gateway (trace/context.h) and cross to a driver and to each rank once for each
 * request, never for each token.
 *
 * Source  W3C Trace Context, section 3.2
 */
#ifndef POMONA_CONTRACT_TRACE_H
#define POMONA_CONTRACT_TRACE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    TRACE_ID_BYTES = 16,
    TRACE_SPAN_BYTES = 8,
    TRACE_REQUEST_MAX = 132, /* bytes of a request's id, NUL included; a multiple of 4 */
};

/* All zero: there is none. */
struct trace_context {
    uint8_t trace_id[TRACE_ID_BYTES];
    uint8_t span_id[TRACE_SPAN_BYTES]; /* under which what is done now is told */
    bool is_sampled;                   /* it is told; else the ids are for logs alone */
};

bool trace_context_is_set(const struct trace_context *context);

/* What a runner does for a generation. */
enum work_kind {
    WORK_QUEUE = 0, /* at the driver, until its first step is planned */
    WORK_PREFILL,   /* at the driver, until its first token */
    WORK_DECODE,    /* at the driver, until its last */
    WORK_STEPS,     /* at another rank, from its first step to its last */
};

struct work_span {
    enum work_kind kind;
    struct trace_context parent;
    char request_id[TRACE_REQUEST_MAX];
    uint64_t begin_ns, end_ns; /* clock_ns(), which all processes of a machine share */
    uint32_t rank, choice;
    uint64_t
        n_tokens; /* WORK_PREFILL: of the prompt; WORK_DECODE: of the answer; WORK_STEPS: rows */
    uint64_t n_cached_tokens;  /* WORK_PREFILL */
    uint64_t n_steps, busy_ns; /* WORK_STEPS: the time in steps that had rows of it */
    bool is_canceled, has_failed;
};

#endif
