/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/exo_request.c - what exo's tools ask of a cluster, read. */
#include "gateway/admin/exo_request.h"

#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/param.h"
#include "gateway/http/route.h"

enum { WORD_MAX = 32 };

/* Layers are split over nodes in a ring of TCP connections; there is no other way here. */
static enum status check_words(const char *sharding, const char *meta, struct api_error *e)
{
    if (sharding[0] && strcmp(sharding, "Pipeline") != 0)
        return api_error_set(e, API_UNSUPPORTED, "sharding",
                             "Models are split by layers here: ask for 'Pipeline'.");
    if (meta[0] && strcmp(meta, "MlxRing") != 0)
        return api_error_set(e, API_UNSUPPORTED, "instance_meta",
                             "Nodes are connected by TCP here: ask for 'MlxRing'.");
    return ST_OK;
}

static enum status check_model(const char *model, struct api_error *e)
{
    return model[0] ? ST_OK
                    : api_error_set(e, API_MISSING, "model_id", "You must provide a model_id.");
}

enum status exo_placement_from_json(const json_t *body, struct exo_placement *ret,
                                    struct api_error *e)
{
    char sharding[WORD_MAX] = "", meta[WORD_MAX] = "";
    enum status s;

    *ret = (struct exo_placement){ 0 };
    s = param_text(body, "model_id", ret->model, sizeof(ret->model), e);
    if (s == ST_OK)
        s = param_text(body, "sharding", sharding, sizeof(sharding), e);
    if (s == ST_OK)
        s = param_text(body, "instance_meta", meta, sizeof(meta), e);
    if (s == ST_OK)
        s = param_u32(body, "min_nodes", 1, NODES_MAX, &ret->min_nodes, e);
    if (s == ST_OK)
        s = check_words(sharding, meta, e);
    return s == ST_OK ? check_model(ret->model, e) : s;
}

static enum status add_node(const char *name, struct exo_placement *ret, struct api_error *e)
{
    if (!name[0] || strlen(name) >= NODE_NAME_MAX || ret->n_nodes == NODES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "node_ids",
                             "'node_ids' may name up to %d nodes.", NODES_MAX);
    memcpy(ret->nodes[ret->n_nodes++], name, strlen(name) + 1);
    return ST_OK;
}

/* Given once for each. */
static enum status add_nodes(const char *query, struct exo_placement *ret, struct api_error *e)
{
    static const char name[] = "node_ids";
    char value[NODE_NAME_MAX];
    enum status s = ST_OK;

    for (const char *at = query; at && *at && s == ST_OK;) {
        const char *end = strchr(at, '&');

        if (strncmp(at, name, sizeof(name) - 1) == 0 && at[sizeof(name) - 1] == '=') {
            (void)query_value(at, name, value, sizeof(value));
            s = add_node(value, ret, e);
        }
        at = end ? end + 1 : NULL;
    }
    return s;
}

enum status exo_placement_from_query(const char *query, struct exo_placement *ret,
                                     struct api_error *e)
{
    char sharding[WORD_MAX], meta[WORD_MAX], number[WORD_MAX];
    enum status s;

    *ret = (struct exo_placement){ 0 };
    (void)query_value(query, "model_id", ret->model, sizeof(ret->model));
    (void)query_value(query, "sharding", sharding, sizeof(sharding));
    (void)query_value(query, "instance_meta", meta, sizeof(meta));
    if (query_value(query, "min_nodes", number, sizeof(number))) {
        char *end;
        const unsigned long n = strtoul(number, &end, 10);

        if (*end || n < 1 || n > NODES_MAX)
            return api_error_set(e, API_INVALID_VALUE, "min_nodes", "'min_nodes' must be 1 to %d.",
                                 NODES_MAX);
        ret->min_nodes = (uint32_t)n;
    }
    s = add_nodes(query, ret, e);
    if (s == ST_OK)
        s = check_words(sharding, meta, e);
    return s == ST_OK ? check_model(ret->model, e) : s;
}

