/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/presence.c - decide how many workers take part. */
#include "engine/cpu/presence.h"

struct presence presence_of(unsigned n_workers)
{
    return (struct presence){ .n_workers = n_workers,
                              .n_present = n_workers,
                              .pause_ns = PRESENCE_PAUSE_NS };
}

static void sit_out(struct presence *p, uint64_t now_ns)
{
    if (p->is_on_trial && p->pause_ns < (uint64_t)PRESENCE_PAUSES * PRESENCE_PAUSE_NS)
        p->pause_ns *= 2;
    p->is_on_trial = false;
    p->n_present--;
    p->try_at_ns = now_ns + p->pause_ns;
}

static void try_again(struct presence *p, uint64_t now_ns)
{
    p->is_on_trial = true;
    p->n_present++;
    p->try_at_ns = now_ns + p->pause_ns;
}

void presence_note(struct presence *p, uint64_t now_ns, uint64_t ran_ns, uint64_t lost_ns)
{
    p->ran_ns += ran_ns;
    p->lost_ns += lost_ns;
    if (p->ran_ns < PRESENCE_WINDOW_NS)
        return;
    if (p->n_present > 1 && p->lost_ns * p->n_present * 2 > p->ran_ns) {
        sit_out(p, now_ns);
    } else {
        if (p->is_on_trial)
            p->pause_ns = PRESENCE_PAUSE_NS;
        p->is_on_trial = false;
        if (p->n_present < p->n_workers && now_ns >= p->try_at_ns)
            try_again(p, now_ns);
    }
    p->ran_ns = p->lost_ns = 0;
}
