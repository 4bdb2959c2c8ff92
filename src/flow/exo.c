/* SPDX-License-Identifier: Apache-2.0 */
/* flow/exo.c - answers to exo's tools: the state, previews, placing and ending instances. */
#include "flow/exo.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/random.h"
#include "flow/exo_priv.h"
#include "flow/placement.h"

enum { PREVIEWS_MAX = 16 /* nodes of the longest ring shown */ };

enum status exo_new(struct service *service, struct exo **ret_exo, struct err *err)
{
    struct exo *exo = calloc(1, sizeof(*exo));

    if (!exo)
        return err_set(err, ST_NOMEM, "what exo's tools ask");
    exo->service = service;
    *ret_exo = exo;
    return ST_OK;
}

static void placing_free(struct exo_placing *p)
{
    *p->link = p->next;
    if (p->next)
        p->next->link = p->link;
    free(p);
}

void exo_free(struct exo *exo)
{
    if (!exo)
        return;
    while (exo->placings) {
        cluster_place_forget(exo->service->cluster, exo->placings->ticket);
        placing_free(exo->placings);
    }
    exo_free_waiters(exo);
    free(exo);
}

const char *exo_name_of(void *arg, const char *instance_id)
{
    const struct exo *exo = arg;

    for (size_t i = 0; i < EXO_NAMES_MAX; i++) {
        if (exo->names[i].asked[0] && strcmp(exo->names[i].is, instance_id) == 0)
            return exo->names[i].asked;
    }
    return instance_id;
}

static void remember(struct exo *exo, const char *asked, const char *instance_id)
{
    struct exo_name *name = &exo->names[exo->n_names % EXO_NAMES_MAX];

    if (!asked[0] || exo_name_of(exo, instance_id) != instance_id)
        return;
    (void)snprintf(name->asked, sizeof(name->asked), "%s", asked);
    (void)snprintf(name->is, sizeof(name->is), "%s", instance_id);
    exo->n_names++;
}

void exo_reply(struct exchange *x, json_t *tree)
{
    char *text = tree ? json_dumps(tree, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
    struct buf body = { 0 };

    if (text)
        buf_puts(&body, text);
    else
        body.failed = true;
    free(text);
    json_decref(tree);
    exchange_reply(x, 200, "application/json", &body);
}

static void not_there(struct exchange *x, const char *what)
{
    struct api_error e;

    (void)api_error_set(&e, API_UNKNOWN_ANSWER, NULL, "There is no '%.128s'.", what);
    exchange_fail(x, &e);
}

void exo_show_node_id(void *arg, struct exchange *x)
{
    const struct service *service = arg;

    exo_reply(x, json_string(service->node_name));
}

static json_t *state_of(struct service *service)
{
    struct admin_state state;
    json_t *tree;

    if (!admin_take_state(service, &state))
        return NULL;
    tree = exo_state(&state, exo_name_of, service->exo);
    admin_state_release(&state);
    return tree;
}

void exo_show_state(void *arg, struct exchange *x, const char *path)
{
    json_t *tree = state_of(arg);
    json_t *found = json_incref((json_t *)(uintptr_t)exo_walk(tree, path));

    if (tree && !found)
        not_there(x, path);
    else
        exo_reply(x, found);
    json_decref(tree);
}

void exo_show_instance(void *arg, struct exchange *x, const char *id)
{
    json_t *tree = state_of(arg);
    json_t *found = json_incref(json_object_get(json_object_get(tree, "instances"), id));

    if (tree && !found)
        not_there(x, id);
    else
        exo_reply(x, found);
    json_decref(tree);
}

/* Those who could hold it, the one with the most room first. */
static int by_room(const void *a, const void *b)
{
    const struct node_view *x = a, *y = b;
    const int64_t left = (int64_t)(x->memory_bytes - x->memory_used_bytes);
    const int64_t right = (int64_t)(y->memory_bytes - y->memory_used_bytes);

    return (left < right) - (left > right);
}

static enum status find_nodes(struct service *service, const struct exo_placement *asked,
                              struct model_info *ret_model, struct node_set *ret_nodes,
                              struct api_error *e)
{
    struct place_request *request = calloc(1, sizeof(*request));
    enum status s;

    if (!request)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    request->n_nodes = asked->n_nodes;
    memcpy(request->nodes, asked->nodes, sizeof(request->nodes));
    s = service_find_model(service, asked->model, ret_model)
            ? placement_nodes(service, ret_model, request, ret_nodes, e)
            : admin_unknown_model(asked->model, e);
    free(request);
    if (s == ST_OK)
        qsort(ret_nodes->nodes, ret_nodes->n_nodes, sizeof(ret_nodes->nodes[0]), by_room);
    return s;
}

/* A ring of exactly these nodes, layers by memory, in words that the planner obeys. */
static bool ask_for_ring(const struct node_set *nodes, size_t n, struct place_request *request)
{
    size_t len = 0;

    *request = (struct place_request){ .n_nodes = n };
    for (size_t i = 0; i < n; i++) {
        const int more = snprintf(request->overrides + len, sizeof(request->overrides) - len, "%s,",
                                  nodes->nodes[i].name);

        memcpy(request->nodes[i], nodes->nodes[i].name, NODE_NAME_MAX);
        len += (size_t)more;
        if (len >= sizeof(request->overrides))
            return false;
    }
    return snprintf(request->overrides + len, sizeof(request->overrides) - len, "strategy=%s",
                    n > 1 ? "ring-memory-weighted" : "single") <
           (int)(sizeof(request->overrides) - len);
}

static enum status plan_ring(struct service *service, const struct model_info *model,
                             const struct node_set *nodes, size_t n, struct plan *ret_plan,
                             struct api_error *e)
{
    struct place_request *request = calloc(1, sizeof(*request));
    struct node_set *chosen = calloc(1, sizeof(*chosen));
    enum status s = ST_NOMEM;

    if (!request || !chosen)
        (void)api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    else if (!ask_for_ring(nodes, n, request))
        s = api_error_set(e, API_INVALID_VALUE, "min_nodes", "So many nodes cannot be named.");
    else
        s = placement_nodes(service, model, request, chosen, e);
    if (s == ST_OK)
        s = placement_plan(service, model, chosen, request, ret_plan, e);
    free(request);
    free(chosen);
    return s;
}

static void append_preview(struct service *service, const struct model_info *model,
                           const struct node_set *nodes, size_t n, json_t *list)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct api_error e = { 0 };
    char id[33];
    enum status s = plan ? plan_ring(service, model, nodes, n, plan, &e) : ST_NOMEM;

    random_hex(id, 16);
    (void)json_array_append_new(
        list, exo_preview(s == ST_OK ? plan : NULL, id, model, s == ST_OK ? NULL : e.message));
    free(plan);
}

