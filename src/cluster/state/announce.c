/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/announce.c - instances as nodes tell one another of them. */
#include <math.h>
#include <string.h>

#include "base/log.h"
#include "cluster/cluster_priv.h"

void announcement_fill(struct announcement *a, struct instance *in)
{
    struct driver_address *driver = &in->view.view.driver;

    wire_of_plan(&in->view.plan, &a->plan, a->shards, a->shard_list);
    wire__endpoint__init(&a->driver);
    a->driver.host = driver->host;
    a->driver.port = driver->port;
    wire__instance_state__init(&a->state);
    a->state.instance_id = in->view.view.id;
    a->state.key.data = driver->key;
    a->state.key.len = sizeof(driver->key);
    a->state.coordinator = in->coordinator;
    a->state.plan = &a->plan;
    a->state.is_ready = in->view.state == INSTANCE_READY;
    a->state.progress = in->view.progress;
    a->state.load_seconds = in->view.load_seconds;
    a->state.driver = &a->driver;
    a->state.epoch = in->epoch;
}

void instance_announce(struct cluster *cluster, struct instance *in)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    struct announcement a;

    announcement_fill(&a, in);
    message.body_case = WIRE__NODE_MESSAGE__BODY_INSTANCE;
    message.instance = &a.state;
    link_broadcast(cluster, &message);
}

void instance_announce_progress(struct cluster *cluster, struct instance *in)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__InstanceProgress progress = WIRE__INSTANCE_PROGRESS__INIT;
    Wire__ShardProgress shards[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];

    for (size_t i = 0; i < in->view.plan.n_shards; i++) {
        wire_of_progress(&in->view.shards[i], &shards[i]);
        list[i] = &shards[i];
    }
    progress.instance_id = in->view.view.id;
    progress.progress = in->view.progress;
    progress.n_shards = in->view.plan.n_shards;
    progress.shards = list;
    message.body_case = WIRE__NODE_MESSAGE__BODY_PROGRESS;
    message.progress = &progress;
    link_broadcast(cluster, &message);
}

static void fill_gone(Wire__NodeMessage *message, Wire__InstanceGone *gone, const char *id,
                      const struct err *why)
{
    gone->instance_id = (char *)id;
    gone->status = why->status;
    gone->words = (char *)why->words;
    message->body_case = WIRE__NODE_MESSAGE__BODY_GONE;
    message->gone = gone;
}

void instance_announce_gone(struct cluster *cluster, const char *id, uint64_t epoch,
                            const struct err *why)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__InstanceGone gone = WIRE__INSTANCE_GONE__INIT;

    fill_gone(&message, &gone, id, why);
    gone.epoch = epoch;
    link_broadcast(cluster, &message);
}

void instance_tell_gone(struct link *link, const char *id, const struct err *why)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__InstanceGone gone = WIRE__INSTANCE_GONE__INIT;

    fill_gone(&message, &gone, id, why);
    link_send(link, &message);
}

/* The peer has not heard that the instance ended, or that this node started anew. */
static void contradict(struct link *link, const char *id)
{
    struct err why;

    (void)err_set(&why, ST_PEER, "it ended on node '%s'", link->cluster->self->info.name);
    instance_tell_gone(link, id, &why);
}

static bool is_instance_id(const char *id)
{
    return strlen(id) == INSTANCE_ID_MAX - 1 && text_is_name(id, INSTANCE_ID_MAX);
}

static enum status check(const Wire__InstanceState *state, struct err *err)
{
    if (!is_instance_id(state->instance_id) || !text_is_name(state->coordinator, NODE_NAME_MAX) ||
        state->key.len != INSTANCE_KEY_BYTES || !isfinite(state->progress) ||
        !isfinite(state->load_seconds))
        return err_set(err, ST_FORMAT, "a message describes an instance that cannot be");
    if (state->is_ready &&
        (!state->driver || state->driver->port == 0 || state->driver->port > UINT16_MAX ||
         strlen(state->driver->host) >= HOST_MAX))
        return err_set(err, ST_FORMAT, "a message describes an instance without a driver");
    return ST_OK;
}

static enum status learn_new(struct link *link, const Wire__InstanceState *state,
                             struct instance **ret_instance, struct err *err)
{
    struct plan plan;
    enum status s = wire_to_plan(state->plan, &plan, err);

