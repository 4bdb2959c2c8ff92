/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/warm.c - ask for all matrices, then touch them in order.
 *
 * Asking first lets the system read ahead of the touching.  Norm weights
 * are a few kilobytes and come with their neighbours.
 */
#include "engine/cpu/warm.h"

#include <sys/mman.h>

#include "base/size.h"

enum {
    TOUCH_BYTES = 4096, /* the smallest page of any machine here */
    REPORT_BYTES = 4 * 1024 * 1024,
};

struct warming {
    const struct engine_options *options;
    uint64_t done_bytes, reported_bytes, total_bytes;
};

typedef void (*region_fn)(struct warming *warming, const unsigned char *data, size_t n_bytes);

static void ask_for(struct warming *warming, const unsigned char *data, size_t n_bytes)
{
    const uintptr_t first = (uintptr_t)data / TOUCH_BYTES * TOUCH_BYTES;

    warming->total_bytes += n_bytes;
    /* Advice only: weights need not be mapped from a file. */
    (void)madvise((void *)first, n_bytes + ((uintptr_t)data - first), MADV_WILLNEED);
}

static void report(struct warming *warming)
{
    warming->reported_bytes = warming->done_bytes;
    if (warming->options->on_progress)
        warming->options->on_progress(warming->options->progress_arg, warming->done_bytes,
                                      warming->total_bytes);
}

static void touch(struct warming *warming, const unsigned char *data, size_t n_bytes)
{
    for (size_t at = 0; at < n_bytes; at += TOUCH_BYTES) {
        (void)*(const volatile unsigned char *)(data + at);
        warming->done_bytes += size_min(TOUCH_BYTES, n_bytes - at);
        if (warming->done_bytes - warming->reported_bytes >= REPORT_BYTES)
            report(warming);
    }
}

static void visit(struct warming *warming, region_fn fn, const struct matrix *w)
{
    if (w->data)
        fn(warming, w->data, w->n_rows * dtype_row_bytes(w->dtype, w->n_cols));
}

static void visit_all(struct warming *warming, region_fn fn, const struct shard_weights *weights)
{
    visit(warming, fn, &weights->embedding);
    for (uint32_t i = 0; i < weights->n_layers; i++) {
        const struct layer_weights *l = &weights->layers[i];
        const struct matrix *const all[] = {
            &l->q, &l->k, &l->v, &l->o, &l->gate, &l->up, &l->down
        };

        for (size_t m = 0; m < ARRAY_LEN(all); m++)
            visit(warming, fn, all[m]);
    }
    if (weights->output.data != weights->embedding.data) /* one tensor may be both */
        visit(warming, fn, &weights->output);
}

void warm_weights(const struct shard_weights *weights, const struct engine_options *options)
{
    struct warming warming = { .options = options };

    visit_all(&warming, ask_for, weights);
    visit_all(&warming, touch, weights);
    report(&warming);
}
