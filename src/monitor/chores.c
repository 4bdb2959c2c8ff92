/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/chores.c - jobs that read the machine, disks, names, certificates, paths and services.
 *
 * Each kind is a row with its own time; a job has copies of what it needs, and its results are observed on the
 * loop's thread.  One of a kind at a time: a disk that hangs makes its job wait, and nothing else.
 */
#include <math.h>
#include <netdb.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/path_mtu.h"
#include "base/service.h"
#include "base/size.h"
#include "monitor/monitor_priv.h"

/* What one job looks at, and what it found. */
struct work {
    struct chores *chores;
    size_t kind;
    char path[CONFIG_PATH_MAX]; /* a disk, a name, a host...; for the machine its pressure file */
    uint16_t port;
    struct own_figures before, figures;
    bool has_before;
    struct own_disk disk;
    struct own_speed speed;
    struct service_state service;
    double number, seconds;
    struct err failure;
    enum status status;
};

static void look_at_machine(void *arg);
static void look_at_disk(void *arg);
static void look_up_name(void *arg);
static void look_at_certificate(void *arg);
static void look_at_path(void *arg);
static void look_at_unit(void *arg);
static void time_disk(void *arg);
static void machine_done(struct work *w, uint64_t now_ns);
static void disk_done(struct work *w, uint64_t now_ns);
static void name_done(struct work *w, uint64_t now_ns);
static void certificate_done(struct work *w, uint64_t now_ns);
static void path_done(struct work *w, uint64_t now_ns);
static void unit_done(struct work *w, uint64_t now_ns);
static void speed_done(struct work *w, uint64_t now_ns);

enum { KIND_MACHINE, KIND_DISK, KIND_NAME, KIND_CERTIFICATE, KIND_PATH, KIND_UNIT, KIND_SPEED };

enum { PATH_TIMEOUT_MS = 1000, UNIT_TIMEOUT_MS = 4000 };

static const struct kind {
    size_t every; /* offset in the settings, seconds */
    void (*look)(void *arg);
    void (*done)(struct work *w, uint64_t now_ns);
} kinds[] = {
#define EVERY(field) offsetof(struct health_monitor, every.field)
    [KIND_MACHINE] = { EVERY(machine), look_at_machine, machine_done },
    [KIND_DISK] = { EVERY(machine), look_at_disk, disk_done },
    [KIND_NAME] = { EVERY(names), look_up_name, name_done },
    [KIND_CERTIFICATE] = { EVERY(certificates), look_at_certificate, certificate_done },
    [KIND_PATH] = { EVERY(paths), look_at_path, path_done },
    [KIND_UNIT] = { EVERY(units), look_at_unit, unit_done },
    [KIND_SPEED] = { EVERY(speed), time_disk, speed_done },
#undef EVERY
};

static const char node_unit[] = "mlx-api-server.service";

/* An address of another node, where something listens for TCP. */
struct way {
    const char *host; /* lent by the cluster's configuration */
    uint16_t port;
};

struct chores {
    struct monitor *monitor;
    struct way *ways; /* [n_ways] */
    size_t n_ways;
    struct {
        uint64_t next_ns;
        size_t at; /* of its list, which is gone through in turn */
        bool is_under_way;
    } kinds[ARRAY_LEN(kinds)];
    struct own_figures figures; /* of the last time */
    bool has_figures;
};

static void add_way(struct chores *c, const char *host, uint16_t port)
{
    for (size_t i = 0; i < c->n_ways; i++)
        if (strcmp(c->ways[i].host, host) == 0 && c->ways[i].port == port)
            return;
    c->ways[c->n_ways++] = (struct way){ host, port };
}

/* Where each node hears its peers: its API may be open to its own machine alone. */
static enum status list_ways(struct chores *c, struct err *err)
{
    const struct config *cluster = c->monitor->cluster;
    size_t n = 0;

    for (unsigned i = 0; i < cluster->nodes_count; i++)
        n += 1 + cluster->nodes[i].links_count;
    c->ways = calloc(n, sizeof(*c->ways));
    if (!c->ways)
        return err_set(err, ST_NOMEM, "the monitor's chores");
    for (unsigned i = 0; i < cluster->nodes_count; i++) {
        const struct config_node *node = &cluster->nodes[i];

        if (strcmp(node->name, c->monitor->name) == 0)
            continue;
        add_way(c, node->host, node->port);
        for (unsigned k = 0; k < node->links_count; k++)
            if (node->links[k].address[0] && strcmp(node->links[k].address, node->host) != 0)
                add_way(c, node->links[k].address, node->port);
    }
    return ST_OK;
}

