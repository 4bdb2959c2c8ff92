/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/health.c - `pomona health`: what the monitor finds, and what its history says. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/size.h"
#include "cmd/api.h"
#include "cmd/options.h"
#include "cmd/units.h"

enum {
    SINCE_MAX_S = 3660 * 86400,
    EVENTS_SHOWN = 20,
    SUBJECT_WIDTH_MIN = 24,
    SUBJECT_WIDTH_MAX = 60
};

static const char *const monitor_default = "http://127.0.0.1:52418";

/* "90s", "30m", "24h", "7d". */
static bool read_since(const char *text, uint64_t *ret_seconds)
{
    char *end;
    const unsigned long n = strtoul(text, &end, 10);
    const char *unit = strchr("smhd", *end);
    static const uint64_t seconds[] = { 1, 60, 3600, 86400 };

    if (text[0] < '0' || text[0] > '9' || n == 0 || n > SINCE_MAX_S || !*end || !unit || end[1])
        return false;
    *ret_seconds = n * seconds[unit - "smhd"];
    return *ret_seconds <= SINCE_MAX_S;
}

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));

    return text ? text : "?";
}

static double number_of(const json_t *object, const char *key)
{
    return json_number_value(json_object_get(object, key));
}

/* ECMA-48, section 8.3.117: red, yellow, green. */
static const char *colour_of(const struct app *app, const char *state)
{
    if (!app->has_colour)
        return "";
    return strcmp(state, "critical") == 0  ? "\033[31m"
           : strcmp(state, "warning") == 0 ? "\033[33m"
           : strcmp(state, "ok") == 0      ? "\033[32m"
                                           : "\033[2m";
}

static const char *plain(const struct app *app)
{
    return app->has_colour ? "\033[0m" : "";
}

static bool is_of(const json_t *object, const char *node)
{
    const char *subject = text_of(object, "subject");
    const size_t n = node ? strlen(node) : 0;

    for (const char *at = node ? strchr(subject, '/') : NULL; at; at = strchr(at + 1, '/'))
        if (strncmp(at + 1, node, n) == 0 && (at[1 + n] == '\0' || at[1 + n] == '/'))
            return true;
    return !node;
}

/* How wide a column has to be for every "subject" of a list. */
static int subject_width(const json_t *list)
{
    const json_t *object;
    size_t i, most = SUBJECT_WIDTH_MIN;

    json_array_foreach(list, i, object) most = size_max(most, strlen(text_of(object, "subject")));
    return (int)size_min(most, SUBJECT_WIDTH_MAX);
}

/* Those of one state.  Returns how many there are. */
static size_t print_state(const struct app *app, const json_t *now, const char *node,
                          const char *state, int width)
{
    const json_t *finding;
    size_t i, n = 0;

    json_array_foreach(json_object_get(now, "findings"), i, finding)
    {
        char since[UNITS_MAX];

        if (!is_of(finding, node) || strcmp(text_of(finding, "state"), state) != 0)
            continue;
        n++;
        if (width > 0)
            printf("%s%-9s%s %-20s %-*s %10.4g %12s  %s\n", colour_of(app, state), state,
                   plain(app), text_of(finding, "check"), width, text_of(finding, "subject"),
                   number_of(finding, "value"), units_seconds(number_of(finding, "since_s"), since),
                   text_of(finding, "words"));
    }
    return n;
}

/* The worst first. */
static void print_findings(const struct app *app, const json_t *now, const char *node, bool all)
{
    static const char *const states[] = { "critical", "warning", "unknown", "ok" };
    const int width = subject_width(json_object_get(now, "findings"));
    size_t n_ok = 0, n_shown = 0;

    for (size_t k = 0; k < ARRAY_LEN(states); k++)
        n_shown += all || k < 2 ? print_state(app, now, node, states[k], 0) : 0;
    if (n_shown > 0)
        printf("\n%-9s %-20s %-*s %10s %12s\n", "STATE", "CHECK", width, "SUBJECT", "VALUE",
               "SINCE");
    for (size_t k = 0; k < ARRAY_LEN(states); k++)
        n_ok = print_state(app, now, node, states[k], all || k < 2 ? width : 0);
    printf("\n%zu findings are ok\n", n_ok);
}

