/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/ways.c - in which order the addresses of a peer are tried. */
#include "cluster/topology/ways.h"

#include <string.h>

#include "base/clock.h"
#include "cluster/topology/figures.h"

static bool is_before(const struct path *a, const struct path *b, size_t n_bytes)
{
    if (a->has_failed != b->has_failed)
        return b->has_failed;
    return path_seconds(a->latency_s, a->bytes_per_s, n_bytes) <
           path_seconds(b->latency_s, b->bytes_per_s, n_bytes);
}

void ways_order(const struct path *paths, size_t n, size_t n_bytes, struct hosts *ret_hosts)
{
    const struct path *sorted[PATHS_MAX];

    ret_hosts->n = 0;
    for (size_t i = 0; i < n && i < PATHS_MAX; i++) {
        size_t at = i;

        for (; at > 0 && is_before(&paths[i], sorted[at - 1], n_bytes); at--)
            sorted[at] = sorted[at - 1];
        sorted[at] = &paths[i];
    }
    for (size_t i = 0; i < n && i < PATHS_MAX; i++)
        hosts_add(ret_hosts, sorted[i]->host);
}

struct path *way_find(const struct member_topology *topology, const char *host)
{
    for (size_t i = 0; i < topology->n_paths; i++)
        if (strcmp(topology->paths[i].host, host) == 0)
            return (struct path *)&topology->paths[i]; /* as const as the caller's */
    return NULL;
}

/* Many machines have 172.17.0.1, say, and each would find itself there. */
static bool leads_back(const struct cluster *cluster, const struct member *member, const char *host)
{
    return way_find(&cluster->self->topology, host) && strcmp(member->info.host, host) != 0;
}

void ways_to(const struct cluster *cluster, const struct member *member, size_t n_bytes,
             struct hosts *ret_hosts)
{
    const struct member_topology *t = &member->topology;
    struct path paths[PATHS_MAX];
    size_t n = 0;

    for (size_t i = 0; i < t->n_paths && member != cluster->self; i++)
        if (!leads_back(cluster, member, t->paths[i].host))
            paths[n++] = t->paths[i];
    ways_order(paths, n, n_bytes, ret_hosts);
    hosts_add(ret_hosts, member->info.host);
}

void way_doubted(struct member *member, const char *host)
{
    struct path *path = way_find(&member->topology, host);

    if (!path)
        return;
    path->has_failed = true;
    path->next_ns = path->cut_until_ns;
}

void way_cut(struct member *member, const char *host)
{
    struct path *path = way_find(&member->topology, host);

    if (!path)
        return;
    path->has_failed = true;
    path->latency_s = path->bytes_per_s = 0;
    path->cut_until_ns = path->next_ns = deadline_after_ms(CUT_REST_MS);
}

void ways_whole_again(struct member *member)
{
    for (size_t i = 0; i < member->topology.n_paths; i++)
        member->topology.paths[i].cut_until_ns = 0;
}

void ways_look_again(struct member *member)
{
    for (size_t i = 0; i < member->topology.n_paths; i++)
        member->topology.paths[i].next_ns = member->topology.paths[i].cut_until_ns;
}

void wire_of_hosts(const struct hosts *hosts, char **list, Wire__Endpoint *ret_endpoint)
{
    for (size_t i = 0; i < hosts->n; i++)
        list[i] = (char *)hosts->text[i];
    ret_endpoint->hosts = list;
    ret_endpoint->n_hosts = hosts->n;
}
