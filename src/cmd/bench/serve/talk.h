/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/serve/talk.h - one streamed chat completion, with the times of what came.
 *
 *   talk_begin --> transfer in a curl multi handle --> talk_end --> its fields are valid
 *
 * Times are clock_ns().  The clock of a request starts when it was due, not
 * when this program got around to sending it.
 *
 * Threads  the one that drives the multi handle
 */
#ifndef POMONA_CMD_BENCH_SERVE_TALK_H
#define POMONA_CMD_BENCH_SERVE_TALK_H

#include <curl/curl.h>
#include <stdbool.h>
#include <stdint.h>

#include "cmd/bench/serve/sse.h"
#include "cmd/bench/stats.h"

#define TALK_FAULTS(X)                                                                             \
    X(TALK_FINE, "fine")                                                                           \
    X(TALK_CONNECT, "no_connection")                                                               \
    X(TALK_TIMEOUT, "timeout")                                                                     \
    X(TALK_BROKEN, "broken_off") /* before the stream said that it was done */                     \
    X(TALK_REFUSED, "http_4xx")                                                                    \
    X(TALK_FAILED, "http_5xx")                                                                     \
    X(TALK_ERROR_EVENT, "error_event") /* in a stream that had begun */                            \
    X(TALK_NONSENSE, "not_understood") /* no stream of chat completion chunks, or an empty one */  \
    X(TALK_NO_ROOM, "not_sent")        /* more requests were open than this program can hold */

enum talk_fault {
#define X(name, word) name,
    TALK_FAULTS(X)
#undef X
        N_TALK_FAULTS
};

const char *talk_fault_word(enum talk_fault fault);

enum { TALK_WORDS_MAX = 256 };

struct talk {
    CURL *curl; /* kept for the next talk, as its connection is */
    struct buf body, refusal;
    struct sse sse;

    uint64_t due_ns, first_ns, last_ns; /* first and last piece of text; 0: none came */
    uint64_t n_pieces;                  /* chunks with text */
    uint64_t n_prompt, n_tokens;        /* by the server's count, where has_usage */
    bool has_usage, is_done;
    struct samples gaps; /* seconds from one piece to the next */
    enum talk_fault fault;
    char words[TALK_WORDS_MAX]; /* what the server said of a fault */
};

struct talk_options {
    const char *url;            /* of chat completions */
    struct curl_slist *headers; /* borrowed until talk_end() */
    long timeout_ms;
};

/* Set up the transfer of a request whose JSON is in talk->body, and add it to `multi`.
 * Errors  ST_NOMEM */
enum status talk_begin(struct talk *talk, const struct talk_options *options, uint64_t due_ns,
                       CURLM *multi, struct err *err);

/* The transfer ended with `code`: judge it and take it out of `multi`. */
void talk_end(struct talk *talk, CURLM *multi, CURLcode code);

void talk_release(struct talk *talk); /* one that is not in a multi handle */

#endif
