/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/room.c - pages of running sequences: taken as they grow, kept when full, given
 * back.
 *
 * When pages run out, cached ones go first; then the scheduler names a
 * sequence that has to wait again.  It keeps its tokens, and its full pages
 * stay cached until somebody needs them, so it goes on later where it was,
 * and as a token depends on (seed, position) alone, with the same tokens.
 */
#include "execute/driver/driver_priv.h"

uint32_t driver_pages_for(const struct driver *d, uint32_t n_tokens)
{
    return (n_tokens + d->o.page_tokens - 1) / d->o.page_tokens;
}

void driver_give_back(struct driver *d, struct sequence *q)
{
    driver_trace_no_more(d, q);
    prefix_release(d->prefix, q->pages, q->n_pages);
    q->n_pages = q->n_kept = 0;
    q->n_sent = q->n_computed = q->n_drafts = 0;
    q->is_running = false;
}

void driver_preempt(struct driver *d, size_t i)
{
    driver_give_back(d, d->sequences[i]);
    d->entries[i].is_running = false;
    d->entries[i].n_pending = d->sequences[i]->n_tokens;
    d->n_preempted++;
}

void driver_keep(struct driver *d, struct sequence *q)
{
    const uint32_t page_tokens = d->o.page_tokens;

    for (; (q->n_kept + 1) * page_tokens <= q->n_computed; q->n_kept++) {
        const uint32_t parent = q->n_kept > 0 ? q->pages[q->n_kept - 1] : PREFIX_ROOT;

        q->pages[q->n_kept] =
            prefix_keep(d->prefix, q->cache_salt, parent,
                        q->tokens + (size_t)q->n_kept * page_tokens, q->pages[q->n_kept]);
    }
}

/* Pages for the rows of entry i.  Returns false where it has to wait. */
static bool grow(struct driver *d, size_t i)
{
    struct sequence *q = d->sequences[i];

    for (;;) {
        const uint32_t n_pages = driver_pages_for(d, q->n_sent + d->rows[i]);
        size_t victim;

        if (n_pages <= q->n_pages)
            return true;
        if (prefix_take(d->prefix, n_pages - q->n_pages, q->pages + q->n_pages) == ST_OK) {
            q->n_pages = n_pages;
            return true;
        }
        if (d->rows[i] > d->entries[i].n_pending) { /* nobody makes room for guesses */
            d->rows[i] = d->entries[i].n_pending;
            continue;
        }
        victim = sched_victim(d->entries, d->n_sequences, i);
        if (victim == d->n_sequences)
            return false;
        driver_preempt(d, victim);
        d->rows[victim] = 0;
    }
}

void driver_find_room(struct driver *d)
{
    for (int p = PRIORITY_INTERACTIVE; p <= PRIORITY_BATCH; p++)
        for (size_t i = 0; i < d->n_sequences; i++)
            if (d->rows[i] > 0 && d->entries[i].priority == (enum priority)p && !grow(d, i))
                d->rows[i] = 0;
}
