/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/best.c - the largest logits of a row, where a sampler needs no others. */
#include "execute/sample/best.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "base/size.h"
#include "execute/sample/sample.h"
#include "execute/sample/weights.h"

enum { BLOCK = 32 }; /* logits that are looked at together */

/* Nothing makes a token more likely than its logit says. */
static bool only_lowers(const struct sampling *how)
{
    for (size_t i = 0; i < how->n_logit_bias; i++)
        if (!(how->logit_bias[i].bias <= 0))
            return false;
    return how->repetition_penalty >= 1 && how->presence_penalty >= 0 &&
           how->frequency_penalty >= 0;
}

uint32_t best_ask(const struct sampling *how, size_t n_prompt, size_t n_tokens, size_t n_banned)
{
    const bool is_greedy = !(how->temperature >= SAMPLE_GREEDY_BELOW);
    size_t n = is_greedy ? 1 : how->top_k;

    if (n == 0 || !only_lowers(how))
        return 0;
    n += how->n_logit_bias + n_banned;
    if (how->repetition_penalty > 1)
        n += n_tokens;
    else if (how->presence_penalty > 0 || how->frequency_penalty > 0)
        n += n_tokens - n_prompt;
    if (how->wants_logprobs)
        n = size_max(n, how->n_top_logprobs);
    if (n > BEST_MAX)
        return 0;
    return (uint32_t)n | (how->wants_logprobs ? BEST_WITH_SUM : 0u);
}

static uint32_t count_of(uint32_t ask, uint32_t n_outputs)
{
    return (uint32_t)size_min(ask & BEST_COUNT_MASK, n_outputs);
}

size_t best_bytes(uint32_t ask, uint32_t n_outputs)
{
    if (ask == 0)
        return n_outputs * sizeof(float);
    return count_of(ask, n_outputs) * sizeof(struct best_entry) +
           ((ask & BEST_WITH_SUM) != 0 ? 2 * sizeof(double) : 0);
}

bool best_is_ask(uint32_t ask)
{
    const uint32_t n = ask & BEST_COUNT_MASK;

    return ask == 0 || (ask <= (BEST_WITH_SUM | BEST_COUNT_MASK) && n > 0 && n <= BEST_MAX);
}

size_t best_bytes_max(uint32_t n_outputs)
{
    return size_max(best_bytes(0, n_outputs), best_bytes(BEST_MAX | BEST_WITH_SUM, n_outputs));
}

static bool is_before(struct best_entry a, struct best_entry b)
{
    return a.logit > b.logit || (!(a.logit < b.logit) && a.token < b.token);
}

/* Into the ordered entries[n]; the new number of them. */
static uint32_t insert(struct best_entry *entries, uint32_t n, uint32_t n_max, struct best_entry e)
{
    uint32_t i = n;

    if (n == n_max && !is_before(e, entries[--i]))
        return n;
    for (; i > 0 && is_before(e, entries[i - 1]); i--)
        entries[i] = entries[i - 1];
    entries[i] = e;
    return n < n_max ? n + 1 : n;
}

/* Is one of them above `floor`?  Without a branch, for vectors. */
static bool any_above(const float *x, uint32_t n, float floor)
{
    int is_above = 0;

    for (uint32_t i = 0; i < n; i++)
        is_above |= x[i] > floor;
    return is_above != 0;
}

void best_pick(const float *logits, uint32_t n_outputs, uint32_t first_token, uint32_t ask,
               float *scratch, void *ret_bytes)
{
    const uint32_t n_max = count_of(ask, n_outputs);
    struct best_entry found[BEST_MAX];
    float floor = -INFINITY;
    uint32_t n = 0;

    for (uint32_t at = 0; at < n_outputs; at += BLOCK) {
        const uint32_t end = (uint32_t)size_min(at + BLOCK, n_outputs);

        if (!any_above(logits + at, end - at, floor))
            continue;
        for (uint32_t i = at; i < end; i++) {
            if (!(logits[i] > floor) || !(logits[i] <= FLT_MAX))
                continue;
            n = insert(found, n, n_max,
                       (struct best_entry){ logits[i], (int32_t)(first_token + i) });
            floor = n == n_max ? found[n - 1].logit : floor;
        }
    }
    for (uint32_t i = n; i < n_max; i++)
        found[i] = (struct best_entry){ -INFINITY, -1 };
    memcpy(ret_bytes, found, n_max * sizeof(*found));
    if ((ask & BEST_WITH_SUM) != 0) {
        double told[2] = { (double)(n > 0 ? found[0].logit : -INFINITY), 0 };

        if (n > 0)
            told[1] = sample_weights(scratch, logits, n_outputs, found[0].logit, 1.0f);
        memcpy((unsigned char *)ret_bytes + n_max * sizeof(*found), told, sizeof(told));
    }
}

void best_clear(struct best_list *list)
{
    list->n = 0;
    list->max = -INFINITY;
    list->sum = 0;
}

static void add_sum(struct best_list *list, double max, double sum)
{
    const double top = max > list->max ? max : list->max;

    if (!(sum > 0) || !isfinite(max))
        return;
    list->sum = (list->sum > 0 ? list->sum * exp(list->max - top) : 0) + sum * exp(max - top);
    list->max = top;
}

void best_merge(struct best_list *list, const void *bytes, uint32_t n_outputs, uint32_t first_token,
                uint32_t ask)
{
    const uint32_t n = count_of(ask, n_outputs), n_max = ask & BEST_COUNT_MASK;
    const unsigned char *p = bytes;

    for (uint32_t i = 0; i < n; i++, p += sizeof(struct best_entry)) {
        struct best_entry e;

        memcpy(&e, p, sizeof(e));
        if (isfinite(e.logit) && e.token >= 0 && (uint32_t)e.token >= first_token &&
            (uint32_t)e.token - first_token < n_outputs)
            list->n = insert(list->entries, list->n, n_max, e);
    }
    if ((ask & BEST_WITH_SUM) != 0) {
        double told[2];

        memcpy(told, p, sizeof(told));
        add_sum(list, told[0], told[1]);
    }
}
