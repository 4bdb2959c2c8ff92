/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/hello.c - the first message: who speaks, and what it knows.
 *
 * Whoever connected speaks first; the other checks, answers with its own
 * Hello, and from then on both are up.  A Hello lists every instance its
 * sender knows, so a node that joins late knows what the others know.
 *
 * Versions: a Hello names the newest and the oldest protocol its sender
 * speaks; both then speak the newest that both know.  Protocol 1 had no range.
 *
 * Two channels of one pair: where the peer's boot differs from the one known,
 * it started anew, and is dead before it is alive again.  Else both called at once, and
 * the channel that the lower name opened stays.  The other is retired: not
 * written to any more, but read, and closed only once the peer has surely done
 * the same, so that neither misses a message or takes its end for a death.
 */
#include <stdlib.h>
#include <string.h>

#include "base/address.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"
#include "cluster/membership/watch.h"

/* The arrays a list of models or instances is sent from; NULL members where
 * memory ran out, and then the list is empty. */
struct model_list {
    Wire__Model *models;
    Wire__Model **list;
    size_t n;
};

static struct model_list model_list_new(const struct model_info *models, size_t n)
{
    struct model_list l = { calloc(n + 1, sizeof(*l.models)), calloc(n + 1, sizeof(Wire__Model *)),
                            n };

    if (!l.models || !l.list) {
        l.n = 0;
        log_error("the models of this node cannot be told: out of memory");
    }
    for (size_t i = 0; i < l.n; i++) {
        wire_of_model(&models[i], &l.models[i]);
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
    const struct member *own = cluster->self;
    struct model_list models = model_list_new(own->models, own->n_models);
    struct model_list parts = model_list_new(own->parts, own->n_parts);
    Wire__InstanceState *instances[INSTANCES_MAX];
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Hello hello = WIRE__HELLO__INIT;

    hello.protocol = PROTOCOL;
    hello.protocol_min = PROTOCOL_MIN;
    hello.boot = cluster->boot;
    if (!host_is_loopback(self->host))
        hello.host = (char *)self->host;
    hello.port = self->port;
    hello.cluster = cluster->cluster_name;
    hello.node = (char *)self->name;
    hello.id = cluster->node_id;
    hello.version = (char *)self->version;
    hello.api_port = self->api_port;
    hello.memory_bytes = self->memory_bytes;
    hello.share_port = self->share_port;
    hello.step_version = self->step_version;
    hello.swim = cluster->watch ? SWIM_SPOKEN : 0;
    hello.models = models.list;
    hello.n_models = models.n;
    hello.parts = parts.list;
    hello.n_parts = parts.n;
    hello.instances = instances;
    hello.n_instances = made ? fill_instances(cluster, made, instances) : 0;
    message.body_case = WIRE__NODE_MESSAGE__BODY_HELLO;
    message.hello = &hello;
    link_send(link, &message);
    model_list_release(&models);
    model_list_release(&parts);
    free(made);
}

void models_broadcast(struct cluster *cluster)
{
    const struct member *own = cluster->self;
    struct model_list list = model_list_new(own->models, own->n_models);
    struct model_list parts = model_list_new(own->parts, own->n_parts);
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__Models models = WIRE__MODELS__INIT;

    models.models = list.list;
    models.n_models = list.n;
    models.parts = parts.list;
    models.n_parts = parts.n;
    message.body_case = WIRE__NODE_MESSAGE__BODY_MODELS;
    message.models = &models;
    link_broadcast(cluster, &message);
    model_list_release(&list);
    model_list_release(&parts);
}

/* ret_infos  given: free() */
static enum status take_models(const struct member *member, Wire__Model *const *models, size_t n,
                               size_t n_max, struct model_info **ret_infos, struct err *err)
{
    struct model_info *infos;
    enum status s = ST_OK;

    if (n > n_max)
        return err_set(err, ST_RANGE, "node '%s' lists %zu models, at most %zu are taken",
                       member->info.name, n, n_max);
    infos = calloc(n + 1, sizeof(*infos));
    if (!infos)
        return err_set(err, ST_NOMEM, "the models of node '%s'", member->info.name);
    for (size_t i = 0; i < n && s == ST_OK; i++)
        s = wire_to_model(models[i], &infos[i], err);
    if (s != ST_OK) {
        free(infos);
        return s;
    }
    *ret_infos = infos;
    return ST_OK;
}

enum status models_receive(struct member *member, Wire__Model *const *models, size_t n_models,
                           Wire__Model *const *parts, size_t n_parts, struct err *err)
{
    struct model_info *whole_infos = NULL, *part_infos = NULL;
    enum status s = take_models(member, models, n_models, MODELS_MAX, &whole_infos, err);

    if (s == ST_OK)
        s = take_models(member, parts, n_parts, PARTS_MAX, &part_infos, err);
    if (s != ST_OK) {
        free(whole_infos);
        return s;
    }
    for (size_t i = 0; i < n_parts; i++)
        part_infos[i].is_part = true;
    member_take_models(member, whole_infos, n_models, part_infos, n_parts);
    return ST_OK;
}

/* The newest protocol that both speak. */
static enum status agree(const Wire__Hello *hello, uint32_t *ret_protocol, struct err *err)
{
    const uint32_t newest = hello->protocol < PROTOCOL ? hello->protocol : PROTOCOL;
    const uint32_t oldest = hello->protocol_min ? hello->protocol_min : hello->protocol;

