/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_pairs.c - read and index the metadata.
 *
 * Values stay in the mapping; a pair remembers where.  Walking an array of
 * strings checks each length once, so that taking its items later cannot leave
 * the file.
 *
 * Source  ggml repository, docs/gguf.md, gguf_metadata_kv_t
 */
#include "model/gguf/gguf_priv.h"

#include <stdlib.h>

#include "base/size.h"

/* Least bytes of one entry: an empty string, an empty array, a one-letter key with a byte. */
enum { STRING_BYTES_MIN = 8, ARRAY_BYTES_MIN = 12, PAIR_BYTES_MIN = 14 };

/* Bytes of a value of fixed size; 0 for strings, arrays and what GGUF does not define. */
static size_t fixed_bytes(uint32_t type)
{
    static const unsigned char sizes[] = {
        [GGUF_UINT8] = 1,  [GGUF_INT8] = 1,  [GGUF_UINT16] = 2,  [GGUF_INT16] = 2,
        [GGUF_UINT32] = 4, [GGUF_INT32] = 4, [GGUF_FLOAT32] = 4, [GGUF_BOOL] = 1,
        [GGUF_UINT64] = 8, [GGUF_INT64] = 8, [GGUF_FLOAT64] = 8,
    };

    return type < ARRAY_LEN(sizes) ? sizes[type] : 0;
}

static enum status ends_early(const struct gguf_cursor *c, struct err *err)
{
    return err_set(err, ST_FORMAT, "the file ends inside the metadata, after byte %zu", c->at);
}

/* docs/gguf.md: "1-byte value where 0 is false and 1 is true. Anything else is invalid". */
static bool are_bools(const unsigned char *bytes, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (bytes[i] > 1)
            return false;
    return true;
}

static enum status skip_fixed(struct gguf_cursor *c, uint32_t type, uint64_t n, struct err *err)
{
    const size_t each = fixed_bytes(type);
    const unsigned char *bytes;

    if (each == 0)
        return err_set(err, ST_FORMAT,
                       "the value before byte %zu has type %u, which is none of GGUF", c->at,
                       (unsigned)type);
    if (n > gguf_left(c) / each || !gguf_take(c, n * each, &bytes))
        return ends_early(c, err);
    if (type == GGUF_BOOL && !are_bools(bytes, (size_t)n))
        return err_set(err, ST_FORMAT, "a truth value before byte %zu is neither 0 nor 1", c->at);
    return ST_OK;
}

static enum status skip_strings(struct gguf_cursor *c, uint64_t n, struct err *err)
{
    struct gguf_text text;

    if (n > gguf_left(c) / STRING_BYTES_MIN)
        return ends_early(c, err);
    for (uint64_t i = 0; i < n; i++)
        if (!gguf_take_text(c, &text))
            return ends_early(c, err);
    return ST_OK;
}

static enum status skip_items(struct gguf_cursor *c, uint32_t type, uint64_t n, int depth,
                              struct err *err)
{
    enum status s = ST_OK;

    if (type == GGUF_STRING)
        return skip_strings(c, n, err);
    if (type != GGUF_ARRAY)
        return skip_fixed(c, type, n, err);
    if (depth == GGUF_NESTING_MAX)
        return err_set(err, ST_RANGE, "arrays are nested more than %d deep at byte %zu",
                       GGUF_NESTING_MAX, c->at);
    if (n > gguf_left(c) / ARRAY_BYTES_MIN)
        return ends_early(c, err);
    for (uint64_t i = 0; i < n && s == ST_OK; i++) {
        uint32_t item_type;
        uint64_t n_items;

        if (!gguf_take_u32(c, &item_type) || !gguf_take_u64(c, &n_items))
            return ends_early(c, err);
        s = skip_items(c, item_type, n_items, depth + 1, err);
    }
    return s;
}

static enum status read_value(struct gguf_cursor *c, struct gguf_pair *pair, struct err *err)
{
    uint32_t type, item_type = 0;
    uint64_t n = 1;
    enum status s;

    if (!gguf_take_u32(c, &type))
        return ends_early(c, err);
    if (type == GGUF_ARRAY) {
        if (!gguf_take_u32(c, &item_type) || !gguf_take_u64(c, &n))
            return ends_early(c, err);
        pair->bytes = c->base + c->at;
        s = skip_items(c, item_type, n, 1, err);
    } else if (type == GGUF_STRING) {
        pair->bytes = c->base + c->at + STRING_BYTES_MIN;
        s = skip_strings(c, 1, err);
    } else {
        pair->bytes = c->base + c->at;
        s = skip_fixed(c, type, 1, err);
    }
    if (s != ST_OK)
        return s;
    pair->type = (enum gguf_type)type;
    pair->item_type = (enum gguf_type)item_type;
    pair->n_items = n;
    pair->n_bytes = (size_t)(c->base + c->at - pair->bytes);
    return ST_OK;
}

static enum status read_pair(struct gguf_cursor *c, struct gguf_pair *pair, struct err *err)
{
    enum status s;

    if (!gguf_take_text(c, &pair->key))
        return ends_early(c, err);
    if (pair->key.n == 0 || pair->key.n > GGUF_KEY_BYTES_MAX || !gguf_text_is_printable(&pair->key))
        return err_set(err, ST_FORMAT,
                       "a metadata key before byte %zu is empty, too long or not "
                       "ASCII",
                       c->at);
    s = read_value(c, pair, err);
    if (s != ST_OK)
        err_wrap(err, "key '%.*s'", (int)size_min(pair->key.n, 80), pair->key.bytes);
    return s;
}

static int by_key(const void *a, const void *b)
{
    const struct gguf_pair *left = a, *right = b;

    return gguf_text_compare(&left->key, &right->key);
}

enum status gguf_read_pairs(struct gguf *g, struct gguf_cursor *c, uint64_t n, struct err *err)
{
    enum status s;

    if (n > gguf_left(c) / PAIR_BYTES_MIN)
        return err_set(err, ST_FORMAT,
                       "the header promises %llu metadata keys, more than the file "
                       "has bytes for",
                       (unsigned long long)n);
    if (n > GGUF_PAIRS_MAX)
        return err_set(err, ST_RANGE, "the file has %llu metadata keys; at most %d are read",
                       (unsigned long long)n, GGUF_PAIRS_MAX);
    if (n == 0)
        return ST_OK;
    g->pairs = calloc((size_t)n, sizeof(*g->pairs));
    if (!g->pairs)
        return err_set(err, ST_NOMEM, "no memory for an index of %llu metadata keys",
                       (unsigned long long)n);
    for (g->n_pairs = 0; g->n_pairs < n; g->n_pairs++) {
        s = read_pair(c, &g->pairs[g->n_pairs], err);
        if (s != ST_OK)
            return s;
    }
    qsort(g->pairs, g->n_pairs, sizeof(*g->pairs), by_key);
    for (size_t i = 1; i < g->n_pairs; i++)
        if (by_key(&g->pairs[i - 1], &g->pairs[i]) == 0)
            return err_set(err, ST_FORMAT, "the metadata key '%.*s' is there twice",
                           (int)size_min(g->pairs[i].key.n, 80), g->pairs[i].key.bytes);
    return ST_OK;
}
