/* SPDX-License-Identifier: Apache-2.0 */
/* engine/cpu/panel_writer.h - make a file of panels: beside its final name, then renamed.
 *
 * The unfinished file has one fixed name, ".NAME.part", and is locked (flock) by the
 * process that writes it.  So of several processes one writes, the others see that it
 * does; and what a crashed writer left is nobody's, taken over by the next one.
 *
 * Slices are written with pwrite(), not through a mapping: a disk that fills up is then an
 * error, not a SIGBUS, and what was written is not memory of this process.
 *
 * Threads  one at a time
 */
#ifndef POMONA_ENGINE_CPU_PANEL_WRITER_H
#define POMONA_ENGINE_CPU_PANEL_WRITER_H

#include "engine/cpu/panel_file.h"

struct panel_writer;

/* Make the folder and see whether n_bytes more would leave its disk some room, in files of
 * at most largest_bytes.
 * Errors  ST_FULL; ST_DENIED, ST_IO  there can be no such folder; ST_RANGE */
enum status panel_folder_make(const char *dir, uint64_t n_bytes, uint64_t largest_bytes,
                              struct err *err);

/* Begin DIR/NAME with room for all of it.
 * plan        borrowed until the writer ends
 * ret_writer  given; ends with panel_writer_commit() or panel_writer_abandon()
 * Errors      ST_PEER  another process is writing this file; ST_FULL  no room on the disk;
 *             ST_DENIED  the folder cannot be written; ST_IO, ST_NOMEM, ST_RANGE */
enum status panel_writer_new(const char *dir, const char *name, const struct panel_plan *plan,
                             struct panel_writer **ret_writer, struct err *err);

/* The next slice, from 0 on.  bytes [n_bytes of the slice], borrowed.  Errors: ST_FULL, ST_IO */
enum status panel_writer_put(struct panel_writer *writer, uint32_t slice, const void *bytes,
                             struct err *err);

/* Once every slice was put: the head, then to the disk, then under its name.
 * Takes the writer, also on error.
 * Errors  ST_FULL, ST_IO; there is no new file then */
enum status panel_writer_commit(struct panel_writer *writer, const uint8_t *key, struct err *err);

void panel_writer_abandon(struct panel_writer *writer); /* NULL is allowed */

#endif