    if (newest < PROTOCOL_MIN || newest < oldest)
        return err_set(err, ST_UNSUPPORTED,
                       "the peer speaks protocol %u to %u, this node %d to %d; run versions of "
                       "Pomona that are at most one minor version apart",
                       oldest, hello->protocol, PROTOCOL_MIN, PROTOCOL);
    *ret_protocol = newest;
    return ST_OK;
}

/* The member that a Hello names, a new one where joining is allowed. */
static enum status find_member(struct cluster *cluster, const Wire__Hello *hello,
                               struct member **ret_member, struct err *err)
{
    struct member *member;

    if (!text_is_name(hello->node, NODE_NAME_MAX))
        return err_set(err, ST_DENIED, "the peer has no name that a node can have");
    member = member_find(cluster, hello->node);
    if (member && (member->info.is_local || strcmp(hello->id, cluster->node_id) == 0))
        return err_set(err, ST_DENIED,
                       "the peer has the name or the id of this node '%s'; give each its own name "
                       "and data folder",
                       cluster->self->info.name);
    if (!member && strcmp(hello->id, cluster->node_id) == 0)
        return err_set(err, ST_DENIED, "the peer has the id of this node '%s'",
                       cluster->self->info.name);
    if (member && member->info.is_alive && strcmp(member->info.id, hello->id) != 0)
        return err_set(err, ST_DENIED,
                       "another machine is node '%s' already; give each its own "
                       "name with --node",
                       hello->node);
    if (!member && !cluster->allows_joining)
        return err_set(err, ST_DENIED, "the peer is not a node of this cluster's configuration");
    *ret_member = member;
    return member ? ST_OK : member_add(cluster, hello->node, ret_member, err);
}

/* Who speaks, if it may. */
static enum status identify(struct link *link, const Wire__Hello *hello, struct member **ret_member,
                            struct err *err)
{
    struct cluster *cluster = link->cluster;
    enum status s = agree(hello, &link->protocol, err);

