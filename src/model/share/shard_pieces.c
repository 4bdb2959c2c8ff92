/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/shard_pieces.c - which pieces of a model's file a shard reads. */
#include "model/share/shard_pieces.h"

#include <string.h>

enum { LAYERS_MAX = 1 << 16 };

static bool begins(const struct gguf_text *name, const char *word)
{
    const size_t n = strlen(word);

    return name->n >= n && memcmp(name->bytes, word, n) == 0;
}

/* N of "blk.N.*"; -1: no tensor of a layer. */
static int64_t layer_of(const struct gguf_text *name)
{
    static const char word[] = "blk.";
    const size_t n_word = strlen(word);
    int64_t layer = 0;
    size_t i = n_word;

    if (!begins(name, word))
        return -1;
    for (; i < name->n && name->bytes[i] >= '0' && name->bytes[i] <= '9' && layer < LAYERS_MAX; i++)
        layer = 10 * layer + (name->bytes[i] - '0');
    return i > n_word && i < name->n && name->bytes[i] == '.' ? layer : -1;
}

struct shard {
    int64_t first, end;
    bool is_first, is_last, is_tied;
};

static bool is_needed(const struct shard *shard, const struct gguf_text *name)
{
    const int64_t layer = layer_of(name);

    if (layer >= 0)
        return layer >= shard->first && layer < shard->end;
    if (begins(name, "token_embd."))
        return shard->is_first || (shard->is_last && shard->is_tied);
    if (begins(name, "output"))
        return shard->is_last;
    return true;
}

enum status shard_pieces(const struct gguf *gguf, uint32_t first_layer, uint32_t n_layers,
                         struct piece_map *wanted, struct err *err)
{
    struct shard shard = { first_layer, (int64_t)first_layer + n_layers, first_layer == 0, false,
                           !gguf_find_tensor(gguf, "output.weight") };
    int64_t n_all = 0;
    size_t n_head;

    for (size_t i = 0; i < gguf_n_tensors(gguf); i++) {
        const int64_t layer = layer_of(&gguf_tensor(gguf, i)->name);

        n_all = layer >= n_all ? layer + 1 : n_all;
    }
    if (n_layers == 0 || shard.end > n_all)
        return err_set(err, ST_RANGE, "layers %lld to %lld of a file with %lld",
                       (long long)shard.first, (long long)shard.end, (long long)n_all);
    shard.is_last = shard.end == n_all;
    (void)gguf_head(gguf, &n_head);
    piece_map_add(wanted, 0, n_head);
    for (size_t i = 0; i < gguf_n_tensors(gguf); i++) {
        const struct gguf_tensor *t = gguf_tensor(gguf, i);

        if (is_needed(&shard, &t->name))
            piece_map_add(wanted, gguf_tensor_offset(gguf, t), t->n_bytes);
    }
    return ST_OK;
}
