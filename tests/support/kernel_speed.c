/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/kernel_speed.c - how fast one thread multiplies, for people.
 *
 * The matrix is larger than most second-level caches, so one row tells how fast weights
 * stream in, and many rows tell how fast they are computed with.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/size.h"
#include "support/kernel_check.h"
#include "support/numbers.h"

enum { HEIGHT = 4096, COLS = 2048, MAX_ROWS = 64, MEASURE_MS = 60 };

static const enum dtype dtypes[] = { DTYPE_F32, DTYPE_F16, DTYPE_Q4_0, DTYPE_Q4_1, DTYPE_Q8_0 };

static void *aligned_new(size_t n_bytes)
{
    void *p = aligned_alloc(KERNEL_ALIGN, size_round_up(n_bytes + 1, KERNEL_ALIGN));

    require(p != NULL, "no memory for %zu bytes", n_bytes);
    return p;
}

/* Seconds of the fastest of several calls. */
static double best_seconds(const struct product_ops *products, const struct panels *w,
                           const struct activations *a, float *out, float *scratch)
{
    const uint64_t end_ns = clock_ns() + MEASURE_MS * NS_PER_MS;
    uint64_t best_ns = UINT64_MAX;

    for (uint64_t now = 0; now < end_ns;) {
        const uint64_t start_ns = clock_ns();

        products->matmul[w->dtype](w, 0, HEIGHT / PANEL_ROWS, a, out, HEIGHT, scratch);
        now = clock_ns();
        best_ns = now - start_ns < best_ns ? now - start_ns : best_ns;
    }
    return (double)(best_ns + 1) / (double)NS_PER_S;
}

static void print_dtype(const struct kernel_ops *ops, enum activation_format format,
                        const struct panels *w, const float *x, unsigned char *packed, float *out,
                        float *scratch)
{
    const struct product_ops *products = &ops->products[format];
    static const uint32_t rows[] = { 1, 2, 4, 8, MAX_ROWS };
    const size_t packed_bytes = products->packed_bytes(COLS);
    const double n_bytes = (double)panel_bytes(w->dtype, COLS) * HEIGHT / PANEL_ROWS;

    for (uint32_t r = 0; r < MAX_ROWS; r++)
        products->pack(packed + r * packed_bytes, x + (size_t)r * COLS, COLS);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const struct activations a = { x, packed, packed_bytes, COLS, rows[i] };
        const double seconds = best_seconds(products, w, &a, out, scratch);

        printf("%-12s %-5s x %2u %3u rows %8.2f GB/s %8.1f GOPS\n", ops->isa,
               dtype_info((uint32_t)w->dtype)->name, activation_format_bits(format), rows[i],
               n_bytes / seconds / 1e9, 2.0 * HEIGHT * COLS * rows[i] / seconds / 1e9);
    }
}

void kernel_print_speed(const struct kernel_ops *ops, enum activation_format format)
{
    float *x = aligned_new((size_t)MAX_ROWS * COLS * sizeof(*x));
    float *out = aligned_new((size_t)MAX_ROWS * HEIGHT * sizeof(*out));
    float *scratch = aligned_new(COLS * sizeof(*scratch));
    unsigned char *packed = aligned_new(MAX_ROWS * ops->products[format].packed_bytes(COLS));
    uint32_t seed = 5;

    for (size_t i = 0; i < (size_t)MAX_ROWS * COLS; i++)
        x[i] = random_float(&seed);
    for (size_t d = 0; d < ARRAY_LEN(dtypes); d++) {
        const size_t one = panel_bytes(dtypes[d], COLS);
        struct matrix w = random_matrix(dtypes[d], HEIGHT, COLS, &seed);
        unsigned char *data = aligned_new(HEIGHT / PANEL_ROWS * one);
        const struct panels panels = { dtypes[d], HEIGHT, COLS, data };

        for (uint32_t p = 0; p < HEIGHT / PANEL_ROWS; p++)
            panel_pack(&w, p, data + p * one);
        print_dtype(ops, format, &panels, x, packed, out, scratch);
        free(data);
        matrix_release(&w);
    }
    free(packed);
    free(scratch);
    free(out);
    free(x);
}
