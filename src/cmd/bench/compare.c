/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/compare.c - this engine and a peer taking turns at the same tests.
 *
 * Machines drift with heat and neighbours, so each pair of runs gives one
 * ratio, and which of the two goes first changes from pair to pair.  The
 * median of the ratios and their range are the result.
 */
#include <stdio.h>

#include "cmd/bench/peer.h"
#include "cmd/bench/round.h"

enum { PEER_TIMEOUT_S = 600 };

static const double giga = 1e9;

struct pairs {
    struct samples ours, theirs, ratios;
};

static void pairs_release(struct pairs *pairs)
{
    samples_release(&pairs->ours);
    samples_release(&pairs->theirs);
    samples_release(&pairs->ratios);
}

static enum status our_rate(struct round *round, const struct measure_test *test, double *ret_rate,
                            struct err *err)
{
    const enum status s = round_run(round, test, 1, err);

    if (s == ST_OK)
        *ret_rate = samples_mean(&round->rates);
    return s;
}

static enum status pair_run(struct round *round, const struct peer *peer,
                            const struct measure_test *test, bool is_ours_first,
                            struct pairs *pairs, struct err *err)
{
    const struct peer_run run = { .model_path = round->path,
                                  .n_threads = round->n_threads,
                                  .timeout_s = PEER_TIMEOUT_S };
    double ours = 0, theirs = 0;
    enum status s = ST_OK;

    round_look(round);
    if (is_ours_first)
        s = our_rate(round, test, &ours, err);
    if (s == ST_OK)
        s = peer_measure(peer, &run, test, &theirs, err);
    if (s == ST_OK && !is_ours_first)
        s = our_rate(round, test, &ours, err);
    if (s != ST_OK)
        return s;
    samples_add(&pairs->ours, ours);
    samples_add(&pairs->theirs, theirs);
    samples_add(&pairs->ratios, ours / theirs);
    return ST_OK;
}

static void print_json(const struct round *round, const char *name, const struct peer *peer,
                       struct pairs *pairs, const struct outcome *o)
{
    printf("{\"test\":\"%s\",\"threads\":%u,\"tokens_per_s\":%.3f,\"peer\":\"%s\","
           "\"peer_tokens_per_s\":%.3f,\"ratio\":%.4f,\"ratios\":[",
           name, round->n_threads, o->median, peer_name(peer), samples_median(&pairs->theirs),
           samples_median(&pairs->ratios));
    for (size_t i = 0; i < pairs->ratios.n; i++)
        printf("%s%.4f", i > 0 ? "," : "", pairs->ratios.values[i]);
    printf("],\"gb_per_s\":%.3f,\"stream_gb_per_s\":%.3f,\"stream_share\":%.4f,\"gops\":%.3f,"
           "\"peak_gops\":%.3f,\"peak_share\":%.4f,\"kernels\":\"%s\","
           "\"activations\":%u}\n",
           o->bytes_per_s / giga, round->machine.read_bytes_per_s / giga, o->share_of_read,
           o->ops_per_s / giga, round->machine.int8_ops_per_s / giga, o->share_of_ops,
           round_kernels(round), round_activations(round));
}

static void print_row(const struct round *round, const char *name, const struct peer *peer,
                      struct pairs *pairs, const struct outcome *o)
{
    printf("%-12s %7u %10.1f %6.0f%% %-20s %10.1f %8.2f %6.2f - %.2f\n", name, round->n_threads,
           o->median, 100 * o->share_of_read, peer_name(peer), samples_median(&pairs->theirs),
           samples_median(&pairs->ratios), samples_percentile(&pairs->ratios, 0),
           samples_percentile(&pairs->ratios, 100));
}

static void print(const struct round *round, const struct measure_test *test,
                  const struct peer *peer, struct pairs *pairs)
{
    const struct outcome o = round_judge(round, test, &pairs->ours);
    char name[MEASURE_NAME_MAX];

    (void)measure_name(test, name);
    (round->options->is_json ? print_json : print_row)(round, name, peer, pairs, &o);
    (void)fflush(stdout);
}

static void begin(struct round *round, void *arg)
{
    (void)arg;
    if (round->options->is_json)
        return;
    round_print_head(round);
    printf("%u pairs of runs that take turns; medians\n\n", round->options->n_repetitions);
    printf("%-12s %7s %10s %7s %-20s %10s %8s %s\n", "TEST", "THREADS", "TOKENS/S", "STREAM",
           "PEER", "TOKENS/S", "RATIO", "FROM - TO");
}

static enum status run_test(struct round *round, const struct measure_test *test, void *arg,
                            struct err *err)
{
    const struct peer *peer = peers_for(arg, test);
    struct pairs pairs = { 0 };
    enum status s = ST_OK;

    if (!peer)
        return err_set(err, ST_RANGE,
                       "no peer of --compare does several sequences: add "
                       "llama-batched-bench=PATH");
    for (uint32_t i = 0; s == ST_OK && i < round->options->n_repetitions; i++)
        s = pair_run(round, peer, test, i % 2 == 0, &pairs, err);
    if (s == ST_OK)
        print(round, test, peer, &pairs);
    pairs_release(&pairs);
    return s;
}

enum status bench_compare(const struct bench_options *options, const struct peers *peers,
                          struct err *err)
{
    static const struct visitor visitor = { begin, run_test };

    return round_each(options, &visitor, (void *)peers, err); /* run_test() only reads them */
}
