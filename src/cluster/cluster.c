/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/cluster.c - make a node's part of the cluster, drive it, end it.
 *
 * Two timers drive everything that no message does: `tick`, every
 * BEAT_EVERY_MS, for beats and deadlines; `soon`, at the next turn of the
 * loop, for what must not be done inside a caller's function.
 */
#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/machine.h"
#include "base/random.h"
#include "cluster/cluster_priv.h"
#include "cluster/membership/watch.h"
#include "net/data_key.h"

void cluster_soon(struct cluster *cluster)
{
    loop_timer_once(cluster->soon, 0);
}

void cluster_changed(struct cluster *cluster)
{
    cluster->has_changed = true;
    cluster_soon(cluster);
}

static void on_soon(void *arg)
{
    struct cluster *cluster = arg;

    asks_advance(cluster, clock_ns());
    unplace_advance(cluster);
    place_advance(cluster);
    asks_settle(cluster);
    if (!cluster->has_changed)
        return;
    cluster->has_changed = false;
    if (cluster->events.on_change)
        cluster->events.on_change(cluster->arg);
}

static void on_tick(void *arg)
{
    struct cluster *cluster = arg;
    const uint64_t now_ns = clock_ns();

    beats_tick(cluster, now_ns);
    lead_refresh(cluster);
    asks_advance(cluster, now_ns);
    instances_tick(cluster, now_ns);
    place_tick(cluster, now_ns);
    runners_tick(cluster, now_ns);
    relays_tick(cluster, now_ns);
    measuring_tick(cluster, now_ns);
    topology_tick(cluster, now_ns);
    probing_tick(cluster, now_ns);
}

static void on_call(void *arg)
{
    links_call(arg);
}

static void on_child(evutil_socket_t fd, short what, void *arg)
{
    (void)fd;
    (void)what;
    runners_reap(arg);
}

static enum status take_peers(struct cluster *cluster, const struct cluster_options *o,
                              struct err *err)
{
    if (o->n_peers > NODES_MAX)
        return err_set(err, ST_RANGE, "%zu nodes are more than the %d a cluster can have",
                       o->n_peers, NODES_MAX);
    for (size_t i = 0; i < o->n_peers; i++) {
        struct member *m = &cluster->members[cluster->n_members++];

        memcpy(m->info.name, o->peers[i].name, sizeof(m->info.name));
        memcpy(m->info.host, o->peers[i].host, sizeof(m->info.host));
        m->info.port = o->peers[i].port;
        topology_add_path(&m->topology, m->info.host);
        for (size_t k = 0; k < o->peers[i].links.n; k++)
            topology_add_path(&m->topology, o->peers[i].links.text[k]);
        if (strcmp(m->info.name, o->node_name) == 0)
            cluster->advertised = o->peers[i].links;
        m->is_configured = true;
        m->backoff_ms = BACKOFF_FIRST_MS;
    }
    if (o->n_peers == 0) {
        cluster->n_members = 1;
        cluster->members[0].is_configured = !o->allows_joining;
    }
    return ST_OK;
}

static enum status take_self(struct cluster *cluster, const struct cluster_options *o,
                             struct err *err)
{
    struct member *self =
        o->n_peers > 0 ? member_find(cluster, o->node_name) : &cluster->members[0];
    struct cluster_member *info;
    enum status s;

    if (!self)
        return err_set(err, ST_NOTFOUND, "node '%s' is not among the nodes of the cluster",
                       o->node_name);
    info = &self->info;
    cluster->self = self;
    s = text_take(o->node_name, "node name", info->name, sizeof(info->name), err);
    if (s == ST_OK)
        s = text_take(o->cluster_name, "cluster name", cluster->cluster_name,
                      sizeof(cluster->cluster_name), err);
    if (s == ST_OK)
        s = text_take(o->node_id, "node id", cluster->node_id, sizeof(cluster->node_id), err);
    if (s == ST_OK)
        s = text_take(o->host, "host", info->host, sizeof(info->host), err);
    if (s != ST_OK)
        return s;
    memcpy(info->id, cluster->node_id, sizeof(info->id));
    memcpy(info->version, POMONA_VERSION, sizeof(POMONA_VERSION));
    info->port = o->port;
    info->api_port = o->api_port;
    info->share_port = o->shard_dir ? o->share_port : 0;
    info->step_version = o->step_version ? o->step_version : STEP_VERSION_FIRST;
    info->memory_bytes = o->memory_bytes;
    info->is_alive = info->is_local = true;
    ring_arrange(cluster);
    return ST_OK;
}

