/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/peer.h - llama.cpp's benchmarks, asked for the same tests.
 *
 *   llama-bench          prompts and single sequences
 *   llama-batched-bench  several sequences at once
 *
 * To add a peer: a row of peers[] in peer.c that makes its command line and
 * reads its result.
 */
#ifndef POMONA_CMD_BENCH_PEER_H
#define POMONA_CMD_BENCH_PEER_H

#include <stdbool.h>

#include "cmd/bench/measure.h"

enum { PEERS_MAX = 4, PEER_NAME_MAX = 32, PEER_PATH_MAX = 1024 };

struct peer {
    const struct peer_type *type; /* NULL: not given */
    char path[PEER_PATH_MAX];
};

struct peers {
    struct peer peers[PEERS_MAX];
    size_t n;
};

/* "llama-bench=PATH,llama-batched-bench=PATH".  Errors: ST_RANGE, in words for the user */
enum status peers_parse(const char *text, struct peers *ret_peers, struct err *err);

/* The peer that knows the test; NULL for none. */
const struct peer *peers_for(const struct peers *peers, const struct measure_test *test);
const char *peer_name(const struct peer *peer);

struct peer_run {
    const char *model_path;
    uint32_t n_threads;
    double timeout_s;
};

/* One run of the test after the peer's own warm-up: tokens per second.
 * Errors  as child_output(); ST_FORMAT  its output is not understood */
enum status peer_measure(const struct peer *peer, const struct peer_run *run,
                         const struct measure_test *test, double *ret_rate, struct err *err);

#endif
