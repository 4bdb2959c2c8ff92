/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/show.c - the monitor's own port: what it finds now, what its history says, metrics.
 *
 * A report is made by a job, as it reads a file; a client that leaves meanwhile is forgotten.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/size.h"
#include "gateway/http/exchange.h"
#include "gateway/http/json_out.h"
#include "monitor/monitor_priv.h"
#include "monitor/report.h"

enum { SINCE_DEFAULT_S = 86400, SINCE_MAX_S = 3660 * 86400, REPORTS_MAX = 4 };

static void key_text(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "\"%s\":", key);
    json_out_text(out, value);
}

static void write_finding(const struct monitor *m, const struct ledger_entry *e, uint64_t now_ns,
                          struct buf *out)
{
    const struct check *check = ledger_check(m->ledger, e->check);

    buf_putc(out, '{');
    key_text(out, "subject", e->subject);
    buf_printf(out,
               ",\"check\":\"%s\",\"group\":\"%s\",\"state\":\"%s\",\"value\":%.6g,"
               "\"warning\":%.6g,\"critical\":%.6g,\"since_s\":%.1f,\"seen_s\":%.1f,",
               check->name, check_group_word(check->group), finding_state_word(e->finding.state),
               e->finding.value, check->warning, check->critical,
               (double)(now_ns - e->finding.since_ns) / (double)NS_PER_S,
               (double)(now_ns - e->finding.seen_ns) / (double)NS_PER_S);
    key_text(out, "words", e->words);
    buf_putc(out, '}');
}

static void health(void *arg, struct exchange *x)
{
    const struct monitor *m = arg;
    const uint64_t now_ns = clock_ns();
    const enum finding_state worst = ledger_worst(m->ledger);
    const struct ledger_entry *entries;
    struct buf body = { 0 };
    size_t n;

    entries = ledger_entries(m->ledger, &n);
    buf_putc(&body, '{');
    key_text(&body, "status", finding_state_word(worst));
    buf_putc(&body, ',');
    key_text(&body, "monitor", m->name);
    buf_putc(&body, ',');
    key_text(&body, "cluster", m->cluster->cluster.name);
    buf_printf(&body, ",\"version\":\"%s\",\"uptime_s\":%" PRIu64 ",\"findings\":[", POMONA_VERSION,
               (uint64_t)((now_ns - m->begun_ns) / NS_PER_S));
    for (size_t i = 0; i < n; i++) {
        buf_puts(&body, i ? "," : "");
        write_finding(m, &entries[i], now_ns, &body);
    }
    buf_puts(&body, "]}");
    exchange_reply(x, 200, "application/json", &body);
}

static void live(void *arg, struct exchange *x)
{
    struct buf body = { 0 };

    (void)arg;
    buf_puts(&body, "{\"status\":\"ok\"}");
    exchange_reply(x, 200, "application/json", &body);
}

/* A label's value: exposition format 0.0.4 escapes \, " and the end of a line. */
static void write_label(struct buf *out, const char *text)
{
    for (; *text; text++) {
        if (*text == '\\' || *text == '"')
            buf_putc(out, '\\');
        buf_putc(out, *text == '\n' ? ' ' : *text);
    }
}

static void write_series(const struct monitor *m, const char *name, bool is_state, struct buf *out)
{
    size_t n;
    const struct ledger_entry *entries = ledger_entries(m->ledger, &n);

    for (size_t i = 0; i < n; i++) {
        const struct finding *f = &entries[i].finding;

        buf_printf(out, "%s{check=\"%s\",subject=\"", name,
                   ledger_check(m->ledger, entries[i].check)->name);
        write_label(out, entries[i].subject);
        buf_printf(out, "\"} %.9g\n", is_state ? (double)f->state : f->value);
    }
}

