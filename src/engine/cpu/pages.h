/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/pages.h - the pool of KV pages: one mapping, committed by the system as pages are
 * first written.
 *
 * Shapes  a page is [n_layers][key, value][n_kv_head][page_tokens][head_dim] f16, so that
 *         what one head reads lies together
 */
#ifndef POMONA_ENGINE_CPU_PAGES_H
#define POMONA_ENGINE_CPU_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "engine/engine.h"

struct page_pool {
    uint16_t *base; /* NULL while not mapped */
    size_t page_bytes, total_bytes;
    size_t head_elems; /* of one head, of keys or of values, in one page */
    uint32_t n_kv_head;
};

enum kv_part { KV_KEY, KV_VALUE };

/* Errors  ST_NOMEM */
enum status page_pool_init(struct page_pool *pool, const struct shard_weights *weights,
                           const struct engine_options *options, struct err *err);
void page_pool_release(struct page_pool *pool);

void *page_pool_page(const struct page_pool *pool, uint32_t page);

/* Rows [page_tokens][head_dim] of one head; `layer` counts from the shard's first. */
static inline uint16_t *page_pool_head(const struct page_pool *pool, uint32_t page, uint32_t layer,
                                       enum kv_part part, uint32_t kv_head)
{
    const size_t page_elems = pool->page_bytes / sizeof(uint16_t);

    return pool->base + page * page_elems +
           ((2 * (size_t)layer + (size_t)part) * pool->n_kv_head + kv_head) * pool->head_elems;
}

#endif
