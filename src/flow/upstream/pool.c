/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/pool.c - the upstreams, what is known of each, and who of them answers a request. */
#include "flow/upstream/pool.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

#include "balance/slow_start.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "base/size.h"
#include "flow/upstream/chat_request.h"
#include "flow/upstream/pool_priv.h"
#include "metrics/metrics.h"

enum { CANDIDATES_MAX = 256, TICK_MS = 1000, MEASURED_FOR_S = 60 };

static const double USUAL_ANSWER_TOKENS = 256;

static const struct upstream_kind kinds[] = {
    [API_UPSTREAM_OPENAI] = { "/v1/models", CHAT_SCHEMA, false },
    [API_UPSTREAM_POMONA] = { "/readyz", CHAT_ALL, true },
    [API_UPSTREAM_EXO] = { "/v1/models", CHAT_EXTRAS, false }, /* it ignores response_format */
    [API_UPSTREAM_MLX] = { "/v1/models", CHAT_EXTRAS, false }, /* so does this */
    [API_UPSTREAM_LLAMA_SERVER] = { "/health", CHAT_ALL, false },
    [API_UPSTREAM_VLLM] = { "/health", CHAT_EXTRAS | CHAT_SCHEMA, false },
};

/* People give the address with "/v1", as clients want it, or without. */
static void take_base(struct upstream *u)
{
    size_t n;

    (void)snprintf(u->base, sizeof(u->base), "%s", u->settings->url);
    n = strlen(u->base);
    while (n > 0 && u->base[n - 1] == '/')
        u->base[--n] = '\0';
    if (n > 3 && strcmp(u->base + n - 3, "/v1") == 0)
        u->base[n - 3] = '\0';
}

/* Only what concerns requests under way stays behind: they end where they are. */
static void keep_what_is_known(const struct pool *before, struct upstream *u)
{
    for (size_t i = 0; before && i < before->n; i++) {
        const struct upstream *known = &before->upstreams[i];

        if (!api_upstream_is_same(known->settings, u->settings))
            continue;
        u->pulse = known->pulse;
        u->outlier = known->outlier;
        memcpy(u->breakers, known->breakers, sizeof(u->breakers));
        for (size_t m = 0; m < API_UPSTREAM_MODELS_MAX; m++)
            u->breakers[m].is_probing = false;
        u->pace = known->pace;
        u->measured_ns = known->measured_ns;
        u->not_before_ns = known->not_before_ns;
        u->counts = known->counts;
    }
}

static void make_upstream(struct pool *pool, const struct api_upstream *settings,
                          const struct pool *before, struct upstream *u)
{
    u->pool = pool;
    u->settings = settings;
    u->kind = &kinds[settings->kind];
    u->key = XXH3_64bits(settings->name, strlen(settings->name));
    take_base(u);
    keep_what_is_known(before, u);
}

bool pool_is_of(const struct pool *pool, const struct api_gateway *config)
{
    bool is_same = pool->n == config->upstreams_count &&
                   strcmp(pool->config->balancing.policy, config->balancing.policy) == 0;

    for (size_t i = 0; is_same && i < pool->n; i++)
        is_same = api_upstream_is_same(pool->upstreams[i].settings, &config->upstreams[i]);
    return is_same;
}

static enum status start(struct pool *pool, struct err *err)
{
    enum status s = http_client_new(pool->loop, &pool->client, err);

    if (s == ST_OK && (loop_timer_new(pool->loop, pool_probe, pool, &pool->probe_timer) != ST_OK ||
                       loop_timer_new(pool->loop, forward_tick_all, pool, &pool->tick) != ST_OK))
        s = err_set(err, ST_NOMEM, "the upstreams");
    if (s != ST_OK)
        return s;
    loop_timer_every(pool->probe_timer, PULSE_MS);
    loop_timer_every(pool->tick, TICK_MS);
    return ST_OK;
}

enum status pool_new(struct loop *loop, struct api_gateway *config,
                     const struct pool_locals *locals, const struct pool *before,
                     struct pool **ret_pool, struct err *err)
{
    const size_t n = config->upstreams_count;
    struct pool *pool = calloc(1, sizeof(*pool));
    enum status s;

    if (pool)
        pool->upstreams = calloc(n + 1, sizeof(*pool->upstreams));
    if (!pool || !pool->upstreams) {
        free(pool);
        return err_set(err, ST_NOMEM, "%zu upstreams", n);
    }
    pool->loop = loop;
    pool->config = api_gateway_ref(config);
    pool->locals = *locals;
    pool->n = n;
    pool->answer_tokens = USUAL_ANSWER_TOKENS;
    for (size_t i = 0; i < n; i++)
        make_upstream(pool, &config->upstreams[i], before, &pool->upstreams[i]);
    s = balance_policy_find(config->balancing.policy, &pool->policy, err);
    if (s == ST_OK)
        s = start(pool, err);
    if (s != ST_OK) {
        pool_free(pool);
        return s;
    }
    pool_probe(pool);
    *ret_pool = pool;
    return ST_OK;
}

