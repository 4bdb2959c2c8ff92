/* SPDX-License-Identifier: Apache-2.0 */
/* model/arch/arch.c - the table of model families. */
#include "model/arch/arch.h"

#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/size.h"
#include "contract/model_info.h"
#include "model/arch/arch_priv.h"

static const struct arch *const archs[] = {
    &arch_llama,
};

static enum status unknown_family(const char *name, struct err *err)
{
    struct buf known = { 0 };
    enum status s;

    for (size_t i = 0; i < ARRAY_LEN(archs); i++)
        buf_printf(&known, "%s%s", i ? ", " : "", archs[i]->name);
    s = err_set(err, ST_UNSUPPORTED, "the model's architecture is '%s'; this build runs %s", name,
                buf_text(&known));
    buf_release(&known);
    return s;
}

/* A model cut over several files holds only some of its tensors in each. */
static enum status refuse_part(const struct gguf *gguf, struct err *err)
{
    uint32_t n_files = 1;
    enum status s = ST_OK;

    if (gguf_has(gguf, "split.count"))
        s = gguf_get_u32(gguf, "split.count", &n_files, err);
    if (s == ST_OK && n_files > 1)
        s = err_set(err, ST_UNSUPPORTED,
                    "the model is cut into %u files; merge them into one with gguf-split first",
                    (unsigned)n_files);
    return s;
}

enum status arch_of(const struct gguf *gguf, const struct arch **ret_arch, struct err *err)
{
    char name[MODEL_ARCH_MAX];
    enum status s = gguf_get_word(gguf, "general.architecture", name, sizeof(name), err);

    if (s == ST_NOTFOUND)
        return err_set(err, ST_FORMAT,
                       "the file does not say which architecture it is of: the "
                       "metadata key 'general.architecture' is missing");
    if (s != ST_OK)
        return s;
    for (size_t i = 0; i < ARRAY_LEN(archs); i++)
        if (strcmp(archs[i]->name, name) == 0) {
            s = refuse_part(gguf, err);
            if (s == ST_OK)
                *ret_arch = archs[i];
            return s;
        }
    return unknown_family(name, err);
}

enum status arch_weights(const struct arch *arch, const struct gguf *gguf,
                         struct shard_weights *ret_all, struct err *err)
{
    struct shard_weights all = { 0 };
    enum status s = arch->read_shape(gguf, &all.shape, err);

    if (s != ST_OK)
        return s;
    /* Before memory is taken for layers that a wrong number promises. */
    if (all.shape.n_layer > gguf_n_tensors(gguf))
        return err_set(err, ST_FORMAT,
                       "the model should have %u layers but the file has %zu "
                       "tensors",
                       (unsigned)all.shape.n_layer, gguf_n_tensors(gguf));
    all.n_layers = all.shape.n_layer;
    all.layers = calloc(all.n_layers, sizeof(*all.layers));
    if (!all.layers)
        return err_set(err, ST_NOMEM, "no memory for the weights of %u layers",
                       (unsigned)all.n_layers);
    s = arch->bind(gguf, &all, err);
    if (s != ST_OK) {
        free(all.layers);
        return s;
    }
    *ret_all = all;
    return ST_OK;
}
