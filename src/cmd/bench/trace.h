/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/trace.h - spans of time as a file that chrome://tracing and ui.perfetto.dev show.
 *
 * Source  "Trace Event Format", docs.google.com/document/d/1CvAClvFfyA5R-PhYUmn5OOQtYMH4h6I0nSsKchNAySU,
 *         complete events ("ph":"X"), times in microseconds
 */
#ifndef POMONA_CMD_BENCH_TRACE_H
#define POMONA_CMD_BENCH_TRACE_H

#include <stdint.h>

#include "base/status.h"

struct trace;

/* Errors  ST_IO  the file cannot be made; ST_NOMEM */
enum status trace_open(const char *path, struct trace **ret_trace, struct err *err);

/* From start_ns to end_ns of clock_ns().  `name` needs no escapes. */
void trace_span(struct trace *trace, const char *name, uint64_t start_ns, uint64_t end_ns);

/* The same, with how many rows of how many sequences it was about. */
void trace_step(struct trace *trace, const char *name, uint64_t start_ns, uint64_t end_ns,
                uint32_t n_rows, uint32_t n_sequences);

/* Finish the file.  NULL is allowed.
 * Errors  ST_IO  not all of it was written */
enum status trace_close(struct trace *trace, struct err *err);

#endif
