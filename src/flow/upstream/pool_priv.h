/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/pool_priv.h - what the files of the pool share. */
#ifndef POMONA_FLOW_UPSTREAM_POOL_PRIV_H
#define POMONA_FLOW_UPSTREAM_POOL_PRIV_H

#include "balance/breaker.h"
#include "balance/outlier.h"
#include "balance/pace.h"
#include "balance/pulse.h"
#include "balance/retry_budget.h"
#include "flow/upstream/pool.h"
#include "net/http_client.h"

struct upstream_kind {
    const char *health; /* 2xx: it is well */
    unsigned can;       /* CHAT_* of chat_request.h */
    bool can_resume;    /* another of the same kind computes the same tokens: repeat.h */
};

struct upstream {
    struct pool *pool;
    const struct api_upstream *settings;
    const struct upstream_kind *kind;
    char base[API_UPSTREAM_URL_MAX]; /* without "/v1" */
    uint64_t key;

    struct pulse pulse;
    struct outlier outlier;
    struct breaker breakers[API_UPSTREAM_MODELS_MAX]; /* for each model */
    struct pace pace;
    uint64_t measured_ns;   /* when pace last learnt something */
    uint64_t not_before_ns; /* it asked to be left alone */

    uint32_t n_outstanding;
    struct upstream_counts {
        uint64_t requests, failures, retries, resumes, ejections;
    } counts; /* since it is known, for metrics */
    uint64_t n_waiting_tokens;

    struct http_call *probe; /* NULL: none is under way */
    int probe_status;
};

struct forward;

struct pool {
    struct loop *loop;
    struct api_gateway *config;
    struct http_client *client;
    const struct balance_policy *policy;
    struct pool_locals locals;
    struct upstream *upstreams; /* [n] */
    size_t n;
    struct retry_budget budget;
    struct forward *forwards;
    size_t n_forwards;
    uint64_t n_turns;
    double answer_tokens; /* of a usual answer, as seen */
    struct loop_timer *probe_timer;
    struct loop_timer *tick;
};

/* Of what a choice came to: index of an upstream, or one of these. */
enum { POOL_LOCAL = -1, POOL_NONE = -2 };

/* Choose who answers. tried: a bit for each upstream not to be asked again. */
int pool_choose(struct pool *pool, const char *model, uint64_t tried, bool is_local_allowed,
                const struct balance_request *request, size_t *ret_model);

/* The upstream's model called `name` by clients; false: it has none. */
bool upstream_serves(const struct upstream *u, const char *name, size_t *ret_model);

void upstream_succeeded(struct upstream *u, size_t model);
void upstream_failed(struct upstream *u, size_t model, const char *why);

/* Ask everyone for its health. probe.c */
void pool_probe(void *arg);
void pool_probe_cancel(struct upstream *u);

/* Deadlines and keep-alive comments of what is under way. forward.c */
void forward_tick_all(void *pool);

#endif
