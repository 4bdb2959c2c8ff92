/* SPDX-License-Identifier: Apache-2.0 */
/* tests/support/folder.c - temporary folders. */
#include "support/folder.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/file.h"

void folder_make(struct folder *folder)
{
    const char *base = getenv("TMPDIR");

    snprintf(folder->path, sizeof(folder->path), "%s/pomona-test-XXXXXX", base ? base : "/tmp");
    if (!mkdtemp(folder->path))
        abort();
}

static void remove_all(const char *path)
{
    char inner[PATH_MAX_BYTES];
    const struct dirent *file;
    DIR *dir;

    if (unlink(path) == 0)
        return;
    dir = opendir(path);
    if (!dir)
        return;
    while ((file = readdir(dir)))
        if (strcmp(file->d_name, ".") != 0 && strcmp(file->d_name, "..") != 0 &&
            path_join(path, file->d_name, inner, NULL) == ST_OK)
            remove_all(inner);
    closedir(dir);
    (void)rmdir(path);
}

void folder_remove(struct folder *folder)
{
    remove_all(folder->path);
    folder->path[0] = '\0';
}

const char *folder_path(const struct folder *folder, const char *name, char *ret_path)
{
    if (path_join(folder->path, name, ret_path, NULL) != ST_OK)
        abort();
    return ret_path;
}

const char *folder_put(const struct folder *folder, const char *name, const struct buf *content,
                       char *ret_path)
{
    if (file_replace(folder_path(folder, name, ret_path), content->data, content->len, NULL) !=
        ST_OK)
        abort();
    return ret_path;
}
