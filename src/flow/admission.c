/* SPDX-License-Identifier: Apache-2.0 */
/* flow/admission.c - may a request wait for its first token: the bounds of the queue. */
#include "flow/admission.h"

#include <stdbool.h>

#include "base/clock.h"

static const double KEEP = 0.9; /* of what is known, at each answer */

/* The tenant's place, else a free one, else NULL: more tenants than places are one to the bounds. */
static struct admission_tenant *find(struct admission *a, uint64_t tenant)
{
    struct admission_tenant *empty = NULL;

    for (size_t i = 0; i < ADMISSION_TENANTS_MAX; i++) {
        struct admission_tenant *t = &a->tenants[i];

        if (t->n_requests > 0 && t->tenant == tenant)
            return t;
        if (t->n_requests == 0 && !empty)
            empty = t;
    }
    return empty;
}

static uint64_t tokens_max(const struct admission *a, const struct admission_bounds *b)
{
    const double by_speed = a->tokens_per_s * b->wait_s;

    if (b->n_tokens > 0)
        return b->n_tokens;
    if (a->tokens_per_s <= 0 || by_speed > ADMISSION_TOKENS_MAX)
        return ADMISSION_TOKENS_MAX;
    return by_speed > ADMISSION_TOKENS_MIN ? (uint64_t)by_speed : ADMISSION_TOKENS_MIN;
}

static uint32_t retry_s(const struct admission *a, uint64_t random)
{
    const double drain_s = a->tokens_per_s > 0 ? (double)a->n_tokens / a->tokens_per_s : 1;
    const double jitter = 0.8 + 0.4 * (double)(random >> 11) / 9007199254740992.0; /* 2^53 */
    const double s = drain_s * jitter + 0.5;

    if (s < 1)
        return 1;
    return s < ADMISSION_RETRY_MAX_S ? (uint32_t)s : ADMISSION_RETRY_MAX_S;
}

/* One prompt may be longer than the bound: it is let in where nobody waits. */
static bool is_full(const struct admission *a, const struct admission_bounds *b, uint64_t n_tokens)
{
    return a->n_requests >= b->n_requests ||
           (a->n_requests > 0 && a->n_tokens + n_tokens > tokens_max(a, b));
}

static bool is_over_share(const struct admission *a, const struct admission_bounds *b,
                          const struct admission_tenant *t, uint64_t tenant, uint64_t n_tokens)
{
    if (!t || t->n_requests == 0 || t->tenant != tenant || t->n_requests == a->n_requests)
        return false; /* it has nothing here, or is alone */
    return t->n_requests >= b->n_requests / 2 || t->n_tokens + n_tokens > tokens_max(a, b) / 2;
}

enum admission_verdict admission_enter(struct admission *a, const struct admission_bounds *bounds,
                                       uint64_t tenant, uint64_t n_tokens, uint64_t random,
                                       uint64_t now_ns, struct admission_ticket *ret_ticket,
                                       uint32_t *ret_retry_s)
{
    struct admission_tenant *t = find(a, tenant);
    enum admission_verdict verdict = ADMISSION_OK;

    if (is_full(a, bounds, n_tokens))
        verdict = ADMISSION_FULL;
    else if (is_over_share(a, bounds, t, tenant, n_tokens))
        verdict = ADMISSION_SHARE;
    if (verdict != ADMISSION_OK) {
        *ret_retry_s = retry_s(a, random);
        return verdict;
    }
    a->n_requests++;
    a->n_tokens += n_tokens;
    if (t && t->n_requests == 0)
        *t = (struct admission_tenant){ .tenant = tenant };
    if (t) {
        t->n_requests++;
        t->n_tokens += n_tokens;
    }
    *ret_ticket = (struct admission_ticket){ tenant, n_tokens, a->n_tokens, now_ns };
    return ADMISSION_OK;
}

void admission_leave(struct admission *a, struct admission_ticket *ticket)
{
    struct admission_tenant *t;

    if (ticket->since_ns == 0)
        return;
    t = find(a, ticket->tenant);
    a->n_requests--;
    a->n_tokens -= ticket->n_tokens;
    if (t && t->n_requests > 0 && t->n_tokens >= ticket->n_tokens) {
        t->n_requests--;
        t->n_tokens -= ticket->n_tokens;
    }
    ticket->since_ns = 0;
}

void admission_answered(struct admission *a, struct admission_ticket *ticket, uint64_t now_ns)
{
    const double waited_s = (double)(now_ns - ticket->since_ns) / (double)NS_PER_S;
    const double speed = (double)ticket->n_ahead / (waited_s > 1e-3 ? waited_s : 1e-3);

    if (ticket->since_ns == 0)
        return;
    a->tokens_per_s = a->tokens_per_s > 0 ? KEEP * a->tokens_per_s + (1 - KEEP) * speed : speed;
    admission_leave(a, ticket);
}
