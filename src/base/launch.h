/* SPDX-License-Identifier: Apache-2.0 */
/* base/launch.h - start a program to read what it prints. */
#ifndef POMONA_BASE_LAUNCH_H
#define POMONA_BASE_LAUNCH_H

#include <sys/types.h>

/* Start argv[0], a path or a name that is looked for in PATH; argv ends with NULL.  It prints to
 * `output`, says its complaints to nobody, and has nothing to read.
 * ret_pid  given: whom waitpid(2) waits for
 * Returns  0, or what errno would be
 * Threads  any */
int launch_reading(const char *const *argv, int output, pid_t *ret_pid);

#endif
