/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/profile.c - where the time of a step goes.
 *
 * Sequences of random prompts go through the real driver: scheduling, the
 * engine's phases, sampling.  Steps that read a prompt and steps that only
 * decode are told apart, for their time goes elsewhere.  The engine tells
 * sums over layers; a trace draws them one after another inside the step.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/size.h"
#include "cmd/bench/bench.h"
#include "cmd/bench/measure.h"
#include "cmd/bench/trace.h"
#include "cmd/session.h"

enum part { /* of a step; the engine's phases come first, by their numbers */
            PART_ENGINE_REST = N_ENGINE_PHASES,
            PART_SCHEDULE,
            PART_TRANSPORT,
            PART_SAMPLE,
            N_PARTS,
};

enum kind { KIND_PROMPT, KIND_DECODE, N_KINDS };

struct sums {
    uint64_t n_steps, n_rows, total_ns;
    uint64_t part_ns[N_PARTS];
};

struct profiling {
    const struct profile_options *options;
    struct model *model;
    struct local *local;
    struct trace *trace; /* NULL: none is written */
    struct engine_profile before;
    struct sums sums[N_KINDS];
    int32_t *prompt; /* [n_prompt] */
    uint32_t n_prompt, n_decode, n_sequences, random;
    bool is_measured;
    enum status status; /* of a sequence that failed */
    struct err err;
};

static const char *part_name(enum part part)
{
    switch (part) {
    case PART_ENGINE_REST: return "engine, other";
    case PART_SCHEDULE: return "scheduling";
    case PART_TRANSPORT: return "transport wait";
    case PART_SAMPLE: return "sampling";
    case N_PARTS: break;
    }
    return engine_phase_name((enum engine_phase)part);
}

static const char *kind_name(enum kind kind)
{
    return kind == KIND_PROMPT ? "prompt" : "decode";
}

/* ---- a step ---- */

/* Parts of the step, the engine's as what its sums grew by. */
static void split(struct profiling *p, const struct driver_times *t, uint64_t *ret_part_ns)
{
    struct engine_shard *shard = local_shard(p->local);
    uint64_t known_ns = 0, engine_ns = t->computed_ns - t->arrived_ns;
    struct engine_profile now = { 0 };

    if (shard->type->profile)
        shard->type->profile(shard, &now);
    for (int i = 0; i < N_ENGINE_PHASES; i++) {
        ret_part_ns[i] = now.phase_ns[i] - p->before.phase_ns[i];
        known_ns += ret_part_ns[i];
    }
    p->before = now;
    ret_part_ns[PART_ENGINE_REST] = engine_ns > known_ns ? engine_ns - known_ns : 0;
    ret_part_ns[PART_SCHEDULE] = t->launched_ns - t->begin_ns;
    ret_part_ns[PART_TRANSPORT] = t->arrived_ns - t->launched_ns;
    ret_part_ns[PART_SAMPLE] = t->told_ns - t->computed_ns;
}

static void draw(struct trace *trace, enum kind kind, const struct driver_times *t,
                 const uint64_t *part_ns)
{
    uint64_t at_ns = t->arrived_ns;

    trace_step(trace, kind_name(kind), t->begin_ns, t->told_ns, t->n_rows, t->n_spans);
    trace_span(trace, part_name(PART_SCHEDULE), t->begin_ns, t->launched_ns);
    trace_span(trace, part_name(PART_TRANSPORT), t->launched_ns, t->arrived_ns);
    trace_span(trace, "engine", t->arrived_ns, t->computed_ns);
    for (int i = 0; i < N_ENGINE_PHASES; i++) {
        const uint64_t end_ns = at_ns + part_ns[i];

        if (part_ns[i] > 0 && end_ns <= t->computed_ns)
            trace_span(trace, part_name((enum part)i), at_ns, end_ns);
        at_ns = end_ns;
    }
    trace_span(trace, part_name(PART_SAMPLE), t->computed_ns, t->told_ns);
}

static void on_times(void *arg, const struct driver_times *t)
{
    struct profiling *p = arg;
    const enum kind kind = t->n_rows > t->n_spans ? KIND_PROMPT : KIND_DECODE;
    struct sums *sums = &p->sums[kind];
    uint64_t part_ns[N_PARTS];

    split(p, t, part_ns);
    if (!p->is_measured)
        return;
    sums->n_steps++;
    sums->n_rows += t->n_rows;
    sums->total_ns += t->told_ns - t->begin_ns;
    for (int i = 0; i < N_PARTS; i++)
        sums->part_ns[i] += part_ns[i];
    if (p->trace)
        draw(p->trace, kind, t, part_ns);
}

/* ---- the work ---- */

static void on_token(void *arg, const struct token_event *event, const struct err *failure)
{
    struct profiling *p = arg;

    (void)event;
    if (failure && p->status == ST_OK) {
        p->status = failure->status;
        p->err = *failure;
    }
}

/* Prompts differ, so that none is found among the pages of another. */
static enum status submit(struct profiling *p, uint32_t sequence, struct err *err)
{
    const uint32_t n_vocab = model_shape(p->model)->n_vocab;
    struct generation generation = { .prompt = p->prompt,
                                     .n_prompt = p->n_prompt,
                                     .max_tokens = p->n_decode,
                                     .ignores_eos = true,
                                     .without_guesses = true };
    uint64_t id;

    for (uint32_t i = 0; i < p->n_prompt; i++)
        p->prompt[i] = measure_token(&p->random, n_vocab);
    sampling_init(&generation.sampling);
    generation.sampling.temperature = 0.7f; /* as `run` and `chat` have it */
    generation.sampling.top_p = 0.95f;
    generation.sampling.seed = sequence;
    return driver_submit(local_driver(p->local), &generation, sequence, on_token, p, &id, err);
}

