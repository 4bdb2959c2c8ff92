/* SPDX-License-Identifier: Apache-2.0 */
/* text/template/arena.c - chunks in a list; the newest is filled from its start. */
#include "text/template/arena.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"

enum { ALIGNMENT = 16, CHUNK_MIN = 16 * 1024 };

struct arena_chunk {
    struct arena_chunk *before;
    size_t used, capacity;
    _Alignas(ALIGNMENT) char bytes[];
};

void tmpl_arena_init(struct arena *arena, size_t limit_bytes)
{
    *arena = (struct arena){ .limit = limit_bytes };
}

void tmpl_arena_release(struct arena *arena)
{
    struct arena_chunk *c = arena->last;

    while (c) {
        struct arena_chunk *before = c->before;

        free(c);
        c = before;
    }
    arena->last = NULL;
    arena->n_taken = 0;
}

/* Chunks double up to an eighth of what is taken already, so that a small
 * render costs one chunk and a large one few. */
static struct arena_chunk *add_chunk(struct arena *arena, size_t n)
{
    const size_t want = size_max(n, size_max(CHUNK_MIN, arena->n_taken / 8));
    const size_t left = arena->limit - arena->n_taken;
    const size_t capacity = size_round_up(size_max(n, size_min(want, left)), ALIGNMENT);
    struct arena_chunk *c;

    if (n > left || capacity > left) {
        arena->status = ST_RANGE;
        return NULL;
    }
    c = malloc(sizeof(*c) + capacity);
    if (!c) {
        arena->status = ST_NOMEM;
        return NULL;
    }
    c->before = arena->last;
    c->used = 0;
    c->capacity = capacity;
    arena->last = c;
    arena->n_taken += capacity;
    return c;
}

void *tmpl_arena_alloc(struct arena *arena, size_t n)
{
    struct arena_chunk *c = arena->last;
    void *at;

    if (n > arena->limit) {
        arena->status = ST_RANGE;
        return NULL;
    }
    n = size_round_up(size_max(n, 1), ALIGNMENT);
    if (!c || c->capacity - c->used < n)
        c = add_chunk(arena, n);
    if (!c)
        return NULL;
    at = c->bytes + c->used;
    c->used += n;
    return at;
}

void *tmpl_arena_zalloc(struct arena *arena, size_t n)
{
    void *at = tmpl_arena_alloc(arena, n);

    if (at)
        memset(at, 0, n);
    return at;
}

void *tmpl_arena_grow(struct arena *arena, void *old, size_t n_old, size_t n)
{
    struct arena_chunk *c = arena->last;
    void *at;

    if (n <= n_old)
        return old;
    if (old && n <= arena->limit) {
        const size_t held = size_round_up(size_max(n_old, 1), ALIGNMENT);
        const size_t more = size_round_up(n, ALIGNMENT) - held;

        if (c->used >= held && c->bytes + c->used - held == (char *)old &&
            c->capacity - c->used >= more) {
            c->used += more;
            return old;
        }
    }
    at = tmpl_arena_alloc(arena, n);
    if (at && old)
        memcpy(at, old, n_old);
    return at;
}
