/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upstream/pools.c - the pool in force, and those before it that have requests under way yet. */
#include "flow/upstream/pools.h"

#include <stdlib.h>

enum { LOOK_EVERY_MS = 1000 };

struct old_pool {
    struct pool *pool;
    struct old_pool *next;
};

struct pools {
    struct loop *loop;
    struct pool_locals locals;
    struct pool *now;
    struct old_pool *old;
    struct loop_timer *timer;
};

/* Those whose last request ended. */
static void sweep(void *arg)
{
    struct pools *pools = arg;

    for (struct old_pool **at = &pools->old; *at;) {
        struct old_pool *old = *at;

        if (pool_n_running(old->pool) > 0) {
            at = &old->next;
            continue;
        }
        *at = old->next;
        pool_free(old->pool);
        free(old);
    }
}

enum status pools_new(struct loop *loop, struct api_gateway *config,
                      const struct pool_locals *locals, struct pools **ret_pools, struct err *err)
{
    struct pools *pools = calloc(1, sizeof(*pools));
    enum status s;

    if (!pools || loop_timer_new(loop, sweep, pools, &pools->timer) != ST_OK) {
        free(pools);
        return err_set(err, ST_NOMEM, "the upstreams");
    }
    pools->loop = loop;
    pools->locals = *locals;
    s = pool_new(loop, config, locals, NULL, &pools->now, err);
    if (s != ST_OK) {
        pools_free(pools);
        return s;
    }
    loop_timer_every(pools->timer, LOOK_EVERY_MS);
    *ret_pools = pools;
    return ST_OK;
}

void pools_free(struct pools *pools)
{
    if (!pools)
        return;
    pools_abort(pools);
    sweep(pools);
    pool_free(pools->now);
    loop_timer_free(pools->timer);
    free(pools);
}

enum status pools_take(struct pools *pools, struct api_gateway *config, struct err *err)
{
    struct old_pool *old;
    struct pool *next;
    enum status s;

    if (pool_is_of(pools->now, config))
        return ST_OK;
    old = calloc(1, sizeof(*old));
    if (!old)
        return err_set(err, ST_NOMEM, "the upstreams");
    s = pool_new(pools->loop, config, &pools->locals, pools->now, &next, err);
    if (s != ST_OK) {
        free(old);
        return s;
    }
    old->pool = pools->now;
    old->next = pools->old;
    pools->old = old;
    pools->now = next;
    return ST_OK;
}

struct pool *pools_now(const struct pools *pools)
{
    return pools->now;
}

bool pools_cancel(struct pools *pools, const struct exchange *x, const char *id)
{
    bool is_found = pool_cancel(pools->now, x, id);

    for (struct old_pool *old = pools->old; old && !is_found; old = old->next)
        is_found = pool_cancel(old->pool, x, id);
    return is_found;
}

size_t pools_n_running(const struct pools *pools)
{
    size_t n = pool_n_running(pools->now);

    for (const struct old_pool *old = pools->old; old; old = old->next)
        n += pool_n_running(old->pool);
    return n;
}

void pools_abort(struct pools *pools)
{
    if (pools->now)
        pool_abort(pools->now);
    for (struct old_pool *old = pools->old; old; old = old->next)
        pool_abort(old->pool);
}
