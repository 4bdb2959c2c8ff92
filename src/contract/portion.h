/* SPDX-License-Identifier: Apache-2.0 */
/* contract/portion.h - what a member of a team holds of each layer.
 *
 * Ranks that hold the same layers are a team: each has some KV heads with their queries, some
 * feed-forward rows, and some rows of the output matrix where the layers are the last.  Heads are
 * dealt by the shares, largest remainders first; feed-forward rows then make each member's
 * weights as large as its share, so one without heads has more of them.
 *
 * Portions follow from the sizes and the shares alone, the same on every rank.  Pure.
 */
#ifndef POMONA_CONTRACT_PORTION_H
#define POMONA_CONTRACT_PORTION_H

#include <stdint.h>

#include "base/status.h"

enum {
    PORTION_MEMBERS_MAX = 64,
    PORTION_FF_UNIT = 32,     /* a block of quantised columns */
    PORTION_OUTPUT_UNIT = 16, /* rows that kernels take at a time */
    PORTION_SHARE_MAX = 1 << 20,
};

struct portion {
    uint32_t member, n_members;         /* n_members 0: the whole of each layer */
    uint32_t first_kv_head, n_kv_heads; /* 0 heads: none */
    uint32_t first_ff, n_ff;            /* n_ff >= 1 */
    uint32_t first_output, n_outputs;   /* rows of the output matrix, n_outputs >= 1 */
};

/* Of the model whose layers are cut. */
struct portion_whole {
    uint32_t n_head, n_kv_head, head_dim, n_ff, n_vocab;
};

/* shares       [n_members], each 1..PORTION_SHARE_MAX
 * ret_portions [n_members], which cover the whole in order
 * Errors  ST_RANGE  a share or the number of members is out of bounds, or the feed-forward rows
 *                   or the vocabulary are too few for so many members */
enum status portion_cut(const struct portion_whole *whole, const uint32_t *shares,
                        uint32_t n_members, struct portion *ret_portions, struct err *err);

#endif