/* The one member of {"Tag":{...}}; NULL: it is none such. */
static const json_t *unwrap(const json_t *tagged)
{
    void *at = json_object_iter((json_t *)(uintptr_t)tagged);

    return json_object_size(tagged) == 1 ? json_object_iter_value(at) : NULL;
}

struct share {
    const char *node;
    json_int_t rank, n_layers;
};

static int by_rank(const void *a, const void *b)
{
    const struct share *x = a, *y = b;

    return (x->rank > y->rank) - (x->rank < y->rank);
}

/* Which node has which rank and how many layers: [*ret_n]. */
static enum status read_shares(const json_t *assignments, struct share *ret, size_t *ret_n,
                               struct api_error *e)
{
    json_t *runners = json_object_get(assignments, "nodeToRunner"), *runner;
    const json_t *shards = json_object_get(assignments, "runnerToShard");
    const char *node;
    size_t n = 0;

    if (json_object_size(runners) == 0 || json_object_size(runners) > NODES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "instance",
                             "The instance needs 'shardAssignments' with 1 to %d nodes.",
                             NODES_MAX);
    json_object_foreach(runners, node, runner)
    {
        const char *id = json_string_value(runner);
        const json_t *shard = id ? unwrap(json_object_get(shards, id)) : NULL;
        const json_int_t first = json_integer_value(json_object_get(shard, "startLayer"));
        const json_int_t end = json_integer_value(json_object_get(shard, "endLayer"));

        if (!shard || end <= first || strlen(node) >= NODE_NAME_MAX)
            return api_error_set(e, API_INVALID_VALUE, "instance",
                                 "Each node needs a runner whose shard has layers.");
        ret[n++] = (struct share){ node, json_integer_value(json_object_get(shard, "deviceRank")),
                                   end - first };
    }
    qsort(ret, n, sizeof(*ret), by_rank);
    *ret_n = n;
    return ST_OK;
}

enum status exo_instance_from_json(const json_t *body, struct place_request *ret, char *ret_id,
                                   struct api_error *e)
{
    const json_t *instance = unwrap(json_object_get(body, "instance"));
    const json_t *assignments = json_object_get(instance, "shardAssignments");
    struct share shares[NODES_MAX];
    size_t n = 0;
    enum status s;

    *ret = (struct place_request){ 0 };
    ret_id[0] = '\0';
    if (!json_is_object(assignments))
        return api_error_set(e, API_MISSING, "instance",
                             "Send an instance as /instance/previews shows one.");
    s = param_text(assignments, "modelId", ret->model, sizeof(ret->model), e);
    if (s == ST_OK)
        s = param_text(instance, "instanceId", ret_id, EXO_ID_MAX, e);
    if (s == ST_OK)
        s = check_model(ret->model, e);
    if (s == ST_OK)
        s = read_shares(assignments, shares, &n, e);
    for (size_t i = 0; i < n && s == ST_OK; i++) {
        if (shares[i].n_layers > UINT16_MAX)
            return api_error_set(e, API_INVALID_VALUE, "instance", "Too many layers.");
        memcpy(ret->nodes[i], shares[i].node, strlen(shares[i].node) + 1);
        ret->split[i] = (uint32_t)shares[i].n_layers;
        ret->n_nodes = ret->n_split = i + 1;
    }
    return s;
}

enum status exo_await_from_query(const char *query, char *ret_model, double *ret_timeout_s,
                                 struct api_error *e)
{
    char number[WORD_MAX];
    char *end;

    *ret_timeout_s = 0;
    (void)query_value(query, "model_id", ret_model, MODEL_NAME_MAX);
    if (query_value(query, "timeout_seconds", number, sizeof(number))) {
        *ret_timeout_s = strtod(number, &end);
        if (*end || !(*ret_timeout_s >= 0 && *ret_timeout_s <= EXO_AWAIT_MAX_S))
            return api_error_set(e, API_INVALID_VALUE, "timeout_seconds",
                                 "'timeout_seconds' must be 0 to %d.", EXO_AWAIT_MAX_S);
    }
    return check_model(ret_model, e);
}
