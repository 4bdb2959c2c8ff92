/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/plan.c - the scheduler is asked what comes next. */
#include "base/clock.h"
#include "base/size.h"
#include "execute/driver/driver_priv.h"

/* Where steps have a time to keep: rows a step is never cut below, as smaller
 * ones gain no latency and lose speed, and rows until the speed is known. */
enum { MIN_ROW_BUDGET = 16, FIRST_ROW_BUDGET = 64 };

/* A moving average: one slow step does not shrink the budget for long. */
void driver_learn_speed(struct driver *d, uint32_t n_rows, uint64_t elapsed_ns)
{
    const uint64_t per_row = elapsed_ns / n_rows + 1;

    if (n_rows >= MIN_ROW_BUDGET) /* small steps pay for reading the weights, not for rows */
        d->ns_per_row = d->ns_per_row == 0 ? per_row : (d->ns_per_row * 3 + per_row) / 4;
}

static uint32_t row_budget(const struct driver *d)
{
    const uint64_t target_ns = d->o.step_target_ms * NS_PER_MS;
    uint64_t budget;

    if (target_ns == 0)
        return d->o.max_rows;
    budget = d->ns_per_row > 0 ? target_ns / d->ns_per_row : FIRST_ROW_BUDGET;
    budget = size_max(size_max(budget, MIN_ROW_BUDGET), d->o.max_sequences);
    return (uint32_t)size_min(budget, d->o.max_rows);
}

/* Streams are dealt to as many flights as there are ranks, so that none of these idles. */
static uint32_t decodes_of_a_flight(const struct driver *d)
{
    uint32_t n = 0;

    for (size_t i = 0; i < d->n_sequences; i++)
        n += d->sequences[i]->is_running && sequence_is_decoding(d->sequences[i]) ? 1 : 0;
    return (n + d->o.n_ranks - 1) / d->o.n_ranks;
}

static void take_stock(struct driver *d)
{
    for (size_t i = 0; i < d->n_sequences; i++) {
        const struct sequence *q = d->sequences[i];

        d->entries[i] = (struct sched_entry){
            .is_running = q->is_running,
            .is_under_way = q->n_flights > 0,
            .priority = q->priority,
            .served = fair_served(d->fair, q->tenant),
            .n_pending = q->is_over || q->n_sent >= q->n_tokens ? 0 : q->n_tokens - q->n_sent,
            .n_drafts = d->spec ? 0 : q->n_drafts,
        };
    }
}

uint32_t driver_plan(struct driver *d, double *ret_expected_ns)
{
    struct sched_limits limits = { .max_logit_rows = d->o.max_logit_rows };
    uint32_t n_rows;

    take_stock(d);
    driver_admit(d);
    limits.max_rows = limits.max_prompt_rows = row_budget(d);
    limits.max_decodes = decodes_of_a_flight(d);
    n_rows = sched_plan(d->entries, d->n_sequences, &limits, d->rows);
    *ret_expected_ns = d->spec ? driver_guess(d, n_rows, limits.max_rows) : 0;
    if (*ret_expected_ns > 0)
        (void)sched_plan(d->entries, d->n_sequences, &limits, d->rows);
    driver_find_room(d);
    n_rows = 0;
    for (size_t i = 0; i < d->n_sequences; i++)
        n_rows += d->rows[i];
    return n_rows;
}
