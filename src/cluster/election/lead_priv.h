/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/election/lead_priv.h - what lead.c, lead_council.c and lead_roll.c share. */
#ifndef POMONA_CLUSTER_ELECTION_LEAD_PRIV_H
#define POMONA_CLUSTER_ELECTION_LEAD_PRIV_H

#include "base/buf.h"
#include "cluster/cluster_priv.h"
#include "cluster/election/council.h"
#include "cluster/election/succession.h"

struct lead {
    struct council *council;      /* NULL: no list */
    struct succession succession; /* where there is none */
    uint32_t n_voters, self;      /* voter i is cluster->members[i] */
    char dir[PATH_MAX_BYTES];     /* where it is kept; "": nowhere */
    struct loop_timer *timer;     /* of the council */
    bool has_beaten;              /* this node leads the council, and the others were told so */
    uint64_t leaderless_ns, quorumless_ns; /* since when; 0: there is */
    bool is_news;                          /* the council's records changed: others are told */
    uint64_t warn_after_ns;
    bool is_caretaker_said;         /* of the present one */
    struct cluster_leadership seen; /* as lead_refresh() found it */
};

/* lead.c */
bool lead_hears(const struct member *member); /* of leaders and epochs: not an older version */
const struct desired *lead_table(const struct lead *lead);
bool lead_all_up(const struct cluster *cluster); /* every voter is alive */

/* lead_roll.c */
enum status lead_keep(const struct lead *lead, const void *bytes, size_t n, struct err *err);
void lead_keep_or_warn(const struct lead *lead);
bool lead_is_told(const struct lead *lead, const struct member *member);
void lead_tell(struct cluster *cluster, struct member *member);
void lead_tell_all(struct cluster *cluster);

/* lead_council.c */
enum status lead_begin_council(struct cluster *cluster, const struct buf *kept, struct err *err);

#endif