static enum status take_hub(struct cluster *cluster, const struct cluster_options *o,
                            struct err *err)
{
    const char *endpoint = o->hub_endpoint ? o->hub_endpoint : "";
    const char *token = o->hub_token ? o->hub_token : "";

    if (strlen(endpoint) >= sizeof(cluster->hub_endpoint) ||
        strlen(token) >= sizeof(cluster->hub_token))
        return err_set(err, ST_RANGE, "the hub's address or its token is longer than %d bytes",
                       CLUSTER_HUB_MAX - 1);
    memcpy(cluster->hub_endpoint, endpoint, strlen(endpoint) + 1);
    memcpy(cluster->hub_token, token, strlen(token) + 1);
    return ST_OK;
}

static enum status take_runner_options(struct cluster *cluster, const struct cluster_options *o,
                                       struct err *err)
{
    cluster->n_threads = o->n_threads;
    cluster->assign_ms = o->assign_ms ? o->assign_ms : ASSIGN_WITHIN_MS;
    cluster->load_ms = o->load_ms ? o->load_ms : LOAD_WITHIN_MS;
    cluster->runner_program = strdup(o->runner_program);
    cluster->engine = o->engine ? strdup(o->engine) : NULL;
    cluster->kernels = o->kernels ? strdup(o->kernels) : NULL;
    cluster->shard_dir = o->shard_dir ? strdup(o->shard_dir) : NULL;
    cluster->has_share_key = o->share_key != NULL;
    if (o->share_key)
        memcpy(cluster->share_key, o->share_key, sizeof(cluster->share_key));
    if (!cluster->runner_program || (o->engine && !cluster->engine) ||
        (o->kernels && !cluster->kernels) || (o->shard_dir && !cluster->shard_dir))
        return err_set(err, ST_NOMEM, "the options of a cluster");
    return ST_OK;
}

static enum status take_key(struct cluster *cluster, const struct cluster_options *o,
                            struct err *err)
{
    enum status s = tls_new(o->key, o->cluster_name, &cluster->tls, err);

    if (s == ST_OK)
        s = data_key_of_cluster(o->key, o->cluster_name, &cluster->data_key, err);
    cluster->has_data_key = s == ST_OK;
    return s;
}

static enum status start(struct cluster *cluster, const struct cluster_options *o, struct err *err)
{
    enum status s;

    if (loop_timer_new(cluster->loop, on_tick, cluster, &cluster->tick) != ST_OK ||
        loop_timer_new(cluster->loop, on_soon, cluster, &cluster->soon) != ST_OK ||
        loop_timer_new(cluster->loop, on_call, cluster, &cluster->call) != ST_OK)
        return err_set(err, ST_NOMEM, "the timers of a cluster");
    cluster->child_signal = evsignal_new(loop_base(cluster->loop), SIGCHLD, on_child, cluster);
    if (!cluster->child_signal || event_add(cluster->child_signal, NULL) != 0)
        return err_set(err, ST_NOMEM, "the watch of a cluster's processes");
    s = lead_start(cluster, o, err);
    if (s == ST_OK && o->port != 0 && (o->n_peers > 1 || o->allows_joining)) {
        s = link_listen(cluster, o->listen_host ? o->listen_host : o->host, o->port, err);
        if (s == ST_OK)
            watch_start(cluster, o);
    }
    if (s == ST_OK && o->discovery)
        s = discovery_start(cluster, o, err);
    if (s == ST_OK)
        s = probing_start(cluster, err);
    if (s == ST_OK && o->speed_file)
        s = measuring_start(cluster, o->speed_file, err);
    if (s != ST_OK)
        return s;
    loop_timer_every(cluster->tick, BEAT_EVERY_MS);
    return ST_OK;
}

enum status cluster_new(struct loop *loop, const struct cluster_options *options,
                        const struct cluster_events *events, void *arg,
                        struct cluster **ret_cluster, struct err *err)
{
    struct cluster *cluster = calloc(1, sizeof(*cluster));
    enum status s;

