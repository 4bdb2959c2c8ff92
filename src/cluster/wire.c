/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/wire.c - plans and models to and from their messages.
 *
 * Everything that comes in is checked here, once: lengths, alphabets, counts.
 * What passes may be used without another look.
 */
#include <math.h>
#include <string.h>

#include "cluster/cluster_priv.h"

static bool is_made_of(const char *text, const char *alphabet, size_t capacity)
{
    const size_t n = strspn(text, alphabet);

    return n > 0 && n < capacity && text[n] == '\0';
}

#define LETTERS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

bool text_is_name(const char *text, size_t capacity)
{
    return is_made_of(text, LETTERS_DIGITS "._-", capacity);
}

enum status text_take(const char *text, const char *what, char *ret_text, size_t capacity,
                      struct err *err)
{
    if (!is_made_of(text, LETTERS_DIGITS "._:/+- ", capacity))
        return err_set(err, ST_FORMAT,
                       "a message has a %s that is empty, too long or no plain text", what);
    memcpy(ret_text, text, strlen(text) + 1);
    return ST_OK;
}

void wire_of_model(const struct model_info *info, Wire__Model *ret_model)
{
    wire__model__init(ret_model);
    ret_model->name = (char *)info->name;
    ret_model->architecture = (char *)info->architecture;
    ret_model->digest.data = (uint8_t *)info->digest;
    ret_model->digest.len = sizeof(info->digest);
    ret_model->n_layer = info->n_layer;
    ret_model->n_vocab = info->n_vocab;
    ret_model->n_hidden = info->n_hidden;
    ret_model->context_tokens = info->context_tokens;
    ret_model->file_bytes = info->file_bytes;
    ret_model->layer_bytes = info->layer_bytes;
    ret_model->embedding_bytes = info->embedding_bytes;
    ret_model->output_bytes = info->output_bytes;
    ret_model->kv_bytes_per_token = info->kv_bytes_per_token;
    ret_model->n_parameters = info->n_parameters;
    ret_model->created_unix_s = info->created_unix_s;
    ret_model->root.data = (uint8_t *)info->root;
    ret_model->root.len = info->has_root ? sizeof(info->root) : 0;
    ret_model->origin = (char *)info->origin;
}

enum status wire_to_model(const Wire__Model *model, struct model_info *ret_info, struct err *err)
{
    struct model_info info = {
        .n_layer = model->n_layer,
        .n_vocab = model->n_vocab,
        .n_hidden = model->n_hidden,
        .context_tokens = model->context_tokens,
        .file_bytes = model->file_bytes,
        .layer_bytes = model->layer_bytes,
        .embedding_bytes = model->embedding_bytes,
        .output_bytes = model->output_bytes,
        .kv_bytes_per_token = model->kv_bytes_per_token,
        .n_parameters = model->n_parameters,
        .created_unix_s = model->created_unix_s,
    };
    enum status s;

    s = text_take(model->name, "model name", info.name, sizeof(info.name), err);
    if (s == ST_OK)
        s = text_take(model->architecture, "model architecture", info.architecture,
                      sizeof(info.architecture), err);
    if (s != ST_OK)
        return s;
    if (model->digest.len != sizeof(info.digest))
        return err_set(err, ST_FORMAT, "a message has a model digest of %zu bytes",
                       model->digest.len);
    memcpy(info.digest, model->digest.data, sizeof(info.digest));
    if (model->root.len == sizeof(info.root)) {
        info.has_root = true;
        memcpy(info.root, model->root.data, sizeof(info.root));
    }
    if (is_made_of(model->origin, LETTERS_DIGITS "._:/+-@", sizeof(info.origin)))
        memcpy(info.origin, model->origin, strlen(model->origin) + 1);
    *ret_info = info;
    return ST_OK;
}

void wire_of_plan(const struct plan *plan, Wire__Plan *ret_plan, Wire__PlanShard *shards,
                  Wire__PlanShard **list)
{
    wire__plan__init(ret_plan);
    ret_plan->model = (char *)plan->model;
    ret_plan->draft = (char *)plan->draft;
    ret_plan->context_tokens = plan->context_tokens;
    ret_plan->kv_tokens = plan->kv_tokens;
    ret_plan->kv_format = (uint32_t)plan->kv_format;
    ret_plan->activations = (uint32_t)plan->activations;
    ret_plan->transport = (uint32_t)plan->transport;
    ret_plan->sums = (uint32_t)plan->sums;
    ret_plan->n_shards = plan->n_shards;
    ret_plan->shards = list;
    for (size_t i = 0; i < plan->n_shards; i++) {
        list[i] = &shards[i];
        wire__plan_shard__init(&shards[i]);
        shards[i].node = (char *)plan->shards[i].node;
        shards[i].first_layer = plan->shards[i].first_layer;
        shards[i].n_layers = plan->shards[i].n_layers;
        shards[i].weight_bytes = plan->shards[i].weight_bytes;
        shards[i].kv_bytes = plan->shards[i].kv_bytes;
        shards[i].share = plan->shards[i].share;
    }
}

