/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/tests.c - llama-bench's tests on this engine, held against what the machine can do.
 *
 * The machine is measured before and after each test, and the better of the
 * two counts: on a machine with neighbours a share of an old figure says
 * nothing.
 */
#include <stdio.h>

#include "base/size.h"
#include "cmd/bench/bench.h"
#include "cmd/bench/measure.h"
#include "cmd/bench/stats.h"
#include "cmd/bench/work.h"
#include "cmd/session.h"
#include "cmd/units.h"
#include "engine/cpu/probe/probe.h"

enum { CONTEXT_MIN = 64 }; /* of the local: a page and more, however short the tests are */

static const double giga = 1e9;

/* One number of threads: the model open, the machine's bounds as far as they are known. */
struct round {
    const struct bench_options *options;
    const struct model *model;
    uint32_t n_threads;
    struct shard_weights weights; /* for counting; not read */
    struct local *local;
    struct probe *probe;
    struct probe_figures machine;
    struct samples rates;
};

struct outcome {
    double mean, stddev, median;        /* tokens per second */
    double bytes_per_s, ops_per_s;      /* at the median */
    double share_of_read, share_of_ops; /* of the machine's */
};

static const char *kernels_of(const struct round *round)
{
    struct engine_shard *shard = local_shard(round->local);

    return shard->type->kernels(shard);
}

static void look_at_machine(struct round *round)
{
    struct probe_figures now;

    probe_measure(round->probe, &now);
    if (now.read_bytes_per_s > round->machine.read_bytes_per_s)
        round->machine.read_bytes_per_s = now.read_bytes_per_s;
    if (now.int8_ops_per_s > round->machine.int8_ops_per_s)
        round->machine.int8_ops_per_s = now.int8_ops_per_s;
    round->machine.int8_means = now.int8_means;
}

static struct outcome judge(struct round *round, const struct measure_test *test)
{
    struct engine_shard *shard = local_shard(round->local);
    const double position_bytes =
        (double)shard->type->page_bytes(shard) / local_page_tokens(round->local);
    const struct work work = work_of(&round->weights, position_bytes, test);
    const double n_tokens = (double)test->n_tokens * test->n_sequences;
    struct outcome o = { .mean = samples_mean(&round->rates),
                         .stddev = samples_stddev(&round->rates),
                         .median = samples_median(&round->rates) };

    o.bytes_per_s = work.bytes * o.median / n_tokens;
    o.ops_per_s = work.ops * o.median / n_tokens;
    o.share_of_read = o.bytes_per_s / round->machine.read_bytes_per_s;
    o.share_of_ops = o.ops_per_s / round->machine.int8_ops_per_s;
    return o;
}

static void print_json(const struct round *round, const char *name, const struct outcome *o)
{
    printf("{\"test\":\"%s\",\"threads\":%u,\"tokens_per_s\":%.3f,\"stddev\":%.3f,"
           "\"median\":%.3f,\"gb_per_s\":%.3f,\"gops\":%.3f,\"stream_gb_per_s\":%.3f,"
           "\"peak_gops\":%.3f,\"stream_share\":%.4f,\"peak_share\":%.4f,\"kernels\":\"%s\"}\n",
           name, round->n_threads, o->mean, o->stddev, o->median, o->bytes_per_s / giga,
           o->ops_per_s / giga, round->machine.read_bytes_per_s / giga,
           round->machine.int8_ops_per_s / giga, o->share_of_read, o->share_of_ops,
           kernels_of(round));
}

static void print_row(const struct round *round, const char *name, const struct outcome *o)
{
    printf("%-12s %7u %10.1f %8.1f %10.1f %8.2f %6.1f%% %9.1f %5.1f%%\n", name, round->n_threads,
           o->mean, o->stddev, o->median, o->bytes_per_s / giga, 100 * o->share_of_read,
           o->ops_per_s / giga, 100 * o->share_of_ops);
}

