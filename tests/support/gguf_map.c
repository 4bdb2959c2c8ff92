/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/gguf_map.c - walk the head of a good GGUF file. */
#include "support/gguf_map.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "model/gguf/gguf.h"

struct walk {
    const unsigned char *bytes;
    struct gguf_map *map;
    size_t at, key_at, n_key;
};

static void mark(struct walk *w, enum gguf_part part, size_t n)
{
    struct gguf_map *map = w->map;

    if (map->n_marks == map->capacity) {
        map->capacity = map->capacity ? 2 * map->capacity : 1024;
        map->marks = realloc(map->marks, map->capacity * sizeof(*map->marks));
        if (!map->marks)
            abort();
    }
    map->marks[map->n_marks++] = (struct gguf_mark){ part, w->at, n, w->key_at, w->n_key };
    w->at += n;
}

static uint64_t number(struct walk *w, enum gguf_part part, size_t n)
{
    uint64_t value = 0;

    memcpy(&value, w->bytes + w->at, n);
    mark(w, part, n);
    return value;
}

static void text(struct walk *w, enum gguf_part part)
{
    mark(w, part, (size_t)number(w, PART_LENGTH, 8));
}

static void values(struct walk *w, uint64_t type, size_t n)
{
    static const size_t sizes[] = { 1, 1, 2, 2, 4, 4, 4, 1, 0, 0, 8, 8, 8 };

    if (type == GGUF_STRING) {
        for (size_t i = 0; i < n; i++)
            text(w, PART_VALUE);
    } else if (type == GGUF_ARRAY) {
        for (size_t i = 0; i < n; i++) {
            const uint64_t item_type = number(w, PART_TYPE, 4);

            values(w, item_type, (size_t)number(w, PART_ITEMS, 8));
        }
    } else if (type <= GGUF_FLOAT64) {
        mark(w, PART_VALUE, n * sizes[type]);
    } else {
        abort();
    }
}

static void pair(struct walk *w)
{
    size_t n;

    w->key_at = w->n_key = 0;
    n = (size_t)number(w, PART_LENGTH, 8);
    w->key_at = w->at;
    w->n_key = n;
    mark(w, PART_KEY, n);
    values(w, number(w, PART_TYPE, 4), 1);
}

static void tensor(struct walk *w)
{
    uint64_t n_dims;

    text(w, PART_NAME);
    n_dims = number(w, PART_N_DIMS, 4);
    for (uint64_t i = 0; i < n_dims; i++)
        mark(w, PART_DIM, 8);
    mark(w, PART_TENSOR_TYPE, 4);
    mark(w, PART_OFFSET, 8);
}

void gguf_map_read(const unsigned char *bytes, struct gguf_map *ret_map)
{
    struct walk w = { .bytes = bytes, .map = ret_map };
    uint64_t n_tensors, n_pairs;

    *ret_map = (struct gguf_map){ 0 };
    mark(&w, PART_MAGIC, 4);
    mark(&w, PART_VERSION, 4);
    n_tensors = number(&w, PART_COUNT, 8);
    n_pairs = number(&w, PART_COUNT, 8);
    for (uint64_t i = 0; i < n_pairs; i++)
        pair(&w);
    w.key_at = w.n_key = 0;
    for (uint64_t i = 0; i < n_tensors; i++)
        tensor(&w);
    ret_map->head_bytes = w.at;
}

void gguf_map_release(struct gguf_map *map)
{
    free(map->marks);
    *map = (struct gguf_map){ 0 };
}

const struct gguf_mark *gguf_map_value(const struct gguf_map *map, const unsigned char *bytes,
                                       const char *key)
{
    for (size_t i = 0; i < map->n_marks; i++) {
        const struct gguf_mark *m = &map->marks[i];

        if (m->part == PART_VALUE && m->n_key == strlen(key) &&
            memcmp(bytes + m->key_at, key, m->n_key) == 0)
            return m;
    }
    abort();
}

const struct gguf_mark *gguf_map_pick(const struct gguf_map *map, enum gguf_part part, size_t i)
{
    size_t n = 0;

    for (size_t k = 0; k < map->n_marks; k++)
        n += map->marks[k].part == part;
    if (n == 0)
        abort();
    i %= n;
    for (size_t k = 0;; k++)
        if (map->marks[k].part == part && i-- == 0)
            return &map->marks[k];
}
