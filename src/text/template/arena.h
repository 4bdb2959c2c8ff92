/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/arena.h - memory of one parse or one render, freed at once.
 *
 * Nothing is freed singly, so what a hostile template can hold is what it can
 * allocate: the limit counts every byte taken from the system.
 */
#ifndef POMONA_TEXT_TEMPLATE_ARENA_H
#define POMONA_TEXT_TEMPLATE_ARENA_H

#include <stddef.h>

#include "base/status.h"

struct arena_chunk;

struct arena {
    struct arena_chunk *last;
    size_t n_taken; /* bytes taken from the system */
    size_t limit;
    enum status status; /* why an allocation failed: ST_RANGE the limit, ST_NOMEM the system */
};

void tmpl_arena_init(struct arena *arena, size_t limit_bytes);
void tmpl_arena_release(struct arena *arena);

/* Lent until the arena is released; aligned for any type.  NULL, and
 * `status` set, where there is no room. */
void *tmpl_arena_alloc(struct arena *arena, size_t n);
void *tmpl_arena_zalloc(struct arena *arena, size_t n); /* zero-filled */

/* `old` [n_old], extended in place where it is the last thing allocated, else
 * copied.  `old` may be NULL. */
void *tmpl_arena_grow(struct arena *arena, void *old, size_t n_old, size_t n);

#endif
