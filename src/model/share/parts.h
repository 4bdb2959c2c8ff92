/* SPDX-License-Identifier: Apache-2.0 */
/* model/share/parts.h - the models of which a node has pieces, as its fetches left them.
 *
 *     FOLDER/DIGEST/model.gguf         and .pieces (partial.h), .manifest (manifest.h)
 *     FOLDER/DIGEST/model.gguf.note    what the cluster calls it, and where it came from: JSON,
 *                                      written once the head of the file is here
 *     FOLDER/DIGEST/model.gguf.info    struct model_info, so that the head is read once
 *
 * What is here is given to others, also while more comes (server.h), and told to them, so that
 * a cluster knows a model whose only whole copy was lost with its node.
 *
 * Threads  parts_list() and part_note() any; a struct parts one
 */
#ifndef POMONA_MODEL_SHARE_PARTS_H
#define POMONA_MODEL_SHARE_PARTS_H

#include "base/paths.h"
#include "contract/model_info.h"
#include "model/share/piece_map.h"

struct part {
    struct model_info info; /* is_part, root and origin set */
    char path[PATH_MAX_BYTES];
};

/* Every model with a note.  A damaged one is left out.
 * ret_parts  given: free()
 * Errors     ST_NOMEM; a folder that is not there has none */
enum status parts_list(const char *folder, struct part **ret_parts, size_t *ret_n, struct err *err);

/* Write the note of the file at `path`.  origin  "": not known */
enum status part_note(const char *path, const char *name, const char *origin, struct err *err);

/* "PATH.manifest": ret_path [PATH_MAX_BYTES] */
enum status part_manifest_path(const char *path, char *ret_path, struct err *err);

/* A folder of which pieces are given; looks at the disk again when files changed. */
struct parts;

enum status parts_new(const char *folder, struct parts **ret_parts, struct err *err);
void parts_free(struct parts *parts); /* NULL is allowed */

/* ret_path, ret_pieces  lent until the next call; those that may be given: checked, and either
 *                       on the disk or written by a process that lives
 * Errors  ST_NOTFOUND  none; ST_FORMAT, ST_IO, ST_NOMEM */
enum status parts_find(struct parts *parts, const uint8_t digest[MODEL_DIGEST_BYTES],
                       const char **ret_path, const struct piece_map **ret_pieces, struct err *err);

#endif
