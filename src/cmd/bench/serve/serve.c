/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/serve.c - run a load and say what became of it.
 *
 * Goodput is the share of requests answered within both bounds, the time to
 * the first text and the mean time for a token after it.
 *
 * Source  goodput: Zhong et al. 2024, arXiv:2401.09670, section 3.1
 */
#include "cmd/bench/serve/serve.h"

#include <stdio.h>

#include "base/size.h"

static const double ms = 1e3;

static const char *tokens_from(const struct load_result *r)
{
    if (r->n_counted == r->n_fine)
        return "usage";
    return r->n_counted == 0 ? "chunks" : "usage and chunks";
}

static double per_s(const struct load_result *r, double n)
{
    return r->seconds > 0 ? n / r->seconds : 0;
}

static double goodput(const struct load_result *r)
{
    return r->n_requests > 0 ? (double)r->n_good / (double)r->n_requests : 0;
}

/* ---- for people ---- */

static void row_print(const char *name, struct samples *samples)
{
    printf("%-22s %9.1f %9.1f %9.1f %9.1f %9.1f %9.1f\n", name, ms * samples_mean(samples),
           ms * samples_percentile(samples, 50), ms * samples_percentile(samples, 90),
           ms * samples_percentile(samples, 95), ms * samples_percentile(samples, 99),
           ms * samples_percentile(samples, 100));
}

static void head_print(const struct load_options *o)
{
    printf("%s at %s, ", o->model, o->url);
    if (o->rate > 0)
        printf("open loop, %g requests/s, ", o->rate);
    else
        printf("closed loop, %u clients, ", o->n_clients);
    printf("prompts of %u words, at most %u tokens\n\n", o->n_words, o->max_tokens);
}

static void faults_print(const struct load_result *r)
{
    for (int i = TALK_FINE + 1; i < N_TALK_FAULTS; i++)
        if (r->n_faults[i] > 0)
            printf("%-22s %llu\n", talk_fault_word((enum talk_fault)i),
                   (unsigned long long)r->n_faults[i]);
    if (r->words[0])
        printf("%-22s %s\n", "the first said", r->words);
}

static void table_print(const struct load_options *o, struct load_result *r)
{
    printf("%-22s %llu of %llu in %.1f s\n", "answered", (unsigned long long)r->n_fine,
           (unsigned long long)r->n_requests, r->seconds);
    printf("%-22s %.1f tokens/s (%llu, counted by %s), %.2f requests/s\n", "throughput",
           per_s(r, (double)r->n_tokens), (unsigned long long)r->n_tokens, tokens_from(r),
           per_s(r, (double)r->n_fine));
    if (o->ttft_bound_s > 0 || o->gap_bound_s > 0)
        printf("%-22s %.1f%%\n", "goodput", 100 * goodput(r));
    faults_print(r);
    printf("\n%-22s %9s %9s %9s %9s %9s %9s\n", "MILLISECONDS", "MEAN", "P50", "P90", "P95", "P99",
           "MAX");
    row_print("to the first token", &r->ttft);
    row_print("between two pieces", &r->gaps);
    row_print("for each further token", &r->paces);
    row_print("to the end", &r->latency);
}

/* ---- for programs ---- */

static json_t *samples_json(struct samples *samples)
{
    return json_pack(
        "{s:f, s:f, s:f, s:f, s:f, s:f}", "mean", ms * samples_mean(samples), "p50",
        ms * samples_percentile(samples, 50), "p90", ms * samples_percentile(samples, 90), "p95",
        ms * samples_percentile(samples, 95), "p99", ms * samples_percentile(samples, 99), "max",
        ms * samples_percentile(samples, 100));
}

static json_t *faults_json(const struct load_result *r)
{
    json_t *faults = json_object();

    for (int i = TALK_FINE + 1; i < N_TALK_FAULTS; i++)
        if (r->n_faults[i] > 0)
            (void)json_object_set_new(faults, talk_fault_word((enum talk_fault)i),
                                      json_integer((json_int_t)r->n_faults[i]));
    return faults;
}

