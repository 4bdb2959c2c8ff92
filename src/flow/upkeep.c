/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upkeep.c - what shall be placed is placed, and nothing else stays. */
#include "flow/upkeep.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "flow/placement.h"
#include "flow/service_priv.h"

/* A model that is not placed though it shall be. */
struct trouble {
    char model[MODEL_NAME_MAX];
    uint64_t since_ns, retry_at_ns;
    unsigned n_failures;
    char why[ERR_WORDS_MAX];
    struct trouble *next;
};

struct upkeep {
    struct service *service;
    struct trouble *troubles;
    bool is_placing;
    uint64_t ticket;
    char model[MODEL_NAME_MAX]; /* that is being placed */
    char leaving[INSTANCE_ID_MAX];
    uint64_t leaving_since_ns;
};

enum status upkeep_new(struct service *service, struct upkeep **ret_upkeep, struct err *err)
{
    struct upkeep *u = calloc(1, sizeof(*u));

    if (!u)
        return err_set(err, ST_NOMEM, "the API could not be made");
    u->service = service;
    *ret_upkeep = u;
    return ST_OK;
}

static void forget_all(struct upkeep *u)
{
    while (u->troubles) {
        struct trouble *t = u->troubles;

        u->troubles = t->next;
        free(t);
    }
    u->leaving[0] = '\0';
}

void upkeep_free(struct upkeep *u)
{
    if (!u)
        return;
    if (u->is_placing)
        cluster_place_forget(u->service->cluster, u->ticket);
    forget_all(u);
    free(u);
}

static struct trouble *find(const struct upkeep *u, const char *model)
{
    for (struct trouble *t = u->troubles; t; t = t->next)
        if (strcmp(t->model, model) == 0)
            return t;
    return NULL;
}

const char *upkeep_trouble(const struct upkeep *u, const char *model)
{
    const struct trouble *t = find(u, model);

    return t ? t->why : "";
}

/* NULL: no memory, and the next tick tries again. */
static struct trouble *note(struct upkeep *u, const char *model)
{
    struct trouble *t = find(u, model);

    if (t)
        return t;
    t = calloc(1, sizeof(*t));
    if (!t)
        return NULL;
    memcpy(t->model, model, strlen(model) + 1);
    t->since_ns = clock_ns();
    t->next = u->troubles;
    u->troubles = t;
    return t;
}

static void forget(struct upkeep *u, const char *model)
{
    for (struct trouble **at = &u->troubles; *at; at = &(*at)->next)
        if (strcmp((*at)->model, model) == 0) {
            struct trouble *t = *at;

            *at = t->next;
            free(t);
            return;
        }
}

static void failed(struct upkeep *u, const char *model, const char *why)
{
    struct trouble *t = note(u, model);
    uint64_t wait_ms = UPKEEP_RETRY_FIRST_MS;

    if (!t)
        return;
    for (unsigned i = 0; i < t->n_failures && wait_ms < UPKEEP_RETRY_LAST_MS; i++)
        wait_ms *= 2;
    if (wait_ms > UPKEEP_RETRY_LAST_MS)
        wait_ms = UPKEEP_RETRY_LAST_MS;
    t->n_failures++;
    t->retry_at_ns = deadline_after_ms(wait_ms);
    if (strcmp(t->why, why) != 0) /* the same words are said once */
        log_with(LOG_WARN, "a model shall be placed, and is not; it is tried again, now and then",
                 log_text("model", model), log_text("error", why));
    (void)snprintf(t->why, sizeof(t->why), "%s", why);
}

static bool may_place(void *arg, const char *model)
{
    const struct trouble *t = find(arg, model);

    return !t || clock_ns() >= t->retry_at_ns;
}

static void on_placed(void *arg, bool done, const struct cluster_instance *instance,
                      const struct err *failure)
{
    struct upkeep *u = arg;

    if (!done)
        return;
    u->is_placing = false;
    if (instance)
        forget(u, u->model);
    else
        failed(u, u->model, failure->words);
}

static void ask(struct upkeep *u, const struct plan *plan, enum place_purpose purpose)
{
    const struct place_order order = { plan, purpose };
    struct err err;

    memcpy(u->model, plan->model, sizeof(u->model));
    u->is_placing =
        cluster_place(u->service->cluster, &order, on_placed, u, &u->ticket, &err) == ST_OK;
    if (!u->is_placing)
        failed(u, plan->model, err.words);
}

