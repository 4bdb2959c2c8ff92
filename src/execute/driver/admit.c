/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/admit.c - waiting sequences become running ones.
 *
 * Who is admitted holds what is cached of its tokens and takes pages for the
 * rest of them and one token more; later ones are taken as it grows.  Each
 * running sequence keeps a claim on one free page, so that an admission is not
 * undone at once.  Nobody overtakes one that lacks room.
 *
 * A sequence that begins as one that is being computed waits for those pages
 * rather than computing them again: so the choices of one request prefill
 * once.  Whole pages are shared; what follows the last of them, less than a
 * page, each computes itself, in one step with the others.  (To copy that page
 * instead would have to be told to every rank and saves less than a page
 * of rows.)
 */
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "execute/driver/driver_priv.h"

static uint32_t count_running(const struct driver *d)
{
    uint32_t n = 0;

    for (size_t i = 0; i < d->n_sequences; i++)
        n += d->entries[i].is_running ? 1 : 0;
    return n;
}

/* Pages that two sequences have in common, from the start. */
static uint32_t common_pages(const struct driver *d, const struct sequence *a,
                             const struct sequence *b)
{
    const uint32_t n = (uint32_t)size_min(a->n_tokens - 1, b->n_tokens) / d->o.page_tokens;
    const size_t page_bytes = d->o.page_tokens * sizeof(*a->tokens);
    uint32_t i = 0;

    while (i < n && memcmp(a->tokens + (size_t)i * d->o.page_tokens,
                           b->tokens + (size_t)i * d->o.page_tokens, page_bytes) == 0)
        i++;
    return i;
}

/* Does a running sequence compute pages that `q` could share, beyond n_known? */
static bool is_being_computed(const struct driver *d, const struct sequence *q, uint32_t n_known)
{
    for (size_t i = 0; i < d->n_sequences; i++) {
        const struct sequence *r = d->sequences[i];

        if (r->is_running && !r->is_over && r->cache_salt == q->cache_salt &&
            r->n_kept * d->o.page_tokens < r->n_given &&
            common_pages(d, q, r) > size_max(n_known, r->n_kept))
            return true;
    }
    return false;
}

/* May room for it be made at all? */
static bool could_fit(const struct driver *d, size_t i, uint32_t n_pages)
{
    uint64_t n_could = prefix_n_available(d->prefix);

    for (size_t v = 0; v < d->n_sequences; v++)
        if (d->entries[v].is_running && !d->entries[v].is_under_way &&
            d->entries[v].priority > d->entries[i].priority)
            n_could += d->sequences[v]->n_pages;
    return n_could >= n_pages;
}

static bool make_room(struct driver *d, size_t i, uint32_t n_pages)
{
    if (!could_fit(d, i, n_pages))
        return false;
    for (;;) {
        const uint32_t n_running = count_running(d);
        size_t victim;

        if (n_running < d->o.max_sequences &&
            prefix_n_available(d->prefix) >= (uint64_t)n_pages + n_running)
            return true;
        victim = sched_victim(d->entries, d->n_sequences, i);
        if (victim == d->n_sequences)
            return false;
        driver_preempt(d, victim);
    }
}

static void start(struct driver *d, size_t i, uint32_t n_known)
{
    struct sequence *q = d->sequences[i];

    if (!q->was_admitted) {
        q->n_cached_tokens = n_known * d->o.page_tokens;
        q->admitted_ns = clock_ns();
    }
    driver_trace(d, q);
    q->was_admitted = q->is_running = true;
    q->n_kept = n_known;
    q->n_sent = q->n_computed = n_known * d->o.page_tokens;
    memset(q->pool, 0, q->n_pool * sizeof(*q->pool));
    d->entries[i].is_running = true;
    d->entries[i].n_pending = q->n_tokens - q->n_sent;
}

/* Returns false where nobody else may be admitted. */
static bool admit(struct driver *d, size_t i)
{
    struct sequence *q = d->sequences[i];
    const bool is_whole = sequence_needs_every_row(q) && q->n_tokens == q->n_prompt;
    const uint32_t n_known = is_whole ? 0
                                      : prefix_find(d->prefix, q->cache_salt, q->tokens,
                                                    (q->n_tokens - 1) / d->o.page_tokens, q->pages);
    const uint32_t n_pages = driver_pages_for(d, q->n_tokens + 1);

    q->n_pages = n_known;
    if (!is_whole && is_being_computed(d, q, n_known)) {
        d->entries[i].is_passed_over = true;
    } else if (make_room(d, i, n_pages - n_known)) {
        (void)prefix_take(d->prefix, n_pages - n_known, q->pages + n_known); /* there is room */
        q->n_pages = n_pages;
        start(d, i, n_known);
        return true;
    }
    driver_give_back(d, q);
    return d->entries[i].is_passed_over;
}

void driver_admit(struct driver *d)
{
    for (uint32_t n = 0; n < d->o.max_sequences; n++) {
        const size_t i = sched_next(d->entries, d->n_sequences);

        if (i == d->n_sequences || !admit(d, i))
            return;
    }
}
