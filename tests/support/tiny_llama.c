/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/tiny_llama.c - build the tiny model.
 *
 * Quantised blocks get one fixed scale and random codes, which is a valid
 * matrix of values around zero in every format.
 */
#include "support/tiny_llama.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/size.h"

const struct tiny_llama tiny_llama_default = {
    .n_layer = 4,
    .n_hidden = 64,
    .n_ff = 96,
    .n_head = 4,
    .n_kv_head = 2,
    .context_tokens = 512,
    .matrices = DTYPE_Q8_0,
    .embedding = DTYPE_Q8_0,
    .is_tied = true,
    .seed = 20240117,
};

enum { HALF_SMALL = 0x1c00, HALF_EIGHTH = 0x3000, HALF_SIGN = 0x8000 }; /* f16: 2^-8, 2^-3 */

/* Numerical Recipes, third edition, section 7.1: a 32-bit LCG; its high bits are the good ones. */
static uint32_t draw(uint32_t *seed)
{
    *seed = *seed * 1664525u + 1013904223u;
    return *seed >> 8;
}

static float draw_f32(uint32_t *seed) /* -0.125 .. 0.125 */
{
    return ((float)draw(seed) / 16777216.0f - 0.5f) * 0.25f;
}

static void put_half(struct buf *b, uint32_t bits)
{
    const uint16_t half = (uint16_t)bits;

    buf_append(b, &half, sizeof(half));
}

static void put_block(struct buf *b, enum dtype dtype, uint32_t *seed)
{
    const size_t bytes = dtype_info((uint32_t)dtype)->block_bytes;
    const size_t end = b->len + bytes;
    float x;

    if (dtype == DTYPE_F32) {
        x = draw_f32(seed);
        buf_append(b, &x, sizeof(x));
        return;
    }
    if (dtype == DTYPE_F16) {
        put_half(b, (HALF_SMALL + draw(seed) % (HALF_EIGHTH - HALF_SMALL)) |
                        (draw(seed) & 1 ? HALF_SIGN : 0));
        return;
    }
    put_half(b, dtype == DTYPE_Q8_0 ? 0x1000 : HALF_SMALL); /* 2^-11, 2^-8 */
    if (dtype == DTYPE_Q4_1)
        put_half(b, 0x2b80 | HALF_SIGN); /* -7.5 * 2^-7: centres the codes 0..15 */
    while (b->len < end)
        buf_putc(b, (char)(unsigned char)draw(seed));
}

void tiny_llama_put_matrix(struct gguf_writer *w, const char *name, enum dtype dtype,
                           uint32_t n_rows, uint32_t n_cols, uint32_t *seed)
{
    const uint64_t dims[] = { n_cols, n_rows };
    const size_t n_blocks = (size_t)n_rows * n_cols / dtype_info((uint32_t)dtype)->block_elems;
    struct buf bytes = { 0 };

    for (size_t i = 0; i < n_blocks; i++)
        put_block(&bytes, dtype, seed);
    gguf_put_tensor(w, name, (uint32_t)dtype, 2, dims, buf_text(&bytes), bytes.len);
    buf_release(&bytes);
}

static void put_norm(struct gguf_writer *w, const char *name, uint32_t n, uint32_t *seed)
{
    const uint64_t dims[] = { n };
    struct buf bytes = { 0 };

    for (uint32_t i = 0; i < n; i++) {
        const float x = 1.0f + draw_f32(seed);

        buf_append(&bytes, &x, sizeof(x));
    }
    gguf_put_tensor(w, name, DTYPE_F32, 1, dims, buf_text(&bytes), bytes.len);
    buf_release(&bytes);
}

void tiny_llama_put_numbers(const struct tiny_llama *spec, struct gguf_writer *w)
{
    gguf_put_text(w, "general.architecture", "llama");
    gguf_put_u32(w, "llama.block_count", spec->n_layer);
    gguf_put_u32(w, "llama.context_length", spec->context_tokens);
    gguf_put_u32(w, "llama.embedding_length", spec->n_hidden);
    gguf_put_u32(w, "llama.feed_forward_length", spec->n_ff);
    gguf_put_u32(w, "llama.attention.head_count", spec->n_head);
    gguf_put_u32(w, "llama.attention.head_count_kv", spec->n_kv_head);
    gguf_put_u32(w, "llama.vocab_size", tiny_llama_n_vocab());
    gguf_put_u32(w, "llama.rope.dimension_count", spec->n_hidden / spec->n_head);
    gguf_put_f32(w, "llama.rope.freq_base", 10000.0f);
    gguf_put_f32(w, "llama.attention.layer_norm_rms_epsilon", 1.0e-5f);
}

static const char *const specials[] = { "<|endoftext|>", "<|im_start|>", "<|im_end|>" };
static const char *const merged[] = { "he", "th", "the", "in", "an", "and", "er", "ing" };
static const char *const merges[] = { "t h", "h e", "th e", "i n", "a n", "an d", "e r", "in g" };

enum { N_SPECIALS = ARRAY_LEN(specials), N_BYTES = 256, N_MERGED = ARRAY_LEN(merged) };

uint32_t tiny_llama_n_vocab(void)
{
    return N_SPECIALS + N_BYTES + N_MERGED;
}

