/* SPDX-License-Identifier: Apache-2.0 */
/* history/analysis.c - availability, failures, budgets, trends, what came together. */
#include "history/analysis.h"

#include <math.h>
#include <string.h>

static bool is_down(const char *state)
{
    return strcmp(state, "critical") == 0;
}

void analysis_outages(const struct history_event *events, size_t n, const char *subject,
                      const char *check, int64_t from, int64_t to, struct outages *ret)
{
    struct outages o = { .mttr_s = (double)NAN, .mtbf_s = (double)NAN };
    int64_t since = from, repaired_s = 0;
    size_t n_repaired = 0;
    bool is_first = true;

    for (size_t i = 0; i < n && events[i].t < to; i++) {
        const struct history_event *e = &events[i];
        const int64_t t = e->t < from ? from : e->t;

        if (strcmp(e->subject, subject) != 0 || strcmp(e->check, check) != 0)
            continue;
        if (is_first && is_down(e->from)) { /* it was before */
            o.is_down = true;
            o.n_failures = 1;
        }
        is_first = false;
        if (is_down(e->to) && !o.is_down) {
            o.n_failures++;
            since = t;
        } else if (!is_down(e->to) && o.is_down) {
            repaired_s += t - since;
            n_repaired++;
        }
        o.is_down = is_down(e->to);
    }
    o.down_s = repaired_s + (o.is_down ? to - since : 0);
    if (n_repaired > 0)
        o.mttr_s = (double)repaired_s / (double)n_repaired;
    if (o.n_failures > 0)
        o.mtbf_s = (double)(to - from - o.down_s) / (double)o.n_failures;
    *ret = o;
}

void analysis_budget(const struct history_point *total, double target, struct budget *ret)
{
    const double availability = total->sum / (double)total->n;

    *ret = (struct budget){
        .availability = availability,
        .target = target,
        .left = 1 - (1 - availability) / (1 - target),
    };
}

static double mean(const struct history_point *p)
{
    return p->sum / (double)p->n;
}

bool analysis_trend(const struct history_point *points, size_t n, int64_t now, double threshold,
                    struct trend *ret)
{
    double mean_x = 0, mean_y = 0, xx = 0, xy = 0, yy = 0, slope, left_s;

    if (n < 3)
        return false;
    for (size_t i = 0; i < n; i++) {
        mean_x += (double)(points[i].t - now) / (double)n;
        mean_y += mean(&points[i]) / (double)n;
    }
    for (size_t i = 0; i < n; i++) {
        const double x = (double)(points[i].t - now) - mean_x, y = mean(&points[i]) - mean_y;

        xx += x * x;
        xy += x * y;
        yy += y * y;
    }
    if (!(xx > 0))
        return false;
    slope = xy / xx;
    *ret = (struct trend){ .slope_per_day = slope * 86400,
                           .now = mean_y - slope * mean_x,
                           .fit = yy > 0 ? xy * xy / (xx * yy) : 1,
                           .days = (double)NAN };
    left_s = (threshold - ret->now) / slope;
    if (isfinite(left_s) && left_s >= 0)
        ret->days = left_s / 86400;
    return true;
}

size_t analysis_beside(const struct history_event *events, size_t n, size_t at, int64_t around_s,
                       size_t *ret_at, size_t capacity)
{
    const struct history_event *fault = &events[at];
    size_t n_found = 0;

    for (size_t i = 0; i < n && n_found < capacity; i++) {
        const struct history_event *e = &events[i];
        const bool is_itself =
            strcmp(e->subject, fault->subject) == 0 && strcmp(e->check, fault->check) == 0;

        if (is_itself || e->t < fault->t - around_s || e->t > fault->t + around_s)
            continue;
        if (strcmp(e->to, "critical") == 0 || strcmp(e->to, "warning") == 0)
            ret_at[n_found++] = i;
    }
    return n_found;
}
