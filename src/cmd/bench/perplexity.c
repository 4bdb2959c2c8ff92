/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/perplexity.c - how well a model predicts a text: what faster numbers may not change.
 *
 * The text is cut into windows that do not overlap, each an empty context of
 * its own.  Every token of a window but its first is scored; perplexity is
 * exp of the mean of -log p.  Two kernel tables are compared on the same text
 * and windows only: other programs score other positions.
 *
 * Source  Jelinek et al. 1977, "Perplexity - a measure of the difficulty of speech
 *         recognition tasks", J. Acoust. Soc. Am. 62
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/size.h"
#include "cmd/bench/bench.h"
#include "cmd/bench/stats.h"
#include "cmd/session.h"
#include "engine/engine.h"
#include "model/keep.h"

enum {
    TEXT_MAX_BYTES = 64 << 20,
    PAGE_TOKENS = 32,
    ROWS = 64, /* of a step: as many rows of logits are held at once */
};

struct scoring {
    const struct perplexity_options *options;
    struct model *model;
    struct tokens text;
    struct shard_weights weights;
    const struct engine_type *engine;
    struct engine_shard *shard;
    uint32_t n_vocab;
    uint32_t *pages; /* [window / PAGE_TOKENS, rounded up] */
    uint32_t n_pages;
    float *logits;        /* [ROWS][n_vocab] */
    struct samples costs; /* -log p of each scored token */
};

/* -log softmax(logits)[token]: log of the sum of exp, the largest taken out first. */
static double cost_of(const float *logits, uint32_t n, int32_t token)
{
    float max = logits[0];
    double sum = 0;

    for (uint32_t i = 1; i < n; i++)
        max = logits[i] > max ? logits[i] : max;
    for (uint32_t i = 0; i < n; i++)
        sum += (double)expf(logits[i] - max);
    return log(sum) - (double)(logits[token] - max);
}

/* Rows start..start+n of a window; the row of its last token predicts nothing that is known. */
static enum status score_rows(struct scoring *sc, const int32_t *window, uint32_t n_window,
                              uint32_t start, uint32_t n, struct err *err)
{
    const uint32_t n_scored = start + n < n_window ? n : n - 1;
    const struct engine_span span = {
        .n_rows = n, .start = start, .pages = sc->pages, .n_pages = sc->n_pages
    };
    uint32_t rows[ROWS];
    const struct engine_batch batch = { .n_rows = n,
                                        .tokens = window + start,
                                        .spans = &span,
                                        .n_spans = 1,
                                        .logit_rows = rows,
                                        .n_logit_rows = n_scored };
    enum status s;

    for (uint32_t i = 0; i < n_scored; i++)
        rows[i] = i;
    s = sc->engine->step(sc->shard, &batch, NULL, sc->logits, err);
    for (uint32_t i = 0; s == ST_OK && i < n_scored; i++)
        samples_add(&sc->costs, cost_of(sc->logits + (size_t)i * sc->n_vocab, sc->n_vocab,
                                        window[start + i + 1]));
    return s;
}

static enum status score_text(struct scoring *sc, struct err *err)
{
    enum status s = ST_OK;

    for (size_t at = 0; s == ST_OK && at + 1 < sc->text.n; at += sc->options->window) {
        const uint32_t n = (uint32_t)size_min(sc->options->window, sc->text.n - at);

        for (uint32_t start = 0; s == ST_OK && start < n; start += ROWS)
            s = score_rows(sc, sc->text.ids + at, n, start, (uint32_t)size_min(ROWS, n - start),
                           err);
    }
    return s;
}

/* ---- setting up ---- */

static enum status text_read(struct scoring *sc, struct err *err)
{
    struct tokenizer *tokenizer = NULL;
    struct buf text = { 0 };
    enum status s;

    s = file_read(sc->options->path, TEXT_MAX_BYTES, &text, err);
    if (s == ST_OK)
        s = model_tokenizer(sc->model, &tokenizer, err);
    if (s == ST_OK)
        s = tokenizer_encode(tokenizer, buf_text(&text), text.len, NULL, &sc->text, err);
    if (s == ST_OK && sc->options->max_tokens > 0)
        sc->text.n = size_min(sc->text.n, sc->options->max_tokens);
    if (s == ST_OK && sc->text.n < 2)
        s = err_set(err, ST_RANGE, "'%s' is too short: at least two tokens are needed",
                    sc->options->path);
    tokenizer_free(tokenizer);
    buf_release(&text);
    return s;
}

