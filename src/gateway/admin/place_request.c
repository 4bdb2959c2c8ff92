/* SPDX-License-Identifier: Apache-2.0 */
/* gateway/admin/place_request.c - what POST /cluster/place and GET /cluster/plan ask for. */
#include "gateway/admin/place_request.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "gateway/dialect/param.h"
#include "gateway/http/route.h"

enum {
    CONTEXT_MAX = 1 << 24,
    LAYERS_MAX = 1 << 16,
    LIST_BYTES_MAX = NODES_MAX * NODE_NAME_MAX,
    KV_NAME_MAX = 16,
    TRANSPORT_NAME_MAX = 16,
    BITS_MAX = 32,
    NUMBER_MAX = 32,
};

static enum status add_node(const char *name, size_t n, struct place_request *r,
                            struct api_error *e)
{
    if (n == 0 || n >= NODE_NAME_MAX || r->n_nodes == NODES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "nodes",
                             "'nodes' must hold at most %d names of nodes.", NODES_MAX);
    memcpy(r->nodes[r->n_nodes], name, n);
    r->nodes[r->n_nodes++][n] = '\0';
    return ST_OK;
}

static enum status add_layers(int64_t n_layers, struct place_request *r, struct api_error *e)
{
    if (n_layers < 1 || n_layers > LAYERS_MAX || r->n_split == NODES_MAX)
        return api_error_set(e, API_INVALID_VALUE, "split",
                             "'split' must hold at most %d numbers of layers, each at least 1.",
                             NODES_MAX);
    r->split[r->n_split++] = (uint32_t)n_layers;
    return ST_OK;
}

static enum status set_kv_format(const char *name, struct place_request *r, struct api_error *e)
{
    struct err err;

    if (!*name)
        return ST_OK;
    if (kv_format_find(name, &r->kv_format, &err) != ST_OK)
        return api_error_set(e, API_INVALID_VALUE, "kv", "There is %s.", err.words);
    r->has_kv_format = true;
    return ST_OK;
}

static enum status set_transport(const char *name, struct place_request *r, struct api_error *e)
{
    struct err err;

    if (transport_kind_find(name, &r->transport, &err) != ST_OK)
        return api_error_set(e, API_INVALID_VALUE, "transport", "There is %s.", err.words);
    return ST_OK;
}

/* bits  0: not given */
static enum status set_activations(uint32_t bits, struct place_request *r, struct api_error *e)
{
    struct err err;

    if (bits == 0)
        return ST_OK;
    if (activation_format_find(bits, &r->activations, &err) != ST_OK)
        return api_error_set(e, API_INVALID_VALUE, "activations", "There are %s.", err.words);
    r->has_activations = true;
    return ST_OK;
}

static enum status set_sums(const char *name, struct place_request *r, struct api_error *e)
{
    struct err err;

    if (sum_format_find(name, &r->sums, &err) != ST_OK)
        return api_error_set(e, API_INVALID_VALUE, "wire", "There is %s.", err.words);
    return ST_OK;
}

static enum status check(const struct place_request *r, struct api_error *e)
{
    if (!r->model[0])
        return api_error_set(e, API_MISSING, "model", "Name the model.");
    if (r->n_split > 0 && r->n_nodes > 0 && r->n_split != r->n_nodes)
        return api_error_set(e, API_INVALID_VALUE, "split",
                             "'split' has %zu numbers for %zu nodes.", r->n_split, r->n_nodes);
    return ST_OK;
}

static enum status list(const json_t *body, const char *name, const json_t **ret,
                        struct api_error *e)
{
    *ret = param_get(body, name);
    if (*ret && !json_is_array(*ret))
        return param_wrong_type(name, "an array", *ret, e);
    return ST_OK;
}

enum status place_request_from_json(const json_t *body, struct place_request *ret,
                                    struct api_error *e)
{
    struct place_request r = { 0 };
    char kv[KV_NAME_MAX] = "", transport[TRANSPORT_NAME_MAX] = "", wire[KV_NAME_MAX] = "";
    uint32_t bits = 0;
    const json_t *nodes = NULL, *split = NULL;
    enum status s = param_text(body, "model", r.model, sizeof(r.model), e);

