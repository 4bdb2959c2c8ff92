/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/supervise/spawn.h - start a runner's process.
 *
 * The child inherits standard error and one end of a socket pair, nothing
 * else, and has a process group of its own: Ctrl-C at a terminal reaches the
 * node, which lets its streams finish first.
 */
#ifndef POMONA_CLUSTER_SUPERVISE_SPAWN_H
#define POMONA_CLUSTER_SUPERVISE_SPAWN_H

#include <sys/types.h>

#include "base/status.h"

/* Start `program`, a path or a name that is looked for in PATH, with these arguments, ended by NULL; file descriptor 3 is its end of the socket
 * pair.  As spawn_runner(). */
enum status spawn_child(const char *program, char *const *argv, pid_t *ret_pid, int *ret_fd,
                        struct err *err);

/* Start `program runner --control-fd 3`.
 * ret_fd  given: the node's end of the socket pair
 * Errors  ST_IO  no process or socket to be had, or the program cannot be started */
enum status spawn_runner(const char *program, pid_t *ret_pid, int *ret_fd, struct err *err);

#endif
