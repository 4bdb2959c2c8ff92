/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/choose.c - which piece a node that fetches asks of whom next. */
#include "model/share/choose.h"

#include <string.h>

/* Enough to find a rare piece among, and bounded: a large file has a million. */
enum { CANDIDATES_MAX = 4096 };

static bool has_piece(const struct choose_source *source, uint32_t piece)
{
    return source->kind != SOURCE_PART || (source->has && piece_map_has(source->has, piece));
}

void choose_count(struct choose *c, const struct choose_source *sources, size_t n_sources)
{
    memset(c->n_parts, 0, c->wanted->n_pieces);
    for (size_t i = 0; i < n_sources; i++) {
        const struct choose_source *s = &sources[i];

        if (s->kind != SOURCE_PART || !s->is_usable || !s->has)
            continue;
        for (uint32_t piece = 0; piece < c->wanted->n_pieces; piece++)
            c->n_parts[piece] = (uint8_t)(c->n_parts[piece] + (c->n_parts[piece] < UINT8_MAX &&
                                                               piece_map_has(s->has, piece)));
    }
}

static bool is_free(const struct choose *c, uint32_t piece)
{
    return piece_map_has(c->wanted, piece) && !piece_map_has(c->here, piece) &&
           c->n_asked[piece] == 0;
}

static uint32_t piece_at(const struct choose *c, uint32_t place)
{
    return (uint32_t)(((uint64_t)c->start + place) % c->wanted->n_pieces);
}

static void pass(struct choose *c)
{
    while (c->n_passed < c->wanted->n_pieces && !is_free(c, piece_at(c, c->n_passed)))
        c->n_passed++;
}

/* Who has all is spared what others have while it gives something. */
static bool is_spared(const struct choose_source *source)
{
    return source->kind == SOURCE_HUB || (source->kind == SOURCE_WHOLE && source->n_active > 0);
}

/* The rarest of the next pieces that this source has. */
static bool best_of(const struct choose *c, const struct choose_source *source, uint32_t *ret_piece)
{
    const uint8_t rarest = source->kind == SOURCE_PART ? 1 : 0;
    unsigned n_seen = 0;
    bool is_found = false;

    for (uint32_t place = c->n_passed; place < c->wanted->n_pieces && n_seen < CANDIDATES_MAX;
         place++) {
        const uint32_t piece = piece_at(c, place);

        if (!is_free(c, piece) || !has_piece(source, piece))
            continue;
        n_seen++;
        if (is_spared(source) && c->n_parts[piece] > 0)
            continue;
        if (!is_found || c->n_parts[piece] < c->n_parts[*ret_piece])
            *ret_piece = piece;
        is_found = true;
        if (c->n_parts[*ret_piece] <= rarest)
            break;
    }
    return is_found;
}

/* Those who have a part before those who have all, and among them who has the least to do. */
static bool is_before(const struct choose_source *a, const struct choose_source *b)
{
    return a->kind != b->kind ? a->kind < b->kind : a->n_active < b->n_active;
}

static struct choose_source *next_source(struct choose_source *sources, size_t n_sources)
{
    struct choose_source *found = NULL;
    bool has_whole = false;

    for (size_t i = 0; i < n_sources; i++)
        has_whole |= sources[i].kind == SOURCE_WHOLE && sources[i].is_usable;
    for (size_t i = 0; i < n_sources; i++)
        if (sources[i].is_open && !sources[i].is_dry &&
            !(sources[i].kind == SOURCE_HUB && has_whole) &&
            (!found || is_before(&sources[i], found)))
            found = &sources[i];
    return found;
}

bool choose_next(struct choose *c, struct choose_source *sources, size_t n_sources,
                 size_t *ret_source, uint32_t *ret_piece)
{
    struct choose_source *source;

    pass(c);
    while ((source = next_source(sources, n_sources)) != NULL) {
        if (best_of(c, source, ret_piece)) {
            *ret_source = (size_t)(source - sources);
            return true;
        }
        if (is_spared(source)) /* it may give what others have once it is idle, or they are gone */
            source->is_open = false;
        else
            source->is_dry = true;
    }
    return false;
}

void choose_again(struct choose *c, uint32_t piece)
{
    const uint32_t n = c->wanted->n_pieces;
    const uint32_t place = (uint32_t)(((uint64_t)piece + n - c->start) % n);

    if (place < c->n_passed)
        c->n_passed = place;
}
