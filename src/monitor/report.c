/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/report.c - what the history says of a time, as JSON. */
#include "monitor/report.h"

#include <jansson.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/size.h"
#include "history/analysis.h"
#include "history/history.h"

static const double FIT_MIN = 0.5; /* of a line that says something */

/* Samples of these are 0 or 1: their mean is an availability. */
static const enum check_id availabilities[] = { CHECK_NODE_UP, CHECK_API_READY, CHECK_MODEL_READY,
                                                CHECK_CANARY_OK, CHECK_UPSTREAM_UP };
static const enum check_id trends[] = {
    CHECK_MEMORY_FREE, CHECK_SWAP_USED,        CHECK_DISK_FREE,
    CHECK_FILES_USED,  CHECK_CERTIFICATE_DAYS, CHECK_NODE_CLOCK
};

enum { TREND_MIN_S = 3600 }; /* what goes on for less foretells nothing */

struct report {
    struct history *history;
    const struct report_query *query;
    const struct check *checks;
    struct history_event *events; /* [n_events] */
    size_t n_events;
    json_t *subjects, *trends, *shown;
};

static json_t *number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

/* The node NAME is meant by "node/NAME", "disk/NAME/...", "link/NAME/..." and "link/.../NAME". */
static bool is_meant(const struct report_query *q, const char *subject)
{
    const size_t n = strlen(q->node);

    if (n == 0)
        return true;
    for (const char *at = strchr(subject, '/'); at; at = strchr(at + 1, '/'))
        if (strncmp(at + 1, q->node, n) == 0 && (at[1 + n] == '\0' || at[1 + n] == '/'))
            return true;
    return false;
}

static const struct check *among(const struct report *r, const enum check_id *list, size_t n,
                                 const char *metric)
{
    for (size_t i = 0; i < n; i++)
        if (strcmp(r->checks[list[i]].name, metric) == 0)
            return &r->checks[list[i]];
    return NULL;
}

/* The mean of each part of the time; null where nothing is known. */
static json_t *timeline(const struct report *r, const struct history_point *points, size_t n)
{
    const double part_s = (double)(r->query->to - r->query->from) / REPORT_TIMELINE;
    double sums[REPORT_TIMELINE] = { 0 }, counts[REPORT_TIMELINE] = { 0 };
    json_t *list = json_array();

    for (size_t i = 0; i < n; i++) {
        const double at = (double)(points[i].t - r->query->from) / part_s;
        const size_t k = at < 0 ? 0 : size_min((size_t)at, REPORT_TIMELINE - 1);

        sums[k] += points[i].sum;
        counts[k] += (double)points[i].n;
    }
    for (size_t k = 0; list && k < REPORT_TIMELINE; k++)
        (void)json_array_append_new(list,
                                    number(counts[k] > 0 ? sums[k] / counts[k] : (double)NAN));
    return list;
}

static enum status add_subject(struct report *r, const struct history_name *name, struct err *err)
{
    const struct report_query *q = r->query;
    struct history_point total = { 0 }, *points = NULL;
    struct outages o;
    struct budget b;
    size_t n = 0;
    enum status s =
        history_total(r->history, name->subject, name->metric, q->from, q->to, &total, err);

    if (s != ST_OK || total.n == 0)
        return s;
    s = history_points(r->history, name->subject, name->metric, q->from, q->to, &points, &n, err);
    if (s != ST_OK)
        return s;
    analysis_budget(&total, q->target, &b);
    analysis_outages(r->events, r->n_events, name->subject, name->metric, q->from, q->to, &o);
    if (json_array_append_new(
            r->subjects,
            json_pack("{s:s, s:s, s:o, s:o, s:i, s:I, s:b, s:o, s:o, s:o}", "subject",
                      name->subject, "check", name->metric, "availability", number(b.availability),
                      "budget_left", number(b.left), "failures", (int)o.n_failures, "down_s",
                      (json_int_t)o.down_s, "is_down", o.is_down, "mttr_s", number(o.mttr_s),
                      "mtbf_s", number(o.mtbf_s), "timeline", timeline(r, points, n))) != 0)
        s = err_set(err, ST_NOMEM, "a report");
    free(points);
    return s;
}

static enum status add_trend(struct report *r, const struct history_name *name,
                             const struct check *check, struct err *err)
{
    const struct report_query *q = r->query;
    struct history_point *points = NULL;
    struct trend t;
    size_t n = 0;
    enum status s =
        history_points(r->history, name->subject, name->metric, q->from, q->to, &points, &n, err);

    if (s == ST_OK && n > 0 && points[n - 1].t - points[0].t >= TREND_MIN_S &&
        analysis_trend(points, n, q->to, check->critical, &t) && !isnan(t.days) &&
        t.fit >= FIT_MIN &&
        json_array_append_new(
            r->trends, json_pack("{s:s, s:s, s:o, s:o, s:f, s:o, s:o}", "subject", name->subject,
                                 "check", name->metric, "now", number(t.now), "per_day",
                                 number(t.slope_per_day), "threshold", check->critical, "days",
                                 number(t.days), "fit", number(t.fit))) != 0)
        s = err_set(err, ST_NOMEM, "a report");
    free(points);
    return s;
}

