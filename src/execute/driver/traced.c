/* SPDX-License-Identifier: Apache-2.0 */
/* execute/driver/traced.c - sequences of requests that are traced have a slot, by which other ranks know them.
 *
 * A slot is held from admission to the last step.  Its first step says which request it stands for; the next owner's
 * first step says another, and comes later on every rank.
 */
#include <string.h>

#include "execute/driver/driver_priv.h"

void driver_trace(struct driver *d, struct sequence *q)
{
    if (!d->wire || !q->trace.is_sampled)
        return;
    for (uint32_t i = 0; i < d->o.max_sequences && q->slot == 0; i++) {
        if (d->slots[i])
            continue;
        d->slots[i] = true;
        q->slot = i + 1;
        q->is_marked = false;
    }
}

void driver_trace_no_more(struct driver *d, struct sequence *q)
{
    if (q->slot > 0)
        d->slots[q->slot - 1] = false;
    q->slot = 0;
}

void driver_trace_span(struct flight *f, uint32_t span, struct sequence *q)
{
    struct step_mark *mark = &f->marks[f->trace.n_marks];

    f->slots[span] = q->slot;
    if (q->slot == 0)
        return;
    f->trace.n_slots = 1; /* as many as spans, once they are counted */
    if (q->is_marked)
        return;
    q->is_marked = true;
    f->trace.n_marks++;
    mark->slot = q->slot - 1;
    mark->trace = q->trace;
    memcpy(mark->request_id, q->request_id, sizeof(mark->request_id));
}
