/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/guard/limits.c - how much each key, tenant and model may still ask.
 *
 * Accounts are found by a hash of kind and name, in a table of chains.
 */
#include "gateway/guard/limits.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static const double BURST_S = 0.5;
enum { SLOTS = 4096, MINUTE_S = 60 };

struct bucket {
    double level; /* below 0: owed */
    uint64_t at_ns;
    double rate, capacity; /* per second; as of the last look */
    bool is_known;
};

struct account {
    uint64_t id;
    struct bucket requests, tokens;
    uint32_t n_running;
    int64_t day;
    uint64_t day_requests, day_tokens;
    struct account *next;
};

struct limits {
    struct account *slots[SLOTS];
    size_t n;
};

enum status limits_new(struct limits **ret_limits, struct err *err)
{
    struct limits *l = calloc(1, sizeof(*l));

    if (!l)
        return err_set(err, ST_NOMEM, "the accounts of keys");
    *ret_limits = l;
    return ST_OK;
}

void limits_free(struct limits *l)
{
    for (size_t i = 0; l && i < SLOTS; i++)
        while (l->slots[i]) {
            struct account *a = l->slots[i];

            l->slots[i] = a->next;
            free(a);
        }
    free(l);
}

static uint64_t id_of(const struct limits_of *of)
{
    const uint64_t id = XXH3_64bits_withSeed(of->name, strlen(of->name), (XXH64_hash_t)of->kind);

    return id ? id : 1;
}

static struct account *find(const struct limits *l, uint64_t id)
{
    struct account *a = l->slots[id % SLOTS];

    while (a && a->id != id)
        a = a->next;
    return a;
}

/* Bring up to date with time and with what is configured. */
static void fill(struct bucket *b, uint64_t per_minute, uint64_t now_ns)
{
    const double rate = (double)per_minute / MINUTE_S;
    const double capacity = rate * BURST_S > 1 ? rate * BURST_S : 1;

    if (!b->is_known)
        b->level = capacity;
    else if (now_ns > b->at_ns)
        b->level += (double)(now_ns - b->at_ns) / 1e9 * rate;
    if (b->level > capacity)
        b->level = capacity;
    *b = (struct bucket){ b->level, now_ns, rate, capacity, true };
}

static bool is_idle(struct account *a, int64_t day, uint64_t now_ns)
{
    fill(&a->requests, (uint64_t)(a->requests.rate * MINUTE_S), now_ns);
    fill(&a->tokens, (uint64_t)(a->tokens.rate * MINUTE_S), now_ns);
    return a->n_running == 0 && (a->day < day || (!a->day_requests && !a->day_tokens)) &&
           a->requests.level >= a->requests.capacity && a->tokens.level >= a->tokens.capacity;
}

static void forget_idle(struct limits *l, int64_t day, uint64_t now_ns)
{
    for (size_t i = 0; i < SLOTS; i++)
        for (struct account **at = &l->slots[i]; *at;) {
            struct account *a = *at;

            if (!is_idle(a, day, now_ns)) {
                at = &a->next;
                continue;
            }
            *at = a->next;
            free(a);
            l->n--;
        }
}

static struct account *find_or_make(struct limits *l, uint64_t id, int64_t day, uint64_t now_ns)
{
    struct account *a = find(l, id);

    if (a)
        return a;
    if (l->n >= LIMITS_ACCOUNTS_MAX)
        forget_idle(l, day, now_ns);
    a = l->n < LIMITS_ACCOUNTS_MAX ? calloc(1, sizeof(*a)) : NULL;
    if (!a)
        return NULL;
    a->id = id;
    a->day = day;
    a->next = l->slots[id % SLOTS];
    l->slots[id % SLOTS] = a;
    l->n++;
    return a;
}

static void turn_day(struct account *a, int64_t day)
{
    if (a->day >= day) /* a clock set back does not give a second day */
        return;
    a->day = day;
    a->day_requests = a->day_tokens = 0;
}

