/* SPDX-License-Identifier: Apache-2.0 */
/* base/run_folder.h - sockets by which processes of one user find one another.
 *
 * They lie in /tmp/pomona-UID, which is nobody else's: whoever comes by one of them is this user.
 * Not in TMPDIR, which differs between a service and what SSH starts.
 */
#ifndef POMONA_BASE_RUN_FOLDER_H
#define POMONA_BASE_RUN_FOLDER_H

#include <stdint.h>
#include <sys/types.h>

#include "base/paths.h"

/* The folder's "name" into ret_path [PATH_MAX_BYTES]; the folder is made where it is missing.
 * Errors  ST_DENIED  the folder is another's, or open to others; ST_IO; ST_RANGE */
enum status run_path(const char *name, char *ret_path, struct err *err);

/* Listen at the folder's `name`; what lay there is replaced.  Remove it with unlink(run_path()).
 * ret_fd  given, non-blocking */
enum status run_listen(const char *name, int *ret_fd, struct err *err);

/* Connect to who listens at `name`, who may come until the deadline.
 * ret_fd  given, blocking
 * Errors  ST_DEADLINE nobody came; as run_path() */
enum status run_connect(const char *name, uint64_t deadline_ns, int *ret_fd, struct err *err);

/* The process at the other end of a connection of this machine; 0: the system does not say. */
pid_t run_peer(int fd);

#endif
