/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/node.c - one node's process: its loop, store, cluster, HTTP service, and what it gives peers.
 *
 * The store is read once before the service starts and again every few
 * seconds, so that a model imported by another process appears without a
 * restart.  A file that cannot be used is warned of once, not at every scan.
 */
#include "cmd/node.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/topology/speed_file.h"
#include "cmd/dev.h"
#include "cmd/manager.h"
#include "execute/shard/step.h"
#include "flow/service.h"
#include "gateway/guard/api_keys.h"
#include "model/share/parts.h"
#include "model/share/served.h"
#include "model/share/server.h"
#include "model/store/store.h"
#include "net/job.h"
#include "net/loop.h"

enum {
    SCAN_EVERY_MS = 3000,
};

/* What a scan found; an array of its own for each, handed over when done. */
struct found {
    struct store_entry *entries; /* [n] */
    struct part *parts;          /* [n_parts], of what fetches left here */
    size_t n, n_parts;
    size_t n_bad;
    struct err failure;
    enum status status;
};

struct node {
    const struct node_settings *settings;
    struct loop *loop;
    struct cluster *cluster;
    struct service *service;
    struct manager *manager;
    struct dev *dev;                    /* NULL: nothing is watched */
    struct share *share;                /* gives peers parts of the models; NULL: a node alone */
    char shards[PATH_MAX_BYTES];        /* where fetches leave parts */
    uint8_t share_key[SHARE_KEY_BYTES]; /* that it asks for; of a cluster with a key */
    struct loop_timer *scan_timer;
    struct store store;
    struct found current; /* what cluster and service were given */
    struct found scanned; /* written by the job, then the loop's again */
    bool is_scanning;
    bool says_bad; /* the next scan warns of files it cannot use */
    bool is_draining, is_stopped, is_changed;
};

static void found_release(struct found *found)
{
    free(found->entries);
    free(found->parts);
    found->entries = NULL;
    found->parts = NULL;
}

static void warn_bad(void *arg, const char *path, const struct err *why)
{
    struct node *node = arg;

    (void)path; /* the words name it */
    node->scanned.n_bad++;
    if (node->says_bad)
        log_warn("a file of the store is left out: %s", why->words);
}

static void scan_one(struct node *node)
{
    struct found *f = &node->scanned;

    f->entries = calloc(1, sizeof(*f->entries));
    f->status = f->entries
                    ? store_find(&node->store, node->settings->model, &f->entries[0], &f->failure)
                    : err_set(&f->failure, ST_NOMEM, "the list of models");
    f->n = f->status == ST_OK ? 1 : 0;
}

/* Of those that were hashed by now: their roots. */
static void find_roots(struct node *node)
{
    for (size_t i = 0; i < node->scanned.n; i++) {
        struct store_entry *entry = &node->scanned.entries[i];

        entry->info.has_root =
            served_root(node->settings->data, entry->info.digest, entry->path, entry->info.root);
    }
}

/* On the job's thread, or before the loop runs. */
static void scan(void *arg)
{
    struct node *node = arg;
    struct found *f = &node->scanned;

    memset(f, 0, sizeof(*f));
    if (node->settings->model)
        scan_one(node);
    else
        f->status = store_list(&node->store, &f->entries, &f->n, warn_bad, node, &f->failure);
    if (f->status == ST_OK && node->share) {
        find_roots(node);
        f->status = parts_list(node->shards, &f->parts, &f->n_parts, &f->failure);
    }
}

static bool is_same_info(const struct model_info *a, const struct model_info *b)
{
    return strcmp(a->name, b->name) == 0 && memcmp(a->digest, b->digest, sizeof(a->digest)) == 0 &&
           a->has_root == b->has_root && memcmp(a->root, b->root, sizeof(a->root)) == 0 &&
           strcmp(a->origin, b->origin) == 0;
}

static bool is_same(const struct found *a, const struct found *b)
{
    if (a->n != b->n || a->n_parts != b->n_parts)
        return false;
    for (size_t i = 0; i < a->n; i++)
        if (strcmp(a->entries[i].path, b->entries[i].path) != 0 ||
            !is_same_info(&a->entries[i].info, &b->entries[i].info))
            return false;
    for (size_t i = 0; i < a->n_parts; i++)
        if (!is_same_info(&a->parts[i].info, &b->parts[i].info))
            return false;
    return true;
}