static enum status work_once(struct profiling *p, struct err *err)
{
    struct driver *driver = local_driver(p->local);
    enum status s = ST_OK;

    for (uint32_t i = 0; s == ST_OK && i < p->n_sequences; i++)
        s = submit(p, i, err);
    while (s == ST_OK && driver_has_work(driver))
        s = driver_step(driver, err);
    if (s == ST_OK && p->status != ST_OK)
        s = err_set(err, p->status, "%s", p->err.words);
    return s;
}

static enum status work(struct profiling *p, struct err *err)
{
    enum status s = work_once(p, err);

    p->is_measured = true;
    for (uint32_t i = 0; s == ST_OK && i < p->options->bench->n_repetitions; i++)
        s = work_once(p, err);
    return s;
}

/* ---- the result ---- */

static void json_print(const struct profiling *p)
{
    for (int kind = 0; kind < N_KINDS; kind++) {
        const struct sums *sums = &p->sums[kind];

        if (sums->n_steps == 0)
            continue;
        printf("{\"test\":\"profile\",\"step\":\"%s\",\"threads\":%u,\"steps\":%llu,\"rows\":%llu,"
               "\"total_ms\":%.4f,\"parts_ms\":{",
               kind_name((enum kind)kind), p->options->bench->threads.values[0],
               (unsigned long long)sums->n_steps, (unsigned long long)sums->n_rows,
               (double)sums->total_ns / (double)NS_PER_MS);
        for (int i = 0; i < N_PARTS; i++)
            printf("%s\"%s\":%.4f", i > 0 ? "," : "", part_name((enum part)i),
                   (double)sums->part_ns[i] / (double)NS_PER_MS);
        printf("}}\n");
    }
}

static void cell_print(const struct sums *sums, uint64_t ns)
{
    if (sums->n_steps == 0)
        printf(" %12s %7s", "-", "-");
    else
        printf(" %12.4f %6.1f%%", (double)ns / (double)NS_PER_MS / (double)sums->n_steps,
               100.0 * (double)ns / (double)sums->total_ns);
}

static void table_print(const struct profiling *p)
{
    printf("%s, %u threads, %u sequences of %u + %u tokens\n\n", model_info(p->model)->name,
           p->options->bench->threads.values[0], p->n_sequences, p->n_prompt, p->n_decode);
    printf("%-16s %12s %7s %12s %7s\n", "MS A STEP", "PROMPT", "", "DECODE", "");
    for (int i = 0; i < N_PARTS; i++) {
        printf("%-16s", part_name((enum part)i));
        for (int kind = 0; kind < N_KINDS; kind++)
            cell_print(&p->sums[kind], p->sums[kind].part_ns[i]);
        (void)putchar('\n');
    }
    printf("%-16s", "all of it");
    for (int kind = 0; kind < N_KINDS; kind++)
        cell_print(&p->sums[kind], p->sums[kind].total_ns);
    printf("\n%-16s", "steps, rows each");
    for (int kind = 0; kind < N_KINDS; kind++)
        printf(" %12llu %7.1f", (unsigned long long)p->sums[kind].n_steps,
               p->sums[kind].n_steps ? (double)p->sums[kind].n_rows / (double)p->sums[kind].n_steps
                                     : 0);
    (void)putchar('\n');
}

/* ---- setting up ---- */

static uint32_t at_least(uint32_t value, uint32_t least)
{
    return value > least ? value : least;
}

static enum status profiling_open(struct profiling *p, struct err *err)
{
    const struct bench_options *bench = p->options->bench;
    struct local_options local = {
        .engine = bench->engine,
        .kernels = bench->kernels,
        .kv_format = bench->kv_format,
        .activations = bench->activations,
        .n_threads = bench->threads.values[0],
        .max_rows = MEASURE_ROWS_MAX,
        .without_guesses = true,
        .is_profiled = true,
        .on_times = on_times,
        .times_arg = p,
    };
    struct store_entry entry;
    enum status s;

    p->n_prompt = at_least(bench->prompts.values[0], 1);
    p->n_decode = at_least(bench->decodes.values[0], 1);
    p->n_sequences = local.max_sequences = bench->batches.values[0];
    local.context_tokens = p->n_prompt + p->n_decode + 1;
    p->prompt = calloc(p->n_prompt, sizeof(*p->prompt));
    if (!p->prompt)
        return err_set(err, ST_NOMEM, "no memory for a prompt");
    s = session_find(bench->app, bench->model, &entry, err);
    if (s == ST_OK)
        s = model_open(entry.path, &p->model, err);
    if (s == ST_OK)
        s = local_open(p->model, &local, &p->local, err);
    if (s == ST_OK && !local_shard(p->local)->type->profile)
        s = err_set(err, ST_UNSUPPORTED, "the engine '%s' keeps no time of phases",
                    local_shard(p->local)->type->name);
    if (s == ST_OK && p->options->trace_path)
        s = trace_open(p->options->trace_path, &p->trace, err);
    return s;
}

enum status bench_profile(const struct profile_options *options, struct err *err)
{
    struct profiling p = { .options = options, .random = 1 };
    enum status s, closed;

    s = profiling_open(&p, err);
    if (s == ST_OK)
        s = work(&p, err);
    if (s == ST_OK)
        (options->bench->is_json ? json_print : table_print)(&p);
    closed = trace_close(p.trace, s == ST_OK ? err : NULL);
    local_close(p.local);
    model_free(p.model);
    free(p.prompt);
    return s == ST_OK ? closed : s;
}
