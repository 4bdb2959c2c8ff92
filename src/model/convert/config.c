/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/config.c - config.json: a model's sizes and settings.
 *
 * Settings that would need another graph are refused, as model/arch/llama.c refuses them in GGUF.
 *
 * Source  Hugging Face transformers, configuration_llama.py and modeling_rope_utils.py
 *         (_compute_llama3_parameters); MLX-LM's "quantization"
 */
#include <math.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"
#include "model/arch/bounds.h"
#include "model/convert/convert_priv.h"

enum { JSON_BYTES_MAX = 128 << 20 };

enum status convert_json(const char *dir, const char *name, json_t **ret_json, struct err *err)
{
    char path[PATH_MAX_BYTES];
    struct buf text = { 0 };
    json_error_t why;
    json_t *json = NULL;
    enum status s = path_join(dir, name, path, err);

    if (s == ST_OK)
        s = file_read(path, JSON_BYTES_MAX, &text, err);
    if (s == ST_OK) {
        json = json_loadb(buf_text(&text), text.len, 0, &why);
        if (!json && json_error_code(&why) == json_error_out_of_memory)
            s = err_set(err, ST_NOMEM, "no memory for '%s'", path);
        else if (!json_is_object(json))
            s = err_set(err, ST_FORMAT, "'%s' is no JSON object", path);
    }
    buf_release(&text);
    if (s == ST_OK)
        *ret_json = json;
    else
        json_decref(json);
    return s;
}

enum status convert_need_u32(const json_t *object, const char *key, uint32_t min, uint32_t max,
                             uint32_t *ret, struct err *err)
{
    const json_t *value = json_object_get(object, key);
    const json_int_t number = json_integer_value(value);

    if (!json_is_integer(value))
        return err_set(err, ST_FORMAT, "'%s' is missing or no whole number", key);
    if (number < (json_int_t)min || number > (json_int_t)max)
        return err_set(err, ST_RANGE, "'%s' is %lld; %u to %u are possible", key, (long long)number,
                       (unsigned)min, (unsigned)max);
    *ret = (uint32_t)number;
    return ST_OK;
}

enum status convert_take_u32(const json_t *object, const char *key, uint32_t min, uint32_t max,
                             uint32_t *into, struct err *err)
{
    const json_t *value = json_object_get(object, key);

    return value && !json_is_null(value) ? convert_need_u32(object, key, min, max, into, err)
                                         : ST_OK;
}

enum status convert_take_real(const json_t *object, const char *key, double *into, struct err *err)
{
    const json_t *value = json_object_get(object, key);

    if (!value || json_is_null(value))
        return ST_OK;
    if (!json_is_number(value) || !isfinite(json_number_value(value)))
        return err_set(err, ST_FORMAT, "'%s' is no number", key);
    *into = json_number_value(value);
    return ST_OK;
}

static enum status refuse_other_graphs(const json_t *json, struct err *err)
{
    static const char *const flags[] = { "attention_bias", "mlp_bias" };
    const char *family = json_string_value(json_object_get(json, "model_type"));
    const char *act = json_string_value(json_object_get(json, "hidden_act"));
    const json_t *window = json_object_get(json, "sliding_window");

    if (!family || (strcmp(family, "llama") != 0 && strcmp(family, "mistral") != 0))
        return err_set(err, ST_UNSUPPORTED,
                       "'model_type' is '%.32s'; this build converts: llama, mistral",
                       family ? family : "");
    if (act && strcmp(act, "silu") != 0)
        return err_set(err, ST_UNSUPPORTED, "'hidden_act' is '%.32s'; this build's graph has silu",
                       act);
    for (size_t i = 0; i < ARRAY_LEN(flags); i++)
        if (json_is_true(json_object_get(json, flags[i])))
            return err_set(err, ST_UNSUPPORTED, "'%s' is true; this build's graph has no biases",
                           flags[i]);
    if (window && !json_is_null(window))
        return err_set(err, ST_UNSUPPORTED,
                       "'sliding_window' is set; this build's graph looks at the whole context");
    return ST_OK;
}