/* From now on peers may fetch these. */
static enum status give_models(struct node *node, const struct found *f, struct err *err)
{
    struct share_model *models = calloc(f->n + 1, sizeof(*models));
    enum status s;

    if (!models)
        return err_set(err, ST_NOMEM, "the list of models");
    for (size_t i = 0; i < f->n; i++) {
        memcpy(models[i].digest, f->entries[i].info.digest, sizeof(models[i].digest));
        models[i].path = f->entries[i].path;
    }
    s = share_set_models(node->share, models, f->n, err);
    free(models);
    return s;
}

/* Give what was scanned to the cluster, and to who fetches. */
static enum status publish(struct node *node, struct err *err)
{
    struct found *f = &node->scanned;
    struct cluster_model *models = calloc(f->n + f->n_parts + 1, sizeof(*models));
    enum status s;

    if (!models)
        return err_set(err, ST_NOMEM, "the list of models");
    for (size_t i = 0; i < f->n; i++) {
        models[i].info = f->entries[i].info;
        models[i].path = f->entries[i].path;
    }
    for (size_t i = 0; i < f->n_parts; i++)
        models[f->n + i].info = f->parts[i].info;
    s = cluster_set_models(node->cluster, models, f->n + f->n_parts, err);
    if (s == ST_OK && node->share)
        s = give_models(node, f, err);
    free(models);
    if (s != ST_OK)
        return s;
    found_release(&node->current);
    node->current = *f;
    f->entries = NULL;
    f->parts = NULL;
    return ST_OK;
}

static void scanned(void *arg)
{
    struct node *node = arg;
    struct err err;

    node->is_scanning = false;
    node->says_bad = node->scanned.n_bad != node->current.n_bad;
    if (node->scanned.status != ST_OK)
        log_warn("the models could not be listed: %s", node->scanned.failure.words);
    else if (is_same(&node->scanned, &node->current))
        node->current.n_bad = node->scanned.n_bad;
    else if (publish(node, &err) == ST_OK)
        log_info("%zu model%s in the store", node->current.n, node->current.n == 1 ? "" : "s");
    else
        log_warn("the models could not be told: %s", err.words);
    found_release(&node->scanned);
    if (node->is_stopped)
        loop_stop(node->loop);
}

static void scan_again(void *arg)
{
    struct node *node = arg;
    struct err err;

    if (node->is_scanning || node->is_draining)
        return;
    node->is_scanning = job_start(node->loop, scan, scanned, NULL, node, &err) == ST_OK;
    if (!node->is_scanning)
        log_warn("the models could not be listed: %s", err.words);
}

/* A scan under way writes into the node: the loop runs until it is done. */
static void stop(void *arg)
{
    struct node *node = arg;

    node->is_stopped = true;
    if (!node->is_scanning)
        loop_stop(node->loop);
}

static void on_end_signal(void *arg)
{
    struct node *node = arg;

    if (node->is_draining) { /* asked twice: nobody is waited for */
        service_drain(node->service, 0, stop, node);
        return;
    }
    node->is_draining = true;
    log_info("asked to end: running answers have %llu s",
             (unsigned long long)(node->settings->drain_ms / 1000));
    manager_stopping(node->manager, node->settings->drain_ms);
    service_drain(node->service, node->settings->drain_ms, stop, node);
}

static void on_dev_change(void *arg, const char *path)
{
    struct node *node = arg;

    if (node->is_draining)
        return;
    log_info("%s changed: starting anew", path);
    node->is_changed = true;
    on_end_signal(node);
}

static void say_serving(void *arg)
{
    struct node *node = arg;

    if (!node->is_draining)
        manager_ready(node->manager, "serving");
}

static void on_reload_signal(void *arg)
{
    struct node *node = arg;

    log_info("asked to read the gateway's settings again");
    if (!node->is_draining)
        manager_reloading(node->manager);
    service_reload(node->service, say_serving, node);
}

/* Where this node keeps what is its own: DATA/nodes/NAME/WHAT. */
static enum status own_path(const struct node_settings *settings, const char *what, char *ret_path,
                            struct err *err)
{
    char nodes[PATH_MAX_BYTES], own[PATH_MAX_BYTES];
    enum status s = path_join(settings->data, "nodes", nodes, err);

