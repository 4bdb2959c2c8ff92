/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/round.c - open a model for each number of threads and walk through the tests. */
#include "cmd/bench/round.h"

#include <stdio.h>

#include "cmd/bench/work.h"
#include "cmd/session.h"
#include "cmd/units.h"

enum { CONTEXT_MIN = 64 }; /* of the local: a page and more, however short the tests are */

static const double giga = 1e9;

const char *round_kernels(const struct round *round)
{
    struct engine_shard *shard = local_shard(round->local);

    return shard->type->kernels(shard);
}

uint32_t round_activations(const struct round *round)
{
    return activation_format_bits(round->options->activations);
}

void round_look(struct round *round)
{
    struct probe_figures now;

    probe_measure(round->probe, &now);
    if (now.read_bytes_per_s > round->machine.read_bytes_per_s)
        round->machine.read_bytes_per_s = now.read_bytes_per_s;
    if (now.int8_ops_per_s > round->machine.int8_ops_per_s)
        round->machine.int8_ops_per_s = now.int8_ops_per_s;
    round->machine.int8_means = now.int8_means;
}

enum status round_run(struct round *round, const struct measure_test *test, uint32_t n_repetitions,
                      struct err *err)
{
    return measure_run(round->local, round->model, test, n_repetitions, &round->rates, err);
}

struct outcome round_judge(const struct round *round, const struct measure_test *test,
                           struct samples *rates)
{
    struct engine_shard *shard = local_shard(round->local);
    const double position_bytes =
        (double)shard->type->page_bytes(shard) / local_page_tokens(round->local);
    const struct work work = work_of(&round->weights, position_bytes, test);
    const double n_tokens = (double)test->n_tokens * test->n_sequences;
    struct outcome o = { .mean = samples_mean(rates),
                         .stddev = samples_stddev(rates),
                         .median = samples_median(rates) };

    o.bytes_per_s = work.bytes * o.median / n_tokens;
    o.ops_per_s = work.ops * o.median / n_tokens;
    o.share_of_read = o.bytes_per_s / round->machine.read_bytes_per_s;
    o.share_of_ops = o.ops_per_s / round->machine.int8_ops_per_s;
    return o;
}

void round_print_head(struct round *round)
{
    const struct model_info *info = model_info(round->model);
    char size[UNITS_MAX];

    round_look(round);
    printf("%s, %s, %u threads, kernels %s, activations of %u bits\n", info->name,
           units_bytes(info->file_bytes, size), round->n_threads, round_kernels(round),
           round_activations(round));
    printf("this machine reads %.1f GB/s (STREAM) and computes %.0f GOPS (8 bits, %s)\n\n",
           round->machine.read_bytes_per_s / giga, round->machine.int8_ops_per_s / giga,
           round->machine.int8_means);
}

/* Room for the largest test. */
static struct local_options local_fill(const struct bench_options *o, uint32_t n_threads)
{
    const uint32_t prompt = bench_list_max(&o->prompts), decode = bench_list_max(&o->decodes);
    const uint32_t longest = prompt > decode ? prompt : decode;

    return (struct local_options){
        .engine = o->engine,
        .kernels = o->kernels,
        .n_threads = n_threads,
        .context_tokens = longest > CONTEXT_MIN ? longest : CONTEXT_MIN,
        .max_sequences = bench_list_max(&o->batches),
        .max_rows = MEASURE_ROWS_MAX,
        .kv_format = o->kv_format,
        .activations = o->activations,
    };
}

static enum status round_open(struct round *round, struct err *err)
{
    const struct local_options local = local_fill(round->options, round->n_threads);
    enum status s;

    s = model_shard(round->model, 0, model_info(round->model)->n_layer, &round->weights, err);
    if (s == ST_OK)
        s = local_open(round->model, &local, &round->local, err);
    if (s == ST_OK)
        s = probe_new(round->n_threads, &round->probe, err);
    return s;
}

static void round_close(struct round *round)
{
    probe_free(round->probe);
    local_close(round->local);
    shard_weights_release(&round->weights);
    samples_release(&round->rates);
}

static enum status walk(struct round *round, const struct visitor *visitor, void *arg,
                        struct err *err)
{
    const struct bench_options *o = round->options;
    enum status s = ST_OK;

    for (size_t i = 0; s == ST_OK && i < o->prompts.n; i++) {
        const struct measure_test test = { MEASURE_PROMPT, o->prompts.values[i], 1 };

        if (test.n_tokens > 0)
            s = visitor->test(round, &test, arg, err);
    }
    for (size_t i = 0; s == ST_OK && i < o->decodes.n; i++)
        for (size_t b = 0; s == ST_OK && b < o->batches.n; b++) {
            const struct measure_test test = { MEASURE_DECODE, o->decodes.values[i],
                                               o->batches.values[b] };

            if (test.n_tokens > 0)
                s = visitor->test(round, &test, arg, err);
        }
    return s;
}

enum status round_each(const struct bench_options *options, const struct visitor *visitor,
                       void *arg, struct err *err)
{
    struct store_entry entry;
    struct model *model = NULL;
    enum status s;

    s = session_find(options->app, options->model, &entry, err);
    if (s == ST_OK)
        s = model_open(entry.path, &model, err);
    for (size_t i = 0; s == ST_OK && i < options->threads.n; i++) {
        struct round round = { .options = options,
                               .model = model,
                               .path = entry.path,
                               .n_threads = options->threads.values[i] };

        s = round_open(&round, err);
        if (s == ST_OK) {
            visitor->begin(&round, arg);
            s = walk(&round, visitor, arg, err);
        }
        round_close(&round);
    }
    model_free(model);
    return s;
}
