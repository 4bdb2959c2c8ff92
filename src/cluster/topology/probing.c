/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/probing.c - how long messages take to each address of each peer.
 *
 *   idle --a path is due, nobody streams over it--> connecting --> sending --12 answers--> idle
 *                                      \-- deadline, no way, the peer is busy: later --------^
 *
 * A probe is a connection of its own to the peer's control port, at the address that is probed:
 * with TLS, as the data connections have it, and answered before Hello.  12 messages, some 340 kB
 * in all.  One at a time from each node, and a node that probes or answers another says that it is
 * busy; each path every few minutes; never while an instance with a shard at either end is loading
 * or answering.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "cluster/cluster_priv.h"
#include "cluster/topology/figures.h"

enum {
    WITHIN_MS = 3000,          /* a whole probe */
    GAP_MS = 500,              /* between two */
    EVERY_MS = 10 * 60 * 1000, /* of one path */
    FAILED_MS = 30 * 1000,
    BUSY_MS = 2000,                  /* at most; a random part of it */
    ANSWERING_MS = 1000,             /* who was answered last has the node to itself for so long */
    PROBES_MAX = 4 * PROBE_MESSAGES, /* from one connection */
};

static const double NEWS = 0.2; /* a figure that differs by so much is told at once */

struct probing {
    struct cluster *cluster;
    struct channel *channel; /* NULL: idle */
    struct loop_timer *pause;
    struct member *member; /* cleared with the channel */
    char host[HOST_MAX];
    size_t n_done;
    double times[PROBE_MESSAGES];
    uint64_t sent_ns, until_ns, next_ns;

    const struct link *answered; /* compared only: who is answered now */
    uint64_t answering_until_ns;
    uint8_t load[PROBE_LARGE_BYTES];
};

/* The peer may have left, or said other addresses, since the probe began. */
static void settle(struct probing *p, const struct path *figures, uint64_t again_ms)
{
    struct path *path = way_find(&p->member->topology, p->host);
    bool is_news = false;

    channel_free(p->channel);
    p->channel = NULL;
    loop_timer_stop(p->pause);
    p->next_ns = deadline_after_ms(GAP_MS);
    if (path && figures) {
        const double ratio = path_seconds(path->latency_s, path->bytes_per_s, WAY_ROWS_BYTES) /
                             path_seconds(figures->latency_s, figures->bytes_per_s, WAY_ROWS_BYTES);

        is_news =
            figures->has_failed != path->has_failed || !(ratio > 1 - NEWS && ratio < 1 + NEWS);
        path->latency_s = figures->latency_s;
        path->bytes_per_s = figures->bytes_per_s;
        path->has_failed = figures->has_failed;
    }
    if (path)
        path->next_ns = deadline_after_ms(again_ms + random_u64() % (again_ms / 4 + 1));
    p->member = NULL;
    if (is_news)
        topology_changed(p->cluster);
}

static void fail(struct probing *p, const char *words)
{
    const struct path failed = { .has_failed = true };

    log_debug("node '%s' does not answer at %s: %s", p->member->info.name, p->host, words);
    settle(p, &failed, FAILED_MS);
}

static void send_next(struct probing *p)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Probe probe = WIRE__PROBE__INIT;

    probe.number = (uint32_t)p->n_done;
    probe.load.data = p->load;
    probe.load.len = probe_bytes(p->n_done);
    message.body_case = WIRE__NODE_MESSAGE__BODY_PROBE;
    message.probe = &probe;
    p->sent_ns = clock_ns();
    channel_send(p->channel, &message.base);
}

static void on_message(void *arg, struct channel *channel, ProtobufCMessage *base)
{
    const Wire__NodeMessage *m = (const Wire__NodeMessage *)base;
    struct probing *p = arg;
    struct path figures = { 0 };

    (void)channel;
    if (m->body_case != WIRE__NODE_MESSAGE__BODY_PROBE_ECHO || m->probe_echo->number != p->n_done) {
        fail(p, "it answers something else");
        return;
    }
    if (m->probe_echo->boot != 0 && p->member->boot != 0 &&
        m->probe_echo->boot != p->member->boot) { /* addresses such as 172.17.0.1 are everybody's */
        fail(p, "another node answers");
        return;
    }
    if (m->probe_echo->is_busy) {
        settle(p, NULL, BUSY_MS / 2 + random_u64() % (BUSY_MS / 2));
        return;
    }
    p->times[p->n_done++] = (double)(clock_ns() - p->sent_ns) / (double)NS_PER_S;
    if (p->n_done < PROBE_PINGS) {
        loop_timer_once(p->pause, PROBE_PAUSE_MS);
        return;
    }
    if (p->n_done < PROBE_MESSAGES) {
        send_next(p);
        return;
    }
    probe_figures(p->times, &figures.latency_s, &figures.bytes_per_s);
    log_debug("node '%s' at %s: %.0f us, %.1f MB/s", p->member->info.name, p->host,
              figures.latency_s * 1e6, figures.bytes_per_s / 1e6);
    settle(p, &figures, EVERY_MS);
}

