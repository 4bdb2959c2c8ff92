/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_set.c - lay out all matrices in one mapping, then pack them by all workers.
 *
 * Matrix follows matrix, so what is read from a file is read in the order it most likely has
 * there.  A matrix that is packed is not needed again as it was; where it lies in a file
 * its memory is given back, so that at no time all weights are there twice.
 */
#include "engine/cpu/panel_set.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/size.h"

enum {
    TASK_BYTES = 256 * 1024,
    LAYER_MATRICES = sizeof(struct layer_panels) / sizeof(struct panels),
};

/* From a matrix to its panels. */
struct job {
    const struct matrix *w;
    struct panels *panels;
    unsigned char *to; /* what panels->data will be */
    size_t panel_bytes;
    uint32_t panels_per_task;
};

struct packing {
    const struct shard_weights *weights;
    const struct engine_options *options;
    struct crew *crew;
    struct job *jobs;
    size_t n_jobs;
    uint64_t done_bytes, total_bytes; /* of panels */
};

static size_t job_bytes(const struct job *job)
{
    return panel_count(job->w->n_rows) * job->panel_bytes;
}

static void add_job(struct packing *p, const struct matrix *w, struct panels *panels)
{
    struct job job = { .w = w, .panels = panels, .panel_bytes = panel_bytes(w->dtype, w->n_cols) };

    job.panels_per_task = (uint32_t)size_max(1, TASK_BYTES / job.panel_bytes);
    p->jobs[p->n_jobs++] = job;
    p->total_bytes += job_bytes(&job);
}

static void add_jobs(struct packing *p, struct panel_set *set)
{
    const struct shard_weights *weights = p->weights;

    for (uint32_t i = 0; i < weights->n_layers; i++) {
        const struct layer_weights *l = &weights->layers[i];
        struct layer_panels *to = &set->layers[i];

        add_job(p, &l->q, &to->q);
        add_job(p, &l->k, &to->k);
        add_job(p, &l->v, &to->v);
        add_job(p, &l->o, &to->o);
        add_job(p, &l->gate, &to->gate);
        add_job(p, &l->up, &to->up);
        add_job(p, &l->down, &to->down);
    }
    if (weights->output.data)
        add_job(p, &weights->output, &set->output);
}

static void lay_out(const struct packing *p, const struct panel_set *set)
{
    size_t at = 0;

    for (size_t i = 0; i < p->n_jobs; i++) {
        struct job *job = &p->jobs[i];

        job->to = set->data + at;
        *job->panels = (struct panels){ job->w->dtype, job->w->n_rows, job->w->n_cols, job->to };
        at += job_bytes(job);
    }
}

static void pack_matrix(struct crew *crew, unsigned worker, const struct job *job)
{
    const uint32_t n = panel_count(job->w->n_rows), step = job->panels_per_task;

    for (uint32_t task; crew_take(crew, worker, n / step + (n % step != 0), &task);)
        for (uint32_t i = task * step; i < n && i < (task + 1) * step; i++)
            panel_pack(job->w, i, job->to + i * job->panel_bytes);
    crew_barrier(crew);
}

/* Whole system pages of a matrix: advice about them, which its neighbours do not notice. */
static void advise(const struct matrix *w, int advice)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), start = (uintptr_t)w->data;
    const uintptr_t first = (start + page - 1) / page * page;
    const uintptr_t end = (start + w->n_rows * dtype_row_bytes(w->dtype, w->n_cols)) / page * page;

    if (first < end)
        (void)madvise((void *)first, end - first, advice);
}

static void after_matrix(struct packing *p, const struct job *job)
{
    const struct engine_options *o = p->options;

    if (p->weights->is_file_mapped)
        advise(job->w, MADV_DONTNEED);
    p->done_bytes += job_bytes(job);
    if (o->on_progress)
        o->on_progress(o->progress_arg, p->done_bytes, p->total_bytes);
}

static void pack_all(void *arg, unsigned worker)
{
    struct packing *p = arg;

    for (size_t i = 0; i < p->n_jobs; i++) {
        if (worker == 0 && p->weights->is_file_mapped && i + 1 < p->n_jobs)
            advise(p->jobs[i + 1].w, MADV_WILLNEED); /* reads while this one is packed */
        pack_matrix(p->crew, worker, &p->jobs[i]);
        if (worker == 0)
            after_matrix(p, &p->jobs[i]);
    }
}

/* Panels are read from end to end in each step: large pages spare most of the address lookups. */
static unsigned char *map_panels(size_t n_bytes)
{
    void *data = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (data == MAP_FAILED)
        return NULL;
#if defined(MADV_HUGEPAGE)
    (void)madvise(data, n_bytes, MADV_HUGEPAGE);
#endif
    return data;
}

enum status panel_set_init(struct panel_set *ret_set, const struct shard_weights *weights,
                           const struct engine_options *options, struct crew *crew, struct err *err)
{
    struct packing p = { .weights = weights, .options = options, .crew = crew };
    struct panel_set set = { .layers = calloc(weights->n_layers, sizeof(*set.layers)) };

    p.jobs = calloc((size_t)weights->n_layers * LAYER_MATRICES + 1, sizeof(*p.jobs));
    if (p.jobs && set.layers) {
        add_jobs(&p, &set);
        set.data = map_panels(p.total_bytes);
    }
    if (!set.data) {
        free(p.jobs);
        panel_set_release(&set);
        return err_set(err, ST_NOMEM, "open shard: %llu bytes of weights: out of memory",
                       (unsigned long long)p.total_bytes);
    }
    set.n_bytes = p.total_bytes;
    lay_out(&p, &set);
    crew_run(crew, pack_all, &p);
    free(p.jobs);
    *ret_set = set;
    return ST_OK;
}

void panel_set_release(struct panel_set *set)
{
    if (set->data)
        munmap(set->data, set->n_bytes);
    free(set->layers);
    *set = (struct panel_set){ 0 };
}
