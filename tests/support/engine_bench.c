/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/engine_bench.c - speed of engine steps alone: no tokens are sampled, no text is made.
 *
 *     engine_bench MODEL [THREADS [KERNELS [PROMPT_TOKENS [DECODED_TOKENS [DEPTH [KV_FORMAT]]]]]]
 *
 * With a DEPTH, tokens are decoded at that position, after keys and values that no prompt made.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "engine/engine.h"
#include "model/model.h"

enum { PAGE_TOKENS = 64, N_PAGES = 128, CHUNK = 512 };

struct bench_run {
    struct engine_shard *shard;
    float *logits;
    uint32_t pages[N_PAGES];
    struct err err;
};

static double seconds_since(uint64_t start_ns)
{
    return (double)(clock_ns() - start_ns) / (double)NS_PER_S;
}

static enum status step(struct bench_run *run, uint32_t start, uint32_t n_rows)
{
    static int32_t tokens[CHUNK];
    const uint32_t last = n_rows - 1;
    const struct engine_span span = {
        .n_rows = n_rows, .start = start, .pages = run->pages, .n_pages = N_PAGES
    };
    const struct engine_batch batch = { .n_rows = n_rows,
                                        .tokens = tokens,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = &last,
                                        .n_logit_rows = 1 };

    for (uint32_t i = 0; i < n_rows; i++)
        tokens[i] = (int32_t)(start + i) * 37 % 30000;
    return run->shard->type->step(run->shard, &batch, NULL, run->logits, &run->err);
}

/* Keys and values of 0.065 in f16, or so, for the positions before `depth`. */
static bool fill_pages(const struct bench_run *run, uint32_t depth)
{
    const struct engine_type *type = run->shard->type;
    const size_t n = type->page_bytes(run->shard);
    unsigned char *bytes = malloc(n);

    if (!bytes)
        return false;
    memset(bytes, 0x2c, n);
    for (uint32_t i = 0; i <= depth / PAGE_TOKENS; i++)
        type->page_import(run->shard, run->pages[i], bytes);
    free(bytes);
    return true;
}

static enum status measure(struct bench_run *run, uint32_t depth, uint32_t n_prompt,
                           uint32_t n_decoded)
{
    enum status s = fill_pages(run, depth) ? step(run, depth, 1) : ST_NOMEM;
    uint64_t start_ns = clock_ns();

    for (uint32_t at = 0; s == ST_OK && at < n_prompt; at += CHUNK)
        s = step(run, depth + at, (uint32_t)size_min(CHUNK, n_prompt - at));
    printf("prompt %u tokens: %.1f tokens/s\n", n_prompt, n_prompt / seconds_since(start_ns));
    start_ns = clock_ns();
    for (uint32_t i = 0; s == ST_OK && i < n_decoded; i++)
        s = step(run, depth + n_prompt + i, 1);
    printf("decode %u tokens: %.1f tokens/s\n", n_decoded, n_decoded / seconds_since(start_ns));
    return s;
}

static uint32_t number(int argc, char **argv, int at, uint32_t otherwise)
{
    return argc > at ? (uint32_t)strtoul(argv[at], NULL, 10) : otherwise;
}

int main(int argc, char **argv)
{
    struct engine_options options = { .page_tokens = PAGE_TOKENS,
                                      .n_pages = N_PAGES,
                                      .max_rows = CHUNK,
                                      .max_logit_rows = 1,
                                      .n_threads = number(argc, argv, 2, 0),
                                      .kernels = argc > 3 ? argv[3] : NULL };
    const uint64_t start_ns = clock_ns();
    struct bench_run run = { 0 };
    struct shard_weights weights = { 0 };
    struct model *model = NULL;
    enum status s;

    if (argc < 2 || (argc > 7 && kv_format_find(argv[7], &options.kv_format, NULL) != ST_OK))
        return 2;
    for (uint32_t i = 0; i < N_PAGES; i++)
        run.pages[i] = i;
    s = model_open(argv[1], &model, &run.err);
    if (s == ST_OK)
        s = model_shard(model, 0, model_shape(model)->n_layer, &weights, &run.err);
    if (s == ST_OK)
        s = engine_find(NULL)->open(&weights, &options, &run.shard, &run.err);
    if (s == ST_OK)
        run.logits = calloc(weights.shape.n_vocab, sizeof(*run.logits));
    if (s == ST_OK && run.logits) {
        printf("%s kernels, open in %.3f s\n", run.shard->type->kernels(run.shard),
               seconds_since(start_ns));
        s = measure(&run, number(argc, argv, 6, 0), number(argc, argv, 4, 128),
                    number(argc, argv, 5, 64));
    }
    if (s != ST_OK)
        fprintf(stderr, "%s\n", run.err.words);
    if (run.shard)
        run.shard->type->close(run.shard);
    free(run.logits);
    shard_weights_release(&weights);
    model_free(model);
    return s == ST_OK ? 0 : 1;
}
