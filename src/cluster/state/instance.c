/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/instance.c - the instances this node knows, and what becomes of them.
 *
 *   placing --> ready --> gone
 *        \----------------^
 *
 * Every move goes through instance_move(), which holds it against states[].
 * An instance that is gone is taken off the list before anybody is told, so
 * whoever is told may look at the list, and ask for a new one, at once.
 *
 * The ids of instances that ended are remembered for a while (tombstones): an
 * announcement that was under way when the instance ended must not bring it
 * back.
 */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "cluster/cluster_priv.h"
#include "cluster/topology/figures.h"
#include "net/data_key.h"

static const struct {
    const char *word;
    unsigned successors; /* mask of 1 << enum instance_state */
} states[] = {
    [INSTANCE_PLACING] = { "placing", 1u << INSTANCE_READY | 1u << INSTANCE_GONE },
    [INSTANCE_READY] = { "ready", 1u << INSTANCE_GONE },
    [INSTANCE_GONE] = { "gone", 0 },
};

const char *instance_state_word(enum instance_state state)
{
    return states[state].word;
}

bool instance_may_move(enum instance_state from, enum instance_state to)
{
    return states[from].successors >> to & 1;
}

static void instance_move(struct instance *in, enum instance_state to)
{
    assert(instance_may_move(in->view.state, to));
    log_with(LOG_INFO, "an instance changes", log_text("instance", in->view.view.id),
             log_text("model", in->view.view.model), log_count("nodes", in->view.plan.n_shards),
             log_text("from", states[in->view.state].word), log_text("to", states[to].word));
    in->view.state = to;
    in->view.view.is_ready = to == INSTANCE_READY;
}

struct instance *instance_find(const struct cluster *cluster, const char *id)
{
    for (struct instance *in = cluster->instances; in; in = in->next)
        if (strcmp(in->view.view.id, id) == 0)
            return in;
    return NULL;
}

struct instance *instance_of_model(const struct cluster *cluster, const char *model,
                                   enum instance_state state)
{
    for (struct instance *in = cluster->instances; in; in = in->next)
        if (in->view.state == state && strcmp(in->view.view.model, model) == 0)
            return in;
    return NULL;
}

int instance_rank_of(const struct instance *in, const char *node)
{
    for (size_t i = 0; i < in->view.plan.n_shards; i++)
        if (strcmp(in->view.plan.shards[i].node, node) == 0)
            return (int)i;
    return -1;
}

enum status instance_add(struct cluster *cluster, const char *id, const struct plan *plan,
                         const char *coordinator, struct instance **ret_instance, struct err *err)
{
    struct instance **end = &cluster->instances;
    struct instance *in;
    size_t n = 0;

    for (; *end; end = &(*end)->next)
        n++;
    if (n >= INSTANCES_MAX)
        return err_set(err, ST_FULL, "%zu instances are placed already; unplace one first", n);
    in = calloc(1, sizeof(*in));
    if (!in)
        return err_set(err, ST_NOMEM, "an instance of '%s'", plan->model);
    memcpy(in->view.view.id, id, strlen(id) + 1);
    memcpy(in->view.view.model, plan->model, sizeof(in->view.view.model));
    memcpy(in->coordinator, coordinator, strlen(coordinator) + 1);
    in->view.plan = *plan;
    in->view.state = INSTANCE_PLACING;
    for (size_t i = 0; i < plan->n_shards; i++)
        in->view.shards[i].stage = STAGE_STARTING;
    in->learned_ns = clock_ns();
    *end = in;
    *ret_instance = in;
    cluster_changed(cluster);
    return ST_OK;
}

enum status instance_keyed(const struct cluster *cluster, struct instance *in, struct err *err)
{
    struct driver_address *driver = &in->view.view.driver;
    struct cluster_key key = { { 0 } };
    enum status s = ST_OK;

    driver->is_secured = cluster->has_data_key; /* never in clear, also where this fails */
    if (driver->is_secured)
        s = data_key_of_instance(&cluster->data_key, driver->key, &key, err);
    memcpy(driver->data_key, key.bytes, sizeof(driver->data_key));
    cluster_key_wipe(&key, sizeof(key));
    return s;
}

void instance_ready(struct cluster *cluster, struct instance *in)
{
    instance_move(in, INSTANCE_READY);
    in->view.progress = 1;
    for (size_t i = 0; i < in->view.plan.n_shards; i++)
        in->view.shards[i].stage = STAGE_READY;
    free(in->placing);
    in->placing = NULL;
    cluster_changed(cluster);
}

bool instance_is_buried(const struct cluster *cluster, const char *id)
{
    const size_t n =
        cluster->n_tombstones < TOMBSTONES ? cluster->n_tombstones : (size_t)TOMBSTONES;

    for (size_t i = 0; i < n; i++)
        if (strcmp(cluster->tombstones[i], id) == 0)
            return true;
    return false;
}

void instance_bury(struct cluster *cluster, const char *id)
{
    if (instance_is_buried(cluster, id))
        return;
    memcpy(cluster->tombstones[cluster->n_tombstones++ % TOMBSTONES], id, strlen(id) + 1);
}

static void instance_unlist(struct cluster *cluster, struct instance *in)
{
    struct instance **at = &cluster->instances;

    while (*at != in)
        at = &(*at)->next;
    *at = in->next;
}

