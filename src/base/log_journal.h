/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_journal.h - lines to systemd's journal, with real fields.
 *
 * Source   systemd.exec(5), $JOURNAL_STREAM; https://systemd.io/JOURNAL_NATIVE_PROTOCOL/
 * Threads  any
 */
#ifndef POMONA_BASE_LOG_JOURNAL_H
#define POMONA_BASE_LOG_JOURNAL_H

#include <stdbool.h>
#include <stddef.h>

/* Whether standard error is a stream of the journal: whoever redirected it wants lines there instead. */
bool log_journal_is_stderr(void);

/* Send one datagram of LOG_JOURNAL.  False: the journal does not take it now, nothing was sent and
 * nobody was waited for. */
bool log_journal_send(const char *datagram, size_t n);

#endif
