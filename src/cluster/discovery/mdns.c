/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/mdns.c - the thread that talks to the mDNS daemon, and what it tells the loop. */
#include "cluster/discovery/mdns.h"

#include <event2/event.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/cond.h"
#include "base/log.h"
#include "cluster/discovery/mdns_priv.h"

bool mdns_is_built(void)
{
    return true;
}

void mdns_report(struct mdns *m, const char *host, const struct beacon_message *peer)
{
    pthread_mutex_lock(&m->lock);
    if (!m->is_abandoned && m->n_reports < REPORTS_MAX) {
        struct report *r = &m->reports[m->n_reports++];

        (void)snprintf(r->host, sizeof(r->host), "%s", host);
        r->peer = *peer;
        event_active(m->arrival, EV_READ, 0);
    }
    pthread_mutex_unlock(&m->lock);
}

/* On the node's loop. */
static void on_arrival(evutil_socket_t fd, short what, void *arg)
{
    struct mdns *m = arg;
    struct report reports[REPORTS_MAX];
    size_t n;

    (void)fd;
    (void)what;
    pthread_mutex_lock(&m->lock);
    n = m->n_reports;
    memcpy(reports, m->reports, n * sizeof(*reports));
    m->n_reports = 0;
    pthread_mutex_unlock(&m->lock);
    for (size_t i = 0; i < n; i++)
        m->on_found(m->arg, reports[i].host, reports[i].peer.port, reports[i].peer.id);
}

/* Half-built ones too, but not `arrival`, which is the other thread's. */
static void mdns_free(struct mdns *m)
{
    loop_timer_free(m->tick);
    loop_free(m->loop);
    pthread_cond_destroy(&m->ended);
    pthread_mutex_destroy(&m->lock);
    cluster_key_wipe(m->key, sizeof(m->key));
    free(m);
}

static void on_tick(void *arg)
{
    mdns_run(arg);
}

static void *thread_main(void *arg)
{
    struct mdns *m = arg;
    bool is_abandoned;

    mdns_run(m);
    loop_timer_every(m->tick, TICK_MS);
    (void)loop_run(m->loop, NULL);
    mdns_daemon_close(m);
    pthread_mutex_lock(&m->lock);
    m->is_ended = true;
    is_abandoned = m->is_abandoned;
    pthread_cond_signal(&m->ended);
    pthread_mutex_unlock(&m->lock);
    if (is_abandoned)
        mdns_free(m);
    return NULL;
}

static void stop(void *arg)
{
    struct mdns *m = arg;

    loop_stop(m->loop);
}

/* Did the thread end in time?  If not, it frees what it uses when it does. */
static bool end_thread(struct mdns *m)
{
    const uint64_t until_ns = deadline_after_ms(CLOSE_WITHIN_MS);
    bool is_ended = loop_post(m->loop, stop, m) == ST_OK;

    pthread_mutex_lock(&m->lock);
    while (is_ended && !m->is_ended)
        is_ended = cond_wait_until(&m->ended, &m->lock, until_ns);
    is_ended = m->is_ended;
    m->is_abandoned = !is_ended;
    pthread_mutex_unlock(&m->lock);
    return is_ended;
}

void mdns_close(struct mdns *m)
{
    struct event *arrival;
    pthread_t thread;
    bool is_ended;

    if (!m)
        return;
    arrival = m->arrival;
    thread = m->thread;
    is_ended = !m->has_thread || end_thread(m);
    if (arrival)
        event_free(arrival);
    if (!is_ended) {
        log_debug("the mDNS daemon does not answer; it is not waited for");
        (void)pthread_detach(thread);
        return;
    }
    if (m->has_thread)
        (void)pthread_join(thread, NULL);
    mdns_free(m);
}

static enum status make(struct loop *loop, const struct beacon_options *o, struct mdns *m,
                        struct err *err)
{
    struct beacon_message self = { .what = BEACON_HERE, .port = o->port };
    enum status s;

    (void)snprintf(self.id, sizeof(self.id), "%s", o->node_id);
    (void)snprintf(m->id, sizeof(m->id), "%s", o->node_id);
    m->port = o->port;
    s = cluster_key_derive(o->key, "mdns", o->cluster_name, m->key, sizeof(m->key), err);
    if (s == ST_OK)
        s = mdns_record_write(m->key, &self, &m->record, err);
    if (s == ST_OK)
        s = loop_new(&m->loop, err);
    if (s != ST_OK)
        return s;
    m->arrival = event_new(loop_base(loop), -1, EV_PERSIST, on_arrival, m);
    if (!m->arrival || loop_timer_new(m->loop, on_tick, m, &m->tick) != ST_OK)
        return err_set(err, ST_NOMEM, "mDNS");
    m->has_thread = pthread_create(&m->thread, NULL, thread_main, m) == 0;
    return m->has_thread ? ST_OK : err_set(err, ST_NOMEM, "a thread for mDNS");
}

enum status mdns_open(struct loop *loop, const struct beacon_options *options, found_fn *on_found,
                      void *arg, struct mdns **ret_mdns, struct err *err)
{
    struct mdns *m = calloc(1, sizeof(*m));
    enum status s;

    mdns_library_prepare();
    if (m && pthread_mutex_init(&m->lock, NULL) != 0) {
        free(m);
        m = NULL;
    }
    if (m && !cond_init(&m->ended)) {
        pthread_mutex_destroy(&m->lock);
        free(m);
        m = NULL;
    }
    if (!m)
        return err_set(err, ST_NOMEM, "mDNS");
    m->on_found = on_found;
    m->arg = arg;
    m->backoff_ms = RETRY_FIRST_MS;
    s = make(loop, options, m, err);
    if (s != ST_OK) {
        mdns_close(m);
        return s;
    }
    *ret_mdns = m;
    return ST_OK;
}
