/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/attend.c - attention of one tile of rows for the heads that share a key head.
 *
 * Queries of a tile are numbered row by row, then head by head of the group.  Only the
 * page that some row of the tile does not see to its end is worked on row by row.
 */
#include "engine/cpu/attend.h"

#include <math.h>
#include <string.h>

#include "base/size.h"
#include "engine/cpu/shard.h"

enum { CACHE_LINE = 64 };

/* A task, and what of the shard it works with. */
struct job {
    struct cpu_shard *shard;
    struct attend_bench *bench;
    const struct attend_task *task;
    uint32_t layer, kv_head;
    uint32_t group;    /* queries of a row */
    uint32_t position; /* of the task's first row */
    const uint32_t *pages;
};

/* Queries `first`.. of a job's tile: those of rows that see something of a segment. */
struct seeing {
    uint32_t first_row, n_rows; /* within the tile */
    uint32_t start;             /* the segment's first position */
};

void cpu_store_kv(struct cpu_shard *shard, uint32_t layer, enum kv_part part, uint32_t kv_head,
                  uint32_t row, const float *x)
{
    const struct row_place *place = &shard->places[row];
    const uint32_t page_tokens = shard->options.page_tokens;
    unsigned char *rows = page_pool_head(&shard->pool, place->pages[place->position / page_tokens],
                                         layer, part, kv_head);

    kv_rows_store(&shard->ops, shard->pool.format, part, rows, place->position % page_tokens, x,
                  shard->weights.shape.head_dim);
}

static struct attend_state state_from(const struct attend_state *s, size_t query, size_t dim)
{
    return (struct attend_state){ s->max + query, s->total + query, s->sum + query * dim };
}

/* The queries of the tile, scaled so that scores are exponents of two. */
static void gather(const struct job *job)
{
    const struct model_shape *shape = &job->shard->weights.shape;
    const size_t width = (size_t)job->group * shape->head_dim;
    const float scale = 0x1.715476p+0f / sqrtf((float)shape->head_dim); /* log2(e) / sqrt(dim) */

    for (uint32_t r = 0; r < job->task->n_rows; r++) {
        const size_t row = (size_t)job->task->first_row + r;
        const float *q = job->shard->q + (row * shape->n_kv_head + job->kv_head) * width;

        for (size_t i = 0; i < width; i++)
            job->bench->q[r * width + i] = q[i] * scale;
    }
}

/* Positions of the segment that row r of the tile sees. */
static uint32_t n_seen(const struct job *job, uint32_t start, uint32_t r)
{
    return (uint32_t)size_min(ATTEND_SEGMENT, job->position + r + 1 - start);
}

/* What a page holds of the first n positions of the segment, from position `at` of it. */
static struct kv_rows rows_of(const struct job *job, enum kv_part part, uint32_t start, uint32_t at,
                              uint32_t n)
{
    const uint32_t page_tokens = job->shard->options.page_tokens;
    const uint32_t page = job->pages[(start + at) / page_tokens];

    return (
        struct kv_rows){ page_pool_head(&job->shard->pool, page, job->layer, part, job->kv_head),
                         size_min(page_tokens, n - at), job->shard->weights.shape.head_dim };
}

/* Ask for rows that are needed soon: the machine does not see by itself where the next page is. */
static void ask_for(const struct job *job, const struct kv_rows *rows)
{
    const size_t panels = (rows->n + KV_PANEL - 1) / KV_PANEL;
    const size_t n_bytes = panels * kv_panel_bytes(job->shard->pool.format, rows->dim);

    for (size_t at = 0; at < n_bytes; at += CACHE_LINE)
        __builtin_prefetch(rows->data + at, 0, 2);
}

/* The page after the one at `at`; after the last page of keys, the first one of values. */
static void ask_for_next(const struct job *job, enum kv_part part, uint32_t start, uint32_t at,
                         uint32_t n)
{
    const uint32_t next = at + job->shard->options.page_tokens;
    struct kv_rows rows;

    if (next < n)
        rows = rows_of(job, part, start, next, n);
    else if (part == KV_KEY)
        rows = rows_of(job, KV_VALUE, start, 0, n);
    else
        return;
    ask_for(job, &rows);
}

