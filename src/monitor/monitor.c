/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/monitor.c - the parts of the monitor, put together. */
#include "monitor/monitor.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "monitor/monitor_priv.h"
#include "net/job.h"

enum status monitor_job(struct monitor *m, loop_fn *run, loop_fn *done, void *arg)
{
    const enum status s = job_start(m->loop, run, done, NULL, arg, NULL);

    m->n_jobs += s == ST_OK;
    return s;
}

void monitor_job_done(struct monitor *m)
{
    m->n_jobs--;
}

bool monitor_is_busy(const struct monitor *m)
{
    return m->n_jobs > 0;
}

enum status monitor_ask(struct monitor *m, const struct target *t, const char *path,
                        const char *body, double deadline_s, fetch_fn *fn, void *arg)
{
    char url[sizeof(t->base) + 64];
    struct fetch fetch = { .url = url, .body = body, .deadline_s = deadline_s };

    (void)snprintf(url, sizeof(url), "%s%.60s", t->base, path);
    if (m->settings->api_ca[0])
        fetch.ca_file = m->settings->api_ca;
    if (m->authorization[0])
        fetch.headers[fetch.n_headers++] = m->authorization;
    return fetch_start(m->fetcher, &fetch, fn, arg, NULL);
}

/* Coming to be known is no news. */
static void on_change(void *arg, const struct ledger_change *change)
{
    struct monitor *m = arg;
    const struct finding *f = &change->entry->finding;
    const bool is_news = change->from >= FINDING_WARNING || f->state >= FINDING_WARNING;

    m->n_changes++;
    if (is_news)
        log_with(f->state >= FINDING_WARNING ? LOG_WARN : LOG_INFO, "a finding changed",
                 log_text("check", change->check->name),
                 log_text("subject", change->entry->subject),
                 log_text("from", finding_state_word(change->from)),
                 log_text("to", finding_state_word(f->state)), log_real("value", f->value),
                 log_text("why", change->entry->words[0] ? change->entry->words : NULL));
    recorder_note(m->recorder, change);
    callbacks_note(m->callbacks, change);
    act_on(m, change);
}

static void on_tick(void *arg)
{
    struct monitor *m = arg;
    const uint64_t now_ns = clock_ns();

    poll_tick(m, now_ns);
    canary_tick(m, now_ns);
    chores_tick(m->chores, now_ns);
    ledger_tick(m->ledger, FORGET_S, now_ns);
    callbacks_tick(m->callbacks, now_ns);
    recorder_tick(m->recorder, now_ns);
    act_tick(m, now_ns);
}

static enum status load_settings(struct monitor *m, struct health_monitor **ret, struct err *err)
{
    struct check checks[N_CHECKS];
    struct health_monitor *settings = NULL;
    enum status s = m->settings_path[0] ? health_monitor_load(m->settings_path, &settings, err)
                                        : health_monitor_default(&settings, err);

    if (s == ST_OK)
        s = checks_configure(checks, settings, err);
    if (s != ST_OK) {
        health_monitor_free(settings);
        return s;
    }
    ledger_use(m->ledger, checks);
    *ret = settings;
    return ST_OK;
}

void monitor_reload(struct monitor *m)
{
    struct health_monitor *settings;
    struct err err = { 0 };

    if (load_settings(m, &settings, &err) != ST_OK) {
        log_warn("the monitor's settings stay as they are: %s", err.words);
        return;
    }
    health_monitor_free(m->settings);
    m->settings = settings;
    log_levels_choose(m->log_levels, settings->log.level);
    log_info("the monitor's settings are read again");
}

static enum status take_options(struct monitor *m, const struct monitor_options *o, struct err *err)
{
    m->cluster = o->cluster;
    m->log_levels = o->log_levels;
    (void)snprintf(m->name, sizeof(m->name), "%s", o->node);
    (void)snprintf(m->data, sizeof(m->data), "%s", o->data);
    if (o->settings)
        (void)snprintf(m->settings_path, sizeof(m->settings_path), "%s", o->settings);
    if (o->api_key)
        (void)snprintf(m->authorization, sizeof(m->authorization), "Authorization: Bearer %s",
                       o->api_key);
    return path_join(m->data, "health.db", m->history_path, err);
}

static enum status start(struct monitor *m, const struct monitor_options *o, struct err *err)
{
    enum status s = take_options(m, o, err);

    if (s == ST_OK)
        s = ledger_new(on_change, m, &m->ledger, err);
    if (s == ST_OK)
        s = load_settings(m, &m->settings, err);
    if (s == ST_OK)
        log_levels_choose(m->log_levels, m->settings->log.level);
    if (s == ST_OK)
        s = fetcher_new(m->loop, &m->fetcher, err);
    if (s == ST_OK)
        s = poll_new(m, err);
    if (s == ST_OK)
        s = chores_new(m, err);
    if (s == ST_OK)
        s = callbacks_new(m, err);
    if (s == ST_OK)
        s = recorder_new(m, err);
    if (s == ST_OK)
        s = show_listen(m, o->listen_host ? o->listen_host : m->settings->listen.host,
                        o->listen_port >= 0 ? (uint16_t)o->listen_port : m->settings->listen.port,
                        err);
    if (s == ST_OK && loop_timer_new(m->loop, on_tick, m, &m->timer) != ST_OK)
        s = err_set(err, ST_NOMEM, "the monitor's timer");
    return s;
}

enum status monitor_new(struct loop *loop, const struct monitor_options *options,
                        struct monitor **ret_monitor, struct err *err)
{
    struct monitor *m = calloc(1, sizeof(*m));
    enum status s;

    if (!m)
        return err_set(err, ST_NOMEM, "the monitor");
    m->loop = loop;
    m->begun_ns = clock_ns();
    s = start(m, options, err);
    if (s != ST_OK) {
        monitor_free(m);
        return s;
    }
    loop_timer_every(m->timer, m->settings->every.poll * 1000 < TICK_MS
                                   ? (uint64_t)(m->settings->every.poll * 1000)
                                   : TICK_MS);
    *ret_monitor = m;
    return ST_OK;
}

uint16_t monitor_port(const struct monitor *m)
{
    return http_server_port(m->server);
}

void monitor_free(struct monitor *m)
{
    if (!m)
        return;
    loop_timer_free(m->timer);
    http_server_free(m->server);
    fetcher_free(m->fetcher);
    recorder_free(m->recorder);
    callbacks_free(m->callbacks);
    chores_free(m->chores);
    poll_free(m);
    ledger_free(m->ledger);
    health_monitor_free(m->settings);
    free(m);
}
