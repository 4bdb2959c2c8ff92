/* SPDX-License-Identifier: Apache-2.0 */
/* base/log_file.h - standard error into a file that others may rotate.
 *
 * For where nothing reads standard error, as journald does: launchd, a plain container.  The file is
 * opened anew when it is no longer the one at its path, which is looked at with a line, once a second
 * at most.  So newsyslog and logrotate need signal nobody, and a runner, which has its node's
 * environment, goes to the new file, too.
 *
 * Threads  any
 */
#ifndef POMONA_BASE_LOG_FILE_H
#define POMONA_BASE_LOG_FILE_H

#include "base/status.h"

/* From now on standard error is the end of `path`, which is copied.  Once, at the start.
 * Errors  ST_IO, ST_RANGE; standard error is what it was */
enum status log_file_begin(const char *path, struct err *err);

/* Before a line is written: the file at the path, if there is another now.  Does nothing before
 * log_file_begin(); where the file cannot be opened the old one goes on. */
void log_file_look(void);

#endif
