/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/piece_map.h - which pieces of a model's file are on this machine.
 *
 * A file that was fetched in part has its whole size and holes where pieces are missing.
 * MODEL.pieces beside it says which are there; a model without that file is whole.
 *
 *     magic, version u32, state u32, file_bytes u64, piece_bytes u32, root [32], bits
 *
 * All numbers are little endian.  The file is replaced as a whole, so it is never seen half
 * written; it may be older than the pieces, never newer.
 *
 * Threads  none of its own
 */
#ifndef POMONA_MODEL_SHARE_PIECE_MAP_H
#define POMONA_MODEL_SHARE_PIECE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/status.h"

enum {
    PIECE_BYTES = 1 << 20, /* of a file of no more than PIECES_MAX of them */
    PIECE_BYTES_MIN = 1 << 12,
    PIECE_BYTES_MAX = 1 << 24,
    PIECES_MAX = 1 << 20,
    PIECE_HASH_BYTES = 32,
    PIECE_MAP_HEAD_BYTES = 8 + 4 + 4 + 8 + 4 + PIECE_HASH_BYTES,
    PIECE_MAP_BYTES_MAX = PIECE_MAP_HEAD_BYTES + PIECES_MAX / 8 + 1, /* of the format above */
};

struct piece_map {
    uint64_t file_bytes;
    uint32_t piece_bytes, n_pieces;
    bool is_clean;                  /* the pieces are on the disk as they were checked; false while
                                     * some are written: after a crash they are checked again */
    bool is_doubtful;               /* they are being checked now; not with is_clean */
    uint8_t root[PIECE_HASH_BYTES]; /* of the manifest they were checked against */
    uint8_t *bits;                  /* owned; NULL: not made yet */
};

/* The size of the pieces of a file: a power of two; 0 where the file is larger than any. */
uint32_t piece_bytes_of(uint64_t file_bytes);

/* An empty map.
 * Errors  ST_RANGE  no power of two in the bounds above, no bytes, or too many pieces; ST_NOMEM */
enum status piece_map_init(struct piece_map *ret_map, uint64_t file_bytes, uint32_t piece_bytes,
                           struct err *err);
void piece_map_release(struct piece_map *map); /* a zeroed or released one is allowed */

bool piece_map_has(const struct piece_map *map, uint32_t piece); /* piece < n_pieces */
void piece_map_set(struct piece_map *map, uint32_t piece, bool is_here);

/* Bytes of one piece: the last may be shorter. */
uint32_t piece_map_bytes(const struct piece_map *map, uint32_t piece);

/* Mark, or find marked, every piece that [offset, offset + n_bytes) touches; what lies beyond
 * the file's end is never there. */
void piece_map_add(struct piece_map *map, uint64_t offset, uint64_t n_bytes);
bool piece_map_covers(const struct piece_map *map, uint64_t offset, uint64_t n_bytes);

/* Bytes of the pieces in `wanted`, and not in `but` (NULL: an empty one).  Both of one file. */
uint64_t piece_map_count(const struct piece_map *wanted, const struct piece_map *but);

/* Append the bytes of the format above. */
void piece_map_encode(const struct piece_map *map, struct buf *ret_bytes);

/* Check and take bytes that came from somewhere.  Errors: ST_FORMAT, ST_RANGE, ST_NOMEM */
enum status piece_map_decode(const void *bytes, size_t n, struct piece_map *ret_map,
                             struct err *err);

/* Read or replace MODEL.pieces.
 * ret_map  given: piece_map_release()
 * Errors   ST_NOTFOUND  there is none; ST_FORMAT  it is damaged; ST_IO, ST_NOMEM, ST_RANGE */
enum status piece_map_read(const char *model_path, struct piece_map *ret_map, struct err *err);
enum status piece_map_write(const char *model_path, const struct piece_map *map, struct err *err);

#endif
