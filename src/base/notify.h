/* SPDX-License-Identifier: Apache-2.0 */
/* base/notify.h - tell the service manager how this process is.
 *
 * systemd names a socket in NOTIFY_SOCKET and, where it watches, how often it wants a sign in
 * WATCHDOG_USEC.  Started by anything else (launchd, a terminal) there is none, and nothing is sent.
 * A message is lost where the manager does not read: it is never waited for.
 *
 * Source   sd_notify(3), sd_watchdog_enabled(3)
 * Threads  any
 */
#ifndef POMONA_BASE_NOTIFY_H
#define POMONA_BASE_NOTIFY_H

#include <stdint.h>

/* Of one message, cut beyond. */
enum { NOTIFY_MAX_BYTES = 512 };

/* Send lines of assignments: "READY=1\nSTATUS=serving". */
void notify_send(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* Within which time the manager wants "WATCHDOG=1" again; 0: it does not watch this process. */
uint64_t notify_watchdog_ms(void);

#endif