/* One character for each part of the time: how much of it was good. */
static void print_timeline(const struct app *app, const json_t *timeline)
{
    const json_t *part;
    size_t i;

    printf("  ");
    json_array_foreach(timeline, i, part)
    {
        const double share = json_number_value(part);
        const char *state = !json_is_number(part) ? "unknown"
                            : share >= 1          ? "ok"
                            : share >= 0.5        ? "warning"
                                                  : "critical";

        printf("%s%c%s", colour_of(app, state),
               !json_is_number(part) ? ' '
               : share >= 1          ? '='
               : share >= 0.5        ? '-'
                                     : 'x',
               plain(app));
    }
    printf("\n");
}

static void print_seconds(const json_t *object, const char *key)
{
    const json_t *value = json_object_get(object, key);
    char text[UNITS_MAX];

    printf(" %12s", json_is_number(value) ? units_seconds(json_number_value(value), text) : "-");
}

/* Over the timelines: where they begin, and that they end now. */
static void print_axis(const json_t *report, size_t n_parts)
{
    char ago[UNITS_MAX], begin[UNITS_MAX + 8];
    const int n = snprintf(begin, sizeof(begin), "|%s ago",
                           units_seconds(number_of(report, "to") - number_of(report, "from"), ago));

    if (n > 0 && (size_t)n + 4 < n_parts)
        printf("  %s%*s\n", begin, (int)n_parts - n, "now|");
}

static void print_subjects(const struct app *app, const json_t *report)
{
    const json_t *subjects = json_object_get(report, "subjects"), *subject;
    const int width = subject_width(subjects);
    size_t i;

    if (json_array_size(subjects) == 0)
        return;
    printf("\n%-*s %-12s %9s %9s %8s %12s %12s\n", width, "SUBJECT", "CHECK", "AVAILABLE", "BUDGET",
           "FAILURES", "MTTR", "MTBF");
    print_axis(report, json_array_size(json_object_get(json_array_get(subjects, 0), "timeline")));
    json_array_foreach(subjects, i, subject)
    {
        const double budget = number_of(subject, "budget_left");
        char left[16] = "used up";

        if (budget > 0)
            (void)snprintf(left, sizeof(left), "%.1f%%", 100 * budget);
        printf("%-*s %-12s %8.3f%% %9s %8.0f", width, text_of(subject, "subject"),
               text_of(subject, "check"), 100 * number_of(subject, "availability"), left,
               number_of(subject, "failures"));
        print_seconds(subject, "mttr_s");
        print_seconds(subject, "mtbf_s");
        printf("\n");
        print_timeline(app, json_object_get(subject, "timeline"));
    }
}

static void print_trends(const json_t *report)
{
    const json_t *trend;
    size_t i;

    json_array_foreach(json_object_get(report, "trends"), i, trend)
        printf("%s of %s: %.4g now, %+.4g a day: at %.4g in %.1f days\n", text_of(trend, "check"),
               text_of(trend, "subject"), number_of(trend, "now"), number_of(trend, "per_day"),
               number_of(trend, "threshold"), number_of(trend, "days"));
}

static void print_beside(const json_t *beside)
{
    const json_t *other;
    size_t i;

    json_array_foreach(beside, i, other)
        printf("%s%s", i == 0 ? "                     at the same time: " : ", ",
               json_string_value(other));
    if (json_array_size(beside) > 0)
        printf("\n");
}

