/* SPDX-License-Identifier: Apache-2.0 */
/* execute/runner/ring_file.h - where the members of a team find one another for MLX's own ring. */
#ifndef POMONA_EXECUTE_RUNNER_RING_FILE_H
#define POMONA_EXECUTE_RUNNER_RING_FILE_H

#include "execute/collective.h"
#include "execute/runner/assignment.h"

/* Write the file of the team's addresses, [["ip:port"],...]: where members listened for one another, which
 * they do no more once this returns.
 * sums      of the team; NULL: there is none
 * ret_path  [PATH_MAX_BYTES]; remove it when MLX has read it
 * Errors    ST_UNSUPPORTED  no team, or one with another engine; as collective_sum(); ST_IO
 * Source    MLX 0.32, docs/src/usage/distributed.rst, "Defining a Ring" */
enum status ring_file_write(const struct assignment *assignment, const struct endpoints *endpoints,
                            struct collective *sums, char *ret_path, struct err *err);

#endif
