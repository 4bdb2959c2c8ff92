/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/obey.c - a node's part in a placing: it holds the shards that the leader assigns to it.
 *
 * A command is obeyed where its epoch is not over and the sender is known to lead
 * it (lead_check()).  Else the sender is told that the instance ends and why, so
 * a leader that has not heard of its successor learns it from its first command.
 */
#include <string.h>

#include "base/log.h"
#include "cluster/cluster_priv.h"

enum status shard_begin(struct cluster *cluster, struct instance *in, uint32_t rank,
                        const uint8_t *digest, const uint8_t *root)
{
    struct err why;

    if (runner_start(cluster, in, rank, digest, root, &why) == ST_OK)
        return ST_OK;
    instance_end(cluster, in, END_EVERYWHERE, &why);
    return why.status;
}

/* Tell who placed it that it ends: it does not lead, and here is why. */
static void deny(struct cluster *cluster, struct instance *in, const char *from_node,
                 const struct err *why)
{
    struct member *from = member_find(cluster, from_node);

    log_warn("a command is refused: %s", why->words);
    if (from && from->link)
        instance_tell_gone(from->link, in->view.view.id, why);
    instance_end(cluster, in, END_AS_TOLD, why);
}

enum status place_assigned(struct cluster *cluster, const char *from_node,
                           const Wire__AssignShard *assign, struct err *err)
{
    struct instance *in = instance_find(cluster, assign->instance_id);
    struct err why;

    if (!in)
        return ST_OK; /* it ended while this was under way */
    if (in->view.state != INSTANCE_PLACING || strcmp(in->coordinator, from_node) != 0 ||
        assign->model_digest.len != MODEL_DIGEST_BYTES || assign->rank >= in->view.plan.n_shards ||
        strcmp(in->view.plan.shards[assign->rank].node, cluster->self->info.name) != 0)
        return err_set(err, ST_FORMAT, "a message assigns a shard that is not this node's");
    if (runner_is_of(cluster, in->view.view.id))
        return err_set(err, ST_FORMAT, "a message assigns a shard for the second time");
    if (lead_check(cluster, assign->epoch, from_node, &why) != ST_OK) {
        deny(cluster, in, from_node, &why);
        return ST_OK;
    }
    (void)shard_begin(cluster, in, assign->rank, assign->model_digest.data,
                      assign->model_root.len == MODEL_ROOT_BYTES ? assign->model_root.data : NULL);
    return ST_OK;
}

/* The epoch is that of the assignment, which was checked then: whoever was elected since lets a
 * placing come to its end. */
enum status place_connected(struct cluster *cluster, const char *from_node,
                            const Wire__ConnectShard *connect, struct err *err)
{
    const struct instance *in = instance_find(cluster, connect->instance_id);

    if (!in)
        return ST_OK; /* it ended while this was under way */
    if (in->view.state != INSTANCE_PLACING || strcmp(in->coordinator, from_node) != 0 ||
        connect->n_ranks != in->view.plan.n_shards || connect->epoch != in->epoch)
        return err_set(err, ST_FORMAT,
                       "a message connects ranks that are not the sender's to place");
    runner_connect(cluster, in->view.view.id, connect->n_ranks, connect->ranks);
    return ST_OK;
}
