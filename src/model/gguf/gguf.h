/* SPDX-License-Identifier: Apache-2.0 */
/* model/gguf/gguf.h - read-only view of a GGUF file: metadata and tensor directory.
 *
 * The file is mapped and everything before the tensors' bytes is checked when
 * it is opened: every count and length against the bytes that are left, every
 * type, name and offset; no two keys and no two tensors share a name, no two
 * tensors share bytes.  After that the getters need no doubt.  Memory is taken
 * for the index only, in proportion to entries that were really there.
 *
 * A file that was fetched in part is read as far as it is there: its head has to be.
 *
 * A file that another program shortens while it is mapped ends this process
 * with SIGBUS: the store replaces files, it never rewrites them.
 *
 * Threads  immutable once open
 * Source   ggml repository, docs/gguf.md, versions 2 and 3, little endian
 */
#ifndef POMONA_MODEL_GGUF_GGUF_H
#define POMONA_MODEL_GGUF_GGUF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/status.h"
#include "contract/model_info.h"

struct gguf;

enum gguf_type { /* docs/gguf.md, enum gguf_metadata_value_type */
                 GGUF_UINT8 = 0,
                 GGUF_INT8 = 1,
                 GGUF_UINT16 = 2,
                 GGUF_INT16 = 3,
                 GGUF_UINT32 = 4,
                 GGUF_INT32 = 5,
                 GGUF_FLOAT32 = 6,
                 GGUF_BOOL = 7,
                 GGUF_STRING = 8,
                 GGUF_ARRAY = 9,
                 GGUF_UINT64 = 10,
                 GGUF_INT64 = 11,
                 GGUF_FLOAT64 = 12,
};

enum { GGUF_DIMS_MAX = 4 };

struct gguf_text {
    const char *bytes; /* not NUL-terminated */
    size_t n;
};

struct gguf_array {
    enum gguf_type type;        /* of its items */
    uint64_t n;                 /* items; of a string array: items not yet taken */
    const unsigned char *bytes; /* the items as stored, of no alignment */
    size_t n_bytes;
};

struct gguf_tensor {
    struct gguf_text name;        /* printable ASCII, 1..64 bytes */
    uint32_t type;                /* as stored: dtype_info() tells whether it is known */
    uint32_t n_dims;              /* 1..4 */
    uint64_t dims[GGUF_DIMS_MAX]; /* fastest first, each >= 1; 1 beyond n_dims */
    uint64_t n_elems;
    uint64_t n_bytes; /* 0 where the type is not known */
    const void *data; /* lent until gguf_free(); 8-byte aligned */
};

/* ret_gguf  given; release with gguf_free()
 * Errors    ST_NOTFOUND, ST_IO; ST_FORMAT  damaged or no GGUF at all; ST_UNSUPPORTED  a version
 *           or byte order not read here; ST_RANGE  more entries than any model has; ST_NOMEM */
enum status gguf_open(const char *path, struct gguf **ret_gguf, struct err *err);
void gguf_free(struct gguf *gguf); /* NULL is allowed */

uint64_t gguf_file_bytes(const struct gguf *gguf);
int64_t gguf_modified_unix_s(const struct gguf *gguf);

/* Header, metadata and tensor directory as stored.  Lent until gguf_free(). */
const void *gguf_head(const struct gguf *gguf, size_t *ret_n_bytes);

/* What names the model: XXH128 of the head, seeded with the file's size. */
void gguf_digest(const struct gguf *gguf, uint8_t ret_digest[MODEL_DIGEST_BYTES]);

/* Where in the file the tensor's bytes begin. */
uint64_t gguf_tensor_offset(const struct gguf *gguf, const struct gguf_tensor *tensor);

/* Whether this machine has [n_bytes] at `data`, bytes of the file: of one that was fetched in
 * part (model/share/piece_map.h) some are holes, which must not be read. */
bool gguf_is_here(const struct gguf *gguf, const void *data, uint64_t n_bytes);

/* As gguf_is_here(); the words name the tensor that has the bytes.
 * Errors  ST_NOTFOUND */
enum status gguf_check_here(const struct gguf *gguf, const void *data, uint64_t n_bytes,
                            struct err *err);

/* Metadata.  What is given back is lent until gguf_free().
 * Errors  ST_NOTFOUND  no such key; ST_FORMAT  its value is of another kind; both name the key.
 *         Integers of any width are taken where the value fits. */
bool gguf_has(const struct gguf *gguf, const char *key);
enum status gguf_get_u32(const struct gguf *gguf, const char *key, uint32_t *ret, struct err *err);
enum status gguf_get_f32(const struct gguf *gguf, const char *key, float *ret, struct err *err);
enum status gguf_get_bool(const struct gguf *gguf, const char *key, bool *ret, struct err *err);
enum status gguf_get_text(const struct gguf *gguf, const char *key, struct gguf_text *ret,
                          struct err *err);

/* As gguf_get_text(), for words that end up in messages and tables: copied to
 * ret [capacity], NUL-terminated.
 * Errors  also ST_FORMAT  empty, too long, or not printable ASCII */
enum status gguf_get_word(const struct gguf *gguf, const char *key, char *ret, size_t capacity,
                          struct err *err);

/* An array whose items are of `type`. */
enum status gguf_get_array(const struct gguf *gguf, const char *key, enum gguf_type type,
                           struct gguf_array *ret, struct err *err);

/* Take the next item of a string array; false when none is left. */
bool gguf_array_next(struct gguf_array *array, struct gguf_text *ret);

/* Tensors, ordered by name. */
size_t gguf_n_tensors(const struct gguf *gguf);
const struct gguf_tensor *gguf_tensor(const struct gguf *gguf, size_t i); /* i < n_tensors */

/* NULL where the file has none of that name. */
const struct gguf_tensor *gguf_find_tensor(const struct gguf *gguf, const char *name);

#endif
