/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/plan.c - the scheduler is asked what comes next. */
#include "base/clock.h"
#include "execute/driver/driver_priv.h"

static uint32_t count_streams(const struct driver *d)
{
    uint32_t n = 0;

    for (size_t i = 0; i < d->n_sequences; i++)
        n += d->sequences[i]->is_running && sequence_is_decoding(d->sequences[i]) ? 1 : 0;
    return n;
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
            .is_short = q->n_prompt - q->n_cached_tokens <= BUDGET_SHORT_TOKENS,
        };
    }
}

/* What a step with short prompts may take: longer where one of them is an answer that had begun. */
static uint32_t most_ms(const struct driver *d)
{
    for (size_t i = 0; i < d->n_sequences; i++) {
        const struct sequence *q = d->sequences[i];

        if (q->is_running && d->entries[i].is_short && q->n_tokens > q->n_prompt &&
            d->entries[i].n_pending > 1)
            return BUDGET_STALLED_MS;
    }
    return BUDGET_SHORT_MS;
}

static uint32_t plan_rows(struct driver *d, uint32_t n_decodes, uint32_t n_prompt_rows,
                          double *ret_expected_ns)
{
    const uint32_t n_short_rows =
        n_prompt_rows > 0 ? budget_short_rows(&d->budget, n_decodes, most_ms(d), d->o.max_rows) : 0;
    const struct sched_limits limits = { .max_rows = d->o.max_rows,
                                         .max_prompt_rows = n_prompt_rows,
                                         .max_short_rows = n_short_rows,
                                         .max_logit_rows = d->o.max_logit_rows,
                                         .max_decodes = n_decodes };
    uint32_t n_rows = sched_plan(d->entries, d->n_sequences, &limits, d->rows);

    *ret_expected_ns = d->spec ? driver_guess(d, n_rows, limits.max_rows) : 0;
    if (*ret_expected_ns > 0)
        (void)sched_plan(d->entries, d->n_sequences, &limits, d->rows);
    driver_cut_scored(d);
    driver_find_room(d);
    n_rows = 0;
    for (size_t i = 0; i < d->n_sequences; i++)
        n_rows += d->rows[i];
    return n_rows;
}

uint32_t driver_plan(struct driver *d, double *ret_expected_ns)
{
    const uint64_t alone_ns = d->o.step_target_ms * NS_PER_MS;
    uint32_t n_decodes, n_prompt_rows, n_rows;

    take_stock(d);
    driver_admit(d);
    /* Streams are dealt to as many flights as there are teams, so that none of these idles. */
    n_decodes = (count_streams(d) + d->lineup.n_teams - 1) / d->lineup.n_teams;
    n_prompt_rows = budget_prompt_rows(&d->budget, n_decodes, alone_ns, d->o.max_rows);
    n_rows = plan_rows(d, n_decodes, n_prompt_rows, ret_expected_ns);
    if (n_rows == 0 && n_prompt_rows == 0 && d->n_flights == 0) /* streams wait for pages */
        n_rows = plan_rows(d, n_decodes, BUDGET_LEAST_ROWS, ret_expected_ns);
    return n_rows;
}
