/* SPDX-License-Identifier: Apache-2.0 */
/* flow/metrics_each.c - what /metrics shows of peers, links, instances, runners and energy. */
#include "flow/metrics_each.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/process.h"
#include "base/size.h"
#include "flow/planning.h"

enum { RUNNERS_MAX = METRIC_EACH_MAX };

static void take_peers(struct service *service, struct metrics_taken *ret)
{
    size_t n;

    ret->peers = calloc(NODES_MAX, sizeof(*ret->peers));
    n = ret->peers ? cluster_members(service->cluster, ret->peers, NODES_MAX) : 0;
    n = size_min(n, NODES_MAX);
    for (size_t i = 0; i < n; i++)
        if (!ret->peers[i].is_local)
            ret->peers[ret->n_peers++] = ret->peers[i];
}

static void take_links(struct service *service, struct metrics_taken *ret)
{
    const size_t n = cluster_links(service->cluster, &ret->links);

    for (size_t i = 0; i < n; i++)
        if (strcmp(ret->links[i].from, service->node_name) == 0)
            ret->links[ret->n_links++] = ret->links[i];
}

/* The model as the cluster knows it.  False: it is gone. */
static bool find_model(const struct model_info *models, size_t n, const char *name,
                       const struct model_info **ret)
{
    for (size_t i = 0; i < n; i++) {
        *ret = &models[i];
        if (strcmp(models[i].name, name) == 0)
            return true;
    }
    return false;
}

static void predict(struct service *service, struct metrics_taken *ret)
{
    struct model_info *models = calloc(MODELS_MAX, sizeof(*models));
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    const size_t n = models ? cluster_models(service->cluster, models, MODELS_MAX) : 0;

    for (size_t i = 0; i < ret->n_instances; i++) {
        const struct plan *plan = &ret->instances[i].plan;
        const struct model_info *model;

        ret->predicted[i] = (double)NAN;
        if (!nodes || !find_model(models, size_min(n, MODELS_MAX), plan->model, &model))
            continue;
        cluster_nodes(service->cluster, plan->model, nodes);
        ret->predicted[i] = planning_predict(service->cluster, model, nodes, plan);
    }
    free(models);
    free(nodes);
}

static void take_instances(struct service *service, struct metrics_taken *ret)
{
    const size_t n = service_instances(service, &ret->instances);

    for (size_t i = 0; i < n; i++) {
        const struct plan *plan = &ret->instances[i].plan;

        if (ret->instances[i].view.is_ready &&
            strcmp(plan->shards[plan->n_shards - 1].node, service->node_name) == 0)
            ret->instances[ret->n_instances++] = ret->instances[i];
    }
    ret->predicted = ret->n_instances ? calloc(ret->n_instances, sizeof(*ret->predicted)) : NULL;
    if (ret->predicted)
        predict(service, ret);
}

static void take_runners(struct service *service, struct metrics_taken *ret)
{
    ret->runners = calloc(RUNNERS_MAX, sizeof(*ret->runners));
    ret->ranks = calloc(RUNNERS_MAX, sizeof(*ret->ranks));
    ret->n_runners = cluster_runners(service->cluster, ret->runners,
                                     ret->runners && ret->ranks ? RUNNERS_MAX : 0,
                                     &ret->n_runners_started, &ret->n_runners_lost);
    ret->n_runners = size_min(ret->n_runners, ret->runners && ret->ranks ? RUNNERS_MAX : 0);
    for (size_t i = 0; i < ret->n_runners; i++)
        (void)snprintf(ret->ranks[i], sizeof(ret->ranks[i]), "%u", ret->runners[i].rank);
}

void metrics_take(struct service *service, struct metrics_taken *ret)
{
    *ret = (struct metrics_taken){ .service = service };
    take_peers(service, ret);
    take_links(service, ret);
    take_instances(service, ret);
    take_runners(service, ret);
    energy_read(&service->energy);
}

void metrics_taken_release(struct metrics_taken *taken)
{
    free(taken->peers);
    free(taken->links);
    free(taken->instances);
    free(taken->predicted);
    free(taken->runners);
    free(taken->ranks);
}

static bool each_peer(void *arg, size_t i, const char **ret_labels, double *ret_values)
{
    const struct metrics_taken *t = arg;
    const struct cluster_member *peer = &t->peers[i];

    if (i >= t->n_peers)
        return false;
    ret_labels[0] = peer->name;
    ret_values[METRIC_PEER_ALIVE] = peer->is_alive;
    ret_values[METRIC_PEER_CONNECTED] = peer->is_connected;
    ret_values[METRIC_PEER_DATAGRAMS] = peer->has_datagrams;
    if (peer->rtt_ms > 0)
        ret_values[METRIC_PEER_RTT] = peer->rtt_ms / 1e3;
    return true;
}

