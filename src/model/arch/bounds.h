/* SPDX-License-Identifier: Apache-2.0 */
/* model/arch/bounds.h - how large a model of the llama family may be.
 *
 * Bounds of ours: several times the largest published models, and small enough
 * that products of three of them fit in 64 bits.  Whoever writes a model's file
 * (model/convert) keeps to those of who reads it (llama.c).
 */
#ifndef POMONA_MODEL_ARCH_BOUNDS_H
#define POMONA_MODEL_ARCH_BOUNDS_H

enum {
    LAYERS_MAX = 1024,
    HIDDEN_MAX = 1 << 16,
    FF_MAX = 1 << 20,
    HEADS_MAX = 1024,
    HEAD_DIM_MAX = 1024,
    VOCAB_MAX = 1 << 21,
    CONTEXT_MAX = 1 << 24,
};

#endif
