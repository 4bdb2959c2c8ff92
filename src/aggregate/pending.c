/* SPDX-License-Identifier: Apache-2.0 */
/* aggregate/pending.c - logprobs that wait until the text of their token is given out. */
#include "aggregate/pending.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { TOP_MAX = REQUEST_TOP_LOGPROBS_MAX };

void pending_release(struct pending *p)
{
    free(p->entries);
    free(p->ends);
    free(p->tops);
    *p = (struct pending){ 0 };
}

/* Each array grows on its own: what one got before another failed is kept and
 * freed with the rest. */
static enum status grow(struct pending *p, struct err *err)
{
    const size_t capacity = p->capacity ? 2 * p->capacity : 8;
    void *grown = realloc(p->entries, capacity * sizeof(*p->entries));

    if (!grown)
        goto no_memory;
    p->entries = grown;
    grown = realloc(p->ends, capacity * sizeof(*p->ends));
    if (!grown)
        goto no_memory;
    p->ends = grown;
    grown = realloc(p->tops, capacity * TOP_MAX * sizeof(*p->tops));
    if (!grown)
        goto no_memory;
    p->tops = grown;
    p->capacity = capacity;
    return ST_OK;

no_memory:
    return err_set(err, ST_NOMEM, "keep the logprobs of a token");
}

static struct reply_candidate candidate(const struct tokenizer *tokenizer, int32_t token,
                                        float logprob)
{
    struct reply_candidate c = { .token = token, .logprob = logprob };

    c.bytes = tokenizer_bytes(tokenizer, token, &c.n_bytes);
    return c;
}

enum status pending_add(struct pending *p, const struct tokenizer *tokenizer,
                        const struct token_event *event, uint64_t end, struct err *err)
{
    const size_t n_top = size_min(event->n_top, TOP_MAX);

    if (p->n == p->capacity) {
        const enum status s = grow(p, err);

        if (s != ST_OK)
            return s;
    }
    p->entries[p->n] = (struct reply_logprob){
        .chosen = candidate(tokenizer, event->token, event->logprob),
        .n_top = n_top,
    };
    for (size_t i = 0; i < n_top; i++)
        p->tops[p->n * TOP_MAX + i] =
            candidate(tokenizer, event->top[i].token, event->top[i].logprob);
    p->ends[p->n] = end;
    p->n++;
    return ST_OK;
}

size_t pending_ready(struct pending *p, uint64_t end)
{
    size_t n = 0;

    while (n < p->n && p->ends[n] <= end) {
        p->entries[n].top = p->tops + n * TOP_MAX;
        n++;
    }
    return n;
}

void pending_drop(struct pending *p, size_t n)
{
    const size_t left = p->n - n;

    if (n == 0)
        return;
    memmove(p->entries, p->entries + n, left * sizeof(*p->entries));
    memmove(p->ends, p->ends + n, left * sizeof(*p->ends));
    memmove(p->tops, p->tops + n * TOP_MAX, left * TOP_MAX * sizeof(*p->tops));
    p->n = left;
}
