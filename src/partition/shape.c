/* SPDX-License-Identifier: Apache-2.0 */
/* partition/shape.c - the table of well-known models, and shapes of files.
 *
 * Sources  config.json of meta-llama/Llama-3.1-8B and -70B and of openai/gpt-oss-120b
 *          q4_0: blocks of 32 elements in 18 bytes (ggml), 4.5 bits an element
 *          MXFP4: 32 elements of 4 bits and a scale of 8 (OCP Microscaling 1.0), 4.25 bits
 */
#include "partition/shape.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

static const struct known {
    const char *name, *architecture;
    uint32_t n_layer, n_hidden, n_inner, n_heads, n_kv_heads, head_dim, n_vocab;
    uint32_t n_experts, n_chosen;  /* 0: one network, always used */
    double inner_bits, other_bits; /* an element takes */
    uint32_t context_tokens;
} known[] = {
    { "llama-8b-q4_0", "llama", 32, 4096, 14336, 32, 8, 128, 128256, 0, 0, 4.5, 4.5, 131072 },
    { "llama-70b-q4_0", "llama", 80, 8192, 28672, 64, 8, 128, 128256, 0, 0, 4.5, 4.5, 131072 },
    { "gpt-oss-120b", "gpt-oss", 36, 2880, 2880, 64, 8, 64, 201088, 128, 4, 4.25, 16, 131072 },
};

enum { INNER_MATRICES = 3 }; /* gate, up and down */

static uint64_t bytes_of(double elements, double bits)
{
    return (uint64_t)(elements * bits / 8);
}

static void complete(const struct known *k, struct plan_shape *s)
{
    const double heads = (double)k->n_heads * k->head_dim, kv = (double)k->n_kv_heads * k->head_dim;
    const double attention = k->n_hidden * (2 * heads + 2 * kv);
    const double expert = (double)INNER_MATRICES * k->n_hidden * k->n_inner;
    const double router = (double)k->n_hidden * k->n_experts;
    const double vocabulary = (double)k->n_vocab * k->n_hidden;
    const uint32_t n_inner = k->n_experts > 0 ? k->n_experts : 1;
    const uint64_t inner_bytes = bytes_of(expert * n_inner, k->inner_bits);
    struct model_info *info = &s->info;

    info->layer_bytes = inner_bytes + bytes_of(attention + router, k->other_bits);
    info->embedding_bytes = info->output_bytes = bytes_of(vocabulary, k->other_bits);
    info->file_bytes = info->layer_bytes * k->n_layer + info->embedding_bytes + info->output_bytes;
    info->kv_bytes_per_token = (uint64_t)(2 * kv) * sizeof(uint16_t);
    info->n_parameters =
        (uint64_t)(k->n_layer * (attention + router + expert * n_inner) + 2 * vocabulary);
    s->n_kv_heads = k->n_kv_heads;
    s->layer_params = attention + router + expert * (k->n_experts > 0 ? k->n_chosen : 1);
    s->output_params = vocabulary;
    s->n_experts = k->n_experts;
    s->n_chosen = k->n_chosen;
    s->expert_bytes = k->n_experts > 0 ? inner_bytes : 0;
}

bool plan_shape_find(const char *name, struct plan_shape *ret_shape)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        const struct known *k = &known[i];

        if (strcmp(k->name, name) != 0)
            continue;
        *ret_shape = (struct plan_shape){ 0 };
        (void)snprintf(ret_shape->info.name, sizeof(ret_shape->info.name), "%s", k->name);
        (void)snprintf(ret_shape->info.architecture, sizeof(ret_shape->info.architecture), "%s",
                       k->architecture);
        ret_shape->info.n_layer = k->n_layer;
        ret_shape->info.n_hidden = k->n_hidden;
        ret_shape->info.n_vocab = k->n_vocab;
        ret_shape->info.context_tokens = k->context_tokens;
        complete(k, ret_shape);
        return true;
    }
    return false;
}

void plan_shape_names(struct buf *out)
{
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        buf_printf(out, "%s%s", i > 0 ? ", " : "", known[i].name);
}

void plan_shape_of(const struct model_info *info, struct plan_shape *ret_shape)
{
    const uint64_t head_dim = info->n_hidden >= 4096 ? 128 : 64;
    const uint64_t head_bytes = 2 * sizeof(uint16_t) * head_dim;
    const double vocabulary = (double)info->n_vocab * info->n_hidden;
    const uint64_t parts =
        info->n_layer * info->layer_bytes + info->embedding_bytes + info->output_bytes;
    const double n_vocabularies = parts > info->file_bytes && info->file_bytes > 0 ? 1 : 2;
    const double layers = (double)info->n_parameters - n_vocabularies * vocabulary;

    *ret_shape = (struct plan_shape){ .info = *info, .output_params = vocabulary };
    ret_shape->n_kv_heads = info->kv_bytes_per_token >= head_bytes
                                ? (uint32_t)(info->kv_bytes_per_token / head_bytes)
                                : 1;
    if (info->n_layer > 0 && layers > 0)
        ret_shape->layer_params = layers / info->n_layer;
}
