/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/check.c - refuse what cannot be computed, before anything is.
 *
 * After these checks no index of a step can leave a matrix, a buffer or the
 * page pool, so the code that computes has none.
 */
#include "base/size.h"
#include "engine/cpu/shard.h"

static enum status check_options(const struct engine_options *o, struct err *err)
{
    if (o->page_tokens < 16 || o->page_tokens > 256 || (o->page_tokens & (o->page_tokens - 1)) != 0)
        return err_set(err, ST_RANGE,
                       "open shard: page of %u tokens; use a power of two, 16 to 256",
                       o->page_tokens);
    if (o->n_pages < 1 || o->max_rows < 1 || o->max_logit_rows > o->max_rows)
        return err_set(err, ST_RANGE,
                       "open shard: %u pages, batches of %u rows with %u logit rows; use at least "
                       "one page and row, and no more logit rows than rows",
                       o->n_pages, o->max_rows, o->max_logit_rows);
    if ((unsigned)o->kv_format >= N_KV_FORMATS)
        return err_set(err, ST_UNSUPPORTED,
                       "open shard: format %u of keys and values is not known here",
                       (unsigned)o->kv_format);
    if ((unsigned)o->activations >= N_ACTIVATION_FORMATS)
        return err_set(err, ST_UNSUPPORTED,
                       "open shard: format %u of activations is not known here",
                       (unsigned)o->activations);
    return ST_OK;
}

static enum status check_shape(const struct model_shape *m, bool is_member, struct err *err)
{
    if (m->n_hidden == 0 || m->n_ff == 0 || m->n_vocab == 0 || m->n_vocab > INT32_MAX ||
        m->head_dim == 0 || (m->n_head == 0) != (m->n_kv_head == 0) ||
        (m->n_head == 0 && !is_member))
        return err_set(err, ST_UNSUPPORTED,
                       "open shard: a dimension of the model is zero or absurd");
    if (m->n_head > 0 && m->n_head % m->n_kv_head != 0)
        return err_set(err, ST_UNSUPPORTED,
                       "open shard: %u query heads do not divide into %u key heads", m->n_head,
                       m->n_kv_head);
    if (m->head_dim % 2 != 0 || m->n_rope % 2 != 0 || m->n_rope > m->head_dim)
        return err_set(err, ST_UNSUPPORTED, "open shard: %u of %u dimensions of a head rotate",
                       m->n_rope, m->head_dim);
    return ST_OK;
}

static enum status check_matrix(const struct matrix *w, const char *name, uint64_t n_rows,
                                uint64_t n_cols, struct err *err)
{
    const struct dtype_info *info = dtype_info((uint32_t)w->dtype);

    if (!w->data)
        return err_set(err, ST_UNSUPPORTED, "open shard: %s is absent", name);
    if (!info)
        return err_set(err, ST_UNSUPPORTED,
                       "open shard: %s has number format %d, not computed here", name,
                       (int)w->dtype);
    if (w->n_rows != n_rows || w->n_cols != n_cols)
        return err_set(err, ST_UNSUPPORTED,
                       "open shard: %s is %u x %u, the model needs %llu x %llu", name, w->n_rows,
                       w->n_cols, (unsigned long long)n_rows, (unsigned long long)n_cols);
    if (n_cols % info->block_elems != 0)
        return err_set(err, ST_UNSUPPORTED,
                       "open shard: rows of %s hold %u elements, not whole blocks of %s", name,
                       w->n_cols, info->name);
    return ST_OK;
}

static enum status check_layer(const struct model_shape *m, const struct layer_weights *l,
                               struct err *err)
{
    const uint64_t q = (uint64_t)m->n_head * m->head_dim, kv = (uint64_t)m->n_kv_head * m->head_dim;
    const struct {
        const struct matrix *w;
        const char *name;
        uint64_t n_rows, n_cols;
    } all[] = {
        { &l->q, "the query matrix", q, m->n_hidden },
        { &l->k, "the key matrix", kv, m->n_hidden },
        { &l->v, "the value matrix", kv, m->n_hidden },
        { &l->o, "the attention output matrix", m->n_hidden, q },
        { &l->gate, "the gate matrix", m->n_ff, m->n_hidden }, /* from here on whatever heads */
        { &l->up, "the up matrix", m->n_ff, m->n_hidden },
        { &l->down, "the down matrix", m->n_hidden, m->n_ff },
    };

    enum { N_OF_HEADS = 4 }; /* of them, a portion without heads lacks these */

    if (!l->attn_norm || !l->ffn_norm)
        return err_set(err, ST_UNSUPPORTED, "open shard: a norm of a layer is absent");
    for (size_t i = m->n_head > 0 ? 0 : N_OF_HEADS; i < ARRAY_LEN(all); i++) {
        const enum status s =
            check_matrix(all[i].w, all[i].name, all[i].n_rows, all[i].n_cols, err);

        if (s != ST_OK)
            return s;
    }
    return ST_OK;
}

static enum status check_team(const struct shard_weights *w, const struct engine_options *o,
                              struct err *err)
{
    if ((w->portion.n_members > 0) != (o->sum != NULL))
        return err_set(err, ST_RANGE, "open shard: a portion and a way to sum need one another");
    return ST_OK;
}

static enum status check_kv_format(const struct model_shape *m, enum kv_format format,
                                   struct err *err)
{
    if (format == KV_F16 || m->head_dim % KV_BLOCK == 0)
        return ST_OK;
    return err_set(err, ST_UNSUPPORTED,
                   "open shard: heads of %u dimensions are no whole blocks of %s; use f16 for keys "
                   "and values",
                   m->head_dim, kv_format_name(format));
}