static void metrics(void *arg, struct exchange *x)
{
    const struct monitor *m = arg;
    struct buf body = { 0 };
    uint64_t n_sent, n_failed;

    callbacks_counts(m->callbacks, &n_sent, &n_failed);
    buf_puts(&body,
             "# HELP pomona_health_state Of a finding: 0 unknown, 1 ok, 2 warning, 3 critical.\n"
             "# TYPE pomona_health_state gauge\n");
    write_series(m, "pomona_health_state", true, &body);
    buf_puts(&body, "# HELP pomona_health_value What was observed last.\n"
                    "# TYPE pomona_health_value gauge\n");
    write_series(m, "pomona_health_value", false, &body);
    buf_printf(&body,
               "# HELP pomona_health_changes_total Changes of state.\n"
               "# TYPE pomona_health_changes_total counter\n"
               "pomona_health_changes_total %" PRIu64 "\n"
               "# HELP pomona_health_callbacks_total Notices by what became of them.\n"
               "# TYPE pomona_health_callbacks_total counter\n"
               "pomona_health_callbacks_total{result=\"sent\"} %" PRIu64 "\n"
               "pomona_health_callbacks_total{result=\"failed\"} %" PRIu64 "\n",
               m->n_changes, n_sent, n_failed);
    exchange_reply(x, 200, "text/plain; version=0.0.4", &body);
}

struct asked {
    struct monitor *monitor;
    struct exchange *x; /* NULL: its client left */
    struct report_query query;
    struct check checks[N_CHECKS];
    char path[PATH_MAX_BYTES];
    struct buf body;
    struct err failure;
    enum status status;
};

static void make(void *arg)
{
    struct asked *a = arg;

    a->status = report_make(a->path, &a->query, a->checks, &a->body, &a->failure);
}

static void left(void *arg)
{
    struct asked *a = arg;

    a->x = NULL;
}

static void made(void *arg)
{
    struct asked *a = arg;
    struct api_error e;

    monitor_job_done(a->monitor);
    if (a->x && a->status == ST_OK) {
        exchange_reply(a->x, 200, "application/json", &a->body);
    } else if (a->x) {
        (void)api_error_set(&e, API_OVERLOADED, NULL, "%s", a->failure.words);
        exchange_fail(a->x, &e);
    }
    buf_release(&a->body);
    free(a);
}

static bool read_query(struct exchange *x, struct report_query *query)
{
    char since[24];
    char *end;
    unsigned long seconds = SINCE_DEFAULT_S;

    if (query_value(exchange_query(x), "since", since, sizeof(since))) {
        seconds = strtoul(since, &end, 10);
        if (since[0] < '0' || since[0] > '9' || *end != '\0' || seconds < 1 ||
            seconds > SINCE_MAX_S)
            return false;
    }
    (void)query_value(exchange_query(x), "node", query->node, sizeof(query->node));
    query->to = clock_unix_s() + 1;
    query->from = query->to - (int64_t)seconds;
    return true;
}

static void report(void *arg, struct exchange *x)
{
    struct monitor *m = arg;
    struct asked *a = m->n_jobs < REPORTS_MAX + 8 ? calloc(1, sizeof(*a)) : NULL;
    struct api_error e;

    if (!a) {
        (void)api_error_set(&e, API_OVERLOADED, NULL, "Too many reports are asked for at once.");
        exchange_fail(x, &e);
        return;
    }
    *a = (struct asked){ .monitor = m, .x = x, .query.target = m->settings->target };
    for (size_t i = 0; i < N_CHECKS; i++)
        a->checks[i] = *ledger_check(m->ledger, (enum check_id)i);
    memcpy(a->path, m->history_path, sizeof(a->path));
    if (!read_query(x, &a->query)) {
        (void)api_error_set(&e, API_INVALID_VALUE, "since",
                            "since is a number of seconds, 1 or more.");
        exchange_fail(x, &e);
        free(a);
        return;
    }
    exchange_on_close(x, left, a);
    if (monitor_job(m, make, made, a) == ST_OK)
        return;
    exchange_on_close(x, NULL, NULL);
    (void)api_error_set(&e, API_OVERLOADED, NULL, "No thread is to be had for a report.");
    exchange_fail(x, &e);
    free(a);
}

static const struct http_route routes[] = {
    { "GET", "/health", health },
    { "GET", "/report", report },
    { "GET", "/metrics", metrics },
    { "GET", "/livez", live },
};

enum status show_listen(struct monitor *m, const char *host, uint16_t port, struct err *err)
{
    const struct http_server_options options = {
        .host = host,
        .port = port,
        .routes = routes,
        .n_routes = ARRAY_LEN(routes),
        .arg = m,
    };

    return http_server_new(m->loop, &options, &m->server, err);
}
