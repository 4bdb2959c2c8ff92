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

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "balance/policy.h"
#include "base/status.h"
#include "config/api_gateway.h"
#include "gateway/http/api_error.h"
#include "net/loop.h"

struct pool;
struct exchange;
struct dialect;
struct reservation;
struct tracer;

/* What the pool asks of the service. */
struct pool_locals {
    /* Ready instances of `model` here, ret [max]. */
    size_t (*instances)(void *arg, const char *model, struct balance_candidate *ret, size_t max);
    bool (*holds)(void *arg, const char *model); /* could one be placed? */
    void (*answer)(void *arg, struct exchange *x, const struct dialect *dialect); /* do so here */
    /* What it may cost, at an upstream; not ST_OK: it may not be asked. */
    enum status (*reserve)(void *arg, struct exchange *x, const json_t *body,
                           struct reservation **ret, struct api_error *e);
    void *arg;
    struct tracer *tracer; /* lent; NULL: nothing is traced */
};

/* config  a reference is taken
 * before  what is known of upstreams that are the same there is kept; NULL: nothing is known
 * Errors  ST_NOTFOUND  the policy; ST_NOMEM */
enum status pool_new(struct loop *loop, struct api_gateway *config,
                     const struct pool_locals *locals, const struct pool *before,
                     struct pool **ret_pool, struct err *err);

/* Would a pool of `config` be as this one? */
bool pool_is_of(const struct pool *pool, const struct api_gateway *config);

/* Requests under way end without an answer. NULL is allowed. */
void pool_free(struct pool *pool);

size_t pool_n_running(const struct pool *pool); /* requests under way */

/* For metrics_render(), which calls it; arg: the pool */
bool pool_count_each(void *arg, size_t i, const char **ret_labels, double *ret_values);

/* By which instances are chosen, too. */
const struct balance_policy *pool_policy(const struct pool *pool);

/* End them: the service goes. */
void pool_abort(struct pool *pool);

/* As pools_cancel(). */
bool pool_cancel(struct pool *pool, const struct exchange *x, const char *id);

/* Models served by upstreams, once each, ret [max] lent until pool_free(). */
size_t pool_models(const struct pool *pool, const char **ret, size_t max);

/* Does an upstream that is up serve it? */
bool pool_is_up(const struct pool *pool, const char *model);

/* Does an upstream serve it? */
bool pool_has_model(const struct pool *pool, const char *model);

#endif
