/* SPDX-License-Identifier: Apache-2.0 */
/* model/convert/convert_priv.h - what the steps of a conversion share. */
#ifndef POMONA_MODEL_CONVERT_CONVERT_PRIV_H
#define POMONA_MODEL_CONVERT_CONVERT_PRIV_H

#include <jansson.h>
#include <stdbool.h>

#include "base/paths.h"
#include "engine/dtype.h"
#include "model/convert/convert.h"
#include "model/gguf/gguf_head.h"
#include "model/safetensors/safetensors.h"

/* Read a JSON object of the folder; *ret_json given: json_decref().
 * Errors  ST_NOTFOUND  there is no such file */
enum status convert_json(const char *dir, const char *name, json_t **ret_json, struct err *err);

/* A whole number of `object` within min..max.
 * Errors  ST_FORMAT  missing or no whole number; ST_RANGE */
enum status convert_need_u32(const json_t *object, const char *key, uint32_t min, uint32_t max,
                             uint32_t *ret, struct err *err);
/* As it is where the key is missing or null. */
enum status convert_take_u32(const json_t *object, const char *key, uint32_t min, uint32_t max,
                             uint32_t *into, struct err *err);
enum status convert_take_real(const json_t *object, const char *key, double *into, struct err *err);

enum convert_rope { CONVERT_ROPE_PLAIN, CONVERT_ROPE_LINEAR, CONVERT_ROPE_LLAMA3 };

struct convert_config { /* of config.json */
    uint32_t n_layer, n_hidden, n_ff, n_head, n_kv_head, head_dim, n_vocab, context_tokens;
    double norm_eps, rope_base;
    enum convert_rope rope;
    double rope_factor, rope_low, rope_high; /* of linear: the first; of llama3: all */
    uint32_t rope_context;
    bool is_tied, is_untied; /* as the file says; it may say neither */
};

enum status convert_read_config(const json_t *json, struct convert_config *ret_config,
                                struct err *err);
void convert_put_config(const struct convert_config *config, struct gguf_head *head);

/* The divisor of the i-th frequency, of llama3. */
float convert_rope_factor(const struct convert_config *config, uint32_t i);

/* Put the tokenizer and the chat template into the head.
 * config_json  config.json, for the tokens that end an answer */
enum status convert_put_text(const char *dir, const struct convert_config *config,
                             const json_t *config_json, struct gguf_head *head, struct err *err);

/* The name of the tree's pre-tokenizer that cuts as tokenizer.json's "pre_tokenizer" does.
 * Errors  ST_UNSUPPORTED  none does; the words name the kinds */
enum status convert_pre_tokenizer(const json_t *tokenizer, const char **ret_name, struct err *err);

enum { CONVERT_NAME_MAX = 64 };

/* A tensor of the new file, and where its numbers come from. */
struct convert_tensor {
    char name[CONVERT_NAME_MAX];
    const struct safetensors_tensor *weight, *scales, *biases; /* weight NULL: rope factors; the
                                                               * others of quantised ones only */
    enum dtype dtype;                                          /* in the new file */
    uint32_t n_rows, n_cols;                                   /* a vector has one row */
    uint32_t bits, group;                                      /* of quantised ones */
    uint32_t n_turned; /* heads whose rows change places for rope; 0: none do */
    bool is_vector;
};

struct convert_tensors {
    struct convert_tensor *all; /* given: free() */
    size_t n;
};

/* What the graph needs, found in `set` and held against the config.
 * Errors  ST_FORMAT  missing or of another shape; ST_UNSUPPORTED  a format, or a tensor of `set`
 *         that is no part of the graph */
enum status convert_plan(const struct convert_config *config, const struct safetensors *set,
                         struct convert_tensors *ret_tensors, struct err *err);

/* One row as the new file has it, appended.  Errors: ST_RANGE  F16 cannot hold it; ST_NOMEM */
enum status convert_row(const struct convert_config *config, const struct convert_tensor *t,
                        uint32_t row, struct buf *ret_bytes, struct err *err);

#endif