void pool_free(struct pool *pool)
{
    if (!pool)
        return;
    pool_abort(pool);
    for (size_t i = 0; i < pool->n; i++)
        pool_probe_cancel(&pool->upstreams[i]);
    loop_timer_free(pool->tick);
    loop_timer_free(pool->probe_timer);
    http_client_free(pool->client);
    api_gateway_unref(pool->config);
    free(pool->upstreams);
    free(pool);
}

size_t pool_n_running(const struct pool *pool)
{
    return pool->n_forwards;
}

const struct balance_policy *pool_policy(const struct pool *pool)
{
    return pool->policy;
}

bool upstream_serves(const struct upstream *u, const char *name, size_t *ret_model)
{
    for (size_t i = 0; i < u->settings->models_count; i++) {
        if (strcmp(u->settings->models[i].name, name) != 0)
            continue;
        *ret_model = i;
        return true;
    }
    return false;
}

bool pool_has_model(const struct pool *pool, const char *model)
{
    size_t m;

    for (size_t i = 0; i < pool->n; i++) {
        if (upstream_serves(&pool->upstreams[i], model, &m))
            return true;
    }
    return false;
}

bool pool_is_up(const struct pool *pool, const char *model)
{
    size_t m;

    for (size_t i = 0; i < pool->n; i++) {
        if (!pool->upstreams[i].pulse.is_down && upstream_serves(&pool->upstreams[i], model, &m))
            return true;
    }
    return false;
}

static bool is_listed(const char *const *names, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(names[i], name) == 0)
            return true;
    }
    return false;
}

size_t pool_models(const struct pool *pool, const char **ret, size_t max)
{
    size_t n = 0;

    for (size_t i = 0; i < pool->n; i++) {
        const struct api_upstream *s = pool->upstreams[i].settings;

        for (size_t m = 0; m < s->models_count && n < max; m++) {
            if (!is_listed(ret, n, s->models[m].name))
                ret[n++] = s->models[m].name;
        }
    }
    return n;
}

static bool is_well(struct upstream *u, size_t model, uint64_t now_ns)
{
    return !u->pulse.is_down && !outlier_is_out(&u->outlier, now_ns) &&
           now_ns >= u->not_before_ns && breaker_allows(&u->breakers[model], now_ns);
}

/* What was measured long ago is not believed: who was slow once would never be asked, and so never
 * measured, again. */
static struct balance_candidate candidate_of(const struct upstream *u, uint64_t now_ns)
{
    const bool is_fresh = now_ns - u->measured_ns < MEASURED_FOR_S * NS_PER_S;

    return (struct balance_candidate){
        .key = u->key,
        .weight = u->settings->weight,
        .warmth = slow_start_warmth(u->pulse.up_since_ns, now_ns),
        .n_outstanding = u->n_outstanding,
        .n_waiting_tokens = u->n_waiting_tokens,
        .prompt_tokens_per_s = is_fresh ? u->pace.prompt_tokens_per_s : 0,
        .token_s = is_fresh ? pace_token_s(&u->pace, u->n_outstanding + 1.0) : 0,
    };
}

struct choice_of {
    struct balance_candidate candidates[CANDIDATES_MAX];
    int who[CANDIDATES_MAX];
    size_t n;
};

enum wellness { THE_WELL, ANYBODY };

static void add_upstreams(struct pool *pool, const char *model, uint64_t tried,
                          enum wellness wellness, struct choice_of *c)
{
    const uint64_t now_ns = clock_ns();
    size_t m;

    for (size_t i = 0; i < pool->n && c->n < CANDIDATES_MAX; i++) {
        struct upstream *u = &pool->upstreams[i];

        if ((tried >> i & 1) || !upstream_serves(u, model, &m) ||
            (wellness == THE_WELL && !is_well(u, m, now_ns)))
            continue;
        c->candidates[c->n] = candidate_of(u, now_ns);
        c->who[c->n++] = (int)i;
    }
}

static void add_instances(struct pool *pool, const char *model, struct choice_of *c)
{
    const size_t n = pool->locals.instances(pool->locals.arg, model, c->candidates + c->n,
                                            CANDIDATES_MAX - c->n);

    for (size_t i = 0; i < n; i++)
        c->who[c->n++] = POOL_LOCAL;
}

