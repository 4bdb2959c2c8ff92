/* SPDX-License-Identifier: Apache-2.0 */
/* flow/admission.h - may a request wait for its first token: the bounds of the queue.
 *
 *   admission_enter() ok --> waiting --first token, or over--> admission_leave()
 *
 * The queue is bounded in requests and in tokens of prompts, as one long prompt is more work than a
 * hundred short ones. How fast it empties is learnt from it: the tokens that waited when a request came, its own with them, by
 * the time it waited. From that comes how long a newcomer would wait, and where that is longer than allowed it
 * is told at once, with when to come again, rather than after the wait.
 *
 * Who can wait must not keep out who cannot: of the queue, batch has three quarters at the most. Drivers compute
 * interactive requests first, and a batch request that waited for ADMISSION_AGE_S counts as one from then on,
 * so that it is answered, too.
 *
 * While others wait nobody has more than half of the queue: one tenant cannot keep all others out.
 *
 * Pure: the clock is an argument.
 */
#ifndef POMONA_FLOW_ADMISSION_H
#define POMONA_FLOW_ADMISSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "contract/request.h"

enum {
    ADMISSION_TOKENS_MAX = 1 << 20, /* of prompts, where neither bound nor speed is known */
    ADMISSION_TOKENS_MIN = 32768,   /* may always wait, however slow it is */
    ADMISSION_TENANTS_MAX = 256,
    ADMISSION_RETRY_MAX_S = 30,
    ADMISSION_AGE_S = 30, /* or half of what may be waited for, where that is less */
};

struct admission_bounds {
    uint32_t n_requests;
    uint64_t n_tokens; /* of prompts; 0: what is answered within wait_s */
    uint32_t wait_s;
};

enum admission_verdict {
    ADMISSION_OK,
    ADMISSION_FULL,  /* the server has too much to do */
    ADMISSION_SHARE, /* this tenant has: others could come */
};

struct admission_tenant {
    uint64_t tenant;
    uint32_t n_requests; /* 0: the place is free */
    uint64_t n_tokens;
};

/* Zero is an empty queue whose speed is not known. */
struct admission {
    uint32_t n_requests;
    uint64_t n_tokens;
    uint32_t n_batch_requests; /* of those above */
    uint64_t n_batch_tokens;
    double tokens_per_s; /* that leave it; 0: not known */
    struct admission_tenant tenants[ADMISSION_TENANTS_MAX];
};

/* Who wants to wait. */
struct admission_request {
    uint64_t tenant, n_tokens;
    enum priority priority;
};

/* What is kept for one that waits. */
struct admission_ticket {
    struct admission_request request;
    uint64_t n_ahead;  /* tokens that waited when it came, its own with them */
    uint64_t since_ns; /* 0: it does not wait */
};

/* ret_retry_s  when to come again, where the verdict is not ADMISSION_OK: 1..ADMISSION_RETRY_MAX_S, a fifth
 *              more or less by `random`, so that those refused together do not come back together */
enum admission_verdict admission_enter(struct admission *a, const struct admission_bounds *bounds,
                                       const struct admission_request *request, uint64_t random,
                                       uint64_t now_ns, struct admission_ticket *ret_ticket,
                                       uint32_t *ret_retry_s);

/* Its first token came, or it will never: then nothing is learnt. A ticket that does not wait is ignored. */
void admission_answered(struct admission *a, struct admission_ticket *ticket, uint64_t now_ns);
void admission_leave(struct admission *a, struct admission_ticket *ticket);

/* Did a batch request wait for so long that it counts as interactive now? */
bool admission_has_aged(const struct admission_ticket *ticket, uint32_t wait_s, uint64_t now_ns);

#endif
