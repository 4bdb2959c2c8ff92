/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/progress.c - draw and wipe the progress line. */
#include "cmd/progress.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "cmd/units.h"

enum { SHOW_EVERY_MS = 100, PATIENCE_MS = 300, BAR_CELLS = 24, LINE_MAX_BYTES = 256 };

void progress_begin(struct progress *p, const struct app *app, const char *what)
{
    *p = (struct progress){ .app = app, .what = what, .start_ns = clock_ns() };
}

static bool is_due(const struct progress *p, uint64_t now_ns)
{
    return p->app->err_is_terminal && now_ns - p->start_ns >= PATIENCE_MS * NS_PER_MS &&
           now_ns - p->shown_ns >= SHOW_EVERY_MS * NS_PER_MS;
}

static void show(struct progress *p, double part, uint64_t now_ns, const char *detail)
{
    char bar[BAR_CELLS + 1], line[LINE_MAX_BYTES];
    const int filled = (int)(part * BAR_CELLS + 0.5);

    memset(bar, '.', BAR_CELLS);
    memset(bar, '#', (size_t)filled);
    bar[BAR_CELLS] = '\0';
    (void)snprintf(line, sizeof(line), "%s [%s] %3.0f%%%s", p->what, bar, part * 100, detail);
    /* A line wider than the terminal would wrap and stay behind. */
    fprintf(stderr, "\r%.*s\033[K", p->app->columns - 1, line);
    (void)fflush(stderr);
    p->shown_ns = now_ns;
    p->is_shown = true;
}

void progress_part(struct progress *p, double part, const char *detail)
{
    const uint64_t now_ns = clock_ns();

    if (is_due(p, now_ns))
        show(p, part < 0 ? 0 : part > 1 ? 1 : part, now_ns, detail);
}

void progress_bytes(void *arg, uint64_t done, uint64_t total)
{
    struct progress *p = arg;
    const uint64_t now_ns = clock_ns();
    const double passed_s = (double)(now_ns - p->start_ns) / (double)NS_PER_S;
    char rate[UNITS_MAX], left[UNITS_MAX], detail[3 * UNITS_MAX];
    double rate_bytes;

    if (!p->has_first)
        p->first_bytes = done;
    p->has_first = true;
    if (total == 0 || done > total || !is_due(p, now_ns))
        return;
    rate_bytes = (double)(done > p->first_bytes ? done - p->first_bytes : done) / passed_s;
    (void)snprintf(detail, sizeof(detail), "  %s/s, %s left",
                   units_bytes((uint64_t)rate_bytes, rate),
                   units_seconds((double)(total - done) / rate_bytes, left));
    show(p, (double)done / (double)total, now_ns, detail);
}

void progress_end(struct progress *p)
{
    if (p->is_shown)
        fprintf(stderr, "\r\033[K");
    p->is_shown = false;
}
