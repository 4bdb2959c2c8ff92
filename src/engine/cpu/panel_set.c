/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_set.c - map what was kept, pack and keep what is missing, else pack into memory.
 *
 *     open     files of any of the folders that fit, by a sample of each
 *     save     missing parts that no other process is at
 *     await    parts that another process was at: two nodes that load one model at a
 *              time share the work, and then the memory
 *     pack     what is still missing, into memory
 *     warm     page tables and, on a cold start, reading
 */
#include "engine/cpu/panel_set.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/clock.h"
#include "base/paths.h"
#include "base/size.h"
#include "engine/cpu/panel_part.h"
#include "engine/cpu/panel_writer.h"

enum {
    AWAIT_MS = 120000, /* another process may write to a slow disk */
    AWAIT_LOOK_MS = 20,
    LAYER_NAME_MAX = 24,
};

static const uint32_t role_of_output = UINT32_MAX;

struct making {
    struct panel_load load;
    struct crew *crew;
    const struct shard_weights *weights;
    struct panel_set *set;
    const struct engine_keep *keep;
    const char *dir; /* where missing files are made; NULL: nowhere */
    bool has_told;   /* keep->on_lost */

    /* While files are made. */
    atomic_uint n_busy;     /* parts another process is at */
    atomic_bool has_failed; /* then the rest need not be tried */
    pthread_mutex_t lock;   /* of: */
    struct err why;         /* the first failure */
};

/* ---- the parts ---- */

static void add_matrix(struct panel_part *part, const struct matrix *w, struct panels *panels)
{
    part->matrices[part->n] = w;
    part->panels[part->n++] = panels;
}

/* A number, or its portion. */
static uint64_t role_of(const struct making *m, uint32_t number)
{
    const struct portion *p = &m->weights->portion;

    return p->n_members > 0 ? XXH3_64bits_withSeed(p, sizeof(*p), number) : number;
}

/* "layer-007", or "layer-007.1of3" of the second of three members. */
static void name_part(const struct making *m, const char *what, struct panel_part *part)
{
    const struct portion *p = &m->weights->portion;

    if (p->n_members > 0)
        snprintf(part->name, sizeof(part->name), "%s.%uof%u", what, p->member, p->n_members);
    else
        snprintf(part->name, sizeof(part->name), "%s", what);
}

/* The key's samples bring in large pages, which add up. */
static void take_key(struct making *m, struct panel_part *part, uint32_t number)
{
    panel_key(m->keep->key, role_of(m, number), part->matrices, part->n, part->key);
    for (uint32_t i = 0; i < part->n && m->load.is_file_mapped; i++)
        panel_advise_matrix(part->matrices[i], MADV_DONTNEED);
}

static void finish_part(struct making *m, struct panel_part *part, uint32_t number)
{
    panel_plan_init(&part->plan, part->matrices, part->n);
    if (m->keep->dirs[0])
        take_key(m, part, number);
    for (uint32_t i = 0; i < part->n; i++)
        m->load.total_bytes += panel_tensor_bytes(&part->plan.tensors[i]);
}

static void add_layer(struct making *m, uint32_t layer)
{
    const struct layer_weights *l = &m->weights->layers[layer];
    struct layer_panels *to = &m->set->layers[layer];
    struct panel_part *part = &m->set->parts[m->set->n_parts++];
    const uint32_t number = m->weights->first_layer + layer;
    char name[LAYER_NAME_MAX];

    snprintf(name, sizeof(name), "layer-%03u", number);
    name_part(m, name, part);
    if (l->q.n_rows > 0) {
        add_matrix(part, &l->q, &to->q);
        add_matrix(part, &l->k, &to->k);
        add_matrix(part, &l->v, &to->v);
        add_matrix(part, &l->o, &to->o);
    }
    add_matrix(part, &l->gate, &to->gate);
    add_matrix(part, &l->up, &to->up);
    add_matrix(part, &l->down, &to->down);
    finish_part(m, part, number);
}

static void add_output(struct making *m)
{
    struct panel_part *part = &m->set->parts[m->set->n_parts++];

    name_part(m, "output", part);
    add_matrix(part, &m->weights->output, &m->set->output);
    finish_part(m, part, role_of_output);
}

