/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sched.h - what the next step computes: a decision without side effects.
 *
 * Decoding sequences go first, one row each and one for each guess, so that a long prompt never
 * stops tokens that are flowing.  What is left of the row budget is filled
 * with prompts, oldest first, cut where the budget ends.  A waiting sequence
 * is admitted when pages for its whole length are free, so one that runs
 * never lacks a page; the oldest waiting one is never overtaken.
 *
 * Source  chunked prefill: Agrawal et al. 2024, arXiv:2403.02310
 */
#ifndef POMONA_EXECUTE_SCHED_H
#define POMONA_EXECUTE_SCHED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sched_entry {    /* one sequence; entries are ordered oldest first */
    bool is_running;    /* admitted: it has its pages */
    uint32_t n_pending; /* tokens known and not yet in a step; 1 is a decode, 0 is under way */
    uint32_t n_drafts;  /* guessed tokens of a decode; they have what rows are left */
    uint32_t n_pages;   /* of the whole sequence, for admission */
};

struct sched_limits {
    uint32_t max_rows;
    uint32_t max_logit_rows; /* >= max_decodes */
    uint32_t max_decodes;    /* decodes of this step; others are left to the next */
    uint32_t max_sequences;  /* running at once */
    uint32_t n_free_pages;
};

/* ret_rows [n]: rows of each entry in the next step; more than 0 for a waiting
 * entry admits it.  Returns the number of rows. */
uint32_t sched_plan(const struct sched_entry *entries, size_t n, const struct sched_limits *limits,
                    uint32_t *ret_rows);

#endif
