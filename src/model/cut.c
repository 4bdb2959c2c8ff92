/* SPDX-License-Identifier: Apache-2.0 */
/* model/cut.c - a portion of the matrices of a shard, by pointers into the whole. */
#include "model/cut.h"

static void cut_rows(struct matrix *w, uint32_t first, uint32_t n)
{
    w->data = (const unsigned char *)w->data + first * matrix_stride(w);
    w->n_rows = n;
}

static enum status cut_columns(struct matrix *w, const char *name, uint32_t first, uint32_t n,
                               struct err *err)
{
    const struct dtype_info *info = dtype_info((uint32_t)w->dtype);

    if (first % info->block_elems != 0 || n % info->block_elems != 0)
        return err_set(
            err, ST_UNSUPPORTED,
            "%s cannot be cut at column %u into parts of %u: they are no whole blocks of "
            "%s",
            name, (unsigned)first, (unsigned)n, info->name);
    w->stride = matrix_stride(w);
    w->data = (const unsigned char *)w->data + dtype_row_bytes(w->dtype, first);
    w->n_cols = n;
    return ST_OK;
}

static enum status cut_layer(struct layer_weights *l, const struct model_shape *whole,
                             const struct portion *p, struct err *err)
{
    const uint32_t dim = whole->head_dim, group = whole->n_head / whole->n_kv_head;
    const uint32_t q = group * dim;
    enum status s;

    cut_rows(&l->q, p->first_kv_head * q, p->n_kv_heads * q);
    cut_rows(&l->k, p->first_kv_head * dim, p->n_kv_heads * dim);
    cut_rows(&l->v, p->first_kv_head * dim, p->n_kv_heads * dim);
    cut_rows(&l->gate, p->first_ff, p->n_ff);
    cut_rows(&l->up, p->first_ff, p->n_ff);
    s = cut_columns(&l->o, "the attention output matrix", p->first_kv_head * q, p->n_kv_heads * q,
                    err);
    if (s == ST_OK)
        s = cut_columns(&l->down, "the down matrix", p->first_ff, p->n_ff, err);
    return s;
}

enum status weights_cut(struct shard_weights *w, const struct portion *p, struct err *err)
{
    const struct model_shape whole = w->shape;
    enum status s = ST_OK;

    if (p->n_members == 0)
        return ST_OK;
    for (uint32_t i = 0; i < w->n_layers && s == ST_OK; i++)
        s = cut_layer(&w->layers[i], &whole, p, err);
    if (s != ST_OK)
        return s;
    if (w->output.data)
        cut_rows(&w->output, p->first_output, p->n_outputs);
    w->portion = *p;
    w->shape.n_head = p->n_kv_heads * (whole.n_head / whole.n_kv_head);
    w->shape.n_kv_head = p->n_kv_heads;
    w->shape.n_ff = p->n_ff;
    return ST_OK;
}
