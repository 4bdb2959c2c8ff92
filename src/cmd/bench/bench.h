/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/bench.h - what `pomona bench` was asked for, and what it can do. */
#ifndef POMONA_CMD_BENCH_BENCH_H
#define POMONA_CMD_BENCH_BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cmd/cmd.h"
#include "contract/activation_format.h"
#include "contract/kv_format.h"

enum { BENCH_LIST_MAX = 16 };

struct bench_list {
    const char *text; /* as written: "1,2,4" */
    uint32_t values[BENCH_LIST_MAX];
    size_t n;
};

struct bench_options {
    const struct app *app;
    const char *model;   /* a name of the store, or a file */
    const char *engine;  /* NULL: the default */
    const char *kernels; /* NULL: the best of this machine */
    enum kv_format kv_format;
    enum activation_format activations;
    struct bench_list threads, prompts, decodes, batches;
    uint32_t n_repetitions;
    bool is_json;
};

/* The largest value, 0 of none. */
uint32_t bench_list_max(const struct bench_list *list);

/* Measure raw steps: each prompt length, each decode length with each batch, for each number of
 * threads.  Prints a line for each test as it ends. */
enum status bench_tests(const struct bench_options *options, struct err *err);

struct peers;

/* The same tests, in turns with a peer's; prints a line with the ratio for each. */
enum status bench_compare(const struct bench_options *options, const struct peers *peers,
                          struct err *err);

struct perplexity_options {
    const struct bench_options *bench; /* the first of its thread numbers counts */
    const char *path;                  /* of a text */
    uint32_t window;                   /* tokens, >= 2 */
    uint32_t max_tokens;               /* of the text; 0: all */
};

/* Print how well the model predicts the text. */
enum status bench_perplexity(const struct perplexity_options *options, struct err *err);

struct profile_options {
    const struct bench_options *bench; /* the first value of each of its lists counts */
    const char *trace_path;            /* of a file to write, NULL for none */
};

/* Print where the time of steps goes. */
enum status bench_profile(const struct profile_options *options, struct err *err);

#endif