void exo_show_previews(void *arg, struct exchange *x, const struct exo_placement *asked)
{
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    json_t *list = json_array();
    struct model_info model;
    struct api_error e;

    if (!nodes || !list) {
        admin_no_memory(x);
    } else if (find_nodes(arg, asked, &model, nodes, &e) != ST_OK) {
        exchange_fail(x, &e);
    } else {
        for (size_t n = asked->min_nodes ? asked->min_nodes : 1;
             n <= nodes->n_nodes && n <= PREVIEWS_MAX; n++)
            append_preview(arg, &model, nodes, n, list);
        exo_reply(x, json_pack("{s:O}", "previews", list));
    }
    json_decref(list);
    free(nodes);
}

/* The fewest nodes that hold it, and at least those asked for; its reason where none do. */
static enum status plan_placement(struct service *service, const struct exo_placement *asked,
                                  struct model_info *ret_model, struct plan *ret_plan,
                                  struct api_error *e)
{
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    size_t n = asked->min_nodes ? asked->min_nodes : 1;
    enum status s;

    if (!nodes)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    s = find_nodes(service, asked, ret_model, nodes, e);
    if (s == ST_OK && n > nodes->n_nodes) {
        s = ST_FULL;
        (void)api_error_set(e, API_NO_NODES, "min_nodes", "%zu nodes can hold it, not %zu.",
                            nodes->n_nodes, n);
    } else if (s == ST_OK) {
        do
            s = plan_ring(service, ret_model, nodes, n, ret_plan, e);
        while (s != ST_OK && ++n <= nodes->n_nodes && n <= PREVIEWS_MAX);
    }
    free(nodes);
    return s;
}

void exo_show_placement(void *arg, struct exchange *x, const struct exo_placement *asked)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct model_info model;
    struct api_error e;
    char id[33];

    random_hex(id, 16);
    if (!plan)
        admin_no_memory(x);
    else if (plan_placement(arg, asked, &model, plan, &e) == ST_OK)
        exo_reply(x, exo_instance(plan, id, &model));
    else
        exchange_fail(x, &e);
    free(plan);
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure)
{
    struct exo_placing *p = arg;

    if (instance)
        remember(p->exo, p->id, instance->view.id);
    if (!done)
        return;
    if (!instance)
        log_with(LOG_WARN, "what was asked for is not placed", log_text("instance", p->id),
                 log_text("error", failure->words));
    placing_free(p);
}

static struct exo_placing *placing_new(struct exo *exo, const char *id)
{
    struct exo_placing *p = calloc(1, sizeof(*p));

    if (!p)
        return NULL;
    p->exo = exo;
    (void)snprintf(p->id, sizeof(p->id), "%s", id);
    p->link = &exo->placings;
    p->next = exo->placings;
    if (p->next)
        p->next->link = &p->next;
    exo->placings = p;
    return p;
}

