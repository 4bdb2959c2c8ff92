/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_file.c - lay a file of panels out; map one and see whether it fits. */
#include "engine/cpu/panel_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <xxhash.h>

#include "base/size.h"

enum {
    SAMPLES = 3, /* of each matrix, for the key */
    SAMPLE_BYTES = 4096,
    FIXED_PARTS = 3, /* what a key has before the samples */
};

static const char magic[8] = { 'P', 'O', 'M', 'P', 'A', 'N', 'E', 'L' };

/* As stored, without padding. */
struct head {
    char magic[8];
    uint32_t layout, n_tensors;
    uint8_t key[PANEL_KEY_BYTES];
    uint64_t n_bytes;
    uint32_t n_slices, slice_bytes;
    uint64_t sum; /* of head, table and sums, this field being 0 */
    uint64_t zero;
};

struct row {
    uint32_t dtype, n_rows, n_cols, n_slices;
    uint64_t at, n_bytes;
};

_Static_assert(sizeof(struct head) == 64 && sizeof(struct row) == 32, "stored without padding");

/* ---- the plan ---- */

static size_t fixed_bytes(uint32_t n_tensors)
{
    return sizeof(struct head) + n_tensors * sizeof(struct row);
}

size_t panel_head_bytes(const struct panel_plan *plan)
{
    return fixed_bytes(plan->n_tensors) + plan->n_slices * sizeof(uint64_t);
}

uint64_t panel_tensor_bytes(const struct panel_tensor *t)
{
    return (uint64_t)panel_count(t->n_rows) * t->panel_bytes;
}

static void plan_tensor(struct panel_plan *plan, struct panel_tensor *t, const struct matrix *w)
{
    *t = (struct panel_tensor){ .dtype = w->dtype,
                                .n_rows = w->n_rows,
                                .n_cols = w->n_cols,
                                .panel_bytes = panel_bytes(w->dtype, w->n_cols),
                                .first_slice = plan->n_slices };
    t->slice_panels = (uint32_t)size_max(1, PANEL_SLICE_BYTES / t->panel_bytes);
    t->n_slices = (panel_count(t->n_rows) + t->slice_panels - 1) / t->slice_panels;
    plan->n_slices += t->n_slices;
}

void panel_plan_init(struct panel_plan *plan, const struct matrix *const *matrices, uint32_t n)
{
    *plan = (struct panel_plan){ .n_tensors = n };
    for (uint32_t i = 0; i < n; i++)
        plan_tensor(plan, &plan->tensors[i], matrices[i]);
    plan->n_bytes = panel_head_bytes(plan);
    for (uint32_t i = 0; i < n; i++) {
        struct panel_tensor *t = &plan->tensors[i];

        t->at = size_round_up(plan->n_bytes, PANEL_FILE_ALIGN);
        plan->n_bytes = t->at + panel_tensor_bytes(t);
    }
}

struct panel_slice panel_plan_slice(const struct panel_plan *plan, uint32_t slice)
{
    struct panel_slice s = { 0 };
    const struct panel_tensor *t;

    while (slice - plan->tensors[s.tensor].first_slice >= plan->tensors[s.tensor].n_slices)
        s.tensor++;
    t = &plan->tensors[s.tensor];
    s.first_panel = (slice - t->first_slice) * t->slice_panels;
    s.n_panels = (uint32_t)size_min(t->slice_panels, panel_count(t->n_rows) - s.first_panel);
    s.at = t->at + (uint64_t)s.first_panel * t->panel_bytes;
    s.n_bytes = s.n_panels * t->panel_bytes;
    return s;
}

size_t panel_plan_slice_bytes(const struct panel_plan *plan)
{
    size_t most = 0;

    for (uint32_t i = 0; i < plan->n_tensors; i++)
        most = size_max(most, plan->tensors[i].slice_panels * plan->tensors[i].panel_bytes);
    return most;
}

/* ---- key and sums ---- */

