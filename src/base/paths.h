/* SPDX-License-Identifier: Apache-2.0 */
/* base/paths.h - where Pomona keeps its data.
 *
 * Linux: $XDG_DATA_HOME/pomona, else ~/.local/share/pomona (XDG Base Directory
 * Specification 0.8).  macOS: ~/Library/Application Support/pomona.  What can be made
 * again: $XDG_CACHE_HOME/pomona, else ~/.cache/pomona; ~/Library/Caches/pomona.
 */
#ifndef POMONA_BASE_PATHS_H
#define POMONA_BASE_PATHS_H

#include "base/status.h"

enum { PATH_MAX_BYTES = 1024 };

/* The data folder: `override` where not NULL, else the platform's.  Not
 * created.  ret_path is [PATH_MAX_BYTES].
 * Errors  ST_RANGE  too long, or neither HOME nor an override is set */
enum status path_data(const char *override, char *ret_path, struct err *err);

/* The folder of what can be made again.  As path_data(). */
enum status path_cache(char *ret_path, struct err *err);

/* The folder of settings that people write: $XDG_CONFIG_HOME/pomona, else ~/.config/pomona;
 * macOS: as path_data().  As path_data(). */
enum status path_config(char *ret_path, struct err *err);

/* "dir/name" into ret_path [PATH_MAX_BYTES].  Errors: ST_RANGE too long. */
enum status path_join(const char *dir, const char *name, char *ret_path, struct err *err);

/* Create `path` and its parents, mode 0700 where missing. */
enum status path_make(const char *path, struct err *err);

/* The path of the running executable, symbolic links resolved. */
enum status path_of_self(char *ret_path, struct err *err);

/* That of file `name` in the executable's folder, into ret_path [PATH_MAX_BYTES]. */
enum status path_beside_self(const char *name, char *ret_path, struct err *err);

#endif