static uint64_t wait_ms(const struct bucket *b, double wanted)
{
    const double s = (wanted - b->level) / b->rate;

    return s <= 0 ? 1 : (uint64_t)(s * 1000) + 1;
}

static struct limits_answer refuse(enum limits_verdict verdict, uint64_t retry_ms, uint64_t limit,
                                   uint64_t used, uint64_t requested)
{
    return (struct limits_answer){ verdict, 0, retry_ms, limit, used, requested };
}

static uint64_t used_of(const struct bucket *b, uint64_t limit)
{
    const double left = b->level > 0 ? b->level / b->capacity : 0;

    return (uint64_t)((double)limit * (1 - left));
}

/* Would this account let it through? */
static struct limits_answer judge(struct account *a, const struct api_limits *l,
                                  struct limits_cost cost, uint64_t now_ns, int64_t day)
{
    turn_day(a, day);
    fill(&a->requests, l->requests_per_minute, now_ns);
    fill(&a->tokens, l->tokens_per_minute, now_ns);
    if (l->tokens_per_minute && cost.tokens > l->tokens_per_minute)
        return refuse(LIMITS_TOO_LARGE, 0, l->tokens_per_minute, 0, cost.tokens);
    if (l->requests_per_day && a->day_requests + cost.requests > l->requests_per_day)
        return refuse(LIMITS_DAY, 0, l->requests_per_day, a->day_requests, cost.requests);
    if (l->tokens_per_day && a->day_tokens + cost.tokens > l->tokens_per_day)
        return refuse(LIMITS_DAY, 0, l->tokens_per_day, a->day_tokens, cost.tokens);
    if (l->concurrent && a->n_running + cost.running > l->concurrent)
        return refuse(LIMITS_CONCURRENT, 1000, l->concurrent, a->n_running, cost.running);
    if (l->requests_per_minute && cost.requests && a->requests.level < cost.requests)
        return refuse(LIMITS_REQUESTS, wait_ms(&a->requests, cost.requests), l->requests_per_minute,
                      used_of(&a->requests, l->requests_per_minute), cost.requests);
    if (l->tokens_per_minute && cost.tokens && a->tokens.level <= 0)
        return refuse(LIMITS_TOKENS, wait_ms(&a->tokens, 1), l->tokens_per_minute,
                      used_of(&a->tokens, l->tokens_per_minute), cost.tokens);
    return (struct limits_answer){ .verdict = LIMITS_GRANTED };
}

static void charge(struct account *a, struct limits_cost cost)
{
    if (a->requests.rate > 0) /* without a limit nothing is owed, when one comes */
        a->requests.level -= cost.requests;
    if (a->tokens.rate > 0)
        a->tokens.level -= (double)cost.tokens;
    a->n_running += cost.running;
    a->day_requests += cost.requests;
    a->day_tokens += cost.tokens;
}

/* Nothing to count for. */
static bool is_free(const struct api_limits *l)
{
    return !l->requests_per_minute && !l->tokens_per_minute && !l->concurrent &&
           !l->requests_per_day && !l->tokens_per_day;
}

struct limits_answer limits_take(struct limits *l, const struct limits_of *of, size_t n,
                                 struct limits_cost cost, uint64_t now_ns, int64_t day,
                                 struct limits_claim *ret_claim)
{
    struct limits_claim claim = { .cost = cost, .day = day };
    struct account *accounts[LIMITS_ASKED_MAX];
    struct limits_answer answer;

    for (size_t i = 0; i < n; i++) {
        accounts[i] = NULL;
        if (is_free(&of[i].limits))
            continue;
        claim.accounts[i] = id_of(&of[i]);
        accounts[i] = find_or_make(l, claim.accounts[i], day, now_ns);
        answer = accounts[i] ? judge(accounts[i], &of[i].limits, cost, now_ns, day)
                             : refuse(LIMITS_CROWDED, 1000, LIMITS_ACCOUNTS_MAX, l->n, 1);
        answer.which = i;
        if (answer.verdict != LIMITS_GRANTED)
            return answer;
    }
    for (size_t i = 0; i < n; i++)
        if (accounts[i])
            charge(accounts[i], cost);
    *ret_claim = claim;
    return (struct limits_answer){ .verdict = LIMITS_GRANTED };
}

