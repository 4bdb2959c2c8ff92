/* SPDX-License-Identifier: Apache-2.0 */
/* cmd/serve.c - `pomona serve`: run a node.
 *
 * Four ways, by what is given:
 *   --cluster NAME             a node of that cluster, whose peers it finds itself
 *   --config FILE --node NAME  a node of that cluster
 *   --model PATH               that model alone, on this machine
 *   neither                    every model of the store, on this machine
 * This file turns options and configuration into node_settings; node.c runs them.  With --dev, and
 * something changed, this process becomes the program as it is then: same id, same options.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/machine.h"
#include "base/size.h"
#include "cmd/cmd.h"
#include "cmd/logging.h"
#include "cmd/node.h"
#include "cmd/options.h"
#include "cmd/peers.h"
#include "config/api_gateway.h"
#include "config/config.h"

_Static_assert((int)CONFIG_NAME_MAX == (int)NODE_NAME_MAX, "a name fits both");
_Static_assert((int)CONFIG_HOST_MAX <= (int)CLUSTER_HUB_MAX, "a hub fits both");
_Static_assert((int)CONFIG_HOST_MAX == (int)HOST_MAX, "a host fits both");

static const double GIB = 1024.0 * 1024.0 * 1024.0;

/* Of the machine's memory, where nothing else is said: the rest is for the
 * system and for the pages of model files. */
static const double MEMORY_SHARE = 0.75;

enum { DRAIN_S = 5, DRAIN_MAX_S = 3600 };

struct serve_options {
    const char *cluster, *cluster_key, *join, *discovery, *host;
    uint32_t port;
    const char *gateway_config;
    const char *config, *node, *listen, *model, *engine, *kernels, *kv;
    bool is_not_measured, is_dev;
    struct logging logging;
    uint32_t drain_s;
    double memory_gb;              /* 0: not given */
    uint32_t threads, activations; /* the same */
};

/* --node, else the only node, else the one called as this machine. */
static enum status find_node(const struct config *config, const char *name,
                             const struct config_node **ret_node, struct err *err)
{
    char host[HOST_MAX] = "";
    enum status s;

    if (name)
        return config_find_node(config, name, ret_node, err);
    if (config->nodes_count == 1) {
        *ret_node = &config->nodes[0];
        return ST_OK;
    }
    (void)gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    s = config_find_node(config, host, ret_node, err);
    if (s != ST_OK)
        err_wrap(err, "say which node this is with --node");
    return s;
}

static unsigned discovery_of(const struct config *config)
{
    const unsigned ways = config->cluster.discovery;

    return (ways & CONFIG_DISCOVER_BEACON ? DISCOVER_BEACON : 0u) |
           (ways & CONFIG_DISCOVER_MDNS ? DISCOVER_MDNS : 0u) |
           (ways & CONFIG_DISCOVER_SEEDS ? DISCOVER_SEEDS : 0u);
}

static void take_peer(const struct config_node *node, struct cluster_peer *ret_peer)
{
    memcpy(ret_peer->name, node->name, sizeof(ret_peer->name));
    memcpy(ret_peer->host, node->host, sizeof(ret_peer->host));
    ret_peer->port = node->port;
    for (unsigned i = 0; i < node->links_count; i++)
        if (node->links[i].address[0] && strcmp(node->links[i].address, node->host) != 0)
            hosts_add(&ret_peer->links, node->links[i].address);
}

/* Addresses beside its host. */
static bool has_links(const struct config_node *node)
{
    struct cluster_peer peer = { 0 };

    take_peer(node, &peer);
    return peer.links.n > 0;
}

static enum status settings_of_cluster(const struct app *app, const struct serve_options *options,
                                       struct node_settings *settings, double *memory_gb,
                                       struct err *err)
{
    const struct config_node *node = NULL;
    struct config *config = NULL;
    enum status s;

    s = config_load(options->config, &config, err);
    if (s == ST_OK)
        s = peers_key(app, options->cluster_key, config->cluster.key_file, settings, err);
    if (s == ST_OK)
        s = find_node(config, options->node, &node, err);
    if (s == ST_OK && config->nodes_count > NODES_MAX)
        s = err_set(err, ST_RANGE, "%s describes %u nodes, a cluster can have %d", options->config,
                    config->nodes_count, NODES_MAX);
    if (s != ST_OK)
        goto out;

