/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/fake_engine.c - an engine double whose arithmetic shows every mistake of its caller. */
#include "support/fake_engine.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

struct fake {
    struct engine_shard base;
    struct fake_options o;
    uint64_t *pages; /* [n_pages][n_layers][page_tokens] */
    uint32_t n_steps, most_rows;
    uint64_t n_rows;
};

/* The finaliser of SplitMix64 (Steele, Lea, Flood 2014). */
static uint64_t mix(uint64_t x)
{
    x += 0x9E3779B97F4A7C15u;
    x = (x ^ x >> 30) * 0xBF58476D1CE4E5B9u;
    x = (x ^ x >> 27) * 0x94D049BB133111EBu;
    return x ^ x >> 31;
}

static uint64_t hash_of_row(const float *row)
{
    uint64_t h = 0;

    for (unsigned i = 0; i < FAKE_HIDDEN; i++)
        h |= (uint64_t)row[i] << 16 * i;
    return h;
}

static void row_of_hash(uint64_t h, float *row)
{
    for (unsigned i = 0; i < FAKE_HIDDEN; i++)
        row[i] = (float)(h >> 16 * i & 0xffff);
}

static uint64_t *slot(struct fake *f, const struct engine_span *span, uint32_t layer, uint32_t pos)
{
    const size_t page = span->pages[pos / f->o.page_tokens];

    return &f->pages[(page * f->o.n_layers + layer) * f->o.page_tokens + pos % f->o.page_tokens];
}

static uint64_t run_layers(struct fake *f, const struct engine_span *span, uint32_t pos, uint64_t h)
{
    for (uint32_t layer = 0; layer < f->o.n_layers; layer++) {
        h = mix(h ^ (uint64_t)(f->o.first_layer + layer) << 32 ^ pos);
        *slot(f, span, layer, pos) = h;
        for (uint32_t p = 0; p < pos; p++)
            h = h * 31 + *slot(f, span, layer, p);
    }
    return h;
}

static enum status check_batch(const struct fake *f, const struct engine_batch *b, struct err *err)
{
    uint32_t row = 0;

    if (b->n_rows == 0 || b->n_rows > f->o.max_rows || b->n_logit_rows > f->o.max_logit_rows)
        return err_set(err, ST_RANGE, "a batch of %u rows", b->n_rows);
    if ((b->tokens != NULL) != f->o.is_first || (b->hidden != NULL) == f->o.is_first)
        return err_set(err, ST_RANGE, "tokens belong to the first shard, hidden rows to others");
    for (uint32_t i = 0; i < b->n_spans; i++) {
        const struct engine_span *s = &b->spans[i];

        if (s->first_row != row || s->n_rows == 0 ||
            s->n_pages * f->o.page_tokens < s->start + s->n_rows)
            return err_set(err, ST_RANGE, "span %u", i);
        for (uint32_t k = 0; k < s->n_pages; k++)
            if (s->pages[k] >= f->o.n_pages)
                return err_set(err, ST_RANGE, "page %u", s->pages[k]);
        row += s->n_rows;
    }
    return row == b->n_rows ? ST_OK : err_set(err, ST_RANGE, "spans do not cover the rows");
}

static void write_logits(const struct fake *f, uint32_t pos, int32_t token, uint64_t h, float *out)
{
    for (uint32_t v = 0; v < f->o.n_vocab; v++)
        out[v] = (float)(mix(h ^ (uint64_t)v * 0x9E3779B97F4A7C15u) >> 40) * 0x1p-21f;
    if (f->o.script)
        f->o.script(f->o.script_arg, pos, token, out);
}