/* A plan as `request` asks. */
static enum status plan_as(struct upkeep *u, const struct model_info *model,
                           const struct place_request *request, struct plan *ret_plan,
                           struct api_error *e)
{
    struct node_set *nodes = calloc(1, sizeof(*nodes));
    enum status s;

    if (!nodes)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for a plan.");
    s = placement_nodes(u->service, model, request, nodes, e);
    if (s == ST_OK)
        s = placement_plan(u->service, model, nodes, request, ret_plan, e);
    free(nodes);
    return s;
}

/* As it was last asked for; with nodes: on the same ones, each with the same layers. */
static void request_like(const struct plan *plan, struct place_request *request)
{
    *request = (struct place_request){ .context_tokens = plan->context_tokens,
                                       .has_kv_format = true,
                                       .kv_format = plan->kv_format,
                                       .has_activations = true,
                                       .activations = plan->activations,
                                       .transport = plan->transport,
                                       .sums = plan->sums,
                                       .n_nodes = plan->n_shards,
                                       .n_split = plan->n_shards };
    memcpy(request->draft, plan->draft, sizeof(request->draft));
    placement_ask_for(placement_strategy(plan), request);
    for (size_t i = 0; i < plan->n_shards; i++) {
        memcpy(request->nodes[i], plan->shards[i].node, sizeof(request->nodes[i]));
        request->split[i] =
            plan->shards[i].share > 0 ? plan->shards[i].share : plan->shards[i].n_layers;
    }
    if (strcmp(placement_strategy(plan), "hybrid") == 0) /* which no split can say */
        request->n_split = 0;
}

/* What is given up, one thing after the other, where a plan is not to be had. */
enum { N_GIVEN_UP = 3 };

static void ask_for_less(struct place_request *request, unsigned n_times)
{
    if (n_times == 0)
        request->n_nodes = request->n_split = 0;
    if (n_times == 1)
        request->overrides[0] = '\0';
    if (n_times == 2) {
        request->context_tokens = 0; /* rather a shorter context than none */
        request->draft[0] = '\0';
    }
}

/* The same nodes again, over the link that just broke under them, would break again. */
static enum status check_links(const struct upkeep *u, const struct plan *plan, struct api_error *e)
{
    size_t a, b;

    if (!cluster_cut_pair(u->service->cluster, plan, &a, &b))
        return ST_OK;
    return api_error_set(e, API_NO_NODES, NULL,
                         "Nodes '%s' and '%s' do not reach each other for data: the link between "
                         "them is cut.",
                         plan->shards[a].node, plan->shards[b].node);
}

static enum status plan_again(struct upkeep *u, const struct plan *asked, bool is_patient,
                              struct plan *ret_plan, struct api_error *e)
{
    struct place_request *request = calloc(1, sizeof(*request));
    struct model_info model;
    enum status s;

    if (!request)
        return api_error_set(e, API_OVERLOADED, NULL, "There is no memory for a plan.");
    request_like(asked, request);
    if (!service_find_model(u->service, asked->model, &model)) {
        (void)api_error_set(e, API_MODEL_NOT_FOUND, NULL, "No node that is alive holds it.");
        s = ST_NOTFOUND;
    } else {
        s = plan_as(u, &model, request, ret_plan, e);
        if (s == ST_OK)
            s = check_links(u, ret_plan, e);
        for (unsigned i = 0; i < N_GIVEN_UP && s != ST_OK && !is_patient; i++) {
            ask_for_less(request, i);
            s = plan_as(u, &model, request, ret_plan, e);
        }
    }
    free(request);
    return s;
}

