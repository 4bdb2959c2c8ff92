/* SPDX-License-Identifier: Apache-2.0 */
/* cluster/state/desired_file.c - where a voter keeps its vote and the placements. */
#include "cluster/state/desired_file.h"

#include <stdio.h>

#include "base/file.h"
#include "base/paths.h"

enum { FILE_MAX_BYTES = 4 << 20 };

#define FILE_NAME    "council"
#define DAMAGED_NAME "council.damaged"

enum status desired_file_read(const char *folder, struct buf *ret_kept, struct err *err)
{
    char path[PATH_MAX_BYTES];
    enum status s = path_join(folder, FILE_NAME, path, err);

    if (s == ST_OK)
        s = file_read(path, FILE_MAX_BYTES, ret_kept, err);
    return s == ST_NOTFOUND ? ST_OK : s;
}

enum status desired_file_write(const char *folder, const void *bytes, size_t n, struct err *err)
{
    char path[PATH_MAX_BYTES];
    enum status s = path_make(folder, err);

    if (s == ST_OK)
        s = path_join(folder, FILE_NAME, path, err);
    return s == ST_OK ? file_replace(path, bytes, n, err) : s;
}

enum status desired_file_set_aside(const char *folder, struct err *err)
{
    char from[PATH_MAX_BYTES], to[PATH_MAX_BYTES];
    enum status s = path_join(folder, FILE_NAME, from, err);

    if (s == ST_OK)
        s = path_join(folder, DAMAGED_NAME, to, err);
    if (s == ST_OK && rename(from, to) != 0)
        s = err_errno(err, "rename '%s'", from);
    return s;
}