void instance_end(struct cluster *cluster, struct instance *in, enum instance_end_how how,
                  const struct err *why)
{
    instance_move(in, INSTANCE_GONE);
    log_with(why->status == ST_CANCELED ? LOG_INFO : LOG_WARN, "an instance is gone",
             log_text("instance", in->view.view.id), log_text("model", in->view.view.model),
             log_text("error", why->words));
    instance_unlist(cluster, in);
    for (size_t i = 0; why->status == ST_PEER && i < in->view.plan.n_shards; i++) {
        struct member *m = member_find(cluster, in->view.plan.shards[i].node);

        if (m) /* a link may be what broke */
            ways_look_again(m);
    }
    if (how != END_HERE)
        instance_bury(cluster, in->view.view.id);
    if (how == END_EVERYWHERE || how == END_BY_ORDER)
        instance_announce_gone(cluster, in->view.view.id,
                               how == END_BY_ORDER ? lead_epoch(cluster) : 0, why);
    place_failed(cluster, in, why);
    runner_end_instance(cluster, in->view.view.id);
    if (cluster->events.on_instance_gone)
        cluster->events.on_instance_gone(cluster->arg, in->view.view.id, why);
    asks_gone(cluster, in->view.view.id, why);
    cluster_changed(cluster);
    free(in->placing);
    free(in);
}

static bool needs(const struct instance *in, const char *node)
{
    return instance_rank_of(in, node) >= 0 ||
           (in->view.state == INSTANCE_PLACING && strcmp(in->coordinator, node) == 0);
}

/* A node without part in an instance cannot say that it ended: the channel
 * between it and the lost node may be all that broke. */
static enum instance_end_how how_to_end(const struct cluster *cluster, const struct instance *in)
{
    return needs(in, cluster->self->info.name) ? END_EVERYWHERE : END_HERE;
}

static struct instance *find_needing(const struct cluster *cluster, const char *node)
{
    for (struct instance *in = cluster->instances; in; in = in->next)
        if (needs(in, node))
            return in;
    return NULL;
}

void instances_member_lost(struct cluster *cluster, const char *node)
{
    struct instance *in;
    struct err why;

    (void)err_set(&why, ST_PEER, "node '%s' was lost", node);
    while ((in = find_needing(cluster, node)) != NULL) {
        if (instance_rank_of(in, node) < 0) /* it coordinated: the next leader places the same */
            asks_repeat(cluster, in->view.view.id);
        instance_end(cluster, in, how_to_end(cluster, in), &why);
    }
}

static struct instance *find_needing_both(const struct cluster *cluster, const char *node,
                                          enum channel_loss how)
{
    for (struct instance *in = cluster->instances; in; in = in->next)
        if (needs(in, node) && needs(in, cluster->self->info.name) &&
            (how == CHANNEL_GONE || in->view.state == INSTANCE_PLACING))
            return in;
    return NULL;
}

void instances_channel_lost(struct cluster *cluster, const char *node, enum channel_loss how)
{
    struct instance *in;
    struct err why;

    (void)err_set(&why, ST_PEER, "the channel between node '%s' and node '%s' broke",
                  cluster->self->info.name, node);
    while ((in = find_needing_both(cluster, node, how)) != NULL)
        instance_end(cluster, in, END_EVERYWHERE, &why);
}

/* A node of the instance that was never seen alive from here. */
static const char *unseen_node(struct cluster *cluster, const struct instance *in)
{
    for (size_t i = 0; i < in->view.plan.n_shards; i++) {
        const struct member *m = member_find(cluster, in->view.plan.shards[i].node);

        if (!m || !m->info.is_alive)
            return in->view.plan.shards[i].node;
    }
    return NULL;
}

/* Instances learned of from a third node whose own nodes never came up here. */
void instances_tick(struct cluster *cluster, uint64_t now_ns)
{
    for (struct instance *in = cluster->instances; in;) {
        const char *node =
            now_ns > in->learned_ns + ORPHAN_AFTER_MS * NS_PER_MS ? unseen_node(cluster, in) : NULL;
        struct err why;

        if (!node) {
            in = in->next;
            continue;
        }
        (void)err_set(&why, ST_PEER, "node '%s' is not to be reached from here", node);
        instance_end(cluster, in, END_HERE, &why);
        in = cluster->instances;
    }
}

void instances_free(struct cluster *cluster)
{
    while (cluster->instances) {
        struct instance *in = cluster->instances;

        cluster->instances = in->next;
        free(in->placing);
        free(in);
    }
}

void instance_driver_hosts(const struct cluster *cluster, const struct instance *in,
                           struct hosts *ret_hosts)
{
    const struct plan *plan = &in->view.plan;
    const struct member *m = member_look_up(cluster, plan->shards[plan->n_shards - 1].node);

    ret_hosts->n = 0;
    if (m && cluster->tls) /* else in clear, on loopback */
        ways_to(cluster, m, WAY_TOKENS_BYTES, ret_hosts);
}

size_t cluster_instances(const struct cluster *cluster, struct cluster_instance *ret_instances,
                         size_t capacity)
{
    size_t n = 0;

    for (const struct instance *in = cluster->instances; in; in = in->next, n++)
        if (n < capacity) {
            ret_instances[n] = in->view;
            ret_instances[n].is_leaving = instance_is_leaving(cluster, &in->view.plan);
            instance_driver_hosts(cluster, in, &ret_instances[n].view.driver.hosts);
        }
    return n;
}
