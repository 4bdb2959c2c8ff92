/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/child.h - another program's standard output, in bounded time.
 *
 * The child is ended by its process id when its time is over or this program
 * is interrupted; it never outlives the call.
 *
 * Threads  the main thread: signal handlers are set for the time of the call
 */
#ifndef POMONA_CMD_BENCH_CHILD_H
#define POMONA_CMD_BENCH_CHILD_H

#include "base/buf.h"

enum { CHILD_OUTPUT_MAX_BYTES = 4 << 20 };

/* Run argv[0] (a path, or a name to be found in PATH) and append what it prints to `output`; what
 * it says on standard error is dropped.
 * argv    NULL-terminated; borrowed
 * Errors  ST_IO        it cannot be started, or does not end with status 0
 *         ST_DEADLINE  it took longer than timeout_s
 *         ST_CANCELED  SIGINT or SIGTERM came
 *         ST_RANGE     it printed more than CHILD_OUTPUT_MAX_BYTES */
enum status child_output(const char *const *argv, double timeout_s, struct buf *output,
                         struct err *err);

#endif
