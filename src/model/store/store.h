/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/store.h - the models this machine holds.
 *
 *   DATA/models/NAME.gguf    a file or a symbolic link
 *   DATA/models/NAME.json    cached struct model_info and the file's size and
 *                            time it was made from; rebuilt when they differ
 *   DATA/models/NAME.origin  where on a hub it came from (hub.h), and the digest it had
 *
 * Several processes may use one store: files are replaced atomically.
 *
 * Threads  none of its own; a store holds only its path
 */
#ifndef POMONA_MODEL_STORE_STORE_H
#define POMONA_MODEL_STORE_STORE_H

#include <stddef.h>

#include "base/paths.h"
#include "base/status.h"
#include "contract/model_info.h"

struct store {
    char dir[PATH_MAX_BYTES];
};

struct store_entry {
    struct model_info info;
    char path[PATH_MAX_BYTES];
};

/* Use DATA/models, created where missing. */
enum status store_init(struct store *store, const char *data_dir, struct err *err);

/* Every model, by name.  *ret_entries given: free().  A file that cannot be
 * opened is left out; its words go to on_bad (may be NULL). */
enum status store_list(const struct store *store, struct store_entry **ret_entries, size_t *ret_n,
                       void (*on_bad)(void *arg, const char *path, const struct err *why),
                       void *arg, struct err *err);

/* `name_or_path`: a name of the store (case is folded, ".gguf" optional), or a path: anything
 * that contains '/' or ends in ".gguf" and exists.
 * Errors  ST_NOTFOUND, with the names there are; as model_open() */
enum status store_find(const struct store *store, const char *name_or_path,
                       struct store_entry *ret_entry, struct err *err);

enum store_import_how { STORE_COPY, STORE_LINK };

/* Check `path` as a model and add it under `name` (NULL: the file's own).
 * on_progress may be NULL.
 * Errors  as model_open(); ST_DENIED  another model has that name already; ST_FULL no room on disk */
enum status store_import(const struct store *store, const char *path, const char *name,
                         enum store_import_how how,
                         void (*on_progress)(void *arg, uint64_t done, uint64_t total), void *arg,
                         struct store_entry *ret_entry, struct err *err);

/* The same for a folder that convert_is_folder(): the store gets one GGUF file.
 * Errors  also as convert_folder(); ST_DENIED  a model has that name already */
enum status store_import_folder(const struct store *store, const char *dir, const char *name,
                                void (*on_progress)(void *arg, uint64_t done, uint64_t total),
                                void *arg, struct store_entry *ret_entry, struct err *err);

#endif
