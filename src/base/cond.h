/* SPDX-License-Identifier: Apache-2.0 */
/* base/cond.h - condition variables whose deadlines are on the steady clock.
 *
 * Threads  any
 */
#ifndef POMONA_BASE_COND_H
#define POMONA_BASE_COND_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* False where the system has none left.  Release with pthread_cond_destroy(). */
bool cond_init(pthread_cond_t *cond);

/* Wait with `mutex` held, until signaled (or woken for nothing) or until
 * `deadline_ns`, a time of clock_ns().  False once the deadline passed. */
bool cond_wait_until(pthread_cond_t *cond, pthread_mutex_t *mutex, uint64_t deadline_ns);

#endif
