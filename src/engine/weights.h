/* SPDX-License-Identifier: Apache-2.0 */
/* engine/weights.h - what a shard of a model looks like to an engine.
 *
 * model/ fills these from a file; engines only read them.  Everything is
 * lent by the open model and stays mapped until the engine's shard is closed.
 *
 * The graph (llama family), for each layer:
 *     h += Wo attention(rope(Wq n), rope(Wk n), Wv n)   n = rmsnorm(h, attn_norm)
 *     h += Wdown (silu(Wgate m) * (Wup m))              m = rmsnorm(h, ffn_norm)
 * then logits = output rmsnorm(h, output_norm).
 *
 * A member of a team has its portion of each layer: then n_head, n_kv_head and n_ff are those of
 * the portion, what is added to h is summed over the team, and the output matrix has some
 * of the rows.  Everything else is as for the whole.
 *
 * Source  Touvron et al. 2023, arXiv:2302.13971; rope: Su et al. 2021,
 *         arXiv:2104.09864; grouped queries: Ainslie et al. 2023, arXiv:2305.13245
 */
#ifndef POMONA_ENGINE_WEIGHTS_H
#define POMONA_ENGINE_WEIGHTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/portion.h"
#include "engine/dtype.h"

struct matrix { /* y = W x, x of n_cols, y of n_rows */
    enum dtype dtype;
    uint32_t n_rows, n_cols;
    const void *data; /* row-major, rows of dtype_row_bytes(dtype, n_cols); 32-byte aligned
                             * is usual and not promised.  NULL: absent */
    size_t stride;    /* bytes from a row to the next; 0: they follow one another */
};

/* Bytes from a row to the next. */
static inline size_t matrix_stride(const struct matrix *w)
{
    return w->stride > 0 ? w->stride : dtype_row_bytes(w->dtype, w->n_cols);
}

/* Bytes from the beginning of one row to the end of the n-th from there, n >= 1. */
static inline size_t matrix_span_bytes(const struct matrix *w, size_t n)
{
    return (n - 1) * matrix_stride(w) + dtype_row_bytes(w->dtype, w->n_cols);
}

enum rope_style {
    ROPE_INTERLEAVED, /* pairs (2i, 2i+1): GGUF's llama */
    ROPE_HALVES,      /* pairs (i, i + n/2) */
};

struct model_shape {
    uint32_t n_layer; /* of the whole model */
    uint32_t n_hidden;
    uint32_t n_ff;
    uint32_t n_head;    /* 0 in a portion without heads, as is */
    uint32_t n_kv_head; /* divides n_head */
    uint32_t head_dim;  /* even */
    uint32_t n_rope;    /* dimensions of a head that rotate, even, <= head_dim */
    uint32_t n_vocab;
    uint32_t context_tokens;
    enum rope_style rope_style;
    float rope_base;
    float rope_scale; /* position multiplier; 1 is none */
    float norm_eps;
    const float *rope_factors; /* [n_rope/2] divisors of the frequencies, or NULL */
};

struct layer_weights {
    const float *attn_norm; /* [n_hidden] */
    struct matrix q, k, v, o;
    const float *ffn_norm; /* [n_hidden] */
    struct matrix gate, up, down;
};

struct shard_weights {
    struct model_shape shape;
    uint32_t first_layer, n_layers;
    struct portion portion;       /* of each layer; n_members 0: all of it */
    struct layer_weights *layers; /* [n_layers] */
    struct matrix embedding;      /* [n_vocab][n_hidden]; absent unless the shard is the first */
    const float *output_norm;     /* NULL unless the shard is the last */
    struct matrix output;         /* [n_vocab][n_hidden], of a portion [n_outputs][n_hidden]; absent
                                   * unless the shard is the last */
    uint64_t total_bytes;
    bool is_file_mapped; /* the matrices are pages of a file: an engine may give back their memory
                          * (MADV_DONTNEED), and they are read again where they are needed */
};

#endif