static void acknowledge(struct exchange *x, const char *id, const struct model_info *model)
{
    char command[33];

    random_hex(command, 16);
    exo_reply(x, json_pack("{s:s,s:s,s:s,s:o}", "message", "Command received.", "command_id",
                           command, "instance_id", id, "model_card", exo_model_card(model)));
}

/* Run the plan; the answer is that it is under way. */
static void run_plan(struct service *service, struct exchange *x, const struct plan *plan,
                     const struct model_info *model, const char *id)
{
    const struct place_order order = { plan, PLACE_ASKED };
    struct exo_placing *p = placing_new(service->exo, id);
    struct err err = { 0 };
    struct api_error e;

    if (!p) {
        admin_no_memory(x);
        return;
    }
    if (cluster_place(service->cluster, &order, on_placed, p, &p->ticket, &err) == ST_OK) {
        acknowledge(x, id, model);
        return;
    }
    placing_free(p);
    placement_error(&err, &e);
    exchange_fail(x, &e);
}

void exo_place(void *arg, struct exchange *x, const struct exo_placement *asked)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct model_info model;
    struct api_error e;
    char id[33];

    random_hex(id, 16);
    if (!plan)
        admin_no_memory(x);
    else if (plan_placement(arg, asked, &model, plan, &e) == ST_OK)
        run_plan(arg, x, plan, &model, id);
    else
        exchange_fail(x, &e);
    free(plan);
}

static enum status plan_instance(struct service *service, const struct place_request *request,
                                 struct model_info *ret_model, struct plan *ret_plan,
                                 struct api_error *e)
{
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    enum status s;

    if (!nodes)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for this request.");
    s = service_find_model(service, request->model, ret_model)
            ? placement_nodes(service, ret_model, request, nodes, e)
            : admin_unknown_model(request->model, e);
    if (s == ST_OK)
        s = placement_plan(service, ret_model, nodes, request, ret_plan, e);
    free(nodes);
    return s;
}

void exo_create(void *arg, struct exchange *x, const struct place_request *request, const char *id)
{
    struct plan *plan = calloc(1, sizeof(*plan));
    struct model_info model;
    struct api_error e;
    char made[33];

    random_hex(made, 16);
    if (!plan)
        admin_no_memory(x);
    else if (plan_instance(arg, request, &model, plan, &e) == ST_OK)
        run_plan(arg, x, plan, &model, id[0] ? id : made);
    else
        exchange_fail(x, &e);
    free(plan);
}

static void on_unplaced(void *arg, bool done, const struct cluster_instance *instance,
                        const struct err *failure)
{
    struct exo_placing *p = arg;

    (void)done;
    (void)instance;
    if (failure)
        log_with(LOG_WARN, "an instance is not ended", log_text("instance", p->id),
                 log_text("error", failure->words));
    placing_free(p);
}

/* The model of the instance called so, and how many instances it has. */
static size_t find_instance(struct service *service, const char *id, char *ret_model)
{
    struct cluster_instance *all;
    const size_t n = service_instances(service, &all);
    size_t n_same = 0;

    ret_model[0] = '\0';
    for (size_t i = 0; i < n; i++) {
        if (strcmp(all[i].view.id, id) == 0 ||
            strcmp(exo_name_of(service->exo, all[i].view.id), id) == 0)
            memcpy(ret_model, all[i].view.model, MODEL_NAME_MAX);
    }
    for (size_t i = 0; i < n; i++)
        n_same += strcmp(all[i].view.model, ret_model) == 0;
    free(all);
    return n_same;
}

/* What shall be placed is decided for models: one of several instances would be placed again. */
void exo_delete(void *arg, struct exchange *x, const char *id)
{
    struct service *service = arg;
    char model[MODEL_NAME_MAX];
    const size_t n = find_instance(service, id, model);
    struct model_info info = { 0 };
    struct exo_placing *p;
    struct err err = { 0 };
    struct api_error e;

    if (!model[0]) {
        not_there(x, id);
        return;
    }
    if (n > 1) {
        (void)api_error_set(&e, API_INVALID_VALUE, NULL,
                            "%zu instances of %s run: POST /cluster/unplace ends them all.", n,
                            model);
        exchange_fail(x, &e);
        return;
    }
    memcpy(info.name, model, sizeof(info.name));
    (void)service_find_model(service, model, &info);
    p = placing_new(service->exo, id);
    if (!p) {
        admin_no_memory(x);
    } else if (cluster_unplace(service->cluster, model, on_unplaced, p, &p->ticket, &err) ==
               ST_OK) {
        acknowledge(x, id, &info);
    } else {
        placing_free(p);
        placement_error(&err, &e);
        exchange_fail(x, &e);
    }
}
