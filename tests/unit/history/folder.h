/* SPDX-License-Identifier: Apache-2.0 */
/* tests/unit/history/folder.h - a folder for a history, and its removal. */
#ifndef POMONA_TESTS_UNIT_HISTORY_FOLDER_H
#define POMONA_TESTS_UNIT_HISTORY_FOLDER_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct folder {
    char dir[64], path[80]; /* of the history */
};

static inline int folder_make(void **state)
{
    static struct folder f;

    snprintf(f.dir, sizeof(f.dir), "/tmp/pomona-history-XXXXXX");
    if (!mkdtemp(f.dir))
        return -1;
    snprintf(f.path, sizeof(f.path), "%s/health.db", f.dir);
    *state = &f;
    return 0;
}

/* How many files begin with `prefix`; they are removed where `removes`. */
static inline int folder_files(const struct folder *f, const char *prefix, int removes)
{
    DIR *dir = opendir(f->dir);
    struct dirent *entry;
    int n = 0;

    while (dir && (entry = readdir(dir)) != NULL) {
        char path[512];

        if (entry->d_name[0] == '.' || strncmp(entry->d_name, prefix, strlen(prefix)) != 0)
            continue;
        n++;
        snprintf(path, sizeof(path), "%s/%s", f->dir, entry->d_name);
        if (removes)
            (void)unlink(path);
    }
    if (dir)
        (void)closedir(dir);
    return n;
}

static inline int folder_remove(void **state)
{
    const struct folder *f = *state;

    (void)folder_files(f, "", 1);
    return rmdir(f->dir);
}

#endif