/* The beginning, the middle and the end: training changes all of a matrix. */
static void sample(const struct matrix *w, uint64_t *ret_sums)
{
    const size_t n = matrix_span_bytes(w, w->n_rows);
    const size_t piece = size_min(n, SAMPLE_BYTES);
    const unsigned char *bytes = w->data;

    for (size_t i = 0; i < SAMPLES; i++)
        ret_sums[i] = XXH3_64bits(bytes + (n - piece) / (SAMPLES - 1) * i, piece);
}

/* How this build packs: a change of the layout shows here even where nobody thought of
 * PANEL_LAYOUT. */
static uint64_t way_of_packing(void)
{
    static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };
    enum { COLS = 2 * 32, BYTES_MAX = PANEL_ROWS * COLS * sizeof(float) };
    unsigned char rows[BYTES_MAX], panel[BYTES_MAX];
    uint64_t hash = 0;

    for (size_t i = 0; i < sizeof(rows); i++)
        rows[i] = (unsigned char)(i * 151 + i / 256);
    for (size_t i = 0; i < ARRAY_LEN(dtypes); i++) {
        const struct matrix w = {
            .dtype = dtypes[i], .n_rows = PANEL_ROWS, .n_cols = COLS, .data = rows
        };

        panel_pack(&w, 0, panel);
        hash = XXH3_64bits_withSeed(panel, panel_bytes(dtypes[i], COLS), hash);
    }
    return hash;
}

void panel_key(const uint8_t *model, uint64_t role, const struct matrix *const *matrices,
               uint32_t n, uint8_t *ret_key)
{
    uint64_t parts[FIXED_PARTS + PANEL_TENSORS_MAX * SAMPLES] = { 0 };
    XXH128_canonical_t canonical;

    _Static_assert(sizeof(canonical.digest) == PANEL_KEY_BYTES, "XXH128 fills a key");
    memcpy(parts, model, PANEL_KEY_BYTES);
    parts[2] = way_of_packing();
    for (uint32_t i = 0; i < n; i++)
        sample(matrices[i], parts + FIXED_PARTS + i * SAMPLES);
    XXH128_canonicalFromHash(&canonical, XXH3_128bits_withSeed(parts, sizeof(parts), role));
    memcpy(ret_key, canonical.digest, PANEL_KEY_BYTES);
}

uint64_t panel_slice_sum(const void *bytes, size_t n)
{
    return XXH3_64bits(bytes, n);
}

void panel_head_write(const struct panel_plan *plan, const uint8_t *key, const uint64_t *sums,
                      unsigned char *ret_head)
{
    struct head head = { .layout = PANEL_LAYOUT,
                         .n_tensors = plan->n_tensors,
                         .n_bytes = plan->n_bytes,
                         .n_slices = plan->n_slices,
                         .slice_bytes = PANEL_SLICE_BYTES };
    unsigned char *at = ret_head + sizeof(head);

    memcpy(head.magic, magic, sizeof(magic));
    memcpy(head.key, key, sizeof(head.key));
    memcpy(ret_head, &head, sizeof(head));
    for (uint32_t i = 0; i < plan->n_tensors; i++, at += sizeof(struct row)) {
        const struct panel_tensor *t = &plan->tensors[i];
        const struct row row = { .dtype = (uint32_t)t->dtype,
                                 .n_rows = t->n_rows,
                                 .n_cols = t->n_cols,
                                 .n_slices = t->n_slices,
                                 .at = t->at,
                                 .n_bytes = panel_tensor_bytes(t) };

        memcpy(at, &row, sizeof(row));
    }
    memcpy(at, sums, plan->n_slices * sizeof(*sums));
    head.sum = XXH3_64bits(ret_head, panel_head_bytes(plan));
    memcpy(ret_head, &head, sizeof(head));
}

/* ---- opening ---- */

static const uint64_t *sums_of(const unsigned char *head, const struct panel_plan *plan)
{
    return (const uint64_t *)(const void *)(head + fixed_bytes(plan->n_tensors));
}

