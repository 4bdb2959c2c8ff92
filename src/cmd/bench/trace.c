/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/bench/trace.c - write complete events, one a line. */
#include "cmd/bench/trace.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

struct trace {
    FILE *file;
    bool has_events;
    uint64_t first_ns; /* the time that the file calls 0 */
};

static const double ns_per_us = 1e3;

enum status trace_open(const char *path, struct trace **ret_trace, struct err *err)
{
    struct trace *trace = calloc(1, sizeof(*trace));

    if (!trace)
        return err_set(err, ST_NOMEM, "no memory for a trace");
    trace->file = fopen(path, "we");
    if (!trace->file) {
        free(trace);
        return err_errno(err, "write '%s'", path);
    }
    (void)fputs("{\"displayTimeUnit\":\"ns\",\"traceEvents\":[", trace->file);
    *ret_trace = trace;
    return ST_OK;
}

static void event_begin(struct trace *trace, const char *name, uint64_t start_ns, uint64_t end_ns)
{
    if (!trace->has_events)
        trace->first_ns = start_ns;
    (void)fprintf(trace->file,
                  "%s\n{\"name\":\"%s\",\"ph\":\"X\",\"pid\":1,\"tid\":1,\"ts\":%.3f,\"dur\":%.3f",
                  trace->has_events ? "," : "", name,
                  ((double)start_ns - (double)trace->first_ns) / ns_per_us,
                  (double)(end_ns - start_ns) / ns_per_us);
    trace->has_events = true;
}

void trace_span(struct trace *trace, const char *name, uint64_t start_ns, uint64_t end_ns)
{
    event_begin(trace, name, start_ns, end_ns);
    (void)fputc('}', trace->file);
}

void trace_step(struct trace *trace, const char *name, uint64_t start_ns, uint64_t end_ns,
                uint32_t n_rows, uint32_t n_sequences)
{
    event_begin(trace, name, start_ns, end_ns);
    (void)fprintf(trace->file, ",\"args\":{\"rows\":%u,\"sequences\":%u}}", n_rows, n_sequences);
}

enum status trace_close(struct trace *trace, struct err *err)
{
    bool is_whole;

    if (!trace)
        return ST_OK;
    (void)fputs("\n]}\n", trace->file);
    is_whole = !ferror(trace->file);
    is_whole = fclose(trace->file) == 0 && is_whole;
    free(trace);
    return is_whole ? ST_OK : err_set(err, ST_IO, "the trace could not be written whole");
}
