/* SPDX-License-Identifier: Apache-2.0 */
/* base/cond.c - condition variables whose deadlines are on the steady clock.
 *
 * POSIX lets a condition variable choose its clock; macOS does not have that
 * call and offers relative waits instead.
 */
#include "base/cond.h"

#include <errno.h>
#include <time.h>

#include "base/clock.h"

static struct timespec timespec_of(uint64_t ns)
{
    return (struct timespec){ (time_t)(ns / NS_PER_S), (long)(ns % NS_PER_S) };
}

#if defined(__APPLE__)

bool cond_init(pthread_cond_t *cond)
{
    return pthread_cond_init(cond, NULL) == 0;
}

static int timed_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
    const uint64_t now = clock_ns();
    const struct timespec wait = timespec_of(deadline_ns > now ? deadline_ns - now : 0);

    return pthread_cond_timedwait_relative_np(cond, mutex, &wait);
}

#else

bool cond_init(pthread_cond_t *cond)
{
    pthread_condattr_t attr;
    bool is_made;

    if (pthread_condattr_init(&attr) != 0)
        return false;
    is_made = pthread_condattr_setclock(&attr, CLOCK_MONOTONIC) == 0 &&
              pthread_cond_init(cond, &attr) == 0;
    (void)pthread_condattr_destroy(&attr);
    return is_made;
}

static int timed_wait(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
    const struct timespec until = timespec_of(deadline_ns);

    return pthread_cond_timedwait(cond, mutex, &until);
}

#endif

bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns)
{
    if (deadline_ns == DEADLINE_NEVER) {
        (void)pthread_cond_wait(cond, mutex);
        return true;
    }
    return timed_wait(cond, mutex, deadline_ns) != ETIMEDOUT;
}
