/* SPDX-License-Identifier: Apache-2.0 */
/* balance/pulse.c - is a server up, by the answers to what it is asked every few seconds. */
#include "balance/pulse.h"

bool pulse_answer(struct pulse *p, bool is_well, uint64_t now_ns)
{
    if (is_well != p->is_down) {
        p->n = 0;
        return false;
    }
    if (++p->n < (is_well ? PULSE_SUCCESSES : PULSE_FAILURES))
        return false;
    p->n = 0;
    p->is_down = !is_well;
    if (is_well)
        p->up_since_ns = now_ns;
    return true;
}
