/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/limits.h - how much each key, tenant and model may still ask.
 *
 * An account has a bucket of requests and one of tokens, which fill at the configured rate up to half
 * a second's worth, a count of what runs, and what was used today.  What a request may cost
 * at most is taken from all its accounts or from none (limits_take()), and what it cost in truth
 * is known when it is over (limits_settle()): the difference goes back, or is taken after all.
 *
 * A bucket that is not empty lets a request through whatever it costs, and owes the rest: so the
 * rate holds in the long run to within half a second's worth, and a prompt that is
 * longer than that is not refused for ever.  What costs more than a whole minute's worth is.
 *
 * An account that nobody uses is forgotten once its buckets are full and its day is over.
 *
 * Pure: time is given.  Threads: one owner
 */
#ifndef POMONA_GATEWAY_GUARD_LIMITS_H
#define POMONA_GATEWAY_GUARD_LIMITS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "config/api_gateway.h"

enum { LIMITS_ACCOUNTS_MAX = 65536, LIMITS_ASKED_MAX = 3 };

enum limits_kind { LIMITS_KEY, LIMITS_TENANT, LIMITS_MODEL };

struct limits;

/* One account and what holds for it now. */
struct limits_of {
    enum limits_kind kind;
    const char *name;
    struct api_limits limits;
};

/* What is asked for; 0 where nothing. */
struct limits_cost {
    uint32_t requests, running;
    uint64_t tokens;
};

enum limits_verdict {
    LIMITS_GRANTED,
    LIMITS_REQUESTS, /* per minute */
    LIMITS_TOKENS,
    LIMITS_CONCURRENT,
    LIMITS_DAY,       /* a quota */
    LIMITS_TOO_LARGE, /* never */
    LIMITS_CROWDED,   /* there are too many accounts */
};

struct limits_answer {
    enum limits_verdict verdict;
    size_t which;                    /* of what was asked, the account that refused */
    uint64_t retry_ms;               /* when it may be granted; 0: waiting does not help */
    uint64_t limit, used, requested; /* of what refused */
};

/* What was taken: give it to limits_settle() once. */
struct limits_claim {
    uint64_t accounts[LIMITS_ASKED_MAX]; /* ids; 0: none */
    struct limits_cost cost;
    int64_t day;
};

enum status limits_new(struct limits **ret_limits, struct err *err);
void limits_free(struct limits *limits); /* NULL is allowed */

/* now_ns  of a steady clock
 * day     number of the day, of a clock that people read */
struct limits_answer limits_take(struct limits *l, const struct limits_of *of, size_t n,
                                 struct limits_cost cost, uint64_t now_ns, int64_t day,
                                 struct limits_claim *ret_claim);

/* n_tokens  used in truth
 * keeps_request  false: it failed by our fault, and did not count */
void limits_settle(struct limits *l, const struct limits_claim *claim, uint64_t n_tokens,
                   bool keeps_request, uint64_t now_ns);

/* For headers.  limit 0: there is none. */
struct limits_view {
    uint64_t request_limit, requests_left, token_limit, tokens_left;
    uint64_t request_reset_ms, token_reset_ms; /* until the bucket is full */
};

struct limits_view limits_look(struct limits *l, const struct limits_of *of, uint64_t now_ns);

/* What was used today, to be kept over a restart; limits_restore() adds it.
 * NULL: no memory. */
json_t *limits_save(const struct limits *l, int64_t day);
void limits_restore(struct limits *l, const json_t *saved, int64_t day);

#endif
