/* SPDX-License-Identifier: Apache-2.0 */
/* model/arch/llama.c - the llama family: Llama, Mistral, SmolLM and what is built like them.
 *
 * The graph is the one of engine/weights.h.  Settings that other runtimes
 * honour and this graph lacks are refused, never skipped: a model that is
 * computed almost right is worse than one that is not.
 *
 * Source  ggml repository, docs/gguf.md, "Standardized key-value pairs", "LLM"
 *         and "Standardized tensor names"
 */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"
#include "model/arch/arch_priv.h"
#include "model/arch/bounds.h"

#define FAMILY "llama"

enum { NAME_MAX_BYTES = 64 };

static enum status read_sizes(const struct gguf *gguf, struct model_shape *sh, struct err *err)
{
    const struct arch_number numbers[] = {
        { "block_count", 1, LAYERS_MAX, &sh->n_layer },
        { "embedding_length", 1, HIDDEN_MAX, &sh->n_hidden },
        { "feed_forward_length", 1, FF_MAX, &sh->n_ff },
        { "attention.head_count", 1, HEADS_MAX, &sh->n_head },
        { "context_length", 1, CONTEXT_MAX, &sh->context_tokens },
    };
    enum status s = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(numbers) && s == ST_OK; i++)
        s = arch_need_u32(gguf, FAMILY, &numbers[i], err);
    return s;
}

static enum status read_heads(const struct gguf *gguf, struct model_shape *sh, struct err *err)
{
    const struct arch_number kv = { "attention.head_count_kv", 1, HEADS_MAX, &sh->n_kv_head };
    const struct arch_number key = { "attention.key_length", 2, HEAD_DIM_MAX, &sh->head_dim };
    uint32_t value_length;
    const struct arch_number value = { "attention.value_length", 2, HEAD_DIM_MAX, &value_length };
    enum status s;

    sh->n_kv_head = sh->n_head;
    s = arch_take_u32(gguf, FAMILY, &kv, err);
    if (s != ST_OK)
        return s;
    if (sh->n_kv_head > sh->n_head || sh->n_head % sh->n_kv_head != 0)
        return err_set(err, ST_FORMAT, "%u attention heads cannot share %u key/value heads evenly",
                       (unsigned)sh->n_head, (unsigned)sh->n_kv_head);
    if (!gguf_has(gguf, FAMILY ".attention.key_length") && sh->n_hidden % sh->n_head != 0)
        return err_set(err, ST_FORMAT, "a hidden row of %u cannot be cut into %u heads",
                       (unsigned)sh->n_hidden, (unsigned)sh->n_head);
    sh->head_dim = sh->n_hidden / sh->n_head;
    s = arch_take_u32(gguf, FAMILY, &key, err);
    if (s != ST_OK)
        return s;
    if (sh->head_dim % 2 != 0)
        return err_set(err, ST_FORMAT, "heads of %u elements cannot be rotated in pairs",
                       (unsigned)sh->head_dim);
    value_length = sh->head_dim;
    s = arch_take_u32(gguf, FAMILY, &value, err);
    if (s == ST_OK && value_length != sh->head_dim)
        s = err_set(err, ST_UNSUPPORTED,
                    "keys of %u and values of %u elements; this build's graph "
                    "has both of one length",
                    (unsigned)sh->head_dim, (unsigned)value_length);
    return s;
}

static enum status read_vocab(const struct gguf *gguf, struct model_shape *sh, struct err *err)
{
    const struct arch_number size = { "vocab_size", 1, VOCAB_MAX, &sh->n_vocab };
    struct gguf_array tokens = { 0 };
    enum status s = gguf_get_array(gguf, "tokenizer.ggml.tokens", GGUF_STRING, &tokens, err);

    if (s == ST_NOTFOUND)
        return arch_need_u32(gguf, FAMILY, &size, err);
    if (s != ST_OK)
        return s;
    if (tokens.n > VOCAB_MAX)
        return err_set(err, ST_RANGE, "the vocabulary has %llu tokens; at most %d are read",
                       (unsigned long long)tokens.n, VOCAB_MAX);
    sh->n_vocab = (uint32_t)tokens.n;
    s = arch_take_u32(gguf, FAMILY, &size, err);
    if (s == ST_OK && sh->n_vocab != tokens.n)
        s = err_set(err, ST_FORMAT, "'%s.vocab_size' is %u but the file lists %llu tokens", FAMILY,
                    (unsigned)sh->n_vocab, (unsigned long long)tokens.n);
    return s;
}

static enum status read_rope_scaling(const struct gguf *gguf, struct model_shape *sh,
                                     struct err *err)
{
    char type[32] = "";
    float factor = 1.0f;
    enum status s = ST_OK;

