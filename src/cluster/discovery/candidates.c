/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/candidates.c - which address is called when; and all of discovery's life. */
#include "cluster/discovery/candidates.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"
#include "cluster/discovery/beacon.h"
#include "cluster/discovery/mdns.h"

struct discovery {
    struct cluster *cluster;
    struct beacon *beacon; /* NULL: off */
    struct mdns *mdns;     /* NULL: off */
    struct candidate candidates[CANDIDATES_MAX];
};

static struct candidate *candidate_find(struct discovery *d, const char *host, uint16_t port)
{
    for (size_t i = 0; i < CANDIDATES_MAX; i++) {
        struct candidate *c = &d->candidates[i];

        if (c->is_used && c->port == port && strcmp(c->host, host) == 0)
            return c;
    }
    return NULL;
}

/* A free entry, else the one that was not heard of for longest; NULL: all are in use. */
static struct candidate *candidate_room(struct discovery *d)
{
    struct candidate *stalest = NULL;

    for (size_t i = 0; i < CANDIDATES_MAX; i++) {
        struct candidate *c = &d->candidates[i];

        if (!c->is_used)
            return c;
        if (!c->is_seed && !c->link && (!stalest || c->heard_ns < stalest->heard_ns))
            stalest = c;
    }
    return stalest;
}

static struct candidate *candidate_add(struct discovery *d, const char *host, uint16_t port)
{
    struct candidate *c = candidate_room(d);
    const size_t n = strlen(host);

    if (!c || n >= sizeof(c->host))
        return NULL;
    memset(c, 0, sizeof(*c));
    memcpy(c->host, host, n + 1);
    c->port = port;
    c->is_used = true;
    c->backoff_ms = CALL_BACKOFF_FIRST_MS;
    return c;
}

/* Heard by beacon or mDNS: node `id` may be at an address. */
static void on_found(void *arg, const char *host, uint16_t port, const char *id)
{
    struct discovery *d = arg;
    const char *own = d->cluster->node_id;
    struct candidate *c;

    if (strcmp(id, own) == 0)
        return;
    c = candidate_find(d, host, port);
    if (!c) {
        c = candidate_add(d, host, port);
        if (!c)
            return;
        c->attempt_at_ns = strcmp(own, id) < 0 ? 0 : deadline_after_ms(CALL_LATER_MS);
        log_debug("a node may be at %s port %u", host, port);
    }
    c->heard_ns = clock_ns();
    c->is_self = false;
    memcpy(c->id, id, sizeof(c->id));
    if (c->attempt_at_ns == 0)
        discovery_tick(d->cluster, c->heard_ns);
}

void candidate_heard(struct cluster *cluster, const char *host, uint16_t port, const char *id)
{
    if (cluster->discovery)
        on_found(cluster->discovery, host, port, id);
}

static bool is_member_already(struct cluster *cluster, const struct candidate *c)
{
    const struct member *m = c->id[0] ? member_by_id(cluster, c->id) : NULL;

    return m && (m->info.is_alive || m->link);
}

/* Another address of the same node is being tried, and may answer yet. */
static bool is_called_elsewhere(const struct discovery *d, const struct candidate *c,
                                uint64_t now_ns)
{
    for (size_t i = 0; c->id[0] && i < CANDIDATES_MAX; i++) {
        const struct candidate *other = &d->candidates[i];

        if (other->link && strcmp(other->id, c->id) == 0 &&
            (other->link->is_up || now_ns < other->called_ns + CALL_STAGGER_MS * NS_PER_MS))
            return true;
    }
    return false;
}

static size_t n_calls(const struct discovery *d)
{
    size_t n = 0;

    for (size_t i = 0; i < CANDIDATES_MAX; i++)
        n += d->candidates[i].link && !d->candidates[i].link->is_up;
    return n;
}

static bool is_due(struct discovery *d, const struct candidate *c, uint64_t now_ns)
{
    return c->is_used && !c->is_self && !c->link && now_ns >= c->attempt_at_ns &&
           !is_member_already(d->cluster, c) && !is_called_elsewhere(d, c, now_ns) &&
           n_calls(d) < CALLS_MAX;
}

