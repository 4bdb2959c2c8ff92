/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.c - clocks and deadlines. */
#include "base/clock.h"

#include <limits.h>
#include <time.h>

uint64_t clock_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * NS_PER_S + (uint64_t)t.tv_nsec;
}

int64_t clock_unix_s(void)
{
    return (int64_t)time(NULL);
}

uint64_t clock_unix_ms(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return (uint64_t)t.tv_sec * 1000 + (uint64_t)t.tv_nsec / NS_PER_MS;
}

int64_t clock_unix_offset_ns(void)
{
    struct timespec t;

    (void)clock_gettime(CLOCK_REALTIME, &t);
    return (int64_t)t.tv_sec * (int64_t)NS_PER_S + t.tv_nsec - (int64_t)clock_ns();
}

uint64_t deadline_after_ms(uint64_t ms)
{
    return clock_ns() + ms * NS_PER_MS;
}

int deadline_poll_ms(uint64_t deadline_ns)
{
    const uint64_t now = clock_ns();
    uint64_t ms;

    if (deadline_ns == DEADLINE_NEVER)
        return -1;
    if (deadline_ns <= now)
        return 0;
    ms = (deadline_ns - now + NS_PER_MS - 1) / NS_PER_MS;
    return ms > INT_MAX ? INT_MAX : (int)ms;
}
