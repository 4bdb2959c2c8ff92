/* SPDX-License-Identifier: Apache-2.0 */
/* tests/fuzz/drive.h - a fuzz target, and what both of its drivers want to know.
 *
 * A target is LLVMFuzzerTestOneInput() and its seeds: inputs that are good.  It is linked with
 * clang's libFuzzer where that is asked for (-DPOMONA_FUZZ=ON), and always with drive.c, which needs
 * no compiler's help: it changes the seeds at random, as JSON values or as bytes, and watches.
 */
#ifndef POMONA_TESTS_FUZZ_DRIVE_H
#define POMONA_TESTS_FUZZ_DRIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"

struct fuzz_seeds {
    const char *const *texts; /* [n] */
    size_t n;
    bool is_json;
};

extern const struct fuzz_seeds fuzz_seeds;

/* Does no harm with any bytes, or aborts: that is a finding. */
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t n);

struct draws {
    uint64_t state;
};

/* 0 .. n - 1; 0 where n is 0. */
size_t draw(struct draws *d, size_t n);

/* A seed with a few changes.  ret: cleared first. */
void mutate(const struct fuzz_seeds *seeds, struct draws *d, struct buf *ret);

#endif
