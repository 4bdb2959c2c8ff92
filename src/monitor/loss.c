/* SPDX-License-Identifier: Apache-2.0 */
/* monitor/loss.c - which share of one node's datagrams to each peer is not answered. */
#include "monitor/loss.h"

#include <math.h>
#include <string.h>

static struct loss_mark *mark_of(struct loss *loss, const char *peer)
{
    for (size_t i = 0; i < loss->n; i++)
        if (strcmp(loss->marks[i].peer, peer) == 0)
            return &loss->marks[i];
    return NULL;
}

static struct loss_mark *begin(struct loss *loss, const struct remote_member *peer)
{
    struct loss_mark *mark = loss->n < LOSS_PEERS_MAX ? &loss->marks[loss->n++] : NULL;

    if (mark) {
        memcpy(mark->peer, peer->name, sizeof(mark->peer));
        mark->n_pings = peer->n_pings;
        mark->n_pongs = peer->n_pongs;
        mark->share = (double)NAN;
    }
    return mark;
}

double loss_learn(struct loss *loss, const struct remote_member *peer)
{
    struct loss_mark *mark = mark_of(loss, peer->name);
    uint64_t n_sent, n_answered;

    if (!mark)
        mark = begin(loss, peer);
    if (!mark)
        return (double)NAN;
    if (peer->n_pings < mark->n_pings || peer->n_pongs < mark->n_pongs) { /* it began anew */
        mark->n_pings = peer->n_pings;
        mark->n_pongs = peer->n_pongs;
    }
    n_sent = peer->n_pings - mark->n_pings;
    n_answered = peer->n_pongs - mark->n_pongs;
    if (n_sent < LOSS_WINDOW)
        return mark->share;
    mark->share = n_answered >= n_sent ? 0 : 1 - (double)n_answered / (double)n_sent;
    mark->n_pings = peer->n_pings;
    mark->n_pongs = peer->n_pongs;
    return mark->share;
}
