/* SPDX-License-Identifier: Apache-2.0 */
/* model/safetensors/safetensors.h - the tensors of a folder of safetensors files, read-only.
 *
 * A folder has `model.safetensors`, or several files and `model.safetensors.index.json`, which
 * says which tensor is in which.  The files are mapped, and everything before the tensors' bytes
 * is checked when they are opened: the header's length against a bound and the file, each tensor's
 * format, shape and place; tensors fill their file without gaps and share no bytes; no
 * two of a folder share a name.  Pages of a file come into memory when they are touched.
 *
 * Threads  immutable once open
 * Source   the safetensors repository, README.md, "Format"
 */
#ifndef POMONA_MODEL_SAFETENSORS_SAFETENSORS_H
#define POMONA_MODEL_SAFETENSORS_SAFETENSORS_H

#include <stddef.h>
#include <stdint.h>

#include "base/status.h"

enum { SAFETENSORS_DIMS_MAX = 4 };

enum safetensors_dtype { /* the ones that models are made of; others are refused by name */
                         SAFETENSORS_F32,
                         SAFETENSORS_F16,
                         SAFETENSORS_BF16,
                         SAFETENSORS_U32,
                         SAFETENSORS_I32,
                         SAFETENSORS_U8,
                         SAFETENSORS_I64,
                         N_SAFETENSORS_DTYPES,
};

struct safetensors_tensor {
    const char *name; /* printable ASCII */
    enum safetensors_dtype dtype;
    uint32_t n_dims;                     /* 0..4 */
    uint64_t dims[SAFETENSORS_DIMS_MAX]; /* slowest first, each >= 1; 1 beyond n_dims */
    uint64_t n_bytes;
    const void *data; /* lent until safetensors_free(); of no alignment */
};

struct safetensors;

/* ret_set  given; release with safetensors_free()
 * Errors   ST_NOTFOUND  the folder has no such file; ST_IO; ST_FORMAT  damaged; ST_UNSUPPORTED  a
 *          number format not read here, named; ST_RANGE  more or longer than any model has; ST_NOMEM */
enum status safetensors_open(const char *dir, struct safetensors **ret_set, struct err *err);
void safetensors_free(struct safetensors *set); /* NULL is allowed */

/* Ordered by name. */
size_t safetensors_n(const struct safetensors *set);
const struct safetensors_tensor *safetensors_at(const struct safetensors *set, size_t i);

/* NULL where there is none of that name. */
const struct safetensors_tensor *safetensors_find(const struct safetensors *set, const char *name);

/* "BF16"; never NULL. */
const char *safetensors_dtype_name(enum safetensors_dtype dtype);

#endif
