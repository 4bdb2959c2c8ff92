/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/shard_pieces.h - which pieces of a model's file a shard reads.
 *
 * The head; the tensors "blk.N.*" of its layers; "token_embd.*" for the first rank; "output*"
 * for the last, or the embedding where the file has no "output.weight" (tied); every tensor
 * that is called otherwise, for all (rope factors and the like).  Names are those of GGUF, so
 * a model family needs nothing of its own here.
 *
 * Of a portion: some rows of "attn_q", "attn_k" and "attn_v", of "ffn_gate" and "ffn_up", and of
 * the output; all of "attn_output" and "ffn_down", whose columns lie all over their tensors, or
 * nothing of "attn_output" where the portion has no heads.
 *
 * Source  ggml repository, docs/gguf.md, "Standardized tensor names"
 */
#ifndef POMONA_MODEL_SHARE_SHARD_PIECES_H
#define POMONA_MODEL_SHARE_SHARD_PIECES_H

#include "contract/portion.h"
#include "model/gguf/gguf.h"
#include "model/share/piece_map.h"

/* A portion, and what it is of. */
struct piece_cut {
    struct portion portion;
    uint32_t n_kv_head, n_ff, n_vocab;
};

/* Mark in `wanted`, a map of this file, what layers first..first+n need.
 * cut     NULL: whole layers
 * Errors  ST_RANGE  the file has no such layers */
enum status shard_pieces(const struct gguf *gguf, uint32_t first_layer, uint32_t n_layers,
                         const struct piece_cut *cut, struct piece_map *wanted, struct err *err);

#endif
