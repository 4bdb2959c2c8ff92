/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/gguf_map.h - where what lies in the head of a good GGUF file.
 *
 * For tests that damage a file on purpose.  Written apart from model/gguf and
 * much simpler, because the files it walks are good: it aborts on others.
 */
#ifndef POMONA_TESTS_SUPPORT_GGUF_MAP_H
#define POMONA_TESTS_SUPPORT_GGUF_MAP_H

#include <stddef.h>

enum gguf_part {
    PART_MAGIC,
    PART_VERSION,
    PART_COUNT, /* of tensors, of keys */
    PART_KEY,
    PART_TYPE,   /* of a value, of an array's items */
    PART_ITEMS,  /* length of an array */
    PART_LENGTH, /* of a string, a key, a name */
    PART_VALUE,  /* a number, a truth value, the bytes of a string, all numbers of an array */
    PART_NAME,
    PART_N_DIMS,
    PART_DIM,
    PART_TENSOR_TYPE,
    PART_OFFSET,
};

struct gguf_mark {
    enum gguf_part part;
    size_t at, n;         /* bytes */
    size_t key_at, n_key; /* of the pair a value belongs to */
};

struct gguf_map {
    struct gguf_mark *marks;
    size_t n_marks, capacity;
    size_t head_bytes; /* everything before padding and weights */
};

/* bytes  borrowed, begins with the whole head of a GGUF file
 * ret_map  given; release with gguf_map_release() */
void gguf_map_read(const unsigned char *bytes, struct gguf_map *ret_map);
void gguf_map_release(struct gguf_map *map);

/* The first value of `key`. */
const struct gguf_mark *gguf_map_value(const struct gguf_map *map, const unsigned char *bytes,
                                       const char *key);

/* The i-th mark of `part` counted around, for any i. */
const struct gguf_mark *gguf_map_pick(const struct gguf_map *map, enum gguf_part part, size_t i);

#endif