static void print_events(const struct app *app, const json_t *report)
{
    const json_t *events = json_object_get(report, "events");
    const size_t n = json_array_size(events);

    if (n > 0)
        printf("\n%-19s  %-9s %-20s %s\n", "WHEN (UTC)", "BECAME", "CHECK", "SUBJECT");
    for (size_t i = n > EVENTS_SHOWN ? n - EVENTS_SHOWN : 0; i < n; i++) {
        const json_t *event = json_array_get(events, i);
        const time_t t = (time_t)number_of(event, "t");
        const char *to = text_of(event, "to");
        char when[32] = "?";
        struct tm tm;

        if (gmtime_r(&t, &tm))
            (void)strftime(when, sizeof(when), "%Y-%m-%d %H:%M:%S", &tm);
        printf("%s  %s%-9s%s %-20s %s  %s\n", when, colour_of(app, to), to, plain(app),
               text_of(event, "check"), text_of(event, "subject"), text_of(event, "words"));
        print_beside(json_object_get(event, "beside"));
    }
}

static enum status get(const struct app *app, const char *path, json_t **ret, struct err *err)
{
    const enum status s = api_get(app, path, ret, err);

    if (s == ST_PEER)
        return err_set(err, s, "no monitor answers at %s: start one with '%s monitor'",
                       app_api_url(app), app->program);
    return s;
}

static enum status show(const struct app *app, uint64_t since_s, const char *node, bool all,
                        bool is_json, struct err *err)
{
    json_t *now = NULL, *report = NULL;
    struct buf path = { 0 };
    enum status s = get(app, "/health", &now, err);

    buf_printf(&path, "/report?since=%" PRIu64, since_s);
    if (node) {
        buf_puts(&path, "&node=");
        api_escape(&path, node);
    }
    if (s == ST_OK)
        s = buf_status(&path) == ST_OK ? get(app, buf_text(&path), &report, err) : ST_NOMEM;
    if (s == ST_OK && is_json) {
        json_t *both = json_pack("{s:O, s:O}", "now", now, "report", report);

        if (both)
            (void)json_dumpf(both, stdout, JSON_COMPACT);
        (void)putchar('\n');
        json_decref(both);
    } else if (s == ST_OK) {
        const char *status = text_of(now, "status");

        printf("cluster %s, as the monitor of %s sees it: %s%s%s\n", text_of(now, "cluster"),
               text_of(now, "monitor"), colour_of(app, status), status, plain(app));
        print_findings(app, now, node, all);
        print_subjects(app, report);
        print_trends(report);
        print_events(app, report);
    }
    buf_release(&path);
    json_decref(now);
    json_decref(report);
    return s;
}

/* clang-format off */
int cmd_health(struct app *app, int argc, char **argv)
{
    const char *since = "24h", *node = NULL, *monitor = getenv("POMONA_MONITOR");
    bool is_json = false, all = false;
    const struct option_row rows[] = {
        { "since", 0, "TIME", "how far back: 90s, 30m, 24h (default), 7d", OPTION_TEXT, &since, 0, 0 },
        { "node", 0, "NAME", "only what concerns this node", OPTION_TEXT, &node, 0, 0 },
        { "all", 'a', NULL, "show findings that are ok, too", OPTION_FLAG, &all, 0, 0 },
        { "json", 0, NULL, "all as one JSON object", OPTION_FLAG, &is_json, 0, 0 },
        { "monitor", 0, "URL", "monitor to ask (POMONA_MONITOR; default http://127.0.0.1:52418)", OPTION_TEXT, &monitor, 0, 0 },
    };
    static const char *const examples[] = { "", "--since 7d --node studio-2", "--json", NULL };
    const struct usage usage = {
        .arguments = "",
        .about = "Show what the health monitor finds now, and how available all was.\n"
                 "A timeline has '=' where all was well, '-' and 'x' where it was not, and blanks\n"
                 "where nobody watched.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    /* clang-format on */
    const char *args[OPTIONS_ARGS_MAX];
    struct err err = { 0 };
    uint64_t since_s;
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (!read_since(since, &since_s))
        return app_wrong_use(app, "--since '%.40s' is no time like 90s, 30m, 24h or 7d", since);
    app->api = monitor && monitor[0] ? monitor : monitor_default;
    app->api_key = NULL; /* of the nodes: the monitor asks for none */
    return app_end(app, show(app, since_s, node, all, is_json, &err), &err);
}
