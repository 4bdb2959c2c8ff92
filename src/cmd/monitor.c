/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/monitor.c - `pomona monitor`: watch a cluster. */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/notify.h"
#include "base/size.h"
#include "cmd/cmd.h"
#include "cmd/logging.h"
#include "cmd/options.h"
#include "cmd/peers.h"
#include "monitor/monitor.h"

enum { JOBS_AT_END_MS = 5000, END_STEP_MS = 20 };

struct watching {
    struct loop *loop;
    struct monitor *monitor;
    struct loop_timer *watchdog, *end;
    uint64_t end_by_ns;
};

/* What a job still writes to must stay: jobs have a moment to end. */
static void check_end(void *arg)
{
    struct watching *w = arg;

    if (!monitor_is_busy(w->monitor) || clock_ns() >= w->end_by_ns)
        loop_stop(w->loop);
}

static void on_end_signal(void *arg)
{
    struct watching *w = arg;

    if (w->end_by_ns != 0)
        return;
    notify_send("STOPPING=1");
    w->end_by_ns = deadline_after_ms(JOBS_AT_END_MS);
    loop_timer_every(w->end, END_STEP_MS);
}

static void on_reload_signal(void *arg)
{
    const struct watching *w = arg;

    notify_send("RELOADING=1\nMONOTONIC_USEC=%llu", (unsigned long long)(clock_ns() / 1000));
    monitor_reload(w->monitor);
    notify_send("READY=1");
}

static void on_watchdog(void *arg)
{
    (void)arg;
    notify_send("WATCHDOG=1");
}

static enum status start_timers(struct watching *w, struct err *err)
{
    const uint64_t watchdog_ms = notify_watchdog_ms();

    (void)signal(SIGPIPE, SIG_IGN);
    if (loop_timer_new(w->loop, on_watchdog, w, &w->watchdog) != ST_OK ||
        loop_timer_new(w->loop, check_end, w, &w->end) != ST_OK)
        return err_set(err, ST_NOMEM, "the monitor's timers");
    if (watchdog_ms > 0) /* sd_watchdog_enabled(3): half of the time */
        loop_timer_every(w->watchdog, watchdog_ms / 2);
    if (loop_on_signal(w->loop, SIGTERM, on_end_signal, w, err) != ST_OK ||
        loop_on_signal(w->loop, SIGINT, on_end_signal, w, err) != ST_OK)
        return err->status;
    return loop_on_signal(w->loop, SIGHUP, on_reload_signal, w, err);
}

/* A job that does not end (a disk or a resolver that hangs) keeps what it writes to: the process ends
 * with it. */
static void release(struct watching *w)
{
    if (w->monitor && monitor_is_busy(w->monitor))
        return;
    loop_timer_free(w->watchdog);
    loop_timer_free(w->end);
    monitor_free(w->monitor);
    loop_free(w->loop);
}

static enum status watch(const struct monitor_options *options, struct err *err)
{
    struct watching w = { 0 };
    enum status s = loop_new(&w.loop, err);

    if (s == ST_OK)
        s = monitor_new(w.loop, options, &w.monitor, err);
    if (s == ST_OK)
        s = start_timers(&w, err);
    if (s == ST_OK) {
        log_info("the monitor of cluster '%s' answers at port %u", options->cluster->cluster.name,
                 monitor_port(w.monitor));
        notify_send("READY=1");
        s = loop_run(w.loop, err);
    }
    release(&w);
    return s;
}

/* --settings, else health_monitor.yaml beside the cluster's file, if it is there. */
static const char *find_settings(const char *given, const char *config, char *path)
{
    const char *slash = strrchr(config, '/');

    if (given)
        return given;
    (void)snprintf(path, PATH_MAX_BYTES, "%.*shealth_monitor.yaml",
                   slash ? (int)(slash - config + 1) : 0, config);
    return access(path, F_OK) == 0 ? path : NULL;
}

/* --node, else this machine's name. */
static void find_name(const char *given, char *name)
{
    if (given) {
        (void)snprintf(name, CONFIG_NAME_MAX, "%.63s", given);
        return;
    }
    name[0] = '\0';
    (void)gethostname(name, CONFIG_NAME_MAX - 1);
    name[strcspn(name, ".")] = '\0';
}

/* clang-format off */
int cmd_monitor(struct app *app, int argc, char **argv)
{
    const char *config_path = "config/cluster_nodes.json", *settings = NULL, *node = NULL, *listen = NULL;
    struct logging logging = { 0 };
    const struct option_row rows[] = {
        { "config", 0, "FILE", "the cluster's nodes (default config/cluster_nodes.json)", OPTION_TEXT, &config_path, 0, 0 },
        { "settings", 0, "FILE", "what is checked, and who is told (default health_monitor.yaml beside it)", OPTION_TEXT, &settings, 0, 0 },
        { "node", 0, "NAME", "which node runs on this machine (default: the machine's name)", OPTION_TEXT, &node, 0, 0 },
        { "listen", 0, "HOST:PORT", "where it answers (default 127.0.0.1:52418; port 0: a free one)", OPTION_TEXT, &listen, 0, 0 },
        OPTION_LOG_LEVEL(&logging),
        OPTION_LOG_FORMAT(&logging),
        OPTION_DATA(app),
    };
    static const char *const examples[] = { "--config /etc/pomona/cluster_nodes.json --node studio-1", NULL };
    const struct usage usage = {
        .arguments = "",
        .about = "Watch a cluster: its nodes, what they serve, the network and this machine's resources.\n"
                 "It records what it sees, tells of changes, and has instances replaced that stand still.\n"
                 "POMONA_API_KEY is sent to the nodes, where they want one: of scope admin and chat.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    /* clang-format on */
    const char *args[OPTIONS_ARGS_MAX];
    char path[PATH_MAX_BYTES], data[PATH_MAX_BYTES], name[CONFIG_NAME_MAX], host[HOST_MAX] = "";
    struct monitor_options options = { .listen_port = -1, .api_key = app->api_key };
    struct config *config = NULL;
    struct err err = { 0 };
    uint16_t port = 0;
    int exit_status;
    enum status s;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    s = logging_begin(&logging, NULL, NULL, &err);
    if (s == ST_OK)
        s = app_data_dir(app, data, &err);
    if (s == ST_OK)
        s = path_make(data, &err);
    if (s == ST_OK)
        s = config_load(config_path, &config, &err);
    if (s == ST_OK && listen)
        s = peers_address(listen, host, &port, &err);
    if (s == ST_OK) {
        find_name(node, name);
        log_set_common((const struct log_field[]){ log_text("node", name) }, 1);
        options.log_levels = logging.level;
        options.cluster = config;
        options.node = name;
        options.data = data;
        options.settings = find_settings(settings, config_path, path);
        options.listen_host = listen ? host : NULL;
        options.listen_port = listen ? port : -1;
        s = watch(&options, &err);
    }
    config_free(config);
    return app_end(app, s, &err);
}