static enum status fake_step(struct engine_shard *shard, const struct engine_batch *b,
                             float *hidden_out, float *logits_out, struct err *err)
{
    struct fake *f = (struct fake *)shard;
    const uint64_t until = clock_ns() + f->o.step_ns;
    uint32_t n_logits = 0;
    enum status s = check_batch(f, b, err);

    if (s != ST_OK)
        return s;
    f->n_steps++;
    if (f->n_steps == f->o.fail_at_step)
        return err_set(err, ST_IO, "the fake engine fails at this step");
    f->n_rows += b->n_rows;
    if (f->o.clock_ns)
        *f->o.clock_ns += f->o.base_ns + b->n_rows * f->o.row_ns;
    if (b->n_rows > f->most_rows)
        f->most_rows = b->n_rows;
    for (uint32_t i = 0; i < b->n_spans; i++) {
        const struct engine_span *span = &b->spans[i];

        for (uint32_t k = 0; k < span->n_rows; k++) {
            const uint32_t row = span->first_row + k, pos = span->start + k;
            const int32_t token = b->tokens ? b->tokens[row] : -1;
            uint64_t h = b->tokens ? mix((uint64_t)(uint32_t)token)
                                   : hash_of_row(b->hidden + (size_t)row * FAKE_HIDDEN);

            h = run_layers(f, span, pos, h);
            if (hidden_out)
                row_of_hash(h, hidden_out + (size_t)row * FAKE_HIDDEN);
            if (n_logits < b->n_logit_rows && b->logit_rows[n_logits] == row)
                write_logits(f, pos, token, h, logits_out + (size_t)n_logits++ * f->o.n_vocab);
        }
    }
    while (clock_ns() < until)
        ;
    return n_logits == b->n_logit_rows ? ST_OK : err_set(err, ST_RANGE, "logit rows out of order");
}

static void fake_close(struct engine_shard *shard)
{
    struct fake *f = (struct fake *)shard;

    free(f->pages);
    free(f);
}

static size_t fake_page_bytes(const struct engine_shard *shard)
{
    const struct fake *f = (const struct fake *)shard;

    return (size_t)f->o.n_layers * f->o.page_tokens * sizeof(*f->pages);
}

static char *page_at(const struct engine_shard *shard, uint32_t page)
{
    return (char *)((const struct fake *)shard)->pages + page * fake_page_bytes(shard);
}

static void fake_page_copy(struct engine_shard *shard, uint32_t to, uint32_t from)
{
    memmove(page_at(shard, to), page_at(shard, from), fake_page_bytes(shard));
}

static void fake_page_export(const struct engine_shard *shard, uint32_t page, void *ret_bytes)
{
    memcpy(ret_bytes, page_at(shard, page), fake_page_bytes(shard));
}

static void fake_page_import(struct engine_shard *shard, uint32_t page, const void *bytes)
{
    memcpy(page_at(shard, page), bytes, fake_page_bytes(shard));
}

static const char *fake_kernels(const struct engine_shard *shard)
{
    (void)shard;
    return "fake";
}

static const struct engine_type fake_type = {
    .name = "fake",
    .close = fake_close,
    .step = fake_step,
    .page_bytes = fake_page_bytes,
    .page_copy = fake_page_copy,
    .page_export = fake_page_export,
    .page_import = fake_page_import,
    .kernels = fake_kernels,
};

struct engine_shard *fake_engine_new(const struct fake_options *options)
{
    struct fake *f = calloc(1, sizeof(*f));

    if (!f)
        return NULL;
    f->base.type = &fake_type;
    f->o = *options;
    f->pages = calloc((size_t)f->o.n_pages * f->o.n_layers * f->o.page_tokens, sizeof(*f->pages));
    if (!f->pages) {
        free(f);
        return NULL;
    }
    return &f->base;
}

uint32_t fake_engine_most_rows(const struct engine_shard *shard)
{
    return ((const struct fake *)shard)->most_rows;
}

uint32_t fake_engine_n_steps(const struct engine_shard *shard)
{
    return ((const struct fake *)shard)->n_steps;
}

uint64_t fake_engine_n_rows(const struct engine_shard *shard)
{
    return ((const struct fake *)shard)->n_rows;
}
