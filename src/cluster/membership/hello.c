/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/hello.c - the first message: who speaks, and what it knows.
 *
 * Whoever connected speaks first; the other checks, answers with its own
 * Hello, and from then on both are up.  A Hello lists every instance its
 * sender knows, so a node that joins late knows what the others know.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/cluster_priv.h"

/* The arrays a list of models or instances is sent from; NULL members where
 * memory ran out, and then the list is empty. */
struct model_list {
    Wire__Model *models;
    Wire__Model **list;
    size_t n;
};

static struct model_list model_list_new(const struct member *self)
{
    struct model_list l = { calloc(self->n_models + 1, sizeof(*l.models)),
                            calloc(self->n_models + 1, sizeof(Wire__Model *)), self->n_models };

    if (!l.models || !l.list) {
        l.n = 0;
        log_error("the models of this node cannot be told: out of memory");
    }
    for (size_t i = 0; i < l.n; i++) {
        wire_of_model(&self->models[i], &l.models[i]);
        l.list[i] = &l.models[i];
    }
    return l;
}

static void model_list_release(struct model_list *l)
{
    free(l->models);
    free(l->list);
}

static size_t fill_instances(struct cluster *cluster, struct announcement *made,
                             Wire__InstanceState **list)
{
    size_t n = 0;

    for (struct instance *in = cluster->instances; in && n < INSTANCES_MAX; in = in->next, n++) {
        announcement_fill(&made[n], in);
        list[n] = &made[n].state;
    }
    return n;
}

void hello_send(struct link *link)
{
    struct cluster *cluster = link->cluster;
    const struct cluster_member *self = &cluster->self->info;
    struct announcement *made = calloc(INSTANCES_MAX, sizeof(*made));
    struct model_list models = model_list_new(cluster->self);
    Wire__InstanceState *instances[INSTANCES_MAX];
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Hello hello = WIRE__HELLO__INIT;

    hello.protocol = PROTOCOL;
    hello.cluster = cluster->cluster_name;
    hello.node = (char *)self->name;
    hello.id = cluster->node_id;
    hello.version = (char *)self->version;
    hello.api_port = self->api_port;
    hello.memory_bytes = self->memory_bytes;
    hello.share_port = self->share_port;
    hello.models = models.list;
    hello.n_models = models.n;
    hello.instances = instances;
    hello.n_instances = made ? fill_instances(cluster, made, instances) : 0;
    message.body_case = WIRE__NODE_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    link_send(link, &message);
    model_list_release(&models);
    free(made);
}

void models_broadcast(struct cluster *cluster)
{
    struct model_list list = model_list_new(cluster->self);
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Models models = WIRE__MODELS__INIT;

    models.models = list.list;
    models.n_models = list.n;
    message.body_case = WIRE__NODE_MESSAGE__BODY_MODELS;
    message.models = &models;
    link_broadcast(cluster, &message);
    model_list_release(&list);
}

enum status models_receive(struct member *member, Wire__Model *const *models, size_t n_models,
                           struct err *err)
{
    struct model_info *infos;
    enum status s = ST_OK;

    if (n_models > MODELS_MAX)
        return err_set(err, ST_RANGE, "node '%s' lists %zu models, at most %d are taken",
                       member->info.name, n_models, MODELS_MAX);
    infos = calloc(n_models + 1, sizeof(*infos));
    if (!infos)
        return err_set(err, ST_NOMEM, "the models of node '%s'", member->info.name);
    for (size_t i = 0; i < n_models && s == ST_OK; i++)
        s = wire_to_model(models[i], &infos[i], err);
    if (s != ST_OK) {
        free(infos);
        return s;
    }
    member_take_models(member, infos, n_models);
    return ST_OK;
}

/* Who speaks, if it may. */
static enum status identify(struct link *link, const Wire__Hello *hello, struct member **ret_member,
                            struct err *err)
{
    struct cluster *cluster = link->cluster;
    struct member *member;

    if (hello->protocol != PROTOCOL)
        return err_set(err, ST_UNSUPPORTED,
                       "the peer speaks protocol %u, this node %d; run the same version of Pomona "
                       "on every node",
                       hello->protocol, PROTOCOL);
    if (strcmp(hello->cluster, cluster->cluster_name) != 0)
        return err_set(err, ST_DENIED, "the peer belongs to another cluster than '%s'",
                       cluster->cluster_name);
    member = text_is_name(hello->node, NODE_NAME_MAX) ? member_find(cluster, hello->node) : NULL;
    if (!member)
        return err_set(err, ST_DENIED, "the peer is not a node of this cluster's configuration");
    if (member->info.is_local || strcmp(hello->id, cluster->node_id) == 0)
        return err_set(err, ST_DENIED,
                       "the peer has the name or the id of this node '%s'; give each its own name "
                       "and data folder",
                       cluster->self->info.name);
    if (link->is_outgoing && link->member != member)
        return err_set(err, ST_DENIED, "node '%s' answers where '%s' was expected", hello->node,
                       link->member->info.name);
    *ret_member = member;
    return ST_OK;
}

static enum status take_description(struct member *member, const Wire__Hello *hello,
                                    struct err *err)
{
    struct cluster_member info = member->info;
    enum status s;

    s = text_take(hello->id, "node id", info.id, sizeof(info.id), err);
    if (s == ST_OK)
        s = text_take(hello->version, "version", info.version, sizeof(info.version), err);
    if (s == ST_OK && (hello->api_port > UINT16_MAX || hello->share_port > UINT16_MAX))
        s = err_set(err, ST_FORMAT, "a message has ports %u and %u", hello->api_port,
                    hello->share_port);
    if (s == ST_OK)
        s = models_receive(member, hello->models, hello->n_models, err);
    if (s != ST_OK)
        return s;
    info.api_port = (uint16_t)hello->api_port;
    info.memory_bytes = hello->memory_bytes;
    info.share_port = (uint16_t)hello->share_port;
    member->info = info;
    return ST_OK;
}

enum status hello_receive(struct link *link, const Wire__Hello *hello, struct err *err)
{
    struct member *member = NULL;
    enum status s;

    if (link->is_up)
        return err_set(err, ST_FORMAT, "the peer says Hello twice");
    s = identify(link, hello, &member, err);
    if (s == ST_OK)
        s = take_description(member, hello, err);
    if (s != ST_OK)
        return s;

    if (!link->is_outgoing) {
        if (member->link)
            link_lose(member->link, "it connected anew");
        link->member = member;
        member->link = link;
        hello_send(link);
    }
    link_up(link);
    for (size_t i = 0; i < hello->n_instances && s == ST_OK; i++)
        s = instance_learn(link, hello->instances[i], FROM_HELLO, err);
    return s;
}
