/* SPDX-License-Identifier: Apache-2.0 */
/* base/busy.h - how much of this machine others than this process use.
 *
 *   busy_mark(&mark);  ...  share = busy_others(&mark);
 *
 * Others are all other processes, the system, and on a virtual machine the neighbours who take its
 * cores.  The system counts in ticks of some milliseconds, so a second is the least that tells.
 *
 * Threads  any
 */
#ifndef POMONA_BASE_BUSY_H
#define POMONA_BASE_BUSY_H

#include <stdint.h>

struct busy_mark {
    uint64_t begin_ns;
    double all_s, own_s; /* processor time, of everybody and of this process; all_s < 0: not told */
};

void busy_mark(struct busy_mark *ret_mark);

/* Share of the time of all cores since `mark` that others used: 0 to 1; 0 where the system does not
 * tell. */
double busy_others(const struct busy_mark *mark);

#endif
