/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/damage.h - ways to damage a good GGUF file, each reproducible.
 *
 * GGUF carries no checksum, so a changed licence text cannot be told from the
 * true one.  Every way listed here changes something a reader can hold against
 * the rest of the file, or, the last one, weights and nothing else.
 */
#ifndef POMONA_TESTS_FUZZ_DAMAGE_H
#define POMONA_TESTS_FUZZ_DAMAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/gguf_map.h"

enum { PATCH_BYTES_MAX = 64, PATCHES_MAX = 2 };

struct good_file {
    const unsigned char *bytes; /* the head at least; the rest is not looked at */
    size_t size;                /* of the whole file */
    size_t data_at;             /* first weight byte */
    struct gguf_map map;
};

struct patch {
    size_t at, n;
    unsigned char bytes[PATCH_BYTES_MAX];
};

struct damage {
    const char *way;
    size_t size; /* of the damaged file */
    struct patch patches[PATCHES_MAX];
    size_t n_patches;
    bool is_in_weights; /* such a file opens; every other is refused */
};

size_t damage_n_ways(void);

/* Damage `file` the `way`-th way; `seed` decides where and how. */
void damage_draw(const struct good_file *file, size_t way, uint64_t seed,
                 struct damage *ret_damage);

#endif
