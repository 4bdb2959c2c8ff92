/* SPDX-License-Identifier: Apache-2.0 */
/* model/store/store_priv.h - what listing, finding and importing share. */
#ifndef POMONA_MODEL_STORE_STORE_PRIV_H
#define POMONA_MODEL_STORE_STORE_PRIV_H

#include <stdbool.h>
#include <sys/stat.h>

#include "model/store/store.h"

/* Letters, digits and "._:-", not beginning with a dot, shorter than
 * MODEL_NAME_MAX.  A '/' names a path, so a name of the store has none. */
bool store_name_is_valid(const char *name);

/* Copy `text` without ".gguf" at its end; false where the rest is no valid name. */
bool store_name_of(const char *text, char *ret_name);

/* "DIR/NAME.SUFFIX" into ret_path [PATH_MAX_BYTES]. */
enum status store_path(const struct store *store, const char *name, const char *suffix,
                       char *ret_path, struct err *err);

/* The name as the store spells it: the same bytes where there is such a file, else one that
 * differs in case.  ret_name is [MODEL_NAME_MAX].
 * Errors  ST_NOTFOUND, without words worth showing; ST_IO */
enum status store_spelling(const struct store *store, const char *name, char *ret_name,
                           struct err *err);

/* The entry of a name spelled as in the store, from its cached description
 * where that is fresh. */
enum status store_load(const struct store *store, const char *name, struct store_entry *ret_entry,
                       struct err *err);

/* The description cached at `path` for the file `st`; false where there is
 * none, it was made from another file, or it is damaged. */
bool store_cache_read(const char *path, const struct stat *st, struct model_info *ret_info);

/* A cache that cannot be written costs time at the next start and nothing else. */
void store_cache_write(const char *path, const struct stat *st, const struct model_info *info);

/* Where the model came from, into info->origin; "" where nobody noted it, or of another file. */
void store_origin_read(const struct store *store, const char *name, struct model_info *info);

/* Note info->origin; what cannot be noted is forgotten. */
void store_origin_write(const struct store *store, const struct model_info *info);

/* A name for a new model as it is to be spelled: `wanted`.
 * Errors  ST_RANGE  no valid name; ST_DENIED  a model of the store has it */
enum status store_new_name(const struct store *store, const char *wanted, char *ret_name,
                           struct err *err);

/* Check the file at `path`, which lies in the store's folder, as a model, and give it its name.
 * On error it stays where it is. */
enum status store_adopt(const struct store *store, const char *path, const char *name,
                        struct store_entry *ret_entry, struct err *err);

#endif
