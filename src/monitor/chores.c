/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/chores.c - jobs that read the machine, disks, names and certificates.
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
#include "base/size.h"
#include "monitor/monitor_priv.h"

/* What one job looks at, and what it found. */
struct work {
    struct chores *chores;
    size_t kind;
    char path
        [CONFIG_PATH_MAX]; /* a disk, a name, a certificate; for the machine its pressure file */
    struct own_figures before, figures;
    bool has_before;
    struct own_disk disk;
    double number, seconds;
    struct err failure;
    enum status status;
};

static void look_at_machine(void *arg);
static void look_at_disk(void *arg);
static void look_up_name(void *arg);
static void look_at_certificate(void *arg);
static void machine_done(struct work *w, uint64_t now_ns);
static void disk_done(struct work *w, uint64_t now_ns);
static void name_done(struct work *w, uint64_t now_ns);
static void certificate_done(struct work *w, uint64_t now_ns);

enum { KIND_MACHINE, KIND_DISK, KIND_NAME, KIND_CERTIFICATE };

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
#undef EVERY
};

struct chores {
    struct monitor *monitor;
    struct {
        uint64_t next_ns;
        size_t at; /* of its list, which is gone through in turn */
        bool is_under_way;
    } kinds[ARRAY_LEN(kinds)];
    struct own_figures figures; /* of the last time */
    bool has_figures;
};

enum status chores_new(struct monitor *m, struct err *err)
{
    m->chores = calloc(1, sizeof(*m->chores));
    if (!m->chores)
        return err_set(err, ST_NOMEM, "the monitor's chores");
    m->chores->monitor = m;
    return ST_OK;
}

void chores_free(struct chores *c)
{
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
    case KIND_DISK: return m->settings->disks_count ? m->settings->disks_count : 1;
    case KIND_NAME: return m->settings->names_count;
    case KIND_CERTIFICATE: return m->settings->certificates_count;
    default: return 1;
    }
}

static const char *path_of(const struct monitor *m, size_t kind, size_t at)
{
    switch (kind) {
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
