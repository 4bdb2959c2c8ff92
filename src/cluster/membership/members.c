/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/members.c - the nodes of the cluster, and the models each holds. */
#include <stdlib.h>
#include <string.h>

#include "cluster/cluster_priv.h"

const struct member *member_look_up(const struct cluster *cluster, const char *name)
{
    for (size_t i = 0; i < cluster->n_members; i++)
        if (strcmp(cluster->members[i].info.name, name) == 0)
            return &cluster->members[i];
    return NULL;
}

struct member *member_find(struct cluster *cluster, const char *name)
{
    return (struct member *)member_look_up(cluster, name);
}

struct member *member_by_id(struct cluster *cluster, const char *id)
{
    for (size_t i = 0; i < cluster->n_members; i++)
        if (strcmp(cluster->members[i].info.id, id) == 0)
            return &cluster->members[i];
    return NULL;
}

static bool holds_shard(const struct cluster *cluster, const char *node)
{
    for (const struct instance *in = cluster->instances; in; in = in->next)
        if (instance_rank_of(in, node) >= 0)
            return true;
    return false;
}

/* A member that joined, left and is part of nothing any more. */
static struct member *forgettable(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_members; i++) {
        struct member *m = &cluster->members[i];

        if (!m->is_configured && !m->info.is_local && !m->info.is_alive && !m->link &&
            !holds_shard(cluster, m->info.name))
            return m;
    }
    return NULL;
}

static bool comes_before(const struct member *a, const struct member *b)
{
    if (a->is_configured != b->is_configured)
        return a->is_configured;
    return a->is_configured ? a < b : strcmp(a->info.name, b->info.name) < 0;
}

void ring_arrange(struct cluster *cluster)
{
    for (size_t i = 0; i < cluster->n_members; i++) {
        struct member *m = &cluster->members[i];
        size_t at = i;

        for (; at > 0 && comes_before(m, cluster->ring[at - 1]); at--)
            cluster->ring[at] = cluster->ring[at - 1];
        cluster->ring[at] = m;
    }
}

enum status member_add(struct cluster *cluster, const char *name, struct member **ret_member,
                       struct err *err)
{
    struct member *m =
        cluster->n_members < NODES_MAX ? &cluster->members[cluster->n_members] : NULL;

    if (m)
        cluster->n_members++;
    else
        m = forgettable(cluster);
    if (!m)
        return err_set(err, ST_FULL, "the cluster has %d nodes, as many as it can", NODES_MAX);
    member_take_models(m, NULL, 0, NULL, 0);
    free(m->topology.told);
    memset(m, 0, sizeof(*m));
    memcpy(m->info.name, name, strlen(name) + 1);
    m->backoff_ms = BACKOFF_FIRST_MS;
    ring_arrange(cluster);
    *ret_member = m;
    return ST_OK;
}

bool member_takes_part(const struct member *member)
{
    return member->info.is_alive &&
           (member->info.is_local || (member->link && member->link->is_up));
}

bool member_is_in_reach(const struct member *member)
{
    return member->info.is_alive && !member->is_cut_off;
}

/* This one always is, so there is one. */
struct member *member_first(struct cluster *cluster)
{
    struct member *lowest = cluster->self;

    for (size_t i = 0; i < cluster->n_members; i++) {
        struct member *m = &cluster->members[i];

        if (member_is_in_reach(m) && strcmp(m->info.name, lowest->info.name) < 0)
            lowest = m;
    }
    return lowest;
}

const struct model_info *member_model(const struct member *member, const char *model)
{
    for (size_t i = 0; i < member->n_models; i++)
        if (strcmp(member->models[i].name, model) == 0)
            return &member->models[i];
    return NULL;
}

void member_take_models(struct member *member, struct model_info *models, size_t n_models,
                        struct model_info *parts, size_t n_parts)
{
    free(member->models);
    free(member->parts);
    member->models = models;
    member->n_models = n_models;
    member->parts = parts;
    member->n_parts = n_parts;
}

static const struct model_info *member_part(const struct member *member, const char *model)
{
    for (size_t i = 0; i < member->n_parts; i++)
        if (strcmp(member->parts[i].name, model) == 0)
            return &member->parts[i];
    return NULL;
}

