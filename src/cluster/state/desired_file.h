/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/desired_file.h - where a voter keeps its vote and the placements: one small file.
 *
 * The only effect of the council that touches the disk.  What is in the file
 * and its checksum are the council's (election/council.h).
 */
#ifndef POMONA_CLUSTER_STATE_DESIRED_FILE_H
#define POMONA_CLUSTER_STATE_DESIRED_FILE_H

#include "base/buf.h"
#include "base/status.h"

/* Read what was kept in `folder`: appended to ret_kept, nothing where there is no file.
 * Errors  ST_IO; ST_RANGE it is too long to be one */
enum status desired_file_read(const char *folder, struct buf *ret_kept, struct err *err);

/* On disk when it returns ST_OK; else the old one is still there. */
enum status desired_file_write(const char *folder, const void *bytes, size_t n, struct err *err);

/* Put a damaged file aside, under another name, so that it can be looked at. */
enum status desired_file_set_aside(const char *folder, struct err *err);

#endif
