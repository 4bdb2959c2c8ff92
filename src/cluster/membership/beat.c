/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/beat.c - signs of life, and what the instances driven here are doing. */
#include <string.h>

#include "base/clock.h"
#include "cluster/cluster_priv.h"
#include "cluster/membership/watch.h"

struct load_list {
    Wire__InstanceLoad loads[INSTANCES_MAX];
    Wire__ShardLoad shards[INSTANCES_MAX];
    Wire__InstanceLoad *list[INSTANCES_MAX];
    size_t n;
};

static bool is_driven_by(const struct instance *in, const char *node)
{
    const struct plan *plan = &in->view.plan;

    return strcmp(plan->shards[plan->n_shards - 1].node, node) == 0;
}

static void fill_loads(const struct cluster *cluster, struct load_list *l)
{
    l->n = 0;
    for (struct instance *in = cluster->instances; in && l->n < INSTANCES_MAX; in = in->next) {
        if (in->view.state != INSTANCE_READY || !is_driven_by(in, cluster->self->info.name))
            continue;
        wire__shard_load__init(&l->shards[l->n]);
        l->shards[l->n].n_active = in->view.view.n_active;
        l->shards[l->n].n_waiting = in->view.view.n_waiting;
        l->shards[l->n].kv_tokens_used = in->view.kv_tokens_used;
        l->shards[l->n].kv_tokens_cached = in->view.kv_tokens_cached;
        l->shards[l->n].n_generated_tokens = in->view.n_generated_tokens;
        l->shards[l->n].step_seconds = in->view.step_seconds;
        l->shards[l->n].wait_seconds = in->view.wait_seconds;
        l->shards[l->n].n_steps = in->view.n_steps;
        l->shards[l->n].n_preempted = in->view.n_preempted;
        l->shards[l->n].n_alone_tokens = in->view.n_alone_tokens;
        l->shards[l->n].alone_seconds = in->view.alone_seconds;
        wire__instance_load__init(&l->loads[l->n]);
        l->loads[l->n].instance_id = in->view.view.id;
        l->loads[l->n].load = &l->shards[l->n];
        l->list[l->n] = &l->loads[l->n];
        l->n++;
    }
}

static void beat_send(struct link *link, struct load_list *loads, uint64_t now_ns)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Beat beat = WIRE__BEAT__INIT;

    link->beat_sequence++;
    link->beat_sent_ns = now_ns;
    beat.sequence = link->beat_sequence;
    beat.loads = loads->list;
    beat.n_loads = loads->n;
    beat.is_draining = link->cluster->self->info.is_draining;
    beat.drained_by = link->cluster->self->info.drained_by;
    message.body_case = WIRE__NODE_MESSAGE__BODY_BEAT;
    message.beat = &beat;
    link_send(link, &message);
}

/* A link that is not up in time. */
static struct link *find_overdue(const struct cluster *cluster, uint64_t now_ns)
{
    for (struct link *l = cluster->links; l; l = l->next)
        if (!l->is_up && now_ns > l->hello_until_ns)
            return l;
    return NULL;
}

void beats_send(struct cluster *cluster, uint64_t now_ns)
{
    struct load_list loads;

    fill_loads(cluster, &loads);
    for (struct link *l = cluster->links; l; l = l->next)
        if (l->is_up)
            beat_send(l, &loads, now_ns);
}

void beats_notice_stall(struct cluster *cluster, uint64_t now_ns)
{
    const uint64_t late = cluster->ticked_ns ? now_ns - cluster->ticked_ns : 0;

    if (late <= 2 * BEAT_EVERY_MS * NS_PER_MS)
        return;
    for (struct link *l = cluster->links; l; l = l->next)
        l->heard_ns += late;
    cluster->ticked_ns = now_ns;
}

void beats_tick(struct cluster *cluster, uint64_t now_ns)
{
    struct link *overdue;

    members_judge(cluster, now_ns);
    cluster->ticked_ns = now_ns;
    while ((overdue = find_overdue(cluster, now_ns)) != NULL)
        link_lose(overdue, "it did not say who it is");
    beats_send(cluster, now_ns);
    links_call(cluster);
    discovery_tick(cluster, now_ns);
    watch_tick(cluster, now_ns);
}

static void take_load(struct link *link, const Wire__InstanceLoad *wire)
{
    struct instance *in = instance_find(link->cluster, wire->instance_id);

    if (!in || !wire->load || !is_driven_by(in, link->member->info.name))
        return;
    in->view.view.n_active = wire->load->n_active;
    in->view.view.n_waiting = wire->load->n_waiting;
    in->view.kv_tokens_used = wire->load->kv_tokens_used;
    in->view.kv_tokens_cached = wire->load->kv_tokens_cached;
    in->view.n_generated_tokens = wire->load->n_generated_tokens;
    in->view.step_seconds = wire->load->step_seconds;
    in->view.wait_seconds = wire->load->wait_seconds;
    in->view.n_steps = wire->load->n_steps;
    in->view.n_preempted = wire->load->n_preempted;
    in->view.n_alone_tokens = wire->load->n_alone_tokens;
    in->view.alone_seconds = wire->load->alone_seconds;
}

void beat_receive(struct link *link, const Wire__Beat *beat)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__BeatEcho echo = WIRE__BEAT_ECHO__INIT;

    member_drains(link->member, beat->is_draining != 0, beat->drained_by);
    for (size_t i = 0; i < beat->n_loads; i++)
        take_load(link, beat->loads[i]);
    if (beat->n_loads > 0)
        cluster_changed(link->cluster);
    echo.sequence = beat->sequence;
    message.body_case = WIRE__NODE_MESSAGE__BODY_ECHO;
    message.echo = &echo;
    link_send(link, &message);
}

void echo_receive(struct link *link, const Wire__BeatEcho *echo)
{
    if (echo->sequence == link->beat_sequence)
        link->member->info.rtt_ms = (double)(clock_ns() - link->beat_sent_ns) / (double)NS_PER_MS;
}
