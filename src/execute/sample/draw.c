/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sample/draw.c - one draw from a filtered distribution, without sorting it.
 *
 * A vocabulary has 50 to 130 thousand tokens and a filter keeps a few.  So
 * only tokens above a cutoff become candidates, the cutoff falls until the
 * candidates surely contain what the filter keeps, and a heap gives them
 * most likely first, as many as are needed.  They are in the order of their logits: weights are rounded,
 * and two of one weight may have two logits.
 */
#include "execute/sample/sample_priv.h"

#include <math.h>
#include <stdbool.h>

#include "base/size.h"

static bool is_before(struct candidate a, struct candidate b)
{
    return a.logit > b.logit || (!(a.logit < b.logit) && a.token < b.token);
}

static void sift_down(struct candidate *heap, uint32_t n, uint32_t i)
{
    const struct candidate moving = heap[i];

    for (uint32_t child; (child = 2 * i + 1) < n; i = child) {
        if (child + 1 < n && is_before(heap[child + 1], heap[child]))
            child++;
        if (!is_before(heap[child], moving))
            break;
        heap[i] = heap[child];
    }
    heap[i] = moving;
}

/* Weights rise with logits but for their rounding: one less than this below a cutoff may belong above. */
static const float nearly = 1 - 0x1p-16f;

/* Candidates at or above the first cutoff that suffices: `how->top_k` of them,
 * or top_p of the whole mass. */
static uint32_t gather(const float *weights, const float *logits, uint32_t n, double total,
                       const struct sampling *how, struct candidate *ret_candidates)
{
    static const float cutoffs[] = { 0x1p-8f, 0x1p-20f, 0x1p-60f, 0.0f };
    uint32_t n_found = 0;

    for (size_t c = 0; c < ARRAY_LEN(cutoffs); c++) {
        double mass = 0;
        uint32_t n_above = 0;

        n_found = 0;
        for (uint32_t i = 0; i < n; i++) {
            if (!(weights[i] > 0) || weights[i] < cutoffs[c] * nearly)
                continue;
            ret_candidates[n_found++] = (struct candidate){ logits[i], weights[i], (int32_t)i };
            if (!(weights[i] >= cutoffs[c]))
                continue;
            n_above++;
            mass += (double)weights[i];
        }
        if (how->top_k > 0 ? n_above >= how->top_k : mass >= (double)how->top_p * total)
            break;
    }
    return n_found;
}

/* Move the `i`-th most likely candidate, i = 0, 1, ..., to its place behind
 * the shrinking heap, and return it. */
static struct candidate pop(struct candidate *heap, uint32_t n, uint32_t i)
{
    const uint32_t last = n - 1 - i;
    const struct candidate first = heap[0];

    heap[0] = heap[last];
    heap[last] = first;
    if (last > 0)
        sift_down(heap, last, 0);
    return first;
}

/* How many of the most likely candidates stay; they end up last in `heap`, in falling
 * order from its end. */
static uint32_t keep(struct candidate *heap, uint32_t n, double total, const struct sampling *how,
                     double *ret_mass)
{
    const uint32_t n_most = how->top_k > 0 && how->top_k < n ? how->top_k : n;
    double mass = 0, wanted;
    uint32_t n_popped = 0, n_kept = 0;

    if (how->top_k > 0) { /* top-p is of what top-k leaves, so all of that comes first */
        for (total = 0; n_popped < n_most; n_popped++)
            total += (double)pop(heap, n, n_popped).weight;
    }
    wanted = how->top_p < 1.0f ? (double)how->top_p * total : HUGE_VAL;
    while (n_kept < n_most) {
        const float weight =
            n_kept < n_popped ? heap[n - 1 - n_kept].weight : pop(heap, n, n_kept).weight;

        if (n_kept > 0 && (weight < how->min_p || !(weight > 0)))
            break;
        mass += (double)weight;
        n_kept++;
        if (mass >= wanted)
            break;
    }
    *ret_mass = mass;
    return n_kept;
}

static int32_t draw_ranked(struct candidate *heap, uint32_t n, double total,
                           const struct sampling *how, double u)
{
    double mass, sum = 0;
    uint32_t n_kept;

    for (uint32_t i = n / 2; i-- > 0;)
        sift_down(heap, n, i);
    n_kept = keep(heap, n, total, how, &mass);
    for (uint32_t i = 0; i + 1 < n_kept; i++) {
        sum += (double)heap[n - 1 - i].weight;
        if (u * mass < sum)
            return heap[n - 1 - i].token;
    }
    return heap[n - n_kept].token;
}

/* Without top-k and top-p no order is needed. */
static int32_t draw_unranked(const float *weights, uint32_t n, double total, float min_p, double u)
{
    double mass = total, sum = 0;
    int32_t last = 0;

    if (min_p > 0) {
        mass = 0;
        for (uint32_t i = 0; i < n; i++)
            mass += weights[i] >= min_p ? (double)weights[i] : 0;
    }
    for (uint32_t i = 0; i < n; i++) {
        if (!(weights[i] > 0) || weights[i] < min_p)
            continue;
        sum += (double)weights[i];
        last = (int32_t)i;
        if (u * mass < sum)
            break;
    }
    return last;
}

int32_t draw_token(const float *weights, const float *logits, uint32_t n, double total,
                   const struct sampling *how, double u, struct candidate *scratch)
{
    if (how->top_k == 0 && !(how->top_p < 1.0f))
        return draw_unranked(weights, n, total, how->min_p, u);
    return draw_ranked(scratch, gather(weights, logits, n, total, how, scratch), total, how, u);
}

int32_t draw_candidate(struct candidate *candidates, uint32_t n, const struct sampling *how,
                       double u)
{
    return draw_ranked(candidates, n, 0, how, u);
}
