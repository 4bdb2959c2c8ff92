/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/shard_pieces.c - which pieces of a model's file a shard reads. */
#include "model/share/shard_pieces.h"

#include <string.h>

#include "base/size.h"

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

/* Of `all` equal parts of a tensor's rows, some. */
struct row_range {
    uint32_t first, n, all;
};

static bool is_part(const struct gguf_text *name, const char *part)
{
    const size_t n = strlen(part);

    for (size_t i = 0; i + n <= name->n; i++)
        if (name->bytes[i] == '.' && memcmp(name->bytes + i, part, n) == 0)
            return true;
    return false;
}

static struct row_range range_of(const struct piece_cut *cut, const struct shard *shard,
                                 const struct gguf_text *name)
{
    static const char *const of_heads[] = { ".attn_q.", ".attn_k.", ".attn_v." };
    static const char *const of_ff[] = { ".ffn_gate.", ".ffn_up." };
    const struct portion *p = &cut->portion;
    const struct row_range all = { 0, 1, 1 }, nothing = { 0, 0, 1 };

    for (size_t i = 0; i < ARRAY_LEN(of_heads); i++)
        if (is_part(name, of_heads[i]))
            return (struct row_range){ p->first_kv_head, p->n_kv_heads, cut->n_kv_head };
    for (size_t i = 0; i < ARRAY_LEN(of_ff); i++)
        if (is_part(name, of_ff[i]))
            return (struct row_range){ p->first_ff, p->n_ff, cut->n_ff };
    if (is_part(name, ".attn_output."))
        return p->n_kv_heads > 0 ? all : nothing;
    if (begins(name, "output.") || (begins(name, "token_embd.") && !shard->is_first))
        return (struct row_range){ p->first_output, p->n_outputs, cut->n_vocab };
    return all;
}

static void add_tensor(const struct gguf *gguf, const struct gguf_tensor *t,
                       const struct row_range *range, struct piece_map *wanted)
{
    const uint64_t part = t->n_bytes / range->all;

    piece_map_add(wanted, gguf_tensor_offset(gguf, t) + range->first * part, range->n * part);
}

enum status shard_pieces(const struct gguf *gguf, uint32_t first_layer, uint32_t n_layers,
                         const struct piece_cut *cut, struct piece_map *wanted, struct err *err)
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

        const struct row_range all = { 0, 1, 1 };
        const struct row_range range = cut ? range_of(cut, &shard, &t->name) : all;

        if (is_needed(&shard, &t->name))
            add_tensor(gguf, t, &range, wanted);
    }
    return ST_OK;
}
