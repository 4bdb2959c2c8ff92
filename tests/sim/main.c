/* SPDX-License-Identifier: Apache-2.0 */
/* tests/sim/main.c - seeds through chaos, or one large cluster.
 *
 *   sim --seeds 1..40 [--events N]     chaos; prints each failing seed with the line that replays it
 *   sim --replay SEED [--events N]     one seed, with everything that happens
 *   sim --scale NODES [--loss PERCENT] traffic, and the time until deaths are known
 *
 * Without arguments: what ctest runs by default; with POMONA_TEST_FULL=1 in the
 * environment, 2,000 seeds of 10,000 events.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "sim/sim.h"

enum { SEEDS = 100, SEEDS_FULL = 2000, EVENTS = 10000, NODES = 300, NODES_FULL = 5000, LOSS = 5 };

struct arguments {
    uint64_t first, last, n_events;
    uint32_t n_nodes;
    unsigned loss;
    bool is_replay, is_scale;
};

static int run_seeds(const struct arguments *a, const char *program)
{
    struct chaos_sums sums = { 0 };
    uint64_t n_failed = 0;
    char words[512];

    for (uint64_t seed = a->first; seed <= a->last; seed++) {
        if (chaos_run(seed, a->n_events, a->is_replay, &sums, words, sizeof(words)))
            continue;
        n_failed++;
        printf("seed %" PRIu64 ": %s\n    %s --replay %" PRIu64 " --events %" PRIu64 "\n", seed,
               words, program, seed, a->n_events);
        fflush(stdout);
    }
    printf("%" PRIu64 " events, %" PRIu64 " deaths, %" PRIu64 " disks lost, %" PRIu64
           " epochs, %" PRIu64 " placements decided\n",
           sums.n_events, sums.n_deaths, sums.n_disks_lost, sums.n_epochs, sums.n_decided);
    printf("%" PRIu64 " seeds of %" PRIu64 " events, %" PRIu64 " failed\n", a->last - a->first + 1,
           a->n_events, n_failed);
    return n_failed == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

static int run_scale(const struct arguments *a, const char *program)
{
    char words[512];

    if (scale_run(a->first, a->n_nodes, a->loss / 100.0, words, sizeof(words)))
        return EXIT_SUCCESS;
    printf("%s\n    %s --scale %u --loss %u\n", words, program, a->n_nodes, a->loss);
    return EXIT_FAILURE;
}

static int usage(void)
{
    fprintf(stderr, "usage: sim [--seeds FIRST..LAST | --replay SEED] [--events N]\n"
                    "       sim --scale [NODES] [--loss PERCENT]\n");
    return 2;
}

static bool parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        char *value = i + 1 < argc && argv[i + 1][0] != '-' ? argv[++i] : NULL, *end = value;
        const char *name = value ? argv[i - 1] : argv[i];
        const uint64_t n = value ? strtoull(value, &end, 10) : 0;

        if (strcmp(name, "--seeds") == 0 && value && strncmp(end, "..", 2) == 0) {
            a->first = n;
            a->last = strtoull(end + 2, &end, 10);
        } else if (strcmp(name, "--replay") == 0 && value) {
            a->first = a->last = n;
            a->is_replay = true;
        } else if (strcmp(name, "--events") == 0 && value) {
            a->n_events = n;
        } else if (strcmp(name, "--scale") == 0) {
            a->is_scale = true;
            a->n_nodes = value ? (uint32_t)n : a->n_nodes;
        } else if (strcmp(name, "--loss") == 0 && value) {
            a->loss = (unsigned)n;
        } else {
            return false;
        }
        if (end && *end)
            return false;
    }
    return true;
}

int main(int argc, char **argv)
{
    const char *full = getenv("POMONA_TEST_FULL");
    const bool is_full = full && strcmp(full, "1") == 0;
    struct arguments a = { .first = 1,
                           .last = is_full ? SEEDS_FULL : SEEDS,
                           .n_events = EVENTS,
                           .n_nodes = is_full ? NODES_FULL : NODES,
                           .loss = LOSS };

    log_set_level(LOG_ERROR);
    if (!parse(argc, argv, &a))
        return usage();
    return a.is_scale ? run_scale(&a, argv[0]) : run_seeds(&a, argv[0]);
}
