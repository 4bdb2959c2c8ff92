/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/fetch.h - whole answers of HTTP servers, with a bound and a deadline.
 *
 * Threads  the loop's
 */
#ifndef POMONA_MONITOR_FETCH_H
#define POMONA_MONITOR_FETCH_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "net/loop.h"

struct fetcher;

enum { FETCH_HEADERS_MAX = 6 };

struct fetch {
    const char *url;
    const char *body;                       /* copied; NULL: GET, else POST of JSON */
    const char *headers[FETCH_HEADERS_MAX]; /* [n_headers] "Name: value" beside what JSON needs */
    size_t n_headers;
    const char *ca_file; /* as of http_call_options; copied */
    double deadline_s;
};

struct fetch_answer {
    int status;        /* of HTTP; 0: there was no whole answer, and `why` says why */
    const char *bytes; /* [n], and a NUL; lent during the call */
    size_t n;
    const char *why;
    uint64_t begun_ns, ended_ns;
};

typedef void fetch_fn(void *arg, const struct fetch_answer *answer);

enum status fetcher_new(struct loop *loop, struct fetcher **ret_fetcher, struct err *err);
void fetcher_free(struct fetcher *fetcher); /* what is under way is forgotten; NULL is allowed */

/* fn follows once, never inside this call.
 * Errors  ST_NOMEM, ST_FORMAT (the URL); then it does not */
enum status fetch_start(struct fetcher *fetcher, const struct fetch *fetch, fetch_fn *fn, void *arg,
                        struct err *err);

#endif
