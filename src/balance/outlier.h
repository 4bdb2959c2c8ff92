/* SPDX-License-Identifier: Apache-2.0 */
/* balance/outlier.h - a server that fails again and again is left out for a while.
 *
 * Passive: what requests came to decides.  OUTLIER_FAILURES in a row put it out, for OUTLIER_MS the first
 * time, as much longer each time after; an hour's quarter of good behaviour takes one time off.  At most
 * half of a model's servers are out, and never the last: a wrong verdict must not be worse than none.
 * A refusal for overload is no failure, nor is what the client did wrong.
 *
 * Pure: the clock is an argument.
 * Source  Envoy's outlier detection, its defaults
 */
#ifndef POMONA_BALANCE_OUTLIER_H
#define POMONA_BALANCE_OUTLIER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
    OUTLIER_FAILURES = 5,
    OUTLIER_MS = 30000,
    OUTLIER_MS_MAX = 300000,
    OUTLIER_FORGET_MS = 900000,
};

/* Zero is a server that nothing is known of. */
struct outlier {
    uint32_t n_failures; /* in a row */
    uint32_t n_times;    /* it was out */
    uint64_t until_ns;
};

void outlier_succeeded(struct outlier *o, uint64_t now_ns);

/* n_out, n  servers of the same model, and how many of them are out already
 * True: it is out from now on. */
bool outlier_failed(struct outlier *o, size_t n_out, size_t n, uint64_t now_ns);

bool outlier_is_out(const struct outlier *o, uint64_t now_ns);

#endif
