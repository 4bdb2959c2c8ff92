/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/succession.h - who leads where nobody wrote down who the nodes are.
 *
 * Nodes that find one another have no list, so nothing is known of which a
 * quorum could be more than half.  The first of the nodes that are alive, by
 * name, leads: each node sees that for itself.  What one decides is kept on its
 * own disk, told to all, and merged by version (state/desired.h).
 *
 *   not first --the first before it is gone--> first: the highest epoch known + 1
 *       ^------ a node before it is there --------/ \-- it hears of a higher one: that + 1
 *
 * So while a cut lasts each side has its leader and goes on; when it heals the
 * first of both sides leads, in an epoch above both, every table becomes the
 * same, and of two decisions about one model the later epoch's stands.  In a
 * cluster with a list a council decides instead (election/council.h); its
 * voters tell who leads to nodes that are not on the list, and those follow.
 *
 * Pure: no clock, no files.  Threads: the owner's.
 */
#ifndef POMONA_CLUSTER_ELECTION_SUCCESSION_H
#define POMONA_CLUSTER_ELECTION_SUCCESSION_H

#include "cluster/council.pb-c.h"
#include "cluster/state/desired.h"

struct succession { /* zero-initialised: nothing known, nobody leads */
    struct desired desired;
    uint64_t epoch; /* highest heard of */
    uint64_t led;   /* epoch that this node leads; 0: it does not */
    uint64_t index; /* of its decisions in it */
};

void succession_release(struct succession *s);

enum succession_place { SUCCESSION_FIRST, SUCCESSION_LATER };

/* Where this node stands among those alive, said after each change and each message.
 * True: it began an epoch, which is to be kept and told. */
bool succession_stand(struct succession *s, enum succession_place place);

/* What another node knows.  ret_changed: set where the epoch or a record was news.
 * Errors  ST_FORMAT, or as desired_merge(); what came before it stays */
enum status succession_receive(struct succession *s, const Wire__Roll *roll, bool *ret_changed,
                               struct err *err);

/* Decide: as council_propose(), but at once.
 * Errors  ST_PEER  this node does not lead; ST_FULL  too many placements */
enum status succession_decide(struct succession *s, const char *model, const uint8_t *value,
                              size_t n_value, struct err *err);

#endif