    if (s == ST_OK)
        s = path_join(nodes, settings->name, own, err);
    return s == ST_OK ? path_join(own, what, ret_path, err) : s;
}

/* Nodes of one machine share what is measured of it; without a cache folder the data folder will do. */
static enum status speed_path(const struct node_settings *settings, char *ret_path, struct err *err)
{
    char cache[PATH_MAX_BYTES];
    const bool has_cache = path_cache(cache, NULL) == ST_OK;

    return speed_file_path(has_cache ? cache : settings->data, settings->threads, settings->kernels,
                           ret_path, err);
}

/* A node with peers gives them parts of its models, where they reach its runners; of a cluster with
 * a key, to who proves that he knows it.  A node that cannot still serves what it holds. */
static enum status start_share(struct node *node, struct err *err)
{
    const struct node_settings *settings = node->settings;
    const struct share_options options = {
        .host = settings->listen_peers ? settings->listen_peers : settings->host,
        .key = settings->has_key ? node->share_key : NULL,
        .keep_dir = settings->data,
        .parts_dir = node->shards,
    };
    struct err why;
    enum status s = ST_OK;

    if (settings->n_peers <= 1 && !settings->is_cluster)
        return ST_OK;
    s = own_path(settings, "shards", node->shards, err);
    if (s == ST_OK && settings->has_key)
        s = cluster_key_derive(&settings->key, "share", settings->cluster_name, node->share_key,
                               sizeof(node->share_key), err);
    if (s == ST_OK && share_new(&options, &node->share, &why) != ST_OK)
        log_warn("peers cannot fetch models from this node: %s", why.words);
    return s;
}

static enum status start_cluster(struct node *node, struct err *err)
{
    const struct node_settings *settings = node->settings;
    char id[33], program[PATH_MAX_BYTES], state[PATH_MAX_BYTES], speed[PATH_MAX_BYTES];
    const struct cluster_discovery discovery = {
        .ways = settings->discovery,
        .seeds = settings->seeds,
        .n_seeds = settings->n_seeds,
    };
    const struct cluster_options options = {
        .listen_host = settings->listen_peers,
        .key = settings->has_key ? &settings->key : NULL,
        .allows_joining = settings->is_cluster,
        .discovery = settings->is_cluster ? &discovery : NULL,
        .cluster_name = settings->cluster_name,
        .node_name = settings->name,
        .node_id = id,
        .host = settings->host,
        .port = settings->port,
        .api_port = settings->listen_port,
        .memory_bytes = settings->memory_bytes,
        .n_threads = settings->threads,
        .engine = settings->engine,
        .kernels = settings->kernels,
        .runner_program = program,
        .peers = settings->peers,
        .n_peers = settings->n_peers,
        .state_dir = state,
        .shard_dir = node->share ? node->shards : NULL,
        .share_port = node->share ? share_port(node->share) : 0,
        .share_key = settings->has_key ? node->share_key : NULL,
        .step_version = step_version(),
        .hub_endpoint = settings->hub_endpoint[0] ? settings->hub_endpoint : NULL,
        .hub_token = settings->hub_token,
        .speed_file = settings->is_not_measured ? NULL : speed,
    };
    enum status s;

    s = own_path(settings, "state", state, err);
    if (s == ST_OK)
        s = speed_path(settings, speed, err);
    if (s == ST_OK)
        s = node_id(settings->data, settings->name, id, err);
    if (s == ST_OK)
        s = path_of_self(program, err);
    if (s == ST_OK)
        s = cluster_new(node->loop, &options, &service_cluster_events, node->service,
                        &node->cluster, err);
    return s;
}

static enum status start(struct node *node, struct err *err)
{
    const struct node_settings *settings = node->settings;
    char keys[PATH_MAX_BYTES], state[PATH_MAX_BYTES], quotas[PATH_MAX_BYTES];
    const struct service_options service = {
        .listen_host = settings->listen_host,
        .listen_port = settings->listen_port,
        .data_dir = settings->data,
        .hub_endpoint = settings->hub_endpoint[0] ? settings->hub_endpoint : NULL,
        .hub_token = settings->hub_token,
        .cluster_name = settings->cluster_name,
        .node_name = settings->name,
        .version = POMONA_VERSION,
        .kv_format = settings->kv_format,
        .activations = settings->activations,
        .gateway_config = settings->gateway_config,
        .log_levels = settings->log_levels,
        .api_keys = keys,
        .quotas = quotas,
    };
    enum status s;