static enum status json_print(const struct load_options *o, struct load_result *r, struct err *err)
{
    json_t *line = json_pack(
        "{s:s, s:s, s:s, s:s, s:I, s:f, s:I, s:I, s:o, s:f, s:I, s:I, s:s, s:f, s:f, s:f, s:f, "
        "s:f, s:o, s:o, s:o, s:o}",
        "test", "serve", "url", o->url, "model", o->model, "loop", o->rate > 0 ? "open" : "closed",
        "clients", (json_int_t)(o->rate > 0 ? 0 : o->n_clients), "rate", o->rate, "requests",
        (json_int_t)r->n_requests, "answered", (json_int_t)r->n_fine, "errors", faults_json(r),
        "seconds", r->seconds, "prompt_tokens", (json_int_t)r->n_prompt, "completion_tokens",
        (json_int_t)r->n_tokens, "tokens_from", tokens_from(r), "tokens_per_s",
        per_s(r, (double)r->n_tokens), "requests_per_s", per_s(r, (double)r->n_fine), "goodput",
        goodput(r), "ttft_bound_ms", ms * o->ttft_bound_s, "gap_bound_ms", ms * o->gap_bound_s,
        "ttft_ms", samples_json(&r->ttft), "gap_ms", samples_json(&r->gaps), "token_ms",
        samples_json(&r->paces), "latency_ms", samples_json(&r->latency));

    if (!line)
        return err_set(err, ST_NOMEM, "no memory for the report");
    (void)json_dumpf(line, stdout, JSON_COMPACT | JSON_REAL_PRECISION(6));
    (void)putchar('\n');
    json_decref(line);
    return ST_OK;
}

/* ---- the benchmark ---- */

static const char *fault_of(const struct load_result *r)
{
    for (int i = TALK_FINE + 1; i < N_TALK_FAULTS; i++)
        if (r->n_faults[i] > 0)
            return talk_fault_word((enum talk_fault)i);
    return "none was sent";
}

static enum status nothing_answered(const struct load_options *o, const struct load_result *r,
                                    const char *which, struct err *err)
{
    return err_set(err, ST_PEER, "%s to %s failed (%s)%s%s", which, o->url, fault_of(r),
                   r->words[0] ? ": " : "", r->words);
}

/* The first request may load the model, and tells at once where the URL or the model is wrong. */
static enum status warm_up(const struct load_options *options, struct err *err)
{
    struct load_options one = *options;
    struct load_result result;
    enum status s;

    one.n_clients = one.n_requests = 1;
    one.rate = 0;
    one.seed = ~options->seed;
    s = load_run(&one, &result, err);
    if (s != ST_OK)
        return s;
    if (result.n_fine == 0)
        s = nothing_answered(&one, &result, "the first request", err);
    load_result_release(&result);
    return s;
}

static enum status load_and_report(const struct serve_options *options,
                                   const struct load_options *load, struct err *err)
{
    struct load_result result;
    enum status s = warm_up(load, err);

    if (s != ST_OK)
        return s;
    if (!options->is_json)
        head_print(load);
    s = load_run(load, &result, err);
    if (s != ST_OK)
        return s;
    if (result.n_fine == 0)
        s = nothing_answered(load, &result, "every request", err);
    else if (options->is_json)
        s = json_print(load, &result, err);
    else
        table_print(load, &result);
    load_result_release(&result);
    return s;
}

enum status bench_serve(const struct serve_options *options, struct err *err)
{
    struct load_options load = options->load;
    json_t *extra = NULL;
    enum status s;

    if (options->extra) {
        extra = json_loads(options->extra, 0, NULL);
        if (!json_is_object(extra)) {
            json_decref(extra);
            return err_set(err, ST_RANGE, "--extra takes a JSON object, not '%s'", options->extra);
        }
    }
    load.extra = extra;
    s = load_and_report(options, &load, err);
    json_decref(extra);
    return s;
}
