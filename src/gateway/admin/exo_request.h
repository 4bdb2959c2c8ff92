/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/exo_request.h - what exo's tools ask of a cluster, read.
 *
 * Source: exo, docs/api.md, "Model Instance Management"
 */
#ifndef POMONA_GATEWAY_ADMIN_EXO_REQUEST_H
#define POMONA_GATEWAY_ADMIN_EXO_REQUEST_H

#include "gateway/admin/place_request.h"

enum { EXO_ID_MAX = 64, EXO_AWAIT_MAX_S = 300 };

/* {"model_id","sharding","instance_meta","min_nodes"}, or as a query with "node_ids=a&node_ids=b" beside them. */
struct exo_placement {
    char model[MODEL_NAME_MAX];
    uint32_t min_nodes;                   /* 0: not given */
    char nodes[NODES_MAX][NODE_NAME_MAX]; /* [n_nodes] to choose of; none: any */
    size_t n_nodes;
};

/* Errors  with `e` filled; a way to split or connect that is not there is refused */
enum status exo_placement_from_json(const json_t *body, struct exo_placement *ret,
                                    struct api_error *e);
enum status exo_placement_from_query(const char *query, struct exo_placement *ret,
                                     struct api_error *e);

/* {"instance":{"MlxRingInstance":{"instanceId","shardAssignments":{...}}}}: nodes and layers of a placing.
 * ret_id  [EXO_ID_MAX] what it shall be called; "": whatever */
enum status exo_instance_from_json(const json_t *body, struct place_request *ret, char *ret_id,
                                   struct api_error *e);

/* "model_id=M&timeout_seconds=X"; 0: as long as it takes */
enum status exo_await_from_query(const char *query, char *ret_model, double *ret_timeout_s,
                                 struct api_error *e);

#endif
