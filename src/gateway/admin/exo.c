/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/exo.c - the cluster as exo's tools want to see it. */
#include "gateway/admin/exo.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/clock.h"
#include "gateway/admin/exo_request.h"

enum { RUNNER_MAX = EXO_ID_MAX + 24, TIME_MAX = 32 };

static json_t *bytes(uint64_t n)
{
    return json_pack("{s:I}", "inBytes", (json_int_t)n);
}

json_t *exo_model_card(const struct model_info *m)
{
    return json_pack("{s:s,s:o,s:i,s:i,s:b,s:[s]}", "modelId", m->name, "storageSize",
                     bytes(m->file_bytes), "nLayers", (int)m->n_layer, "hiddenSize",
                     (int)m->n_hidden, "supportsTensor", 0, "tasks", "TextGeneration");
}

static void runner_id(const char *id, size_t rank, char ret[RUNNER_MAX])
{
    (void)snprintf(ret, RUNNER_MAX, "%.*s-%zu", EXO_ID_MAX, id, rank);
}

static json_t *shard(const struct plan *plan, size_t rank, const struct model_info *model)
{
    const struct plan_shard *s = &plan->shards[rank];

    return json_pack("{s:{s:o,s:i,s:i,s:i,s:i,s:i}}", "PipelineShardMetadata", "modelCard",
                     exo_model_card(model), "deviceRank", (int)rank, "worldSize",
                     (int)plan->n_shards, "startLayer", (int)s->first_layer, "endLayer",
                     (int)(s->first_layer + s->n_layers), "nLayers", (int)model->n_layer);
}

json_t *exo_instance(const struct plan *plan, const char *id, const struct model_info *model)
{
    json_t *shards = json_object(), *runners = json_object();

    for (size_t i = 0; i < plan->n_shards; i++) {
        char runner[RUNNER_MAX];

        runner_id(id, i, runner);
        (void)json_object_set_new(shards, runner, shard(plan, i, model));
        (void)json_object_set_new(runners, plan->shards[i].node, json_string(runner));
    }
    return json_pack("{s:{s:s,s:{s:s,s:o,s:o},s:[]}}", "MlxRingInstance", "instanceId", id,
                     "shardAssignments", "modelId", plan->model, "runnerToShard", shards,
                     "nodeToRunner", runners, "hosts");
}

static json_t *memory_deltas(const struct plan *plan)
{
    json_t *deltas = json_object();

    for (size_t i = 0; i < plan->n_shards; i++)
        (void)json_object_set_new(
            deltas, plan->shards[i].node,
            json_integer((json_int_t)(plan->shards[i].weight_bytes + plan->shards[i].kv_bytes)));
    return deltas;
}

json_t *exo_preview(const struct plan *plan, const char *id, const struct model_info *model,
                    const char *error)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o}", "model_id", model->name, "sharding", "Pipeline",
                     "instance_meta", "MlxRing", "instance",
                     plan ? exo_instance(plan, id, model) : json_null(), "memory_delta_by_node",
                     plan ? memory_deltas(plan) : json_null(), "error",
                     plan ? json_null() : json_string(error));
}

static const struct model_info *model_of(const struct admin_state *state, const char *name)
{
    for (size_t i = 0; i < state->n_models; i++) {
        if (strcmp(state->models[i].name, name) == 0)
            return &state->models[i];
    }
    return NULL;
}

static json_t *runner_state(const struct cluster_instance *in, size_t rank,
                            const struct model_info *model)
{
    const struct shard_progress *p = &in->shards[rank];
    const uint32_t n = in->plan.shards[rank].n_layers;

    (void)model;
    if (in->view.is_ready)
        return json_pack("{s:{}}", in->view.n_active > 0 ? "RunnerRunning" : "RunnerReady");
    if (p->stage == STAGE_LOADING)
        return json_pack("{s:{s:i,s:i}}", "RunnerLoading", "layersLoaded",
                         p->total_bytes ? (int)(n * p->done_bytes / p->total_bytes) : 0,
                         "totalLayers", (int)n);
    return json_pack("{s:{}}", p->stage == STAGE_READY ? "RunnerLoaded" : "RunnerConnecting");
}

