/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/place.c - run a plan: the coordinator's work, and each node's part in it.
 *
 *   requested --it is decided--> assigning --every rank listens--> loading
 *   loading --every rank is ready--> the instance is ready, and this is done
 *
 * The leader begins placings, and has decided first that the model shall be
 * placed, where that is news (state/wanted.c).  What it began it brings to an end, also when
 * another was elected meanwhile; nodes take shards only from who leads, so of two that
 * think they do one places nothing.
 *
 * Each phase has its deadline; loading has it from the last byte that any
 * rank loaded.  A rank that lacks its part of the model's file fetches it while
 * others wait in `assigning`: it listens when the part is there.  Whatever fails
 * ends the instance (instance_end), and with it this.  The phases are a table:
 * phases[].
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/random.h"
#include "cluster/cluster_priv.h"

/* Progress is told to the peers in steps no smaller than this. */
static const double PROGRESS_STEP = 0.01;

enum {
    TELL_EVERY_MS = 1000,
    SSH_TIMES = 3, /* as long, where runners are started over SSH */
};

enum phase { PHASE_REQUESTED, PHASE_ASSIGNING, PHASE_LOADING };

struct rank {
    uint16_t transport_port, client_port;
    bool is_listening, is_ready;
    double load_seconds;
};

struct placing {
    enum phase phase;
    uint64_t until_ns;
    uint64_t decision; /* ticket; 0: decided */
    enum status outcome;
    bool is_first; /* what was decided, was for this */
    uint8_t digest[MODEL_DIGEST_BYTES];
    bool has_root;
    uint8_t root[MODEL_ROOT_BYTES]; /* the same content on every rank */
    double told_progress;
    uint64_t tell_at_ns;
    struct rank ranks[PLAN_SHARDS_MAX];
};

static bool is_listening(const struct rank *rank)
{
    return rank->is_listening;
}

static bool is_ready(const struct rank *rank)
{
    return rank->is_ready;
}

static const struct {
    bool (*is_done)(const struct rank *rank); /* by this rank */
    const char *late;                         /* reads on after a node's name */
} phases[] = {
    [PHASE_REQUESTED] = { NULL, "has too few others that keep the decision on disk" },
    [PHASE_ASSIGNING] = { is_listening, "did not start its runner in time" },
    [PHASE_LOADING] = { is_ready, "did not load its layers in time" },
};

static bool same_shards(const struct plan *a, const struct plan *b)
{
    if (a->n_shards != b->n_shards || a->context_tokens != b->context_tokens ||
        a->transport != b->transport)
        return false;
    for (size_t i = 0; i < a->n_shards; i++)
        if (strcmp(a->shards[i].node, b->shards[i].node) != 0 ||
            a->shards[i].n_layers != b->shards[i].n_layers ||
            a->shards[i].share != b->shards[i].share)
            return false;
    return true;
}

/* The instance that answers this request without a new one: any that is
 * being placed, a ready one of the same plan, or a ready one that the asker
 * could not know of when it made its plan. */
static struct instance *find_to_join(const struct cluster *cluster, const struct plan *plan,
                                     bool knows_ready)
{
    struct instance *in = instance_of_model(cluster, plan->model, INSTANCE_PLACING);

    if (in)
        return in;
    for (in = cluster->instances; in; in = in->next)
        if (in->view.state == INSTANCE_READY && strcmp(in->view.view.model, plan->model) == 0 &&
            (!knows_ready || same_shards(&in->view.plan, plan)))
            return in;
    return NULL;
}

/* A node of an older version takes a plan with teams for a broken one, and one of another transport
 * for one of TCP. */
static enum status check_versions(const struct cluster *cluster, const struct plan *plan,
                                  struct err *err)
{
    const bool has_teams = plan_has_teams(plan), has_transport = plan->transport != TRANSPORT_TCP;
    const uint32_t least = has_transport ? PROTOCOL_TRANSPORTS : has_teams ? PROTOCOL_TEAMS : 0;