    if (s != ST_OK)
        return s;
    if (strcmp(hello->cluster, cluster->cluster_name) != 0)
        return err_set(err, ST_DENIED, "the peer belongs to another cluster than '%s'",
                       cluster->cluster_name);
    if (link->candidate)
        candidate_is(link->candidate, hello->id);
    s = find_member(cluster, hello, ret_member, err);
    if (s == ST_OK && link->member && link->member != *ret_member)
        s = err_set(err, ST_DENIED, "node '%s' answers where '%s' was expected", hello->node,
                    link->member->info.name);
    return s;
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
        s = models_receive(member, hello->models, hello->n_models, hello->parts, hello->n_parts,
                           err);
    if (s != ST_OK)
        return s;
    info.api_port = (uint16_t)hello->api_port;
    info.memory_bytes = hello->memory_bytes;
    info.share_port = (uint16_t)hello->share_port;
    info.step_version = hello->step_version ? hello->step_version : STEP_VERSION_FIRST;
    member->info = info;
    member->boot = hello->boot;
    member->speaks_swim = hello->swim == SWIM_SPOKEN;
    return ST_OK;
}

/* Where runners reach a node that is not of the configuration. */
static enum status take_address(struct link *link, struct member *member, const Wire__Hello *hello,
                                struct err *err)
{
    const char *host = hello->host[0] ? hello->host : link->host;
    struct address unused;
    enum status s;

    if (member->is_configured)
        return ST_OK;
    if (hello->port > UINT16_MAX)
        return err_set(err, ST_FORMAT, "a message has port %u", hello->port);
    s = address_parse(host, (uint16_t)hello->port, &unused, err);
    if (s != ST_OK)
        return s;
    if (strlen(host) >= sizeof(member->info.host))
        return err_set(err, ST_FORMAT, "a message has a host that is too long");
    memcpy(member->info.host, host, strlen(host) + 1); /* numeric; may end in %interface */
    member->info.port = (uint16_t)hello->port;
    return ST_OK;
}

static bool is_of_lower_name(const struct link *link, const struct member *peer)
{
    const int order = strcmp(link->cluster->self->info.name, peer->info.name);

    return link->is_outgoing ? order < 0 : order > 0;
}

/* Two links to `member`: false where `link` was the one to go. */
static bool settle(struct link *link, struct member *member, uint64_t boot)
{
    struct link *other = member->link;

    if (member->info.is_alive && (boot == 0 || boot != member->boot)) {
        if (other && other != link && other->is_up)
            link_drop(other, "its peer started anew");
        member_lost(link->cluster, member, "it started anew");
        return true;
    }
    if (!other || other == link)
        return true;
    if (!other->is_up) /* it is settled when its Hello comes, with what both ends know then */
        return true;
    if (!is_of_lower_name(link, member)) {
        if (!link->is_outgoing)
            hello_send(link); /* whoever called learns which node is at that address */
        link->member = member;
        link_retire(link);
        return false;
    }
    link_retire(other);
    return true;
}

/* A seed may be this node's own address: both ends then hear themselves. */
static bool is_own_voice(struct link *link, const Wire__Hello *hello)
{
    if (hello->boot != link->cluster->boot || strcmp(hello->id, link->cluster->node_id) != 0)
        return false;
    if (link->candidate)
        candidate_is(link->candidate, hello->id);
    if (!link->is_outgoing)
        hello_send(link);
    link_retire(link);
    link->member = NULL; /* it is not the one that was called */
    return true;
}

enum status hello_receive(struct link *link, const Wire__Hello *hello, struct err *err)
{
    struct member *member = NULL;
    enum status s;

    if (link->is_up)
        return err_set(err, ST_FORMAT, "the peer says Hello twice");
    if (is_own_voice(link, hello))
        return ST_OK;
    s = identify(link, hello, &member, err);
    if (s != ST_OK)
        return s;
    if (!settle(link, member, hello->boot))
        return ST_OK;
    s = take_description(member, hello, err);
    if (s == ST_OK)
        s = take_address(link, member, hello, err);
    if (s != ST_OK)
        return s;

    link->member = member;
    member->link = link;
    if (!link->is_outgoing)
        hello_send(link);
    link_up(link);
    for (size_t i = 0; i < hello->n_instances && s == ST_OK; i++)
        s = instance_learn(link, hello->instances[i], FROM_HELLO, err);
    return s;
}