static enum status run_test(struct round *round, const struct measure_test *test, struct err *err)
{
    char name[MEASURE_NAME_MAX];
    struct outcome outcome;
    enum status s;

    if (test->n_tokens == 0)
        return ST_OK;
    look_at_machine(round);
    s = measure_run(round->local, round->model, test, round->options->n_repetitions, &round->rates,
                    err);
    if (s != ST_OK)
        return s;
    look_at_machine(round);
    outcome = judge(round, test);
    (round->options->is_json ? print_json : print_row)(round, measure_name(test, name), &outcome);
    (void)fflush(stdout);
    return ST_OK;
}

static enum status run_all(struct round *round, struct err *err)
{
    const struct bench_options *o = round->options;
    enum status s = ST_OK;

    for (size_t i = 0; s == ST_OK && i < o->prompts.n; i++) {
        const struct measure_test test = { MEASURE_PROMPT, o->prompts.values[i], 1 };

        s = run_test(round, &test, err);
    }
    for (size_t i = 0; s == ST_OK && i < o->decodes.n; i++)
        for (size_t b = 0; s == ST_OK && b < o->batches.n; b++) {
            const struct measure_test test = { MEASURE_DECODE, o->decodes.values[i],
                                               o->batches.values[b] };

            s = run_test(round, &test, err);
        }
    return s;
}

static void print_head(struct round *round)
{
    const struct model_info *info = model_info(round->model);
    char size[UNITS_MAX];

    if (round->options->is_json)
        return;
    look_at_machine(round);
    printf("%s, %s, %u threads, kernels %s\n", info->name, units_bytes(info->file_bytes, size),
           round->n_threads, kernels_of(round));
    printf("this machine reads %.1f GB/s (STREAM) and computes %.0f GOPS (8 bits, %s)\n\n",
           round->machine.read_bytes_per_s / giga, round->machine.int8_ops_per_s / giga,
           round->machine.int8_means);
    printf("%-12s %7s %10s %8s %10s %8s %7s %9s %6s\n", "TEST", "THREADS", "TOKENS/S", "STDDEV",
           "MEDIAN", "GB/S", "STREAM", "GOPS", "PEAK");
}

/* Room for the largest test. */
static struct local_options local_fill(const struct bench_options *o, uint32_t n_threads)
{
    const uint32_t prompt = bench_list_max(&o->prompts), decode = bench_list_max(&o->decodes);
    const uint32_t longest = prompt > decode ? prompt : decode;

    return (struct local_options){
        .kernels = o->kernels,
        .n_threads = n_threads,
        .context_tokens = longest > CONTEXT_MIN ? longest : CONTEXT_MIN,
        .max_sequences = bench_list_max(&o->batches),
        .max_rows = MEASURE_ROWS_MAX,
    };
}

static enum status run_round(const struct bench_options *options, const struct model *model,
                             uint32_t n_threads, struct err *err)
{
    const struct local_options local = local_fill(options, n_threads);
    struct round round = { .options = options, .model = model, .n_threads = n_threads };
    enum status s;

    s = model_shard(model, 0, model_info(model)->n_layer, &round.weights, err);
    if (s == ST_OK)
        s = local_open(model, &local, &round.local, err);
    if (s == ST_OK)
        s = probe_new(n_threads, &round.probe, err);
    if (s == ST_OK) {
        print_head(&round);
        s = run_all(&round, err);
    }
    probe_free(round.probe);
    local_close(round.local);
    shard_weights_release(&round.weights);
    samples_release(&round.rates);
    return s;
}

enum status bench_tests(const struct bench_options *options, struct err *err)
{
    struct store_entry entry;
    struct model *model = NULL;
    enum status s;

    s = session_find(options->app, options->model, &entry, err);
    if (s == ST_OK)
        s = model_open(entry.path, &model, err);
    for (size_t i = 0; s == ST_OK && i < options->threads.n; i++) {
        if (i > 0 && !options->is_json)
            (void)putchar('\n');
        s = run_round(options, model, options->threads.values[i], err);
    }
    model_free(model);
    return s;
}
