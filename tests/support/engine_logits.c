/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/engine_logits.c - a model's logits as a filter.
 *
 *   engine_logits MODEL [ENGINE] < records > records
 *
 * For a record of tokens (int32) it writes their logits, f32 [n][n_vocab].  Of the tokens the first
 * half is one step and the rest another, so that keys and values of the first are read from pages.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "engine/engine.h"
#include "model/model.h"
#include "support/records.h"

enum { PAGE_TOKENS = 16, N_PAGES = 16, MAX_ROWS = PAGE_TOKENS * N_PAGES };

struct filter {
    struct model *model;
    struct shard_weights weights;
    const struct engine_type *engine;
    struct engine_shard *shard;
    float *logits;
};

static enum status step(struct filter *f, const int32_t *tokens, uint32_t start, uint32_t n,
                        struct err *err)
{
    static const uint32_t pages[N_PAGES] = { 5, 1, 0, 2, 7, 3, 4, 6, 15, 9, 8, 13, 11, 10, 12, 14 };
    const struct engine_span span = {
        .n_rows = n, .start = start, .pages = pages, .n_pages = N_PAGES
    };
    uint32_t rows[MAX_ROWS];
    const struct engine_batch batch = { .n_rows = n,
                                        .tokens = tokens + start,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = rows,
                                        .n_logit_rows = n };

    for (uint32_t i = 0; i < n; i++)
        rows[i] = i;
    return n == 0 ? ST_OK
                  : f->engine->step(f->shard, &batch, NULL,
                                    f->logits + (size_t)start * f->weights.shape.n_vocab, err);
}

static enum status filter(struct filter *f, struct buf *record, struct err *err)
{
    while (record_read(record)) {
        const uint32_t n = (uint32_t)(record->len / sizeof(int32_t));
        int32_t tokens[MAX_ROWS];
        enum status s;

        if (n == 0 || n > MAX_ROWS)
            return err_set(err, ST_RANGE, "%u tokens; 1 to %d are possible", n, MAX_ROWS);
        memcpy(tokens, record->data, n * sizeof(*tokens));
        s = step(f, tokens, 0, n / 2, err);
        if (s == ST_OK)
            s = step(f, tokens, n / 2, n - n / 2, err);
        if (s != ST_OK)
            return s;
        record_write(f->logits, (size_t)n * f->weights.shape.n_vocab * sizeof(*f->logits));
    }
    return fflush(stdout) == 0 ? ST_OK : err_errno(err, "write");
}

static enum status open_all(struct filter *f, const char *path, const char *engine, struct err *err)
{
    const struct engine_options options = { .page_tokens = PAGE_TOKENS,
                                            .n_pages = N_PAGES,
                                            .max_rows = MAX_ROWS,
                                            .max_logit_rows = MAX_ROWS };
    enum status s = model_open(path, &f->model, err);

    if (s == ST_OK)
        s = model_shard(f->model, 0, model_shape(f->model)->n_layer, &f->weights, err);
    if (s != ST_OK)
        return s;
    f->engine = engine_find(engine);
    if (!f->engine)
        return err_set(err, ST_NOTFOUND, "no engine '%s'", engine);
    f->logits = malloc(MAX_ROWS * (size_t)f->weights.shape.n_vocab * sizeof(*f->logits));
    if (!f->logits)
        return err_set(err, ST_NOMEM, "no memory for logits");
    return f->engine->open(&f->weights, &options, &f->shard, err);
}

int main(int argc, char **argv)
{
    struct filter f = { 0 };
    struct buf record = { 0 };
    struct err err = { 0 };
    enum status s = argc < 2 ? err_set(&err, ST_RANGE, "usage: engine_logits MODEL [ENGINE]")
                             : open_all(&f, argv[1], argc > 2 ? argv[2] : NULL, &err);

    if (s == ST_OK)
        s = filter(&f, &record, &err);
    if (s != ST_OK)
        fprintf(stderr, "%s\n", err.words);
    if (f.shard)
        f.engine->close(f.shard);
    shard_weights_release(&f.weights);
    model_free(f.model);
    free(f.logits);
    buf_release(&record);
    return s == ST_OK ? 0 : 1;
}
