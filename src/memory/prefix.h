/* SPDX-License-Identifier: Apache-2.0 */
/* memory/prefix.h - KV pages found again by the tokens they hold.
 *
 * A page that was filled with the keys and values of known tokens is kept: a
 * node of a tree, whose path from the root spells the text.  A sequence that
 * begins with the same tokens holds the same pages and computes only the rest.
 * Pages that nobody holds stay until their room is needed; the least recently
 * used go first, and a page never goes before those that follow it.
 *
 *   free --prefix_take--> held --prefix_keep--> held, kept --prefix_release--> cached
 *     ^                    |                      ^                             |  |
 *     +---prefix_release---+                      +---------prefix_find---------+  |
 *     +------------------------------prefix_take (the oldest)----------------------+
 *
 * Texts of another salt are another tree: who asked for one cannot tell by the time that it takes
 * what was asked under others.
 *
 * Nodes are found through a hash of parent and tokens, and are compared token
 * by token, so equal hashes cannot mix texts.
 *
 * Threads  one owner thread, the driver's
 * Memory   nothing is allocated after prefix_new(): a page is a node at most
 * Source   a tree of shared prefixes: Zheng et al. 2023, arXiv:2312.07104, section 3
 */
#ifndef POMONA_MEMORY_PREFIX_H
#define POMONA_MEMORY_PREFIX_H

#include <stdint.h>

#include "base/status.h"

struct prefix;

enum { PREFIX_ROOT = UINT32_MAX }; /* the parent of a text's first page */

/* All of 0..n_pages (>= 1), free.
 * Errors  ST_RANGE, ST_NOMEM */
enum status prefix_new(uint32_t n_pages, uint32_t page_tokens, struct prefix **ret_prefix,
                       struct err *err);
void prefix_free(struct prefix *prefix); /* NULL is allowed */

/* Hold the kept pages of this salt that `tokens` [max_pages * page_tokens] begin with.
 * ret_ids  [max_pages]
 * Returns  how many they are */
uint32_t prefix_find(struct prefix *prefix, uint64_t salt, const int32_t *tokens,
                     uint32_t max_pages, uint32_t *ret_ids);

/* Take `n` pages without contents, each held once: all of them or none.
 * ret_ids  [n]
 * Errors   ST_FULL  fewer are free or cached */
enum status prefix_take(struct prefix *prefix, uint32_t n, uint32_t *ret_ids);

/* The page `id`, held by the caller alone, is full: it holds tokens [page_tokens] after page
 * `parent`, which the caller holds and which is kept, and which is of the same salt.
 * Returns  the page to use from now on: `id`, or the one that held the same
 *          already, held; then `id` was released */
uint32_t prefix_keep(struct prefix *prefix, uint64_t salt, uint32_t parent, const int32_t *tokens,
                     uint32_t id);

/* Let go of the pages of one text, in its order. */
void prefix_release(struct prefix *prefix, const uint32_t *ids, uint32_t n);

uint32_t prefix_n_available(const struct prefix *prefix); /* free or cached */
uint32_t prefix_n_cached(const struct prefix *prefix);    /* kept and held by nobody */
uint32_t prefix_n_held(const struct prefix *prefix);

#endif
