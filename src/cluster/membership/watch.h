/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/watch.h - membership by datagrams, wired to this node's peers.
 *
 * Drives swim.h with the loop's timers and a socket (datagrams.h).  A peer is watched once its
 * channel is up, which is when its name, version and address are agreed; before that, it is
 * an address that discovery calls.  Of a node that peers talk of, discovery is told.
 *
 * Where the socket cannot be had, or no datagram of a peer comes, its channel's beats are what
 * is left (verdict.h): that is said once for each peer, and seen in its `has_datagrams`.
 *
 * Threads  the loop's
 */
#ifndef POMONA_CLUSTER_MEMBERSHIP_WATCH_H
#define POMONA_CLUSTER_MEMBERSHIP_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/cluster_priv.h"
#include "cluster/membership/verdict.h"

enum {
    SWIM_SPOKEN = 1,        /* of Hello: the version of swim.proto that this node answers to */
    ASK_EVERY_MS = 1000,    /* an address of which no datagram came is asked again */
    BLOCKED_AFTER_MS = 5000 /* without a datagram of a peer it is said that none comes */
};

/* That there is no watch, `cluster->watch` NULL, is no error. */
void watch_start(struct cluster *cluster, const struct cluster_options *options);
/* Says goodbye. */
void watch_free(struct watch *watch); /* NULL is allowed */

/* What follows is allowed where there is no watch. */

/* The member's channel is up: `link` says where it is. */
void watch_follow(struct cluster *cluster, struct member *member, const struct link *link);

/* Something else than datagrams says that it may be dead: ping it now. */
void watch_doubt(struct cluster *cluster, const struct member *member);

enum datagram_sign watch_sign(const struct cluster *cluster, const struct member *member);

void watch_tick(struct cluster *cluster, uint64_t now_ns);

#endif