static void give_back(struct account *a, const struct limits_claim *claim, uint64_t n_tokens,
                      bool keeps_request)
{
    const double unused = (double)claim->cost.tokens - (double)n_tokens;
    const uint32_t requests = keeps_request ? 0 : claim->cost.requests;

    a->tokens.level += unused;
    a->requests.level += requests;
    a->n_running -= claim->cost.running < a->n_running ? claim->cost.running : a->n_running;
    if (a->day != claim->day)
        return; /* what was reserved yesterday is no debt of today */
    a->day_requests -= requests < a->day_requests ? requests : a->day_requests;
    a->day_tokens += n_tokens;
    a->day_tokens -= claim->cost.tokens < a->day_tokens ? claim->cost.tokens : a->day_tokens;
}

void limits_settle(struct limits *l, const struct limits_claim *claim, uint64_t n_tokens,
                   bool keeps_request, uint64_t now_ns)
{
    for (size_t i = 0; i < LIMITS_ASKED_MAX; i++) {
        struct account *a = claim->accounts[i] ? find(l, claim->accounts[i]) : NULL;

        if (!a)
            continue;
        fill(&a->tokens, (uint64_t)(a->tokens.rate * MINUTE_S + 0.5), now_ns);
        give_back(a, claim, n_tokens, keeps_request);
    }
}

static void view(const struct bucket *b, uint64_t *ret_left, uint64_t *ret_reset_ms)
{
    *ret_left = b->level > 0 ? (uint64_t)b->level : 0;
    *ret_reset_ms = b->rate > 0 && b->level < b->capacity ? wait_ms(b, b->capacity) : 0;
}

struct limits_view limits_look(struct limits *l, const struct limits_of *of, uint64_t now_ns)
{
    struct limits_view v = {
        .request_limit = of->limits.requests_per_minute,
        .token_limit = of->limits.tokens_per_minute,
    };
    struct account fresh = { 0 }, *a = find(l, id_of(of));

    if (!a)
        a = &fresh;
    fill(&a->requests, of->limits.requests_per_minute, now_ns);
    fill(&a->tokens, of->limits.tokens_per_minute, now_ns);
    view(&a->requests, &v.requests_left, &v.request_reset_ms);
    view(&a->tokens, &v.tokens_left, &v.token_reset_ms);
    return v;
}

json_t *limits_save(const struct limits *l, int64_t day)
{
    json_t *accounts = json_object(), *root;

    for (size_t i = 0; i < SLOTS && accounts; i++)
        for (const struct account *a = l->slots[i]; a; a = a->next) {
            char id[17];

            if (a->day != day || (a->day_requests == 0 && a->day_tokens == 0))
                continue;
            (void)snprintf(id, sizeof(id), "%016" PRIx64, a->id);
            (void)json_object_set_new(
                accounts, id,
                json_pack("[I,I]", (json_int_t)a->day_requests, (json_int_t)a->day_tokens));
        }
    root = json_pack("{s:I,s:o}", "day", (json_int_t)day, "accounts", accounts);
    return root;
}

void limits_restore(struct limits *l, const json_t *saved, int64_t day)
{
    json_t *accounts = json_object_get(saved, "accounts"), *pair;
    const char *name;

    if (json_integer_value(json_object_get(saved, "day")) != day)
        return;
    json_object_foreach(accounts, name, pair)
    {
        const uint64_t id = strtoull(name, NULL, 16);
        const json_int_t requests = json_integer_value(json_array_get(pair, 0));
        const json_int_t tokens = json_integer_value(json_array_get(pair, 1));
        struct account *a = id && requests >= 0 && tokens >= 0 ? find_or_make(l, id, day, 0) : NULL;

        if (!a)
            continue;
        a->day_requests += (uint64_t)requests;
        a->day_tokens += (uint64_t)tokens;
    }
}
