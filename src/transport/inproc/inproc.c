/* SPDX-License-Identifier: Apache-2.0 */
/* transport/inproc/inproc.c - ranks in one process, for pipelines of threads and for tests.
 *
 * All ends share one hub: a lock, a condition variable that every change
 * signals, and a ring of bytes for each ordered pair of ranks.  The hub goes
 * with its last end.  Bytes sent before a close are still received.
 */
#include "transport/inproc/inproc.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cond.h"
#include "base/size.h"

struct byte_queue {
    unsigned char *bytes; /* [INPROC_QUEUE_BYTES], allocated when first used */
    size_t head, n;
};

struct hub {
    pthread_mutex_t mutex;
    pthread_cond_t changed;
    uint32_t n_ranks, n_open;
    bool *is_closed;           /* [n_ranks] */
    struct byte_queue *queues; /* [n_ranks][n_ranks]: from, to */
};

struct inproc {
    struct transport base;
    struct hub *hub;
};

static void hub_free(struct hub *h)
{
    for (size_t i = 0; h->queues && i < (size_t)h->n_ranks * h->n_ranks; i++)
        free(h->queues[i].bytes);
    free(h->queues);
    free(h->is_closed);
    pthread_cond_destroy(&h->changed);
    pthread_mutex_destroy(&h->mutex);
    free(h);
}

static size_t queue_put(struct byte_queue *q, const unsigned char *bytes, size_t n)
{
    const size_t tail = (q->head + q->n) % INPROC_QUEUE_BYTES;
    const size_t room = size_min(INPROC_QUEUE_BYTES - q->n, INPROC_QUEUE_BYTES - tail);

    n = size_min(n, room);
    memcpy(q->bytes + tail, bytes, n);
    q->n += n;
    return n;
}

static size_t queue_take(struct byte_queue *q, unsigned char *ret_bytes, size_t n)
{
    n = size_min(n, size_min(q->n, INPROC_QUEUE_BYTES - q->head));
    if (n == 0)
        return 0;
    memcpy(ret_bytes, q->bytes + q->head, n);
    q->head = (q->head + n) % INPROC_QUEUE_BYTES;
    q->n -= n;
    return n;
}

static enum status closed_peer(const struct hub *h, struct err *err)
{
    for (uint32_t i = 0; i < h->n_ranks; i++)
        if (h->is_closed[i])
            return err_set(err, ST_PEER, "rank %u is gone", i);
    return ST_OK;
}

/* With the lock held. */
static enum status wait_change(struct hub *h, uint32_t peer, uint64_t deadline_ns, struct err *err)
{
    const enum status s = closed_peer(h, err);

    if (s != ST_OK)
        return s;
    if (!cond_wait_until(&h->changed, &h->mutex, deadline_ns))
        return err_set(err, ST_DEADLINE, "rank %u did not answer in time", peer);
    return ST_OK;
}

static enum status inproc_send(struct transport *t, uint32_t to, const void *bytes, size_t n,
                               uint64_t deadline_ns, struct err *err)
{
    struct hub *h = ((struct inproc *)t)->hub;
    struct byte_queue *q;
    const unsigned char *p = bytes;
    enum status s = ST_OK;

    if (to >= h->n_ranks)
        return err_set(err, ST_RANGE, "there is no rank %u", to);
    q = &h->queues[(size_t)t->rank * h->n_ranks + to];
    pthread_mutex_lock(&h->mutex);
    if (!q->bytes)
        q->bytes = malloc(INPROC_QUEUE_BYTES);
    if (!q->bytes)
        s = err_set(err, ST_NOMEM, "a queue to rank %u", to);
    else if (h->is_closed[to])
        s = err_set(err, ST_PEER, "rank %u is gone", to);
    while (s == ST_OK && n > 0) {
        const size_t n_put = queue_put(q, p, n);

        p += n_put;
        n -= n_put;
        if (n_put > 0)
            pthread_cond_broadcast(&h->changed);
        else
            s = wait_change(h, to, deadline_ns, err);
    }
    pthread_mutex_unlock(&h->mutex);
    return s;
}

static enum status inproc_recv(struct transport *t, uint32_t from, void *ret_bytes, size_t n,
                               uint64_t deadline_ns, struct err *err)
{
    struct hub *h = ((struct inproc *)t)->hub;
    struct byte_queue *q;
    unsigned char *p = ret_bytes;
    enum status s = ST_OK;

    if (from >= h->n_ranks)
        return err_set(err, ST_RANGE, "there is no rank %u", from);
    q = &h->queues[(size_t)from * h->n_ranks + t->rank];
    pthread_mutex_lock(&h->mutex);
    while (s == ST_OK && n > 0) {
        const size_t n_taken = queue_take(q, p, n);

        p += n_taken;
        n -= n_taken;
        if (n_taken > 0)
            pthread_cond_broadcast(&h->changed);
        else
            s = wait_change(h, from, deadline_ns, err);
    }
    pthread_mutex_unlock(&h->mutex);
    return s;
}