    for (size_t i = 0; i < cluster->n_members && least > 0; i++) {
        const struct member *m = &cluster->members[i];

        if (m->link && m->link->is_up && m->link->protocol < least)
            return err_set(err, ST_UNSUPPORTED,
                           "'%s' cannot be placed %s%s: node '%s' runs an older version of "
                           "Pomona that knows none; update it first",
                           plan->model, has_transport ? "over " : "on a team",
                           has_transport ? transport_kind_name(plan->transport) : "", m->info.name);
    }
    return ST_OK;
}

enum status place_check_nodes(struct cluster *cluster, const struct plan *plan, struct err *err)
{
    uint32_t step_version = 0;

    for (size_t i = 0; i < plan->n_shards; i++) {
        const char *node = plan->shards[i].node;
        const struct member *m = member_find(cluster, node);

        if (!m || !member_takes_part(m))
            return err_set(err, ST_NOTFOUND, "'%s' cannot be placed: node '%s' is not alive",
                           plan->model, node);
        if (m->info.is_draining)
            return err_set(err, ST_NOTFOUND, "'%s' cannot be placed: node '%s' is being drained",
                           plan->model, node);
        if (i > 0 && m->info.step_version != step_version)
            return err_set(err, ST_UNSUPPORTED,
                           "'%s' cannot be placed: ranks of '%.64s' and '%.64s' do not understand "
                           "one another; update one of them",
                           plan->model, plan->shards[0].node, node);
        step_version = m->info.step_version;
        for (size_t k = 0; k < i; k++)
            if (strcmp(plan->shards[k].node, node) == 0)
                return err_set(err, ST_RANGE, "the plan for '%s' names node '%s' twice",
                               plan->model, node);
    }
    return check_versions(cluster, plan, err);
}

/* A new instance, to be placed once that is decided. */
static enum status add_placing(struct cluster *cluster, const struct place_demand *demand,
                               struct instance **ret_instance, struct err *err)
{
    char id[INSTANCE_ID_MAX];
    struct placing *p = calloc(1, sizeof(*p));
    enum status s;

    if (!p)
        return err_set(err, ST_NOMEM, "no memory to place '%s'", demand->plan->model);
    memcpy(p->digest, demand->digest, sizeof(p->digest));
    p->until_ns = deadline_after_ms(DECIDE_WITHIN_MS);
    s = file_root(cluster, demand->plan->model, demand->digest, &p->has_root, p->root, err);
    if (s == ST_OK)
        s = wanted_decide(cluster, demand->plan, demand->purpose, &p->decision, &p->is_first, err);
    random_hex(id, (INSTANCE_ID_MAX - 1) / 2);
    if (s == ST_OK)
        s = instance_add(cluster, id, demand->plan, cluster->self->info.name, ret_instance, err);
    if (s != ST_OK) {
        free(p);
        return s;
    }
    (*ret_instance)->placing = p;
    (*ret_instance)->epoch = lead_epoch(cluster);
    return ST_OK;
}

/* It shall be placed from now on, even if nobody had decided that. */
static void keep_wanting(struct cluster *cluster, const struct instance *in)
{
    uint64_t unused;
    bool is_first;
    struct err err;

    if (wanted_decide(cluster, &in->view.plan, PLACE_NEEDED, &unused, &is_first, &err) != ST_OK)
        log_warn("'%s' would not come back after a restart: %s", in->view.view.model, err.words);
}

