/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/progress.h - one line on standard error that says how far something is.
 *
 * Shown on terminals only, at most ten times a second, and not for what is
 * over sooner than a person would wonder.  The line is wiped at the end.
 */
#ifndef POMONA_CMD_PROGRESS_H
#define POMONA_CMD_PROGRESS_H

#include <stdbool.h>
#include <stdint.h>

#include "cmd/cmd.h"

struct progress {
    const struct app *app;
    const char *what; /* "loading", borrowed */
    uint64_t start_ns, shown_ns;
    uint64_t first_bytes; /* that were done when the first were told of: no part of the rate */
    bool has_first;
    bool is_shown;
};

void progress_begin(struct progress *p, const struct app *app, const char *what);

/* How the store and the engine report: arg is the struct progress. */
void progress_bytes(void *arg, uint64_t done, uint64_t total);

/* The same for what is known as a part of one; `detail` follows the bar. */
void progress_part(struct progress *p, double part, const char *detail);

void progress_end(struct progress *p);

#endif
