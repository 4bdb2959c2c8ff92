/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/numbers.h - memory with guards, random numbers and random models.
 *
 * Free of the test framework, so that programs for other machines can use it too.
 */
#ifndef POMONA_TESTS_SUPPORT_NUMBERS_H
#define POMONA_TESTS_SUPPORT_NUMBERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "engine/weights.h"

/* End the program with these words where something is not so. */
void require(bool is_so, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* n_bytes that end where an unmapped page begins, so reading or writing past
 * them ends the test; what lies before is checked by guarded_free(). */
void *guarded_new(size_t n_bytes);
void guarded_free(void *p, size_t n_bytes);

/* Uniform in -1..1, from a state that is not 0. */
float random_float(uint32_t *state);
uint32_t random_u32(uint32_t *state);

/* A guarded matrix of numbers of about 1 / sqrt(n_cols). */
struct matrix random_matrix(enum dtype dtype, uint32_t n_rows, uint32_t n_cols, uint32_t *state);
void matrix_release(struct matrix *w);

/* The number at (row, col), from the format's definition alone. */
double matrix_at(const struct matrix *w, uint32_t row, uint32_t col);

/* A whole random model in memory; release with random_model_release(). */
struct random_model {
    enum dtype dtype;
    uint32_t n_layer, n_hidden, n_ff, n_head, n_kv_head, head_dim, n_rope, n_vocab;
    enum rope_style rope_style;
};
void random_model_init(struct shard_weights *ret_weights, const struct random_model *spec);
void random_model_release(struct shard_weights *weights);

/* Layers first..first+n of a whole model, as a shard; points into it. */
struct shard_weights shard_of(const struct shard_weights *model, uint32_t first, uint32_t n);

#endif
