/* SPDX-License-Identifier: Apache-2.0 */
/* select/select.c - filter the nodes, then score those that are left.
 *
 * To add a filter: a function that says why it leaves a node out, and a row
 * in filters[].  To add a score: a function of 0..1, and a row in scores[]
 * with its weight.
 */
#include "select/select.h"

#include <stdio.h>
#include <string.h>

#include "base/size.h"

enum { REASON_MAX = 96 };

/* NULL where the node passes, else the reason that it does not, which reads
 * on after the node's name. */
typedef const char *filter_fn(const struct node_view *node);

static const char *filter_alive(const struct node_view *node)
{
    return node->is_alive ? NULL : "is not alive";
}

static const char *filter_has_weights(const struct node_view *node)
{
    return node->holds_model || node->may_fetch
               ? NULL
               : "does not hold the model, nor can it fetch it from an alive node";
}

static const char *filter_draining(const struct node_view *node)
{
    return node->is_draining ? "is being drained" : NULL;
}

static filter_fn *const filters[] = {
    filter_alive,
    filter_draining,
    filter_has_weights,
};

/* What all nodes together are, so that a score can be a share of it. */
struct scale {
    uint64_t most_free_bytes;
};

static uint64_t free_bytes(const struct node_view *node)
{
    return node->memory_bytes > node->memory_used_bytes
               ? node->memory_bytes - node->memory_used_bytes
               : 0;
}

/* More room means fewer nodes, and every node less is a hop less for each token. */
static double score_memory(const struct node_view *node, const struct scale *scale)
{
    if (scale->most_free_bytes == 0)
        return 0;
    return (double)free_bytes(node) / (double)scale->most_free_bytes;
}

/* The node that asks saves its clients' tokens a hop. */
static double score_local(const struct node_view *node, const struct scale *scale)
{
    (void)scale;
    return node->is_local ? 1 : 0;
}

/* Reading a file that is here takes seconds, fetching it may take minutes. */
static double score_holds_model(const struct node_view *node, const struct scale *scale)
{
    (void)scale;
    return node->holds_model ? 1 : 0;
}

static const struct {
    double (*score)(const struct node_view *node, const struct scale *scale);
    double weight;
} scores[] = {
    { score_memory, 1.0 },
    { score_local, 0.1 },
    { score_holds_model, 2.0 },
};

static const char *reason_against(const struct node_view *node)
{
    for (size_t i = 0; i < ARRAY_LEN(filters); i++) {
        const char *reason = filters[i](node);

        if (reason)
            return reason;
    }
    return NULL;
}

static void score_all(struct node_set *nodes)
{
    struct scale scale = { 0 };

    for (size_t i = 0; i < nodes->n_nodes; i++)
        if (free_bytes(&nodes->nodes[i]) > scale.most_free_bytes)
            scale.most_free_bytes = free_bytes(&nodes->nodes[i]);
    for (size_t i = 0; i < nodes->n_nodes; i++) {
        nodes->nodes[i].score = 0;
        for (size_t k = 0; k < ARRAY_LEN(scores); k++)
            nodes->nodes[i].score += scores[k].weight * scores[k].score(&nodes->nodes[i], &scale);
    }
}

static const struct node_view *find(const struct node_set *nodes, const char *name)
{
    for (size_t i = 0; i < nodes->n_nodes; i++)
        if (strcmp(nodes->nodes[i].name, name) == 0)
            return &nodes->nodes[i];
    return NULL;
}

/* While a cluster is updated two versions serve together, but no instance is of both: the version whose
 * nodes have the most memory, in a draw the newer. */
static uint32_t version_with_most_memory(const struct node_set *nodes)
{
    uint64_t most_bytes = 0;
    uint32_t best = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++) {
        const uint32_t version = nodes->nodes[i].step_version;
        uint64_t bytes = 0;

        for (size_t k = 0; k < nodes->n_nodes; k++)
            if (nodes->nodes[k].step_version == version)
                bytes += nodes->nodes[k].memory_bytes;
        if (bytes > most_bytes || (bytes == most_bytes && version > best)) {
            most_bytes = bytes;
            best = version;
        }
    }
    return best;
}

static void keep_one_version(struct node_set *nodes)
{
    const uint32_t version = version_with_most_memory(nodes);
    size_t n = 0;

    for (size_t i = 0; i < nodes->n_nodes; i++)
        if (nodes->nodes[i].step_version == version)
            nodes->nodes[n++] = nodes->nodes[i];
    nodes->n_nodes = n;
}

static enum status check_one_version(const struct model_info *model, const struct node_set *nodes,
                                     struct err *err)
{
    for (size_t i = 1; i < nodes->n_nodes; i++)
        if (nodes->nodes[i].step_version != nodes->nodes[0].step_version)
            return err_set(err, ST_UNSUPPORTED,
                           "'%s' cannot be placed as asked: '%.64s' and '%.64s' run versions of "
                           "Pomona whose ranks do not understand one another; update one of them",
                           model->name, nodes->nodes[0].name, nodes->nodes[i].name);
    return ST_OK;
}

static enum status take_named(const struct model_info *model, const struct node_set *all,
                              const struct select_options *options, struct node_set *chosen,
                              struct err *err)
{
    if (options->n_nodes == 0 || options->n_nodes > NODES_MAX)
        return err_set(err, ST_RANGE, "between 1 and %d nodes can be named, not %zu", NODES_MAX,
                       options->n_nodes);
    for (size_t i = 0; i < options->n_nodes; i++) {
        const char *name = options->nodes[i];
        const struct node_view *node = find(all, name);
        const char *reason = node ? reason_against(node) : "is not a node of this cluster";

        if (reason)
            return err_set(err, ST_NOTFOUND, "'%s' cannot be placed as asked: '%.64s' %s",
                           model->name, name, reason);
        if (find(chosen, name))
            return err_set(err, ST_RANGE, "node '%s' is named twice", name);
        chosen->nodes[chosen->n_nodes++] = *node;
    }
    return check_one_version(model, chosen, err);
}

static enum status take_all(const struct model_info *model, const struct node_set *all,
                            struct node_set *chosen, struct err *err)
{
    char reasons[REASON_MAX * 4] = "the cluster has no nodes";
    size_t len = 0;

    for (size_t i = 0; i < all->n_nodes; i++) {
        const struct node_view *node = &all->nodes[i];
        const char *reason = reason_against(node);

        if (!reason) {
            chosen->nodes[chosen->n_nodes++] = *node;
            continue;
        }
        if (len < sizeof(reasons))
            len += (size_t)snprintf(reasons + len, sizeof(reasons) - len, "%s'%s' %s",
                                    len > 0 ? ", " : "", node->name, reason);
    }
    if (chosen->n_nodes > 0) {
        keep_one_version(chosen);
        return ST_OK;
    }
    return err_set(err, ST_NOTFOUND, "no node can hold '%s': %s", model->name, reasons);
}

enum status select_nodes(const struct model_info *model, const struct node_set *all,
                         const struct select_options *options, struct node_set *ret_nodes,
                         struct err *err)
{
    struct node_set chosen = { 0 };
    enum status s;

    if (options && options->nodes)
        s = take_named(model, all, options, &chosen, err);
    else
        s = take_all(model, all, &chosen, err);
    if (s != ST_OK)
        return s;
    score_all(&chosen);
    *ret_nodes = chosen;
    return ST_OK;
}
