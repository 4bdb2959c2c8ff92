/* SPDX-License-Identifier: Apache-2.0 */
/* flow/metrics.c - what a request came to is counted, and /metrics answered. */
#include "metrics/metrics.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/process.h"
#include "flow/flow_priv.h"
#include "flow/metrics_each.h"

static double seconds_since(uint64_t from_ns)
{
    return (double)(clock_ns() - from_ns) / (double)NS_PER_S;
}

void flow_count_token(const struct choice *c)
{
    const struct flow *f = c->flow;

    if (c->answer.n == 0)
        metric_observe(METRIC_FIRST_TOKEN, seconds_since(f->begun_ns));
    else if (f->n_choices == 1) /* of several the last token may be another's */
        metric_observe(METRIC_NEXT_TOKEN, seconds_since(f->last_token_ns));
}

void flow_count_end(const struct reply_usage *usage, uint64_t begun_ns)
{
    metric_add(METRIC_PROMPT_TOKENS, 0, usage->prompt_tokens);
    metric_add(METRIC_LOOKED_UP_TOKENS, 0, usage->prompt_tokens);
    metric_add(METRIC_CACHED_TOKENS, 0, usage->cached_tokens);
    metric_add(METRIC_ANSWER_TOKENS, 0, usage->completion_tokens);
    metric_observe(METRIC_WHOLE, seconds_since(begun_ns));
}

void flow_count_finish(enum finish_reason finish)
{
    switch (finish) {
    case FINISH_NONE: break;
    case FINISH_STOP: metric_add(METRIC_FINISHED, 0, 1); break;
    case FINISH_LENGTH: metric_add(METRIC_FINISHED, 1, 1); break;
    case FINISH_TOOL_CALLS: metric_add(METRIC_FINISHED, 2, 1); break;
    case FINISH_CANCELED: metric_add(METRIC_FINISHED, 3, 1); break;
    }
}

void flow_count_failure(int http)
{
    metric_add(METRIC_FAILED, http < 500 ? 0 : http == 503 ? 1 : http == 504 ? 2 : 3, 1);
}

void metrics_resumed(uint64_t after_ns)
{
    metric_observe(METRIC_RESUMED, (double)after_ns / (double)NS_PER_S);
}

void metrics_failed_over(bool has_resumed)
{
    metric_add(METRIC_FAILOVERS, has_resumed ? 0 : 1, 1);
}

void metrics_lost(enum status why)
{
    enum { PEER, STUCK, ORDERED, OTHER };
    unsigned reason = OTHER;

    if (why == ST_PEER)
        reason = PEER;
    else if (why == ST_DEADLINE)
        reason = STUCK;
    else if (why == ST_CANCELED)
        reason = ORDERED;
    metric_add(METRIC_LOST, reason, 1);
}

static void take_nodes(const struct service *service)
{
    struct cluster_member *members = calloc(NODES_MAX, sizeof(*members));
    size_t n = members ? cluster_members(service->cluster, members, NODES_MAX) : 0, n_alive = 0;
    struct cluster_leadership leadership;

    for (size_t i = 0; i < n && i < NODES_MAX; i++)
        n_alive += members[i].is_alive;
    free(members);
    cluster_leadership(service->cluster, &leadership);
    metric_set(METRIC_NODES, (double)n_alive);
    metric_set(METRIC_KNOWN, (double)n);
    metric_set(METRIC_LEADS, leadership.is_local ? 1 : 0);
    metric_set(METRIC_EPOCH, (double)leadership.epoch);
}

static bool has_ready(const struct cluster_instance *instances, size_t n, const char *model)
{
    for (size_t i = 0; i < n; i++)
        if (instances[i].view.is_ready && strcmp(instances[i].view.model, model) == 0)
            return true;
    return false;
}

static void take_wanted(const struct service *service, const struct cluster_instance *instances,
                        size_t n_instances)
{
    struct cluster_wanted *wanted = calloc(WANTED_MAX, sizeof(*wanted));
    const size_t n = wanted ? cluster_wanted(service->cluster, wanted, WANTED_MAX) : 0;
    size_t n_models = 0, n_missing = 0;

    for (size_t i = 0; i < n; i++) {
        n_models += wanted[i].n_copies > 0;
        n_missing += wanted[i].n_copies > 0 && !has_ready(instances, n_instances, wanted[i].model);
    }
    free(wanted);
    metric_set(METRIC_WANTED, (double)n_models);
    metric_set(METRIC_UNPLACED, (double)n_missing);
}

static void take_process(const struct service *service)
{
    struct process_usage usage;

    process_usage(&usage);
    metric_set(METRIC_START, (double)(clock_unix_s() - (int64_t)seconds_since(service->begun_ns)));
    metric_set(METRIC_CPU, usage.cpu_seconds);
    metric_set(METRIC_RESIDENT, (double)usage.resident_bytes);
    metric_set(METRIC_FDS, (double)usage.n_open_fds);
    metric_set(METRIC_MAX_FDS, (double)usage.n_max_fds);
}

/* What the cluster told this node; no instance is asked. */
static void take_gauges(struct service *service)
{
    struct cluster_instance *instances;
    const size_t n = service_instances(service, &instances);
    uint64_t n_running = 0, n_waiting = 0, n_used = 0, n_tokens = 0, n_ready = 0;

    for (size_t i = 0; i < n; i++) {
        if (!instances[i].view.is_ready)
            continue;
        n_ready++;
        n_running += instances[i].view.n_active;
        n_waiting += instances[i].view.n_waiting;
        n_used += instances[i].kv_tokens_used;
        n_tokens += instances[i].plan.kv_tokens;
    }
    take_nodes(service);
    take_wanted(service, instances, n);
    take_process(service);
    free(instances);
    metric_set(METRIC_RUNNING, (double)n_running);
    metric_set(METRIC_WAITING, (double)n_waiting);
    metric_set(METRIC_KV_USED, n_tokens > 0 ? (double)n_used / (double)n_tokens : 0);
    metric_set(METRIC_INSTANCES, (double)n_ready);
    metric_set(METRIC_FLOWS, (double)(service->n_flows + pools_n_running(service->pools)));
    metric_set(METRIC_QUEUE, service->admission.n_requests);
    metric_set(METRIC_QUEUE_BATCH, service->admission.n_batch_requests);
    metric_set(METRIC_QUEUE_TOKENS, (double)service->admission.n_tokens);
    metric_set(METRIC_QUEUE_MAX, reload_settings(service->reload)->queue.requests);
    metric_set(METRIC_QUEUE_SPEED, service->admission.tokens_per_s);
}

void metrics_show(void *arg, struct exchange *x)
{
    struct service *service = arg;
    struct metrics_source sources[N_METRIC_GROUPS];
    struct metrics_taken taken;
    struct buf body = { 0 };

    take_gauges(service);
    metrics_take(service, &taken);
    metric_set(METRIC_RUNNERS_STARTED, (double)taken.n_runners_started);
    metric_set(METRIC_RUNNERS_LOST, (double)taken.n_runners_lost);
    metrics_sources(&taken, sources);
    metrics_render(sources, &body);
    metrics_taken_release(&taken);
    exchange_reply(x, 200, "text/plain; version=0.0.4; charset=utf-8", &body);
}
