/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/topology/speed_file.h - what was measured of this machine, kept for the next start.
 *
 * One small text file for each way to run a node here: its name comes from all that would
 * change the figures, so an upgrade or another CPU makes another file, and nodes of one machine that
 * are alike share theirs.  It may be deleted at any time; it is measured again.
 *
 * Threads  any
 */
#ifndef POMONA_CLUSTER_TOPOLOGY_SPEED_FILE_H
#define POMONA_CLUSTER_TOPOLOGY_SPEED_FILE_H

#include "base/paths.h"
#include "base/status.h"
#include "contract/node_speed.h"

/* FOLDER/speed/HASH: of the CPU's name, its cores and features, the threads and kernels asked for
 * (0, NULL: the best) and NODE_SPEED_VERSION.  ret_path [PATH_MAX_BYTES].  Errors  ST_RANGE */
enum status speed_file_path(const char *folder, unsigned n_threads, const char *kernels,
                            char *ret_path, struct err *err);

/* Errors  ST_NOTFOUND; ST_FORMAT  something else, or figures no machine has; ST_IO */
enum status speed_file_read(const char *path, struct node_measure *ret_measure, struct err *err);

/* Makes the folder; readers see the old figures or the new.  Errors  ST_IO */
enum status speed_file_write(const char *path, const struct node_measure *measure, struct err *err);

#endif
