/* SPDX-License-Identifier: Apache-2.0 */
/* flow/echo.c - the prompt before its answer, with the logprobs of its tokens where they are asked for.
 *
 * An evaluation scores given text this way: it is the prompt, and no or one token is generated.
 */
#include <math.h>
#include <string.h>

#include "flow/flow_priv.h"

static size_t prompt_of(const struct choice *c)
{
    return (size_t)(c - c->flow->choices) / c->flow->request.n;
}

/* The first token follows nothing, so nothing is known of it. */
static enum status add_first(struct choice *c, struct err *err)
{
    const struct flow *f = c->flow;
    const struct api_prompt *given = f->request.prompts ? &f->request.prompts[prompt_of(c)] : NULL;
    const int32_t first = f->prompts[prompt_of(c)].ids[0];
    const struct token_event event = { .token = first, .logprob = NAN };
    const enum status s = pending_add(&c->scores, f->text->tokenizer, &event, 0, err);

    /* What was put before a text is not part of what is shown again. */
    if (s == ST_OK && given && given->text && tokenizer_adds_bos(f->text->tokenizer) &&
        first == tokenizer_bos(f->text->tokenizer))
        c->scores.entries[0].chosen.n_bytes = 0;
    return s;
}

enum status flow_take_score(struct choice *c, const struct token_event *event, struct err *err)
{
    const struct flow *f = c->flow;
    enum status s = ST_OK;

    if (c->has_echoed || !f->request.echoes)
        return ST_OK;
    if (c->scores.n == 0)
        s = add_first(c, err);
    return s == ST_OK ? pending_add(&c->scores, f->text->tokenizer, event, 0, err) : s;
}

static void join_pieces(const struct flow *f, const struct tokens *tokens, struct buf *out)
{
    for (size_t i = 0; i < tokens->n; i++) {
        size_t n;
        const char *bytes = tokenizer_bytes(f->text->tokenizer, tokens->ids[i], &n);

        buf_append(out, bytes, n);
    }
}

enum status flow_echo(struct choice *c, struct err *err)
{
    struct flow *f = c->flow;
    const size_t i = prompt_of(c);
    const bool wants = f->request.sampling.wants_logprobs;
    struct reply_delta delta = { .choice = (uint32_t)(c - f->choices) };
    struct buf text = { 0 };

    if (wants && c->scores.n == 0 && f->prompts[i].n == 1 && add_first(c, err) != ST_OK)
        return err->status;
    if (wants && c->scores.n != f->prompts[i].n) /* a node of an older version */
        return err_set(err, ST_UNSUPPORTED, "The model's instance does not score prompts.");
    c->has_echoed = true;
    if (f->request.prompts && f->request.prompts[i].text)
        buf_append(&text, f->request.prompts[i].text, f->request.prompts[i].n_text);
    else
        join_pieces(f, &f->prompts[i], &text);
    delta.text = buf_text(&text);
    delta.n_text = text.len;
    delta.n_logprobs = wants ? pending_ready(&c->scores, 0) : 0;
    delta.logprobs = c->scores.entries;
    if (buf_status(&text) == ST_OK)
        flow_on_delta(f, &delta);
    else
        (void)err_set(err, ST_NOMEM, "There is no memory.");
    pending_drop(&c->scores, c->scores.n);
    buf_release(&text);
    return err->status;
}
