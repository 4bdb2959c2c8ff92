/* SPDX-License-Identifier: Apache-2.0 */
/* memory/pages.h - which KV pages of an instance are in use, and how often.
 *
 * Only page numbers live here: the keys and values are the engine's, under
 * the same numbers on every rank.  A page is free, or held by one or more
 * sequences; the last one to let go frees it.
 *
 * Threads  one owner thread, the driver's
 * Memory   nothing is allocated after pages_new()
 * Source   paging of keys and values: Kwon et al. 2023, arXiv:2309.06180, section 4
 */
#ifndef POMONA_MEMORY_PAGES_H
#define POMONA_MEMORY_PAGES_H

#include <stdint.h>

#include "base/status.h"

struct pages;

/* All of 0..n_pages (>= 1), free.
 * Errors  ST_RANGE, ST_NOMEM */
enum status pages_new(uint32_t n_pages, struct pages **ret_pages, struct err *err);
void pages_free(struct pages *pages); /* NULL is allowed */

/* Take `n` free pages, each held once: all of them or none.
 * ret_ids  [n]
 * Errors   ST_FULL  fewer are free */
enum status pages_take(struct pages *pages, uint32_t n, uint32_t *ret_ids);

void pages_hold(struct pages *pages, uint32_t id);    /* once more; it is in use */
void pages_release(struct pages *pages, uint32_t id); /* once less */

uint32_t pages_n_holders(const struct pages *pages, uint32_t id);
uint32_t pages_n_free(const struct pages *pages);
uint32_t pages_n_used(const struct pages *pages);

#endif
