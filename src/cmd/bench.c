/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench.c - `pomona bench`: what this machine makes of a model, in numbers.
 *
 * This file reads the command line; cmd/bench/ measures.
 */
#include "cmd/bench/bench.h"

#include <stdio.h>

#include "base/machine.h"
#include "base/size.h"
#include "cmd/options.h"
#include "cmd/session.h"
#include "cmd/units.h"

enum {
    SEQUENCES_MAX = 256,
    TOKENS_MAX = 1 << 17,
    REPETITIONS_MAX = 1000,
};

uint32_t bench_list_max(const struct bench_list *list)
{
    uint32_t max = 0;

    for (size_t i = 0; i < list->n; i++)
        max = list->values[i] > max ? list->values[i] : max;
    return max;
}

/* The lists, from their texts; false, and *ret_exit_status, where one is no such list. */
static bool lists_read(const struct app *app, struct bench_options *o, int *ret_exit_status)
{
    const struct {
        const char *name;
        struct bench_list *list;
        uint32_t min, max;
    } lists[] = {
        { "threads", &o->threads, 1, SESSION_THREADS_MAX },
        { "prompt", &o->prompts, 0, TOKENS_MAX },
        { "decode", &o->decodes, 0, TOKENS_MAX },
        { "batch", &o->batches, 1, SEQUENCES_MAX },
    };
    struct err err = { 0 };

    for (size_t i = 0; i < ARRAY_LEN(lists); i++)
        if (units_list(lists[i].list->text, lists[i].min, lists[i].max, lists[i].list->values,
                       BENCH_LIST_MAX, &lists[i].list->n, &err) != ST_OK) {
            *ret_exit_status = app_wrong_use(app, "--%s: %s", lists[i].name, err.words);
            return false;
        }
    return true;
}

int cmd_bench(struct app *app, int argc, char **argv)
{
    char all_cores[UNITS_MAX];
    struct bench_options o = {
        .app = app,
        .threads.text = all_cores,
        .prompts.text = "256",
        .decodes.text = "32",
        .batches.text = "1",
        .n_repetitions = 5,
    };
    const struct option_row rows[] = {
        { "threads", 't', "N,N", "threads that compute (default all cores)", OPTION_TEXT,
          &o.threads.text, 0, 0 },
        { "prompt", 'p', "N,N", "tokens of the prompt tests, 0 for none (default 256)", OPTION_TEXT,
          &o.prompts.text, 0, 0 },
        { "decode", 'n', "N,N", "tokens of the decode tests, 0 for none (default 32)", OPTION_TEXT,
          &o.decodes.text, 0, 0 },
        { "batch", 'b', "N,N", "sequences that decode at once (default 1)", OPTION_TEXT,
          &o.batches.text, 0, 0 },
        { "reps", 'r', "N", "measured runs of each test, after one that is not (default 5)",
          OPTION_U32, &o.n_repetitions, 1, REPETITIONS_MAX },
        { "kernels", 0, "NAME", "which kernels compute: ref, avx2, neon, ... (default the best)",
          OPTION_TEXT, &o.kernels, 0, 0 },
        { "json", 0, NULL, "one JSON object a line and test", OPTION_FLAG, &o.is_json, 0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "smollm2 -t 1,2 -p 256 -n 32",
        "smollm2 -p 0 -b 1,2,4,8 --json",
        NULL,
    };
    const struct usage usage = {
        .arguments = "MODEL",
        .min_args = 1,
        .max_args = 1,
        .about = "Measure how fast this machine reads a prompt (pp) and decodes (tg), in tokens\n"
                 "per second. tg32@b8 decodes 8 sequences at once; tokens of all of them count.\n"
                 "Beside each: weights, keys and values read a second and their share of what the\n"
                 "machine reads at best (STREAM), operations a second and their share of its peak.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    (void)snprintf(all_cores, sizeof(all_cores), "%u", machine_n_cores());
    if (!options_parse(app, &usage, argc, argv, args, &exit_status) ||
        !lists_read(app, &o, &exit_status))
        return exit_status;
    o.model = args[0];
    return bench_tests(&o, &err) == ST_OK ? EXIT_FINE : app_fail(app, &err);
}
