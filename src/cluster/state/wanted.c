/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/wanted.c - what shall be placed: records of state/desired.h with plans in them.
 *
 * A record holds a plan for each copy of its model, as it was last asked for:
 * where that plan cannot be run any more, another one is made in its place
 * (flow/upkeep.h), but the record stays what people said.
 *
 *   needed   by a request: placed from now on, unless it was to be already
 *   asked    of nothing that runs: this plan is the only one; else one copy more
 *   moved    by a node that drains, or after a loss: what shall be placed does not change
 *
 * Plans come from other nodes' disks here, so they are checked like a message.
 */
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "cluster/cluster_priv.h"

struct copies {
    struct plan plans[COPIES_MAX];
    size_t n;
};

static enum status unpack(const struct desired_record *record, struct copies *ret, struct err *err)
{
    Wire__Placement *wire;
    enum status s = ST_OK;

    ret->n = 0;
    if (!record || !record->is_placed)
        return ST_OK;
    wire = wire__placement__unpack(NULL, record->n_value, record->value);
    if (!wire || wire->n_copies > COPIES_MAX)
        s = err_set(err, ST_FORMAT, "what was decided about '%s' cannot be read", record->model);
    for (size_t i = 0; s == ST_OK && i < wire->n_copies; i++) {
        s = wire_to_plan(wire->copies[i], &ret->plans[ret->n], err);
        if (s == ST_OK && strcmp(ret->plans[ret->n].model, record->model) != 0)
            s = err_set(err, ST_FORMAT, "what was decided about '%s' is about another model",
                        record->model);
        ret->n += s == ST_OK;
    }
    if (wire)
        wire__placement__free_unpacked(wire, NULL);
    return s;
}

/* ret_bytes is given; free(). */
static enum status pack(const struct copies *copies, uint8_t **ret_bytes, size_t *ret_n,
                        struct err *err)
{
    struct pack_room {
        Wire__Plan plans[COPIES_MAX], *list[COPIES_MAX];
        Wire__PlanShard shards[COPIES_MAX][PLAN_SHARDS_MAX];
        Wire__PlanShard *shard_lists[COPIES_MAX][PLAN_SHARDS_MAX];
    } *room = calloc(1, sizeof(*room));
    Wire__Placement wire = WIRE__PLACEMENT__INIT;
    uint8_t *bytes = NULL;
    size_t n = 0;

    for (size_t i = 0; room && i < copies->n; i++) {
        wire_of_plan(&copies->plans[i], &room->plans[i], room->shards[i], room->shard_lists[i]);
        room->list[i] = &room->plans[i];
    }
    if (room) {
        wire.copies = room->list;
        wire.n_copies = copies->n;
        n = wire__placement__get_packed_size(&wire);
        bytes = malloc(n + 1);
    }
    if (bytes)
        (void)wire__placement__pack(&wire, bytes);
    free(room);
    if (!bytes)
        return err_set(err, ST_NOMEM, "what is decided about a model");
    *ret_bytes = bytes;
    *ret_n = n;
    return ST_OK;
}

static enum status decide(struct cluster *cluster, const char *model, const struct copies *copies,
                          uint64_t *ret_ticket, struct err *err)
{
    uint8_t *bytes = NULL;
    size_t n = 0;
    enum status s;

    if (copies->n == 0)
        return lead_decide(cluster, model, NULL, 0, ret_ticket, err);
    s = pack(copies, &bytes, &n, err);
    if (s == ST_OK && n > DESIRED_VALUE_MAX)
        s = err_set(err, ST_FULL, "the %zu copies of '%s' are more than can be kept", copies->n,
                    model);
    if (s == ST_OK)
        s = lead_decide(cluster, model, bytes, n, ret_ticket, err);
    free(bytes);
    return s;
}

static bool is_there(const struct cluster *cluster, const char *model)
{
    for (const struct instance *in = cluster->instances; in; in = in->next)
        if (in->view.state == INSTANCE_READY && strcmp(in->view.view.model, model) == 0 &&
            !instance_is_leaving(cluster, &in->view.plan))
            return true;
    return false;
}

/* False: it is decided as it should be. */
static bool add(const struct cluster *cluster, struct copies *copies, const struct plan *plan,
                enum place_purpose purpose)
{
    if (copies->n > 0 && purpose != PLACE_ASKED)
        return false;
    if (!is_there(cluster, plan->model))
        copies->n = 0;
    if (copies->n == COPIES_MAX) /* a placing more, which the next restart does not bring back */
        return false;
    copies->plans[copies->n++] = *plan;
    return true;
}

enum status wanted_decide(struct cluster *cluster, const struct plan *plan,
                          enum place_purpose purpose, uint64_t *ret_ticket, bool *ret_is_news,
                          struct err *err)
{
    const struct desired_record *record = desired_find(lead_desired(cluster), plan->model);
    struct copies *copies;
    struct err damage;
    enum status s = ST_OK;

    *ret_ticket = 0;
    *ret_is_news = false;
    if (lead_kind(cluster) != LEADER_ELECTED)
        return ST_OK; /* a caretaker decides nothing */
    copies = calloc(1, sizeof(*copies));
    if (!copies)
        return err_set(err, ST_NOMEM, "what is decided about '%s'", plan->model);
    if (unpack(record, copies, &damage) != ST_OK)
        log_warn("%s: it is decided anew", damage.words);
    *ret_is_news = add(cluster, copies, plan, purpose);
    if (*ret_is_news)
        s = decide(cluster, plan->model, copies, ret_ticket, err);
    free(copies);
    return s;
}

void wanted_withdraw(struct cluster *cluster, const struct plan *plan)
{
    const struct desired_record *record = desired_find(lead_desired(cluster), plan->model);
    struct copies *copies = calloc(1, sizeof(*copies));
    uint64_t unused;
    struct err err = { 0 };

    if (copies && lead_kind(cluster) == LEADER_ELECTED && lead_is_here(cluster) && record &&
        record->is_placed && unpack(record, copies, &err) == ST_OK) {
        if (copies->n > 0)
            copies->n--; /* the last is the one that was added */
        if (decide(cluster, plan->model, copies, &unused, &err) != ST_OK)
            log_warn("'%s' stays among what shall be placed: %s", plan->model, err.words);
    }
    free(copies);
}

bool wanted_is_placed(const struct cluster *cluster, const char *model)
{
    const struct desired_record *record = desired_find(lead_desired(cluster), model);

    return record && record->is_placed;
}

size_t cluster_wanted(const struct cluster *cluster, struct cluster_wanted *ret_wanted,
                      size_t capacity)
{
    const struct desired *desired = lead_desired(cluster);
    struct copies *copies = calloc(1, sizeof(*copies));
    size_t n = 0;

    for (; copies && n < desired->n && n < WANTED_MAX; n++) {
        struct err err;

        if (n >= capacity)
            continue;
        memcpy(ret_wanted[n].model, desired->records[n].model, sizeof(ret_wanted[n].model));
        (void)unpack(&desired->records[n], copies, &err); /* what can be read of it */
        ret_wanted[n].n_copies = copies->n;
    }
    free(copies);
    return n;
}

bool cluster_wanted_plan(const struct cluster *cluster, const char *model, size_t copy,
                         struct plan *ret_plan)
{
    struct copies *copies = calloc(1, sizeof(*copies));
    bool is_found = false;
    struct err err;

    if (copies) {
        (void)unpack(desired_find(lead_desired(cluster), model), copies, &err);
        is_found = copy < copies->n;
    }
    if (is_found)
        *ret_plan = copies->plans[copy];
    free(copies);
    return is_found;
}
