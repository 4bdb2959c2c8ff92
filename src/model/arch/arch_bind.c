/* SPDX-License-Identifier: Apache-2.0 */
/* model/arch/arch_bind.c - tensors by name, held against the shape the graph needs. */
#include <stdlib.h>

#include "base/buf.h"
#include "base/size.h"
#include "model/arch/arch_priv.h"

enum { TYPE_IDS = 64 }; /* more than GGUF defines */

enum status arch_binder_init(struct arch_binder *b, const struct gguf *gguf, struct err *err)
{
    b->gguf = gguf;
    b->is_used = calloc(size_max(gguf_n_tensors(gguf), 1), 1);
    if (!b->is_used)
        return err_set(err, ST_NOMEM, "no memory to bind %zu tensors", gguf_n_tensors(gguf));
    return ST_OK;
}

void arch_binder_release(struct arch_binder *b)
{
    free(b->is_used);
    b->is_used = NULL;
}

static enum status wrong_type(const struct gguf_tensor *t, const char *name, struct err *err)
{
    const char *type = dtype_gguf_name(t->type);
    struct buf known = { 0 };
    enum status s;

    for (uint32_t id = 0; id < TYPE_IDS; id++)
        if (dtype_info(id))
            buf_printf(&known, "%s%s", known.len ? ", " : "", dtype_info(id)->name);
    if (type)
        s = err_set(err, ST_UNSUPPORTED,
                    "tensor '%s' is of block type %s; this build computes "
                    "with %s",
                    name, type, buf_text(&known));
    else
        s = err_set(err, ST_UNSUPPORTED,
                    "tensor '%s' is of an unknown block type, number %u; this "
                    "build computes with %s",
                    name, (unsigned)t->type, buf_text(&known));
    buf_release(&known);
    return s;
}

static enum status bind(struct arch_binder *b, const char *name, uint64_t n_cols, uint64_t n_rows,
                        const struct gguf_tensor **ret, struct err *err)
{
    const struct gguf_tensor *t = gguf_find_tensor(b->gguf, name);

    if (!t)
        return err_set(err, ST_FORMAT, "tensor '%s' is missing", name);
    if (!dtype_info(t->type))
        return wrong_type(t, name, err);
    if (t->dims[0] != n_cols || t->dims[1] != n_rows || t->dims[2] != 1 || t->dims[3] != 1)
        return err_set(err, ST_FORMAT,
                       "tensor '%s' is [%llu, %llu, %llu, %llu] where the "
                       "metadata makes it [%llu, %llu]",
                       name, (unsigned long long)t->dims[0], (unsigned long long)t->dims[1],
                       (unsigned long long)t->dims[2], (unsigned long long)t->dims[3],
                       (unsigned long long)n_cols, (unsigned long long)n_rows);
    b->is_used[t - gguf_tensor(b->gguf, 0)] = 1;
    *ret = t;
    return ST_OK;
}

enum status arch_bind_matrix(struct arch_binder *b, const char *name, uint32_t n_rows,
                             uint32_t n_cols, struct matrix *ret, struct err *err)
{
    const struct gguf_tensor *t;
    enum status s = bind(b, name, n_cols, n_rows, &t, err);

    if (s != ST_OK)
        return s;
    *ret = (struct matrix){
        .dtype = dtype_info(t->type)->dtype, .n_rows = n_rows, .n_cols = n_cols, .data = t->data
    };
    return ST_OK;
}

enum status arch_bind_vector(struct arch_binder *b, const char *name, uint32_t n, const float **ret,
                             struct err *err)
{
    const struct gguf_tensor *t;
    enum status s = bind(b, name, n, 1, &t, err);

    if (s != ST_OK)
        return s;
    if (t->type != DTYPE_F32)
        return err_set(err, ST_UNSUPPORTED, "tensor '%s' is %s; a vector has to be F32", name,
                       dtype_info(t->type)->name);
    *ret = t->data;
    return ST_OK;
}

enum status arch_refuse_unused(const struct arch_binder *b, const char *family, struct err *err)
{
    for (size_t i = 0; i < gguf_n_tensors(b->gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor(b->gguf, i);

        if (!b->is_used[i])
            return err_set(err, ST_UNSUPPORTED,
                           "tensor '%.*s' is no part of the '%s' graph of "
                           "this build; without it the model would answer wrongly",
                           (int)t->name.n, t->name.bytes, family);
    }
    return ST_OK;
}
