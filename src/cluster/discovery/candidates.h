/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/discovery/candidates.h - addresses at which a peer may be.
 *
 *   offered --due--> called --Hello--> its id is known --that member is alive--> at rest
 *      ^               \-- no answer, wrong key -- backoff --/       member lost --/
 *      \-- not heard of for CANDIDATE_FORGET_MS, no seed --> forgotten
 *
 * A seed is never forgotten and is called until the node there is a member
 * that is alive.  What beacons and mDNS find carries an id: the node whose id
 * is lower calls at once, the other only after CALL_LATER_MS, in case it alone
 * hears the other.  Of several addresses of one node the next is called when
 * the one before did not answer within CALL_STAGGER_MS (RFC 8305, section 5),
 * and CALLS_MAX are called at once: whoever copies records and does not
 * answer holds up nobody for long.  Nothing that was found is believed: the channel's
 * handshake and Hello decide.
 *
 * Threads  the loop's
 */
#ifndef POMONA_CLUSTER_DISCOVERY_CANDIDATES_H
#define POMONA_CLUSTER_DISCOVERY_CANDIDATES_H

#include <stdbool.h>
#include <stdint.h>

#include "cluster/cluster.h"

enum {
    CANDIDATE_FORGET_MS = 30000,
    CALL_LATER_MS = 2000,
    CALL_STAGGER_MS = 1000, /* far longer than a handshake takes where all is well */
    CALLS_MAX = 32,         /* not answered yet; each ends by a deadline */
    CALL_BACKOFF_FIRST_MS = 250,
    CALL_BACKOFF_LAST_MS = 8000,
};

struct link;

struct candidate {
    bool is_used, is_seed;
    bool is_self; /* it is this node: never called again */
    char host[HOST_MAX];
    uint16_t port;
    char id[33]; /* "": not known */
    uint64_t heard_ns, attempt_at_ns, backoff_ms;
    uint64_t called_ns; /* when the link was made */
    struct link *link;  /* NULL: not being called, nor up by way of this address */
};

#endif