enum status chores_new(struct monitor *m, struct err *err)
{
    m->chores = calloc(1, sizeof(*m->chores));
    if (!m->chores)
        return err_set(err, ST_NOMEM, "the monitor's chores");
    m->chores->monitor = m;
    return list_ways(m->chores, err);
}

void chores_free(struct chores *c)
{
    if (!c)
        return;
    free(c->ways);
    free(c);
}

static void look_at_machine(void *arg)
{
    struct work *w = arg;

    own_read("/", w->path, w->has_before ? &w->before : NULL, &w->figures);
}

static void look_at_disk(void *arg)
{
    struct work *w = arg;

    w->status = own_disk(w->path, &w->disk, &w->failure);
}

static void look_up_name(void *arg)
{
    struct work *w = arg;
    const uint64_t begun_ns = clock_ns();
    struct addrinfo *found = NULL;
    const int failed = getaddrinfo(w->path, NULL, NULL, &found);

    w->seconds = (double)(clock_ns() - begun_ns) / (double)NS_PER_S;
    if (failed)
        w->status = err_set(&w->failure, ST_NOTFOUND, "%s", gai_strerror(failed));
    else
        freeaddrinfo(found);
}

static void look_at_certificate(void *arg)
{
    struct work *w = arg;

    w->status = own_certificate_days(w->path, clock_unix_s(), &w->number, &w->failure);
}

static void look_at_path(void *arg)
{
    struct work *w = arg;
    struct address to;
    uint32_t bytes = 0;

    w->status = address_parse(w->path, w->port, &to, &w->failure);
    if (w->status == ST_OK)
        w->status = path_mtu(&to, PATH_TIMEOUT_MS, &bytes, &w->failure);
    w->number = bytes;
}

static void look_at_unit(void *arg)
{
    struct work *w = arg;

    w->status = service_state(w->path, UNIT_TIMEOUT_MS, &w->service, &w->failure);
}

static void time_disk(void *arg)
{
    struct work *w = arg;

    w->status = own_speed(w->path, &w->speed, &w->failure);
}

/* What is not told is not observed. */
static void observe(struct monitor *m, const char *subject, enum check_id check, double value,
                    uint64_t now_ns)
{
    if (!isnan(value))
        ledger_observe(m->ledger, subject, check, value, NULL, now_ns);
}

static void machine_done(struct work *w, uint64_t now_ns)
{
    struct monitor *m = w->chores->monitor;
    char subject[SUBJECT_MAX];

    w->chores->figures = w->figures;
    w->chores->has_figures = true;
    subject_name(subject, "node", m->name, NULL);
    observe(m, subject, CHECK_CPU_BUSY, w->figures.cpu_busy, now_ns);
    observe(m, subject, CHECK_MEMORY_PRESSURE, w->figures.memory_pressure, now_ns);
    observe(m, subject, CHECK_MEMORY_FREE, w->figures.memory_free, now_ns);
    observe(m, subject, CHECK_SWAP_USED, w->figures.swap_used, now_ns);
    observe(m, subject, CHECK_TEMPERATURE, w->figures.temperature_c, now_ns);
    observe(m, subject, CHECK_FILES_USED, w->figures.files_used, now_ns);
    observe(m, subject, CHECK_GPU_TEMPERATURE, w->figures.gpu_temperature_c, now_ns);
    observe(m, subject, CHECK_GPU_MEMORY, w->figures.gpu_memory_used, now_ns);
}

static void disk_done(struct work *w, uint64_t now_ns)
{
    struct monitor *m = w->chores->monitor;
    char subject[SUBJECT_MAX];

    if (w->status != ST_OK) {
        log_debug("%s", w->failure.words);
        return;
    }
    subject_name(subject, "disk", m->name, w->path);
    observe(m, subject, CHECK_DISK_FREE, w->disk.free, now_ns);
    observe(m, subject, CHECK_DISK_SYNC, w->disk.sync_s, now_ns);
}

static void name_done(struct work *w, uint64_t now_ns)
{
    struct monitor *m = w->chores->monitor;
    char subject[SUBJECT_MAX];

    subject_name(subject, "name", w->path, NULL);
    ledger_observe(m->ledger, subject, CHECK_NAME_FOUND, w->status == ST_OK,
                   w->status == ST_OK ? NULL : w->failure.words, now_ns);
    ledger_observe(m->ledger, subject, CHECK_NAME_SECONDS, w->seconds, NULL, now_ns);
}

/* One that cannot be read is as bad as one that is over. */
static void certificate_done(struct work *w, uint64_t now_ns)
{
    struct monitor *m = w->chores->monitor;
    char subject[SUBJECT_MAX];

    subject_name(subject, "certificate", w->path, NULL);
    ledger_observe(m->ledger, subject, CHECK_CERTIFICATE_DAYS, w->status == ST_OK ? w->number : 0,
                   w->status == ST_OK ? NULL : w->failure.words, now_ns);
}

