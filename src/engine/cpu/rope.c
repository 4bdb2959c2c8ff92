/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/rope.c - positions: angles of a row, and turning a head by them. */
#include <math.h>

#include "engine/cpu/shard.h"

void cpu_rope_angles(const struct cpu_shard *shard, uint32_t position, float *ret_turn)
{
    const struct model_shape *shape = &shard->weights.shape;

    for (uint32_t i = 0; i < shape->n_rope / 2; i++) {
        const double angle = (double)position * shard->frequency[i];

        ret_turn[2 * i] = (float)cos(angle);
        ret_turn[2 * i + 1] = (float)sin(angle);
    }
}

/* Su et al. 2021, equation 34, for both ways of pairing dimensions. */
void cpu_rope_turn(const struct model_shape *shape, const float *turn, float *head)
{
    const uint32_t half = shape->n_rope / 2;
    const bool is_halves = shape->rope_style == ROPE_HALVES;
    const uint32_t step = is_halves ? 1 : 2, apart = is_halves ? half : 1;

    for (uint32_t i = 0; i < half; i++) {
        const float a = head[i * step], b = head[i * step + apart];
        const float c = turn[2 * i], s = turn[2 * i + 1];

        head[i * step] = a * c - b * s;
        head[i * step + apart] = a * s + b * c;
    }
}
