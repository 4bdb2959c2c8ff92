/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sched.h - who runs and what the next step computes: decisions without side effects.
 *
 * Admission  interactive before batch; then the tenant that was served least
 *            (execute/fair.h); then the oldest
 * Rows       decoding sequences go first, one row each, so that a long prompt
 *            never stops tokens that are flowing.  Of the rows for prompts a
 *            quarter goes to the oldest, so that it ends; the rest to the one with
 *            the least left, so that short ones do not wait behind it.
 *            Interactive ones go before batch ones.  Short prompts may have more rows
 *            beyond these.  Guesses have what is left.
 * Making room  who runs out of pages takes them from the lowest: batch before
 *            interactive, the latest first, never from one that stands higher.  So
 *            the highest always gets to its end.  A newcomer takes room from
 *            batch sequences alone, and only if it is not one of them.
 *
 * Source  chunked prefill: Agrawal et al. 2024, arXiv:2403.02310
 */
#ifndef POMONA_EXECUTE_SCHED_H
#define POMONA_EXECUTE_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/request.h"

struct sched_entry {     /* one sequence; entries are ordered oldest first */
    bool is_running;     /* admitted */
    bool is_under_way;   /* a step holds rows of it; it cannot make room now */
    bool is_passed_over; /* waiting, and not to be admitted now */
    enum priority priority;
    uint64_t served;    /* to its tenant */
    uint32_t n_pending; /* tokens known and not yet in a step; 1 is a decode, 0 is under way */
    uint32_t n_drafts;  /* guessed tokens of a decode */
    bool is_short;      /* a prompt that is over within a few steps */
};

struct sched_limits {
    uint32_t max_rows;
    uint32_t max_prompt_rows;
    uint32_t max_short_rows; /* of prompts in all, where those beyond max_prompt_rows are short */
    uint32_t max_logit_rows; /* at least one for each running sequence */
    uint32_t max_decodes;    /* decodes of this step; others are left to the next */
};

/* The waiting entry that is admitted next; n where there is none. */
size_t sched_next(const struct sched_entry *entries, size_t n);

/* The running entry that has to make room for entry i; n where none has to. */
size_t sched_victim(const struct sched_entry *entries, size_t n, size_t i);

/* ret_rows [n]: rows of each running entry in the next step.  Returns their number. */
uint32_t sched_plan(const struct sched_entry *entries, size_t n, const struct sched_limits *limits,
                    uint32_t *ret_rows);

#endif
