/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/manifest.h - the hash of every piece of a model's file.
 *
 * Who holds a file makes its manifest once; who fetches a part of it checks each piece
 * against it, whoever sent the piece.  SHA-256, because a peer, or who stands between, must
 * not be able to make other weights that pass: XXH128 and the like detect accidents only.
 * `root`, the hash of the manifest but for the file's time, names the whole content: two
 * machines that hold the same bytes have the same root.
 *
 *     magic, version u32, model_digest [16], file_bytes u64, head_bytes u64,
 *     modified_unix_s i64, piece_bytes u32, n_pieces u32, hashes [n_pieces][32], root [32]
 *
 * Threads  none of its own; immutable once made
 */
#ifndef POMONA_MODEL_SHARE_MANIFEST_H
#define POMONA_MODEL_SHARE_MANIFEST_H

#include "base/buf.h"
#include "contract/model_info.h"
#include "model/share/piece_map.h"

enum {
    MANIFEST_HEAD_BYTES = 8 + 4 + MODEL_DIGEST_BYTES + 8 + 8 + 8 + 4 + 4,
    MANIFEST_BYTES_MAX = MANIFEST_HEAD_BYTES + (PIECES_MAX + 1) * PIECE_HASH_BYTES,
};

struct manifest {
    uint8_t model_digest[MODEL_DIGEST_BYTES];
    uint64_t file_bytes;
    uint64_t head_bytes; /* header, metadata and tensor directory: where the file begins */
    int64_t modified_unix_s;
    uint32_t piece_bytes, n_pieces;
    uint8_t (*hashes)[PIECE_HASH_BYTES]; /* owned, [n_pieces] */
    uint8_t root[PIECE_HASH_BYTES];
};

/* Told of bytes hashed; false ends the work. */
typedef bool manifest_progress_fn(void *arg, uint64_t done, uint64_t total);

/* Hash the model at `path`.
 * piece_bytes   0: piece_bytes_of()
 * on_progress   may be NULL
 * ret_manifest  given: manifest_release()
 * Errors  as gguf_open(); ST_CANCELED by on_progress; ST_IO the file changed meanwhile */
enum status manifest_make(const char *path, uint32_t piece_bytes, manifest_progress_fn *on_progress,
                          void *arg, struct manifest *ret_manifest, struct err *err);
void manifest_release(struct manifest *manifest); /* a zeroed one is allowed */

/* Append the bytes of the format above. */
void manifest_encode(const struct manifest *manifest, struct buf *ret_bytes);

/* Check and take bytes that came from somewhere.
 * Errors  ST_FORMAT  damaged, or of no possible file; ST_NOMEM */
enum status manifest_decode(const void *bytes, size_t n, struct manifest *ret_manifest,
                            struct err *err);

/* Read or replace a manifest's file.
 * Errors  as manifest_decode(); ST_NOTFOUND, ST_IO */
enum status manifest_read(const char *path, struct manifest *ret_manifest, struct err *err);
enum status manifest_write(const char *path, const struct manifest *manifest, struct err *err);

/* The root alone, of the manifest kept at `path`, if it is one of a file of this digest, size
 * and time.  Reads a few bytes and checks no hash: of this machine's own disk. */
bool manifest_root_of(const char *path, const uint8_t digest[MODEL_DIGEST_BYTES],
                      uint64_t file_bytes, int64_t modified_unix_s,
                      uint8_t ret_root[PIECE_HASH_BYTES]);

/* Whether [n] bytes are that piece. */
bool manifest_fits(const struct manifest *manifest, uint32_t piece, const void *bytes, size_t n);

/* An empty map of the manifest's pieces, with its root. */
enum status manifest_map(const struct manifest *manifest, struct piece_map *ret_map,
                         struct err *err);

#endif