enum status place_request(struct cluster *cluster, const struct place_demand *demand,
                          char *ret_instance_id, struct err *err)
{
    struct instance *in;
    enum status s;

    if (!lead_is_here(cluster))
        return err_set(err, ST_DENIED, "node '%s' does not lead", cluster->self->info.name);
    in = find_to_join(cluster, demand->plan, demand->knows_ready);
    if (in) {
        keep_wanting(cluster, in);
        memcpy(ret_instance_id, in->view.view.id, INSTANCE_ID_MAX);
        return ST_OK;
    }
    s = place_check_nodes(cluster, demand->plan, err);
    if (s == ST_OK)
        s = add_placing(cluster, demand, &in, err);
    if (s != ST_OK)
        return s == ST_PEER ? err_set(err, ST_DENIED, "node '%s' does not lead any more",
                                      cluster->self->info.name)
                            : s;
    random_bytes(in->view.view.driver.key, sizeof(in->view.view.driver.key));
    if (instance_keyed(cluster, in, NULL) != ST_OK) {
        struct err why;

        (void)err_set(&why, ST_NOMEM, "no memory to place '%s'", demand->plan->model);
        instance_end(cluster, in, END_HERE, &why);
        return err_set(err, ST_NOMEM, "%s", why.words);
    }
    memcpy(ret_instance_id, in->view.view.id, INSTANCE_ID_MAX);
    instance_announce(cluster, in);
    cluster_soon(cluster);
    return ST_OK;
}

void place_decided(struct cluster *cluster, uint64_t ticket, enum status status)
{
    for (struct instance *in = cluster->instances; in; in = in->next)
        if (in->placing && in->placing->phase == PHASE_REQUESTED &&
            in->placing->decision == ticket) {
            in->placing->decision = 0;
            in->placing->outcome = status;
            cluster_soon(cluster);
        }
}

void place_failed(struct cluster *cluster, const struct instance *in, const struct err *why)
{
    if (!in->placing || !in->placing->is_first || why->status == ST_PEER ||
        why->status == ST_CANCELED || why->status == ST_DENIED)
        return;
    wanted_withdraw(cluster, &in->view.plan);
}

static void enter(struct placing *p, enum phase phase, uint64_t within_ms)
{
    p->phase = phase;
    p->until_ns = deadline_after_ms(within_ms);
}

static void assign_remote(struct cluster *cluster, struct instance *in, uint32_t rank)
{
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__AssignShard assign = WIRE__ASSIGN_SHARD__INIT;
    struct member *node = member_find(cluster, in->view.plan.shards[rank].node);

    assign.instance_id = in->view.view.id;
    assign.rank = rank;
    assign.model_digest.data = in->placing->digest;
    assign.model_digest.len = sizeof(in->placing->digest);
    assign.epoch = in->epoch;
    assign.model_root.data = in->placing->root;
    assign.model_root.len = in->placing->has_root ? sizeof(in->placing->root) : 0;
    message.body_case = WIRE__NODE_MESSAGE__BODY_ASSIGN;
    message.assign = &assign;
    link_send_to(node, &message);
}

/* The remote ranks first: the local one may fail at once, and end `in`. */
static void begin(struct cluster *cluster, struct instance *in)
{
    const int local = instance_rank_of(in, cluster->self->info.name);

    enter(in->placing, PHASE_ASSIGNING,
          in->view.plan.transport == TRANSPORT_MPI ? SSH_TIMES * cluster->assign_ms
                                                   : cluster->assign_ms);
    for (size_t i = 0; i < in->view.plan.n_shards; i++)
        if ((int)i != local)
            assign_remote(cluster, in, (uint32_t)i);
    if (local >= 0)
        (void)shard_begin(cluster, in, (uint32_t)local, in->placing->digest,
                          in->placing->has_root ? in->placing->root : NULL);
}

static struct instance *find_requested(const struct cluster *cluster)
{
    for (struct instance *in = cluster->instances; in; in = in->next)
        if (in->placing && in->placing->phase == PHASE_REQUESTED && in->placing->decision == 0)
            return in;
    return NULL;
}

