/* SPDX-License-Identifier: Apache-2.0 */
/* flow/admin.c - answers to everything but generation: models, health, the cluster. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "flow/service_priv.h"
#include "flow/upkeep.h"
#include "gateway/admin/state.h"
#include "gateway/dialect/models.h"
#include "gateway/http/json_out.h"

void admin_no_memory(struct exchange *x)
{
    struct api_error e;

    (void)api_error_set(&e, API_OVERLOADED, NULL, "There is no memory for this request.");
    exchange_fail(x, &e);
}

enum status admin_unknown_model(const char *name, struct api_error *e)
{
    (void)api_error_set(e, API_MODEL_NOT_FOUND, "model",
                        "The model '%.128s' does not exist. GET /v1/models lists those that do.",
                        name);
    return ST_NOTFOUND;
}

void admin_models(void *arg, struct exchange *x)
{
    struct buf body = { 0 };
    size_t n;
    struct model_info *models = service_models(arg, &n);

    if (!models) {
        admin_no_memory(x);
        return;
    }
    models_render(models, n, &body);
    free(models);
    exchange_reply(x, 200, "application/json", &body);
}

void admin_model(void *arg, struct exchange *x, const char *name)
{
    struct model_info model;
    struct buf body = { 0 };
    struct api_error e;

    if (!service_find_any_model(arg, name, &model)) {
        (void)admin_unknown_model(name, &e);
        exchange_fail(x, &e);
        return;
    }
    model_render(&model, &body);
    exchange_reply(x, 200, "application/json", &body);
}

/* What llama.cpp's clients look for; of the one model where there is one. */
void admin_props(void *arg, struct exchange *x)
{
    const struct service *service = arg;
    struct model_info model = { 0 };
    struct buf body = { 0 };

    (void)service_find_model(arg, "", &model);
    buf_printf(&body, "{\"build_info\":\"pomona-%s\",\"total_slots\":%d,\"model_alias\":",
               service->version, FLOWS_MAX);
    json_out_text(&body, model.name);
    buf_printf(&body, ",\"default_generation_settings\":{\"n_ctx\":%u}}", model.context_tokens);
    exchange_reply(x, 200, "application/json", &body);
}

/* What shall be placed: ret [WANTED_MAX]. */
static size_t take_wanted(struct service *service, struct admin_wanted *ret)
{
    struct cluster_wanted *wanted = calloc(WANTED_MAX, sizeof(*wanted));
    const size_t n = wanted ? cluster_wanted(service->cluster, wanted, WANTED_MAX) : 0;
    size_t n_placed = 0;

    for (size_t i = 0; i < n; i++) {
        if (wanted[i].n_copies == 0)
            continue;
        memcpy(ret[n_placed].model, wanted[i].model, sizeof(ret[n_placed].model));
        ret[n_placed].n_copies = wanted[i].n_copies;
        ret[n_placed++].trouble = upkeep_trouble(service->upkeep, wanted[i].model);
    }
    free(wanted);
    return n_placed;
}

/* Everything the cluster tells, copied: struct admin_state lends it to a renderer. */
bool admin_take_state(struct service *service, struct admin_state *ret)
{
    struct cluster_member *members = calloc(NODES_MAX, sizeof(*members));
    struct model_info *models = calloc(MODELS_MAX, sizeof(*models));
    struct admin_wanted *wanted = calloc(WANTED_MAX, sizeof(*wanted));
    struct cluster_instance *instances;
    struct cluster_link *links;
    size_t n;

    if (!members || !models || !wanted) {
        free(members);
        free(models);
        free(wanted);
        return false;
    }
    *ret = (struct admin_state){
        .cluster_name = service->cluster_name,
        .node_name = service->node_name,
        .version = service->version,
        .uptime_s = (clock_ns() - service->begun_ns) / NS_PER_S,
        .unix_ms = clock_unix_ms(),
    };
    n = cluster_members(service->cluster, members, NODES_MAX);
    ret->n_members = n < NODES_MAX ? n : NODES_MAX;
    ret->members = members;
    n = cluster_models(service->cluster, models, MODELS_MAX);
    ret->n_models = n < MODELS_MAX ? n : MODELS_MAX;
    ret->models = models;
    ret->n_instances = service_instances(service, &instances);
    ret->instances = instances;
    cluster_leadership(service->cluster, &ret->leadership);
    ret->wanted = wanted;
    ret->n_wanted = take_wanted(service, wanted);
    ret->n_links = cluster_links(service->cluster, &links);
    ret->links = links;
    return true;
}

