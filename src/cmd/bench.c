/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench.c - `pomona bench`: what this machine makes of a model, in numbers.
 *
 * This file reads the command line; cmd/bench/ measures.
 */
#include "cmd/bench/bench.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/machine.h"
#include "base/size.h"
#include "cmd/bench/links.h"
#include "cmd/bench/peer.h"
#include "cmd/bench/serve/serve.h"
#include "cmd/options.h"
#include "cmd/session.h"
#include "cmd/units.h"

enum {
    SEQUENCES_MAX = 256,
    TOKENS_MAX = 1 << 17,
    REPETITIONS_MAX = 1000,
    REQUESTS_MAX = 1 << 20,
    SECONDS_MAX = 24 * 60 * 60,
};

/* All that the command line can say; which part counts depends on --url, --compare
 * and others. */
struct asked {
    struct bench_options tests;
    struct serve_options serve;
    double ttft_ms, gap_ms;
    const char *compare; /* --compare, NULL for none */
    struct perplexity_options perplexity;
    bool wants_profile;
    struct profile_options profile;
    const char *kv;       /* --kv, NULL for the default */
    uint32_t activations; /* --activations, 0 the same */
    bool wants_links;
    struct links_options links;
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

static void asked_init(struct asked *asked, const struct app *app, const char *all_cores)
{
    const char *key = getenv("OPENAI_API_KEY");

    *asked = (struct asked){
        .tests = { .app = app,
                   .threads.text = all_cores,
                   .prompts.text = "256",
                   .decodes.text = "32",
                   .batches.text = "1",
                   .n_repetitions = 5 },
        .perplexity = { .window = 512 },
        .serve.load = { .key = key && *key ? key : NULL,
                        .n_clients = 8,
                        .n_requests = 64,
                        .n_words = 64,
                        .max_tokens = 32,
                        .duration_s = 300,
                        .timeout_s = 120 },
    };
}

static int run_serve(const struct app *app, struct asked *asked, const char *model)
{
    struct load_options *load = &asked->serve.load;
    struct err err = { 0 };

    load->model = model;
    load->ttft_bound_s = asked->ttft_ms / 1000;
    load->gap_bound_s = asked->gap_ms / 1000;
    asked->serve.is_json = asked->tests.is_json;
    return app_end(app, bench_serve(&asked->serve, &err), &err);
}

static int run_tests(const struct app *app, struct asked *asked, const char *model)
{
    struct peers peers;
    struct err err = { 0 };
    int exit_status;
    enum status s;

    if (!lists_read(app, &asked->tests, &exit_status))
        return exit_status;
    if (asked->compare && peers_parse(asked->compare, &peers, &err) != ST_OK)
        return app_wrong_use(app, "--compare: %s", err.words);
    if (kv_format_find(asked->kv, &asked->tests.kv_format, &err) != ST_OK)
        return app_wrong_use(app, "--kv: %s", err.words);
    if (activation_format_find(asked->activations, &asked->tests.activations, &err) != ST_OK)
        return app_wrong_use(app, "--activations: %s", err.words);
    asked->tests.model = model;
    asked->perplexity.bench = asked->profile.bench = &asked->tests;
    if (asked->perplexity.path)
        s = bench_perplexity(&asked->perplexity, &err);
    else if (asked->wants_profile || asked->profile.trace_path)
        s = bench_profile(&asked->profile, &err);
    else if (asked->compare)
        s = bench_compare(&asked->tests, &peers, &err);
    else
        s = bench_tests(&asked->tests, &err);
    return app_end(app, s, &err);
}

static int run_links(const struct app *app, struct asked *asked, const char *model)
{
    struct err err = { 0 };

    if (model)
        return app_wrong_use(app, "--links measures no model: leave out '%s'", model);
    if (asked->links.listen && asked->links.peer)
        return app_wrong_use(app, "--listen on one machine, --peer on the other");
    asked->links.is_json = asked->tests.is_json;
    return app_end(app, bench_links(&asked->links, &err), &err);
}

int cmd_bench(struct app *app, int argc, char **argv)
{
    char all_cores[UNITS_MAX];
    struct asked asked;
    struct bench_options *const t = &asked.tests;
    struct load_options *const l = &asked.serve.load;
    const struct option_row rows[] = {
        { "threads", 't', "N,N", "threads that compute (default all cores)", OPTION_TEXT,
          &t->threads.text, 0, 0 },
        { "prompt", 'p', "N,N", "tokens of the prompt tests, 0 for none (default 256)", OPTION_TEXT,
          &t->prompts.text, 0, 0 },
        { "decode", 'n', "N,N", "tokens of the decode tests, 0 for none (default 32)", OPTION_TEXT,
          &t->decodes.text, 0, 0 },
        { "batch", 'b', "N,N", "sequences that decode at once (default 1)", OPTION_TEXT,
          &t->batches.text, 0, 0 },
        { "reps", 'r', "N", "measured runs of each test, after one that is not (default 5)",
          OPTION_U32, &t->n_repetitions, 1, REPETITIONS_MAX },
        { "engine", 0, "NAME", "what computes: cpu, or mlx, the GPU of a Mac (default cpu)",
          OPTION_TEXT, &t->engine, 0, 0 },
        { "kernels", 0, "NAME", "which kernels compute: ref, avx2, neon, ... (default the best)",
          OPTION_TEXT, &t->kernels, 0, 0 },
        { "compare", 0, "NAME=PATH", "take turns with llama-bench=PATH,llama-batched-bench=PATH",
          OPTION_TEXT, &asked.compare, 0, 0 },
        { "profile", 0, NULL, "where the time of a step goes", OPTION_FLAG, &asked.wants_profile, 0,
          0 },
        { "trace", 0, "FILE", "the same, step by step, for chrome://tracing and Perfetto",
          OPTION_TEXT, &asked.profile.trace_path, 0, 0 },
        { "perplexity", 0, "FILE", "how well the model predicts this text, instead of speed",
          OPTION_TEXT, &asked.perplexity.path, 0, 0 },
        { "window", 0, "N", "tokens that are read as one context for it (default 512)", OPTION_U32,
          &asked.perplexity.window, 2, TOKENS_MAX },
        { "kv", 0, "FORMAT", "how keys and values are kept: f16, q8_0 (default f16)", OPTION_TEXT,
          &asked.kv, 0, 0 },
        { "activations", 0, "BITS",
          "of numbers that meet quantised weights: 16, or 8, which is faster (default 16)",
          OPTION_U32, &asked.activations, 1, 32 },
        { "text-tokens", 0, "N", "as many tokens of the text at most", OPTION_U32,
          &asked.perplexity.max_tokens, 2, UINT32_MAX },
        { "url", 'u', "URL", "measure this server instead: http://host:port/v1; MODEL is its name",
          OPTION_TEXT, &l->url, 0, 0 },
        { "clients", 'c', "N", "requests under way at once (default 8)", OPTION_U32, &l->n_clients,
          1, LOAD_OPEN_MAX },
        { "rate", 0, "R", "requests that arrive a second, answered or not, instead of clients",
          OPTION_REAL, &l->rate, 0, 1e6 },
        { "requests", 0, "N", "how many (default 64)", OPTION_U32, &l->n_requests, 1,
          REQUESTS_MAX },
        { "duration", 0, "S", "seconds after which none is started (default 300)", OPTION_REAL,
          &l->duration_s, 0.001, SECONDS_MAX },
        { "timeout", 0, "S", "seconds that a request may take (default 120)", OPTION_REAL,
          &l->timeout_s, 0.001, SECONDS_MAX },
        { "words", 0, "N", "words of each prompt (default 64)", OPTION_U32, &l->n_words, 1,
          TOKENS_MAX },
        { "max-tokens", 0, "N", "tokens of each answer (default 32)", OPTION_U32, &l->max_tokens, 1,
          TOKENS_MAX },
        { "ttft-ms", 0, "MS", "a good answer's first token comes within this", OPTION_REAL,
          &asked.ttft_ms, 0, 1e9 },
        { "gap-ms", 0, "MS", "and a further one in this time, on average", OPTION_REAL,
          &asked.gap_ms, 0, 1e9 },
        { "seed", 0, "N", "of prompts and arrivals (default 0)", OPTION_U64, &l->seed, 0, 0 },
        { "extra", 0, "JSON", "parameters for each request: '{\"ignore_eos\":true}'", OPTION_TEXT,
          &asked.serve.extra, 0, 0 },
        { "links", 0, NULL, "latency, bandwidth and sums between ranks instead; without MODEL",
          OPTION_FLAG, &asked.wants_links, 0, 0 },
        { "listen", 0, "ADDRESS", "for --links: wait there for another machine", OPTION_TEXT,
          &asked.links.listen, 0, 0 },
        { "peer", 0, "HOST:PORT", "for --links: where the other waits", OPTION_TEXT,
          &asked.links.peer, 0, 0 },
        { "cluster-key", 0, "FILE", "for --links: TLS with the other, as in a cluster", OPTION_TEXT,
          &asked.links.key_path, 0, 0 },
        { "json", 0, NULL, "one JSON object a line", OPTION_FLAG, &t->is_json, 0, 0 },
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "smollm2 -t 1,2 -p 256 -n 32",
        "smollm2 -p 0 -b 1,2,4,8 --json",
        "smollm2 --profile -p 256 -n 32 -b 8 --trace steps.json",
        "smollm2 -r 9 --compare llama-bench=/usr/local/bin/llama-bench",
        "smollm2 --url http://127.0.0.1:52415/v1 -c 8",
        "smollm2 --url http://127.0.0.1:52415/v1 --rate 4 --ttft-ms 500 --gap-ms 50",
        "--links",
        "--links --peer 10.0.0.1:40000 --cluster-key cluster.key",
        NULL,
    };
    const struct usage usage = {
        .arguments = "[MODEL]",
        .min_args = 0,
        .max_args = 1,
        .about =
            "Measure how fast this machine reads a prompt (pp) and decodes (tg), in tokens\n"
            "per second. tg32@b8 decodes 8 sequences at once; tokens of all of them count.\n"
            "Beside each: weights, keys and values read a second and their share of what the\n"
            "machine reads at best (STREAM), operations a second and their share of its peak.\n"
            "With --url: how a server of OpenAI's API serves, with OPENAI_API_KEY if it is set.\n"
            "With --links: how fast ranks reach one another, of this machine or of two.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    const char *args[OPTIONS_ARGS_MAX];
    int exit_status;

    (void)snprintf(all_cores, sizeof(all_cores), "%u", machine_n_cores());
    asked_init(&asked, app, all_cores);
    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (asked.wants_links)
        return run_links(app, &asked, args[0]);
    if (!args[0])
        return app_wrong_use(app, "name the MODEL to measure");
    return asked.serve.load.url ? run_serve(app, &asked, args[0]) : run_tests(app, &asked, args[0]);
}
