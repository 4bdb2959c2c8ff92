/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench.c - `pomona bench`: tokens per second of this machine. */
#include <stdio.h>

#include "base/machine.h"
#include "base/size.h"
#include "cmd/measure.h"
#include "cmd/session.h"
#include "cmd/units.h"

enum {
    BATCHES_MAX = 16,
    SEQUENCES_MAX = 256,
    TOKENS_MAX = 1 << 17,
    REPETITIONS_MAX = 1000,
    CONTEXT_MIN = 64, /* of the local: a page and more, however short the tests are */
};

struct bench {
    const struct app *app;
    struct session_options session;
    uint32_t n_prompt, n_decode, n_repetitions;
    const char *batches_text;
    uint32_t batches[BATCHES_MAX];
    size_t n_batches;
    bool is_json;
};

static void print_head(const struct bench *bench, const struct session *session)
{
    const struct model_info *info = model_info(session->model);
    struct engine_shard *shard = local_shard(session->local);
    char size[UNITS_MAX];

    if (bench->is_json)
        return;
    printf("%s, %s, %u threads, kernels %s\n\n%-14s %12s %10s\n", info->name,
           units_bytes(info->file_bytes, size), bench->session.n_threads,
           shard->type->kernels(shard), "TEST", "TOKENS/S", "STDDEV");
}

static void print_result(const struct bench *bench, const struct measure_test *test,
                         const struct measure_result *result)
{
    char name[MEASURE_NAME_MAX];

    (void)measure_name(test, name);
    if (bench->is_json)
        printf("{\"test\":\"%s\",\"threads\":%u,\"tokens_per_s\":%.3f,\"stddev\":%.3f}\n", name,
               bench->session.n_threads, result->tokens_per_s, result->stddev);
    else
        printf("%-14s %12.1f %10.1f\n", name, result->tokens_per_s, result->stddev);
    (void)fflush(stdout);
}

static enum status run_test(const struct bench *bench, const struct session *session,
                            const struct measure_test *test, struct err *err)
{
    struct measure_result result;
    enum status s;

    if (test->n_tokens == 0)
        return ST_OK;
    s = measure_run(session->local, session->model, test, bench->n_repetitions, &result, err);
    if (s == ST_OK)
        print_result(bench, test, &result);
    return s;
}

static enum status run_tests(const struct bench *bench, const struct session *session,
                             struct err *err)
{
    const struct measure_test prompt = { MEASURE_PROMPT, bench->n_prompt, 1 };
    enum status s;

    print_head(bench, session);
    s = run_test(bench, session, &prompt, err);
    for (size_t i = 0; s == ST_OK && i < bench->n_batches; i++) {
        const struct measure_test decode = { MEASURE_DECODE, bench->n_decode, bench->batches[i] };

        s = run_test(bench, session, &decode, err);
    }
    return s;
}

static uint32_t largest(const uint32_t *values, size_t n)
{
    uint32_t max = 0;

    for (size_t i = 0; i < n; i++)
        max = values[i] > max ? values[i] : max;
    return max;
}

/* Room for the largest test. */
static void local_fill(const struct bench *bench, struct local_options *ret_options)
{
    const uint32_t lengths[] = { bench->n_prompt, bench->n_decode, CONTEXT_MIN };

    *ret_options = (struct local_options){
        .kernels = bench->session.kernels,
        .n_threads = bench->session.n_threads,
        .context_tokens = largest(lengths, ARRAY_LEN(lengths)),
        .max_sequences = largest(bench->batches, bench->n_batches),
        .max_rows = MEASURE_ROWS_MAX,
    };
}

static enum status bench_run(const struct bench *bench, const char *model, struct err *err)
{
    struct session session = { 0 };
    struct local_options options;
    struct store_entry entry;
    enum status s;

    local_fill(bench, &options);
    s = session_find(bench->app, model, &entry, err);
    if (s == ST_OK)
        s = model_open(entry.path, &session.model, err);
    if (s == ST_OK)
        s = local_open(session.model, &options, &session.local, err);
    if (s == ST_OK)
        s = run_tests(bench, &session, err);
    session_close(&session);
    return s;
}

int cmd_bench(struct app *app, int argc, char **argv)
{
    struct bench bench = {
        .app = app,
        .session.n_threads = machine_n_cores(),
        .n_prompt = 256,
        .n_decode = 32,
        .n_repetitions = 5,
        .batches_text = "1",
    };
    const struct option_row rows[] = {
        { "threads", 't', "N", "threads that compute (default all cores)", OPTION_U32,
          &bench.session.n_threads, 1, SESSION_THREADS_MAX },
        { "prompt", 'p', "N", "tokens of the prompt test, 0 for none (default 256)", OPTION_U32,
          &bench.n_prompt, 0, TOKENS_MAX },
        { "decode", 'n', "N", "tokens of the decode test, 0 for none (default 32)", OPTION_U32,
          &bench.n_decode, 0, TOKENS_MAX },
        { "batch", 'b', "N,N", "sequences that decode at once (default 1)", OPTION_TEXT,
          &bench.batches_text, 0, 0 },
        { "reps", 'r', "N", "measured runs of each test, after one that is not (default 5)",
          OPTION_U32, &bench.n_repetitions, 1, REPETITIONS_MAX },
        { "kernels", 0, "NAME", "which kernels compute: ref, avx2, neon, ... (default the best)",
          OPTION_TEXT, &bench.session.kernels, 0, 0 },
        { "json", 0, NULL, "one JSON object a line and test", OPTION_FLAG, &bench.is_json, 0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "smollm2 -t 2 -p 256 -n 32",
        "smollm2 -p 0 -b 1,2,4,8 --json",
        NULL,
    };
    const struct usage usage = {
        .arguments = "MODEL",
        .min_args = 1,
        .max_args = 1,
        .about = "Measure how fast this machine reads a prompt (pp) and decodes (tg), in tokens\n"
                 "per second. tg32@b8 decodes 8 sequences at once; tokens of all of them count.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (units_list(bench.batches_text, 1, SEQUENCES_MAX, bench.batches, BATCHES_MAX,
                   &bench.n_batches, &err) != ST_OK)
        return app_wrong_use(app, "--batch: %s", err.words);
    return bench_run(&bench, args[0], &err) == ST_OK ? EXIT_FINE : app_fail(app, &err);
}