void place_advance(struct cluster *cluster)
{
    struct instance *in;

    while ((in = find_requested(cluster)) != NULL) {
        struct err why;

        if (in->placing->outcome == ST_OK) {
            begin(cluster, in);
            continue;
        }
        (void)err_set(&why, ST_DENIED, "node '%s' led no more when '%s' was to be placed",
                      cluster->self->info.name, in->view.view.model);
        instance_end(cluster, in, END_EVERYWHERE, &why);
    }
}

static bool all_done(const struct instance *in)
{
    for (size_t i = 0; i < in->view.plan.n_shards; i++)
        if (!phases[in->placing->phase].is_done(&in->placing->ranks[i]))
            return false;
    return true;
}

static void connect_ranks(struct cluster *cluster, struct instance *in)
{
    Wire__Endpoint endpoints[PLAN_SHARDS_MAX], *list[PLAN_SHARDS_MAX];
    Wire__NodeMessage message = WIRE__NODE_MESSAGE__INIT;
    Wire__ConnectShard connect = WIRE__CONNECT_SHARD__INIT;
    const struct plan *plan = &in->view.plan;

    for (size_t i = 0; i < plan->n_shards; i++) {
        wire__endpoint__init(&endpoints[i]);
        endpoints[i].host = member_find(cluster, plan->shards[i].node)->info.host;
        endpoints[i].port = in->placing->ranks[i].transport_port;
        list[i] = &endpoints[i];
    }
    connect.instance_id = in->view.view.id;
    connect.ranks = list;
    connect.n_ranks = plan->n_shards;
    connect.epoch = in->epoch;
    message.body_case = WIRE__NODE_MESSAGE__BODY_CONNECT;
    message.connect = &connect;
    enter(in->placing, PHASE_LOADING, cluster->load_ms);
    for (size_t i = 0; i < plan->n_shards; i++) {
        struct member *node = member_find(cluster, plan->shards[i].node);

        if (node == cluster->self)
            runner_connect(cluster, in->view.view.id, plan->n_shards, list);
        else
            link_send_to(node, &message);
    }
}

static void finish(struct cluster *cluster, struct instance *in)
{
    const size_t last = in->view.plan.n_shards - 1;
    const struct member *driver = member_find(cluster, in->view.plan.shards[last].node);
    struct driver_address *address = &in->view.view.driver;

    memcpy(address->host, driver->info.host, sizeof(address->host));
    address->port = in->placing->ranks[last].client_port;
    for (size_t i = 0; i <= last; i++)
        if (in->placing->ranks[i].load_seconds > in->view.load_seconds)
            in->view.load_seconds = in->placing->ranks[i].load_seconds;
    instance_announce_progress(cluster, in); /* where each shard came from, as it is now */
    instance_ready(cluster, in);
    instance_announce(cluster, in);
    asks_ready(cluster, in);
}

static void step(struct cluster *cluster, struct instance *in)
{
    if (in->placing->phase == PHASE_ASSIGNING && all_done(in))
        connect_ranks(cluster, in);
    if (in->placing->phase == PHASE_LOADING && all_done(in))
        finish(cluster, in);
}

/* Weighted by what each rank has to bring into memory. */
static double part_done(const struct cluster_instance *view)
{
    double done = 0, total = 0;

    for (size_t i = 0; i < view->plan.n_shards; i++) {
        const double weight = (double)view->plan.shards[i].weight_bytes;

        done += weight * shard_progress_part(&view->shards[i]);
        total += weight;
    }
    return total > 0 && done < total ? done / total : 1;
}

/* Told in steps, and in time: a speed is news, too. */
static bool is_worth_telling(struct placing *p, double progress)
{
    if (progress < p->told_progress + PROGRESS_STEP && clock_ns() < p->tell_at_ns)
        return false;
    p->told_progress = progress;
    p->tell_at_ns = deadline_after_ms(TELL_EVERY_MS);
    return true;
}

/* While a rank loads, bytes are what moves its deadline; one that fetches has a deadline of
 * its own for bytes, and says so long as it lives that it goes on. */