    if (s == ST_OK)
        s = instance_add(link->cluster, state->instance_id, &plan, state->coordinator, ret_instance,
                         err);
    if (s != ST_OK)
        return s;
    memcpy((*ret_instance)->view.view.driver.key, state->key.data, INSTANCE_KEY_BYTES);
    (*ret_instance)->epoch = state->epoch;
    return instance_keyed(link->cluster, *ret_instance, err);
}

static void learn_ready(struct cluster *cluster, struct instance *in,
                        const Wire__InstanceState *state)
{
    struct driver_address *driver = &in->view.view.driver;

    memcpy(driver->host, state->driver->host, strlen(state->driver->host) + 1);
    driver->port = (uint16_t)state->driver->port;
    in->view.load_seconds = state->load_seconds;
    instance_ready(cluster, in);
    asks_ready(cluster, in);
}

/* A leader that was replaced, and has not heard of it, begins another placing. */
static bool is_of_the_past(struct link *link, const Wire__InstanceState *state)
{
    struct err why;

    if (state->epoch >= lead_epoch(link->cluster) ||
        lead_check(link->cluster, state->epoch, link->member->info.name, &why) == ST_OK)
        return false;
    log_warn("a placing is refused: %s", why.words);
    instance_tell_gone(link, state->instance_id, &why);
    return true;
}

/* Whether the state is news to act on. */
static bool is_believable(struct link *link, const Wire__InstanceState *state,
                          const struct instance *known, enum announce_from from)
{
    const char *self = link->cluster->self->info.name;

    if (instance_is_buried(link->cluster, state->instance_id)) {
        contradict(link, state->instance_id);
        return false;
    }
    if (!known && from == FROM_HELLO && state->plan)
        for (size_t i = 0; i < state->plan->n_shards; i++)
            if (strcmp(state->plan->shards[i]->node, self) == 0) {
                contradict(link, state->instance_id);
                return false;
            }
    if (!known && from == FROM_COORDINATOR && !state->is_ready && is_of_the_past(link, state))
        return false;
    return from == FROM_HELLO || strcmp(state->coordinator, link->member->info.name) == 0;
}

enum status instance_learn(struct link *link, const Wire__InstanceState *state,
                           enum announce_from from, struct err *err)
{
    struct instance *in;
    enum status s = check(state, err);

    if (s != ST_OK)
        return s;
    in = instance_find(link->cluster, state->instance_id);
    if (!is_believable(link, state, in, from))
        return ST_OK;
    if (!in)
        s = learn_new(link, state, &in, err);
    if (s == ST_FULL) {
        log_error("an instance cannot be followed: %s", err->words);
        return ST_OK;
    }
    if (s != ST_OK)
        return s;
    if (state->is_ready && in->view.state == INSTANCE_PLACING && !in->placing)
        learn_ready(link->cluster, in, state);
    return ST_OK;
}

void instance_learn_progress(struct link *link, const Wire__InstanceProgress *progress)
{
    struct instance *in = instance_find(link->cluster, progress->instance_id);

    if (!in || in->view.state != INSTANCE_PLACING || in->placing ||
        !(progress->progress >= 0 && progress->progress <= 1))
        return;
    in->view.progress = progress->progress;
    for (size_t i = 0; i < progress->n_shards && i < in->view.plan.n_shards; i++)
        wire_to_progress(progress->shards[i], &in->view.shards[i]);
    asks_progress(link->cluster, in);
    cluster_changed(link->cluster);
}

void instance_learn_gone(struct link *link, const Wire__InstanceGone *gone)
{
    struct instance *in = instance_find(link->cluster, gone->instance_id);
    struct err why;

    if (!is_instance_id(gone->instance_id))
        return;
    if (gone->epoch != 0 &&
        lead_check(link->cluster, gone->epoch, link->member->info.name, &why) != ST_OK) {
        log_with(LOG_WARN, "an order to end an instance is refused",
                 log_text("instance", gone->instance_id), log_text("error", why.words));
        return;
    }
    if (!in) {
        instance_bury(link->cluster, gone->instance_id);
        return;
    }
    (void)err_set(&why, gone->status == ST_OK ? ST_PEER : status_from_code(gone->status), "%s",
                  gone->words);
    /* who places it has to tell the others: the peer may have told nobody else */
    instance_end(link->cluster, in, in->placing ? END_EVERYWHERE : END_AS_TOLD, &why);
}