int pool_choose(struct pool *pool, const char *model, uint64_t tried, bool is_local_allowed,
                const struct balance_request *request, size_t *ret_model)
{
    struct choice_of c; /* large: not cleared */
    int who;

    c.n = 0;
    add_upstreams(pool, model, tried, THE_WELL, &c);
    if (is_local_allowed)
        add_instances(pool, model, &c);
    if (c.n == 0 && is_local_allowed && pool->locals.holds(pool->locals.arg, model))
        return POOL_LOCAL;
    if (c.n == 0)
        add_upstreams(pool, model, tried, ANYBODY, &c);
    if (c.n == 0)
        return POOL_NONE;
    who = c.who[pool->policy->choose(c.candidates, c.n, request)];
    if (who >= 0)
        (void)upstream_serves(&pool->upstreams[who], model, ret_model);
    return who;
}

/* 0 closed, 1 half open, 2 open: in the order of how bad it is. */
static double worst_breaker(const struct upstream *u)
{
    static const double badness[] = {
        [BREAKER_CLOSED] = 0,
        [BREAKER_HALF_OPEN] = 1,
        [BREAKER_OPEN] = 2,
    };
    double worst = 0;

    for (unsigned i = 0; i < u->settings->models_count; i++) {
        const double bad = badness[u->breakers[i].state];

        worst = bad > worst ? bad : worst;
    }
    return worst;
}

bool pool_count_each(void *arg, size_t i, const char **ret_labels, double *ret_values)
{
    const struct pool *pool = arg;
    const struct upstream *u = &pool->upstreams[i];

    if (i >= pool->n)
        return false;
    ret_labels[0] = u->settings->name;
    ret_values[METRIC_UPSTREAM_UP] = !u->pulse.is_down;
    ret_values[METRIC_UPSTREAM_EJECTED] = outlier_is_out(&u->outlier, clock_ns());
    ret_values[METRIC_UPSTREAM_BREAKER] = worst_breaker(u);
    ret_values[METRIC_UPSTREAM_OUTSTANDING] = u->n_outstanding;
    ret_values[METRIC_UPSTREAM_WAITING_TOKENS] = (double)u->n_waiting_tokens;
    ret_values[METRIC_UPSTREAM_SPEED] = u->pace.prompt_tokens_per_s;
    ret_values[METRIC_UPSTREAM_REQUESTS] = (double)u->counts.requests;
    ret_values[METRIC_UPSTREAM_FAILURES] = (double)u->counts.failures;
    ret_values[METRIC_UPSTREAM_RETRIES] = (double)u->counts.retries;
    ret_values[METRIC_UPSTREAM_RESUMES] = (double)u->counts.resumes;
    ret_values[METRIC_UPSTREAM_EJECTIONS] = (double)u->counts.ejections;
    return true;
}

void upstream_succeeded(struct upstream *u, size_t model)
{
    const uint64_t now_ns = clock_ns();

    outlier_succeeded(&u->outlier, now_ns);
    breaker_succeeded(&u->breakers[model], now_ns);
}

/* Of those that serve the same model: how many, and how many are out. */
static size_t count_peers(const struct upstream *u, size_t model, uint64_t now_ns, size_t *ret_out)
{
    const char *name = u->settings->models[model].name;
    size_t n = 0, m;

    *ret_out = 0;
    for (size_t i = 0; i < u->pool->n; i++) {
        const struct upstream *peer = &u->pool->upstreams[i];

        if (!upstream_serves(peer, name, &m))
            continue;
        n++;
        *ret_out += outlier_is_out(&peer->outlier, now_ns);
    }
    return n;
}

void upstream_failed(struct upstream *u, size_t model, const char *why)
{
    const uint64_t now_ns = clock_ns();
    struct breaker *b = &u->breakers[model];
    const enum breaker_state before = b->state;
    size_t n_out;
    const size_t n = count_peers(u, model, now_ns, &n_out);

    log_with(LOG_DEBUG, "an upstream failed", log_text("upstream", u->settings->name),
             log_text("error", why));
    u->counts.failures++;
    breaker_failed(b, random_u64(), now_ns);
    if (b->state == BREAKER_OPEN && before != BREAKER_OPEN)
        log_with(LOG_WARN, "an upstream is not asked for a model",
                 log_text("upstream", u->settings->name),
                 log_text("model", u->settings->models[model].name),
                 log_count("seconds", (b->until_ns - now_ns) / NS_PER_S), log_text("error", why));
    if (!outlier_failed(&u->outlier, n_out, n, now_ns))
        return;
    u->counts.ejections++;
    log_with(LOG_WARN, "an upstream is left out", log_text("upstream", u->settings->name),
             log_count("seconds", (u->outlier.until_ns - now_ns) / NS_PER_S),
             log_text("error", why));
}