const struct model_info *model_reference(const struct cluster *cluster, const char *model)
{
    const struct model_info *found = member_model(cluster->self, model);

    for (size_t i = 0; !found && i < cluster->n_members; i++)
        if (cluster->ring[i]->info.is_alive)
            found = member_model(cluster->ring[i], model);
    for (size_t i = 0; !found && i < cluster->n_members; i++)
        if (cluster->ring[i]->info.is_alive)
            found = member_part(cluster->ring[i], model);
    return found;
}

/* Its models, then those it has a part of. */
static const struct model_info *told_by(const struct member *m, size_t i)
{
    return i < m->n_models ? &m->models[i] : &m->parts[i - m->n_models];
}

/* An alive node before member i, or that one before its k-th model, has one of the same name. */
static bool was_told(const struct cluster *cluster, size_t i, size_t k, const char *name)
{
    for (size_t j = 0; j <= i; j++) {
        const struct member *m = cluster->ring[j];
        const size_t n = j < i ? m->n_models + m->n_parts : k;

        for (size_t q = 0; q < n && m->info.is_alive; q++)
            if (strcmp(told_by(m, q)->name, name) == 0)
                return true;
    }
    return false;
}

size_t cluster_models(const struct cluster *cluster, struct model_info *ret_models, size_t capacity)
{
    size_t n = 0;

    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = cluster->ring[i];

        for (size_t k = 0; k < m->n_models + m->n_parts && m->info.is_alive; k++) {
            const char *name = told_by(m, k)->name;

            if (was_told(cluster, i, k, name))
                continue;
            if (n < capacity)
                ret_models[n] = *model_reference(cluster, name);
            n++;
        }
    }
    return n;
}

/* What the shards planned for a node will use, placed or being placed. */
static uint64_t memory_used(const struct cluster *cluster, const char *node)
{
    uint64_t used = 0;

    for (const struct instance *in = cluster->instances; in; in = in->next) {
        const int rank = instance_rank_of(in, node);

        if (rank >= 0)
            used += in->view.plan.shards[rank].weight_bytes + in->view.plan.shards[rank].kv_bytes;
    }
    return used;
}

void cluster_nodes(const struct cluster *cluster, const char *model, struct node_set *ret_nodes)
{
    const struct model_info *reference = model_reference(cluster, model);
    uint8_t root[MODEL_ROOT_BYTES];
    bool has_root = false;

    if (reference && file_root(cluster, model, reference->digest, &has_root, root, NULL) != ST_OK)
        has_root = false; /* placing will say so */
    memset(ret_nodes, 0, sizeof(*ret_nodes));
    for (size_t i = 0; i < cluster->n_members; i++) {
        const struct member *m = cluster->ring[i];
        struct node_view *node = &ret_nodes->nodes[ret_nodes->n_nodes++];

        memcpy(node->name, m->info.name, sizeof(node->name));
        node->is_alive = member_takes_part(m);
        node->is_local = m->info.is_local;
        node->is_draining = m->info.is_draining;
        node->holds_model = reference && file_is_held(m, reference->digest, has_root ? root : NULL);
        node->step_version = m->info.step_version;
        node->may_fetch = reference && file_may_fetch(cluster, m, reference->digest);
        node->ring_position = (uint32_t)i;
        node->memory_bytes = m->info.memory_bytes;
        node->memory_used_bytes = memory_used(cluster, m->info.name);
        node->speed = m->info.speed;
        node->machine = m->topology.machine;
    }
}

size_t cluster_members(const struct cluster *cluster, struct cluster_member *ret_members,
                       size_t capacity)
{
    for (size_t i = 0; i < cluster->n_members && i < capacity; i++) {
        ret_members[i] = cluster->ring[i]->info;
        ret_members[i].has_datagrams |= ret_members[i].is_local;
        ret_members[i].is_connected = member_takes_part(cluster->ring[i]);
        ret_members[i].memory_used_bytes = memory_used(cluster, ret_members[i].name);
    }
    return cluster->n_members;
}
