/* SPDX-License-Identifier: Apache-2.0 */
/* flow/upkeep.h - what shall be placed is placed, and nothing else stays: the leader's care.
 *
 * On the node that leads, every half second:
 *
 *   fewer copies of a model than shall be   one is placed: as it was last asked for, where its
 *                                           nodes are there; after UPKEEP_PATIENCE_MS, as it fits
 *   more copies, or an unplaced model       the idlest is left: ended when nothing runs on it, or
 *                                           after a while, and what runs goes on at another
 *   an instance nobody decided about        it was placed while there was no leader: it stays,
 *                                           and shall be placed from now on
 *
 * So a restart of every node brings the models back, and two sides of a cut that
 * each placed a model have one instance of it when the cut heals.  What cannot be placed is tried again,
 * after longer and longer waits; upkeep_trouble() says why.
 *
 * Nothing is done in the first UPKEEP_SETTLE_MS of a leader: who joins tells what it
 * knows first.  A surplus must last, as nodes do not learn of a loss at one moment.
 *
 * Threads  the loop's
 */
#ifndef POMONA_FLOW_UPKEEP_H
#define POMONA_FLOW_UPKEEP_H

#include <stdbool.h>

#include "cluster/cluster.h"

enum {
    UPKEEP_SETTLE_MS = 1000,
    UPKEEP_PATIENCE_MS = 5000,    /* for the nodes of a plan to come back */
    UPKEEP_RETRY_FIRST_MS = 1000, /* doubled each time */
    UPKEEP_RETRY_LAST_MS = 60000,
    UPKEEP_SURPLUS_MS = 3000,
    UPKEEP_LEAVE_MS = 10000,    /* then what runs moves to another instance */
    UPKEEP_UNWANTED_MS = 60000, /* what runs has no other: it ends */
};

struct service;
struct upkeep;

enum status upkeep_new(struct service *service, struct upkeep **ret_upkeep, struct err *err);
void upkeep_free(struct upkeep *upkeep); /* NULL is allowed */

/* Called every now and then. */
void upkeep_tick(struct upkeep *upkeep);

/* Why `model` is not placed though it shall be, as the leader's node knows; "": it is, or not
 * known.  Lent until the next tick. */
const char *upkeep_trouble(const struct upkeep *upkeep, const char *model);

/* --- the decision, pure --- */

enum upkeep_what { UPKEEP_NOTHING, UPKEEP_PLACE, UPKEEP_KEEP, UPKEEP_LEAVE };

struct upkeep_step {
    enum upkeep_what what;
    const struct cluster_wanted *wanted; /* PLACE: what; LEAVE: NULL if it is not wanted at all */
    size_t copy;                         /* PLACE: which */
    const struct cluster_instance *instance; /* KEEP, LEAVE: which */
};

/* The first thing to do about what is and what shall be.
 * leaving      the instance that was to be left last: one that can stay the one does; "": none
 * may_place    NULL, or whether a model may be placed now: not while it waits for another try */
struct upkeep_step upkeep_next(const struct cluster_wanted *wanted, size_t n_wanted,
                               const struct cluster_instance *instances, size_t n_instances,
                               const char *leaving, bool (*may_place)(void *arg, const char *model),
                               void *arg);

/* Whether what runs on an instance that is left could go on at another. */
bool upkeep_has_another(const struct cluster_instance *instance,
                        const struct cluster_instance *instances, size_t n_instances);

#endif
