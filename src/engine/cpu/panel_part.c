/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_part.c - open, check, pack and warm one part. */
#include "engine/cpu/panel_part.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/paths.h"
#include "base/size.h"
#include "engine/cpu/panel_writer.h"

enum {
    SYSTEM_PAGE_BYTES = 4096, /* the smallest of any machine here */
    WARM_BYTES = 8 * 1024 * 1024,
};

void panel_load_report(struct panel_load *load)
{
    if (load->options->on_progress)
        load->options->on_progress(load->options->progress_arg, atomic_load(&load->done_bytes),
                                   load->total_bytes);
}

static void add_done(const struct panel_hand *hand, uint64_t n_bytes)
{
    atomic_fetch_add(&hand->load->done_bytes, n_bytes);
    if (hand->is_caller)
        panel_load_report(hand->load);
}

static void tell_place(struct panel_part *part, const unsigned char *base)
{
    for (uint32_t i = 0; i < part->n; i++) {
        const struct panel_tensor *t = &part->plan.tensors[i];

        *part->panels[i] = (struct panels){ t->dtype, t->n_rows, t->n_cols, base + t->at };
    }
}

/* The last slice of each tensor. */
static bool is_sound(const struct panel_part *part)
{
    for (uint32_t i = 0; i < part->n; i++) {
        const struct panel_tensor *t = &part->plan.tensors[i];

        if (!panel_file_check_slice(&part->file, &part->plan, t->first_slice + t->n_slices - 1))
            return false;
    }
    return true;
}

enum status panel_part_open(struct panel_part *part, const char *dir, struct err *err)
{
    char path[PATH_MAX_BYTES];
    enum status s = path_join(dir, part->name, path, err);

    if (s == ST_OK)
        s = panel_file_open(path, &part->plan, part->key, &part->file, err);
    if (s != ST_OK)
        return s;
    if (!is_sound(part)) {
        panel_file_close(&part->file);
        return err_set(err, ST_FORMAT, "'%s' is damaged", path);
    }
    tell_place(part, part->file.base);
    return ST_OK;
}

/* ---- packing ---- */

static void advise(const void *at, size_t n, int advice)
{
    const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE), first = (uintptr_t)at / page * page;

    (void)madvise((void *)first, (uintptr_t)at + n - first, advice);
}

void panel_advise_matrix(const struct matrix *w, int advice)
{
    if (w->n_rows > 0)
        advise(w->data, matrix_span_bytes(w, w->n_rows), advice);
}

static void let_go(const struct matrix *w, const struct panel_slice *slice)
{
    const uint32_t first = slice->first_panel * PANEL_ROWS;
    const size_t n_rows = size_min((size_t)slice->n_panels * PANEL_ROWS, w->n_rows - first);

    advise((const unsigned char *)w->data + first * matrix_stride(w), matrix_span_bytes(w, n_rows),
           MADV_DONTNEED);
}

static void pack_slice(const struct panel_hand *hand, const struct panel_part *part,
                       const struct panel_slice *slice, unsigned char *to)
{
    const struct matrix *w = part->matrices[slice->tensor];
    const size_t one = part->plan.tensors[slice->tensor].panel_bytes;

    for (uint32_t i = 0; i < slice->n_panels; i++)
        panel_pack(w, slice->first_panel + i, to + i * one);
    if (hand->load->is_file_mapped)
        let_go(w, slice);
}

/* The system reads a part's matrices while their first rows are packed. */
static void ask_for(const struct panel_hand *hand, const struct panel_part *part)
{
    for (uint32_t i = 0; i < part->n && hand->load->is_file_mapped; i++)
        panel_advise_matrix(part->matrices[i], MADV_WILLNEED);
}

void panel_part_pack(const struct panel_hand *hand, struct panel_part *part, unsigned char *memory)
{
    ask_for(hand, part);
    for (uint32_t i = 0; i < part->plan.n_slices; i++) {
        const struct panel_slice slice = panel_plan_slice(&part->plan, i);

        pack_slice(hand, part, &slice, memory + slice.at);
        add_done(hand, slice.n_bytes);
    }
    part->is_packed = true;
    tell_place(part, memory);
}

static enum status pack_into(const struct panel_hand *hand, struct panel_part *part,
                             struct panel_writer *writer, struct err *err)
{
    const size_t room_bytes = panel_plan_slice_bytes(&part->plan);
    unsigned char *room = aligned_alloc(PANEL_ALIGN, size_round_up(room_bytes, PANEL_ALIGN));
    uint64_t done_bytes = 0;
    enum status s = ST_OK;

    if (!room)
        return err_set(err, ST_NOMEM, "no memory to pack '%s'", part->name);
    ask_for(hand, part);
    for (uint32_t i = 0; i < part->plan.n_slices && s == ST_OK; i++) {
        const struct panel_slice slice = panel_plan_slice(&part->plan, i);

        pack_slice(hand, part, &slice, room);
        s = panel_writer_put(writer, i, room, err);
        add_done(hand, slice.n_bytes);
        done_bytes += slice.n_bytes;
    }
    if (s != ST_OK)
        atomic_fetch_sub(&hand->load->done_bytes, done_bytes);
    free(room);
    return s;
}

enum status panel_part_save(const struct panel_hand *hand, struct panel_part *part, const char *dir,
                            struct err *err)
{
    struct panel_writer *writer = NULL;
    enum status s = panel_writer_new(dir, part->name, &part->plan, &writer, err);

    if (s != ST_OK)
        return s;
    if (panel_part_open(part, dir, NULL) == ST_OK) {
        panel_writer_abandon(writer);
        return ST_OK;
    }
    s = pack_into(hand, part, writer, err);
    if (s != ST_OK) {
        panel_writer_abandon(writer);
        return s;
    }
    s = panel_writer_commit(writer, part->key, err);
    if (s == ST_OK)
        s = panel_part_open(part, dir, err);
    part->is_packed = s == ST_OK;
    return s;
}

/* ---- warming ---- */

/* The page tables at once where the system can; else by reading a byte of each page. */
static void warm(const unsigned char *at, size_t n)
{
#if defined(MADV_POPULATE_READ)
    if (madvise((void *)(uintptr_t)at, n, MADV_POPULATE_READ) == 0)
        return;
#endif
    for (size_t i = 0; i < n; i += SYSTEM_PAGE_BYTES)
        (void)*(const volatile unsigned char *)(at + i);
}

static void warm_tensor(const struct panel_hand *hand, const struct panel_part *part,
                        const struct panel_tensor *t)
{
    const uint64_t n_bytes = panel_tensor_bytes(t);

    for (uint64_t at = 0; at < n_bytes; at += WARM_BYTES) {
        const size_t n = size_min(WARM_BYTES, n_bytes - at);

        warm(part->file.base + t->at + at, n);
        if (!part->is_packed)
            add_done(hand, n);
    }
}

/* The system reads on while the first pages are entered.  One with large pages for files does so
 * by itself, and would use small ones for what is asked for here. */
static void read_ahead(const struct panel_file *file)
{
#if defined(MADV_HUGEPAGE)
    (void)file;
#else
    (void)madvise((void *)(uintptr_t)file->base, file->n_bytes, MADV_WILLNEED);
#endif
}

void panel_part_warm(const struct panel_hand *hand, const struct panel_part *part)
{
    if (!part->is_packed)
        read_ahead(&part->file);
    for (uint32_t i = 0; i < part->n; i++)
        warm_tensor(hand, part, &part->plan.tensors[i]);
}