/* Of how weights are quantised only the kind is read here; the shapes of tensors tell the rest. */
static enum status refuse_other_quantisation(const json_t *json, struct err *err)
{
    static const char *const keys[] = { "quantization", "quantization_config" };

    for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
        const json_t *q = json_object_get(json, keys[i]);
        const char *method = json_string_value(json_object_get(q, "quant_method"));
        const char *mode = json_string_value(json_object_get(q, "mode"));

        if (method)
            return err_set(err, ST_UNSUPPORTED,
                           "the weights are quantised by '%.32s'; MLX's affine groups are read",
                           method);
        if (mode && strcmp(mode, "affine") != 0)
            return err_set(err, ST_UNSUPPORTED,
                           "the weights are quantised in mode '%.32s'; 'affine' is read", mode);
    }
    return ST_OK;
}

static enum status read_sizes(const json_t *json, struct convert_config *c, struct err *err)
{
    const struct {
        const char *key;
        uint32_t max;
        uint32_t *into;
    } numbers[] = {
        { "num_hidden_layers", LAYERS_MAX, &c->n_layer },
        { "hidden_size", HIDDEN_MAX, &c->n_hidden },
        { "intermediate_size", FF_MAX, &c->n_ff },
        { "num_attention_heads", HEADS_MAX, &c->n_head },
        { "vocab_size", VOCAB_MAX, &c->n_vocab },
        { "max_position_embeddings", CONTEXT_MAX, &c->context_tokens },
    };
    enum status s = ST_OK;

    for (size_t i = 0; i < ARRAY_LEN(numbers) && s == ST_OK; i++)
        s = convert_need_u32(json, numbers[i].key, 1, numbers[i].max, numbers[i].into, err);
    if (s != ST_OK)
        return s;
    c->n_kv_head = c->n_head;
    c->head_dim = c->n_hidden / c->n_head;
    s = convert_take_u32(json, "num_key_value_heads", 1, HEADS_MAX, &c->n_kv_head, err);
    if (s == ST_OK)
        s = convert_take_u32(json, "head_dim", 2, HEAD_DIM_MAX, &c->head_dim, err);
    if (s == ST_OK && (c->n_head % c->n_kv_head != 0 || c->head_dim < 2 || c->head_dim % 2 != 0))
        s = err_set(err, ST_FORMAT, "%u heads of %u elements on %u key/value heads are impossible",
                    (unsigned)c->n_head, (unsigned)c->head_dim, (unsigned)c->n_kv_head);
    return s;
}

static enum status read_llama3(const json_t *scaling, struct convert_config *c, struct err *err)
{
    enum status s = convert_need_u32(scaling, "original_max_position_embeddings", 1, CONTEXT_MAX,
                                     &c->rope_context, err);

    c->rope_low = 1;
    c->rope_high = 4;
    if (s == ST_OK)
        s = convert_take_real(scaling, "low_freq_factor", &c->rope_low, err);
    if (s == ST_OK)
        s = convert_take_real(scaling, "high_freq_factor", &c->rope_high, err);
    if (s == ST_OK && !(c->rope_low > 0 && c->rope_high > c->rope_low))
        s = err_set(err, ST_RANGE,
                    "the rope's 'high_freq_factor' has to be above its "
                    "'low_freq_factor'");
    return s;
}

static enum status read_rope(const json_t *json, struct convert_config *c, struct err *err)
{
    /* Since version 5 transformers write the first, before they wrote the second. */
    const json_t *newer = json_object_get(json, "rope_parameters");
    const json_t *scaling = json_is_object(newer) ? newer : json_object_get(json, "rope_scaling");
    const char *type = json_string_value(json_object_get(scaling, "rope_type"));
    enum status s;

