/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/weights.hpp - a model's matrices as MLX has them. */
#ifndef POMONA_ENGINE_MLX_WEIGHTS_HPP
#define POMONA_ENGINE_MLX_WEIGHTS_HPP

#include <map>
#include <optional>
#include <tuple>
#include <vector>

#include <mlx/mlx.h>

#include "engine/mlx/module.h"

namespace mx = mlx::core;

/* A matrix as products want it: floats, or affine groups. */
struct linear {
    mx::array weight;
    std::optional<mx::array> scales, biases;
    int group = 0, bits = 0;
};

struct layer {
    mx::array attn_norm, ffn_norm;
    linear q, k, v, o, gate, up, down;
};

struct loader {
    mx::Dtype compute; /* of products, scales and kept keys and values */
    mlx_watch watch;
    uint64_t done = 0, total = 0;
    /* By data and size: a tied matrix is there once. */
    std::map<std::tuple<const void *, uint32_t, uint32_t>, linear> matrices;

    linear matrix(const struct matrix &m, const std::optional<mx::array> &order = std::nullopt);
    mx::array floats(const struct matrix &m);
    linear groups(const struct matrix &m);
};

mx::array vector_of(const float *data, uint32_t n);

layer layer_of(loader &load, const layer_weights &w, const model_shape &shape);

#endif
