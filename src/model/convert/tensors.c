/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/tensors.c - which tensors of a folder become which of the new file.
 *
 * Source  names: Hugging Face transformers, modeling_llama.py; ggml repository, docs/gguf.md,
 *         "Standardized tensor names".  Quantised: the MLX documentation, mlx.core.quantize:
 *         32 / bits numbers in a word, "scales" and "biases" for each group of a row
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "model/convert/convert_priv.h"

enum { WORD_BITS = 32, LAYER_TENSORS = 9, END_TENSORS = 4, SOURCE_NAME_MAX = 128 };

struct planner {
    const struct convert_config *config;
    const struct safetensors *set;
    unsigned char *is_used; /* [safetensors_n(set)] */
    struct convert_tensors tensors;
};

static const struct safetensors_tensor *take(struct planner *p, const char *module,
                                             const char *part)
{
    char name[SOURCE_NAME_MAX];
    const struct safetensors_tensor *t;

    snprintf(name, sizeof(name), "%s.%s", module, part);
    t = safetensors_find(p->set, name);
    if (t)
        p->is_used[t - safetensors_at(p->set, 0)] = 1;
    return t;
}

static bool is_float(const struct safetensors_tensor *t)
{
    return t->dtype == SAFETENSORS_F32 || t->dtype == SAFETENSORS_F16 ||
           t->dtype == SAFETENSORS_BF16;
}

static enum status wrong_shape(const char *module, uint32_t n_rows, uint32_t n_cols,
                               struct err *err)
{
    return err_set(err, ST_FORMAT, "the tensors of '%s' are not of the shape of a %u x %u matrix",
                   module, (unsigned)n_rows, (unsigned)n_cols);
}

/* Bits and group size follow from how many words and scales a row has. */
static enum status read_groups(struct planner *p, const char *module, struct convert_tensor *t,
                               struct err *err)
{
    const uint64_t words = t->weight->dims[1];

    t->scales = take(p, module, "scales");
    t->biases = take(p, module, "biases");
    if (!t->scales || !t->biases || !is_float(t->scales) || t->biases->dtype != t->scales->dtype)
        return err_set(err, ST_UNSUPPORTED,
                       "'%s' is quantised without scales and biases of one floating format; MLX's "
                       "affine groups are read",
                       module);
    if (t->weight->n_dims != 2 || t->weight->dims[0] != t->n_rows || words > t->n_cols ||
        words * WORD_BITS % t->n_cols != 0 || t->scales->n_dims != 2 || t->biases->n_dims != 2 ||
        t->scales->dims[0] != t->n_rows || t->biases->dims[0] != t->n_rows ||
        t->scales->dims[1] != t->biases->dims[1] || t->n_cols % t->scales->dims[1] != 0)
        return wrong_shape(module, t->n_rows, t->n_cols, err);
    t->bits = (uint32_t)(words * WORD_BITS / t->n_cols);
    t->group = (uint32_t)(t->n_cols / t->scales->dims[1]);
    if ((t->bits != 4 && t->bits != 8) || (t->group != 32 && t->group != 64 && t->group != 128))
        return err_set(
            err, ST_UNSUPPORTED,
            "'%s' is quantised to %u bits in groups of %u; 4 and 8 bits in groups of 32, "
            "64 and 128 are read",
            module, (unsigned)t->bits, (unsigned)t->group);
    t->dtype = t->bits == 4 ? DTYPE_Q4_1 : DTYPE_F16;
    return ST_OK;
}

static enum status add_matrix(struct planner *p, const char *module, const char *name,
                              uint32_t n_rows, uint32_t n_cols, uint32_t n_turned, struct err *err)
{
    struct convert_tensor *t = &p->tensors.all[p->tensors.n++];

    snprintf(t->name, sizeof(t->name), "%s.weight", name);
    t->weight = take(p, module, "weight");
    t->n_rows = n_rows;
    t->n_cols = n_cols;
    t->n_turned = n_turned;
    if (!t->weight)
        return err_set(err, ST_FORMAT, "tensor '%s.weight' is missing", module);
    if (t->weight->dtype == SAFETENSORS_U32)
        return read_groups(p, module, t, err);
    if (!is_float(t->weight))
        return err_set(err, ST_UNSUPPORTED, "tensor '%s.weight' is of number format %s", module,
                       safetensors_dtype_name(t->weight->dtype));
    if (t->weight->n_dims != 2 || t->weight->dims[0] != n_rows || t->weight->dims[1] != n_cols)
        return wrong_shape(module, n_rows, n_cols, err);
    t->dtype = t->weight->dtype == SAFETENSORS_F32 ? DTYPE_F32 : DTYPE_F16;
    return ST_OK;
}

static enum status add_norm(struct planner *p, const char *module, const char *name,
                            struct err *err)
{
    struct convert_tensor *t = &p->tensors.all[p->tensors.n++];

    snprintf(t->name, sizeof(t->name), "%s.weight", name);
    t->weight = take(p, module, "weight");
    t->n_rows = 1;
    t->n_cols = p->config->n_hidden;
    t->is_vector = true;
    t->dtype = DTYPE_F32;
    if (!t->weight || !is_float(t->weight) || t->weight->n_dims != 1 ||
        t->weight->dims[0] != t->n_cols)
        return err_set(err, ST_FORMAT, "tensor '%s.weight' is missing or no vector of %u numbers",
                       module, (unsigned)t->n_cols);
    return ST_OK;
}