    memcpy(settings->cluster_name, config->cluster.name, sizeof(settings->cluster_name));
    memcpy(settings->hub_endpoint, config->cluster.hub, sizeof(config->cluster.hub));
    memcpy(settings->name, node->name, sizeof(settings->name));
    memcpy(settings->host, node->host, sizeof(settings->host));
    memcpy(settings->listen_host, node->host, sizeof(settings->listen_host));
    settings->is_cluster = settings->has_key;
    if (!options->discovery && config->cluster.discovery)
        settings->discovery = discovery_of(config);
    settings->port = node->port;
    settings->listen_port = node->api_port;
    settings->threads = node->threads;
    *memory_gb = node->memory_gb;
    for (unsigned i = 0; i < config->nodes_count; i++)
        take_peer(&config->nodes[i], &settings->peers[settings->n_peers++]);
    if (settings->has_key && has_links(node))
        settings->listen_peers = address_any();
out:
    config_free(config);
    return s;
}

/* --node, else this machine's name. */
static void name_of_machine(const struct serve_options *options, struct node_settings *settings)
{
    char host[HOST_MAX] = "";

    (void)gethostname(host, sizeof(host) - 1);
    host[strcspn(host, ".")] = '\0';
    (void)snprintf(settings->name, sizeof(settings->name), "%.*s", NODE_NAME_MAX - 1,
                   options->node ? options->node : host);
}

static enum status settings_of_found_cluster(const struct app *app,
                                             const struct serve_options *options,
                                             struct node_settings *settings, struct err *err)
{
    const enum status s = peers_key(app, options->cluster_key, "", settings, err);

    if (s != ST_OK)
        return s;
    settings->is_cluster = true;
    (void)snprintf(settings->cluster_name, sizeof(settings->cluster_name), "%.*s",
                   NODE_NAME_MAX - 1, options->cluster);
    name_of_machine(options, settings);
    (void)snprintf(settings->listen_host, sizeof(settings->listen_host), "127.0.0.1");
    settings->listen_port = CONFIG_API_PORT;
    settings->port = options->port ? (uint16_t)options->port : CONFIG_CONTROL_PORT;
    if (options->host)
        (void)snprintf(settings->host, sizeof(settings->host), "%.*s", HOST_MAX - 1, options->host);
    else if (!settings->has_key)
        (void)snprintf(settings->host, sizeof(settings->host), "127.0.0.1");
    else
        cluster_main_address(settings->host);
    settings->listen_peers = settings->has_key && !options->host ? address_any() : settings->host;
    return ST_OK;
}

static void settings_of_one_machine(const struct serve_options *options,
                                    struct node_settings *settings)
{
    (void)snprintf(settings->cluster_name, sizeof(settings->cluster_name), "local");
    (void)snprintf(settings->name, sizeof(settings->name), "%s",
                   options->node ? options->node : "local");
    (void)snprintf(settings->host, sizeof(settings->host), "127.0.0.1");
    (void)snprintf(settings->listen_host, sizeof(settings->listen_host), "127.0.0.1");
    settings->listen_port = CONFIG_API_PORT;
}

/* --gateway-config, else the one in the folder of settings, if there. */
static enum status find_gateway_config(const struct serve_options *options,
                                       struct node_settings *settings, struct err *err)
{
    char folder[PATH_MAX_BYTES], path[PATH_MAX_BYTES];

    if (options->gateway_config) {
        if (strlen(options->gateway_config) >= sizeof(settings->gateway_config))
            return err_set(err, ST_RANGE, "the path of --gateway-config is too long");
        (void)snprintf(settings->gateway_config, sizeof(settings->gateway_config), "%s",
                       options->gateway_config);
        return ST_OK;
    }
    if (path_config(folder, NULL) == ST_OK &&
        path_join(folder, "api_gateway.yaml", path, NULL) == ST_OK && access(path, F_OK) == 0)
        memcpy(settings->gateway_config, path, sizeof(path));
    return ST_OK;
}

static enum status make_settings(const struct app *app, const struct serve_options *options,
                                 struct node_settings *settings, struct err *err)
{
    double memory_gb = 0;
    enum status s;

