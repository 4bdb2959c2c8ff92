/* SPDX-License-Identifier: Apache-2.0 */
/* flow/admission.c - may a request wait for its first token: the bounds of the queue. */
#include "flow/admission.h"

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

/* Of three quarters of the queue; alone, a batch is let in as any other. */
static bool is_batch_full(const struct admission *a, const struct admission_bounds *b,
                          uint64_t n_tokens)
{
    return a->n_batch_requests >= b->n_requests - b->n_requests / 4 ||
           (a->n_requests > 0 && a->n_batch_tokens + n_tokens > tokens_max(a, b) / 4 * 3);
}

static bool is_over_share(const struct admission *a, const struct admission_bounds *b,
                          const struct admission_tenant *t, uint64_t tenant, uint64_t n_tokens)
{
    if (!t || t->n_requests == 0 || t->tenant != tenant || t->n_requests == a->n_requests)
        return false; /* it has nothing here, or is alone */
    return t->n_requests >= b->n_requests / 2 || t->n_tokens + n_tokens > tokens_max(a, b) / 2;
}

static enum admission_verdict judge(const struct admission *a,
                                    const struct admission_bounds *bounds,
                                    const struct admission_tenant *t,
                                    const struct admission_request *r)
{
    if (is_full(a, bounds, r->n_tokens))
        return ADMISSION_FULL;
    if (r->priority == PRIORITY_BATCH && is_batch_full(a, bounds, r->n_tokens))
        return ADMISSION_FULL;
    return is_over_share(a, bounds, t, r->tenant, r->n_tokens) ? ADMISSION_SHARE : ADMISSION_OK;
}

enum admission_verdict admission_enter(struct admission *a, const struct admission_bounds *bounds,
                                       const struct admission_request *request, uint64_t random,
                                       uint64_t now_ns, struct admission_ticket *ret_ticket,
                                       uint32_t *ret_retry_s)
{
    struct admission_tenant *t = find(a, request->tenant);
    const enum admission_verdict verdict = judge(a, bounds, t, request);

    if (verdict != ADMISSION_OK) {
        *ret_retry_s = retry_s(a, random);
        return verdict;
    }
    a->n_requests++;
    a->n_tokens += request->n_tokens;
    if (request->priority == PRIORITY_BATCH) {
        a->n_batch_requests++;
        a->n_batch_tokens += request->n_tokens;
    }
    if (t && t->n_requests == 0)
        *t = (struct admission_tenant){ .tenant = request->tenant };
    if (t) {
        t->n_requests++;
        t->n_tokens += request->n_tokens;
    }
    *ret_ticket = (struct admission_ticket){ *request, a->n_tokens, now_ns };
    return ADMISSION_OK;
}

void admission_leave(struct admission *a, struct admission_ticket *ticket)
{
    const struct admission_request *r = &ticket->request;
    struct admission_tenant *t;

    if (ticket->since_ns == 0)
        return;
    t = find(a, r->tenant);
    a->n_requests--;
    a->n_tokens -= r->n_tokens;
    if (r->priority == PRIORITY_BATCH) {
        a->n_batch_requests--;
        a->n_batch_tokens -= r->n_tokens;
    }
    if (t && t->n_requests > 0 && t->n_tokens >= r->n_tokens) {
        t->n_requests--;
        t->n_tokens -= r->n_tokens;
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

bool admission_has_aged(const struct admission_ticket *ticket, uint32_t wait_s, uint64_t now_ns)
{
    const uint64_t age_s = wait_s / 2 < ADMISSION_AGE_S ? wait_s / 2 : ADMISSION_AGE_S;

    return ticket->since_ns != 0 && ticket->request.priority == PRIORITY_BATCH &&
           now_ns > ticket->since_ns + age_s * NS_PER_S;
}
