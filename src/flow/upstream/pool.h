/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/pool.h - servers outside this cluster that answer requests, too: the upstreams.
 *
 * Anything that speaks OpenAI's API: another Pomona, exo, mlx_lm.server, llama-server, vLLM. They come from the
 * configuration alone, never from a request. Each serves some models under names that clients use; a model may be served
 * by several, and by instances of this cluster beside them. The policy (balance/policy.h) chooses among all.
 *
 * Who may be asked: it answers when asked for its health (balance/pulse.h), requests do not fail there
 * (outlier.h, breaker.h), and it did not ask to be left alone for a while (Retry-After). Where nobody may, somebody
 * is asked all the same, as long as there is no instance: a verdict about all is probably about the network, or us.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_UPSTREAM_POOL_H
#define POMONA_FLOW_UPSTREAM_POOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "balance/policy.h"
#include "base/status.h"
#include "contract/model_info.h"
#include "net/loop.h"

enum {
    UPSTREAMS_MAX = 64,
    UPSTREAM_NAME_MAX = 64,
    UPSTREAM_URL_MAX = 256,
    UPSTREAM_KEY_MAX = 512,
    UPSTREAM_MODELS_MAX = 64,
};

struct upstream_model {
    char name[MODEL_NAME_MAX];  /* that clients ask for */
    char there[MODEL_NAME_MAX]; /* what the upstream calls it */
};

/* How one upstream is described: a copy is kept. */
struct upstream_settings {
    char name[UPSTREAM_NAME_MAX];
    char url[UPSTREAM_URL_MAX];   /* "http://host:port", with "/v1" or without */
    char kind[UPSTREAM_NAME_MAX]; /* of upstream_kinds() */
    char key[UPSTREAM_KEY_MAX];   /* sent as bearer token; "": none */
    double weight;                /* > 0 */
    struct upstream_model models[UPSTREAM_MODELS_MAX];
    size_t n_models;
};

/* "openai, pomona, ..."; lent for ever */
const char *upstream_kinds(void);

struct pool;
struct exchange;
struct dialect;

/* What the pool asks of the service. */
struct pool_locals {
    /* Ready instances of `model` here, ret [max]. */
    size_t (*instances)(void *arg, const char *model, struct balance_candidate *ret, size_t max);
    bool (*holds)(void *arg, const char *model); /* could one be placed? */
    void (*answer)(void *arg, struct exchange *x, const struct dialect *dialect); /* do so here */
    void *arg;
};

/* Errors  ST_NOTFOUND  a kind; ST_NOMEM */
enum status pool_new(struct loop *loop, const struct balance_policy *policy,
                     const struct upstream_settings *settings, size_t n,
                     const struct pool_locals *locals, struct pool **ret_pool, struct err *err);

/* Requests under way end without an answer. NULL is allowed. */
void pool_free(struct pool *pool);

/* Requests under way. */
size_t pool_n_running(const struct pool *pool); /* NULL: none */

/* End them: the service goes. */
void pool_abort(struct pool *pool);

/* Models served by upstreams, once each, ret [max] lent until pool_free(). */
size_t pool_models(const struct pool *pool, const char **ret, size_t max);

/* Does an upstream serve it? */
bool pool_has_model(const struct pool *pool, const char *model);

#endif