    if (!cluster)
        return err_set(err, ST_NOMEM, "a cluster");
    cluster->loop = loop;
    cluster->events = *events;
    cluster->arg = arg;
    cluster->boot = random_u64();
    cluster->allows_joining = options->allows_joining;
    cluster->hears_everywhere =
        options->key && options->listen_host &&
        (strcmp(options->listen_host, "::") == 0 || strcmp(options->listen_host, "0.0.0.0") == 0);
    s = take_peers(cluster, options, err);
    if (s == ST_OK)
        s = take_self(cluster, options, err);
    if (s == ST_OK)
        s = take_runner_options(cluster, options, err);
    if (s == ST_OK)
        s = take_hub(cluster, options, err);
    if (s == ST_OK && options->key)
        s = take_key(cluster, options, err);
    if (s == ST_OK)
        s = start(cluster, options, err);
    if (s != ST_OK) {
        cluster_free(cluster);
        return s;
    }
    on_tick(cluster); /* connect without waiting for the first beat */
    *ret_cluster = cluster;
    return ST_OK;
}

static void paths_free(char **paths, size_t n)
{
    for (size_t i = 0; paths && i < n; i++)
        free(paths[i]);
    free(paths);
}

void cluster_free(struct cluster *cluster)
{
    if (!cluster)
        return;
    discovery_free(cluster->discovery);
    cluster->discovery = NULL;
    watch_free(cluster->watch);
    cluster->watch = NULL;
    relays_free(cluster);
    probing_free(cluster->probing);
    measuring_free(cluster->measuring);
    links_free(cluster);
    tls_free(cluster->tls);
    runners_free(cluster);
    if (cluster->child_signal)
        event_free(cluster->child_signal);
    loop_timer_free(cluster->tick);
    loop_timer_free(cluster->soon);
    loop_timer_free(cluster->call);
    lead_free(cluster->lead);
    asks_free(cluster);
    unplacings_free(cluster);
    instances_free(cluster);
    if (cluster->self)
        paths_free(cluster->paths, cluster->self->n_models);
    for (size_t i = 0; i < cluster->n_members; i++) {
        member_take_models(&cluster->members[i], NULL, 0, NULL, 0);
        free(cluster->members[i].topology.told);
    }
    free(cluster->runner_program);
    free(cluster->engine);
    free(cluster->kernels);
    free(cluster->shard_dir);
    cluster_key_wipe(cluster->share_key, sizeof(cluster->share_key));
    cluster_key_wipe(&cluster->data_key, sizeof(cluster->data_key));
    free(cluster);
}

/* The two lists that one is made of. */
struct own_models {
    struct model_info *models, *parts;
    char **paths; /* [n_models] */
    size_t n_models, n_parts;
};

static void own_models_release(struct own_models *own)
{
    free(own->models);
    free(own->parts);
    paths_free(own->paths, own->n_models);
}

static enum status own_models_take(const struct cluster_model *models, size_t n,
                                   struct own_models *own, struct err *err)
{
    own->models = calloc(n + 1, sizeof(*own->models));
    own->parts = calloc(n + 1, sizeof(*own->parts));
    own->paths = calloc(n + 1, sizeof(*own->paths));
    if (!own->models || !own->parts || !own->paths)
        return err_set(err, ST_NOMEM, "a list of %zu models", n);
    for (size_t i = 0; i < n; i++) {
        if (models[i].info.is_part) {
            if (own->n_parts < PARTS_MAX)
                own->parts[own->n_parts++] = models[i].info;
            continue;
        }
        own->paths[own->n_models] = strdup(models[i].path);
        if (!own->paths[own->n_models])
            return err_set(err, ST_NOMEM, "a list of %zu models", n);
        own->models[own->n_models++] = models[i].info;
    }
    if (own->n_models > MODELS_MAX)
        return err_set(err, ST_FULL, "%zu models are more than the %d a node can offer",
                       own->n_models, MODELS_MAX);
    return ST_OK;
}

enum status cluster_set_models(struct cluster *cluster, const struct cluster_model *models,
                               size_t n_models, struct err *err)
{
    struct own_models own = { 0 };
    const enum status s = own_models_take(models, n_models, &own, err);

    if (s != ST_OK) {
        own_models_release(&own);
        return s;
    }
    paths_free(cluster->paths, cluster->self->n_models);
    cluster->paths = own.paths;
    member_take_models(cluster->self, own.models, own.n_models, own.parts, own.n_parts);
    models_broadcast(cluster);
    cluster_changed(cluster);
    return ST_OK;
}
