/* SPDX-License-Identifier: Apache-2.0 */
/* net/race.h - a connection to the first of a machine's addresses that answers.
 *
 * Attempts are begun in the order given, each RACE_STEP_MS after the one before, or at once where
 * that failed (RFC 8305, section 5).  The first connection wins, of several at a time the one
 * tried first; the others are closed.  So a link that is cut costs RACE_STEP_MS, not its time-out.
 *
 * Threads  any, one for each race
 */
#ifndef POMONA_NET_RACE_H
#define POMONA_NET_RACE_H

#include <poll.h>
#include <stdbool.h>

#include "base/address.h"

enum {
    RACE_STEP_MS = 250,
    RACE_RUNNING = -1,
    RACE_LOST = -2, /* every attempt failed */
};

struct race {
    struct address addresses[HOSTS_MAX]; /* [n] */
    size_t n, n_begun;
    int fds[HOSTS_MAX]; /* [n_begun]; -1: it failed */
    uint64_t next_ns;   /* when the next attempt is due */
    int failure;        /* errno of the attempt that failed last */
    bool was_refused;   /* the first address: its machine answered that nobody listens there */
};

/* The first attempts are begun by race_turn().
 * hosts   in the order to try them; NULL or none: `host` alone
 * Errors  ST_RANGE  one of them is no numeric address */
enum status race_begin(struct race *race, const char *host, const struct hosts *hosts,
                       uint16_t port, struct err *err);

/* RACE_RUNNING, RACE_LOST, or the connected socket, which is the caller's: non-blocking, closed
 * on exec.  Never waits; call again when a socket of race_waits() is ready or next_ns has come. */
int race_turn(struct race *race, uint64_t now_ns);

/* What to wait for: how many of ret_fds [HOSTS_MAX].  False in *ret_is_due: no attempt is left
 * that next_ns is for. */
size_t race_waits(const struct race *race, struct pollfd *ret_fds, bool *ret_is_due);

/* Of a race that is lost: the machine at the first address, the likeliest to be the one that is meant,
 * answered that nobody listens there. */
bool race_was_refused(const struct race *race);
void race_end(struct race *race); /* closes what is under way */

#endif
