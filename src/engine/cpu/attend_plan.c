/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/attend_plan.c - memory of attention, and its tasks for one batch. */
#include <stdlib.h>

#include "base/size.h"
#include "engine/cpu/attend.h"
#include "engine/cpu/shard.h"

static float *floats_new(size_t n)
{
    size_t bytes;

    if (!size_mul(n, sizeof(float), &bytes) || bytes > SIZE_MAX - KERNEL_ALIGN)
        return NULL;
    return aligned_alloc(KERNEL_ALIGN, size_round_up(size_max(bytes, 1), KERNEL_ALIGN));
}

/* Room for every row to be a sequence of its own and all pages to be theirs; sequences that share
 * pages may want more, and then have tasks with all segments.  Tasks: one for each row at most, and
 * one more for each segment there is room for. */
bool attend_plan_init(struct attend_plan *plan, const struct model_shape *shape,
                      const struct engine_options *options)
{
    const uint64_t positions = (uint64_t)options->n_pages * options->page_tokens;
    const size_t n_segments = (size_t)(positions / ATTEND_SEGMENT) + options->max_rows;
    const uint32_t group = cpu_group(shape);
    size_t n_left;

    *plan = (struct attend_plan){ .state_floats = (size_t)shape->head_dim + 2 };
    plan->n_tile_rows = group < ATTEND_QUERIES ? ATTEND_QUERIES / group : 1;
    plan->n_queries = plan->n_tile_rows * group;
    if (n_segments > UINT32_MAX - options->max_rows ||
        !size_mul(n_segments, shape->n_head * plan->state_floats, &plan->max_states) ||
        !size_mul(options->max_rows, shape->n_kv_head, &n_left))
        return false;
    plan->max_tasks = options->max_rows + (uint32_t)n_segments;
    plan->tasks = calloc(plan->max_tasks, sizeof(*plan->tasks));
    plan->states = floats_new(plan->max_states);
    plan->n_left = calloc(n_left, sizeof(*plan->n_left));
    return plan->tasks && plan->states && plan->n_left;
}

void attend_plan_release(struct attend_plan *plan)
{
    free(plan->tasks);
    free(plan->states);
    free(plan->n_left);
    *plan = (struct attend_plan){ 0 };
}

static struct attend_state state_in(float *floats, uint32_t n_queries)
{
    if (!floats)
        return (struct attend_state){ 0 };
    return (struct attend_state){ floats, floats + n_queries, floats + (size_t)2 * n_queries };
}

bool attend_bench_init(struct attend_bench *bench, const struct attend_plan *plan,
                       const struct model_shape *shape)
{
    const size_t n = plan->n_queries;
    float *all = floats_new(n * plan->state_floats), *part = floats_new(n * plan->state_floats);

    bench->q = floats_new(n * shape->head_dim);
    bench->score = floats_new(n * ATTEND_SEGMENT);
    bench->all = state_in(all, plan->n_queries);
    bench->part = state_in(part, plan->n_queries);
    return bench->q && bench->score && all && part;
}

void attend_bench_release(struct attend_bench *bench)
{
    free(bench->q);
    free(bench->score);
    free(bench->all.max); /* where its memory begins */
    free(bench->part.max);
    *bench = (struct attend_bench){ 0 };
}

static void add_task(struct attend_plan *plan, const struct attend_task *task, int32_t segment)
{
    struct attend_task *to = &plan->tasks[plan->n_tasks++];

    *to = *task;
    to->segment = segment;
}

/* False where there is no room, or nothing to gain. */
static bool add_in_segments(struct attend_plan *plan, const struct model_shape *shape,
                            struct attend_task *task)
{
    const size_t states =
        (size_t)task->n_rows * task->n_segments * shape->n_head * plan->state_floats;

    if (task->n_segments < 2 || states > plan->max_states - plan->n_states)
        return false;
    task->states = plan->n_states;
    task->tile = plan->n_tiles++;
    plan->n_states += states;
    for (uint32_t i = 0; i < task->n_segments; i++)
        add_task(plan, task, (int32_t)i);
    for (uint32_t i = 0; i < shape->n_kv_head; i++)
        atomic_store_explicit(&plan->n_left[(size_t)task->tile * shape->n_kv_head + i],
                              task->n_segments, memory_order_relaxed);
    return true;
}

/* Longest tiles first, so that short ones even out the end. */
static void plan_span(struct attend_plan *plan, const struct engine_span *span)
{
    const uint32_t n_tiles = (span->n_rows + plan->n_tile_rows - 1) / plan->n_tile_rows;

    for (uint32_t i = n_tiles; i-- > 0;) {
        const uint32_t first = i * plan->n_tile_rows;
        const uint32_t n = (uint32_t)size_min(plan->n_tile_rows, span->n_rows - first);
        const struct attend_task task = {
            .first_row = span->first_row + first,
            .n_rows = n,
            .n_segments = (span->start + first + n + ATTEND_SEGMENT - 1) / ATTEND_SEGMENT,
        };

        add_task(plan, &task, ATTEND_ALL);
    }
}

void attend_plan_batch(struct attend_plan *plan, const struct model_shape *shape,
                       const struct engine_batch *batch)
{
    plan->n_tasks = plan->n_tiles = 0;
    plan->n_states = 0;
    for (uint32_t i = 0; i < batch->n_spans; i++) { /* the largest first */
        const struct engine_span *span = &batch->spans[i];

        if (span->n_rows > plan->n_tile_rows)
            plan_span(plan, span);
    }
    for (uint32_t i = 0; i < batch->n_spans; i++) {
        const struct engine_span *span = &batch->spans[i];
        struct attend_task task = {
            .first_row = span->first_row,
            .n_rows = span->n_rows,
            .n_segments = (span->start + span->n_rows + ATTEND_SEGMENT - 1) / ATTEND_SEGMENT,
        };

        if (span->n_rows <= plan->n_tile_rows && !add_in_segments(plan, shape, &task))
            add_task(plan, &task, ATTEND_ALL);
    }
}
