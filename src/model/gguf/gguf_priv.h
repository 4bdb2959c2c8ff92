/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf_priv.h - the open file, and the cursor its parsers share. */
#ifndef POMONA_MODEL_GGUF_GGUF_PRIV_H
#define POMONA_MODEL_GGUF_GGUF_PRIV_H

#include "model/gguf/gguf.h"
#include "model/share/piece_map.h"

/* Every machine Pomona runs on is little endian, as the file is: numbers are copied, not swapped. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "GGUF is read on little endian machines");

enum {
    GGUF_MAGIC = 0x46554747,     /* "GGUF" */
    GGUF_ALIGNMENT_DEFAULT = 32, /* docs/gguf.md, general.alignment */

    /* Bounds of ours: several times what the largest published models need. */
    GGUF_PAIRS_MAX = 1 << 16,
    GGUF_TENSORS_MAX = 1 << 16,
    GGUF_ALIGNMENT_MAX = 1 << 20,
    GGUF_NESTING_MAX = 4,

    GGUF_KEY_BYTES_MAX = 65535, /* docs/gguf.md, "2^16-1 bytes" */
    GGUF_NAME_BYTES_MAX = 64,   /* docs/gguf.md, struct gguf_tensor_info_t */
};

struct gguf_pair {
    struct gguf_text key;
    enum gguf_type type;
    enum gguf_type item_type;   /* of an array */
    uint64_t n_items;           /* of an array */
    const unsigned char *bytes; /* the value; of strings and arrays what follows the lengths */
    size_t n_bytes;
};

struct gguf {
    unsigned char *base; /* the mapping; NULL while there is none */
    size_t size;
    int64_t modified_unix_s;
    size_t head_bytes;
    struct gguf_pair *pairs; /* [n_pairs], by key */
    size_t n_pairs;
    struct gguf_tensor *tensors; /* [n_tensors], by name */
    size_t n_tensors;
    struct piece_map pieces; /* zeroed: the file is whole */
};

/* A position in the file.  Readers move it only when they succeed. */
struct gguf_cursor {
    const unsigned char *base;
    size_t at, end;
};

size_t gguf_left(const struct gguf_cursor *c);
bool gguf_take(struct gguf_cursor *c, uint64_t n, const unsigned char **ret);
bool gguf_take_u32(struct gguf_cursor *c, uint32_t *ret);
bool gguf_take_u64(struct gguf_cursor *c, uint64_t *ret);
bool gguf_take_text(struct gguf_cursor *c, struct gguf_text *ret);

/* Compare as memcmp() does, a prefix before what it begins. */
int gguf_text_compare(const struct gguf_text *a, const struct gguf_text *b);
bool gguf_text_is_printable(const struct gguf_text *text);

/* Read `n` pairs at the cursor into the index of `g`. */
enum status gguf_read_pairs(struct gguf *g, struct gguf_cursor *c, uint64_t n, struct err *err);

/* Read `n` tensor descriptions at the cursor into the index of `g`, and check
 * where their bytes lie. */
enum status gguf_read_tensors(struct gguf *g, struct gguf_cursor *c, uint64_t n, struct err *err);

#endif