static bool add_parts(struct making *m)
{
    const uint32_t n = m->weights->n_layers;

    m->set->layers = calloc(n, sizeof(*m->set->layers));
    m->set->parts = calloc((size_t)n + 1, sizeof(*m->set->parts));
    if (!m->set->layers || !m->set->parts)
        return false;
    for (uint32_t i = 0; i < n; i++)
        add_layer(m, i);
    if (m->weights->output.data)
        add_output(m);
    return true;
}

static bool is_missing(const struct panel_part *part)
{
    return !part->file.base && !part->is_packed;
}

/* ---- files ---- */

/* Once is enough: what ails one file of a folder ails them all. */
static void tell_lost(struct making *m, const struct err *why)
{
    if (!m->has_told && m->keep->on_lost)
        m->keep->on_lost(m->keep->arg, why);
    m->has_told = true;
}

/* What each worker does with the parts it takes. */
typedef void (*visit_fn)(struct making *m, const struct panel_hand *hand, struct panel_part *part);

struct visiting {
    struct making *m;
    visit_fn visit;
    atomic_uint n_taken; /* parts; a crew's own tasks last microseconds, a part lasts longer */
};

/* From the last part, which is the largest where it is the output: so none is left with a
 * large one at the end. */
static void visit_some(void *arg, unsigned worker)
{
    struct visiting *v = arg;
    const struct panel_hand hand = { &v->m->load, worker == 0 };
    const uint32_t n = v->m->set->n_parts;

    for (uint32_t i; (i = atomic_fetch_add(&v->n_taken, 1)) < n;)
        v->visit(v->m, &hand, &v->m->set->parts[n - 1 - i]);
}

static void visit_parts(struct making *m, visit_fn visit)
{
    struct visiting v = { .m = m, .visit = visit };

    crew_run(m->crew, visit_some, &v);
}

static void open_part(struct making *m, const struct panel_hand *hand, struct panel_part *part)
{
    (void)hand;
    for (size_t d = 0; d < ENGINE_KEEP_DIRS && m->keep->dirs[d] && is_missing(part); d++)
        (void)panel_part_open(part, m->keep->dirs[d], NULL);
}

/* The first folder that would take everything missing. */
static void choose_folder(struct making *m)
{
    uint64_t n_bytes = 0, largest = 0;
    struct err err = { 0 };

    for (uint32_t i = 0; i < m->set->n_parts; i++) {
        if (!is_missing(&m->set->parts[i]))
            continue;
        n_bytes += m->set->parts[i].plan.n_bytes;
        largest = size_max(largest, m->set->parts[i].plan.n_bytes);
    }
    if (n_bytes == 0 || !m->keep->dirs[0])
        return;
    for (size_t d = 0; d < ENGINE_KEEP_DIRS && m->keep->dirs[d] && !m->dir; d++)
        if (panel_folder_make(m->keep->dirs[d], n_bytes, largest, &err) == ST_OK)
            m->dir = m->keep->dirs[d];
    if (!m->dir)
        tell_lost(m, &err);
}

/* What a larger model of the same name left: nothing would ever replace it. */
static void remove_surplus(const struct making *m)
{
    char name[PANEL_NAME_MAX], path[PATH_MAX_BYTES];

    for (uint32_t i = m->weights->shape.n_layer;; i++) {
        snprintf(name, sizeof(name), "layer-%03u", i);
        if (path_join(m->dir, name, path, NULL) != ST_OK || unlink(path) != 0)
            return;
    }
}

static void fail(struct making *m, const struct err *why)
{
    pthread_mutex_lock(&m->lock);
    if (!atomic_exchange(&m->has_failed, true))
        m->why = *why;
    pthread_mutex_unlock(&m->lock);
}

static void save_part(struct making *m, const struct panel_hand *hand, struct panel_part *part)
{
    struct err err = { 0 };
    enum status s;

    if (!is_missing(part) || atomic_load(&m->has_failed))
        return;
    s = panel_part_save(hand, part, m->dir, &err);
    if (s == ST_PEER)
        atomic_fetch_add(&m->n_busy, 1);
    else if (s != ST_OK)
        fail(m, &err);
}

static void save_parts(struct making *m)
{
    atomic_store(&m->n_busy, 0);
    visit_parts(m, save_part);
}