static void take_progress(struct cluster *cluster, struct instance *in, uint32_t rank,
                          const Wire__ShardProgress *progress)
{
    struct shard_progress *shard = &in->view.shards[rank];
    const struct shard_progress before = *shard;
    struct placing *p = in->placing;
    double part;

    wire_to_progress(progress, shard);
    if (shard->stage == STAGE_FETCHING)
        p->until_ns = deadline_after_ms(cluster->load_ms);
    else if (shard->stage == before.stage && shard->done_bytes <= before.done_bytes)
        return;
    else if (p->phase == PHASE_LOADING)
        p->until_ns = deadline_after_ms(cluster->load_ms);
    part = part_done(&in->view);
    in->view.progress = part > in->view.progress ? part : in->view.progress;
    if (!is_worth_telling(p, in->view.progress))
        return;
    instance_announce_progress(cluster, in);
    asks_progress(cluster, in);
    cluster_changed(cluster);
}

static void take_listening(struct cluster *cluster, struct instance *in, struct rank *rank,
                           const Wire__ShardListening *listening)
{
    const bool is_driver = rank == &in->placing->ranks[in->view.plan.n_shards - 1];
    struct err why;

    if (listening->transport_port > UINT16_MAX || listening->client_port > UINT16_MAX ||
        (is_driver && listening->client_port == 0)) {
        (void)err_set(&why, ST_FORMAT, "a runner of '%s' listens on no port", in->view.view.model);
        instance_end(cluster, in, END_EVERYWHERE, &why);
        return;
    }
    rank->transport_port = (uint16_t)listening->transport_port;
    rank->client_port = (uint16_t)listening->client_port;
    rank->is_listening = true;
    step(cluster, in);
}

void place_report(struct cluster *cluster, const char *from_node, const Wire__ShardReport *report)
{
    struct instance *in = instance_find(cluster, report->instance_id);
    struct rank *rank;

    if (!in || !in->placing || report->rank >= in->view.plan.n_shards ||
        strcmp(in->view.plan.shards[report->rank].node, from_node) != 0)
        return; /* it ended while this was under way */
    rank = &in->placing->ranks[report->rank];
    switch ((int)report->what_case) {
    case WIRE__SHARD_REPORT__WHAT_LISTENING:
        take_listening(cluster, in, rank, report->listening);
        return;
    case WIRE__SHARD_REPORT__WHAT_PROGRESS:
        take_progress(cluster, in, report->rank, report->progress);
        return;
    case WIRE__SHARD_REPORT__WHAT_READY:
        rank->is_ready = true;
        in->view.shards[report->rank].stage = STAGE_READY; /* where it came from stays known */
        rank->load_seconds = report->ready->load_seconds;
        step(cluster, in);
        return;
    default: return;
    }
}

/* The first node that the phase waits for. */
static const char *slow_node(const struct instance *in)
{
    size_t i = 0;

    if (in->placing->phase == PHASE_REQUESTED)
        return in->coordinator;
    while (i + 1 < in->view.plan.n_shards &&
           phases[in->placing->phase].is_done(&in->placing->ranks[i]))
        i++;
    return in->view.plan.shards[i].node;
}

static struct instance *find_late(const struct cluster *cluster, uint64_t now_ns)
{
    for (struct instance *in = cluster->instances; in; in = in->next)
        if (in->placing && now_ns > in->placing->until_ns)
            return in;
    return NULL;
}

void place_tick(struct cluster *cluster, uint64_t now_ns)
{
    struct instance *in;
    struct err why;

    while ((in = find_late(cluster, now_ns)) != NULL) {
        (void)err_set(&why, ST_DEADLINE, "'%s' could not be placed: node '%s' %s",
                      in->view.view.model, slow_node(in), phases[in->placing->phase].late);
        instance_end(cluster, in, END_EVERYWHERE, &why);
    }
}
