/* SPDX-License-Identifier: Apache-2.0 */
/* flow/outage.c - how often, and for how long, a request looks for another instance. */
#include "flow/outage.h"

#include "base/clock.h"

/* A request that never had an instance is told sooner: it has nothing to lose. */
static unsigned placings_max(const struct outage *o)
{
    return o->n_losses > 0 ? OUTAGE_PLACINGS_MAX : OUTAGE_PLACINGS_FIRST_MAX;
}

static bool has_begun(struct outage *o, uint64_t now_ns)
{
    if (o->begun_ns != 0)
        return now_ns - o->begun_ns <= OUTAGE_MS * NS_PER_MS;
    if (o->n_outages == OUTAGES_MAX)
        return false;
    o->n_outages++;
    o->begun_ns = now_ns;
    return true;
}

bool outage_go_on(struct outage *o, enum setback why, uint64_t now_ns, uint32_t *ret_wait_ms)
{
    if (why == SETBACK_NONE || (why == SETBACK_ROOM && o->n_losses == 0) || !has_begun(o, now_ns))
        return false;
    if (why == SETBACK_LOSS || why == SETBACK_LINK) {
        if (o->n_losses == OUTAGE_LOSSES_MAX)
            return false;
        o->n_losses++;
        *ret_wait_ms = 0;
    } else if (why == SETBACK_PLACING) {
        if (o->n_placings == placings_max(o))
            return false;
        *ret_wait_ms = (uint32_t)OUTAGE_WAIT_FIRST_MS << o->n_placings++;
    } else {
        *ret_wait_ms = OUTAGE_WAIT_ROOM_MS;
    }
    return true;
}

void outage_end(struct outage *o)
{
    *o = (struct outage){ .n_outages = o->n_outages };
}
