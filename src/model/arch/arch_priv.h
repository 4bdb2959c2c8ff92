/* SPDX-License-Identifier: Apache-2.0 */
/* model/arch/arch_priv.h - what families share: bounded numbers, bound tensors. */
#ifndef POMONA_MODEL_ARCH_ARCH_PRIV_H
#define POMONA_MODEL_ARCH_ARCH_PRIV_H

#include "model/arch/arch.h"

extern const struct arch arch_llama;

enum { ARCH_KEY_MAX = 96 }; /* bytes of "family.key", NUL included */

/* A whole number of the metadata, "family." left out of its key. */
struct arch_number {
    const char *key;
    uint32_t min, max;
    uint32_t *into;
};

/* Errors  ST_NOTFOUND, ST_FORMAT; ST_RANGE outside min..max */
enum status arch_need_u32(const struct gguf *gguf, const char *family,
                          const struct arch_number *number, struct err *err);

/* As above; where the key is absent `into` keeps its value, which is checked
 * against the same bounds. */
enum status arch_take_u32(const struct gguf *gguf, const char *family,
                          const struct arch_number *number, struct err *err);

/* `*ret` keeps its value where the key is absent. */
enum status arch_take_f32(const struct gguf *gguf, const char *family, const char *key, float *ret,
                          struct err *err);

/* Looks tensors up and remembers which were used. */
struct arch_binder {
    const struct gguf *gguf;
    unsigned char *is_used; /* [n_tensors] */
};

enum status arch_binder_init(struct arch_binder *b, const struct gguf *gguf, struct err *err);
void arch_binder_release(struct arch_binder *b);

/* [n_rows][n_cols] of any number format this build computes with.
 * Errors  ST_FORMAT  missing, or another shape; ST_UNSUPPORTED  the number format, named */
enum status arch_bind_matrix(struct arch_binder *b, const char *name, uint32_t n_rows,
                             uint32_t n_cols, struct matrix *ret, struct err *err);

/* [n] of F32. */
enum status arch_bind_vector(struct arch_binder *b, const char *name, uint32_t n, const float **ret,
                             struct err *err);

/* Errors  ST_UNSUPPORTED  a tensor was not used: the graph is not the model's */
enum status arch_refuse_unused(const struct arch_binder *b, const char *family, struct err *err);

#endif