static void place(struct upkeep *u, const struct upkeep_step *step)
{
    struct plan *asked = calloc(2, sizeof(*asked)); /* and the one that is made like it */
    struct trouble *t = note(u, step->wanted->model);
    struct plan *plan;
    struct api_error e;
    bool is_patient;

    if (!asked || !t || !cluster_wanted_plan(u->service->cluster, t->model, step->copy, asked)) {
        free(asked);
        return;
    }
    plan = asked + 1;
    is_patient = clock_ns() - t->since_ns < UPKEEP_PATIENCE_MS * NS_PER_MS;

    if (plan_again(u, asked, is_patient, plan, &e) == ST_OK) {
        log_with(LOG_INFO, "a model shall be placed: it is", log_text("model", plan->model),
                 log_count("nodes", plan->n_shards));
        ask(u, plan, PLACE_MOVED);
    } else if (is_patient) {
        (void)snprintf(t->why, sizeof(t->why), "%s", e.message);
    } else {
        failed(u, t->model, e.message);
    }
    free(asked);
}

static void leave(struct upkeep *u, const struct upkeep_step *step,
                  const struct cluster_instance *all, size_t n)
{
    const struct cluster_instance *in = step->instance;
    const bool is_idle = in->view.n_active + in->view.n_waiting == 0;
    uint64_t leave_ms = UPKEEP_UNWANTED_MS, for_ms;
    struct err why, err;

    if (strcmp(u->leaving, in->view.id) != 0) {
        memcpy(u->leaving, in->view.id, sizeof(u->leaving));
        u->leaving_since_ns = clock_ns();
    }
    for_ms = (clock_ns() - u->leaving_since_ns) / NS_PER_MS;
    if (upkeep_has_another(in, all, n))
        leave_ms = UPKEEP_LEAVE_MS;
    else if (step->wanted) /* the other computes other tokens */
        leave_ms = UINT64_MAX;
    if (for_ms < UPKEEP_SURPLUS_MS || (!is_idle && for_ms < leave_ms))
        return;
    if (step->wanted)
        (void)err_set(&why, ST_PEER, "there are more instances of '%s' than shall be",
                      in->view.model);
    else
        (void)err_set(&why, ST_CANCELED, "'%s' was unplaced", in->view.model);
    (void)cluster_end(u->service->cluster, in->view.id, &why, &err); /* it may be gone already */
    u->leaving[0] = '\0';
}

static void step_once(struct upkeep *u, const struct cluster_wanted *wanted, size_t n_wanted,
                      const struct cluster_instance *all, size_t n)
{
    const struct upkeep_step step = upkeep_next(wanted, n_wanted, all, n, u->leaving, may_place, u);

    if (step.what != UPKEEP_LEAVE)
        u->leaving[0] = '\0';
    if (step.what == UPKEEP_PLACE)
        place(u, &step);
    else if (step.what == UPKEEP_KEEP)
        ask(u, &step.instance->plan, PLACE_NEEDED);
    else if (step.what == UPKEEP_LEAVE)
        leave(u, &step, all, n);
}

/* Troubles that are over: the model is placed by others, or shall not be any more. */
static void clear_troubles(struct upkeep *u, const struct cluster_wanted *wanted, size_t n_wanted,
                           const struct cluster_instance *all, size_t n)
{
    for (struct trouble *t = u->troubles, *next; t; t = next) {
        const struct cluster_wanted one = { .n_copies = 0 };
        const struct cluster_wanted *w = &one;

        next = t->next;
        for (size_t i = 0; i < n_wanted; i++)
            if (strcmp(wanted[i].model, t->model) == 0)
                w = &wanted[i];
        if (w->n_copies == 0 || upkeep_next(w, 1, all, n, "", NULL, NULL).what != UPKEEP_PLACE)
            forget(u, t->model);
    }
}

void upkeep_tick(struct upkeep *u)
{
    struct cluster_leadership leadership;
    struct cluster_instance *all;
    struct cluster_wanted *wanted;
    size_t n_wanted, n;

    cluster_leadership(u->service->cluster, &leadership);
    if (leadership.kind != LEADER_ELECTED || !leadership.is_local) {
        forget_all(u);
        return;
    }
    if (u->is_placing || clock_ns() - leadership.since_ns < UPKEEP_SETTLE_MS * NS_PER_MS)
        return;
    wanted = calloc(WANTED_MAX, sizeof(*wanted));
    if (!wanted)
        return;
    n_wanted = cluster_wanted(u->service->cluster, wanted, WANTED_MAX);
    n = service_instances(u->service, &all);
    clear_troubles(u, wanted, n_wanted, all, n);
    step_once(u, wanted, n_wanted, all, n);
    free(all);
    free(wanted);
}
