/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/remote.c - read a node's JSON. */
#include "monitor/remote.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <xxhash.h>

static void take_text(const json_t *object, const char *key, char *ret, size_t capacity)
{
    const char *text = json_string_value(json_object_get(object, key));
    size_t n = 0;

    for (; text && text[n] && n + 1 < capacity; n++)
        ret[n] = (unsigned char)text[n] < 0x20 || text[n] == 0x7f ? '?' : text[n];
    ret[n] = '\0';
}

static uint64_t number_of(const json_t *object, const char *key)
{
    const json_int_t value = json_integer_value(json_object_get(object, key));

    return value > 0 ? (uint64_t)value : 0;
}

static bool is_true(const json_t *object, const char *key)
{
    return json_is_true(json_object_get(object, key));
}

static enum status load(const char *bytes, size_t n, json_t **ret, struct err *err)
{
    json_error_t why;
    json_t *root = json_loadb(bytes, n, 0, &why);

    if (json_is_object(root)) {
        *ret = root;
        return ST_OK;
    }
    json_decref(root);
    if (!root && json_error_code(&why) == json_error_out_of_memory)
        return err_set(err, ST_NOMEM, "a node's answer");
    return err_set(err, ST_FORMAT, "a node's answer is not what a node would say");
}

enum status remote_ready_read(const char *bytes, size_t n, struct remote_ready *ret,
                              struct err *err)
{
    json_t *root = NULL;
    const enum status s = load(bytes, n, &root, err);

    if (s != ST_OK)
        return s;
    *ret = (struct remote_ready){ .unix_ms = number_of(root, "unix_ms") };
    take_text(root, "status", ret->status, sizeof(ret->status));
    take_text(root, "node", ret->node, sizeof(ret->node));
    take_text(root, "version", ret->version, sizeof(ret->version));
    json_decref(root);
    return ST_OK;
}

static void take_member(const json_t *from, void *to)
{
    struct remote_member *m = to;

    take_text(from, "name", m->name, sizeof(m->name));
    take_text(from, "version", m->version, sizeof(m->version));
    m->is_alive = is_true(from, "alive");
    m->is_connected = is_true(from, "connected");
    m->has_datagrams = is_true(from, "datagrams");
    m->is_local = is_true(from, "local");
    m->is_draining = is_true(from, "draining");
    m->tells_by = json_is_string(json_object_get(from, "drained_by"));
    take_text(from, "drained_by", m->drained_by, sizeof(m->drained_by));
    m->n_pings = number_of(from, "pings");
    m->n_pongs = number_of(from, "pongs");
    m->rtt_ms = json_number_value(json_object_get(from, "rtt_ms"));
}

static uint64_t signature_of(const json_t *shards)
{
    uint64_t signature = 0;
    const json_t *shard;
    size_t i;

    json_array_foreach(shards, i, shard)
    {
        char node[REMOTE_NAME_MAX];
        const uint64_t layers[] = { number_of(shard, "first_layer"), number_of(shard, "n_layers") };

        take_text(shard, "node", node, sizeof(node));
        signature = XXH3_64bits_withSeed(node, strlen(node), signature);
        signature = XXH3_64bits_withSeed(layers, sizeof(layers), signature);
    }
    return signature;
}

static void take_instance(const json_t *from, void *to)
{
    struct remote_instance *in = to;
    const char *state = json_string_value(json_object_get(from, "state"));

    take_text(from, "id", in->id, sizeof(in->id));
    take_text(from, "model", in->model, sizeof(in->model));
    in->is_ready = state && strcmp(state, "ready") == 0;
    in->n_active = number_of(from, "active");
    in->n_waiting = number_of(from, "waiting");
    in->n_generated = number_of(from, "generated_tokens");
    in->signature = signature_of(json_object_get(from, "shards"));
}

static void take_link(const json_t *from, void *to)
{
    struct remote_link *l = to;

    take_text(from, "from", l->from, sizeof(l->from));
    take_text(from, "to", l->to, sizeof(l->to));
    take_text(from, "host", l->host, sizeof(l->host));
    l->answers = is_true(from, "answers");
    l->bytes_per_s = json_number_value(json_object_get(from, "bytes_per_s"));
}

static void take_wanted(const json_t *from, void *to)
{
    struct remote_wanted *w = to;

    take_text(from, "model", w->model, sizeof(w->model));
    w->n_copies = number_of(from, "copies");
}

/* Every object of the list `key` by `take`, into *ret [*ret_n] of `size` bytes each. */
static enum status take_list(const json_t *root, const char *key,
                             void (*take)(const json_t *from, void *to), size_t size, void **ret,
                             size_t *ret_n, struct err *err)
{
    const json_t *list = json_object_get(root, key);
    const size_t n = json_array_size(list);
    char *items;

    if (n == 0)
        return ST_OK;
    if (n > REMOTE_LIST_MAX)
        return err_set(err, ST_FORMAT, "a node tells of %zu %s, %d at most are believed", n, key,
                       REMOTE_LIST_MAX);
    items = calloc(n, size);
    if (!items)
        return err_set(err, ST_NOMEM, "a node's answer");
    for (size_t i = 0; i < n; i++)
        take(json_array_get(list, i), items + i * size);
    *ret = items;
    *ret_n = n;
    return ST_OK;
}

enum status remote_state_read(const char *bytes, size_t n, struct remote_state *ret_state,
                              struct err *err)
{
    struct remote_state state = { 0 };
    void *members = NULL, *instances = NULL, *links = NULL, *wanted = NULL;
    json_t *root = NULL;
    enum status s = load(bytes, n, &root, err);

    if (s != ST_OK)
        return s;
    take_text(root, "cluster", state.cluster, sizeof(state.cluster));
    take_text(root, "node", state.node, sizeof(state.node));
    take_text(root, "version", state.version, sizeof(state.version));
    s = take_list(root, "nodes", take_member, sizeof(*state.members), &members, &state.n_members,
                  err);
    if (s == ST_OK)
        s = take_list(root, "instances", take_instance, sizeof(*state.instances), &instances,
                      &state.n_instances, err);
    if (s == ST_OK)
        s = take_list(root, "links", take_link, sizeof(*state.links), &links, &state.n_links, err);
    if (s == ST_OK)
        s = take_list(root, "wanted", take_wanted, sizeof(*state.wanted), &wanted, &state.n_wanted,
                      err);
    json_decref(root);
    state.members = members;
    state.instances = instances;
    state.links = links;
    state.wanted = wanted;
    if (s == ST_OK)
        *ret_state = state;
    else
        remote_state_release(&state);
    return s;
}

void remote_state_release(struct remote_state *state)
{
    free(state->members);
    free(state->instances);
    free(state->links);
    free(state->wanted);
    *state = (struct remote_state){ 0 };
}
