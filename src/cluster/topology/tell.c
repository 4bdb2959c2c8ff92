/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/tell.c - what nodes tell one another of their speed, addresses and links.
 *
 * Everything in one message that replaces the last: it is small, and sent only when something
 * changed.  Of links, each node tells what it measured itself, so a planner knows every pair.
 */
#include <arpa/inet.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/clock.h"
#include "cluster/cluster_priv.h"
#include "cluster/discovery/interfaces.h"
#include "cluster/topology/figures.h"
#include "cluster/topology/ways.h"

enum { ADDRESSES_EVERY_MS = 5000, LINKS_MAX = NODES_MAX * PATHS_MAX };

static const double RATE_MAX = 1e12, LATENCY_MAX_S = 60;

/* ---- this node's own addresses ---- */

void topology_add_path(struct member_topology *t, const char *host)
{
    if (way_find(t, host) || t->n_paths == PATHS_MAX)
        return;
    t->paths[t->n_paths] = (struct path){ 0 };
    memcpy(t->paths[t->n_paths++].host, host, strlen(host) + 1);
}

static void list_own(const struct cluster *cluster, struct member_topology *ret)
{
    struct interface list[INTERFACES_MAX];
    size_t n = 0;

    ret->n_paths = 0;
    topology_add_path(ret, cluster->self->info.host);
    for (size_t i = 0; i < cluster->advertised.n; i++)
        topology_add_path(ret, cluster->advertised.text[i]);
    if (!cluster->hears_everywhere || cluster->advertised.n > 0 ||
        interfaces_list(list, &n, NULL) != ST_OK)
        return;
    for (size_t i = 0; i < n; i++) {
        char host[INET6_ADDRSTRLEN];

        /* both of one interface would be one link twice */
        if (list[i].is_loopback)
            continue;
        if (list[i].has_v4 ? inet_ntop(AF_INET, &list[i].v4, host, sizeof(host)) != NULL
                           : list[i].has_global_v6 &&
                                 inet_ntop(AF_INET6, &list[i].v6, host, sizeof(host)) != NULL)
            topology_add_path(ret, host);
    }
}

static bool has_same_hosts(const struct member_topology *a, const struct member_topology *b)
{
    if (a->n_paths != b->n_paths)
        return false;
    for (size_t i = 0; i < a->n_paths; i++)
        if (strcmp(a->paths[i].host, b->paths[i].host) != 0)
            return false;
    return true;
}

void topology_tick(struct cluster *cluster, uint64_t now_ns)
{
    struct member_topology *mine = &cluster->self->topology, found = { 0 };

    if (now_ns < cluster->addresses_at_ns)
        return;
    cluster->addresses_at_ns = now_ns + ADDRESSES_EVERY_MS * NS_PER_MS;
    list_own(cluster, &found);
    if (has_same_hosts(mine, &found))
        return;
    memcpy(mine->paths, found.paths, sizeof(mine->paths));
    mine->n_paths = found.n_paths;
    topology_changed(cluster);
}

/* ---- telling ---- */

/* A Topology and what it points into. */
struct telling {
    Wire__NodeMessage message;
    Wire__Topology topology;
    Wire__NodeSpeed speed, machine;
    double figures[2][NODE_SPEED_FIELDS];
    char *addresses[PATHS_MAX];
    Wire__LinkFigure links[LINKS_MAX], *list[LINKS_MAX];
};

static void fill_speed(const struct node_speed *from, double *figures, Wire__NodeSpeed *to)
{
    struct node_speed speed = *from;

    wire__node_speed__init(to);
    for (size_t i = 0; i < NODE_SPEED_FIELDS; i++)
        figures[i] = *node_speed_at(&speed, i);
    to->figures = figures;
    to->n_figures = NODE_SPEED_FIELDS;
}

static uint32_t ms_until(uint64_t then_ns)
{
    const uint64_t now_ns = clock_ns();

    return then_ns > now_ns ? (uint32_t)((then_ns - now_ns) / NS_PER_MS) : 0;
}

static void fill_links(struct cluster *cluster, struct telling *t)
{
    for (size_t i = 0; i < cluster->n_members; i++) {
        struct member *m = &cluster->members[i];

        for (size_t k = 0; k < m->topology.n_paths && m != cluster->self && m->info.is_alive; k++) {
            const struct path *path = &m->topology.paths[k];
            Wire__LinkFigure *link = &t->links[t->topology.n_links];

            if (!(path->bytes_per_s > 0) && !path->has_failed)
                continue;
            wire__link_figure__init(link);
            link->peer = m->info.name;
            link->host = m->topology.paths[k].host;
            link->latency_s = path->latency_s;
            link->bytes_per_s = path->bytes_per_s;
            link->cut_ms = ms_until(path->cut_until_ns);
            t->list[t->topology.n_links++] = link;
        }
    }
}