    s = app_data_dir(app, settings->data, err);
    if (s == ST_OK)
        s = peers_ways(options->discovery, &settings->discovery, err);
    if (s == ST_OK)
        s = find_gateway_config(options, settings, err);
    if (s == ST_OK && options->join)
        s = peers_join(options->join, settings, err);
    if (s == ST_OK && options->config)
        s = settings_of_cluster(app, options, settings, &memory_gb, err);
    else if (s == ST_OK && options->cluster)
        s = settings_of_found_cluster(app, options, settings, err);
    else if (s == ST_OK)
        settings_of_one_machine(options, settings);
    if (s == ST_OK && options->listen)
        s = peers_address(options->listen, settings->listen_host, &settings->listen_port, err);
    if (s != ST_OK)
        return s;

    if (options->memory_gb > 0)
        memory_gb = options->memory_gb;
    settings->memory_bytes = memory_gb > 0
                                 ? (uint64_t)(memory_gb * GIB)
                                 : (uint64_t)((double)machine_memory_bytes() * MEMORY_SHARE);
    if (options->threads > 0)
        settings->threads = options->threads;
    if (app->hub_endpoint)
        (void)snprintf(settings->hub_endpoint, sizeof(settings->hub_endpoint), "%s",
                       app->hub_endpoint);
    settings->hub_token = app->hub_token;
    settings->engine = options->engine;
    settings->kernels = options->kernels;
    settings->model = options->model;
    settings->is_not_measured = options->is_not_measured;
    settings->drain_ms = options->drain_s * UINT64_C(1000);
    settings->is_dev = options->is_dev;
    settings->config = options->config;
    s = path_of_self(settings->program, err);
    if (s != ST_OK)
        return s;
    s = kv_format_find(options->kv, &settings->kv_format, err);
    if (s == ST_OK)
        s = activation_format_find(options->activations, &settings->activations, err);
    return s;
}

/* The program as it is now, in this process' place: returns only where that is impossible. */
static int become_anew(struct app *app, const char *program, int argc, char **argv)
{
    char **args = calloc((size_t)argc + 2, sizeof(*args));
    struct err err = { 0 };

    if (!args) {
        (void)err_set(&err, ST_NOMEM, "'%s' could not be started anew", program);
        return app_fail(app, &err);
    }
    args[0] = (char *)(uintptr_t)program;
    for (int i = 0; i < argc; i++)
        args[i + 1] = argv[i];
    (void)execv(program, args);
    (void)err_errno(&err, "'%s' could not be started anew", program);
    free(args);
    return app_fail(app, &err);
}

static int run(struct app *app, const struct node_settings *settings, int argc, char **argv)
{
    struct err err = { 0 };
    enum node_end end;

    if (node_run(settings, app->out_is_terminal, &end, &err) != ST_OK)
        return app_fail(app, &err);
    logging_end();
    return end == NODE_CHANGED ? become_anew(app, settings->program, argc, argv) : EXIT_FINE;
}

/* The file is read again, and its mistakes are told, where the API begins. */
static enum status begin_log(struct serve_options *options, struct node_settings *settings,
                             struct err *err)
{
    struct logging *l = &options->logging;
    struct api_gateway *file = NULL;
    enum status s;

    l->is_dev = options->is_dev;
    if (settings->gateway_config[0])
        (void)api_gateway_load(settings->gateway_config, &file, NULL);
    s = logging_begin(l, file ? file->log.level : NULL, file ? file->log.format : NULL, err);
    api_gateway_unref(file);
    settings->log_levels = l->level;
    log_set_common((const struct log_field[]){ log_text("node", settings->name) }, 1);
    (void)setenv("POMONA_NODE", settings->name, 1); /* its runners say it, too */
    return s;
}

