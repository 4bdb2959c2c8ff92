/* SPDX-License-Identifier: Apache-2.0 */
/* engine/dtype.h - number formats of weights, as GGUF stores them.
 *
 * Quantised formats hold blocks of 32 elements:
 *   Q4_0  f16 d; 16 bytes of nibbles        w = d * (q - 8)
 *   Q4_1  f16 d, f16 m; 16 bytes of nibbles w = d * q + m
 *   Q8_0  f16 d; 32 int8                    w = d * q
 * Element i < 16 of a 4-bit block is the low nibble of byte i, element
 * i + 16 the high nibble.
 *
 * To add a format: its layout here, one row of dtypes[] in dtype.c, and a
 * reference kernel in engine/cpu/ref.
 *
 * Source  ggml repository, docs/gguf.md (type ids) and ggml-common.h (blocks)
 */
#ifndef POMONA_ENGINE_DTYPE_H
#define POMONA_ENGINE_DTYPE_H

#include <stddef.h>
#include <stdint.h>

enum dtype { /* values are GGUF's ggml_type */
             DTYPE_F32 = 0,
             DTYPE_F16 = 1,
             DTYPE_Q4_0 = 2,
             DTYPE_Q4_1 = 3,
             DTYPE_Q8_0 = 8,
};

struct dtype_info {
    enum dtype dtype;
    const char *name;     /* "Q4_0" */
    uint32_t block_elems; /* 1 or 32 */
    uint32_t block_bytes;
};

/* NULL for a type this build cannot compute with. */
const struct dtype_info *dtype_info(uint32_t gguf_type);

/* GGUF's name of any type id, known or not ("Q4_K"); "type 99" style words
 * are the caller's business: NULL for an id GGUF does not define. */
const char *dtype_gguf_name(uint32_t gguf_type);

/* Bytes of a row of n elements; 0 where n is not a whole number of blocks. */
size_t dtype_row_bytes(enum dtype dtype, size_t n);

#endif
