/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/tiny_folder.c - write a folder that model/convert takes; its weights are zero. */
#include "support/tiny_folder.h"

#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum { N_HIDDEN = 32, N_FF = 64, N_VOCAB = 4 };

static const char config[] =
    "{\"model_type\":\"llama\",\"hidden_size\":32,\"intermediate_size\":64,"
    "\"num_hidden_layers\":1,\"num_attention_heads\":2,\"vocab_size\":4,"
    "\"max_position_embeddings\":64,\"tie_word_embeddings\":true}";

static const char tokenizer[] =
    "{\"model\":{\"type\":\"BPE\",\"vocab\":{\"a\":0,\"b\":1,\"ab\":2},\"merges\":[[\"a\",\"b\"]]},"
    "\"pre_tokenizer\":{\"type\":\"ByteLevel\"},"
    "\"added_tokens\":[{\"id\":3,\"content\":\"<e>\",\"special\":true}]}";

void tiny_safetensors(const char *header, size_t n_bytes, struct buf *ret_file)
{
    const uint64_t n = strlen(header);

    buf_append(ret_file, &n, sizeof(n));
    buf_puts(ret_file, header);
    while (n_bytes-- > 0)
        buf_putc(ret_file, '\0');
}

struct header {
    struct buf text;
    size_t at;
};

static void put(struct header *h, const char *name, const char *dtype, const char *shape, size_t n)
{
    buf_printf(&h->text, "%c\"%s\":{\"dtype\":\"%s\",\"shape\":%s,\"data_offsets\":[%zu,%zu]}",
               h->text.len ? ',' : '{', name, dtype, shape, h->at, h->at + n);
    h->at += n;
}

static void put_floats(struct header *h, const char *name, unsigned n_rows, unsigned n_cols)
{
    char shape[32];

    if (n_rows > 0)
        snprintf(shape, sizeof(shape), "[%u,%u]", n_rows, n_cols);
    else
        snprintf(shape, sizeof(shape), "[%u]", n_cols);
    put(h, name, "BF16", shape, (size_t)2 * (n_rows ? n_rows : 1) * n_cols);
}

/* 4 bits in one group of 32. */
static void put_quantised(struct header *h, const char *module, unsigned n_rows)
{
    static const char *const parts[] = { "scales", "biases" };
    char name[64], shape[32];

    snprintf(name, sizeof(name), "%s.weight", module);
    snprintf(shape, sizeof(shape), "[%u,4]", n_rows);
    put(h, name, "U32", shape, (size_t)n_rows * 16);
    for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
        snprintf(name, sizeof(name), "%s.%s", module, parts[i]);
        snprintf(shape, sizeof(shape), "[%u,1]", n_rows);
        put(h, name, "F16", shape, (size_t)n_rows * 2);
    }
}

static void put_model(struct header *h)
{
    static const char *const square[] = { "q_proj", "k_proj", "v_proj", "o_proj" };
    char name[64];

    put_floats(h, "model.embed_tokens.weight", N_VOCAB, N_HIDDEN);
    put_floats(h, "model.norm.weight", 0, N_HIDDEN);
    put_floats(h, "model.layers.0.input_layernorm.weight", 0, N_HIDDEN);
    put_floats(h, "model.layers.0.post_attention_layernorm.weight", 0, N_HIDDEN);
    for (size_t i = 0; i < ARRAY_LEN(square); i++) {
        snprintf(name, sizeof(name), "model.layers.0.self_attn.%s", square[i]);
        put_quantised(h, name, N_HIDDEN);
    }
    put_quantised(h, "model.layers.0.mlp.gate_proj", N_FF);
    put_quantised(h, "model.layers.0.mlp.up_proj", N_FF);
    put_floats(h, "model.layers.0.mlp.down_proj.weight", N_HIDDEN, N_FF);
    buf_putc(&h->text, '}');
}

static void put_file(const struct folder *folder, const char *name, const char *text)
{
    char path[PATH_MAX_BYTES];
    struct buf content = { 0 };

    buf_puts(&content, text);
    folder_put(folder, name, &content, path);
    buf_release(&content);
}

void tiny_folder_put(const struct folder *folder)
{
    char path[PATH_MAX_BYTES];
    struct header header = { 0 };
    struct buf file = { 0 };

    put_model(&header);
    tiny_safetensors(buf_text(&header.text), header.at, &file);
    folder_put(folder, "model.safetensors", &file, path);
    put_file(folder, "config.json", config);
    put_file(folder, "tokenizer.json", tokenizer);
    buf_release(&header.text);
    buf_release(&file);
}