static enum status add_series(struct report *r, struct err *err)
{
    struct history_name *names = NULL;
    size_t n = 0;
    enum status s = history_names(r->history, &names, &n, err);

    for (size_t i = 0; i < n && s == ST_OK; i++) {
        const struct check *trend = among(r, trends, ARRAY_LEN(trends), names[i].metric);

        if (!is_meant(r->query, names[i].subject))
            continue;
        if (among(r, availabilities, ARRAY_LEN(availabilities), names[i].metric))
            s = add_subject(r, &names[i], err);
        else if (trend)
            s = add_trend(r, &names[i], trend, err);
    }
    free(names);
    return s;
}

static bool is_worth_showing(const struct history_event *e)
{
    return strcmp(e->to, "warning") == 0 || strcmp(e->to, "critical") == 0 ||
           strcmp(e->from, "warning") == 0 || strcmp(e->from, "critical") == 0;
}

static json_t *beside(const struct report *r, size_t at)
{
    json_t *list = json_array();
    size_t found[REPORT_BESIDE_MAX], n = 0;

    if (strcmp(r->events[at].to, "critical") == 0)
        n = analysis_beside(r->events, r->n_events, at, REPORT_BESIDE_S, found, REPORT_BESIDE_MAX);
    for (size_t i = 0; list && i < n; i++)
        (void)json_array_append_new(
            list, json_sprintf("%s of %s", r->events[found[i]].check, r->events[found[i]].subject));
    return list;
}

/* The latest, in order of time. */
static enum status add_events(struct report *r, struct err *err)
{
    size_t first = r->n_events, n = 0;

    while (first > 0 && n < REPORT_EVENTS_MAX) {
        first--;
        n += is_worth_showing(&r->events[first]) && is_meant(r->query, r->events[first].subject);
    }
    for (size_t i = first; i < r->n_events; i++) {
        const struct history_event *e = &r->events[i];

        if (!is_worth_showing(e) || !is_meant(r->query, e->subject))
            continue;
        if (json_array_append_new(r->shown, json_pack("{s:I, s:s, s:s, s:s, s:s, s:o, s:s, s:o}",
                                                      "t", (json_int_t)e->t, "subject", e->subject,
                                                      "check", e->check, "from", e->from, "to",
                                                      e->to, "value", number(e->value), "words",
                                                      e->words, "beside", beside(r, i))) != 0)
            return err_set(err, ST_NOMEM, "a report");
    }
    return ST_OK;
}

static enum status write_json(const struct report *r, struct buf *out, struct err *err)
{
    json_t *root = json_pack("{s:I, s:I, s:f, s:O, s:O, s:O}", "from", (json_int_t)r->query->from,
                             "to", (json_int_t)r->query->to, "target", r->query->target, "subjects",
                             r->subjects, "trends", r->trends, "events", r->shown);
    char *text = root ? json_dumps(root, JSON_COMPACT) : NULL;

    if (text)
        buf_puts(out, text);
    free(text);
    json_decref(root);
    return text && buf_status(out) == ST_OK ? ST_OK : err_set(err, ST_NOMEM, "a report");
}

static enum status read_history(struct report *r, struct err *err)
{
    const struct report_query *q = r->query;
    enum status s = history_events(r->history, NULL, q->from, q->to, &r->events, &r->n_events, err);

    if (s == ST_OK)
        s = add_series(r, err);
    return s == ST_OK ? add_events(r, err) : s;
}

enum status report_make(const char *history_path, const struct report_query *query,
                        const struct check *checks, struct buf *ret_json, struct err *err)
{
    struct report r = { .query = query, .checks = checks };
    enum status s = history_open(history_path, HISTORY_READS, &r.history, NULL, err);

    r.subjects = json_array();
    r.trends = json_array();
    r.shown = json_array();
    if (s == ST_NOTFOUND)
        s = ST_OK;
    if (s == ST_OK && (!r.subjects || !r.trends || !r.shown))
        s = err_set(err, ST_NOMEM, "a report");
    if (s == ST_OK && r.history)
        s = read_history(&r, err);
    if (s == ST_OK)
        s = write_json(&r, ret_json, err);
    json_decref(r.subjects);
    json_decref(r.trends);
    json_decref(r.shown);
    free(r.events);
    history_close(r.history);
    return s;
}