    s = path_join(settings->data, API_KEYS_FILE, keys, err);
    if (s == ST_OK)
        s = own_path(settings, "state", state, err);
    if (s == ST_OK)
        s = path_make(state, err);
    if (s == ST_OK)
        s = path_join(state, "quotas.json", quotas, err);
    if (s == ST_OK)
        s = loop_new(&node->loop, err);
    if (s == ST_OK)
        s = store_init(&node->store, settings->data, err);
    if (s == ST_OK)
        s = start_share(node, err);
    if (s == ST_OK) {
        node->says_bad = true;
        scan(node);
        node->says_bad = false;
        s = node->scanned.status;
        if (err)
            *err = node->scanned.failure;
    }
    if (s == ST_OK)
        s = service_new(node->loop, &service, &node->service, err);
    if (s == ST_OK)
        s = start_cluster(node, err);
    if (s == ST_OK)
        s = publish(node, err);
    if (s == ST_OK)
        s = service_start(node->service, node->cluster, err);
    if (s == ST_OK && settings->model) /* who names one model wants it ready */
        s = service_place(node->service, node->current.entries[0].info.name, err);
    return s;
}

static enum status watch(struct node *node, struct err *err)
{
    enum status s;

    (void)signal(SIGPIPE, SIG_IGN);
    s = loop_on_signal(node->loop, SIGTERM, on_end_signal, node, err);
    if (s == ST_OK)
        s = loop_on_signal(node->loop, SIGINT, on_end_signal, node, err);
    if (s == ST_OK)
        s = loop_on_signal(node->loop, SIGHUP, on_reload_signal, node, err);
    if (s == ST_OK && loop_timer_new(node->loop, scan_again, node, &node->scan_timer) != ST_OK)
        s = err_set(err, ST_NOMEM, "the timer of the store");
    if (s == ST_OK && !node->settings->model)
        loop_timer_every(node->scan_timer, SCAN_EVERY_MS);
    if (s == ST_OK)
        s = manager_new(node->loop, &node->manager, err);
    if (s == ST_OK && node->settings->is_dev)
        s = dev_new(node->loop, node->settings->config, node->settings->program, on_dev_change,
                    node, &node->dev, err);
    return s;
}

static void say_ready(const struct node *node, bool is_on_terminal)
{
    const struct node_settings *settings = node->settings;
    const bool is_v6 = strchr(settings->listen_host, ':') != NULL;
    char address[HOST_MAX + 32];

    (void)snprintf(address, sizeof(address), is_v6 ? "%s://[%s]:%u" : "%s://%s:%u",
                   service_speaks_tls(node->service) ? "https" : "http", settings->listen_host,
                   service_port(node->service));
    log_info("node '%s' of cluster '%s' answers at %s", settings->name, settings->cluster_name,
             address);
    if (!is_on_terminal)
        return;
    printf("Ready at %s/v1 with", address);
    for (size_t i = 0; i < node->current.n && i < 4; i++)
        printf("%s %s", i > 0 ? "," : "", node->current.entries[i].info.name);
    if (node->current.n > 4)
        printf(" and %zu more", node->current.n - 4);
    else if (node->current.n == 0)
        printf(" no model yet; add one with 'pomona import FILE'");
    printf("\n");
    (void)fflush(stdout);
}

enum status node_run(const struct node_settings *settings, bool is_on_terminal,
                     enum node_end *ret_end, struct err *err)
{
    struct node node = { .settings = settings };
    enum status s;

    s = start(&node, err);
    if (s == ST_OK)
        s = watch(&node, err);
    if (s == ST_OK) {
        say_ready(&node, is_on_terminal);
        say_serving(&node);
        s = loop_run(node.loop, err);
    }
    dev_free(node.dev);
    loop_timer_free(node.scan_timer);
    service_free(node.service);
    cluster_free(node.cluster);
    share_free(node.share);
    manager_free(node.manager);
    loop_free(node.loop);
    found_release(&node.current);
    found_release(&node.scanned);
    if (s == ST_OK)
        *ret_end = node.is_changed ? NODE_CHANGED : NODE_ENDED;
    return s;
}
