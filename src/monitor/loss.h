/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/loss.h - which share of one node's datagrams to each peer is not answered.
 *
 * A node counts what it sends and what is answered; here is the share over the last LOSS_WINDOW of them.  One that is
 * under way when a window ends is counted in the next.
 *
 * Pure.
 *
 * Threads  the owner's
 */
#ifndef POMONA_MONITOR_LOSS_H
#define POMONA_MONITOR_LOSS_H

#include "monitor/remote.h"

enum { LOSS_PEERS_MAX = 64 /* of one node, as a cluster has */, LOSS_WINDOW = 40 };

/* All zeros at first. */
struct loss {
    struct loss_mark {
        char peer[REMOTE_NAME_MAX];
        uint64_t n_pings, n_pongs; /* when the window began */
        double share;              /* of the window before; NAN: there was none */
    } marks[LOSS_PEERS_MAX];       /* [n] */
    size_t n;
};

/* What the node said of `peer` now.
 * Returns  0..1, of the last whole window; NAN: none is over yet, or there are too many peers */
double loss_learn(struct loss *loss, const struct remote_member *peer);

#endif