    if (gguf_has(gguf, FAMILY ".rope.scaling.type"))
        s = gguf_get_word(gguf, FAMILY ".rope.scaling.type", type, sizeof(type), err);
    if (s != ST_OK)
        return s;
    if (type[0] && strcmp(type, "none") != 0 && strcmp(type, "linear") != 0)
        return err_set(err, ST_UNSUPPORTED,
                       "rope scaling '%s'; this build does 'none' and "
                       "'linear'",
                       type);
    /* docs/gguf.md: scale_linear is the older key; a factor without a type is linear. */
    s = arch_take_f32(gguf, FAMILY, "rope.scale_linear", &factor, err);
    if (s == ST_OK)
        s = arch_take_f32(gguf, FAMILY, "rope.scaling.factor", &factor, err);
    if (s != ST_OK)
        return s;
    if (!(factor >= 1.0f && factor <= 65536.0f))
        return err_set(err, ST_RANGE, "the rope scaling factor is %g; 1 to 65536 are possible",
                       (double)factor);
    sh->rope_scale = strcmp(type, "none") == 0 ? 1.0f : 1.0f / factor;
    return ST_OK;
}

static enum status read_rope(const struct gguf *gguf, struct model_shape *sh, struct err *err)
{
    const struct arch_number dims = { "rope.dimension_count", 2, HEAD_DIM_MAX, &sh->n_rope };
    enum status s;

    sh->rope_style = ROPE_INTERLEAVED;
    sh->n_rope = sh->head_dim;
    sh->rope_base = 10000.0f; /* Su et al. 2021, arXiv:2104.09864, section 3.2.2 */
    s = arch_take_u32(gguf, FAMILY, &dims, err);
    if (s != ST_OK)
        return s;
    if (sh->n_rope > sh->head_dim || sh->n_rope % 2 != 0)
        return err_set(err, ST_FORMAT, "%u of a head's %u elements cannot be rotated in pairs",
                       (unsigned)sh->n_rope, (unsigned)sh->head_dim);
    s = arch_take_f32(gguf, FAMILY, "rope.freq_base", &sh->rope_base, err);
    if (s != ST_OK)
        return s;
    if (!(sh->rope_base >= 1.0f))
        return err_set(err, ST_RANGE, "the rope base is %g; it has to be 1 or more",
                       (double)sh->rope_base);
    return read_rope_scaling(gguf, sh, err);
}

static enum status read_norm(const struct gguf *gguf, struct model_shape *sh, struct err *err)
{
    enum status s =
        gguf_get_f32(gguf, FAMILY ".attention.layer_norm_rms_epsilon", &sh->norm_eps, err);

    if (s == ST_OK && !(sh->norm_eps > 0.0f && sh->norm_eps < 1.0f))
        s = err_set(err, ST_RANGE, "the epsilon of the norms is %g; it has to be between 0 and 1",
                    (double)sh->norm_eps);
    return s;
}

static enum status refuse_encoders(const struct gguf *gguf, struct err *err)
{
    bool is_causal = true;
    enum status s = ST_OK;

    if (gguf_has(gguf, FAMILY ".attention.causal"))
        s = gguf_get_bool(gguf, FAMILY ".attention.causal", &is_causal, err);
    if (s == ST_OK && !is_causal)
        s = err_set(
            err, ST_UNSUPPORTED,
            "'%s.attention.causal' is false: the model is an encoder, which cannot generate",
            FAMILY);
    return s;
}

/* Settings whose other values would need another graph. */
static enum status refuse_other_graphs(const struct gguf *gguf, struct err *err)
{
    static const char *const counts[] = { "expert_count", "attention.sliding_window" };
    static const struct {
        const char *key;
        float neutral;
    } factors[] = {
        { "logit_scale", 1.0f },
        { "residual_scale", 1.0f },
        { "embedding_scale", 1.0f },
        { "attention.clamp_kqv", 0.0f },
        { "attention.max_alibi_bias", 0.0f },
    };
    enum status s = refuse_encoders(gguf, err);

    for (size_t i = 0; i < ARRAY_LEN(counts) && s == ST_OK; i++) {
        uint32_t n = 0;
        const struct arch_number number = { counts[i], 0, UINT32_MAX, &n };

        s = arch_take_u32(gguf, FAMILY, &number, err);
        if (s == ST_OK && n != 0)
            s = err_set(err, ST_UNSUPPORTED, "'%s.%s' is %u; this build's graph has none", FAMILY,
                        counts[i], (unsigned)n);
    }
    for (size_t i = 0; i < ARRAY_LEN(factors) && s == ST_OK; i++) {
        float x = factors[i].neutral;

        s = arch_take_f32(gguf, FAMILY, factors[i].key, &x, err);
        if (s == ST_OK && x != factors[i].neutral)
            s = err_set(err, ST_UNSUPPORTED, "'%s.%s' is %g; this build's graph has it at %g only",
                        FAMILY, factors[i].key, (double)x, (double)factors[i].neutral);
    }
    return s;
}

