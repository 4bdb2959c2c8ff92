/* SPDX-License-Identifier: Apache-2.0 */
/* balance/outlier.c - a server that fails again and again is left out for a while. */
#include "balance/outlier.h"

#include "base/clock.h"

void outlier_succeeded(struct outlier *o, uint64_t now_ns)
{
    o->n_failures = 0;
    if (o->n_times > 0 && now_ns > o->until_ns &&
        now_ns - o->until_ns > OUTLIER_FORGET_MS * NS_PER_MS) {
        o->n_times--;
        o->until_ns = now_ns;
    }
}

bool outlier_failed(struct outlier *o, size_t n_out, size_t n, uint64_t now_ns)
{
    uint64_t ms;

    if (o->n_failures < UINT32_MAX)
        o->n_failures++;
    if (o->n_failures < OUTLIER_FAILURES || outlier_is_out(o, now_ns) || 2 * (n_out + 1) > n)
        return false;
    o->n_failures = 0;
    if (o->n_times < OUTLIER_MS_MAX / OUTLIER_MS)
        o->n_times++;
    ms = (uint64_t)OUTLIER_MS * o->n_times;
    o->until_ns = now_ns + ms * NS_PER_MS;
    return true;
}

bool outlier_is_out(const struct outlier *o, uint64_t now_ns)
{
    return now_ns < o->until_ns;
}