/* The head as it must be with the sums that are in the file. */
static enum status compare_head(const unsigned char *base, const struct panel_plan *plan,
                                const uint8_t *key, const char *path, struct err *err)
{
    const size_t n = panel_head_bytes(plan);
    unsigned char *wanted = malloc(n);
    struct head head;
    enum status s = ST_OK;

    if (!wanted)
        return err_set(err, ST_NOMEM, "no memory to check '%s'", path);
    memcpy(&head, base, sizeof(head));
    panel_head_write(plan, key, sums_of(base, plan), wanted);
    if (memcmp(head.magic, magic, sizeof(magic)) != 0)
        s = err_set(err, ST_FORMAT, "'%s' holds no panels", path);
    else if (head.layout != PANEL_LAYOUT)
        s = err_set(err, ST_FORMAT, "'%s' has layout %u, here is %d", path, head.layout,
                    (int)PANEL_LAYOUT);
    else if (memcmp(head.key, key, sizeof(head.key)) != 0)
        s = err_set(err, ST_FORMAT, "'%s' was made from another model", path);
    else if (memcmp(base, wanted, n) != 0)
        s = err_set(err, ST_FORMAT, "'%s' is damaged", path);
    free(wanted);
    return s;
}

/* Panels are read from end to end in each step.  What the system reads from the disk it then keeps
 * in large pages and maps as such, where the file system can; that spares most address lookups. */
static void prefer_large_pages(void *base, size_t n_bytes)
{
#if defined(MADV_HUGEPAGE)
    (void)madvise(base, n_bytes, MADV_HUGEPAGE);
#else
    (void)base, (void)n_bytes;
#endif
}

static enum status map_file(const char *path, const struct panel_plan *plan,
                            struct panel_file *ret_file, struct err *err)
{
    const int fd = open(path, O_RDONLY | O_CLOEXEC);
    struct panel_file file = { 0 };
    enum status s = ST_OK;
    struct stat st;
    void *base;

    if (fd < 0 && errno == ENOENT)
        return err_set(err, ST_NOTFOUND, "there is no '%s'", path);
    if (fd < 0)
        return err_errno(err, "open '%s'", path);
    if (fstat(fd, &st) != 0) {
        s = err_errno(err, "look at '%s'", path);
    } else if (!S_ISREG(st.st_mode) || (uint64_t)st.st_size != plan->n_bytes) {
        s = err_set(err, ST_FORMAT, "'%s' has %lld bytes instead of %llu", path,
                    (long long)st.st_size, (unsigned long long)plan->n_bytes);
    } else if (st.st_uid != geteuid() && st.st_uid != 0) {
        /* In a folder anybody may write to, a model could get weights it never had. */
        s = err_set(err, ST_FORMAT, "'%s' belongs to another user", path);
    } else {
        base = mmap(NULL, plan->n_bytes, PROT_READ, MAP_SHARED, fd, 0);
        if (base == MAP_FAILED)
            s = err_errno(err, "map '%s'", path);
        else
            file = (struct panel_file){ .base = base, .n_bytes = plan->n_bytes };
        if (file.base)
            prefer_large_pages(base, plan->n_bytes);
    }
    close(fd);
    if (s == ST_OK)
        *ret_file = file;
    return s;
}

enum status panel_file_open(const char *path, const struct panel_plan *plan, const uint8_t *key,
                            struct panel_file *ret_file, struct err *err)
{
    struct panel_file file = { 0 };
    enum status s = map_file(path, plan, &file, err);

    if (s == ST_OK)
        s = compare_head(file.base, plan, key, path, err);
    if (s == ST_OK)
        *ret_file = file;
    else
        panel_file_close(&file);
    return s;
}

void panel_file_close(struct panel_file *file)
{
    if (file->base)
        (void)munmap((void *)(uintptr_t)file->base, file->n_bytes);
    *file = (struct panel_file){ 0 };
}

bool panel_file_check_slice(const struct panel_file *file, const struct panel_plan *plan,
                            uint32_t slice)
{
    const struct panel_slice s = panel_plan_slice(plan, slice);

    return panel_slice_sum(file->base + s.at, s.n_bytes) == sums_of(file->base, plan)[slice];
}
