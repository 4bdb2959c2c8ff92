/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/verdict.h - what the signs of life of a peer mean, taken together.
 *
 * Two things speak for a peer: datagrams (swim.h: it answers somebody) and its channel to
 * this node (something came over it within the last milliseconds).
 *
 *                 channel speaks   channel is silent            no channel
 *   answers       alive            alive; anew after            alive, takes no part until it
 *                                  CHANNEL_SILENT_MS            has one again
 *   is suspect    alive            alive: swim decides          alive: swim decides
 *   dead, left    alive            dead after SILENT_MS         dead
 *   unheard of    alive            dead after DEAD_AFTER_MS     dead
 *
 * So a peer whose datagrams are blocked by a firewall lives and dies by its channel, one whose
 * channel broke lives by its datagrams, and where both end it is dead when swim says so.  A
 * channel that ended because the process did is told apart by calling again: a
 * machine that answers that nobody listens has the last word (link.c).
 *
 * Pure.
 */
#ifndef POMONA_CLUSTER_MEMBERSHIP_VERDICT_H
#define POMONA_CLUSTER_MEMBERSHIP_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

enum {
    SILENT_MS = 1500,         /* a channel that is silent for so long speaks for nobody */
    DEAD_AFTER_MS = 1750,     /* 1.5 s of standing still, and the time to the next beat */
    CHANNEL_SILENT_MS = 2000, /* a lost segment is sent again four times within */
};

enum datagram_sign { SIGN_UNHEARD, SIGN_ANSWERS, SIGN_SUSPECT, SIGN_DEAD };

struct signs {
    enum datagram_sign datagrams;
    bool has_channel;
    uint64_t silent_ms; /* of the channel */
};

enum verdict { VERDICT_ALIVE, VERDICT_CALL_ANEW, VERDICT_DEAD };

enum verdict verdict_of(const struct signs *signs);

#endif
