/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/place_request.h - what POST /cluster/place and GET /cluster/plan ask for. */
#ifndef POMONA_GATEWAY_ADMIN_PLACE_REQUEST_H
#define POMONA_GATEWAY_ADMIN_PLACE_REQUEST_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "contract/node_set.h"
#include "contract/plan.h"
#include "gateway/http/api_error.h"

enum { PLACE_OVERRIDES_MAX = 2048, PLACE_STREAMS_MAX = 4096 };

struct place_request {
    char model[MODEL_NAME_MAX];
    char nodes[NODES_MAX][NODE_NAME_MAX]; /* [n_nodes]; none: any */
    size_t n_nodes;
    uint32_t split[NODES_MAX]; /* [n_split]; none: by memory */
    size_t n_split;
    uint32_t context_tokens; /* 0: the default */
    bool has_kv_format;      /* false: the node's */
    enum kv_format kv_format;
    bool has_activations; /* false: the node's */
    enum activation_format activations;
    enum transport_kind transport;
    enum sum_format sums;                /* SUM_F32 where nothing is asked for */
    char draft[MODEL_NAME_MAX];          /* "": none guesses */
    uint32_t streams;                    /* to plan for; 0: one */
    uint32_t prompt_tokens;              /* of a request, to plan for; 0: the planner's default */
    char overrides[PLACE_OVERRIDES_MAX]; /* "": none (partition/overrides.h) */
};

/* {"model","nodes":[...],"split":[...],"context":N,"kv":"f16","activations":16,
 * "transport":"mpi","draft":"small","streams":N,"prompt":N,"overrides":"studio-1=40"} */
enum status place_request_from_json(const json_t *body, struct place_request *ret,
                                    struct api_error *e);

/* "model=M&nodes=a,b&split=18,12&context=N&kv=f16&activations=16&transport=mpi&
 * draft=small&streams=N&prompt=N&overrides=studio-1%3D40"; `query` may be NULL */
enum status place_request_from_query(const char *query, struct place_request *ret,
                                     struct api_error *e);

#endif