enum status cpu_shard_check(const struct shard_weights *weights,
                            const struct engine_options *options, struct err *err)
{
    const struct model_shape *m = &weights->shape;
    const uint32_t n_outputs =
        weights->portion.n_members > 0 ? weights->portion.n_outputs : m->n_vocab;
    enum status s = check_options(options, err);

    if (s == ST_OK)
        s = check_team(weights, options, err);
    if (s == ST_OK)
        s = check_shape(m, weights->portion.n_members > 0, err);
    if (s == ST_OK)
        s = check_kv_format(m, options->kv_format, err);
    for (uint32_t i = 0; s == ST_OK && i < weights->n_layers; i++)
        s = check_layer(m, &weights->layers[i], err);
    if (s == ST_OK && weights->embedding.data)
        s = check_matrix(&weights->embedding, "the embedding", m->n_vocab, m->n_hidden, err);
    if (s == ST_OK && weights->output.data)
        s = check_matrix(&weights->output, "the output matrix", n_outputs, m->n_hidden, err);
    if (s == ST_OK && weights->output.data && !weights->output_norm)
        s = err_set(err, ST_UNSUPPORTED, "open shard: the output norm is absent");
    if (s == ST_OK && weights->n_layers == 0)
        s = err_set(err, ST_RANGE, "open shard: it has no layers");
    return s;
}

static enum status check_tokens(const struct cpu_shard *shard, const struct engine_batch *batch,
                                struct err *err)
{
    if (!shard->weights.embedding.data)
        return batch->hidden && !batch->tokens
                   ? ST_OK
                   : err_set(err, ST_RANGE, "step: this shard takes hidden rows, not tokens");
    if (!batch->tokens || batch->hidden)
        return err_set(err, ST_RANGE, "step: this shard takes tokens, not hidden rows");
    for (uint32_t i = 0; i < batch->n_rows; i++)
        if (batch->tokens[i] < 0 || (uint32_t)batch->tokens[i] >= shard->weights.shape.n_vocab)
            return err_set(err, ST_RANGE, "step: token %d is not one of the model's %u",
                           batch->tokens[i], shard->weights.shape.n_vocab);
    return ST_OK;
}

static enum status check_span(const struct cpu_shard *shard, const struct engine_batch *batch,
                              const struct engine_span *span, uint32_t next_row, struct err *err)
{
    const uint64_t end = (uint64_t)span->start + span->n_rows;

    if (span->first_row != next_row || span->n_rows < 1 || span->n_rows > batch->n_rows - next_row)
        return err_set(err, ST_RANGE, "step: spans do not cover the %u rows in order",
                       batch->n_rows);
    if (!span->pages || (uint64_t)span->n_pages * shard->options.page_tokens < end)
        return err_set(err, ST_RANGE, "step: %u pages do not hold %llu positions", span->n_pages,
                       (unsigned long long)end);
    for (uint64_t i = 0; i * shard->options.page_tokens < end; i++)
        if (span->pages[i] >= shard->options.n_pages)
            return err_set(err, ST_RANGE, "step: page %u is not one of %u", span->pages[i],
                           shard->options.n_pages);
    return ST_OK;
}

static enum status check_outputs(const struct cpu_shard *shard, const struct engine_batch *batch,
                                 const float *hidden_out, const float *logits_out, struct err *err)
{
    if (!shard->weights.output.data) {
        if (!hidden_out || batch->n_logit_rows > 0)
            return err_set(err, ST_RANGE, "step: this shard gives hidden rows, not logits");
        return ST_OK;
    }
    if (batch->n_logit_rows > shard->options.max_logit_rows)
        return err_set(err, ST_RANGE, "step: logits of %u rows; at most %u", batch->n_logit_rows,
                       shard->options.max_logit_rows);
    if (batch->n_logit_rows > 0 && (!logits_out || !batch->logit_rows))
        return err_set(err, ST_RANGE, "step: logits are asked for, with no rows or no place to go");
    for (uint32_t i = 0; i < batch->n_logit_rows; i++)
        if (batch->logit_rows[i] >= batch->n_rows ||
            (i > 0 && batch->logit_rows[i] <= batch->logit_rows[i - 1]))
            return err_set(err, ST_RANGE, "step: logit rows do not ascend within the batch");
    return ST_OK;
}

enum status cpu_batch_check(struct cpu_shard *shard, const struct engine_batch *batch,
                            const float *hidden_out, const float *logits_out, struct err *err)
{
    uint32_t next_row = 0;
    enum status s;

    if (batch->n_rows < 1 || batch->n_rows > shard->options.max_rows)
        return err_set(err, ST_RANGE, "step: batch of %u rows; 1 to %u are allowed", batch->n_rows,
                       shard->options.max_rows);
    s = check_tokens(shard, batch, err);
    if (s == ST_OK)
        s = check_outputs(shard, batch, hidden_out, logits_out, err);
    for (uint32_t i = 0; s == ST_OK && i < batch->n_spans; i++) {
        const struct engine_span *span = &batch->spans[i];

        s = check_span(shard, batch, span, next_row, err);
        for (uint32_t r = 0; s == ST_OK && r < span->n_rows; r++)
            shard->places[next_row + r] = (struct row_place){ span->pages, span->start + r };
        next_row += span->n_rows;
    }
    if (s == ST_OK && next_row != batch->n_rows)
        s = err_set(err, ST_RANGE, "step: spans cover %u of %u rows", next_row, batch->n_rows);
    return s;
}
