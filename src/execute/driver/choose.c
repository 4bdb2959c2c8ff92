/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/choose.c - the next token from a row of logits, within the sequence's grammar.
 *
 * The grammar's mask is laid over the logits before anything is drawn, so what is drawn is drawn
 * among what is allowed, and penalties, seeds and guesses mean what they mean without a grammar.
 * Rows are gone through in order and the constraint moves with the tokens chosen, so a guess that
 * breaks the grammar is one that was not chosen.
 */
#include "execute/driver/driver_priv.h"
#include "execute/sample/best.h"

/* Tokens that hold the trigger and go on as the grammar forbids; there are hardly any. */
enum { REFUSED_MAX = 64 };

static enum status freshen(struct driver *d, struct sequence *q, struct err *err)
{
    return constraint_freshen(d->constrainer, &q->constraint, q->tokens + q->n_prompt,
                              q->n_tokens - q->n_prompt, err);
}

enum status driver_constrain(struct driver *d, struct sequence *q, const struct generation *g,
                             struct err *err)
{
    enum status s;

    if (!d->constrainer)
        return err_set(err, ST_UNSUPPORTED,
                       "the tokens of this model have no text that a grammar "
                       "could be held against");
    s = constraint_join(d->constrainer, g->grammar, g->grammar_trigger, &q->constraint, err);
    if (s == ST_OK)
        s = freshen(d, q, err);
    return s;
}

bool driver_knows_grammar(const struct driver *d, const char *grammar)
{
    return !d->constrainer || constrainer_knows(d->constrainer, grammar); /* else it is refused */
}

enum status driver_adopt_grammar(struct driver *d, const char *grammar, struct grammar_run *run,
                                 struct err *err)
{
    return constrainer_adopt(d->constrainer, grammar, run, err);
}

uint32_t driver_allowed_guesses(struct driver *d, struct sequence *q, uint32_t n)
{
    if (!q->constraint.of || n == 0)
        return n;
    if (freshen(d, q, NULL) != ST_OK)
        return 0;
    return (uint32_t)constraint_count(d->constrainer, &q->constraint, q->tokens + q->n_tokens, n);
}

bool driver_must_end(struct driver *d, struct sequence *q)
{
    return q->constraint.of && freshen(d, q, NULL) == ST_OK && constraint_must_end(&q->constraint);
}

/* Does the token end the answer rather than add to it? */
static bool is_stop(const struct sequence *q, int32_t token)
{
    for (size_t i = 0; !q->ignores_eos && i < q->n_stop_tokens; i++)
        if (q->stop_tokens[i] == token)
            return true;
    return false;
}

static enum status choose_allowed(struct driver *d, struct sequence *q, struct sample_input *in,
                                  struct sample *ret_sample, struct err *err)
{
    const size_t n_stops = q->ignores_eos ? 0 : q->n_stop_tokens;
    uint32_t *mask = NULL;
    enum status s = freshen(d, q, err);

    if (s == ST_OK)
        s = constraint_mask(d->constrainer, &q->constraint, q->stop_tokens, n_stops, &mask, err);
    in->allowed = mask;
    for (int i = 0; s == ST_OK && i < REFUSED_MAX; i++) {
        s = sampler_choose(d->sampler, in, ret_sample, err);
        if (s != ST_OK || is_stop(q, ret_sample->token) ||
            constraint_push(d->constrainer, &q->constraint, ret_sample->token))
            return s;
        mask[ret_sample->token / 32] &= ~(1u << ret_sample->token % 32);
    }
    return s == ST_OK ? err_set(err, ST_RANGE, "the answer cannot go on as its grammar wants it")
                      : s;
}

uint32_t driver_ask(const struct sequence *q, uint32_t position)
{
    if (q->constraint.of || q->scores_prompt)
        return 0;
    return best_ask(&q->sampling, q->n_prompt, (size_t)position + 1, q->n_stop_tokens);
}

enum status driver_choose(struct driver *d, struct sequence *q, uint32_t logit_row,
                          struct sample *ret_sample, struct err *err)
{
    struct sample_input in = {
        .logits = d->logits + (size_t)logit_row * d->o.n_vocab,
        .best = d->gather ? gather_best(d->gather, logit_row) : NULL,
        .how = &q->sampling,
        .tokens = q->tokens,
        .n_prompt = q->n_prompt,
        .n_tokens = q->n_tokens,
        .banned = q->stop_tokens,
        .n_banned = sequence_must_go_on(q) ? q->n_stop_tokens : 0,
    };

    return q->constraint.of ? choose_allowed(d, q, &in, ret_sample, err)
                            : sampler_choose(d->sampler, &in, ret_sample, err);
}