static enum status engine_open(struct scoring *sc, struct err *err)
{
    const struct bench_options *bench = sc->options->bench;
    struct model_keep keep;

    model_keep_init(&keep, sc->model);

    const struct engine_options options = {
        .page_tokens = PAGE_TOKENS,
        .n_pages = sc->n_pages,
        .max_rows = ROWS,
        .max_logit_rows = ROWS,
        .kv_format = sc->options->bench->kv_format,
        .activations = sc->options->bench->activations,
        .n_threads = bench->threads.values[0],
        .kernels = bench->kernels,
        .keep = keep.engine,
    };
    enum status s;

    sc->engine = engine_find(bench->engine);
    if (!sc->engine)
        return err_set(err, ST_UNSUPPORTED, "there is no engine '%s'; there are: cpu, mlx",
                       bench->engine ? bench->engine : "");
    s = model_shard(sc->model, 0, model_info(sc->model)->n_layer, &sc->weights, err);
    return s == ST_OK ? sc->engine->open(&sc->weights, &options, &sc->shard, err) : s;
}

static enum status scoring_open(struct scoring *sc, struct err *err)
{
    struct store_entry entry;
    enum status s;

    s = session_find(sc->options->bench->app, sc->options->bench->model, &entry, err);
    if (s == ST_OK)
        s = model_open(entry.path, &sc->model, err);
    if (s == ST_OK)
        s = text_read(sc, err);
    if (s != ST_OK)
        return s;
    if (sc->options->window > model_info(sc->model)->context_tokens)
        return err_set(err, ST_RANGE,
                       "a window of %u tokens is more than the model's context of %u",
                       sc->options->window, model_info(sc->model)->context_tokens);
    sc->n_vocab = model_shape(sc->model)->n_vocab;
    sc->n_pages = (sc->options->window + PAGE_TOKENS - 1) / PAGE_TOKENS;
    sc->pages = calloc(sc->n_pages, sizeof(*sc->pages));
    sc->logits = calloc((size_t)ROWS * sc->n_vocab, sizeof(*sc->logits));
    if (!sc->pages || !sc->logits)
        return err_set(err, ST_NOMEM, "no memory for logits of %d rows", ROWS);
    for (uint32_t i = 0; i < sc->n_pages; i++)
        sc->pages[i] = i;
    return engine_open(sc, err);
}

static void scoring_close(struct scoring *sc)
{
    if (sc->shard)
        sc->engine->close(sc->shard);
    shard_weights_release(&sc->weights);
    tokens_release(&sc->text);
    model_free(sc->model);
    free(sc->pages);
    free(sc->logits);
    samples_release(&sc->costs);
}

/* ---- the result ---- */

/* A mean cost's error carries over to its exponential in proportion. */
static void print(struct scoring *sc, double seconds)
{
    const double perplexity = exp(samples_mean(&sc->costs));
    const double error =
        perplexity * samples_stddev(&sc->costs) / sqrt((double)size_max(sc->costs.n, 1));
    const char *kernels = sc->engine->kernels(sc->shard);
    const char *kv = kv_format_name(sc->options->bench->kv_format);
    const uint32_t bits = activation_format_bits(sc->options->bench->activations);

    if (sc->options->bench->is_json)
        printf(
            "{\"test\":\"perplexity\",\"kernels\":\"%s\",\"kv\":\"%s\",\"activations\":%u,"
            "\"tokens\":%zu,\"scored\":%zu,\"window\":%u,\"perplexity\":%.6f,\"error\":%.6f,\"seconds\":%.3f}\n",
            kernels, kv, bits, sc->text.n, sc->costs.n, sc->options->window, perplexity, error,
            seconds);
    else
        printf(
            "%s, kernels %s, activations of %u bits, %s keys and values: perplexity %.4f +- %.4f over %zu tokens in windows of %u, %.1f s\n",
            model_info(sc->model)->name, kernels, bits, kv, perplexity, error, sc->text.n,
            sc->options->window, seconds);
}

enum status bench_perplexity(const struct perplexity_options *options, struct err *err)
{
    struct scoring sc = { .options = options };
    uint64_t start_ns;
    enum status s;

    s = scoring_open(&sc, err);
    start_ns = clock_ns();
    if (s == ST_OK)
        s = score_text(&sc, err);
    if (s == ST_OK)
        print(&sc, (double)(clock_ns() - start_ns) / (double)NS_PER_S);
    scoring_close(&sc);
    return s;
}
