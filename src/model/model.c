/* SPDX-License-Identifier: Apache-2.0 */
/* model/model.c - open a model file, describe it, cut shards from it. */
#include "model/model.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"
#include "engine/engine.h"
#include "model/arch/arch.h"
#include "model/cut.h"
#include "model/model_priv.h"

enum { PAGE_TOKENS = 16 }; /* any page size gives the same bytes a token */

static uint64_t matrix_bytes(const struct matrix *m)
{
    return m->data ? (uint64_t)m->n_rows * dtype_row_bytes(m->dtype, m->n_cols) : 0;
}

static uint64_t norm_bytes(const struct model_shape *shape)
{
    return (uint64_t)shape->n_hidden * sizeof(float);
}

static uint64_t layer_bytes(const struct model_shape *shape, const struct layer_weights *w)
{
    const struct matrix *const matrices[] = {
        &w->q, &w->k, &w->v, &w->o, &w->gate, &w->up, &w->down
    };
    uint64_t n = 2 * norm_bytes(shape);

    for (size_t i = 0; i < ARRAY_LEN(matrices); i++)
        n += matrix_bytes(matrices[i]);
    return n;
}

/* The file's own name as a model's name: without ".gguf", and with '-' for
 * what contract/model_info.h does not allow. */
static void name_of_file(const char *path, char *ret_name)
{
    static const char allowed[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._:-";
    static const char suffix[] = ".gguf";
    const char *slash = strrchr(path, '/');
    const char *base = slash ? slash + 1 : path;
    size_t n = strlen(base);

    if (n > strlen(suffix) && strcmp(base + n - strlen(suffix), suffix) == 0)
        n -= strlen(suffix);
    n = size_min(n, MODEL_NAME_MAX - 1);
    for (size_t i = 0; i < n; i++)
        ret_name[i] = strchr(allowed, base[i]) ? base[i] : '-';
    ret_name[n] = '\0';
}

static void describe(struct model *m, const struct arch *arch, const char *path)
{
    const struct model_shape *sh = &m->all.shape;
    const struct shard_weights one_layer = { .shape = *sh, .n_layers = 1 };
    struct model_info *info = &m->info;

    name_of_file(path, info->name);
    memcpy(info->architecture, arch->name, size_min(strlen(arch->name), MODEL_ARCH_MAX - 1));
    gguf_digest(m->gguf, info->digest);
    info->n_layer = sh->n_layer;
    info->n_vocab = sh->n_vocab;
    info->n_hidden = sh->n_hidden;
    info->context_tokens = sh->context_tokens;
    info->file_bytes = gguf_file_bytes(m->gguf);
    for (uint32_t i = 0; i < sh->n_layer; i++)
        if (layer_bytes(sh, &m->all.layers[i]) > info->layer_bytes)
            info->layer_bytes = layer_bytes(sh, &m->all.layers[i]);
    info->embedding_bytes = matrix_bytes(&m->all.embedding);
    info->output_bytes = matrix_bytes(&m->all.output) + norm_bytes(sh);
    info->kv_bytes_per_token = engine_page_bytes(&one_layer, PAGE_TOKENS, KV_F16) / PAGE_TOKENS;
    for (size_t i = 0; i < gguf_n_tensors(m->gguf); i++)
        info->n_parameters += gguf_tensor(m->gguf, i)->n_elems;
    info->created_unix_s = gguf_modified_unix_s(m->gguf);
}

/* The path without links resolved: what is kept beside a link of the store lies in the store. */
static enum status remember_path(struct model *m, const char *path, struct err *err)
{
    char here[PATH_MAX_BYTES];

    if (path[0] == '/' && strlen(path) < sizeof(m->path)) {
        memcpy(m->path, path, strlen(path) + 1);
        return ST_OK;
    }
    if (path[0] == '/')
        return err_set(err, ST_RANGE, "the path '%.40s...' is longer than %d bytes", path,
                       PATH_MAX_BYTES - 1);
    if (!getcwd(here, sizeof(here)))
        return err_errno(err, "find the folder this program runs in");
    return path_join(here, path, m->path, err);
}

enum status model_open(const char *path, struct model **ret_model, struct err *err)
{
    const struct arch *arch;
    struct model *m = calloc(1, sizeof(*m));
    enum status s;

    if (!m)
        return err_set(err, ST_NOMEM, "no memory to open '%s'", path);
    s = remember_path(m, path, err);
    if (s == ST_OK)
        s = gguf_open(path, &m->gguf, err);
    if (s != ST_OK)
        goto out;
    s = arch_of(m->gguf, &arch, err);
    if (s == ST_OK)
        s = arch_weights(arch, m->gguf, &m->all, err);
    if (s == ST_NOTFOUND) { /* of a key; to our caller that word means the file */
        s = ST_FORMAT;
        if (err)
            err->status = s;
    }
    if (s != ST_OK) {
        err_wrap(err, "open '%s'", path);
        goto out;
    }
    describe(m, arch, path);
    *ret_model = m;
    m = NULL;

out:
    model_free(m);
    return s;
}

void model_free(struct model *model)
{
    if (!model)
        return;
    shard_weights_release(&model->all);
    gguf_free(model->gguf);
    free(model);
}

const struct model_info *model_info(const struct model *model)
{
    return &model->info;
}

const struct model_shape *model_shape(const struct model *model)
{
    return &model->all.shape;
}

/* Of a file that was fetched in part: what of it the shard needs is there. */
static enum status check_layer_here(const struct model *model, const struct layer_weights *l,
                                    struct err *err)
{
    const struct matrix *const matrices[] = {
        &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down
    };
    const uint64_t n_norm = norm_bytes(&model->all.shape);
    enum status s = gguf_check_here(model->gguf, l->attn_norm, n_norm, err);

    if (s == ST_OK)
        s = gguf_check_here(model->gguf, l->ffn_norm, n_norm, err);
    for (size_t i = 0; i < ARRAY_LEN(matrices) && s == ST_OK; i++)
        if (matrices[i]->n_rows > 0 && matrices[i]->n_cols > 0)
            s = gguf_check_here(model->gguf, matrices[i]->data,
                                matrix_span_bytes(matrices[i], matrices[i]->n_rows), err);
    return s;
}

static enum status check_here(const struct model *model, const struct shard_weights *w,
                              struct err *err)
{
    const struct matrix *const ends[] = { &w->embedding, &w->output };
    enum status s = ST_OK;

    for (uint32_t i = 0; i < w->n_layers && s == ST_OK; i++)
        s = check_layer_here(model, &w->layers[i], err);
    for (size_t i = 0; i < ARRAY_LEN(ends) && s == ST_OK; i++)
        if (ends[i]->data)
            s = gguf_check_here(model->gguf, ends[i]->data, matrix_bytes(ends[i]), err);
    if (s == ST_OK && w->output_norm)
        s = gguf_check_here(model->gguf, w->output_norm, norm_bytes(&w->shape), err);
    return s;
}

static void add_bytes(struct shard_weights *w, bool is_tied)
{
    for (uint32_t i = 0; i < w->n_layers; i++)
        w->total_bytes += layer_bytes(&w->shape, &w->layers[i]);
    w->total_bytes += matrix_bytes(&w->embedding);
    if (w->output_norm)
        w->total_bytes += norm_bytes(&w->shape);
    if (!w->embedding.data || !is_tied) /* a tied matrix is there once */
        w->total_bytes += matrix_bytes(&w->output);
}

enum status model_shard(const struct model *model, uint32_t first_layer, uint32_t n_layers,
                        struct shard_weights *ret_weights, struct err *err)
{
    static const struct portion whole = { 0 };

    return model_shard_of(model, first_layer, n_layers, &whole, ret_weights, err);
}

enum status model_shard_of(const struct model *model, uint32_t first_layer, uint32_t n_layers,
                           const struct portion *portion, struct shard_weights *ret_weights,
                           struct err *err)
{
    const struct shard_weights *all = &model->all;
    struct shard_weights w = { .shape = all->shape,
                               .first_layer = first_layer,
                               .n_layers = n_layers,
                               .is_file_mapped = true };
    enum status s;

    if (n_layers == 0 || first_layer >= all->n_layers || n_layers > all->n_layers - first_layer)
        return err_set(err, ST_RANGE, "layers %u to %llu of '%s': it has %u", (unsigned)first_layer,
                       (unsigned long long)first_layer + n_layers, model->info.name,
                       (unsigned)all->n_layers);
    w.layers = calloc(n_layers, sizeof(*w.layers));
    if (!w.layers)
        return err_set(err, ST_NOMEM, "no memory for the weights of %u layers", (unsigned)n_layers);
    memcpy(w.layers, all->layers + first_layer, n_layers * sizeof(*w.layers));
    if (first_layer == 0)
        w.embedding = all->embedding;
    if (first_layer + n_layers == all->n_layers) {
        w.output = all->output;
        w.output_norm = all->output_norm;
    }
    s = weights_cut(&w, portion, err);
    add_bytes(&w, all->output.data == all->embedding.data);
    if (s == ST_OK)
        s = check_here(model, &w, err);
    if (s != ST_OK) {
        shard_weights_release(&w);
        return s;
    }
    *ret_weights = w;
    return ST_OK;
}

enum status model_portion(const struct model *model, const uint32_t *shares, uint32_t n_members,
                          uint32_t member, struct portion *ret_portion, struct err *err)
{
    const struct model_shape *sh = &model->all.shape;
    const struct portion_whole whole = { .n_head = sh->n_head,
                                         .n_kv_head = sh->n_kv_head,
                                         .head_dim = sh->head_dim,
                                         .n_ff = sh->n_ff,
                                         .n_vocab = sh->n_vocab };
    struct portion all[PORTION_MEMBERS_MAX];
    const enum status s = portion_cut(&whole, shares, n_members, all, err);

    if (s != ST_OK)
        return s;
    if (member >= n_members)
        return err_set(err, ST_RANGE, "member %u of %u", (unsigned)member, (unsigned)n_members);
    *ret_portion = all[member];
    return ST_OK;
}

void shard_weights_release(struct shard_weights *weights)
{
    free(weights->layers);
    *weights = (struct shard_weights){ 0 };
}
