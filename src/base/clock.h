/* SPDX-License-Identifier: Apache-2.0 */
/* base/clock.h - the two clocks, and deadlines on the steady one.
 *
 * A deadline is an absolute time of clock_ns(); 0 is long past and
 * DEADLINE_NEVER is for tests and interactive use only.
 */
#ifndef POMONA_BASE_CLOCK_H
#define POMONA_BASE_CLOCK_H

#include <stdint.h>

#define NS_PER_MS      1000000ULL
#define NS_PER_S       1000000000ULL
#define DEADLINE_NEVER UINT64_MAX

/* Nanoseconds of CLOCK_MONOTONIC. */
uint64_t clock_ns(void);

/* Seconds since 1970, for what people and protocols read. */
int64_t clock_unix_s(void);

uint64_t clock_unix_ms(void);

/* What is to be added to clock_ns() now for nanoseconds since 1970. */
int64_t clock_unix_offset_ns(void);

/* The deadline `ms` from now. */
uint64_t deadline_after_ms(uint64_t ms);

/* Whole milliseconds left until `deadline_ns`, rounded up, for poll(2);
 * 0 once passed, -1 for DEADLINE_NEVER. */
int deadline_poll_ms(uint64_t deadline_ns);

#endif
