/* SPDX-License-Identifier: Apache-2.0 */
/* memory/pages.c - which KV pages of an instance are in use, and how often.
 *
 * Free pages are a stack: the page freed last is taken first, while its
 * memory may still be in a cache.
 */
#include "memory/pages.h"

#include <assert.h>
#include <stdlib.h>

struct pages {
    uint32_t n_pages, n_free;
    uint32_t *n_holders; /* [n_pages]; 0: free */
    uint32_t *free_ids;  /* [n_free], a stack */
};

enum status pages_new(uint32_t n_pages, struct pages **ret_pages, struct err *err)
{
    struct pages *p;

    if (n_pages == 0)
        return err_set(err, ST_RANGE, "a KV cache needs at least one page");
    p = calloc(1, sizeof(*p));
    if (p) {
        p->n_holders = calloc(n_pages, sizeof(*p->n_holders));
        p->free_ids = calloc(n_pages, sizeof(*p->free_ids));
    }
    if (!p || !p->n_holders || !p->free_ids) {
        pages_free(p);
        return err_set(err, ST_NOMEM, "the table of %u KV pages", n_pages);
    }
    p->n_pages = p->n_free = n_pages;
    for (uint32_t i = 0; i < n_pages; i++)
        p->free_ids[i] = n_pages - 1 - i;
    *ret_pages = p;
    return ST_OK;
}

void pages_free(struct pages *p)
{
    if (!p)
        return;
    free(p->n_holders);
    free(p->free_ids);
    free(p);
}

enum status pages_take(struct pages *p, uint32_t n, uint32_t *ret_ids)
{
    if (n > p->n_free)
        return ST_FULL;
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t id = p->free_ids[--p->n_free];

        p->n_holders[id] = 1;
        ret_ids[i] = id;
    }
    return ST_OK;
}

void pages_hold(struct pages *p, uint32_t id)
{
    assert(id < p->n_pages && p->n_holders[id] > 0); /* a free page has nothing to share */
    p->n_holders[id]++;
}

void pages_release(struct pages *p, uint32_t id)
{
    assert(id < p->n_pages && p->n_holders[id] > 0); /* released once too often */
    if (--p->n_holders[id] == 0)
        p->free_ids[p->n_free++] = id;
}

uint32_t pages_n_holders(const struct pages *p, uint32_t id)
{
    return p->n_holders[id];
}

uint32_t pages_n_free(const struct pages *p)
{
    return p->n_free;
}

uint32_t pages_n_used(const struct pages *p)
{
    return p->n_pages - p->n_free;
}