static void pause_ms(unsigned ms)
{
    const struct timespec wait = { .tv_nsec = (long)(ms * NS_PER_MS) };

    (void)nanosleep(&wait, NULL);
}

static void make_files(struct making *m)
{
    const uint64_t deadline_ns = deadline_after_ms(AWAIT_MS);

    save_parts(m);
    while (m->n_busy > 0 && !m->has_failed && clock_ns() < deadline_ns) {
        pause_ms(AWAIT_LOOK_MS);
        panel_load_report(&m->load); /* whoever watches this process sees that it lives */
        save_parts(m);
    }
    if (m->n_busy > 0 && !m->has_failed) {
        m->has_failed = true;
        (void)err_set(&m->why, ST_PEER, "another process did not finish the files in '%s'", m->dir);
    }
    if (m->has_failed)
        tell_lost(m, &m->why);
}

/* ---- memory ---- */

/* Panels are read from end to end in each step: large pages spare most of the address lookups. */
static unsigned char *map_memory(size_t n_bytes)
{
    void *memory = mmap(NULL, n_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (memory == MAP_FAILED)
        return NULL;
#if defined(MADV_HUGEPAGE)
    (void)madvise(memory, n_bytes, MADV_HUGEPAGE);
#endif
    return memory;
}

static void pack_part(struct making *m, const struct panel_hand *hand, struct panel_part *part)
{
    if (is_missing(part))
        panel_part_pack(hand, part, m->set->memory + part->memory_at);
}

static enum status pack_rest(struct making *m, struct err *err)
{
    struct panel_set *set = m->set;

    for (uint32_t i = 0; i < set->n_parts; i++) {
        if (!is_missing(&set->parts[i]))
            continue;
        set->parts[i].memory_at = set->n_memory_bytes;
        set->n_memory_bytes += size_round_up(set->parts[i].plan.n_bytes, PANEL_ALIGN);
    }
    if (set->n_memory_bytes == 0)
        return ST_OK;
    set->memory = map_memory(set->n_memory_bytes);
    if (!set->memory)
        return err_set(err, ST_NOMEM, "open shard: %zu bytes of weights: out of memory",
                       set->n_memory_bytes);
    visit_parts(m, pack_part);
    return ST_OK;
}

static void warm_part(struct making *m, const struct panel_hand *hand, struct panel_part *part)
{
    (void)m;
    if (part->file.base)
        panel_part_warm(hand, part);
}

/* Single rows of it are read by the steps; the system may begin to read it from a disk. */
static void ask_for_embedding(const struct shard_weights *weights)
{
    if (weights->embedding.data && weights->is_file_mapped)
        panel_advise_matrix(&weights->embedding, MADV_WILLNEED);
}

static enum status make(struct making *m, struct err *err)
{
    enum status s;

    if (!add_parts(m))
        return err_set(err, ST_NOMEM, "open shard: out of memory");
    visit_parts(m, open_part);
    choose_folder(m);
    if (m->dir) {
        remove_surplus(m);
        make_files(m);
    }
    s = pack_rest(m, err);
    if (s != ST_OK)
        return s;
    visit_parts(m, warm_part);
    panel_load_report(&m->load);
    ask_for_embedding(m->weights);
    return ST_OK;
}

enum status panel_set_init(struct panel_set *ret_set, const struct shard_weights *weights,
                           const struct engine_options *options, struct crew *crew, struct err *err)
{
    struct panel_set set = { 0 };
    struct making m = {
        .load = { .options = options, .is_file_mapped = weights->is_file_mapped },
        .crew = crew,
        .weights = weights,
        .set = &set,
        .keep = &options->keep,
    };
    enum status s;

    pthread_mutex_init(&m.lock, NULL);
    s = make(&m, err);
    pthread_mutex_destroy(&m.lock);
    if (s == ST_OK)
        *ret_set = set;
    else
        panel_set_release(&set);
    return s;
}

void panel_set_release(struct panel_set *set)
{
    for (uint32_t i = 0; set->parts && i < set->n_parts; i++)
        panel_file_close(&set->parts[i].file);
    if (set->memory)
        munmap(set->memory, set->n_memory_bytes);
    free(set->parts);
    free(set->layers);
    *set = (struct panel_set){ 0 };
}