/* The character that stands for a byte: GPT-2 release, encoder.py, bytes_to_unicode().  Printable
 * Latin-1 stands for itself, the rest follow from U+0100. */
static void byte_piece(unsigned byte, char *ret_text)
{
    unsigned point = 0x100;

    for (unsigned b = 0; b <= byte; b++) {
        const int is_itself = (b >= '!' && b <= '~') || (b >= 0xa1 && b <= 0xac) || b >= 0xae;

        if (b == byte && is_itself)
            point = b;
        else if (b != byte && !is_itself)
            point++;
    }
    if (point < 0x80) {
        snprintf(ret_text, 3, "%c", (char)point);
        return;
    }
    snprintf(ret_text, 3, "%c%c", (char)(0xc0 | point >> 6), (char)(0x80 | (point & 0x3f)));
}

void tiny_llama_put_text(struct gguf_writer *w)
{
    char bytes[N_BYTES][3];
    const char *pieces[N_SPECIALS + N_BYTES + N_MERGED];
    int32_t kinds[N_SPECIALS + N_BYTES + N_MERGED];
    size_t n = 0;

    for (size_t i = 0; i < N_SPECIALS; i++, n++) {
        pieces[n] = specials[i];
        kinds[n] = 3; /* control */
    }
    for (unsigned i = 0; i < N_BYTES; i++, n++) {
        byte_piece(i, bytes[i]);
        pieces[n] = bytes[i];
        kinds[n] = 1; /* normal */
    }
    for (size_t i = 0; i < N_MERGED; i++, n++) {
        pieces[n] = merged[i];
        kinds[n] = 1;
    }
    gguf_put_text(w, "tokenizer.ggml.model", "gpt2");
    gguf_put_text(w, "tokenizer.ggml.pre", "smollm");
    gguf_put_texts(w, "tokenizer.ggml.tokens", pieces, n);
    gguf_put_i32s(w, "tokenizer.ggml.token_type", kinds, n);
    gguf_put_texts(w, "tokenizer.ggml.merges", merges, ARRAY_LEN(merges));
    gguf_put_u32(w, "tokenizer.ggml.bos_token_id", 1);
    gguf_put_u32(w, "tokenizer.ggml.eos_token_id", 2);
    gguf_put_bool(w, "tokenizer.ggml.add_bos_token", false);
    gguf_put_text(w, "tokenizer.chat_template",
                  "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\\n' + "
                  "message['content'] + '<|im_end|>\\n' }}{% endfor %}"
                  "{% if add_generation_prompt %}{{ '<|im_start|>assistant\\n' }}{% endif %}");
}

static void put_layer(const struct tiny_llama *spec, struct gguf_writer *w, uint32_t layer,
                      uint32_t *seed)
{
    const uint32_t n_kv = spec->n_hidden / spec->n_head * spec->n_kv_head;
    const struct {
        const char *part;
        uint32_t n_rows, n_cols;
    } matrices[] = {
        { "attn_q", spec->n_hidden, spec->n_hidden },
        { "attn_k", n_kv, spec->n_hidden },
        { "attn_v", n_kv, spec->n_hidden },
        { "attn_output", spec->n_hidden, spec->n_hidden },
        { "ffn_gate", spec->n_ff, spec->n_hidden },
        { "ffn_up", spec->n_ff, spec->n_hidden },
        { "ffn_down", spec->n_hidden, spec->n_ff },
    };
    char name[64];

    snprintf(name, sizeof(name), "blk.%u.attn_norm.weight", (unsigned)layer);
    put_norm(w, name, spec->n_hidden, seed);
    snprintf(name, sizeof(name), "blk.%u.ffn_norm.weight", (unsigned)layer);
    put_norm(w, name, spec->n_hidden, seed);
    for (size_t i = 0; i < ARRAY_LEN(matrices); i++) {
        snprintf(name, sizeof(name), "blk.%u.%s.weight", (unsigned)layer, matrices[i].part);
        tiny_llama_put_matrix(w, name, spec->matrices, matrices[i].n_rows, matrices[i].n_cols,
                              seed);
    }
}

void tiny_llama_put_tensors(const struct tiny_llama *spec, struct gguf_writer *w)
{
    uint32_t seed = spec->seed;

    tiny_llama_put_matrix(w, "token_embd.weight", spec->embedding, tiny_llama_n_vocab(),
                          spec->n_hidden, &seed);
    for (uint32_t i = 0; i < spec->n_layer; i++)
        put_layer(spec, w, i, &seed);
    put_norm(w, "output_norm.weight", spec->n_hidden, &seed);
    if (!spec->is_tied)
        tiny_llama_put_matrix(w, "output.weight", spec->embedding, tiny_llama_n_vocab(),
                              spec->n_hidden, &seed);
}

void tiny_llama_build(const struct tiny_llama *spec, struct buf *ret_file)
{
    struct gguf_writer w = { 0 };

    tiny_llama_put_numbers(spec, &w);
    tiny_llama_put_text(&w);
    tiny_llama_put_tensors(spec, &w);
    gguf_writer_finish(&w, ret_file);
    gguf_writer_release(&w);
}

void tiny_llama_write(const struct tiny_llama *spec, const char *path)
{
    struct buf file = { 0 };

    tiny_llama_build(spec, &file);
    if (file_replace(path, file.data, file.len, NULL) != ST_OK)
        abort();
    buf_release(&file);
}
