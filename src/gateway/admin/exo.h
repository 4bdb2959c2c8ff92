/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/exo.h - the cluster as exo's tools want to see it.
 *
 * Nodes are called by their names.  An instance here is a ring over TCP that splits a model by layers, which
 * in exo's words is a MlxRingInstance of PipelineShardMetadata; its runners are called by its id and their rank.
 *
 * Trees are given: json_decref(); NULL: no memory.
 *
 * Source: exo, docs/api.md, and what its bench/harness.py reads
 */
#ifndef POMONA_GATEWAY_ADMIN_EXO_H
#define POMONA_GATEWAY_ADMIN_EXO_H

#include <jansson.h>

#include "gateway/admin/state.h"

/* Under which id exo's tools know an instance: the one they gave it, or its own; lent. */
typedef const char *exo_name_fn(void *arg, const char *instance_id);

json_t *exo_instance(const struct plan *plan, const char *id, const struct model_info *model);
json_t *exo_model_card(const struct model_info *model);

/* One of /instance/previews.  plan NULL: it cannot be, and `error` says why */
json_t *exo_preview(const struct plan *plan, const char *id, const struct model_info *model,
                    const char *error);

/* The whole of /state. */
json_t *exo_state(const struct admin_state *state, exo_name_fn *name, void *arg);

/* What is at "instances/ID/..." of it; borrowed; NULL: nothing is. */
const json_t *exo_walk(const json_t *state, const char *path);

#endif
