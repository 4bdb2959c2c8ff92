/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/choose.h - which piece a node that fetches asks of whom next.
 *
 * Nodes that fetch one model at a time should not all get all of it from the one that holds
 * it.  So each begins at another piece; asks first those who have a part, and may have
 * nothing else to do; and asks of those who have all the pieces that the fewest have: one that
 * others have only while nothing else is asked of them.  A hub, which is far away, gives only what
 * no node has.
 *
 * Pure: a function of its arguments, no clock, no randomness.
 *
 * Source  rarest first: Cohen, "Incentives Build Robustness in BitTorrent", 2003, section 2.4
 */
#ifndef POMONA_MODEL_SHARE_CHOOSE_H
#define POMONA_MODEL_SHARE_CHOOSE_H

#include <stddef.h>

#include "model/share/piece_map.h"

/* In the order in which they are asked. */
enum source_kind { SOURCE_PART, SOURCE_WHOLE, SOURCE_HUB };

struct choose_source {
    enum source_kind kind;
    const struct piece_map *has; /* of SOURCE_PART; NULL: not known, so nothing */
    bool is_usable;              /* not given up */
    bool is_open;                /* usable, neither busy nor resting */
    bool is_dry;                 /* was found to have nothing that is missing */
    unsigned n_active;           /* requests under way */
};

struct choose {
    const struct piece_map *wanted, *here;
    const uint8_t *n_asked; /* [n_pieces] requests under way for each */
    uint8_t *n_parts;       /* [n_pieces] owned by the caller: how many SOURCE_PART have it */
    uint32_t start;         /* the piece to begin with, < n_pieces */
    uint32_t n_passed;      /* so many from there on are here or under way */
};

/* Count anew who has what: after a map came, or a source was given up. */
void choose_count(struct choose *choose, const struct choose_source *sources, size_t n_sources);

/* False: nobody who is open has anything that is missing.  Marks sources dry, and not open for
 * this time. */
bool choose_next(struct choose *choose, struct choose_source *sources, size_t n_sources,
                 size_t *ret_source, uint32_t *ret_piece);

/* A piece that was under way is missing again. */
void choose_again(struct choose *choose, uint32_t piece);

#endif
