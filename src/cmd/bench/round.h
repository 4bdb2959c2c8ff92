/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/round.h - a model open with one number of threads, and the tests that are run on it.
 *
 * The machine's own bounds are measured again and again, and the best counts:
 * on a machine with neighbours a share of an old figure says nothing.
 */
#ifndef POMONA_CMD_BENCH_ROUND_H
#define POMONA_CMD_BENCH_ROUND_H

#include "cmd/bench/bench.h"
#include "cmd/bench/measure.h"
#include "cmd/bench/stats.h"
#include "engine/cpu/probe/probe.h"
#include "execute/local.h"
#include "model/model.h"

struct round {
    const struct bench_options *options;
    const struct model *model;
    const char *path; /* of the model's file */
    uint32_t n_threads;
    struct shard_weights weights; /* for counting; not read */
    struct local *local;
    struct probe *probe;
    struct probe_figures machine; /* the best so far; zeros before round_look() */
    struct samples rates;         /* tokens per second: what round_run() measured */
};

struct outcome {
    double mean, stddev, median;        /* tokens per second */
    double bytes_per_s, ops_per_s;      /* at the median */
    double share_of_read, share_of_ops; /* of the machine's */
};

/* What is done with each round and test. */
struct visitor {
    void (*begin)(struct round *round, void *arg);
    enum status (*test)(struct round *round, const struct measure_test *test, void *arg,
                        struct err *err);
};

/* Open the model; for each number of threads call begin(), then test() for each prompt length,
 * then for each decode length with each batch. */
enum status round_each(const struct bench_options *options, const struct visitor *visitor,
                       void *arg, struct err *err);

/* Measure the machine. */
void round_look(struct round *round);

/* n_repetitions of the test, after one that is not measured, into round->rates. */
enum status round_run(struct round *round, const struct measure_test *test, uint32_t n_repetitions,
                      struct err *err);

/* What rates say of the test, beside what the machine can do (after round_look()). */
struct outcome round_judge(const struct round *round, const struct measure_test *test,
                           struct samples *rates);

/* Name of the kernels in use.  Lent. */
const char *round_kernels(const struct round *round);

/* Bits of activations. */
uint32_t round_activations(const struct round *round);

/* "SmolLM2, 98.4 MB, 2 threads, kernels avx2, activations of 16 bits" and what the machine can do. */
void round_print_head(struct round *round);

#endif