/* clang-format off */
int cmd_serve(struct app *app, int argc, char **argv)
{
    struct serve_options options = { .drain_s = DRAIN_S };
    const struct option_row rows[] = {
        { "config", 'c', "FILE", "the cluster: config/cluster_nodes.json", OPTION_TEXT, &options.config, 0, 0 },
        { "node", 'n', "NAME", "which of its nodes this is (default: this machine's name)", OPTION_TEXT, &options.node, 0, 0 },
        { "cluster", 0, "NAME", "join or begin that cluster, without a file", OPTION_TEXT, &options.cluster, 0, 0 },
        { "cluster-key", 0, "FILE", "its key (POMONA_CLUSTER_KEY; default: what 'keys cluster' made)", OPTION_TEXT, &options.cluster_key, 0, 0 },
        { "join", 0, "HOST:PORT", "a node of it; several with commas", OPTION_TEXT, &options.join, 0, 0 },
        { "discovery", 0, "WAYS", "how peers are found: beacon, mdns, seeds, none (default: the file's, else all)", OPTION_TEXT, &options.discovery, 0, 0 },
        { "host", 0, "ADDR", "with --cluster: where peers reach this node (default: the first interface's)", OPTION_TEXT, &options.host, 0, 0 },
        { "port", 0, "N", "with --cluster: of the control channel (default 52416)", OPTION_U32, &options.port, 1, UINT16_MAX },
        { "model", 'm', "PATH", "serve this model alone, a file or a name of the store", OPTION_TEXT, &options.model, 0, 0 },
        { "listen", 'l', "ADDR:PORT", "address of the API (default: the node's, else 127.0.0.1:52415)", OPTION_TEXT, &options.listen, 0, 0 },
        { "gateway-config", 0, "FILE", "how the API is guarded (default: api_gateway.yaml in the folder of settings, if there)", OPTION_TEXT, &options.gateway_config, 0, 0 },
        { "memory-gb", 0, "X", "GiB for models (default: the file's, else 3/4 of the machine)", OPTION_REAL, &options.memory_gb, 0.001, 1048576 },
        { "threads", 't', "N", "threads of each runner (default: every core)", OPTION_U32, &options.threads, 1, CONFIG_THREADS_MAX },
        { "engine", 0, "NAME", "what computes in this node's runners: cpu, or mlx, the GPU of a Mac (default cpu)", OPTION_TEXT, &options.engine, 0, 0 },
        { "kernels", 0, "NAME", "kernels of the runners (default: the best here)", OPTION_TEXT, &options.kernels, 0, 0 },
        { "kv", 0, "FORMAT", "how instances placed from here keep keys and values: f16, q8_0 (default f16)", OPTION_TEXT, &options.kv, 0, 0 },
        { "activations", 0, "BITS", "of activations in instances placed from here: 16, or 8, which is faster (default 16)", OPTION_U32, &options.activations, 1, 32 },
        { "no-measure", 0, NULL, "do not measure how fast this machine is while it is idle", OPTION_FLAG, &options.is_not_measured, 0, 0 },
        { "drain", 0, "SECONDS", "that running answers have when it is to end (default 5)", OPTION_U32, &options.drain_s, 0, DRAIN_MAX_S },
        { "dev", 0, NULL, "for developers: start anew when the configuration or the program changes, and log all", OPTION_FLAG, &options.is_dev, 0, 0 },
        OPTION_LOG_LEVEL(&options.logging),
        OPTION_LOG_FORMAT(&options.logging),
        OPTION_DATA(app),
    };
    static const char *const examples[] = {
        "--model ~/models/SmolLM2-135M-Instruct.Q4_1.gguf",
        "--config config/cluster_nodes.json --node studio-1",
        "--cluster home",
        NULL
    };
    const struct usage usage = {
        .arguments = "",
        .about = "Run a node: answer the API, and hold the shards of models that are placed here.\n"
                 "Ctrl-C lets running answers end, for a few seconds; twice, ends at once.",
        .rows = rows,
        .n_rows = ARRAY_LEN(rows),
        .examples = examples,
    };
    /* clang-format on */
    const char *args[OPTIONS_ARGS_MAX];
    struct node_settings settings = { 0 };
    struct err err = { 0 };
    int exit_status;

    if (!options_parse(app, &usage, argc, argv, args, &exit_status))
        return exit_status;
    if (options.model && (options.config || options.cluster))
        return app_wrong_use(app,
                             "--model serves one machine alone; leave out --config and --cluster");
    if (options.config && options.cluster)
        return app_wrong_use(app, "--config names the cluster; leave out --cluster");
    if (options.join && !options.config && !options.cluster)
        return app_wrong_use(app, "--join needs --cluster NAME");
    if (make_settings(app, &options, &settings, &err) != ST_OK ||
        begin_log(&options, &settings, &err) != ST_OK)
        return app_fail(app, &err);
    return run(app, &settings, argc, argv);
}