/* NULL without memory: it is told when something changes next. */
static struct telling *telling_new(struct cluster *cluster)
{
    struct member *self = cluster->self;
    struct telling *t = calloc(1, sizeof(*t));

    if (!t)
        return NULL;
    wire__node_message__init(&t->message);
    wire__topology__init(&t->topology);
    t->message.body_case = WIRE__NODE_MESSAGE__BODY_TOPOLOGY;
    t->message.topology = &t->topology;
    t->topology.machine_id = self->topology.machine.id;
    if (self->info.speed.memory_gbs > 0) {
        fill_speed(&self->info.speed, t->figures[0], &t->speed);
        fill_speed(&self->topology.machine.speed, t->figures[1], &t->machine);
        t->topology.speed = &t->speed;
        t->topology.machine = &t->machine;
    }
    t->topology.addresses = t->addresses;
    for (size_t i = 0; i < self->topology.n_paths; i++)
        t->addresses[t->topology.n_addresses++] = self->topology.paths[i].host;
    t->topology.links = t->list;
    fill_links(cluster, t);
    return t;
}

static void tell(struct link *link, const struct telling *t)
{
    if (link && link->is_up && link->protocol >= PROTOCOL_TOPOLOGY)
        link_send(link, &t->message);
}

void topology_send(struct link *link)
{
    struct telling *t = telling_new(link->cluster);

    if (t)
        tell(link, t);
    free(t);
}

void topology_changed(struct cluster *cluster)
{
    struct telling *t = telling_new(cluster);

    for (size_t i = 0; t && i < cluster->n_members; i++)
        tell(cluster->members[i].link, t);
    free(t);
    cluster_changed(cluster);
}

/* ---- being told ---- */

static enum status take_speed(const Wire__NodeSpeed *from, struct node_speed *to, struct err *err)
{
    struct node_speed speed = { 0 };

    for (size_t i = 0; from && i < from->n_figures && i < NODE_SPEED_FIELDS; i++)
        *node_speed_at(&speed, i) = from->figures[i];
    if (!node_speed_is_sane(&speed))
        return err_set(err, ST_FORMAT, "a message has figures that no machine reaches");
    *to = speed;
    return ST_OK;
}

/* What is known of an address stays. */
static enum status take_addresses(struct member *member, const Wire__Topology *from,
                                  struct err *err)
{
    struct member_topology *t = &member->topology, taken = { 0 };

    for (size_t i = 0; i < from->n_addresses && i < PATHS_MAX; i++) {
        struct address unused;
        enum status s = address_parse(from->addresses[i], 1, &unused, err);

        if (s == ST_OK && strlen(from->addresses[i]) >= HOST_MAX)
            s = err_set(err, ST_FORMAT, "a message has a host that is too long");
        if (s != ST_OK)
            return s;
        topology_add_path(&taken, from->addresses[i]);
    }
    for (size_t i = 0; i < taken.n_paths; i++) {
        const struct path *known = way_find(t, taken.paths[i].host);

        if (known)
            taken.paths[i] = *known;
    }
    memcpy(t->paths, taken.paths, sizeof(t->paths));
    t->n_paths = taken.n_paths;
    return ST_OK;
}

static enum status take_link(const Wire__LinkFigure *from, struct told_link *to, struct err *err)
{
    enum status s = text_take(from->peer, "node name", to->peer, sizeof(to->peer), err);

    if (s == ST_OK &&
        (strlen(from->host) >= HOST_MAX || !isfinite(from->latency_s) ||
         !isfinite(from->bytes_per_s) || from->latency_s < 0 || from->latency_s > LATENCY_MAX_S ||
         from->bytes_per_s < 0 || from->bytes_per_s > RATE_MAX))
        s = err_set(err, ST_FORMAT, "a message has a link that cannot be one");
    if (s != ST_OK)
        return s;
    memcpy(to->host, from->host, strlen(from->host) + 1);
    to->latency_s = from->latency_s;
    to->bytes_per_s = from->bytes_per_s;
    if (from->cut_ms > 0)
        to->cut_until_ns =
            deadline_after_ms(from->cut_ms < CUT_REST_MS ? from->cut_ms : CUT_REST_MS);
    return ST_OK;
}

static enum status take_links(struct member *member, const Wire__Topology *from, struct err *err)
{
    struct told_link *told;
    enum status s = ST_OK;

    if (from->n_links > LINKS_MAX)
        return err_set(err, ST_RANGE, "node '%s' tells of %zu links, at most %d are taken",
                       member->info.name, from->n_links, LINKS_MAX);
    told = calloc(from->n_links + 1, sizeof(*told));
    if (!told)
        return err_set(err, ST_NOMEM, "the links of node '%s'", member->info.name);
    for (size_t i = 0; i < from->n_links && s == ST_OK; i++)
        s = take_link(from->links[i], &told[i], err);
    if (s != ST_OK) {
        free(told);
        return s;
    }
    free(member->topology.told);
    member->topology.told = told;
    member->topology.n_told = from->n_links;
    return ST_OK;
}