static enum status add_layer(struct planner *p, uint32_t layer, struct err *err)
{
    const struct convert_config *c = p->config;
    const uint32_t n_q = c->n_head * c->head_dim, n_kv = c->n_kv_head * c->head_dim;
    const struct {
        const char *module, *name;
        uint32_t n_rows, n_cols, n_turned;
    } parts[LAYER_TENSORS] = {
        { "input_layernorm", "attn_norm", 0, 0, 0 },
        { "self_attn.q_proj", "attn_q", n_q, c->n_hidden, c->n_head },
        { "self_attn.k_proj", "attn_k", n_kv, c->n_hidden, c->n_kv_head },
        { "self_attn.v_proj", "attn_v", n_kv, c->n_hidden, 0 },
        { "self_attn.o_proj", "attn_output", c->n_hidden, n_q, 0 },
        { "post_attention_layernorm", "ffn_norm", 0, 0, 0 },
        { "mlp.gate_proj", "ffn_gate", c->n_ff, c->n_hidden, 0 },
        { "mlp.up_proj", "ffn_up", c->n_ff, c->n_hidden, 0 },
        { "mlp.down_proj", "ffn_down", c->n_hidden, c->n_ff, 0 },
    };
    char module[SOURCE_NAME_MAX / 2], name[CONVERT_NAME_MAX / 2];
    enum status s = ST_OK;

    for (size_t i = 0; i < LAYER_TENSORS && s == ST_OK; i++) {
        snprintf(module, sizeof(module), "model.layers.%u.%s", (unsigned)layer, parts[i].module);
        snprintf(name, sizeof(name), "blk.%u.%s", (unsigned)layer, parts[i].name);
        s = parts[i].n_rows == 0 ? add_norm(p, module, name, err)
                                 : add_matrix(p, module, name, parts[i].n_rows, parts[i].n_cols,
                                              parts[i].n_turned, err);
    }
    return s;
}

static void add_rope_factors(struct planner *p)
{
    struct convert_tensor *t = &p->tensors.all[p->tensors.n++];

    snprintf(t->name, sizeof(t->name), "rope_freqs.weight");
    t->dtype = DTYPE_F32;
    t->n_rows = 1;
    t->n_cols = p->config->head_dim / 2;
    t->is_vector = true;
}

static enum status add_ends(struct planner *p, struct err *err)
{
    static const char *const parts[] = { "weight", "scales", "biases" };
    const struct convert_config *c = p->config;
    enum status s =
        add_matrix(p, "model.embed_tokens", "token_embd", c->n_vocab, c->n_hidden, 0, err);

    if (s == ST_OK)
        s = add_norm(p, "model.norm", "output_norm", err);
    if (s == ST_OK && c->is_tied) /* a copy of the embedding is no matrix of its own */
        for (size_t i = 0; i < ARRAY_LEN(parts); i++)
            (void)take(p, "lm_head", parts[i]);
    else if (s == ST_OK && (c->is_untied || safetensors_find(p->set, "lm_head.weight")))
        s = add_matrix(p, "lm_head", "output", c->n_vocab, c->n_hidden, 0, err);
    if (s == ST_OK && c->rope == CONVERT_ROPE_LLAMA3)
        add_rope_factors(p);
    return s;
}

/* Older files keep the rope's frequencies, which follow from config.json. */
static bool is_superfluous(const char *name)
{
    static const char end[] = "rotary_emb.inv_freq";
    const size_t n = strlen(name), n_end = strlen(end);

    return n > n_end && strcmp(name + n - n_end, end) == 0;
}

static enum status refuse_unused(const struct planner *p, struct err *err)
{
    for (size_t i = 0; i < safetensors_n(p->set); i++) {
        const char *name = safetensors_at(p->set, i)->name;

        if (!p->is_used[i] && !is_superfluous(name))
            return err_set(
                err, ST_UNSUPPORTED,
                "tensor '%.128s' is no part of the llama graph of this build; without it "
                "the model would answer wrongly",
                name);
    }
    return ST_OK;
}

enum status convert_plan(const struct convert_config *config, const struct safetensors *set,
                         struct convert_tensors *ret_tensors, struct err *err)
{
    const size_t n = END_TENSORS + (size_t)config->n_layer * LAYER_TENSORS;
    struct planner p = { .config = config, .set = set };
    enum status s = ST_OK;

    p.is_used = calloc(size_max(safetensors_n(set), 1), 1);
    p.tensors.all = calloc(n, sizeof(*p.tensors.all));
    if (!p.is_used || !p.tensors.all)
        s = err_set(err, ST_NOMEM, "no memory for a list of %zu tensors", n);
    if (s == ST_OK)
        s = add_ends(&p, err);
    for (uint32_t i = 0; i < config->n_layer && s == ST_OK; i++)
        s = add_layer(&p, i, err);
    if (s == ST_OK)
        s = refuse_unused(&p, err);
    free(p.is_used);
    if (s == ST_OK)
        *ret_tensors = p.tensors;
    else
        free(p.tensors.all);
    return s;
}
