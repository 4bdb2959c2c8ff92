/* SPDX-License-Identifier: Apache-2.0 */
/* execute/shard/traced.c - what a rank that drives nothing does for requests that are traced. */
#include "execute/shard/traced.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

struct slot {
    bool is_known, is_open;
    struct work_span work;
};

struct traced {
    pthread_mutex_t lock; /* of the slots; never held while something is told */
    void (*tell)(void *arg, const struct work_span *work);
    void *arg;
    uint32_t rank;
    uint32_t n_slots;
    struct slot slots[];
};

enum status traced_new(uint32_t n_slots, void (*tell)(void *arg, const struct work_span *work),
                       void *arg, struct traced **ret_traced, struct err *err)
{
    struct traced *t = calloc(1, sizeof(*t) + n_slots * sizeof(t->slots[0]));

    if (!t)
        return err_set(err, ST_NOMEM, "the traces of a rank");
    (void)pthread_mutex_init(&t->lock, NULL);
    t->n_slots = n_slots;
    t->tell = tell;
    t->arg = arg;
    *ret_traced = t;
    return ST_OK;
}

void traced_free(struct traced *t)
{
    if (!t)
        return;
    (void)pthread_mutex_destroy(&t->lock);
    free(t);
}

void traced_set_rank(struct traced *t, uint32_t rank)
{
    pthread_mutex_lock(&t->lock);
    t->rank = rank;
    pthread_mutex_unlock(&t->lock);
}

/* With the lock held, which is let go meanwhile. */
static void close_slot(struct traced *t, struct slot *s)
{
    const struct work_span work = s->work;

    if (!s->is_open)
        return;
    s->is_open = false;
    pthread_mutex_unlock(&t->lock);
    t->tell(t->arg, &work);
    pthread_mutex_lock(&t->lock);
}

static void take_mark(struct traced *t, const struct step_mark *mark)
{
    struct slot *s = &t->slots[mark->slot];

    close_slot(t, s);
    s->is_known = true;
    s->work = (struct work_span){ .kind = WORK_STEPS, .parent = mark->trace, .rank = t->rank };
    memcpy(s->work.request_id, mark->request_id, sizeof(s->work.request_id));
}

static void take_span(struct slot *s, uint32_t n_rows, uint64_t begin_ns, uint64_t end_ns)
{
    struct work_span *w = &s->work;

    if (!s->is_known)
        return;
    if (!s->is_open) {
        w->begin_ns = begin_ns;
        w->n_tokens = w->n_steps = w->busy_ns = 0;
    }
    s->is_open = true;
    w->end_ns = end_ns;
    w->n_tokens += n_rows;
    w->n_steps++;
    w->busy_ns += end_ns - begin_ns;
}

void traced_step(struct traced *t, const struct step_trace *trace, const struct engine_batch *batch,
                 uint64_t begin_ns, uint64_t end_ns)
{
    if (trace->n_slots == 0)
        return;
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; i < trace->n_marks; i++) {
        if (trace->marks[i].slot < t->n_slots)
            take_mark(t, &trace->marks[i]);
    }
    for (uint32_t i = 0; i < trace->n_slots && i < batch->n_spans; i++) {
        if (trace->slots[i] > 0 && trace->slots[i] <= t->n_slots)
            take_span(&t->slots[trace->slots[i] - 1], batch->spans[i].n_rows, begin_ns, end_ns);
    }
    pthread_mutex_unlock(&t->lock);
}

void traced_sweep(struct traced *t, uint64_t now_ns, uint64_t idle_ns)
{
    pthread_mutex_lock(&t->lock);
    for (uint32_t i = 0; i < t->n_slots; i++) {
        struct slot *s = &t->slots[i];

        if (s->is_open && now_ns >= s->work.end_ns && now_ns - s->work.end_ns >= idle_ns)
            close_slot(t, s);
    }
    pthread_mutex_unlock(&t->lock);
}
