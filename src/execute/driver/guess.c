/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/guess.c - guesses for the sequences that decode in the flight being planned. */
#include "base/size.h"
#include "execute/driver/driver_priv.h"

static struct draft_ask what_of(struct sequence *q)
{
    const uint32_t next = q->n_tokens + 1; /* what follows the last guess is chosen too */

    return (struct draft_ask){
        .how = &q->sampling,
        .tokens = q->tokens,
        .n_prompt = q->n_prompt,
        .n_tokens = q->n_tokens,
        .banned = q->stop_tokens,
        .n_banned = q->n_stop_tokens,
        .banned_until = q->n_prompt + q->min_tokens,
        .n_wanted = q->n_limit > next ? q->n_limit - next : 0,
    };
}

/* Sequences that the plan gave their one row. */
static uint32_t ask(struct driver *d)
{
    uint32_t n = 0;

    for (size_t i = 0; i < d->n_sequences; i++) {
        struct sequence *q = d->sequences[i];

        if (d->rows[i] == 0 || !d->entries[i].is_running || d->entries[i].n_pending != 1)
            continue;
        d->asks[n++] = (struct spec_ask){ .sequence = &q->spec, .what = what_of(q) };
        d->asked[n - 1] = (uint32_t)i;
    }
    return n;
}

static uint32_t count_spans(const struct driver *d)
{
    uint32_t n = 0;

    for (size_t i = 0; i < d->n_sequences; i++)
        n += d->rows[i] > 0 ? 1 : 0;
    return n;
}

double driver_guess(struct driver *d, uint32_t n_rows, uint32_t max_rows)
{
    const uint32_t n_asks = ask(d), n_spans = count_spans(d);
    const size_t spare = size_min(max_rows - n_rows, d->o.max_logit_rows - n_spans);
    double expected_ns;

    if (n_asks == 0)
        return 0;
    expected_ns =
        spec_guess(d->spec, d->asks, n_asks, n_rows, (uint32_t)size_min(spare, d->o.max_guesses));
    for (uint32_t i = 0; i < n_asks; i++) {
        struct sequence *q = d->sequences[d->asked[i]];

        q->n_drafts = driver_allowed_guesses(d, q, d->asks[i].what.n_wanted);
        d->entries[d->asked[i]].n_drafts = q->n_drafts;
    }
    return expected_ns;
}