static void scores(const struct job *job, const struct seeing *s)
{
    const struct cpu_shard *shard = job->shard;
    const size_t first = (size_t)s->first_row * job->group;
    const uint32_t n = n_seen(job, s->start, s->first_row + s->n_rows - 1);

    for (uint32_t at = 0; at < n; at += shard->options.page_tokens) {
        const struct kv_rows keys = rows_of(job, KV_KEY, s->start, at, n);

        ask_for_next(job, KV_KEY, s->start, at, n);
        shard->ops.attention_scores[shard->pool.format](
            job->bench->score + first * ATTEND_SEGMENT + at, ATTEND_SEGMENT,
            job->bench->q + first * keys.dim, (size_t)s->n_rows * job->group, &keys);
    }
}

static void softmax(const struct job *job, const struct seeing *s, const struct attend_state *state)
{
    for (uint32_t r = s->first_row; r < s->first_row + s->n_rows; r++)
        for (uint32_t i = r * job->group; i < (r + 1) * job->group; i++)
            state->total[i] =
                job->shard->ops.softmax(job->bench->score + (size_t)i * ATTEND_SEGMENT,
                                        n_seen(job, s->start, r), &state->max[i]);
}

/* Values of one page for rows that see the same of it. */
static void mix_rows(const struct job *job, uint32_t first_row, uint32_t n_rows, uint32_t at,
                     const struct kv_rows *values, const struct attend_state *state)
{
    const struct cpu_shard *shard = job->shard;
    const size_t first = (size_t)first_row * job->group;

    shard->ops.attention_mix[shard->pool.format](
        state->sum + first * values->dim, job->bench->score + first * ATTEND_SEGMENT + at,
        ATTEND_SEGMENT, (size_t)n_rows * job->group, values);
}

static void mix(const struct job *job, const struct seeing *s, const struct attend_state *state)
{
    const uint32_t page_tokens = job->shard->options.page_tokens;
    const uint32_t end = s->first_row + s->n_rows, n = n_seen(job, s->start, end - 1);
    const size_t dim = job->shard->weights.shape.head_dim;

    memset(state->sum + (size_t)s->first_row * job->group * dim, 0,
           (size_t)s->n_rows * job->group * dim * sizeof(float));
    for (uint32_t at = 0; at < n; at += page_tokens) {
        uint32_t r = s->first_row;

        ask_for_next(job, KV_VALUE, s->start, at, n);
        for (; r < end && n_seen(job, s->start, r) < size_min(at + page_tokens, n); r++)
            if (n_seen(job, s->start, r) > at) {
                const struct kv_rows values =
                    rows_of(job, KV_VALUE, s->start, at, n_seen(job, s->start, r));

                mix_rows(job, r, 1, at, &values, state);
            }
        if (r < end) {
            const struct kv_rows values = rows_of(job, KV_VALUE, s->start, at, n);

            mix_rows(job, r, end - r, at, &values, state);
        }
    }
}

/* One segment, into `state`; ret says whose queries see any of it: the last rows of the tile. */
static struct seeing attend_segment(const struct job *job, uint32_t segment,
                                    const struct attend_state *state)
{
    const uint32_t start = segment * ATTEND_SEGMENT;
    const uint32_t first = start > job->position ? start - job->position : 0;
    const struct seeing s = { first, job->task->n_rows - first, start };

    scores(job, &s);
    softmax(job, &s, state);
    mix(job, &s, state);
    return s;
}

/* into = into and from, which comes after it; one query. */
static void merge(const struct attend_state *into, const struct attend_state *from, size_t dim)
{
    const float max = *into->max > *from->max ? *into->max : *from->max;
    const float keep = exp2f(*into->max - max), add = exp2f(*from->max - max);
    float *restrict sum = into->sum;
    const float *restrict more = from->sum;

    *into->max = max;
    *into->total = *into->total * keep + *from->total * add;
    for (size_t i = 0; i < dim; i++)
        sum[i] = sum[i] * keep + more[i] * add;
}

