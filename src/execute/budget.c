/* SPDX-License-Identifier: Apache-2.0 */
/* execute/budget.c - how many rows of prompts a step may hold. */
#include "execute/budget.h"

#include "base/clock.h"

/* What a new measurement weighs beside all older ones: one slow step changes little. */
static const double weight = 1.0 / 8;

/* How fast the number of rows follows: by half of what a step was off, at most by these. */
static const double slower = 0.8, faster = 1.15;

/* The last known step of decodes, with another number of rows. */
static double decode_ns(const struct budget *b, double n_rows)
{
    const double ns = b->decode_ns + (n_rows - b->decode_rows) * b->added_row_ns;

    return ns > b->decode_ns / 2 ? ns : b->decode_ns / 2;
}

static uint32_t clamp(double rows, uint32_t least, uint32_t most)
{
    if (rows >= most)
        return most;
    if (rows < least)
        return least < most ? least : most;
    return (uint32_t)rows;
}

uint32_t budget_prompt_rows(const struct budget *b, uint32_t n_decodes, uint64_t alone_ns,
                            uint32_t max_rows)
{
    if (n_decodes == 0 && alone_ns == 0)
        return max_rows;
    if (n_decodes == 0)
        return clamp(b->alone_row_ns > 0 ? (double)alone_ns / b->alone_row_ns : 0,
                     BUDGET_ALONE_ROWS, max_rows);
    if (b->n_mixed >= (b->decode_ns > 0 ? BUDGET_LOOK_STEPS : 1))
        return 0;
    return clamp(b->rows > 0 ? b->rows : BUDGET_FIRST_ROWS, BUDGET_LEAST_ROWS, max_rows);
}

uint32_t budget_short_rows(const struct budget *b, uint32_t n_decodes, uint32_t most_ms,
                           uint32_t max_rows)
{
    const double ns = most_ms * (double)NS_PER_MS - decode_ns(b, n_decodes);

    if (n_decodes == 0 || b->decode_ns <= 0 || b->added_row_ns <= 0 || ns <= 0)
        return 0;
    return clamp(ns / b->added_row_ns, 0, max_rows);
}

static void average(double *known, double measured)
{
    *known = *known > 0 ? *known + (measured - *known) * weight : measured;
}

/* A step that had fewer rows than it might, for lack of prompts, tells nothing in favour of more. */
static void follow(struct budget *b, uint32_t n_prompt_rows, double wanted_ns, double ns)
{
    const double known = b->rows > 0 ? b->rows : n_prompt_rows;
    double factor = 1 + (wanted_ns / ns - 1) / 2;

    factor = factor < slower ? slower : factor > faster ? faster : factor;
    if (factor > 1 && n_prompt_rows + 1 < known)
        return;
    b->rows = known * factor > BUDGET_LEAST_ROWS ? known * factor : BUDGET_LEAST_ROWS;
}

static void learn_mixed(struct budget *b, uint32_t n_decodes, uint32_t n_prompt_rows, double ns)
{
    const double without_ns = decode_ns(b, n_decodes);

    if (n_prompt_rows <= BUDGET_FIRST_ROWS || n_prompt_rows <= b->rows + 1) /* no short prompts' */
        follow(b, n_prompt_rows, without_ns * BUDGET_STRETCH_PERCENT / 100, ns);
    if (ns > without_ns)
        average(&b->added_row_ns, (ns - without_ns) / n_prompt_rows);
}

static void learn_decode(struct budget *b, uint32_t n_decodes, double ns)
{
    if (b->decode_ns > 0)
        b->decode_ns = decode_ns(b, n_decodes);
    b->decode_rows = n_decodes;
    b->n_mixed = 0;
    average(&b->decode_ns, ns);
}

void budget_learn(struct budget *b, uint32_t n_decodes, uint32_t n_prompt_rows, uint64_t elapsed_ns)
{
    const double ns = (double)elapsed_ns;

    if (elapsed_ns == 0) /* a clock that stands still teaches nothing */
        return;
    b->n_mixed += n_decodes > 0 && n_prompt_rows > 0 ? 1 : 0;
    if (n_prompt_rows == 0)
        learn_decode(b, n_decodes, ns);
    else if (n_decodes == 0)
        average(&b->alone_row_ns, ns / n_prompt_rows);
    else if (b->decode_ns > 0)
        learn_mixed(b, n_decodes, n_prompt_rows, ns);
}
