/* SPDX-License-Identifier: Apache-2.0 */
/* flow/outage.h - how often, and for how long, a request looks for another instance.
 *
 *   served --LOSS, LINK--> outage --a token came--> served
 *                     |  ^ \_ PLACING, ROOM: wait, look again
 *                     +--+
 *
 * An outage begins when the instance of a request is lost and ends with its next
 * token.  A loss costs nothing but another instance; so one that comes again and again without
 * a token between is taken for the request's fault, and it is not given a fourth
 * instance to end.  Placing may fail because nodes do not agree yet on who is
 * lost, so it is tried again after longer and longer waits.  Room may come with a node that comes
 * back: it is waited for as long as an outage may last.  A placing that is under way is not cut
 * off by that: it has deadlines of its own.
 *
 * Pure: the clock is an argument.
 */
#ifndef POMONA_FLOW_OUTAGE_H
#define POMONA_FLOW_OUTAGE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    OUTAGE_MS = 30000, /* of looking; the longest a failover may take */
    OUTAGE_LOSSES_MAX = 3,
    OUTAGE_PLACINGS_MAX = 6,
    OUTAGE_PLACINGS_FIRST_MAX = 3, /* of a request that never had an instance */
    OUTAGE_WAIT_FIRST_MS = 50,     /* after a failed placing; doubled each time */
    OUTAGE_WAIT_ROOM_MS = 250,
    OUTAGES_MAX = 64, /* of one request */
};

/* Why a request has no instance now. */
enum setback {
    SETBACK_NONE, /* it failed by itself: no other instance would help */
    SETBACK_LOSS, /* its instance was lost */
    SETBACK_LINK, /* its instance may be there, and is not reached: it is asked over another node */
    SETBACK_PLACING, /* a placing failed */
    SETBACK_ROOM,    /* no node can hold the model, or the instance takes no more requests */
};

struct outage {
    uint64_t begun_ns; /* 0: there is none */
    unsigned n_losses, n_placings;
    unsigned n_outages; /* of this request, this one included */
};

/* Look for an instance again?
 * ret_wait_ms  after so long; untouched where the answer is no */
bool outage_go_on(struct outage *outage, enum setback why, uint64_t now_ns, uint32_t *ret_wait_ms);

/* A token came. */
void outage_end(struct outage *outage);

#endif
