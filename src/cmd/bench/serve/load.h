/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/load.h - many talks with one server, and what became of them.
 *
 * Closed loop: n_clients, each sends its next request when the last is
 * answered; this finds what a server can do.  Open loop: requests arrive as a
 * Poisson process whether the server keeps up or not; this finds what its
 * users would see.  One thread drives all transfers.
 *
 * A run ends by itself: no request is started after `duration_s`, and each
 * lasts at most `timeout_s`.
 */
#ifndef POMONA_CMD_BENCH_SERVE_LOAD_H
#define POMONA_CMD_BENCH_SERVE_LOAD_H

#include <jansson.h>

#include "cmd/bench/serve/talk.h"

enum { LOAD_OPEN_MAX = 1024 }; /* requests under way at once */

struct load_options {
    const char *url;     /* "http://host:port/v1" */
    const char *model;   /* as the server calls it */
    const char *key;     /* bearer token, NULL for none */
    const json_t *extra; /* object of parameters for each request, or NULL; borrowed */
    uint32_t n_clients;  /* 1..LOAD_OPEN_MAX; not used in the open loop */
    double rate;         /* requests a second; 0: closed loop */
    uint32_t n_requests; /* >= 1 */
    uint32_t n_words;    /* of each prompt */
    uint32_t max_tokens; /* of each answer */
    double duration_s, timeout_s;
    double ttft_bound_s, gap_bound_s; /* of a good answer; 0: any will do */
    uint64_t seed;
};

struct load_result {
    uint64_t n_requests, n_fine, n_good;
    uint64_t n_faults[N_TALK_FAULTS];
    char words[TALK_WORDS_MAX];             /* of the first fault */
    uint64_t n_prompt, n_tokens, n_counted; /* n_counted: answers whose tokens the server counted */
    double seconds;                         /* from the first request to the last answer */
    struct samples ttft;                    /* seconds to the first text */
    struct samples gaps;                    /* between pieces of text */
    struct samples paces;   /* of each answer: seconds for a token after the first, on average */
    struct samples latency; /* to the end of the answer */
};

/* ret_result  given: load_result_release(); untouched on error.  Requests that fail are counted,
 *             they are no error.
 * Errors      ST_NOMEM; ST_RANGE the URL is none */
enum status load_run(const struct load_options *options, struct load_result *ret_result,
                     struct err *err);
void load_result_release(struct load_result *result);

#endif