/* What can be done now for one pair of ranks, with the lock held. */
static enum status go_on(const struct inproc *t, struct transport_swap *x, bool *has_moved,
                         struct err *err)
{
    struct hub *h = t->hub;
    const size_t self = t->base.rank, other = x->with;
    struct byte_queue *to = &h->queues[self * h->n_ranks + other];
    size_t n;

    if (x->n_out > 0 && h->is_closed[other])
        return err_set(err, ST_PEER, "rank %u is gone", x->with);
    if (x->n_out > 0 && !to->bytes)
        to->bytes = malloc(INPROC_QUEUE_BYTES);
    if (x->n_out > 0 && !to->bytes)
        return err_set(err, ST_NOMEM, "a queue to rank %u", x->with);
    n = x->n_out > 0 ? queue_put(to, x->out, x->n_out) : 0;
    x->out += n;
    x->n_out -= n;
    *has_moved |= n > 0;
    n = queue_take(&h->queues[other * h->n_ranks + self], x->in, x->n_in);
    x->in += n;
    x->n_in -= n;
    *has_moved |= n > 0;
    return ST_OK;
}

static enum status inproc_exchange(struct transport *base, struct transport_swap *all, size_t n,
                                   uint64_t deadline_ns, struct err *err)
{
    const struct inproc *t = (const struct inproc *)base;
    struct hub *h = t->hub;
    size_t n_done = 0;
    enum status s = ST_OK;

    for (size_t i = 0; i < n; i++)
        if (all[i].with >= h->n_ranks)
            return err_set(err, ST_RANGE, "there is no rank %u", all[i].with);
    pthread_mutex_lock(&h->mutex);
    while (s == ST_OK && n_done < n) {
        bool has_moved = false;

        n_done = 0;
        for (size_t i = 0; s == ST_OK && i < n; i++) {
            s = go_on(t, &all[i], &has_moved, err);
            n_done += all[i].n_out == 0 && all[i].n_in == 0;
        }
        if (has_moved)
            pthread_cond_broadcast(&h->changed);
        else if (s == ST_OK && n_done < n)
            s = wait_change(h, all[0].with, deadline_ns, err);
    }
    pthread_mutex_unlock(&h->mutex);
    return s;
}

static enum status inproc_check(struct transport *t, struct err *err)
{
    struct hub *h = ((struct inproc *)t)->hub;
    enum status s;

    pthread_mutex_lock(&h->mutex);
    s = closed_peer(h, err);
    pthread_mutex_unlock(&h->mutex);
    return s;
}

static void inproc_close(struct transport *t)
{
    struct hub *h = ((struct inproc *)t)->hub;
    bool is_last;

    pthread_mutex_lock(&h->mutex);
    h->is_closed[t->rank] = true;
    is_last = --h->n_open == 0;
    pthread_cond_broadcast(&h->changed);
    pthread_mutex_unlock(&h->mutex);
    free(t);
    if (is_last)
        hub_free(h);
}

static const struct transport_type inproc_type = {
    .name = "inproc",
    .send = inproc_send,
    .recv = inproc_recv,
    .exchange = inproc_exchange,
    .check = inproc_check,
    .close = inproc_close,
};

static struct hub *hub_new(uint32_t n_ranks)
{
    struct hub *h = calloc(1, sizeof(*h));

    if (!h)
        return NULL;
    if (pthread_mutex_init(&h->mutex, NULL) != 0) {
        free(h);
        return NULL;
    }
    if (!cond_init(&h->changed)) {
        pthread_mutex_destroy(&h->mutex);
        free(h);
        return NULL;
    }
    h->n_ranks = n_ranks;
    h->is_closed = calloc(n_ranks, sizeof(*h->is_closed));
    h->queues = calloc((size_t)n_ranks * n_ranks, sizeof(*h->queues));
    if (!h->is_closed || !h->queues) {
        hub_free(h);
        return NULL;
    }
    return h;
}

enum status inproc_new(uint32_t n_ranks, struct transport **ret_ends, struct err *err)
{
    struct inproc *ends[INPROC_RANKS_MAX] = { NULL };
    struct hub *h;
    bool is_made;

    if (n_ranks == 0 || n_ranks > INPROC_RANKS_MAX)
        return err_set(err, ST_RANGE, "%u ranks in one process", n_ranks);
    h = hub_new(n_ranks);
    is_made = h != NULL;
    for (uint32_t i = 0; is_made && i < n_ranks; i++) {
        ends[i] = calloc(1, sizeof(*ends[i]));
        is_made = ends[i] != NULL;
        if (is_made)
            *ends[i] =
                (struct inproc){ { .type = &inproc_type, .rank = i, .n_ranks = n_ranks }, h };
    }
    if (!is_made) {
        for (uint32_t i = 0; i < n_ranks; i++)
            free(ends[i]);
        if (h)
            hub_free(h);
        return err_set(err, ST_NOMEM, "ends of %u ranks", n_ranks);
    }
    h->n_open = n_ranks;
    for (uint32_t i = 0; i < n_ranks; i++)
        ret_ends[i] = &ends[i]->base;
    return ST_OK;
}
