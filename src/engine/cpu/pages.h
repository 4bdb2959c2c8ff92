/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/pages.h - the pool of KV pages: one mapping, committed by the system as pages are
 * first written.
 *
 * Shapes  a page is [n_layers][key, value][n_kv_head] of what one head has in it: page_tokens
 *         positions as kv_rows.h lays them out
 * Memory  the system gives memory where a page is first written, near the worker that writes it;
 *         which worker that is, is left to chance
 */
#ifndef POMONA_ENGINE_CPU_PAGES_H
#define POMONA_ENGINE_CPU_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include "engine/cpu/kv_rows.h"
#include "engine/engine.h"

struct page_pool {
    unsigned char *base; /* NULL while not mapped */
    size_t page_bytes, total_bytes;
    size_t head_bytes; /* of one head, of keys or of values, in one page */
    enum kv_format format;
    uint32_t n_kv_head;
};

/* Errors  ST_NOMEM */
enum status page_pool_init(struct page_pool *pool, const struct shard_weights *weights,
                           const struct engine_options *options, struct err *err);
void page_pool_release(struct page_pool *pool);

void *page_pool_page(const struct page_pool *pool, uint32_t page);

/* What a head has in a page; `layer` counts from the shard's first. */
static inline unsigned char *page_pool_head(const struct page_pool *pool, uint32_t page,
                                            uint32_t layer, enum kv_part part, uint32_t kv_head)
{
    return pool->base + page * pool->page_bytes +
           ((2 * (size_t)layer + (size_t)part) * pool->n_kv_head + kv_head) * pool->head_bytes;
}

#endif
