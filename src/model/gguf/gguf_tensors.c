/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_tensors.c - read and index the tensor directory.
 *
 * A tensor of a number format this build cannot compute with has no known
 * size: its place is checked as far as it can be, and who needs the tensor
 * refuses it by name.
 *
 * Source  ggml repository, docs/gguf.md, gguf_tensor_info_t
 */
#include "model/gguf/gguf_priv.h"

#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "engine/dtype.h"

/* A one-letter name, the number of dimensions, one of them, type and offset. */
enum { TENSOR_BYTES_MIN = 9 + 4 + 8 + 4 + 8 };

/* How long a name may be in a message. */
static int shown(const struct gguf_tensor *t)
{
    return (int)size_min(t->name.n, GGUF_NAME_BYTES_MAX);
}

static enum status read_dims(struct gguf_cursor *c, struct gguf_tensor *t, struct err *err)
{
    size_t n_elems = 1;

    if (!gguf_take_u32(c, &t->n_dims))
        return err_set(err, ST_FORMAT, "the file ends inside the tensor directory, after byte %zu",
                       c->at);
    if (t->n_dims < 1 || t->n_dims > GGUF_DIMS_MAX)
        return err_set(err, ST_FORMAT, "tensor '%.*s' has %u dimensions; 1 to %d are possible",
                       shown(t), t->name.bytes, (unsigned)t->n_dims, GGUF_DIMS_MAX);
    for (uint32_t i = 0; i < GGUF_DIMS_MAX; i++) {
        t->dims[i] = 1;
        if (i < t->n_dims && !gguf_take_u64(c, &t->dims[i]))
            return err_set(err, ST_FORMAT,
                           "the file ends inside the tensor directory, after byte %zu", c->at);
        if (t->dims[i] == 0 || !size_mul(n_elems, (size_t)t->dims[i], &n_elems))
            return err_set(err, ST_FORMAT, "tensor '%.*s' has an impossible dimension of %llu",
                           shown(t), t->name.bytes, (unsigned long long)t->dims[i]);
    }
    t->n_elems = n_elems;
    return ST_OK;
}

static enum status count_bytes(struct gguf_tensor *t, struct err *err)
{
    const struct dtype_info *info = dtype_info(t->type);
    size_t row_bytes, n_bytes;

    if (!info)
        return ST_OK;
    if (t->dims[0] % info->block_elems != 0)
        return err_set(
            err, ST_FORMAT, "tensor '%.*s' has rows of %llu, no multiple of the %u of %s", shown(t),
            t->name.bytes, (unsigned long long)t->dims[0], (unsigned)info->block_elems, info->name);
    if (!size_mul((size_t)t->dims[0] / info->block_elems, info->block_bytes, &row_bytes) ||
        !size_mul(row_bytes, (size_t)(t->n_elems / t->dims[0]), &n_bytes))
        return err_set(err, ST_FORMAT, "tensor '%.*s' is larger than any machine", shown(t),
                       t->name.bytes);
    t->n_bytes = n_bytes;
    return ST_OK;
}

/* `ret_offset` is from the start of the tensors' bytes, which is not known yet. */
static enum status read_tensor(struct gguf_cursor *c, struct gguf_tensor *t, uint64_t *ret_offset,
                               struct err *err)
{
    enum status s;

    if (!gguf_take_text(c, &t->name))
        return err_set(err, ST_FORMAT, "the file ends inside the tensor directory, after byte %zu",
                       c->at);
    if (t->name.n == 0 || t->name.n > GGUF_NAME_BYTES_MAX || !gguf_text_is_printable(&t->name))
        return err_set(err, ST_FORMAT,
                       "a tensor's name before byte %zu is not 1 to %d bytes of "
                       "ASCII",
                       c->at, GGUF_NAME_BYTES_MAX);
    s = read_dims(c, t, err);
    if (s != ST_OK)
        return s;
    if (!gguf_take_u32(c, &t->type) || !gguf_take_u64(c, ret_offset))
        return err_set(err, ST_FORMAT, "the file ends inside the tensor directory, after byte %zu",
                       c->at);
    return count_bytes(t, err);
}

static enum status read_alignment(const struct gguf *g, size_t *ret, struct err *err)
{
    uint32_t alignment = GGUF_ALIGNMENT_DEFAULT;
    enum status s;

    if (gguf_has(g, "general.alignment")) {
        s = gguf_get_u32(g, "general.alignment", &alignment, err);
        if (s != ST_OK)
            return s;
    }
    /* docs/gguf.md: "must be a multiple of 8" */
    if (alignment == 0 || alignment % 8 != 0 || alignment > GGUF_ALIGNMENT_MAX)
        return err_set(err, ST_FORMAT, "general.alignment is %u; multiples of 8 up to %d are valid",
                       (unsigned)alignment, GGUF_ALIGNMENT_MAX);
    *ret = alignment;
    return ST_OK;
}

/* Turn offsets into addresses inside the mapping. */
static enum status place_tensors(struct gguf *g, const uint64_t *offsets, size_t alignment,
                                 struct err *err)
{
    const size_t start = size_round_up(g->head_bytes, alignment);

