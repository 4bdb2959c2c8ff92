/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/mlx.h - the engine that computes with Apple's MLX, on the GPU of a Mac.
 *
 * The same shards, batches and pages as the CPU engine, from the same weights: Q4_0, Q4_1 and Q8_0
 * are MLX's affine groups of 32 exactly, and become ones of 64 or 128 where neighbours are alike.
 * On Linux MLX has a CPU only, slow, and is there so that this engine can be tested.
 *
 *   GPU   products in f16, sums between layers in f32, keys and values in f16
 *   CPU   everything in f32; keys and values become f16 when a page is exported
 *
 * The width of activations that options ask for is not looked at, as these are finer; a step's pulse
 * is felt once a layer.
 *
 * Of a team's member it computes the portion.  The members' rows are summed by options.sum, as those of the
 * CPU engine, and so beside it; or over MLX's own ring, where all members have this engine.
 *
 * Exactness  MLX chooses kernels by the shape of a batch, so on the GPU the result of a row may
 *            differ in its last bits with the rows beside it; tokens are those of one engine,
 *            not of every placement
 * Memory     MLX allocates in every step, from a cache of its own that is bounded here; the whole
 *            is bounded by what weights, pages and the largest batch need, and refused where the
 *            GPU cannot keep it resident
 * Threads    a thread of its own for each shard, since MLX binds streams to threads
 * Module     libpomona_mlx.so beside the program, or what POMONA_MLX names; built where
 *            CMake finds MLX 0.32.1 or later
 */
#ifndef POMONA_ENGINE_MLX_MLX_H
#define POMONA_ENGINE_MLX_MLX_H

#include "engine/engine.h"

extern const struct engine_type mlx_engine;

#endif
