/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/state.h - the cluster as JSON. */
#ifndef POMONA_GATEWAY_ADMIN_STATE_H
#define POMONA_GATEWAY_ADMIN_STATE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "cluster/cluster.h"

/* A model that shall be placed. */
struct admin_wanted {
    char model[MODEL_NAME_MAX];
    size_t n_copies;
    const char *trouble; /* why it is not; "": none is known here */
};

struct admin_state {
    const char *cluster_name, *node_name, *version;
    uint64_t uptime_s;
    uint64_t unix_ms;                     /* this node's clock, for who compares */
    const struct cluster_member *members; /* [n_members] */
    size_t n_members;
    const struct cluster_instance *instances; /* [n_instances] */
    size_t n_instances;
    const struct cluster_link *links; /* [n_links] */
    size_t n_links;
    const struct model_info *models; /* [n_models] */
    size_t n_models;
    struct cluster_leadership leadership;
    const struct admin_wanted *wanted; /* [n_wanted] */
    size_t n_wanted;
};

void admin_render_health(const struct admin_state *state, const char *status, struct buf *out);
void admin_render_state(const struct admin_state *state, struct buf *out);
/* `members`: more of the object, as JSON without braces; NULL: none. */
void admin_render_plan(const struct plan *plan, const char *members, struct buf *out);
void admin_render_instance(const struct cluster_instance *instance, struct buf *out);
/* How far a placing is: {"progress":0.5,"shards":[...]}. */
void admin_render_progress(const struct cluster_instance *instance, struct buf *out);

#endif
