/* SPDX-License-Identifier: Apache-2.0 */
/* execute/budget.h - how many rows of prompts a step may hold.
 *
 * Beside decoding streams a step may take BUDGET_STRETCH_PERCENT of what it
 * takes without prompts, so that a long prompt is felt as a slower pace, never
 * as a stop.  What a row adds is no constant: the first ones of a step fill tiles of
 * the kernels, and each costs more the longer its prompt is.  So the number is
 * not computed from a model but follows the times of steps: too long, fewer;
 * too short, more.
 *
 * A short prompt ends within a few steps, so these may take BUDGET_SHORT_MS: streams then flow at
 * twenty tokens a second, faster than people read, and newcomers do not wait for a second.
 * Where an answer that had begun waits for its tokens to be computed again, since its instance was lost
 * or its pages were taken, they may take BUDGET_STALLED_MS: it stands still, and the others only slow.
 *
 * Without streams prompts have all rows that fit the time in
 * which a newcomer or a cancel is to be noticed.
 *
 * Units  nanoseconds
 */
#ifndef POMONA_EXECUTE_BUDGET_H
#define POMONA_EXECUTE_BUDGET_H

#include <stdint.h>

enum {
    BUDGET_STRETCH_PERCENT = 140, /* the gap between tokens stays below 150 even where times vary */
    BUDGET_LEAST_ROWS = 1,        /* a prompt always gets on */
    BUDGET_FIRST_ROWS = 16,       /* until times are known */
    BUDGET_LOOK_STEPS = 64, /* after so many steps with prompts one goes without, to be measured */
    BUDGET_SHORT_MS = 50,
    BUDGET_STALLED_MS = 200,
    BUDGET_SHORT_TOKENS = 256, /* a prompt with so many to compute is short */
    BUDGET_ALONE_ROWS = 64,    /* without streams the least: fewer gain little and lose speed */
};

/* All zero at first. */
struct budget {
    double decode_ns; /* of a step of decode_rows rows without prompts */
    double decode_rows;
    double rows;         /* of prompts, beside decodes */
    double added_row_ns; /* what one of them added */
    double alone_row_ns; /* what one costs where nothing decodes */
    uint32_t n_mixed;    /* steps of both since the last one of decodes alone */
};

/* n_decodes  decoding rows of the step, 0 without streams
 * alone_ns   what a step without streams may take; 0: as long as it takes
 * Returns    0..max_rows; 0 beside decodes alone: prompts leave this step to them */
uint32_t budget_prompt_rows(const struct budget *budget, uint32_t n_decodes, uint64_t alone_ns,
                            uint32_t max_rows);

/* Rows of prompts in a step of at most `most_ms` beside n_decodes, all those beyond
 * budget_prompt_rows() of short ones.  0..max_rows; 0 while times are not known. */
uint32_t budget_short_rows(const struct budget *budget, uint32_t n_decodes, uint32_t most_ms,
                           uint32_t max_rows);

/* A step of so many rows took `elapsed_ns`. */
void budget_learn(struct budget *budget, uint32_t n_decodes, uint32_t n_prompt_rows,
                  uint64_t elapsed_ns);

#endif
