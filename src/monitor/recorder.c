/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/recorder.c - what is observed goes into the history, now and then, in a job.
 *
 * A history that cannot be written is warned of once, and tried again: watching goes on.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "history/history.h"
#include "monitor/monitor_priv.h"

enum { EVENTS_WAITING_MAX = 4096, PRUNE_EVERY_S = 600 };

struct sample {
    char subject[SUBJECT_MAX];
    const char *check;
    double value;
};

/* What a job writes. */
struct batch {
    struct recorder *recorder;
    struct sample *samples; /* [n_samples] */
    size_t n_samples;
    struct history_event *events; /* [n_events] */
    size_t n_events;
    int64_t t;
    bool prunes;
    struct history_retention retention;
    char aside[PATH_MAX_BYTES];
    struct err failure;
    enum status status;
};

struct recorder {
    struct monitor *monitor;
    struct history *history; /* the job's while one is under way */
    bool is_writing, has_failed;
    uint64_t next_ns, next_prune_ns;
    struct history_event *events; /* [n_events] that wait */
    size_t n_events;
};

enum status recorder_new(struct monitor *m, struct err *err)
{
    struct recorder *r = calloc(1, sizeof(*r));

    if (!r)
        return err_set(err, ST_NOMEM, "the recorder");
    r->monitor = m;
    r->events = calloc(EVENTS_WAITING_MAX, sizeof(*r->events));
    if (!r->events) {
        free(r);
        return err_set(err, ST_NOMEM, "the recorder");
    }
    m->recorder = r;
    return ST_OK;
}

void recorder_free(struct recorder *r)
{
    if (!r)
        return;
    history_close(r->history);
    free(r->events);
    free(r);
}

void recorder_note(struct recorder *r, const struct ledger_change *change)
{
    struct history_event *e;

    if (r->n_events == EVENTS_WAITING_MAX) /* the disk does not take them: the oldest stay */
        return;
    e = &r->events[r->n_events++];
    *e = (struct history_event){ .t = clock_unix_s(), .value = change->entry->finding.value };
    (void)snprintf(e->subject, sizeof(e->subject), "%s", change->entry->subject);
    (void)snprintf(e->check, sizeof(e->check), "%s", change->check->name);
    (void)snprintf(e->from, sizeof(e->from), "%s", finding_state_word(change->from));
    (void)snprintf(e->to, sizeof(e->to), "%s", finding_state_word(change->entry->finding.state));
    (void)snprintf(e->words, sizeof(e->words), "%s", change->entry->words);
}

static void batch_free(struct batch *b)
{
    free(b->samples);
    free(b->events);
    free(b);
}

static enum status write_samples(struct history *h, const struct batch *b, struct err *err)
{
    enum status s = ST_OK;

    for (size_t i = 0; i < b->n_samples && s == ST_OK; i++) {
        int64_t series = 0;

        s = history_series(h, b->samples[i].subject, b->samples[i].check, &series, err);
        if (s == ST_OK)
            s = history_add(h, series, b->t, b->samples[i].value, err);
        if (s == ST_RANGE) /* a clock was set back by hours: this one is lost */
            s = ST_OK;
    }
    for (size_t i = 0; i < b->n_events && s == ST_OK; i++)
        s = history_event(h, &b->events[i], err);
    return s;
}

static enum status write_all(struct history *h, const struct batch *b, struct err *err)
{
    enum status s = history_begin(h, err);

    if (s == ST_OK)
        s = write_samples(h, b, err);
    if (s == ST_OK)
        s = history_commit(h, err);
    if (s == ST_OK)
        s = history_roll(h, b->t, err);
    if (s == ST_OK && b->prunes)
        s = history_prune(h, b->t, &b->retention, err);
    if (s != ST_OK)
        history_rollback(h);
    return s;
}

/* On the job's thread. */
static void write_batch(void *arg)
{
    struct batch *b = arg;
    struct recorder *r = b->recorder;

    if (!r->history)
        b->status = history_open(r->monitor->history_path, HISTORY_WRITES, &r->history, b->aside,
                                 &b->failure);
    if (b->status == ST_OK)
        b->status = write_all(r->history, b, &b->failure);
    if (b->status == ST_FORMAT) { /* it is opened anew, and set aside then */
        history_close(r->history);
        r->history = NULL;
    }
}

static void written(void *arg)
{
    struct batch *b = arg;
    struct recorder *r = b->recorder;

    if (b->aside[0])
        log_warn("the history was damaged: it is kept as %s, and a new one is begun", b->aside);
    if (b->status == ST_OK) {
        r->n_events -= b->n_events;
        memmove(r->events, r->events + b->n_events, r->n_events * sizeof(*r->events));
    } else if (!r->has_failed) {
        log_warn("the history is not written: %s; it is tried again", b->failure.words);
    }
    r->has_failed = b->status != ST_OK;
    r->is_writing = false;
    monitor_job_done(r->monitor);
    batch_free(b);
}

static void take_samples(const struct monitor *m, struct batch *b, uint64_t now_ns)
{
    const uint64_t fresh_ns = (uint64_t)(m->settings->every.record * (double)NS_PER_S);
    const struct ledger_entry *entries;
    size_t n;

    entries = ledger_entries(m->ledger, &n);
    for (size_t i = 0; i < n; i++) {
        const struct finding *f = &entries[i].finding;
        struct sample *s = &b->samples[b->n_samples];

        if (now_ns - f->seen_ns > fresh_ns)
            continue;
        memcpy(s->subject, entries[i].subject, sizeof(s->subject));
        s->check = ledger_check(m->ledger, entries[i].check)->name;
        s->value = f->value;
        b->n_samples++;
    }
}

static struct batch *make_batch(struct recorder *r, uint64_t now_ns)
{
    struct monitor *m = r->monitor;
    struct batch *b = calloc(1, sizeof(*b));
    size_t n;

    if (!b)
        return NULL;
    (void)ledger_entries(m->ledger, &n);
    b->recorder = r;
    b->t = clock_unix_s();
    b->retention = (struct history_retention){ m->settings->history.raw_hours,
                                               m->settings->history.minute_days,
                                               m->settings->history.hour_days,
                                               m->settings->history.event_days };
    b->samples = calloc(n + 1, sizeof(*b->samples));
    b->events = calloc(r->n_events + 1, sizeof(*b->events));
    if (!b->samples || !b->events) {
        batch_free(b);
        return NULL;
    }
    take_samples(m, b, now_ns);
    memcpy(b->events, r->events, r->n_events * sizeof(*b->events));
    b->n_events = r->n_events;
    b->prunes = now_ns >= r->next_prune_ns;
    if (b->prunes)
        r->next_prune_ns = now_ns + PRUNE_EVERY_S * NS_PER_S;
    return b;
}

void recorder_tick(struct recorder *r, uint64_t now_ns)
{
    struct batch *b;

    if (r->is_writing || now_ns < r->next_ns)
        return;
    r->next_ns = now_ns + (uint64_t)(r->monitor->settings->every.record * (double)NS_PER_S);
    b = make_batch(r, now_ns);
    if (!b)
        return;
    r->is_writing = monitor_job(r->monitor, write_batch, written, b) == ST_OK;
    if (!r->is_writing)
        batch_free(b);
}