    for (size_t i = 0; i < g->n_tensors; i++) {
        struct gguf_tensor *t = &g->tensors[i];

        if (offsets[i] % alignment != 0)
            return err_set(err, ST_FORMAT, "tensor '%.*s' lies at %llu, no multiple of %zu",
                           shown(t), t->name.bytes, (unsigned long long)offsets[i], alignment);
        if (start > g->size || offsets[i] > g->size - start ||
            t->n_bytes > g->size - start - offsets[i])
            return err_set(err, ST_FORMAT,
                           "tensor '%.*s' reaches beyond the end of the file: it "
                           "is cut short or damaged, fetch it again",
                           shown(t), t->name.bytes);
        t->data = g->base + start + offsets[i];
    }
    return ST_OK;
}

static int by_place(const void *a, const void *b)
{
    const struct gguf_tensor *left = a, *right = b;
    const unsigned char *x = left->data, *y = right->data;

    if (x != y)
        return x < y ? -1 : 1;
    return (left->n_bytes > right->n_bytes) - (left->n_bytes < right->n_bytes);
}

static int by_name(const void *a, const void *b)
{
    const struct gguf_tensor *left = a, *right = b;

    return gguf_text_compare(&left->name, &right->name);
}

/* Tensors follow one another with no more between them than alignment asks
 * for, up to the end of the file: so that a directory which lost an entry, or
 * tells a smaller format, is found out.  Leaves the tensors ordered by place. */
static enum status refuse_overlaps_and_gaps(struct gguf *g, size_t alignment, struct err *err)
{
    const unsigned char *end = g->base + size_round_up(g->head_bytes, alignment);
    bool end_is_known = true;

    qsort(g->tensors, g->n_tensors, sizeof(*g->tensors), by_place);
    for (size_t i = 0; i < g->n_tensors; i++) {
        const struct gguf_tensor *t = &g->tensors[i];
        const unsigned char *data = t->data;

        if (data < end)
            return err_set(err, ST_FORMAT, "tensors '%.*s' and '%.*s' share bytes", shown(t - 1),
                           (t - 1)->name.bytes, shown(t), t->name.bytes);
        if (end_is_known && (size_t)(data - end) >= alignment)
            return err_set(err, ST_FORMAT, "the %zu bytes before tensor '%.*s' are no tensor's",
                           (size_t)(data - end), shown(t), t->name.bytes);
        end = data + t->n_bytes;
        end_is_known = dtype_info(t->type) != NULL;
    }
    if (end_is_known && (size_t)(g->base + g->size - end) >= alignment)
        return err_set(err, ST_FORMAT, "the last %zu bytes of the file are no tensor's",
                       (size_t)(g->base + g->size - end));
    return ST_OK;
}

/* Leaves the tensors ordered by name. */
static enum status refuse_same_names(struct gguf *g, struct err *err)
{
    qsort(g->tensors, g->n_tensors, sizeof(*g->tensors), by_name);
    for (size_t i = 1; i < g->n_tensors; i++)
        if (by_name(&g->tensors[i - 1], &g->tensors[i]) == 0)
            return err_set(err, ST_FORMAT, "tensor '%.*s' is there twice", shown(&g->tensors[i]),
                           g->tensors[i].name.bytes);
    return ST_OK;
}

enum status gguf_read_tensors(struct gguf *g, struct gguf_cursor *c, uint64_t n, struct err *err)
{
    uint64_t *offsets = NULL;
    size_t alignment = GGUF_ALIGNMENT_DEFAULT;
    enum status s = ST_OK;

    if (n > gguf_left(c) / TENSOR_BYTES_MIN)
        return err_set(err, ST_FORMAT,
                       "the header promises %llu tensors, more than the file has "
                       "bytes for",
                       (unsigned long long)n);
    if (n > GGUF_TENSORS_MAX)
        return err_set(err, ST_RANGE, "the file has %llu tensors; at most %d are read",
                       (unsigned long long)n, GGUF_TENSORS_MAX);
    g->head_bytes = c->at;
    if (n == 0)
        return ST_OK;
    g->tensors = calloc((size_t)n, sizeof(*g->tensors));
    offsets = calloc((size_t)n, sizeof(*offsets));
    if (!g->tensors || !offsets) {
        s = err_set(err, ST_NOMEM, "no memory for an index of %llu tensors", (unsigned long long)n);
        goto out;
    }
    for (g->n_tensors = 0; g->n_tensors < n; g->n_tensors++) {
        s = read_tensor(c, &g->tensors[g->n_tensors], &offsets[g->n_tensors], err);
        if (s != ST_OK)
            goto out;
    }
    g->head_bytes = c->at;
    s = read_alignment(g, &alignment, err);
    if (s == ST_OK)
        s = place_tensors(g, offsets, alignment, err);
    if (s == ST_OK)
        s = refuse_overlaps_and_gaps(g, alignment, err);
    if (s == ST_OK)
        s = refuse_same_names(g, err);

out:
    free(offsets);
    return s;
}

size_t gguf_n_tensors(const struct gguf *gguf)
{
    return gguf->n_tensors;
}

const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, size_t i)
{
    return &gguf->tensors[i];
}

const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name)
{
    const struct gguf_tensor key = { .name = { name, strlen(name) } };

    if (gguf->n_tensors == 0)
        return NULL;
    return bsearch(&key, gguf->tensors, gguf->n_tensors, sizeof(key), by_name);
}
