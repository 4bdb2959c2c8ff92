/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/orphan.h - ending with the parent process. */
#ifndef POMONA_EXECUTE_RUNNER_ORPHAN_H
#define POMONA_EXECUTE_RUNNER_ORPHAN_H

/* Ask the system to kill this process when the thread that started it ends,
 * where the system can.  The control socket says the same everywhere; this
 * also ends a process that no longer listens to it. */
void orphan_dies(void);

#endif