void admin_state_release(struct admin_state *state)
{
    free((void *)(uintptr_t)state->members);
    free((void *)(uintptr_t)state->models);
    free((void *)(uintptr_t)state->instances);
    free((void *)(uintptr_t)state->wanted);
    free((void *)(uintptr_t)state->links);
}

static void health(struct service *service, struct exchange *x, int http_status, const char *word)
{
    struct admin_state state;
    struct buf body = { 0 };

    if (!admin_take_state(service, &state)) {
        admin_no_memory(x);
        return;
    }
    admin_render_health(&state, word, &body);
    admin_state_release(&state);
    exchange_reply(x, http_status, "application/json", &body);
}

void admin_live(void *arg, struct exchange *x)
{
    struct service *service = arg;

    health(service, x, 200, service->is_draining ? "draining" : "ok");
}

/* A load balancer should send nothing new to a node that drains, or whose engine stands still. */
void admin_ready(void *arg, struct exchange *x)
{
    struct service *service = arg;

    if (service->is_draining)
        health(service, x, 503, "draining");
    else if (cluster_is_stalled(service->cluster))
        health(service, x, 503, "stalled");
    else
        health(service, x, 200, "ok");
}

void admin_state_handler(void *arg, struct exchange *x)
{
    struct admin_state state;
    struct buf body = { 0 };

    if (!admin_take_state(arg, &state)) {
        admin_no_memory(x);
        return;
    }
    admin_render_state(&state, &body);
    admin_state_release(&state);
    exchange_reply(x, 200, "application/json", &body);
}

static void switch_drain(struct service *service, struct exchange *x, const char *node,
                         enum drain_switch how, const char *by)
{
    struct buf body = { 0 };
    struct err err = { 0 };
    struct api_error e;

    if (cluster_drain(service->cluster, node, how, by, &err) != ST_OK) {
        (void)api_error_set(&e, err.status == ST_NOTFOUND ? API_INVALID_VALUE : API_UPSTREAM,
                            "node", "%s", err.words);
        exchange_fail(x, &e);
        return;
    }
    buf_puts(&body, "{\"node\":");
    json_out_text(&body, node);
    buf_printf(&body, ",\"draining\":%s}", how == DRAIN_ON ? "true" : "false");
    exchange_reply(x, 200, "application/json", &body);
}

/* Its streams look for another instance, as after a loss; what shall be placed is placed anew. */
void admin_replace(void *arg, struct exchange *x, const char *instance_id)
{
    struct service *service = arg;
    struct buf body = { 0 };
    struct err why, err = { 0 };
    struct api_error e;

    (void)err_set(&why, ST_PEER, "it was asked to be replaced");
    if (cluster_end(service->cluster, instance_id, &why, &err) != ST_OK) {
        (void)api_error_set(&e, API_INVALID_VALUE, "instance", "%s", err.words);
        exchange_fail(x, &e);
        return;
    }
    buf_puts(&body, "{\"instance\":");
    json_out_text(&body, instance_id);
    buf_puts(&body, ",\"ended\":true}");
    exchange_reply(x, 200, "application/json", &body);
}

void admin_drain(void *arg, struct exchange *x, const char *node, const char *by)
{
    switch_drain(arg, x, node, DRAIN_ON, by);
}

void admin_undrain(void *arg, struct exchange *x, const char *node)
{
    switch_drain(arg, x, node, DRAIN_OFF, "");
}