static enum status take_shard(const Wire__PlanShard *wire, struct plan_shard *shard,
                              struct err *err)
{
    const enum status s = text_take(wire->node, "node name", shard->node, sizeof(shard->node), err);

    if (s != ST_OK)
        return s;
    shard->first_layer = wire->first_layer;
    shard->n_layers = wire->n_layers;
    shard->weight_bytes = wire->weight_bytes;
    shard->kv_bytes = wire->kv_bytes;
    shard->share = wire->share;
    return ST_OK;
}

enum status wire_to_plan(const Wire__Plan *wire, struct plan *ret_plan, struct err *err)
{
    struct plan plan = { 0 };
    enum status s;

    if (!wire || wire->n_shards == 0 || wire->n_shards > PLAN_SHARDS_MAX)
        return err_set(err, ST_FORMAT, "a message has a plan without shards, or with too many");
    if (wire->kv_format >= N_KV_FORMATS)
        return err_set(err, ST_FORMAT, "a message has a plan with keys and values in format %u",
                       wire->kv_format);
    if (wire->activations >= N_ACTIVATION_FORMATS)
        return err_set(err, ST_FORMAT, "a message has a plan with activations in format %u",
                       wire->activations);
    if (wire->transport >= N_TRANSPORT_KINDS)
        return err_set(err, ST_FORMAT, "a message has a plan with transport %u", wire->transport);
    if (wire->sums >= N_SUM_FORMATS)
        return err_set(err, ST_FORMAT, "a message has a plan with sums in format %u", wire->sums);
    s = text_take(wire->model, "model name", plan.model, sizeof(plan.model), err);
    if (s == ST_OK && wire->draft[0])
        s = text_take(wire->draft, "model name", plan.draft, sizeof(plan.draft), err);
    for (size_t i = 0; i < wire->n_shards && s == ST_OK; i++)
        s = take_shard(wire->shards[i], &plan.shards[i], err);
    plan.n_shards = wire->n_shards;
    if (s == ST_OK) {
        s = plan_check(&plan, NULL, err);
        if (s != ST_OK)
            err_wrap(err, "a message has");
    }
    if (s != ST_OK)
        return s;
    plan.context_tokens = wire->context_tokens;
    plan.kv_tokens = wire->kv_tokens;
    plan.kv_format = (enum kv_format)wire->kv_format;
    plan.activations = (enum activation_format)wire->activations;
    plan.transport = (enum transport_kind)wire->transport;
    plan.sums = (enum sum_format)wire->sums;
    *ret_plan = plan;
    return ST_OK;
}

void wire_of_progress(const struct shard_progress *progress, Wire__ShardProgress *ret_progress)
{
    wire__shard_progress__init(ret_progress);
    ret_progress->stage = (uint32_t)progress->stage;
    ret_progress->done_bytes = progress->done_bytes;
    ret_progress->total_bytes = progress->total_bytes;
    ret_progress->bytes_per_s = progress->bytes_per_s;
    ret_progress->peer_bytes = progress->peer_bytes;
    ret_progress->hub_bytes = progress->hub_bytes;
}

void wire_to_progress(const Wire__ShardProgress *wire, struct shard_progress *progress)
{
    if (wire->stage >= N_SHARD_STAGES || !isfinite(wire->bytes_per_s) || wire->bytes_per_s < 0)
        return;
    progress->stage = (enum shard_stage)wire->stage;
    progress->has_fetched |= progress->stage == STAGE_FETCHING;
    progress->done_bytes = wire->done_bytes;
    progress->total_bytes = wire->total_bytes;
    progress->bytes_per_s = wire->bytes_per_s;
    if (wire->peer_bytes > progress->peer_bytes) /* they stay when fetching is over */
        progress->peer_bytes = wire->peer_bytes;
    if (wire->hub_bytes > progress->hub_bytes)
        progress->hub_bytes = wire->hub_bytes;
}
