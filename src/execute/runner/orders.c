/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/orders.c - what the event-loop thread asks of the computing thread. */
#include "execute/runner/orders.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>

#include "base/cond.h"
#include "execute/wire.h"

struct orders {
    pthread_mutex_t mutex;
    pthread_cond_t arrived;
    struct order *first, **last;
    size_t n_bounded; /* queued generations and cancels */
};

enum status orders_new(struct orders **ret_orders, struct err *err)
{
    struct orders *q = calloc(1, sizeof(*q));

    if (!q)
        return err_set(err, ST_NOMEM, "a queue");
    if (pthread_mutex_init(&q->mutex, NULL) != 0) {
        free(q);
        return err_set(err, ST_NOMEM, "the lock of a queue");
    }
    if (!cond_init(&q->arrived)) {
        pthread_mutex_destroy(&q->mutex);
        free(q);
        return err_set(err, ST_NOMEM, "the condition of a queue");
    }
    q->last = &q->first;
    *ret_orders = q;
    return ST_OK;
}

void orders_free(struct orders *q)
{
    if (!q)
        return;
    while (q->first) {
        struct order *o = q->first;

        q->first = o->next;
        order_free(o);
    }
    pthread_cond_destroy(&q->arrived);
    pthread_mutex_destroy(&q->mutex);
    free(q);
}

static void release_content(const struct order *o)
{
    generation_free(o->generation);
    assignment_free(o->assignment);
    free(o->endpoints);
    free(o->grammar);
    grammar_run_free(o->run);
}

void order_free(struct order *o)
{
    if (!o)
        return;
    release_content(o);
    free(o);
}

static bool is_bounded(const struct order *o)
{
    return o->kind == ORDER_SUBMIT || o->kind == ORDER_CANCEL;
}

enum status orders_put(struct orders *q, const struct order *order)
{
    struct order *o = malloc(sizeof(*o));
    bool is_full;

    if (!o) {
        release_content(order);
        return ST_NOMEM;
    }
    *o = *order;
    o->next = NULL;
    pthread_mutex_lock(&q->mutex);
    is_full = is_bounded(o) && q->n_bounded >= ORDERS_MAX;
    if (!is_full) {
        q->n_bounded += is_bounded(o) ? 1 : 0;
        *q->last = o;
        q->last = &o->next;
        pthread_cond_signal(&q->arrived);
    }
    pthread_mutex_unlock(&q->mutex);
    if (is_full)
        order_free(o);
    return is_full ? ST_FULL : ST_OK;
}

static void wait_for_one(struct orders *q, uint64_t deadline_ns)
{
    while (!q->first && deadline_ns > 0 && cond_wait_until(&q->arrived, &q->mutex, deadline_ns))
        ;
}

struct order *orders_take(struct orders *q, uint64_t deadline_ns)
{
    struct order *list;

    pthread_mutex_lock(&q->mutex);
    wait_for_one(q, deadline_ns);
    list = q->first;
    q->first = NULL;
    q->last = &q->first;
    q->n_bounded = 0;
    pthread_mutex_unlock(&q->mutex);
    return list;
}

struct order *orders_take_one(struct orders *q, uint64_t deadline_ns)
{
    struct order *o;

    pthread_mutex_lock(&q->mutex);
    wait_for_one(q, deadline_ns);
    o = q->first;
    if (o) {
        q->first = o->next;
        q->n_bounded -= is_bounded(o) ? 1 : 0;
        o->next = NULL;
    }
    if (!q->first)
        q->last = &q->first;
    pthread_mutex_unlock(&q->mutex);
    return o;
}