    if (s == ST_OK)
        s = list(body, "nodes", &nodes, e);
    if (s == ST_OK)
        s = list(body, "split", &split, e);
    for (size_t i = 0; i < json_array_size(nodes) && s == ST_OK; i++) {
        const json_t *name = json_array_get(nodes, i);

        s = json_is_string(name)
                ? add_node(json_string_value(name), json_string_length(name), &r, e)
                : param_wrong_type("nodes", "an array of strings", name, e);
    }
    for (size_t i = 0; i < json_array_size(split) && s == ST_OK; i++) {
        const json_t *n = json_array_get(split, i);

        s = json_is_integer(n) ? add_layers(json_integer_value(n), &r, e)
                               : param_wrong_type("split", "an array of integers", n, e);
    }
    if (s == ST_OK)
        s = param_u32(body, "context", 1, CONTEXT_MAX, &r.context_tokens, e);
    if (s == ST_OK)
        s = param_text(body, "kv", kv, sizeof(kv), e);
    if (s == ST_OK)
        s = set_kv_format(kv, &r, e);
    if (s == ST_OK)
        s = param_u32(body, "activations", 1, BITS_MAX, &bits, e);
    if (s == ST_OK)
        s = set_activations(bits, &r, e);
    if (s == ST_OK)
        s = param_text(body, "transport", transport, sizeof(transport), e);
    if (s == ST_OK)
        s = set_transport(transport, &r, e);
    if (s == ST_OK)
        s = param_text(body, "wire", wire, sizeof(wire), e);
    if (s == ST_OK)
        s = set_sums(wire, &r, e);
    if (s == ST_OK)
        s = param_text(body, "draft", r.draft, sizeof(r.draft), e);
    if (s == ST_OK)
        s = param_u32(body, "streams", 1, PLACE_STREAMS_MAX, &r.streams, e);
    if (s == ST_OK)
        s = param_u32(body, "prompt", 1, CONTEXT_MAX, &r.prompt_tokens, e);
    if (s == ST_OK)
        s = param_text(body, "overrides", r.overrides, sizeof(r.overrides), e);
    if (s == ST_OK)
        s = check(&r, e);
    if (s == ST_OK)
        *ret = r;
    return s;
}

/* A decimal number that fills [n] bytes; -1 where it does not. */
static int64_t number(const char *text, size_t n)
{
    char *end;
    long long value;

    errno = 0;
    value = strtoll(text, &end, 10);
    return errno || n == 0 || end != text + n ? -1 : value;
}

/* *ret = 1..most, or untouched where the query does not have it. */
static enum status query_number(const char *query, const char *name, uint32_t most, uint32_t *ret,
                                struct api_error *e)
{
    char text[NUMBER_MAX];
    int64_t n;

    if (!query_value(query, name, text, sizeof(text)))
        return ST_OK;
    n = number(text, strlen(text));
    if (n < 1 || n > most)
        return api_error_set(e, API_INVALID_VALUE, name, "'%s' must be a number from 1 to %u.",
                             name, most);
    *ret = (uint32_t)n;
    return ST_OK;
}

enum status place_request_from_query(const char *query, struct place_request *ret,
                                     struct api_error *e)
{
    struct place_request r = { 0 };
    char text[LIST_BYTES_MAX];
    uint32_t bits = 0;
    enum status s = ST_OK;

    (void)query_value(query, "model", r.model, sizeof(r.model));
    (void)query_value(query, "draft", r.draft, sizeof(r.draft));
    if (!query_value(query, "overrides", r.overrides, sizeof(r.overrides)) && query &&
        strstr(query, "overrides=")) /* pins that are not heard would be broken silently */
        return api_error_set(e, API_INVALID_VALUE, "overrides",
                             "'overrides' is longer than %d bytes.", PLACE_OVERRIDES_MAX - 1);
    (void)query_value(query, "nodes", text, sizeof(text));
    for (const char *at = text; *at && s == ST_OK; at += *at == ',') {
        const size_t n = strcspn(at, ",");

        s = add_node(at, n, &r, e);
        at += n;
    }
    (void)query_value(query, "split", text, sizeof(text));
    for (const char *at = text; *at && s == ST_OK; at += *at == ',') {
        const size_t n = strcspn(at, ",");

        s = add_layers(number(at, n), &r, e);
        at += n;
    }
    if (s == ST_OK)
        s = query_number(query, "context", CONTEXT_MAX, &r.context_tokens, e);
    if (s == ST_OK)
        s = query_number(query, "streams", PLACE_STREAMS_MAX, &r.streams, e);
    if (s == ST_OK)
        s = query_number(query, "prompt", CONTEXT_MAX, &r.prompt_tokens, e);
    if (s == ST_OK && query_value(query, "kv", text, sizeof(text)))
        s = set_kv_format(text, &r, e);
    if (s == ST_OK && query_value(query, "transport", text, sizeof(text)))
        s = set_transport(text, &r, e);
    if (s == ST_OK)
        s = query_number(query, "activations", BITS_MAX, &bits, e);
    if (s == ST_OK && query_value(query, "wire", text, sizeof(text)))
        s = set_sums(text, &r, e);
    if (s == ST_OK)
        s = set_activations(bits, &r, e);
    if (s == ST_OK)
        s = check(&r, e);
    if (s == ST_OK)
        *ret = r;
    return s;
}
