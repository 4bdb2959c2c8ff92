/* SPDX-License-Identifier: Apache-2.0 */
/* engine/mlx/module.h - between the engine's C (mlx.c) and its C++ (module.cpp).
 *
 * The C++ is a shared module of its own, so that the program itself needs neither MLX nor a
 * C++ library and runs where these are not.  It is loaded when a shard is first opened.
 *
 * Threads  all functions of a graph are called on the one thread that opened it: MLX binds its streams
 *          to threads.  mlx_rows() alone may be called on another while none of them runs
 * Errors   0, or a negative enum status with words of at most ERR_WORDS_MAX bytes; after a
 *          failed step a graph can only be closed
 */
#ifndef POMONA_ENGINE_MLX_MODULE_H
#define POMONA_ENGINE_MLX_MODULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#include "engine/engine.h" /* written in C, which C++ has to be told */

/* Of this header, and of what it includes: another number is another module. */
enum { MLX_MODULE_VERSION = 2 };

struct mlx_graph;

/* Where GGUF's order, which turns neighbours, has element i of a query or key that turns (i, i + n/2). */
static inline uint32_t mlx_paired(uint32_t i, uint32_t n_rope)
{
    return i >= n_rope ? i : i < n_rope / 2 ? 2 * i : 2 * (i - n_rope / 2) + 1;
}

enum mlx_kv { MLX_KEY, MLX_VALUE };

/* May be called on the graph's thread at any time of a call. */
struct mlx_watch {
    void (*on_loaded)(void *arg, uint64_t done_bytes, uint64_t total_bytes);
    void (*on_layer)(void *arg);
    void (*on_wait)(void *arg, bool is_begin); /* for other members of the team */
    /* As of struct engine_options; a negative status with words. */
    int (*sum)(void *arg, float *rows, size_t n_floats, char *words);
    void *arg;
};

struct mlx_module {
    uint32_t version; /* MLX_MODULE_VERSION */

    const char *(*mlx_version)(void); /* "0.32.4"; lent for ever */

    /* Copies what it needs of the weights; `watch` is copied. */
    int (*open)(const struct shard_weights *weights, const struct engine_options *options,
                const struct mlx_watch *watch, struct mlx_graph **ret_graph, char *words);
    void (*close)(struct mlx_graph *graph);

    /* The batch was checked. */
    int (*step)(struct mlx_graph *graph, const struct engine_batch *batch, float *hidden_out,
                float *logits_out, char *words);

    /* Keys or values of a page, [page_tokens][n_kv_head][head_dim], f16 or f32 as is_half() says; of
     * a key the elements that rope turns are two halves (mlx_paired()).
     * `layer` counts from the shard's first.  Lent until the next step. */
    void *(*rows)(struct mlx_graph *graph, uint32_t layer, enum mlx_kv part, uint32_t page);
    bool (*is_half)(const struct mlx_graph *graph);

    /* "MLX 0.32.4, gpu"; lent until close. */
    const char *(*name)(const struct mlx_graph *graph);
};

/* The module's only symbol. */
#define MLX_MODULE_SYMBOL "pomona_mlx_module"
const struct mlx_module *pomona_mlx_module(void);

#ifdef __cplusplus
}
#endif

#endif