static enum status read_shape(const struct gguf *gguf, struct model_shape *ret_shape,
                              struct err *err)
{
    static enum status (*const steps[])(const struct gguf *, struct model_shape *, struct err *) = {
        read_sizes, read_heads, read_vocab, read_rope, read_norm,
    };
    struct model_shape shape = { 0 };
    enum status s = refuse_other_graphs(gguf, err);

    for (size_t i = 0; i < ARRAY_LEN(steps) && s == ST_OK; i++)
        s = steps[i](gguf, &shape, err);
    if (s == ST_OK)
        *ret_shape = shape;
    return s;
}

static enum status bind_layer(struct arch_binder *b, const struct model_shape *sh, uint32_t layer,
                              struct layer_weights *w, struct err *err)
{
    const uint32_t n_q = sh->n_head * sh->head_dim, n_kv = sh->n_kv_head * sh->head_dim;
    const struct {
        const char *part;
        const float **into;
    } norms[] = {
        { "attn_norm", &w->attn_norm },
        { "ffn_norm", &w->ffn_norm },
    };
    const struct {
        const char *part;
        uint32_t n_rows, n_cols;
        struct matrix *into;
    } matrices[] = {
        { "attn_q", n_q, sh->n_hidden, &w->q },
        { "attn_k", n_kv, sh->n_hidden, &w->k },
        { "attn_v", n_kv, sh->n_hidden, &w->v },
        { "attn_output", sh->n_hidden, n_q, &w->o },
        { "ffn_gate", sh->n_ff, sh->n_hidden, &w->gate },
        { "ffn_up", sh->n_ff, sh->n_hidden, &w->up },
        { "ffn_down", sh->n_hidden, sh->n_ff, &w->down },
    };
    char name[NAME_MAX_BYTES];
    enum status s = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(norms) && s == ST_OK; i++) {
        snprintf(name, sizeof(name), "blk.%u.%s.weight", (unsigned)layer, norms[i].part);
        s = arch_bind_vector(b, name, sh->n_hidden, norms[i].into, err);
    }
    for (size_t i = 0; i < ARRAY_LEN(matrices) && s == ST_OK; i++) {
        snprintf(name, sizeof(name), "blk.%u.%s.weight", (unsigned)layer, matrices[i].part);
        s = arch_bind_matrix(b, name, matrices[i].n_rows, matrices[i].n_cols, matrices[i].into,
                             err);
    }
    return s;
}

static enum status bind_ends(struct arch_binder *b, struct shard_weights *all, struct err *err)
{
    const struct model_shape *sh = &all->shape;
    enum status s;

    s = arch_bind_matrix(b, "token_embd.weight", sh->n_vocab, sh->n_hidden, &all->embedding, err);
    if (s == ST_OK)
        s = arch_bind_vector(b, "output_norm.weight", sh->n_hidden, &all->output_norm, err);
    if (s != ST_OK)
        return s;
    if (gguf_find_tensor(b->gguf, "output.weight"))
        return arch_bind_matrix(b, "output.weight", sh->n_vocab, sh->n_hidden, &all->output, err);
    all->output = all->embedding; /* tied: Press and Wolf 2017, arXiv:1608.05859 */
    return ST_OK;
}

/* Llama 3.1 and later carry divisors of the rope frequencies as a tensor. */
static enum status bind_rope_factors(struct arch_binder *b, struct model_shape *sh, struct err *err)
{
    static const char *const name = "rope_freqs.weight";
    enum status s;

    if (!gguf_find_tensor(b->gguf, name))
        return ST_OK;
    s = arch_bind_vector(b, name, sh->n_rope / 2, &sh->rope_factors, err);
    if (s == ST_OK)
        s = gguf_check_here(b->gguf, sh->rope_factors, sh->n_rope / 2 * sizeof(float), err);
    for (uint32_t i = 0; i < sh->n_rope / 2 && s == ST_OK; i++)
        if (!(sh->rope_factors[i] > 0.0f) || !isfinite(sh->rope_factors[i]))
            s = err_set(err, ST_FORMAT, "number %u of tensor '%s' is no positive number",
                        (unsigned)i, name);
    return s;
}

static enum status bind(const struct gguf *gguf, struct shard_weights *all, struct err *err)
{
    struct arch_binder b = { 0 };
    enum status s = arch_binder_init(&b, gguf, err);

    if (s != ST_OK)
        return s;
    s = bind_ends(&b, all, err);
    if (s == ST_OK)
        s = bind_rope_factors(&b, &all->shape, err);
    for (uint32_t i = 0; i < all->n_layers && s == ST_OK; i++)
        s = bind_layer(&b, &all->shape, i, &all->layers[i], err);
    if (s == ST_OK)
        s = arch_refuse_unused(&b, FAMILY, err);
    arch_binder_release(&b);
    return s;
}

const struct arch arch_llama = { FAMILY, read_shape, bind };