static void call_later(struct candidate *c)
{
    c->attempt_at_ns = deadline_after_ms(c->backoff_ms);
    c->backoff_ms *= 2;
    if (c->backoff_ms > CALL_BACKOFF_LAST_MS)
        c->backoff_ms = CALL_BACKOFF_LAST_MS;
}

void discovery_tick(struct cluster *cluster, uint64_t now_ns)
{
    struct discovery *d = cluster->discovery;
    struct err err;

    for (size_t i = 0; d && i < CANDIDATES_MAX; i++) {
        struct candidate *c = &d->candidates[i];

        if (c->is_used && !c->is_seed && !c->link &&
            now_ns > c->heard_ns + CANDIDATE_FORGET_MS * NS_PER_MS)
            c->is_used = false;
        if (!is_due(d, c, now_ns))
            continue;
        c->called_ns = now_ns;
        if (link_call(cluster, c, &err) != ST_OK) {
            log_debug("%s port %u cannot be called: %s", c->host, c->port, err.words);
            call_later(c);
        }
    }
}

void candidate_ended(struct candidate *c)
{
    c->link = NULL;
    call_later(c);
}

void candidate_is(struct candidate *c, const char *id)
{
    const struct cluster *cluster = c->link->cluster;

    c->is_self = strcmp(id, cluster->node_id) == 0;
    c->backoff_ms = CALL_BACKOFF_FIRST_MS;
    if (strlen(id) < sizeof(c->id))
        memcpy(c->id, id, strlen(id) + 1);
}

static enum status take_seeds(struct discovery *d, const struct cluster_discovery *o,
                              struct err *err)
{
    if (o->n_seeds > SEEDS_MAX)
        return err_set(err, ST_RANGE, "%zu seeds are more than %d", o->n_seeds, SEEDS_MAX);
    for (size_t i = 0; i < o->n_seeds; i++) {
        struct candidate *c = candidate_find(d, o->seeds[i].host, o->seeds[i].port);

        if (!c)
            c = candidate_add(d, o->seeds[i].host, o->seeds[i].port);
        if (!c)
            return err_set(err, ST_RANGE, "the seed '%.100s' is too long", o->seeds[i].host);
        c->is_seed = true;
    }
    return ST_OK;
}

enum status discovery_start(struct cluster *cluster, const struct cluster_options *options,
                            struct err *err)
{
    const struct cluster_discovery *o = options->discovery;
    const struct beacon_options how = {
        .key = options->key,
        .cluster_name = cluster->cluster_name,
        .node_id = cluster->node_id,
        .port = options->port,
        .udp_port = o->udp_port ? o->udp_port : DISCOVERY_PORT,
    };
    struct discovery *d = calloc(1, sizeof(*d));
    enum status s = ST_OK;
    struct err why;

    if (!d)
        return err_set(err, ST_NOMEM, "discovery");
    d->cluster = cluster;
    cluster->discovery = d;
    if (o->ways & DISCOVER_SEEDS)
        s = take_seeds(d, o, err);
    if (s != ST_OK || !options->key || options->port == 0)
        return s; /* without a key nothing could be told from what a stranger sends */
    /* any one way is enough, so one that this machine does not have is no failure */
    if ((o->ways & DISCOVER_BEACON) &&
        beacon_open(cluster->loop, &how, on_found, d, &d->beacon, &why) != ST_OK)
        log_warn("peers are not found by beacon: %s", why.words);
    if ((o->ways & DISCOVER_MDNS) &&
        mdns_open(cluster->loop, &how, on_found, d, &d->mdns, &why) != ST_OK)
        log_info("peers are not found by mDNS: %s", why.words);
    return ST_OK;
}

void discovery_free(struct discovery *d)
{
    if (!d)
        return;
    beacon_close(d->beacon);
    mdns_close(d->mdns);
    for (size_t i = 0; i < CANDIDATES_MAX; i++)
        if (d->candidates[i].link)
            d->candidates[i].link->candidate = NULL;
    free(d);
}

bool cluster_has_mdns(void)
{
    return mdns_is_built();
}
