/* SPDX-License-Identifier: Apache-2.0 */
/* execute/sched.c - what the next step computes: a decision without side effects. */
#include "execute/sched.h"

static uint32_t min_u32(uint32_t a, uint32_t b)
{
    return a < b ? a : b;
}

uint32_t sched_plan(const struct sched_entry *entries, size_t n, const struct sched_limits *limits,
                    uint32_t *ret_rows)
{
    uint32_t rows_left = limits->max_rows, pages_left = limits->n_free_pages, n_running = 0;

    for (size_t i = 0; i < n; i++) {
        const struct sched_entry *e = &entries[i];

        ret_rows[i] = e->is_running && e->n_pending == 1 && rows_left > 0 ? 1 : 0;
        rows_left -= ret_rows[i];
        n_running += e->is_running ? 1 : 0;
    }
    for (size_t i = 0; i < n && rows_left > 0; i++) {
        const struct sched_entry *e = &entries[i];

        if (!e->is_running || e->n_pending == 1)
            continue;
        ret_rows[i] = min_u32(e->n_pending, rows_left);
        rows_left -= ret_rows[i];
    }
    for (size_t i = 0; i < n && rows_left > 0; i++) {
        const struct sched_entry *e = &entries[i];

        if (e->is_running)
            continue;
        if (n_running == limits->max_sequences || e->n_pages > pages_left)
            break;
        ret_rows[i] = min_u32(e->n_pending, rows_left);
        rows_left -= ret_rows[i];
        pages_left -= e->n_pages;
        n_running++;
    }
    return limits->max_rows - rows_left;
}
