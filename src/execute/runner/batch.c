/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/batch.c - tokens on their way from the computing thread to one gateway. */
#include "execute/runner/batch.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "contract/runner.pb-c.h"

struct batch *batch_new(uint64_t gateway)
{
    struct batch *b = calloc(1, sizeof(*b));

    if (b)
        b->gateway = gateway;
    return b;
}

void batch_free(struct batch *b)
{
    if (!b)
        return;
    free(b->tokens);
    free(b->top);
    free(b->numbers);
    free(b);
}

/* Room for `n` items; the array doubles. */
static void *grow(void *items, size_t n, size_t *capacity, size_t item_bytes)
{
    size_t wanted = *capacity > 0 ? *capacity : 8;
    void *grown;

    if (items && n <= *capacity)
        return items;
    while (wanted < n)
        wanted *= 2;
    grown = realloc(items, wanted * item_bytes);
    if (grown)
        *capacity = wanted;
    return grown;
}

enum status batch_add(struct batch *b, uint64_t id, const struct token_event *event)
{
    struct batch_token *tokens =
        grow(b->tokens, b->n_tokens + 1, &b->tokens_capacity, sizeof(*tokens));
    struct token_logprob *top;

    if (!tokens)
        return ST_NOMEM;
    b->tokens = tokens;
    top = grow(b->top, b->n_top + event->n_top, &b->top_capacity, sizeof(*top));
    if (!top)
        return ST_NOMEM;
    b->top = top;
    if (event->n_top > 0)
        memcpy(top + b->n_top, event->top, event->n_top * sizeof(*top));
    if (event->n_vector > 0) {
        float *numbers = grow(b->numbers, b->n_numbers + event->n_vector, &b->numbers_capacity,
                              sizeof(*numbers));

        if (!numbers)
            return ST_NOMEM;
        b->numbers = numbers;
        memcpy(numbers + b->n_numbers, event->vector, event->n_vector * sizeof(*numbers));
    }
    tokens[b->n_tokens++] = (struct batch_token){
        .id = id,
        .token = event->token,
        .logprob = event->logprob,
        .finish = event->finish,
        .n_cached_tokens = event->n_cached_tokens,
        .first_top = b->n_top,
        .n_top = event->n_top,
        .is_prompt = event->is_prompt,
        .n_computed = event->n_computed,
        .first_number = b->n_numbers,
        .n_vector = event->n_vector,
    };
    b->n_top += event->n_top;
    b->n_numbers += event->n_vector;
    return ST_OK;
}

/* The message's parts, in arrays as long as the batch. */
struct parts {
    Wire__Token *tokens, **token_list;
    Wire__TokenLogprob *top, **top_list;
};

static bool parts_allocate(struct parts *p, const struct batch *b)
{
    p->tokens = calloc(b->n_tokens + 1, sizeof(*p->tokens));
    p->token_list = calloc(b->n_tokens + 1, sizeof(Wire__Token *));
    p->top = calloc(b->n_top + 1, sizeof(*p->top));
    p->top_list = calloc(b->n_top + 1, sizeof(Wire__TokenLogprob *));
    return p->tokens && p->token_list && p->top && p->top_list;
}

static void parts_release(struct parts *p)
{
    free(p->tokens);
    free(p->token_list);
    free(p->top);
    free(p->top_list);
}

static void parts_fill(struct parts *p, const struct batch *b)
{
    for (size_t i = 0; i < b->n_top; i++) {
        wire__token_logprob__init(&p->top[i]);
        p->top[i].token = b->top[i].token;
        p->top[i].logprob = b->top[i].logprob;
        p->top_list[i] = &p->top[i];
    }
    for (size_t i = 0; i < b->n_tokens; i++) {
        const struct batch_token *from = &b->tokens[i];
        Wire__Token *to = &p->tokens[i];

        wire__token__init(to);
        to->id = from->id;
        to->token = from->token;
        to->logprob = from->logprob;
        to->finish = (uint32_t)from->finish;
        to->n_cached_tokens = from->n_cached_tokens;
        to->top = p->top_list + from->first_top;
        to->n_top = from->n_top;
        to->is_prompt = from->is_prompt;
        to->n_computed = from->n_computed;
        to->vector = from->n_vector > 0 ? b->numbers + from->first_number : NULL;
        to->n_vector = from->n_vector;
        p->token_list[i] = to;
    }
}

enum status batch_send(const struct batch *b, struct channel *channel)
{
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__TokenBatch tokens = WIRE__TOKEN_BATCH__INIT;
    struct parts parts = { 0 };
    enum status s = ST_NOMEM;

    if (parts_allocate(&parts, b)) {
        parts_fill(&parts, b);
        tokens.tokens = parts.token_list;
        tokens.n_tokens = b->n_tokens;
        message.body_case = WIRE__RUNNER_MESSAGE__BODY_TOKENS;
        message.tokens = &tokens;
        channel_send(channel, &message.base);
        s = ST_OK;
    }
    parts_release(&parts);
    return s;
}