/* A path on which nobody answers is another check's. */
static void path_done(struct work *w, uint64_t now_ns)
{
    struct monitor *m = w->chores->monitor;
    char subject[SUBJECT_MAX];

    if (w->status != ST_OK) {
        log_debug("the path to %s: %s", w->path, w->failure.words);
        return;
    }
    subject_name(subject, "path", m->name, w->path);
    ledger_observe(m->ledger, subject, CHECK_LINK_MTU, w->number, NULL, now_ns);
}

/* Where no manager of services answers nothing is known; the node may be one on a machine that has it run otherwise,
 * a unit that was named may not. */
static void unit_done(struct work *w, uint64_t now_ns)
{
    struct monitor *m = w->chores->monitor;
    char subject[SUBJECT_MAX];

    if (w->status != ST_OK) {
        log_debug("service %s: %s", w->path, w->failure.words);
        return;
    }
    if (!w->service.is_known && m->settings->units_count == 0)
        return;
    subject_name(subject, "unit", m->name, w->path);
    ledger_observe(m->ledger, subject, CHECK_UNIT_ACTIVE, w->service.is_active, w->service.words,
                   now_ns);
}

static void speed_done(struct work *w, uint64_t now_ns)
{
    struct monitor *m = w->chores->monitor;
    char subject[SUBJECT_MAX];

    if (w->status != ST_OK)
        log_debug("%s", w->failure.words);
    subject_name(subject, "disk", m->name, w->path);
    observe(m, subject, CHECK_DISK_READ, w->speed.read_mb_s, now_ns);
    observe(m, subject, CHECK_DISK_WRITE, w->speed.write_mb_s, now_ns);
}

static void on_done(void *arg)
{
    struct work *w = arg;
    struct chores *c = w->chores;

    c->kinds[w->kind].is_under_way = false;
    kinds[w->kind].done(w, clock_ns());
    monitor_job_done(c->monitor);
    free(w);
}

/* The things of a kind: how many, and the path of one. */
static size_t count(const struct monitor *m, size_t kind)
{
    switch (kind) {
    case KIND_PATH: return m->chores->n_ways;
    case KIND_UNIT: return m->settings->units_count ? m->settings->units_count : 1;
    case KIND_SPEED:
    case KIND_DISK: return m->settings->disks_count ? m->settings->disks_count : 1;
    case KIND_NAME: return m->settings->names_count;
    case KIND_CERTIFICATE: return m->settings->certificates_count;
    default: return 1;
    }
}

static const char *path_of(const struct monitor *m, size_t kind, size_t at)
{
    switch (kind) {
    case KIND_PATH: return m->chores->ways[at].host;
    case KIND_UNIT: return m->settings->units_count ? m->settings->units[at] : node_unit;
    case KIND_SPEED:
    case KIND_DISK: return m->settings->disks_count ? m->settings->disks[at] : m->data;
    case KIND_NAME: return m->settings->names[at];
    case KIND_CERTIFICATE: return m->settings->certificates[at];
    default: return m->settings->pressure_file;
    }
}

static void begin(struct chores *c, size_t kind, size_t at)
{
    struct work *w = calloc(1, sizeof(*w));

    if (!w) /* the next time will do */
        return;
    w->chores = c;
    w->kind = kind;
    w->before = c->figures;
    w->has_before = c->has_figures;
    (void)snprintf(w->path, sizeof(w->path), "%s", path_of(c->monitor, kind, at));
    w->port = kind == KIND_PATH ? c->ways[at].port : 0;
    if (monitor_job(c->monitor, kinds[kind].look, on_done, w) == ST_OK)
        c->kinds[kind].is_under_way = true;
    else
        free(w);
}

/* All things of a kind are looked at one after the other, within its time where they are quick. */
void chores_tick(struct chores *c, uint64_t now_ns)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        const size_t n = count(c->monitor, i);
        double every_s;

        if (n == 0 || c->kinds[i].is_under_way)
            continue;
        if (c->kinds[i].at >= n) {
            memcpy(&every_s, (const char *)c->monitor->settings + kinds[i].every, sizeof(every_s));
            c->kinds[i].at = 0;
            c->kinds[i].next_ns += (uint64_t)(every_s * (double)NS_PER_S);
            if (c->kinds[i].next_ns < now_ns)
                c->kinds[i].next_ns = now_ns;
        }
        if (c->kinds[i].at > 0 || now_ns >= c->kinds[i].next_ns)
            begin(c, i, c->kinds[i].at++);
        if (c->kinds[i].next_ns == 0)
            c->kinds[i].next_ns = now_ns;
    }
}