enum status topology_receive(struct link *link, const Wire__Topology *from, struct err *err)
{
    struct member *member = link->member;
    struct node_speed speed = { 0 }, machine = { 0 };
    enum status s = take_speed(from->speed, &speed, err);

    if (s == ST_OK)
        s = take_speed(from->machine, &machine, err);
    if (s == ST_OK)
        s = take_addresses(member, from, err);
    if (s == ST_OK)
        s = take_links(member, from, err);
    if (s != ST_OK)
        return s;
    member->info.speed = speed;
    member->topology.machine = (struct node_machine){ from->machine_id, machine };
    cluster_changed(link->cluster);
    return ST_OK;
}

/* ---- for planners and people ---- */

static void add_link(struct cluster_link *links, size_t *n, const char *from, const char *to,
                     const struct told_link *figures)
{
    struct cluster_link *link = &links[(*n)++];

    memcpy(link->from, from, strlen(from) + 1);
    memcpy(link->to, to, strlen(to) + 1);
    memcpy(link->host, figures->host, sizeof(link->host));
    link->latency_s = figures->latency_s;
    link->bytes_per_s = figures->bytes_per_s;
    link->is_best = figures->bytes_per_s > 0;
    link->is_cut = clock_ns() < figures->cut_until_ns;
    /* those of one sender stand together */
    for (size_t i = *n - 1; i-- > 0 && strcmp(links[i].from, from) == 0;) {
        struct cluster_link *other = &links[i];

        if (!other->is_best || !link->is_best || strcmp(other->to, to) != 0)
            continue;
        if (path_seconds(link->latency_s, link->bytes_per_s, WAY_ROWS_BYTES) <
            path_seconds(other->latency_s, other->bytes_per_s, WAY_ROWS_BYTES))
            other->is_best = false;
        else
            link->is_best = false;
    }
}

static void add_own(const struct cluster *cluster, const struct member *to,
                    struct cluster_link *links, size_t *n)
{
    for (size_t i = 0; i < to->topology.n_paths && to != cluster->self; i++) {
        const struct path *path = &to->topology.paths[i];
        struct told_link figures = { .latency_s = path->latency_s,
                                     .bytes_per_s = path->bytes_per_s,
                                     .cut_until_ns = path->cut_until_ns };

        memcpy(figures.host, path->host, sizeof(figures.host));
        if (path->bytes_per_s > 0 || path->has_failed)
            add_link(links, n, cluster->self->info.name, to->info.name, &figures);
    }
}

static bool is_alive(const struct cluster *cluster, const char *name)
{
    const struct member *member = member_look_up(cluster, name);

    return member && member->info.is_alive;
}

size_t cluster_links(const struct cluster *cluster, struct cluster_link **ret_links)
{
    struct cluster_link *links;
    size_t n_most = 0, n = 0;

    for (size_t i = 0; i < cluster->n_members; i++)
        n_most += cluster->members[i].topology.n_paths + cluster->members[i].topology.n_told;
    links = n_most > 0 ? calloc(n_most, sizeof(*links)) : NULL;
    for (size_t i = 0; links && i < cluster->n_members; i++)
        if (cluster->ring[i]->info.is_alive)
            add_own(cluster, cluster->ring[i], links, &n);
    for (size_t i = 0; links && i < cluster->n_members; i++) {
        const struct member *m = cluster->ring[i];

        for (size_t k = 0; k < m->topology.n_told && m->info.is_alive && m != cluster->self; k++)
            if (is_alive(cluster, m->topology.told[k].peer))
                add_link(links, &n, m->info.name, m->topology.told[k].peer, &m->topology.told[k]);
    }
    if (n == 0) {
        free(links);
        links = NULL;
    }
    *ret_links = links;
    return n;
}

/* All that is known of the way from one node to the other is that it is cut. */
static bool is_cut(const struct cluster_link *links, size_t n, const char *from, const char *to)
{
    bool found = false;

    for (size_t i = 0; i < n; i++) {
        if (strcmp(links[i].from, from) != 0 || strcmp(links[i].to, to) != 0)
            continue;
        if (!links[i].is_cut)
            return false;
        found = true;
    }
    return found;
}

bool cluster_cut_pair(const struct cluster *cluster, const struct plan *plan, size_t *ret_a,
                      size_t *ret_b)
{
    struct cluster_link *links;
    const size_t n = cluster_links(cluster, &links);
    bool found = false;

    for (size_t a = 0; a < plan->n_shards && !found; a++)
        for (size_t b = 0; b < plan->n_shards && !found; b++)
            if (is_cut(links, n, plan->shards[a].node, plan->shards[b].node)) {
                *ret_a = a;
                *ret_b = b;
                found = true;
            }
    free(links);
    return found;
}
