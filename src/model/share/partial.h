/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/partial.h - a model's file that fills piece by piece, and survives crashes.
 *
 *     MODEL          the file, of its whole size from the start: sparse
 *     MODEL.pieces   which pieces are there (piece_map.h)
 *
 * A piece is checked before it is written.  While pieces are written the map says "not
 * clean"; whoever opens such a file after a crash checks each piece again that the map
 * claims.  So of a map that is not clean the bits are good while the file is locked and the
 * map not doubtful: its writer, which lives, checked them.
 *
 * The file's time is made of the manifest's root: what engines keep of a model is keyed by the
 * time, and stays good while pieces are added.  Writing is spread: the disk is asked to write
 * early, and no more than WINDOW_BYTES wait in memory, so that nothing else on the machine
 * stalls at the end.
 *
 * Threads  one at a time.  Processes: one writes, the others wait for its lock; readers of
 *          pieces that are there need no lock
 */
#ifndef POMONA_MODEL_SHARE_PARTIAL_H
#define POMONA_MODEL_SHARE_PARTIAL_H

#include "model/share/manifest.h"

struct partial;

/* Open or create `path`, whose folder is there, and lock it.  A file of another content is
 * emptied.
 * manifest  borrowed, must outlive the partial
 * wait_ms   for the lock
 * Errors  ST_DEADLINE  another process writes it all this time; ST_FULL  no file of this size
 *         can be here; ST_IO, ST_NOMEM */
enum status partial_open(const char *path, const struct manifest *manifest, uint64_t wait_ms,
                         struct partial **ret_partial, struct err *err);

/* Marks what is there, durably after partial_finish() alone.  NULL is allowed. */
void partial_close(struct partial *partial);

/* What is there, also after later puts.  Lent until partial_close(). */
const struct piece_map *partial_pieces(const struct partial *partial);

/* Check a piece and write it.
 * Errors  ST_FORMAT  it is not the manifest's piece: nothing was written; ST_FULL, ST_IO */
enum status partial_put(struct partial *partial, uint32_t piece, const void *bytes, size_t n,
                        struct err *err);

/* Note on disk which pieces are there, for who goes on after a crash. */
enum status partial_save(struct partial *partial, struct err *err);

/* Wait until all is on the disk, and say so in the map. */
enum status partial_finish(struct partial *partial, struct err *err);

#endif
