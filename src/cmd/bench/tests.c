/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/tests.c - llama-bench's tests on this engine, held against what the machine can do. */
#include <stdio.h>

#include "cmd/bench/round.h"

static const double giga = 1e9;

static void print_json(const struct round *round, const char *name, const struct outcome *o)
{
    printf("{\"test\":\"%s\",\"threads\":%u,\"tokens_per_s\":%.3f,\"stddev\":%.3f,"
           "\"median\":%.3f,\"gb_per_s\":%.3f,\"gops\":%.3f,\"stream_gb_per_s\":%.3f,"
           "\"peak_gops\":%.3f,\"stream_share\":%.4f,\"peak_share\":%.4f,\"kernels\":\"%s\","
           "\"activations\":%u}\n",
           name, round->n_threads, o->mean, o->stddev, o->median, o->bytes_per_s / giga,
           o->ops_per_s / giga, round->machine.read_bytes_per_s / giga,
           round->machine.int8_ops_per_s / giga, o->share_of_read, o->share_of_ops,
           round_kernels(round), round_activations(round));
}

static void print_row(const struct round *round, const char *name, const struct outcome *o)
{
    printf("%-12s %7u %10.1f %8.1f %10.1f %8.2f %6.1f%% %9.1f %5.1f%%\n", name, round->n_threads,
           o->mean, o->stddev, o->median, o->bytes_per_s / giga, 100 * o->share_of_read,
           o->ops_per_s / giga, 100 * o->share_of_ops);
}

static void begin(struct round *round, void *arg)
{
    (void)arg;
    if (round->options->is_json)
        return;
    round_print_head(round);
    printf("%-12s %7s %10s %8s %10s %8s %7s %9s %6s\n", "TEST", "THREADS", "TOKENS/S", "STDDEV",
           "MEDIAN", "GB/S", "STREAM", "GOPS", "PEAK");
}

static enum status run_test(struct round *round, const struct measure_test *test, void *arg,
                            struct err *err)
{
    char name[MEASURE_NAME_MAX];
    struct outcome outcome;
    enum status s;

    (void)arg;
    round_look(round);
    s = round_run(round, test, round->options->n_repetitions, err);
    if (s != ST_OK)
        return s;
    round_look(round);
    outcome = round_judge(round, test, &round->rates);
    (round->options->is_json ? print_json : print_row)(round, measure_name(test, name), &outcome);
    (void)fflush(stdout);
    return ST_OK;
}

enum status bench_tests(const struct bench_options *options, struct err *err)
{
    static const struct visitor visitor = { begin, run_test };

    return round_each(options, &visitor, NULL, err);
}