    c->rope_base = 10000; /* Su et al. 2021, arXiv:2104.09864, section 3.2.2 */
    c->rope_factor = 1;
    s = convert_take_real(json, "rope_theta", &c->rope_base, err);
    if (s == ST_OK)
        s = convert_take_real(scaling, "rope_theta", &c->rope_base, err);
    if (s == ST_OK)
        s = convert_take_real(scaling, "factor", &c->rope_factor, err);
    if (s != ST_OK)
        return s;
    if (!(c->rope_base >= 1) || !(c->rope_factor >= 1 && c->rope_factor <= 65536))
        return err_set(err, ST_RANGE, "a rope of base %g and factor %g is impossible", c->rope_base,
                       c->rope_factor);
    if (!type)
        type = json_string_value(json_object_get(scaling, "type"));
    if (!type || strcmp(type, "default") == 0)
        return ST_OK;
    if (strcmp(type, "linear") == 0) {
        c->rope = CONVERT_ROPE_LINEAR;
        return ST_OK;
    }
    if (strcmp(type, "llama3") != 0)
        return err_set(err, ST_UNSUPPORTED,
                       "rope scaling '%.32s'; this build does default, linear and llama3", type);
    c->rope = CONVERT_ROPE_LLAMA3;
    return read_llama3(scaling, c, err);
}

enum status convert_read_config(const json_t *json, struct convert_config *ret_config,
                                struct err *err)
{
    struct convert_config c = { .norm_eps = 1e-6 };
    enum status s = refuse_other_graphs(json, err);

    if (s == ST_OK)
        s = refuse_other_quantisation(json, err);
    if (s == ST_OK)
        s = read_sizes(json, &c, err);
    if (s == ST_OK)
        s = read_rope(json, &c, err);
    if (s == ST_OK)
        s = convert_take_real(json, "rms_norm_eps", &c.norm_eps, err);
    if (s != ST_OK)
        return s;
    c.is_tied = json_is_true(json_object_get(json, "tie_word_embeddings"));
    c.is_untied = json_is_false(json_object_get(json, "tie_word_embeddings"));
    *ret_config = c;
    return ST_OK;
}

void convert_put_config(const struct convert_config *c, struct gguf_head *head)
{
    const struct {
        const char *key;
        uint32_t value;
    } numbers[] = {
        { "llama.block_count", c->n_layer },
        { "llama.context_length", c->context_tokens },
        { "llama.embedding_length", c->n_hidden },
        { "llama.feed_forward_length", c->n_ff },
        { "llama.attention.head_count", c->n_head },
        { "llama.attention.head_count_kv", c->n_kv_head },
        { "llama.attention.key_length", c->head_dim },
        { "llama.attention.value_length", c->head_dim },
        { "llama.rope.dimension_count", c->head_dim },
        { "llama.vocab_size", c->n_vocab },
    };

    gguf_head_put_text(head, "general.architecture", "llama", strlen("llama"));
    for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
        gguf_head_put_u32(head, numbers[i].key, numbers[i].value);
    gguf_head_put_f32(head, "llama.rope.freq_base", (float)c->rope_base);
    gguf_head_put_f32(head, "llama.attention.layer_norm_rms_epsilon", (float)c->norm_eps);
    if (c->rope != CONVERT_ROPE_LINEAR)
        return;
    gguf_head_put_text(head, "llama.rope.scaling.type", "linear", strlen("linear"));
    gguf_head_put_f32(head, "llama.rope.scaling.factor", (float)c->rope_factor);
}

/* Long waves are stretched by the factor, short ones stay, between them it is blended. */
float convert_rope_factor(const struct convert_config *c, uint32_t i)
{
    const double turns = 2 * acos(-1), inverse = pow(c->rope_base, -2.0 * i / c->head_dim);
    const double waves = c->rope_context * inverse / turns; /* that fit the context */
    double blend;

    if (waves < c->rope_low)
        return (float)c->rope_factor;
    if (waves > c->rope_high)
        return 1;
    blend = (waves - c->rope_low) / (c->rope_high - c->rope_low);
    return (float)(1 / ((1 - blend) / c->rope_factor + blend));
}
