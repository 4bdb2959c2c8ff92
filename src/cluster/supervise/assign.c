/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/assign.c - what a runner is told to be, as a message. */
#include <string.h>

#include "cluster/supervise/runner_priv.h"
#include "contract/runner.pb-c.h"

const char *assign_path_of(const struct cluster *cluster, const char *model)
{
    for (size_t i = 0; i < cluster->self->n_models; i++)
        if (strcmp(cluster->self->models[i].name, model) == 0)
            return cluster->paths[i];
    return NULL;
}

/* What a ShardAssign says of its file points in here. */
struct file_message {
    Wire__Endpoint endpoints[CLUSTER_SOURCES_MAX];
    Wire__Endpoint *wholes[CLUSTER_SOURCES_MAX], *parts[CLUSTER_SOURCES_MAX];
    char *hosts[CLUSTER_SOURCES_MAX][HOSTS_MAX];
};

static void assign_file(Wire__ShardAssign *assign, const struct cluster_file *file,
                        struct file_message *m)
{
    assign->model_path = (char *)file->path;
    assign->is_fetched = file->is_fetched;
    assign->sources = m->wholes;
    assign->part_sources = m->parts;
    for (size_t i = 0; i < file->n_sources; i++) {
        wire__endpoint__init(&m->endpoints[i]);
        m->endpoints[i].host = (char *)file->sources[i].host;
        m->endpoints[i].port = file->sources[i].port;
        wire_of_hosts(&file->sources[i].hosts, m->hosts[i], &m->endpoints[i]);
        if (file->sources[i].is_part)
            m->parts[assign->n_part_sources++] = &m->endpoints[i];
        else
            m->wholes[assign->n_sources++] = &m->endpoints[i];
    }
    assign->fetch_key.data = (uint8_t *)file->key;
    assign->fetch_key.len = file->key && file->is_fetched ? SHARE_KEY_BYTES : 0;
    assign->model_root.data = (uint8_t *)file->root;
    assign->model_root.len = file->has_root ? sizeof(file->root) : 0;
    if (!file->is_fetched)
        return;
    assign->fetch_begin = file->begin;
    assign->origin = (char *)file->origin;
    assign->hub_endpoint = (char *)file->hub_endpoint;
    assign->hub_token = (char *)file->hub_token;
}

/* What a ShardAssign says of teams points in here. */
struct team_message {
    uint32_t sizes[PLAN_SHARDS_MAX], shares[PLAN_SHARDS_MAX];
};

static void assign_teams(Wire__ShardAssign *assign, const struct plan *plan, uint32_t rank,
                         struct team_message *m)
{
    size_t n_teams = 0, mine = 0;

    if (!plan_has_teams(plan))
        return;
    for (size_t i = 0; i < plan->n_shards; i++) {
        if (i == 0 || !plan_is_same_team(plan, i))
            m->sizes[n_teams++] = 0;
        m->sizes[n_teams - 1]++;
        if (i == rank)
            mine = n_teams - 1;
    }
    assign->team_sizes = m->sizes;
    assign->n_team_sizes = n_teams;
    for (size_t i = 0, team = 0, k = 0; i < plan->n_shards; i++, k++) {
        if (k == m->sizes[team]) {
            team++;
            k = 0;
        }
        if (team == mine && plan->shards[i].share > 0)
            m->shares[assign->n_shares++] = plan->shards[i].share;
    }
    assign->shares = m->shares;
}

void assign_send(struct runner *r, const struct instance *in, const uint8_t *digest,
                 const struct cluster_file *file)
{
    struct file_message file_message;
    struct team_message team_message;
    const struct cluster *cluster = r->cluster;
    const struct plan *plan = &in->view.plan;
    const struct driver_address *driver = &in->view.view.driver;
    Wire__RunnerMessage message = WIRE__RUNNER_MESSAGE__INIT;
    Wire__ShardAssign assign = WIRE__SHARD_ASSIGN__INIT;

    assign.instance_id = r->instance_id;
    assign.key.data = (uint8_t *)driver->key;
    assign.key.len = sizeof(driver->key);
    assign_file(&assign, file, &file_message);
    if (driver->is_secured)
        assign.data_key =
            (ProtobufCBinaryData){ sizeof(driver->data_key), (uint8_t *)driver->data_key };
    assign.model_name = (char *)plan->model;
    assign.model_digest.data = (uint8_t *)digest;
    assign.model_digest.len = MODEL_DIGEST_BYTES;
    assign.rank = r->rank;
    assign.n_ranks = (uint32_t)plan->n_shards;
    assign.first_layer = plan->shards[r->rank].first_layer;
    assign.n_layers = plan->shards[r->rank].n_layers;
    assign_teams(&assign, plan, r->rank, &team_message);
    if (r->rank + 1 == plan->n_shards && plan->draft[0])
        assign.draft_path = (char *)assign_path_of(cluster, plan->draft);
    assign.context_tokens = plan->context_tokens;
    assign.kv_tokens = plan->kv_tokens;
    assign.kv_format = (uint32_t)plan->kv_format;
    assign.activations = (uint32_t)plan->activations;
    assign.sums = (uint32_t)plan->sums;
    assign.n_threads = cluster->n_threads;
    assign.transport = (uint32_t)plan->transport;
    assign.listen_host =
        (char *)(cluster->hears_everywhere ? address_any() : cluster->self->info.host);
    if (cluster->engine)
        assign.engine = cluster->engine;
    if (cluster->kernels)
        assign.kernels = cluster->kernels;
    message.body_case = WIRE__RUNNER_MESSAGE__BODY_ASSIGN;
    message.assign = &assign;
    channel_send(r->channel, &message.base);
}