static void merge_seen(const struct job *job, const struct seeing *s,
                       const struct attend_state *into, const struct attend_state *from)
{
    const size_t dim = job->shard->weights.shape.head_dim;

    for (uint32_t i = s->first_row * job->group; i < (s->first_row + s->n_rows) * job->group; i++) {
        const struct attend_state a = state_from(into, i, dim), b = state_from(from, i, dim);

        merge(&a, &b, dim);
    }
}

static void finish(const struct job *job, const struct attend_state *state)
{
    const struct model_shape *shape = &job->shard->weights.shape;
    const size_t dim = shape->head_dim;

    for (uint32_t i = 0; i < job->task->n_rows * job->group; i++) {
        const size_t row = job->task->first_row + i / job->group;
        const size_t head = (size_t)job->kv_head * job->group + i % job->group;
        float *mixed = job->shard->mixed + (row * shape->n_head + head) * dim;
        const float factor = 1 / state->total[i], *sum = state->sum + i * dim;

        for (size_t j = 0; j < dim; j++)
            mixed[j] = sum[j] * factor;
    }
}

/* The first segment is seen by every row, so it may begin the state of all. */
static void all_segments(const struct job *job)
{
    const struct attend_state *all = &job->bench->all, *part = &job->bench->part;

    (void)attend_segment(job, 0, all);
    for (uint32_t i = 1; i < job->task->n_segments; i++) {
        const struct seeing s = attend_segment(job, i, part);

        merge_seen(job, &s, all, part);
    }
    finish(job, all);
}

static struct attend_state segment_state(const struct job *job, uint32_t segment)
{
    const struct attend_plan *plan = &job->shard->attend;
    const size_t n = (size_t)job->task->n_rows * job->group;
    const size_t at = (size_t)segment * job->shard->weights.shape.n_kv_head + job->kv_head;
    float *floats = plan->states + job->task->states + at * n * plan->state_floats;

    return (struct attend_state){ floats, floats + n, floats + 2 * n };
}

static void merge_segments(const struct job *job)
{
    const struct attend_state all = segment_state(job, 0);

    for (uint32_t i = 1; i < job->task->n_segments; i++) {
        const uint32_t start = i * ATTEND_SEGMENT;
        const uint32_t first = start > job->position ? start - job->position : 0;
        const struct seeing s = { first, job->task->n_rows - first, start };
        const struct attend_state part = segment_state(job, i);

        merge_seen(job, &s, &all, &part);
    }
    finish(job, &all);
}

static void one_segment(const struct job *job)
{
    const struct model_shape *shape = &job->shard->weights.shape;
    const struct attend_state state = segment_state(job, (uint32_t)job->task->segment);
    atomic_uint *n_left =
        &job->shard->attend.n_left[(size_t)job->task->tile * shape->n_kv_head + job->kv_head];

    (void)attend_segment(job, (uint32_t)job->task->segment, &state);
    if (atomic_fetch_sub_explicit(n_left, 1, memory_order_acq_rel) > 1)
        return;
    atomic_store_explicit(n_left, job->task->n_segments, memory_order_relaxed);
    merge_segments(job);
}

void cpu_attend(struct cpu_shard *shard, struct attend_bench *bench, uint32_t layer,
                const struct attend_task *task, uint32_t kv_head)
{
    const struct model_shape *shape = &shard->weights.shape;
    const struct row_place *place = &shard->places[task->first_row];
    const struct job job = { .shard = shard,
                             .bench = bench,
                             .task = task,
                             .layer = layer,
                             .kv_head = kv_head,
                             .group = cpu_group(shape),
                             .position = place->position,
                             .pages = place->pages };

    gather(&job);
    if (task->segment == ATTEND_ALL)
        all_segments(&job);
    else
        one_segment(&job);
}