static void on_pause(void *arg)
{
    struct probing *p = arg;

    if (p->channel)
        send_next(p);
}

static void on_open(void *arg, struct channel *channel)
{
    (void)channel;
    send_next(arg);
}

static void on_close(void *arg, struct channel *channel, const struct err *reason)
{
    (void)channel;
    fail(arg, reason->words);
}

static const struct channel_events probe_events = {
    .type = &wire__node_message__descriptor,
    .max_bytes = FRAME_MAX_BYTES,
    .max_queued_bytes = QUEUE_MAX_BYTES,
    .on_message = on_message,
    .on_close = on_close,
    .on_open = on_open,
};

static void begin(struct probing *p, struct member *member, struct path *path)
{
    const struct channel_target target = {
        .host = p->host, .port = member->info.port, .timeout_ms = WITHIN_MS, .tls = p->cluster->tls
    };
    struct err why;

    p->member = member;
    memcpy(p->host, path->host, sizeof(p->host));
    p->n_done = 0;
    p->until_ns = deadline_after_ms(WITHIN_MS);
    if (channel_dial(p->cluster->loop, &target, &probe_events, p, &p->channel, &why) != ST_OK) {
        p->channel = NULL;
        fail(p, why.words);
    }
}

/* A member that an instance keeps busy, or will. */
static bool is_at_work(const struct cluster *cluster, const char *node)
{
    for (const struct instance *in = cluster->instances; in; in = in->next)
        if (instance_rank_of(in, node) >= 0 &&
            (in->view.state == INSTANCE_PLACING || in->view.view.n_active > 0))
            return true;
    return false;
}

static bool may_probe(const struct cluster *cluster, const struct member *m)
{
    return m != cluster->self && m->info.is_alive && m->info.port != 0 && m->link &&
           m->link->is_up && m->link->protocol >= PROTOCOL_TOPOLOGY &&
           !is_at_work(cluster, m->info.name);
}

/* The path that has been due for longest. */
static void begin_one(struct probing *p, uint64_t now_ns)
{
    struct cluster *cluster = p->cluster;
    struct member *member = NULL;
    struct path *due = NULL;

    for (size_t i = 0; i < cluster->n_members; i++) {
        struct member *m = &cluster->members[i];

        for (size_t k = 0; k < m->topology.n_paths && may_probe(cluster, m); k++)
            if (m->topology.paths[k].next_ns <= now_ns &&
                (!due || m->topology.paths[k].next_ns < due->next_ns)) {
                due = &m->topology.paths[k];
                member = m;
            }
    }
    if (due)
        begin(p, member, due);
}

enum status probing_start(struct cluster *cluster, struct err *err)
{
    cluster->probing = calloc(1, sizeof(*cluster->probing));
    if (!cluster->probing)
        return err_set(err, ST_NOMEM, "probes of links");
    cluster->probing->cluster = cluster;
    if (loop_timer_new(cluster->loop, on_pause, cluster->probing, &cluster->probing->pause) !=
        ST_OK)
        return err_set(err, ST_NOMEM, "probes of links");
    return ST_OK;
}

void probing_tick(struct cluster *cluster, uint64_t now_ns)
{
    struct probing *p = cluster->probing;

    if (!p)
        return;
    if (p->channel && now_ns > p->until_ns)
        fail(p, "it takes too long");
    if (!p->channel && now_ns >= p->next_ns && !is_at_work(cluster, cluster->self->info.name))
        begin_one(p, now_ns);
}

void probing_free(struct probing *p)
{
    if (!p)
        return;
    channel_free(p->channel);
    loop_timer_free(p->pause);
    free(p);
}

enum status probe_receive(struct link *link, const Wire__Probe *probe, struct err *err)
{
    struct probing *p = link->cluster->probing;
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__ProbeEcho echo = WIRE__PROBE_ECHO__INIT;
    const uint64_t now_ns = clock_ns();

    if (link->is_up || ++link->n_probes > PROBES_MAX)
        return err_set(err, ST_RANGE, "the peer probes more than is answered");
    echo.number = probe->number;
    echo.boot = link->cluster->boot;
    echo.is_busy = !p || p->channel || is_at_work(link->cluster, link->cluster->self->info.name) ||
                   (p->answered != link && now_ns < p->answering_until_ns);
    if (p && !echo.is_busy) {
        p->answered = link;
        p->answering_until_ns = now_ns + ANSWERING_MS * NS_PER_MS;
    }
    message.body_case = WIRE__NODE_MESSAGE__BODY_PROBE_ECHO;
    message.probe_echo = &echo;
    link_send(link, &message);
    return ST_OK;
}
