/* SPDX-License-Identifier: Apache-2.0 */
/* execute/spec/spec.c - guess the next tokens of sequences, so that one step verifies several. */
#include "execute/spec/spec.h"

#include <stdlib.h>

#include "base/clock.h"

/* So many tokens in common make a place of the text a likelier guess. */
enum { LONG_MATCH = 4 };

struct spec {
    struct pay pay;
    struct draft *draft; /* may be NULL */
    bool has_draft;      /* and it did not fail */
    uint32_t max_sequences;
    struct pay_bid *bids;       /* [max_sequences] */
    struct draft_ask *drafters; /* [max_sequences] */
};

enum status spec_new(uint32_t max_sequences, struct draft *draft, struct spec **ret_spec,
                     struct err *err)
{
    struct spec *s = calloc(1, sizeof(*s));

    if (s) {
        s->bids = calloc(max_sequences, sizeof(*s->bids));
        s->drafters = calloc(max_sequences, sizeof(*s->drafters));
    }
    if (!s || !s->bids || !s->drafters) {
        spec_free(s);
        return err_set(err, ST_NOMEM, "guesses for %u sequences", max_sequences);
    }
    pay_init(&s->pay);
    s->draft = draft;
    s->has_draft = draft != NULL;
    s->max_sequences = max_sequences;
    *ret_spec = s;
    return ST_OK;
}

void spec_free(struct spec *s)
{
    if (!s)
        return;
    free(s->bids);
    free(s->drafters);
    free(s);
}

enum status spec_join(struct spec *s, uint32_t n_limit, struct spec_sequence *ret_sequence,
                      struct err *err)
{
    struct spec_sequence q = { .is_joined = true };
    enum status status = lookup_init(&q.lookup, n_limit, err);

    if (status == ST_OK && s->draft)
        status = draft_join(s->draft, n_limit, &q.draft, err);
    if (status != ST_OK) {
        lookup_release(&q.lookup);
        return status;
    }
    pay_join(&s->pay, &q.pay);
    *ret_sequence = q;
    return ST_OK;
}

void spec_leave(struct spec *s, struct spec_sequence *q)
{
    if (!q->is_joined)
        return;
    lookup_release(&q->lookup);
    if (q->draft.pages)
        draft_leave(s->draft, &q->draft);
    *q = (struct spec_sequence){ 0 };
}

/* From the sequence's own past, at once. */
static void bid_lookup(struct spec_ask *ask, struct pay_bid *bid)
{
    struct draft_ask *what = &ask->what;
    uint32_t match;

    bid->n_max = lookup_guess(&ask->sequence->lookup, what->tokens, what->n_tokens, bid->n_max,
                              what->tokens + what->n_tokens, &match);
    bid->source = match >= LONG_MATCH ? PAY_LOOKUP_LONG : PAY_LOOKUP_SHORT;
}

/* From the draft model, where that is trusted more; it makes them once it is known how many. */
static void bid_draft(struct spec *s, struct spec_ask *ask, uint32_t n_wanted, uint32_t n_rows,
                      struct pay_bid *bid, bool *is_busy)
{
    const double *trust = ask->sequence->pay.trust;
    bool is_behind;
    uint32_t n_ready;

    if (bid->n_max > 0 && trust[bid->source] >= trust[PAY_DRAFT_MODEL])
        return;
    ask->what.n_wanted = n_wanted;
    n_ready = draft_ready(s->draft, &ask->what, &is_behind);
    if (n_ready > 0) {
        bid->source = PAY_DRAFT_MODEL;
        bid->n_max = n_ready;
    } else if (is_behind && !*is_busy && pay_pays(&s->pay, PAY_DRAFT_MODEL, n_rows)) {
        *is_busy = true; /* one sequence a step, so that running ones do not wait long */
        if (draft_catch_up(s->draft, &ask->what, NULL) != ST_OK)
            s->has_draft = false;
    }
}

/* The draft model's part of what pay chose. */
static void make_drafts(struct spec *s, const struct spec_ask *asks, uint32_t n_asks)
{
    const uint64_t start_ns = clock_ns();
    uint32_t n = 0, n_tokens = 0;

    for (uint32_t i = 0; i < n_asks; i++) {
        if (s->bids[i].source != PAY_DRAFT_MODEL || s->bids[i].n_drafts == 0)
            continue;
        s->drafters[n] = asks[i].what;
        s->drafters[n++].n_wanted = s->bids[i].n_drafts;
        n_tokens += s->bids[i].n_drafts;
    }
    if (n == 0)
        return;
    s->has_draft = draft_make(s->draft, s->drafters, n, NULL) == ST_OK;
    if (s->has_draft)
        pay_learn_drafting(&s->pay, n_tokens, clock_ns() - start_ns);
}

double spec_guess(struct spec *s, struct spec_ask *asks, uint32_t n_asks, uint32_t n_rows,
                  uint32_t n_spare)
{
    bool is_busy = false;
    uint32_t n;

    for (uint32_t i = 0; i < n_asks; i++) {
        struct draft_ask *what = &asks[i].what;
        const uint32_t n_wanted = what->n_wanted < PAY_DRAFTS_MAX ? what->n_wanted : PAY_DRAFTS_MAX;

        s->bids[i] = (struct pay_bid){ .sequence = &asks[i].sequence->pay };
        what->sequence = &asks[i].sequence->draft;
        what->n_wanted = 0;
        if (!asks[i].sequence->is_joined)
            continue;
        s->bids[i].n_max = n_wanted;
        bid_lookup(&asks[i], &s->bids[i]);
        if (s->has_draft)
            bid_draft(s, &asks[i], n_wanted, n_rows, &s->bids[i], &is_busy);
    }
    n = pay_choose(&s->pay, n_rows, n_asks, n_spare, s->bids, n_asks);
    make_drafts(s, asks, n_asks);
    for (uint32_t i = 0; i < n_asks; i++) {
        const bool is_lost = s->bids[i].source == PAY_DRAFT_MODEL && !s->has_draft;

        asks[i].what.n_wanted = is_lost ? 0 : s->bids[i].n_drafts;
        asks[i].sequence->source = s->bids[i].source;
    }
    return n > 0 ? pay_step_ns(&s->pay, n_rows + n) : 0;
}

void spec_settle(struct spec *s, struct spec_sequence *q, uint32_t n_guesses, uint32_t n_stood)
{
    pay_settle(&s->pay, &q->pay, q->source, n_guesses, n_stood);
}

void spec_learn(struct spec *s, uint32_t n_rows, uint64_t elapsed_ns, double expected_ns)
{
    pay_learn_step(&s->pay, n_rows, elapsed_ns, expected_ns);
}