static void add_instances(const struct admin_state *state, exo_name_fn *name, void *arg,
                          json_t *instances, json_t *runners)
{
    for (size_t i = 0; i < state->n_instances; i++) {
        const struct cluster_instance *in = &state->instances[i];
        const struct model_info *known = model_of(state, in->view.model);
        struct model_info model = { 0 };
        const char *id = name(arg, in->view.id);

        memcpy(model.name, in->view.model, sizeof(model.name));
        if (known)
            model = *known;
        (void)json_object_set_new(instances, id, exo_instance(&in->plan, id, &model));
        for (size_t k = 0; k < in->plan.n_shards; k++) {
            char runner[RUNNER_MAX];

            runner_id(id, k, runner);
            (void)json_object_set_new(runners, runner, runner_state(in, k, &model));
        }
    }
}

static json_t *memory(const struct cluster_member *m)
{
    const uint64_t n_free =
        m->memory_bytes > m->memory_used_bytes ? m->memory_bytes - m->memory_used_bytes : 0;

    return json_pack("{s:o,s:o,s:o,s:o}", "ramTotal", bytes(m->memory_bytes), "ramAvailable",
                     bytes(n_free), "swapTotal", bytes(0), "swapAvailable", bytes(0));
}

static void now(char ret[TIME_MAX])
{
    const time_t at = (time_t)clock_unix_s();
    struct tm tm;

    (void)gmtime_r(&at, &tm);
    (void)strftime(ret, TIME_MAX, "%Y-%m-%dT%H:%M:%SZ", &tm);
}

static void add_nodes(const struct admin_state *state, json_t *root)
{
    json_t *nodes = json_array(), *names = json_object(), *memories = json_object();
    json_t *seen = json_object();
    char when[TIME_MAX];

    now(when);
    for (size_t i = 0; i < state->n_members; i++) {
        const struct cluster_member *m = &state->members[i];

        if (!m->is_alive)
            continue;
        (void)json_array_append_new(nodes, json_string(m->name));
        (void)json_object_set_new(
            names, m->name,
            json_pack("{s:s,s:s}", "friendlyName", m->name, "exoVersion", m->version));
        (void)json_object_set_new(memories, m->name, memory(m));
        (void)json_object_set_new(seen, m->name, json_string(when));
    }
    (void)json_object_set_new(root, "nodeIdentities", names);
    (void)json_object_set_new(root, "nodeMemory", memories);
    (void)json_object_set_new(root, "lastSeen", seen);
    (void)json_object_set_new(root, "topology",
                              json_pack("{s:o,s:{}}", "nodes", nodes, "connections"));
}

json_t *exo_state(const struct admin_state *state, exo_name_fn *name, void *arg)
{
    static const char *const empty[] = { "downloads",    "tasks",       "nodeDisk",
                                         "nodeSystem",   "nodeNetwork", "nodeThunderbolt",
                                         "instanceLinks" };
    json_t *instances = json_object(), *runners = json_object();
    json_t *root = json_pack("{s:o,s:o,s:i}", "instances", instances, "runners", runners,
                             "lastEventAppliedIdx", 0);

    if (!root)
        return NULL;
    add_instances(state, name, arg, instances, runners);
    add_nodes(state, root);
    for (size_t i = 0; i < sizeof(empty) / sizeof(empty[0]); i++)
        (void)json_object_set_new(root, empty[i], json_object());
    return root;
}

const json_t *exo_walk(const json_t *at, const char *path)
{
    while (at && *path) {
        const size_t n = strcspn(path, "/");

        if (n > 0 && json_is_array(at))
            at = json_array_get(at, (size_t)strtoul(path, NULL, 10));
        else if (n > 0)
            at = json_object_getn(at, path, n);
        path += n + (path[n] == '/');
    }
    return at;
}
