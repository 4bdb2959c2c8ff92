/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/pages.c - map and address the pool of KV pages. */
#include "engine/cpu/pages.h"

#include <sys/mman.h>

#include "base/size.h"

enum status page_pool_init(struct page_pool *pool, const struct shard_weights *weights,
                           const struct engine_options *options, struct err *err)
{
    const uint64_t page_bytes =
        engine_page_bytes(weights, options->page_tokens, options->kv_format);
    size_t total;
    void *base;

    if (page_bytes > SIZE_MAX || !size_mul((size_t)page_bytes, options->n_pages, &total))
        return err_set(err, ST_NOMEM, "reserve %u KV pages: more than can be addressed",
                       options->n_pages);
    total = size_max(total, 1); /* a portion without heads has pages of nothing */
    base = mmap(NULL, total, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
                -1, 0);
    if (base == MAP_FAILED)
        return err_set(err, ST_NOMEM, "reserve %zu bytes for %u KV pages: the system refuses",
                       total, options->n_pages);
#if defined(MADV_HUGEPAGE)
    /* Advice only.  A head's rows are a few kilobytes apart from its next ones: without large
     * pages of the system's, looking up addresses takes as long as attention. */
    (void)madvise(base, total, MADV_HUGEPAGE);
#endif
    *pool = (struct page_pool){
        .base = base,
        .page_bytes = (size_t)page_bytes,
        .total_bytes = total,
        .head_bytes = options->page_tokens *
                      (size_t)kv_format_bytes(options->kv_format, weights->shape.head_dim),
        .format = options->kv_format,
        .n_kv_head = weights->shape.n_kv_head,
    };
    return ST_OK;
}

void page_pool_release(struct page_pool *pool)
{
    if (pool->base)
        munmap(pool->base, pool->total_bytes);
    *pool = (struct page_pool){ 0 };
}

void *page_pool_page(const struct page_pool *pool, uint32_t page)
{
    return pool->base + page * pool->page_bytes;
}
