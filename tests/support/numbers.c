/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/numbers.c - guarded memory, and matrices of every format. */
#include "support/numbers.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine/cpu/f16.h"

enum { GUARD_BYTE = 0xa5, BLOCK = 32 };

void require(bool is_so, const char *fmt, ...)
{
    va_list args;

    if (is_so)
        return;
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
    abort();
}

static size_t page(void)
{
    return (size_t)sysconf(_SC_PAGESIZE);
}

static size_t mapped_bytes(size_t n_bytes)
{
    return (n_bytes + page() - 1) / page() * page() + page();
}

/* Kernels may ask for the alignment of a float, which n_bytes then is a multiple of. */
void *guarded_new(size_t n_bytes)
{
    const size_t total = mapped_bytes(n_bytes);
    unsigned char *base =
        mmap(NULL, total + page(), PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    require(base != MAP_FAILED, "no memory for %zu bytes", n_bytes);
    memset(base, GUARD_BYTE, total);
    require(mprotect(base + total, page(), PROT_NONE) == 0, "no guard page");
    return base + total - n_bytes;
}

void guarded_free(void *p, size_t n_bytes)
{
    const size_t total = mapped_bytes(n_bytes);
    unsigned char *base = (unsigned char *)p - (total - n_bytes);

    size_t i = 0;

    while (i < total - n_bytes && base[i] == GUARD_BYTE)
        i++;
    require(i == total - n_bytes, "written %zu bytes before memory", total - n_bytes - i);
    require(munmap(base, total + page()) == 0, "cannot unmap");
}

/* Marsaglia 2003, Xorshift RNGs, section 4. */
uint32_t random_u32(uint32_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 17;
    *state ^= *state << 5;
    return *state;
}

float random_float(uint32_t *state)
{
    return (float)(random_u32(state) >> 8) / (float)(1 << 23) - 1.0f;
}

static void put_f16(unsigned char *p, float x)
{
    const uint16_t h = f16_of_f32(x);

    memcpy(p, &h, sizeof(h));
}

/* One block, or one element of the formats that have none. */
static void put_block(enum dtype dtype, unsigned char *p, float size, uint32_t *state)
{
    const float x = size * random_float(state);
    const uint32_t block_bytes = dtype_info((uint32_t)dtype)->block_bytes;

    if (dtype == DTYPE_F32) {
        memcpy(p, &x, sizeof(x));
        return;
    }
    for (uint32_t i = 0; i < block_bytes; i++)
        p[i] = (unsigned char)(random_u32(state) >> 24);
    if (dtype == DTYPE_F16)
        put_f16(p, x);
    else if (dtype == DTYPE_Q8_0)
        put_f16(p, x / 127);
    else
        put_f16(p, x / 8);
    if (dtype == DTYPE_Q4_1)
        put_f16(p + 2, -x * 0.9f);
}

struct matrix random_matrix(enum dtype dtype, uint32_t n_rows, uint32_t n_cols, uint32_t *state)
{
    const struct dtype_info *info = dtype_info((uint32_t)dtype);
    const size_t n_blocks = (size_t)n_rows * n_cols / info->block_elems;
    unsigned char *data = guarded_new(n_blocks * info->block_bytes);

    for (size_t i = 0; i < n_blocks; i++)
        put_block(dtype, data + i * info->block_bytes, 2.0f / sqrtf((float)n_cols), state);
    return (struct matrix){ dtype, n_rows, n_cols, data, 0 };
}

void matrix_release(struct matrix *w)
{
    if (w->data)
        guarded_free((void *)(uintptr_t)w->data, w->n_rows * dtype_row_bytes(w->dtype, w->n_cols));
    w->data = NULL;
}

double matrix_at(const struct matrix *w, uint32_t row, uint32_t col)
{
    const struct dtype_info *info = dtype_info((uint32_t)w->dtype);
    const unsigned char *p = (const unsigned char *)w->data +
                             row * dtype_row_bytes(w->dtype, w->n_cols) +
                             (size_t)(col / info->block_elems) * info->block_bytes;
    const uint32_t i = col % BLOCK, byte = i % 16, shift = i / 16 * 4;
    const double d = (double)f16_to_f32(load_u16(p));
    float x;

    switch (w->dtype) {
    case DTYPE_F32: memcpy(&x, p, sizeof(x)); return (double)x;
    case DTYPE_F16: return d;
    case DTYPE_Q4_0: return d * ((p[2 + byte] >> shift & 15) - 8);
    case DTYPE_Q4_1: return d * (p[4 + byte] >> shift & 15) + (double)f16_to_f32(load_u16(p + 2));
    case DTYPE_Q8_0: return d * (int8_t)p[2 + i];
    }
    require(false, "format %d", (int)w->dtype);
    return 0;
}

static const float *random_norm(uint32_t n, uint32_t *state)
{
    float *norm = guarded_new(n * sizeof(*norm));

    for (uint32_t i = 0; i < n; i++)
        norm[i] = 1.0f + 0.2f * random_float(state);
    return norm;
}

static void norm_release(const float *norm, uint32_t n)
{
    guarded_free((void *)(uintptr_t)norm, n * sizeof(*norm));
}

static void layer_init(struct layer_weights *l, const struct random_model *m, uint32_t *state)
{
    const uint32_t q = m->n_head * m->head_dim, kv = m->n_kv_head * m->head_dim;

    l->attn_norm = random_norm(m->n_hidden, state);
    l->q = random_matrix(m->dtype, q, m->n_hidden, state);
    l->k = random_matrix(m->dtype, kv, m->n_hidden, state);
    l->v = random_matrix(m->dtype, kv, m->n_hidden, state);
    l->o = random_matrix(m->dtype, m->n_hidden, q, state);
    l->ffn_norm = random_norm(m->n_hidden, state);
    l->gate = random_matrix(m->dtype, m->n_ff, m->n_hidden, state);
    l->up = random_matrix(m->dtype, m->n_ff, m->n_hidden, state);
    l->down = random_matrix(m->dtype, m->n_hidden, m->n_ff, state);
}

void random_model_init(struct shard_weights *ret_weights, const struct random_model *spec)
{
    uint32_t state = 20240229;
    struct shard_weights w = {
        .shape = { .n_layer = spec->n_layer,
                   .n_hidden = spec->n_hidden,
                   .n_ff = spec->n_ff,
                   .n_head = spec->n_head,
                   .n_kv_head = spec->n_kv_head,
                   .head_dim = spec->head_dim,
                   .n_rope = spec->n_rope,
                   .n_vocab = spec->n_vocab,
                   .context_tokens = 1024,
                   .rope_style = spec->rope_style,
                   .rope_base = 10000,
                   .rope_scale = 1,
                   .norm_eps = 1e-5f },
        .n_layers = spec->n_layer,
    };

    w.layers = calloc(spec->n_layer, sizeof(*w.layers));
    require(w.layers != NULL, "no memory for layers");
    for (uint32_t i = 0; i < spec->n_layer; i++)
        layer_init(&w.layers[i], spec, &state);
    w.embedding = random_matrix(DTYPE_Q8_0, spec->n_vocab, spec->n_hidden, &state);
    w.output_norm = random_norm(spec->n_hidden, &state);
    w.output = w.embedding;
    *ret_weights = w;
}

void random_model_release(struct shard_weights *weights)
{
    const uint32_t n_hidden = weights->shape.n_hidden;

    for (uint32_t i = 0; i < weights->n_layers; i++) {
        struct layer_weights *l = &weights->layers[i];
        struct matrix *const all[] = { &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down };

        for (size_t m = 0; m < sizeof(all) / sizeof(all[0]); m++)
            matrix_release(all[m]);
        norm_release(l->attn_norm, n_hidden);
        norm_release(l->ffn_norm, n_hidden);
    }
    matrix_release(&weights->embedding);
    norm_release(weights->output_norm, n_hidden);
    free(weights->layers);
    *weights = (struct shard_weights){ 0 };
}

struct shard_weights shard_of(const struct shard_weights *model, uint32_t first, uint32_t n)
{
    struct shard_weights shard = *model;

    shard.first_layer = first;
    shard.n_layers = n;
    shard.layers = model->layers + first;
    if (first > 0)
        shard.embedding = (struct matrix){ 0 };
    if (first + n < model->n_layers) {
        shard.output = (struct matrix){ 0 };
        shard.output_norm = NULL;
    }
    return shard;
}