static bool each_link(void *arg, size_t i, const char **ret_labels, double *ret_values)
{
    const struct metrics_taken *t = arg;
    const struct cluster_link *link = &t->links[i];

    if (i >= t->n_links)
        return false;
    ret_labels[0] = link->to;
    ret_labels[1] = link->host;
    if (link->bytes_per_s > 0)
        ret_values[METRIC_LINK_LATENCY] = link->latency_s;
    ret_values[METRIC_LINK_SPEED] = link->bytes_per_s;
    ret_values[METRIC_LINK_BEST] = link->is_best;
    ret_values[METRIC_LINK_CUT] = link->is_cut;
    return true;
}

static bool each_instance(void *arg, size_t i, const char **ret_labels, double *ret_values)
{
    const struct metrics_taken *t = arg;
    const struct cluster_instance *in = &t->instances[i];

    if (i >= t->n_instances)
        return false;
    ret_labels[0] = in->view.model;
    ret_labels[1] = in->view.id;
    ret_values[METRIC_INSTANCE_TOKENS] = (double)in->n_generated_tokens;
    ret_values[METRIC_INSTANCE_STEPS] = (double)in->n_steps;
    ret_values[METRIC_INSTANCE_STEP_SECONDS] = in->step_seconds;
    ret_values[METRIC_INSTANCE_WAIT_SECONDS] = in->wait_seconds;
    ret_values[METRIC_INSTANCE_PREEMPTIONS] = (double)in->n_preempted;
    ret_values[METRIC_INSTANCE_RUNNING] = in->view.n_active;
    ret_values[METRIC_INSTANCE_WAITING] = in->view.n_waiting;
    ret_values[METRIC_INSTANCE_KV_HELD] = (double)in->kv_tokens_used;
    ret_values[METRIC_INSTANCE_KV_CACHED] = (double)in->kv_tokens_cached;
    ret_values[METRIC_INSTANCE_KV_ROOM] = (double)in->plan.kv_tokens;
    if (t->predicted)
        ret_values[METRIC_INSTANCE_PREDICTED] = t->predicted[i];
    ret_values[METRIC_INSTANCE_ALONE_TOKENS] = (double)in->n_alone_tokens;
    ret_values[METRIC_INSTANCE_ALONE_SECONDS] = in->alone_seconds;
    return true;
}

static bool each_runner(void *arg, size_t i, const char **ret_labels, double *ret_values)
{
    const struct metrics_taken *t = arg;
    const struct cluster_runner *r = &t->runners[i];
    uint64_t bytes;

    if (i >= t->n_runners)
        return false;
    bytes = process_resident_bytes(r->pid);
    ret_labels[0] = r->model;
    ret_labels[1] = r->instance_id;
    ret_labels[2] = t->ranks[i];
    ret_values[METRIC_RUNNER_STATE] = r->state;
    if (bytes > 0)
        ret_values[METRIC_RUNNER_MEMORY] = (double)bytes;
    ret_values[METRIC_RUNNER_BEATS] = r->n_unanswered;
    return true;
}

static bool each_zone(void *arg, size_t i, const char **ret_labels, double *ret_values)
{
    const struct metrics_taken *t = arg;
    const struct energy *energy = &t->service->energy;

    if (i >= energy->n_zones)
        return false;
    ret_labels[0] = energy->zones[i].name;
    ret_values[METRIC_ENERGY_JOULES] = energy->zones[i].joules;
    return true;
}

void metrics_sources(struct metrics_taken *taken, struct metrics_source *ret_sources)
{
    ret_sources[METRIC_GROUP_UPSTREAM] =
        (struct metrics_source){ pool_count_each, pools_now(taken->service->pools) };
    ret_sources[METRIC_GROUP_PEER] = (struct metrics_source){ each_peer, taken };
    ret_sources[METRIC_GROUP_LINK] = (struct metrics_source){ each_link, taken };
    ret_sources[METRIC_GROUP_INSTANCE] = (struct metrics_source){ each_instance, taken };
    ret_sources[METRIC_GROUP_RUNNER] = (struct metrics_source){ each_runner, taken };
    ret_sources[METRIC_GROUP_ENERGY] = (struct metrics_source){ each_zone, taken };
}
