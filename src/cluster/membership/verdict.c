/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/membership/verdict.c - what the signs of life of a peer mean, taken together. */
#include "cluster/membership/verdict.h"

/* The table of verdict.h: what a channel's silence comes to, and when; and what its lack does. */
static const struct {
    uint64_t silent_ms;
    enum verdict silent, none;
} rows[] = {
    [SIGN_UNHEARD] = { DEAD_AFTER_MS, VERDICT_DEAD, VERDICT_DEAD },
    [SIGN_ANSWERS] = { CHANNEL_SILENT_MS, VERDICT_CALL_ANEW, VERDICT_ALIVE },
    [SIGN_SUSPECT] = { UINT64_MAX, VERDICT_ALIVE, VERDICT_ALIVE },
    [SIGN_DEAD] = { SILENT_MS, VERDICT_DEAD, VERDICT_DEAD },
};

enum verdict verdict_of(const struct signs *signs)
{
    if (!signs->has_channel)
        return rows[signs->datagrams].none;
    if (signs->silent_ms > rows[signs->datagrams].silent_ms)
        return rows[signs->datagrams].silent;
    return VERDICT_ALIVE;
}
