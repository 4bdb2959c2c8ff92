/* SPDX-License-Identifier: Apache-2.0 */
/* metrics/render.c - the exposition, in the text format of Prometheus. */
#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>

#include "metrics/metrics_priv.h"

static uint64_t count_of(enum metric m, size_t i)
{
    return atomic_load_explicit(&metric_states[m].counts[i], memory_order_relaxed);
}

/* Value `i` of "a|b|c".  False: there are fewer. */
static bool label_value(const char *values, size_t i, const char **ret_at, size_t *ret_n)
{
    for (; i > 0; i--) {
        values += strcspn(values, "|");
        if (*values++ != '|')
            return false;
    }
    *ret_at = values;
    *ret_n = strcspn(values, "|");
    return true;
}

static void write_counter(enum metric m, const char *name, struct buf *out)
{
    const struct metric_row *row = &metric_rows[m];
    const char *at;
    size_t n;

    if (!row->label) {
        buf_printf(out, "%s %" PRIu64 "\n", name, count_of(m, 0));
        return;
    }
    for (size_t i = 0; i < METRIC_VALUES_MAX && label_value(row->values, i, &at, &n); i++)
        buf_printf(out, "%s{%s=\"%.*s\"} %" PRIu64 "\n", name, row->label, (int)n, at,
                   count_of(m, i));
}

static void write_histogram(enum metric m, const char *name, struct buf *out)
{
    const double *bounds = metric_rows[m].buckets;
    uint64_t n = 0;
    size_t i = 0;

    for (; bounds[i] > 0; i++) {
        n += count_of(m, i);
        buf_printf(out, "%s_bucket{le=\"%g\"} %" PRIu64 "\n", name, bounds[i], n);
    }
    n += count_of(m, i);
    buf_printf(out, "%s_bucket{le=\"+Inf\"} %" PRIu64 "\n%s_sum %.9g\n%s_count %" PRIu64 "\n", name,
               n, name,
               (double)atomic_load_explicit(&metric_states[m].sum_ns, memory_order_relaxed) / 1e9,
               name, n);
}

static void write_metric(enum metric m, const char *name, struct buf *out)
{
    static const char *const words[] = { "counter", "gauge", "histogram", "counter" };
    const struct metric_row *row = &metric_rows[m];

    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", name, row->help, name, words[row->kind]);
    switch (row->kind) {
    case COUNTER: write_counter(m, name, out); break;
    case HISTOGRAM: write_histogram(m, name, out); break;
    case GAUGE:
    case TOTAL:
        buf_printf(out, "%s %.15g\n", name,
                   atomic_load_explicit(&metric_states[m].gauge, memory_order_relaxed));
        break;
    }
}

static const struct each_row {
    enum metric_group group;
    enum metric_kind kind;
    const char *name, *help;
} each_rows[N_METRICS_EACH] = {
#define X(id, group, kind, name, help) [METRIC_##id] = { METRIC_GROUP_##group, kind, name, help },
    METRIC_EACH_MAP(X)
#undef X
};

static const char *const group_labels[N_METRIC_GROUPS] = {
#define X(id, labels) labels,
    METRIC_GROUP_MAP(X)
#undef X
};

/* Prometheus text format 0.0.4: backslash, quote and end of line are escaped in a label's value. */
static void write_label_value(const char *value, struct buf *out)
{
    for (; *value; value++) {
        if (*value == '\n')
            buf_puts(out, "\\n");
        else if (*value == '"' || *value == '\\')
            buf_printf(out, "\\%c", *value);
        else
            buf_putc(out, *value);
    }
}

static void write_labels(const char *names, const char *const *values, struct buf *out)
{
    const char *at;
    size_t n;

    for (size_t i = 0; i < METRIC_LABELS_MAX && label_value(names, i, &at, &n); i++) {
        buf_printf(out, "%s%.*s=\"", i ? "," : "{", (int)n, at);
        write_label_value(values[i], out);
        buf_putc(out, '"');
    }
    buf_putc(out, '}');
}

static bool ask(const struct metrics_source *source, size_t i, const char **ret_labels,
                double *ret_values)
{
    for (size_t m = 0; m < N_METRICS_EACH; m++)
        ret_values[m] = NAN;
    return source->each && i < METRIC_EACH_MAX &&
           source->each(source->arg, i, ret_labels, ret_values);
}

static void write_each(size_t m, const struct metrics_source *source, struct buf *out)
{
    const struct each_row *row = &each_rows[m];
    const char *labels[METRIC_LABELS_MAX];
    double values[N_METRICS_EACH];

    buf_printf(out, "# HELP %s %s\n# TYPE %s %s\n", row->name, row->help, row->name,
               row->kind == COUNTER ? "counter" : "gauge");
    for (size_t i = 0; ask(source, i, labels, values); i++) {
        if (isnan(values[m]))
            continue;
        buf_puts(out, row->name);
        write_labels(group_labels[row->group], labels, out);
        buf_printf(out, " %.15g\n", values[m]);
    }
}

void metrics_render(const struct metrics_source *sources, struct buf *out)
{
    for (int m = 0; m < N_METRICS; m++) {
        write_metric((enum metric)m, metric_rows[m].name, out);
        if (metric_rows[m].vllm)
            write_metric((enum metric)m, metric_rows[m].vllm, out);
    }
    for (size_t m = 0; m < N_METRICS_EACH; m++)
        write_each(m, &sources[each_rows[m].group], out);
    buf_puts(out, "# HELP pomona_build_info The version, as a label.\n"
                  "# TYPE pomona_build_info gauge\n"
                  "pomona_build_info{version=\"" POMONA_VERSION "\"} 1\n");
}
