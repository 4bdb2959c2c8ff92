/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/presence.h - how many workers of a crew take part: a decision, without threads or clocks.
 *
 * Where another process takes a core, the worker there loses it for milliseconds with a task in
 * its hands, and all others wait: two workers of which one has half a core compute less than one
 * alone.  So lost time is measured: by how much runs of tasks took longer than the ones before
 * them told.  Where that is more than half of what a worker adds, one sits out.  It is tried again after
 * a pause, which doubles each time that this was too early.
 *
 *   all present --lost too much--> one less --pause over--> one more, on trial
 *                                      ^--------lost too much---------/  \--a window without--> stays
 */
#ifndef POMONA_ENGINE_CPU_PRESENCE_H
#define POMONA_ENGINE_CPU_PRESENCE_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PRESENCE_WINDOW_NS = 30000000, /* of runs, for one decision: several times slices of a core */
    PRESENCE_PAUSE_NS = 200000000, /* at first */
    PRESENCE_PAUSES = 8,           /* the longest pause is so many times the first */
};

struct presence {
    unsigned n_workers, n_present;
    bool is_on_trial;
    uint64_t pause_ns, try_at_ns; /* the pause of now or next, and when it ends */
    uint64_t ran_ns, lost_ns;     /* of this window */
};

struct presence presence_of(unsigned n_workers);

/* After a run that ended at now_ns, took ran_ns, and in which workers lost lost_ns altogether. */
void presence_note(struct presence *p, uint64_t now_ns, uint64_t ran_ns, uint64_t lost_ns);

#endif
